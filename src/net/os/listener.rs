//! The server socket, and options of sockets.
//!
//! Thread: the network's. Locks held: at most the core's; none of these calls waits.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

/// How many connections the system queues until we accept them.
const BACKLOG: i32 = 1024;

/// Listens on `port` of `host`, or of every address of this machine: IPv6 and IPv4, if available.
pub(in crate::net) fn listen(host: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    if let Some(host) = host {
        return bind(SocketAddr::new(host, port), true);
    }
    match bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), false) {
        // This machine has no IPv6.
        Err(error) if is_unsupported(&error) => {
            bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), false)
        }
        result => result,
    }
}

/// Advice for a node that cannot listen, if the cause is known.
pub(in crate::net) fn advice(code: &str) -> &'static str {
    match code {
        "EADDRINUSE" => {
            ": another program listens there; choose another port, or 0 for any free one"
        }
        "EADDRNOTAVAIL" => ": this machine has no such address; see the option \"listen\"",
        "EACCES" => ": the system allows it to others only; choose a port above 1023",
        _ => "",
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, Unsupported};
    // EAFNOSUPPORT has no kind of its own.
    matches!(error.kind(), AddrNotAvailable | Unsupported) || error.raw_os_error() == Some(97)
}

fn bind(address: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // Lets a program restart at once. On Windows, two programs could then share a port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Sets the options of every connection: no delay, and keepalive (10 s, then 3 s × 3;
/// unacknowledged data 15 s), which finds dead connections even where the protocol is silent.
pub(in crate::net) fn tune(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(10));
    #[cfg(not(target_os = "openbsd"))]
    let keepalive = keepalive.with_interval(Duration::from_secs(3));
    #[cfg(unix)]
    let keepalive = keepalive.with_retries(3);
    let outcome = stream
        .set_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&keepalive));
    #[cfg(target_os = "linux")]
    let outcome = outcome.and_then(|()| socket.set_tcp_user_timeout(Some(Duration::from_secs(15))));
    if let Err(error) = outcome {
        // The connection works without the options. This fails if the other side has already closed
        // it.
        tracing::debug!(%error, "could not set socket options");
    }
}

/// Resets a connection. A legacy node would take a FIN for a peer that wants no more peers.
pub(in crate::net) fn reset(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "could not reset a connection");
    }
}

/// `address`, with an IPv4 address in its own form even if it came through an IPv6 socket.
pub(in crate::net) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
