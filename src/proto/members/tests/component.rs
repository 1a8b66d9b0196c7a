//! The component of the network is the same, followed or found anew.

use super::*;

const NODES: usize = 24;

/// The peers of each node. Nodes from `NODES` on keep no record.
struct World {
    rng: fastrand::Rng,
    peers: Vec<Vec<usize>>,
    table: Table,
    version: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            rng: fastrand::Rng::with_seed(seed),
            peers: vec![Vec::new(); NODES],
            table: Table::default(),
            version: 0,
        };
        world.tell(0, false);
        world
    }

    /// Adds or drops one side of a link.
    fn change(&mut self) {
        let (from, to) = (self.rng.usize(..NODES), self.rng.usize(..NODES));
        let peers = &mut self.peers[from];
        match peers.iter().position(|peer| *peer == to) {
            Some(index) => drop(peers.remove(index)),
            None if peers.len() < 6 => peers.push(to),
            None => drop(peers.remove(0)),
        }
        self.tell(from, false);
    }

    fn tell(&mut self, node: usize, is_final: bool) {
        self.version += 1;
        let neighbour = |peer: &usize| Neighbour {
            id: id(*peer),
            stub: (*peer >= NODES).then(Address::default),
        };
        let (epoch, address) = (1, Address::default());
        let id = id(node);
        let neighbours = match is_final {
            true => Vec::new(),
            false => self.peers[node].iter().map(neighbour).collect(),
        };
        let record = Record::new(
            Origin { id, epoch },
            self.version,
            is_final,
            address,
            String::new(),
            neighbours,
        );
        let view = View::parse(record.raw()).unwrap();
        let hash = view.stamp().2;
        self.table.put(record.raw(), &view, hash).unwrap();
    }

    fn check(&mut self) {
        let me = self.table.find(id(0).code()).unwrap();
        let followed = self.table.reach(me);
        self.table.reach = None;
        let found = self.table.reach(me);
        assert_eq!(followed.buckets, found.buckets);
        let slots = 0..self.table.len() as Slot;
        for slot in slots {
            assert_eq!(followed.standing(slot), found.standing(slot), "{slot}");
        }
    }
}

#[test]
fn a_component_that_is_followed_equals_one_that_is_found() {
    for seed in 0..30 {
        let mut world = World::new(seed);
        for step in 0..600 {
            match world.rng.u32(..40) {
                0 => {
                    let node = world.rng.usize(1..NODES);
                    world.tell(node, true);
                }
                1 => {
                    let node = world.rng.usize(1..NODES);
                    if let Some(slot) = world.table.find(id(node).code()) {
                        world.table.remove(slot);
                    }
                    world.table.reuse_freed();
                }
                2 if seed % 3 == 0 => {
                    let stub = NODES + world.rng.usize(..4);
                    let node = world.rng.usize(..NODES);
                    world.peers[node].push(stub);
                    world.tell(node, false);
                }
                _ => world.change(),
            }
            // Rarely, so that many changes are followed.
            if step % 9 == 0 {
                world.check();
            }
        }
    }
}
