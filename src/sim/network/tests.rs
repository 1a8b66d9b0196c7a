use super::*;
use crate::proto::Target;

#[test]
fn wires_are_reused_whichever_end_closes_first() {
    for deaths in [
        [Death::Kill, Death::Vanish],
        [Death::Vanish, Death::Kill],
        [Death::Vanish, Death::Vanish],
        [Death::Stop, Death::Vanish],
    ] {
        let mut network = Network::new(Options::default());
        let seed = network.add(Config::default());
        let other = network.add(Config {
            seeds: vec![Target::from(seed.address())],
            ..Config::default()
        });
        for host in [seed, other] {
            network.start(host);
        }
        network.run_for(Duration::from_secs(5));
        assert_eq!(network.peers(seed).len(), 1);
        for (host, death) in [seed, other].into_iter().zip(deaths) {
            network.end(host, death);
        }
        assert_eq!(network.free.len(), network.wires.len(), "{deaths:?}");
    }
}
