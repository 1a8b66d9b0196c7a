//! `smokesignal-sim`: plays scenarios on a simulated network and prints what it measured.

use std::io::Write as _;
use std::time::Duration;

use smokesignal::sim::scenario::{Figures, Scenario, Setup, settle};
use smokesignal::sim::{Network, report};

const USAGE: &str = "\
usage: sim [options]
  --nodes N[,N...]      how many nodes (default 100)
  --scenario S[,S...]   join, steady, one-sender, random-senders, half-die, most-die, partition,
                        churn, or all (the default)
  --seeds K             how many runs, with seeds 1 to K (default 3)
  --seed S              the first seed (default 1)
  --min N, --max N      minPeerNo and maxPeerNo (default 3 and 5)
  --json                print JSON
";

struct Args {
    nodes: Vec<usize>,
    scenarios: Vec<Scenario>,
    first_seed: u64,
    runs: u64,
    limits: Option<(usize, usize)>,
    json: bool,
}

fn main() -> std::process::ExitCode {
    let args = match parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(problem) => {
            drop(write!(std::io::stderr(), "{problem}\n\n{USAGE}"));
            return std::process::ExitCode::FAILURE;
        }
    };
    let mut rows = Vec::new();
    for nodes in args.nodes.iter().copied() {
        let runs: Vec<Figures> = (0..args.runs)
            .map(|run| run_all(&args, nodes, args.first_seed + run))
            .collect();
        rows.extend(report::rows(nodes, &runs));
    }
    let text = if args.json {
        serde_json::to_string_pretty(&rows).unwrap_or_default() + "\n"
    } else {
        report::table(&rows)
    };
    drop(std::io::stdout().write_all(text.as_bytes()));
    std::process::ExitCode::SUCCESS
}

/// Every scenario in turn: on the same network where it is none the worse for it.
fn run_all(args: &Args, nodes: usize, seed: u64) -> Figures {
    let mut setup = Setup::new(nodes, seed);
    if let Some((min, max)) = args.limits {
        (setup.min_peers, setup.max_peers) = (min, max);
    }
    let mut figures = Figures::new();
    let mut settled: Option<Network> = None;
    for scenario in args.scenarios.iter().copied() {
        let began = std::time::Instant::now();
        let mut network = match settled.take() {
            Some(network) if scenario != Scenario::Join => network,
            _ => setup.build(),
        };
        if scenario != Scenario::Join && network.now().0 == 0 {
            settle(&mut network);
        }
        figures.extend(scenario.play(&mut network));
        let (virtually, handled) = (network.now(), network.handled());
        let wears = matches!(
            scenario,
            Scenario::HalfDie | Scenario::MostDie | Scenario::Partition | Scenario::Churn
        );
        if !wears {
            if scenario == Scenario::Join {
                network.run_for(Duration::from_secs(30));
                network.take_happenings();
            }
            settled = Some(network);
        }
        let took = began.elapsed().as_secs_f64();
        drop(writeln!(
            std::io::stderr(),
            "{nodes} nodes, seed {seed}, {}: {took:.1} s (at {:.1} s of its own time, {handled} inputs)",
            scenario.name(),
            virtually.0 as f64 / 1e6,
        ));
    }
    figures
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut parsed = Args {
        nodes: vec![100],
        scenarios: Scenario::ALL.to_vec(),
        first_seed: 1,
        runs: 3,
        limits: None,
        json: false,
    };
    while let Some(option) = args.next() {
        let mut value = || args.next().ok_or(format!("{option} needs a value"));
        fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
            text.parse().map_err(|_| format!("{text} is no number"))
        }
        match option.as_str() {
            "--nodes" => {
                parsed.nodes = value()?.split(',').map(number).collect::<Result<_, _>>()?;
            }
            "--scenario" => match value()?.as_str() {
                "all" => parsed.scenarios = Scenario::ALL.to_vec(),
                names => {
                    let read = |name| Scenario::parse(name).ok_or(format!("no scenario {name}"));
                    parsed.scenarios = names.split(',').map(read).collect::<Result<_, _>>()?;
                }
            },
            "--seeds" => parsed.runs = number(&value()?)?,
            "--seed" => parsed.first_seed = number(&value()?)?,
            "--min" => {
                let max = parsed.limits.map_or(5, |(_, max)| max);
                parsed.limits = Some((number(&value()?)?, max));
            }
            "--max" => {
                let min = parsed.limits.map_or(3, |(min, _)| min);
                parsed.limits = Some((min, number(&value()?)?));
            }
            "--json" => parsed.json = true,
            _ => return Err(format!("no option {option}")),
        }
    }
    Ok(parsed)
}
