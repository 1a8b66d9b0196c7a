//! A connection's socket, for whoever has a reason to believe that it is ready.
//!
//! On Linux the runtime waits only until it can be written to. That it can be read is for the node's
//! [`Watch`](crate::net::wait::epoll::Watch) to see, for either of two threads; elsewhere the runtime waits for both.

use std::io::{self, IoSlice};
use std::net::Shutdown;

use tokio::net::TcpStream;

#[cfg(target_os = "linux")]
use {
    rustix::event::{PollFd, PollFlags, Timespec, poll},
    std::io::{Read as _, Write as _},
    std::os::fd::{AsFd, AsRawFd, BorrowedFd},
    tokio::io::{Interest, unix::AsyncFd},
};

#[derive(Debug)]
pub(in crate::net) struct Socket {
    #[cfg(target_os = "linux")]
    stream: AsyncFd<std::net::TcpStream>,
    #[cfg(not(target_os = "linux"))]
    stream: TcpStream,
}

#[cfg(target_os = "linux")]
impl Socket {
    pub(in crate::net) fn new(stream: TcpStream) -> io::Result<Self> {
        let stream = wait_for(stream.into_std()?, Interest::WRITABLE)?;
        Ok(Self { stream })
    }

    pub(in crate::net) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.get_ref().read(buffer)
    }

    pub(in crate::net) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.get_ref().write(bytes)
    }

    pub(in crate::net) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.get_ref().write_vectored(slices)
    }

    pub(in crate::net) async fn writable(&self) -> io::Result<()> {
        loop {
            let mut ready = self.stream.writable().await?;
            // The runtime was told once, maybe long ago; and threads that write do not tell it when
            // that is over.
            let mut socket = [PollFd::new(&self.stream, PollFlags::OUT)];
            if poll(&mut socket, Some(&Timespec::default()))? > 0 {
                return Ok(());
            }
            ready.clear_ready();
        }
    }

    pub(in crate::net) fn shut_down(&self) -> io::Result<()> {
        self.stream.get_ref().shutdown(Shutdown::Write)
    }
}

/// Has the runtime wait for `owner`'s descriptor.
#[cfg(target_os = "linux")]
#[expect(
    deprecated,
    reason = "its successor is unsafe for the sake of types that do not own the descriptor they name"
)]
pub(in crate::net) fn wait_for<T: AsFd + AsRawFd>(
    owner: T,
    interest: Interest,
) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(owner, interest)
}

#[cfg(target_os = "linux")]
impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(not(target_os = "linux"))]
impl Socket {
    pub(in crate::net) fn new(stream: TcpStream) -> io::Result<Self> {
        Ok(Self { stream })
    }

    pub(in crate::net) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.try_read(buffer)
    }

    pub(in crate::net) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.try_write(bytes)
    }

    pub(in crate::net) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.try_write_vectored(slices)
    }

    pub(in crate::net) async fn readable(&self) -> io::Result<()> {
        self.stream.readable().await
    }

    pub(in crate::net) async fn writable(&self) -> io::Result<()> {
        self.stream.writable().await
    }

    pub(in crate::net) fn shut_down(&self) -> io::Result<()> {
        socket2::SockRef::from(&self.stream).shutdown(Shutdown::Write)
    }
}
