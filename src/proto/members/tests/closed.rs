//! Records of a closed network: each node signs its own.

use super::*;
use crate::proto::Identity;

fn identity(number: usize) -> Identity {
    Identity::from_private([number as u8 + 1; 32]).unwrap()
}

fn key_origin(number: usize, epoch: u64) -> Origin {
    let id = identity(number).id().clone();
    Origin { id, epoch }
}

fn fresh(number: usize, epoch: u64, now: Moment) -> Members {
    let config = Config {
        identity: Some(identity(number)),
        ..config()
    };
    Members::new(config, key_origin(number, epoch), now)
}

/// The nodes 0, 1 and 2 in a row, all members.
fn row() -> (Room, LinkId) {
    let mut room = Room::new(3);
    for number in 0..3 {
        room.nodes[number] = fresh(number, 1, room.now);
    }
    let link = room.connect(0, 1);
    room.connect(1, 2);
    room.run(Duration::from_secs(5));
    let lists = room.lists();
    assert_eq!(lists[0].len(), 3);
    assert!(lists.iter().all(|list| *list == lists[0]));
    (room, link)
}

fn record(number: usize, version: u64, is_final: bool) -> Record {
    let address = Address::default();
    let origin = key_origin(number, 1);
    Record::new(
        origin,
        version,
        is_final,
        address,
        String::new(),
        Vec::new(),
    )
}

/// Sends a record from node 0 over the link to node 1.
fn hand(room: &mut Room, link: LinkId, raw: &[u8]) {
    let frame = Frame::Records(vec![raw.to_vec().into()]);
    room.input(1, Input::Frame(link, frame));
    room.run(Duration::from_secs(1));
}

#[test]
fn a_member_lies_about_nobody_but_itself() {
    let (mut room, link) = row();
    let before = room.nodes[2].version;
    // Not signed, signed by the liar, with the liar's key, and with other fields.
    let unsigned = record(2, 1000, true);
    let by_another = record(2, 1000, true).signed(&identity(0));
    let mut changed = record(2, 1000, true).signed(&identity(2)).raw().to_vec();
    changed[40] ^= 1;
    let mut flipped = record(2, 1000, true).signed(&identity(2)).raw().to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let lies: [&[u8]; 4] = [unsigned.raw(), by_another.raw(), &changed, &flipped];
    for (number, lie) in lies.into_iter().enumerate() {
        hand(&mut room, link, lie);
        assert_eq!(room.nodes[1].counters().forged, number as u64 + 1);
        assert!(room.nodes[1].has(identity(2).id()), "{number}");
    }
    assert_eq!(room.forgers, [link; 4]);
    assert_eq!(room.nodes[2].version, before, "it heard nothing of that");
    // Its record of itself is accepted.
    hand(
        &mut room,
        link,
        record(0, 1000, true).signed(&identity(0)).raw(),
    );
    assert!(!room.nodes[1].has(identity(0).id()));
}

#[test]
fn an_old_record_that_is_sent_again_changes_nothing() {
    let (mut room, link) = row();
    let slot = room.nodes[1].table.find(identity(2).id().code()).unwrap();
    let raw = |room: &Room| {
        let node = room.nodes[1].table.node(slot).unwrap();
        node.record().unwrap().raw.to_vec()
    };
    let old = raw(&room);
    room.input(2, Input::Body("{}".to_owned()));
    room.run(Duration::from_secs(5));
    let new = raw(&room);
    assert_ne!(old, new);
    hand(&mut room, link, &old);
    assert_eq!(raw(&room), new);
    // A node that restarts exceeds the version of its last life.
    room.nodes[2] = fresh(2, 2, room.now);
    room.links.truncate(1);
    room.connect(1, 2);
    room.run(Duration::from_secs(5));
    hand(&mut room, link, &new);
    assert!(room.nodes[1].has(identity(2).id()));
    assert_eq!(room.nodes[1].counters().forged, 0);
}

#[test]
fn the_records_that_one_peer_brings_are_bounded() {
    let (mut room, link) = row();
    let most = 2 * u64::from(config().max_members as u32);
    let lie = record(2, 1000, true).signed(&identity(0));
    for _ in 0..most + 50 {
        let frame = Frame::Records(vec![lie.raw().clone()]);
        room.input(1, Input::Frame(link, frame));
    }
    let counters = room.nodes[1].counters();
    assert_eq!(counters.forged, most, "it began with all its means");
    assert_eq!(counters.refused, 50);
}

#[test]
fn open_networks_refuse_signed_records() {
    let mut members = Members::new(
        config(),
        Origin {
            id: id(0),
            epoch: 1,
        },
        Moment(0),
    );
    let link = LinkId(0);
    let mut out = Vec::new();
    let (id, stub) = (id(1), None);
    members.handle(Moment(0), Input::LinkUp { link, id, stub }, &mut out);
    let signed = record(2, 1, false).signed(&identity(2));
    members.handle(Moment(0), Input::Frame(link, records(&signed)), &mut out);
    assert!(out.contains(&Output::Malformed(link)));
    assert_eq!(members.records(), 1);
}
