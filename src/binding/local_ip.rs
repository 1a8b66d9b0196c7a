//! Finds this machine's address in a subnet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use ipnet::IpNet;
use napi::bindgen_prelude::Either;
use napi_derive::napi;

/// The first of this machine's addresses in `subnet` (CIDR, or an address and a netmask). A list of
/// its addresses if none matches; `null` if `subnet` is malformed.
#[napi]
#[allow(
    unreachable_pub,
    reason = "the addon exports it; Rust code does not see it"
)]
pub fn local_ip(subnet: String) -> Option<Either<String, Vec<String>>> {
    let net = parse_subnet(&subnet)?;
    let seen = local_ip_address::list_afinet_netifas().unwrap_or_default();
    let found = seen
        .iter()
        .map(|(_, address)| *address)
        .find(|address| net.contains(address));
    Some(match found {
        Some(address) => Either::A(address.to_string()),
        None => Either::B(
            seen.into_iter()
                .map(|(_, address)| address.to_string())
                .collect(),
        ),
    })
}

/// The address of the interface that leads to `host`, an IP literal; `null` if none does. Sends
/// nothing.
#[napi]
#[allow(
    unreachable_pub,
    dead_code,
    reason = "the addon exports it; Rust code does not see it"
)]
pub fn route_to(host: String) -> Option<String> {
    let host: IpAddr = host.parse().ok()?;
    let any: IpAddr = match host {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    // Any port will do.
    socket.connect((host, 9)).ok()?;
    let own = socket.local_addr().ok()?.ip();
    let is_link_local = matches!(own, IpAddr::V6(own) if own.is_unicast_link_local());
    (!own.is_unspecified() && !is_link_local).then(|| own.to_string())
}

fn parse_subnet(text: &str) -> Option<IpNet> {
    if let Ok(net) = text.parse::<IpNet>() {
        return Some(net);
    }
    let Some((address, mask)) = text.split_once('/') else {
        return text.parse::<IpAddr>().ok().map(IpNet::from);
    };
    IpNet::with_netmask(address.parse().ok()?, mask.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Option<String> {
        parse_subnet(text).map(|net| net.trunc().to_string())
    }

    #[test]
    fn subnets_are_read_in_either_notation() {
        assert_eq!(
            canonical("192.168.2.1/255.255.255.0").as_deref(),
            Some("192.168.2.0/24")
        );
        assert_eq!(
            canonical("192.168.2.0/24").as_deref(),
            Some("192.168.2.0/24")
        );
        assert_eq!(canonical("127.0.0.1").as_deref(), Some("127.0.0.1/32"));
        assert_eq!(canonical("fe80::1/64").as_deref(), Some("fe80::/64"));
    }

    #[test]
    fn malformed_subnets_are_refused() {
        for text in [
            "",
            "here",
            "192.168.2.1/",
            "192.168.2.1/33",
            "192.168.2.1/255.0.255.0",
            "::1/x",
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

    #[test]
    fn the_loopback_address_is_found() {
        assert!(matches!(
            local_ip("127.0.0.0/8".into()),
            Some(Either::A(address)) if address == "127.0.0.1"
        ));
        assert!(matches!(
            local_ip("203.0.113.0/24".into()),
            Some(Either::B(seen)) if seen.contains(&"127.0.0.1".to_owned())
        ));
        assert!(local_ip("nonsense".into()).is_none());
    }
}
