//! The overlay as a graph.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

use super::{HostId, Network};

/// The graph of peers at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Graph {
    /// The hosts with a running node.
    pub hosts: Vec<HostId>,
    /// Per host, the indices of its peers in `hosts`, sorted.
    pub neighbours: Vec<Vec<usize>>,
}

/// The distance from one node to all others.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Reach {
    /// The longest time.
    pub time: Duration,
    /// The most links.
    pub hops: u32,
}

impl Graph {
    /// The current overlay. A link counts if both ends consider each other peers.
    pub fn of(network: &Network) -> Self {
        let hosts = network.living();
        let index: BTreeMap<HostId, usize> = hosts.iter().copied().zip(0..).collect();
        let claims: Vec<Vec<usize>> = hosts
            .iter()
            .map(|host| {
                let links = network.peers(*host).into_iter();
                let mut peers: Vec<usize> = links
                    .filter_map(|link| index.get(&link.to).copied())
                    .collect();
                peers.sort_unstable();
                peers.dedup();
                peers
            })
            .collect();
        let both = |(from, peers): (usize, &Vec<usize>)| {
            let mutual = peers.iter().copied();
            mutual
                .filter(|to| claims[*to].binary_search(&from).is_ok())
                .collect()
        };
        let neighbours = claims
            .iter()
            .enumerate()
            .map(|(i, p)| both((i, p)))
            .collect();
        Self { hosts, neighbours }
    }

    /// The number of peers of each node.
    pub fn degrees(&self) -> Vec<usize> {
        self.neighbours.iter().map(Vec::len).collect()
    }

    /// The sizes of the connected components, largest first.
    pub fn components(&self) -> Vec<usize> {
        let mut seen = vec![false; self.hosts.len()];
        let mut sizes = Vec::new();
        for start in 0..self.hosts.len() {
            if seen[start] {
                continue;
            }
            let reached = self.distances(start);
            let mut size = 0;
            for (index, distance) in reached.iter().enumerate() {
                if distance.is_some() {
                    seen[index] = true;
                    size += 1;
                }
            }
            sizes.push(size);
        }
        sizes.sort_unstable_by_key(|size| std::cmp::Reverse(*size));
        sizes
    }

    /// Whether every node reaches every other.
    pub fn is_connected(&self) -> bool {
        let reached = match self.hosts.len() {
            0 => return true,
            _ => self.distances(0),
        };
        reached.iter().all(Option::is_some)
    }

    /// The graph without the links for which `is_cut` holds.
    pub fn without(mut self, is_cut: impl Fn(HostId, HostId) -> bool) -> Self {
        for (index, neighbours) in self.neighbours.iter_mut().enumerate() {
            let host = self.hosts[index];
            neighbours.retain(|neighbour| !is_cut(host, self.hosts[*neighbour]));
        }
        self
    }

    /// The hosts reachable from `start`, including itself.
    pub fn reached_from(&self, start: HostId) -> BTreeSet<HostId> {
        let start = self.hosts.binary_search(&start);
        let distances = start.map(|start| self.distances(start)).unwrap_or_default();
        let reached = self.hosts.iter().zip(distances);
        reached
            .filter_map(|(host, distance)| distance.map(|_| *host))
            .collect()
    }

    fn distances(&self, start: usize) -> Vec<Option<u32>> {
        let mut distances = vec![None; self.hosts.len()];
        distances[start] = Some(0);
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            let next = distances[node].map(|distance: u32| distance + 1);
            for &neighbour in &self.neighbours[node] {
                if distances[neighbour].is_none() {
                    distances[neighbour] = next;
                    queue.push_back(neighbour);
                }
            }
        }
        distances
    }

    /// The number of links to the farthest node from `start`.
    pub fn eccentricity(&self, start: HostId) -> u32 {
        let start = self.hosts.binary_search(&start);
        let distances = start.map(|start| self.distances(start)).unwrap_or_default();
        distances.into_iter().flatten().max().unwrap_or(0)
    }

    /// The fastest paths from `start`: the time to the slowest node, and the hops of the longest
    /// path.
    pub fn fastest(&self, start: HostId, latency: impl Fn(HostId, HostId) -> Duration) -> Reach {
        let mut reach = Reach::default();
        let mut seen = vec![false; self.hosts.len()];
        let start = self.hosts.binary_search(&start).ok();
        let mut next: BinaryHeap<_> = start
            .map(|s| Reverse((Duration::ZERO, 0, s)))
            .into_iter()
            .collect();
        while let Some(Reverse((time, hops, node))) = next.pop() {
            if std::mem::replace(&mut seen[node], true) {
                continue;
            }
            reach = Reach {
                time: reach.time.max(time),
                hops: reach.hops.max(hops),
            };
            for &to in self.neighbours[node].iter().filter(|to| !seen[**to]) {
                let link = latency(self.hosts[node], self.hosts[to]);
                next.push(Reverse((time + link, hops + 1, to)));
            }
        }
        reach
    }

    /// The mean length of the shortest paths, from up to `samples` nodes to all.
    pub fn mean_path(&self, samples: usize) -> f64 {
        let step = (self.hosts.len() / samples.max(1)).max(1);
        let (mut sum, mut count) = (0_u64, 0_u64);
        for start in (0..self.hosts.len()).step_by(step) {
            for distance in self.distances(start).into_iter().flatten() {
                sum += u64::from(distance);
                count += u64::from(distance > 0);
            }
        }
        sum as f64 / count.max(1) as f64
    }

    /// The share of a node's pairs of peers that are peers of each other, on average.
    pub fn clustering(&self) -> f64 {
        let of = |peers: &Vec<usize>| {
            let pairs = peers.len() * peers.len().saturating_sub(1) / 2;
            if pairs == 0 {
                return 0.0;
            }
            let mut linked = 0;
            for (nth, a) in peers.iter().enumerate() {
                let others = &peers[nth + 1..];
                linked += others
                    .iter()
                    .filter(|b| self.neighbours[*a].binary_search(b).is_ok())
                    .count();
            }
            linked as f64 / pairs as f64
        };
        self.neighbours.iter().map(of).sum::<f64>() / self.hosts.len().max(1) as f64
    }
}
