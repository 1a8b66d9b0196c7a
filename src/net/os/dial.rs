//! Outgoing connections.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

use super::error::error_code;
use crate::proto::{Config, Target};

/// The error code of a dial to an address outside [`Config::allow`].
pub(in crate::net) const NOT_ALLOWED: &str = "NOT_ALLOWED";

/// Connects to `target`, a name or an address. Returns an error code on failure.
///
/// Thread: the network's. Locks held: none.
pub(in crate::net) async fn connect(
    target: &Target,
    config: &Config,
) -> Result<(TcpStream, SocketAddr), &'static str> {
    let addresses = match target.host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, target.port)],
        Err(_) => {
            let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
            let mut found: Vec<_> = found.map_err(|_| "ENOTFOUND")?.collect();
            // Shuffling spreads dials of a name over its addresses.
            fastrand::shuffle(&mut found);
            found
        }
    };
    let is_allowed = |address: &SocketAddr| config.allows(address.ip());
    let allowed: Vec<_> = addresses.into_iter().filter(is_allowed).collect();
    if allowed.is_empty() {
        return Err(NOT_ALLOWED);
    }
    let result = TcpStream::connect(&allowed[..]).await;
    let stream = result.map_err(|error| error_code(&error))?;
    let remote = stream.peer_addr().map_err(|error| error_code(&error))?;
    Ok((stream, remote))
}
