//! A link's socket. Tokio waits only until it is writable; [`Watch`](super::watch::Watch) waits
//! until it is readable.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{Interest, unix::AsyncFd};
use tokio::net::TcpStream;

/// The socket of a link.
#[derive(Debug)]
pub(in crate::net) struct Socket(AsyncFd<std::net::TcpStream>);

/// Thread: JavaScript's or the network's.
impl Socket {
    pub(in crate::net) fn new(stream: TcpStream) -> io::Result<Self> {
        wait_for(stream.into_std()?, Interest::WRITABLE).map(Self)
    }

    pub(in crate::net) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.get_ref().read(buffer)
    }

    /// Reads into the free capacity of `buffer`, without growing it.
    pub(in crate::net) fn try_read_into(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        Ok(rustix::io::read(&self.0, spare_capacity(buffer))?)
    }

    pub(in crate::net) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_ref().write(bytes)
    }

    pub(in crate::net) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.get_ref().write_vectored(slices)
    }

    pub(in crate::net) async fn writable(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.writable().await?;
            // Other threads do not tell Tokio when they fill the socket, so its readiness may be
            // stale.
            let mut socket = [PollFd::new(&self.0, PollFlags::OUT)];
            if poll(&mut socket, Some(&Timespec::default()))? > 0 {
                return Ok(());
            }
            ready.clear_ready();
        }
    }

    pub(in crate::net) fn shut_down(&self) -> io::Result<()> {
        self.0.get_ref().shutdown(Shutdown::Write)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Registers `owner`'s descriptor with Tokio.
#[expect(
    deprecated,
    reason = "its successor is unsafe, for types that do not own the descriptor they name"
)]
pub(super) fn wait_for<T: AsFd + AsRawFd>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(owner, interest)
}
