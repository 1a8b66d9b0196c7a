use super::*;

#[test]
fn the_packet_id_of_a_native_broadcast_leads_back_to_it() {
    let id = NodeId::parse("abc").unwrap();
    for (epoch, seq) in [(0, 1), (u64::MAX, u64::MAX - 1), (36, 35)] {
        let origin = Origin {
            id: id.clone(),
            epoch,
        };
        let packet = format!(
            "{}-0123456789abcdef0123456789abcdef",
            packet_prefix(&origin, seq)
        );
        assert_eq!(native_born(&packet), Some((origin, seq)));
    }
}

#[test]
fn a_legacy_packet_id_is_not_taken_for_a_native_one() {
    for id in ["abc-n1x2y-md5", "abc-k3j2h1-md5", "abc", "", "-n-"] {
        assert_eq!(native_born(id), None, "{id}");
    }
    let zeroes = format!("abc-n{}-md5", "0".repeat(26));
    assert_eq!(native_born(&zeroes), None, "sequence numbers begin at 1");
}
