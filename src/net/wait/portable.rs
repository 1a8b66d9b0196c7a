//! The network's thread reads: Tokio waits for every socket.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;

use bytes::BufMut as _;
use tokio::net::TcpStream;
use tracing::Dispatch;

use super::visit::Visit;
use crate::proto::LinkId;

/// The socket of a link.
#[derive(Debug)]
pub(in crate::net) struct Socket(TcpStream);

/// Thread: the network's, in the link's task. JavaScript's may write, too.
impl Socket {
    pub(in crate::net) fn new(stream: TcpStream) -> io::Result<Self> {
        Ok(Self(stream))
    }

    pub(in crate::net) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }

    /// Reads into the free capacity of `buffer`, without growing it.
    pub(in crate::net) fn try_read_into(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let room = buffer.capacity() - buffer.len();
        self.0.try_read_buf(&mut buffer.limit(room))
    }

    pub(in crate::net) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    pub(in crate::net) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    pub(in crate::net) async fn writable(&self) -> io::Result<()> {
        self.0.writable().await
    }

    pub(in crate::net) fn shut_down(&self) -> io::Result<()> {
        socket2::SockRef::from(&self.0).shutdown(Shutdown::Write)
    }
}

/// A placeholder: no other thread reads.
#[derive(Debug)]
pub struct Watch;

impl Watch {
    pub(in crate::net) fn new(_: Dispatch) -> io::Result<Self> {
        Ok(Self)
    }

    pub(in crate::net) fn add(
        self: &Arc<Self>,
        _: LinkId,
        _: Arc<dyn Visit>,
        socket: Arc<Socket>,
    ) -> io::Result<Watched> {
        Ok(Watched(socket))
    }

    pub(in crate::net) async fn run(self: Arc<Self>) {}
}

/// A link whose task Tokio wakes to read.
#[derive(Debug)]
pub(in crate::net) struct Watched(Arc<Socket>);

impl Watched {
    /// Waits until the link's task must read.
    pub(in crate::net) async fn needs_task(&self) {
        // The next read reports the error.
        self.0.0.readable().await.ok();
    }
}
