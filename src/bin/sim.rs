//! `smokesignal-sim`: plays scenarios on a simulated network and prints what it measured.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use smokesignal::sim::layout::{Layout, Start};
use smokesignal::sim::scenario::{Figures, Scenario, Setup, come_to_rest, settle};
use smokesignal::sim::{self, Network, report};

const USAGE: &str = "\
usage: sim [options]
  --nodes N[,N...]      how many nodes (default 100)
  --scenario S[,S...]   join, steady, one-sender, random-senders, half-die, most-die, partition,
                        churn, slow-receivers, members, or all (the default)
  --layout L[,L...]     play configurations instead: every-host, seeds-3, balancer, leaves-1-30,
                        undiallable, dead-seed, late-seed, or all
  --seeds K[,K...]      how many runs, with seeds 1 to K, for each number of nodes (default 3)
  --seed S              the first seed (default 1)
  --min N[,N...]        minPeerNo (default 3); each number of nodes with each of them
  --max N               maxPeerNo (default 5)
  --without-members     nodes keep no records of all others
  --warm                records are handed out once the overlay has formed, instead of flooded
                        while it forms: for thousands of nodes
  --jobs J              how many runs at a time (default: the number of CPUs)
  --json                print JSON
  --svg FILE            draw how one broadcast spreads, and the overlay if it is small
";

struct Args {
    nodes: Vec<usize>,
    scenarios: Vec<Scenario>,
    layouts: Vec<Layout>,
    first_seed: u64,
    runs: Vec<u64>,
    jobs: usize,
    svg: Option<String>,
    min_peers: Vec<usize>,
    max_peers: usize,
    members: bool,
    warm: bool,
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
    if !args.layouts.is_empty() {
        return play_layouts(&args);
    }
    let mut rows = Vec::new();
    for (index, nodes) in args.nodes.iter().copied().enumerate() {
        let runs = args.runs.get(index).or(args.runs.last()).copied();
        for min_peers in args.min_peers.iter().copied() {
            let setup = args.setup(nodes, min_peers);
            let runs = run_many(&args, &setup, runs.unwrap_or(1));
            rows.extend(report::rows(&setup, &runs));
        }
    }
    if let Some(file) = &args.svg {
        let nodes = args.nodes.first().copied().unwrap_or(100);
        let setup = args.setup(nodes, args.min_peers.first().copied().unwrap_or(3));
        if let Err(error) = std::fs::write(file, sim::draw(&mut setup.build())) {
            drop(writeln!(std::io::stderr(), "cannot write {file}: {error}"));
            return std::process::ExitCode::FAILURE;
        }
    }
    let command: Vec<String> = std::env::args().skip(1).collect();
    let text = if args.json {
        let report = serde_json::json!({
            "command": format!("npm run sim -- {}", command.join(" ")),
            "figures": rows,
        });
        serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
    } else {
        report::table(&rows)
    };
    drop(std::io::stdout().write_all(text.as_bytes()));
    std::process::ExitCode::SUCCESS
}

impl Args {
    fn setup(&self, nodes: usize, min_peers: usize) -> Setup {
        Setup {
            nodes,
            min_peers,
            max_peers: self.max_peers,
            members: self.members,
            warm: self.warm,
            seed: self.first_seed,
        }
    }
}

/// Plays every layout with all numbers of nodes; whether all came to what they must.
fn play_layouts(args: &Args) -> std::process::ExitCode {
    let mut out = std::io::stdout();
    drop(writeln!(out, "{}", report::LAYOUT_HEAD));
    let mut is_good = true;
    for (index, nodes) in args.nodes.iter().copied().enumerate() {
        let runs = args.runs.get(index).or(args.runs.last()).copied();
        for layout in args.layouts.iter().copied() {
            for start in Start::ALL {
                let seed = args.first_seed;
                let play = |run| layout.play(nodes, start, seed + run, args.members);
                let outcomes = in_parallel(args.jobs, runs.unwrap_or(1), play);
                is_good &= outcomes.iter().all(|outcome| outcome.is_good());
                let line = report::layout(layout, start, nodes, &outcomes);
                drop(writeln!(out, "{line}"));
            }
        }
    }
    match is_good {
        true => std::process::ExitCode::SUCCESS,
        false => std::process::ExitCode::FAILURE,
    }
}

/// Several runs, some of them at the same time.
fn run_many(args: &Args, setup: &Setup, runs: u64) -> Vec<Figures> {
    in_parallel(args.jobs, runs, |run| {
        let seed = setup.seed + run;
        let setup = Setup {
            seed,
            ..setup.clone()
        };
        run_all(&args.scenarios, &setup)
    })
}

/// What `play` gives for each of `runs`, in order.
fn in_parallel<T: Send>(jobs: usize, runs: u64, play: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= runs {
                return done;
            }
            done.push((run, play(run)));
        }
    };
    let mut done: Vec<(u64, T)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let results = workers.into_iter().filter_map(|worker| worker.join().ok());
        results.flatten().collect()
    });
    done.sort_by_key(|(run, _)| *run);
    done.into_iter().map(|(_, one)| one).collect()
}

/// Every scenario in turn: on the same network where it is none the worse for it.
fn run_all(scenarios: &[Scenario], setup: &Setup) -> Figures {
    let mut figures = Figures::new();
    let mut settled: Option<Network> = None;
    for scenario in scenarios.iter().copied() {
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
            Scenario::HalfDie | Scenario::MostDie | Scenario::Churn
        );
        if !wears {
            if matches!(scenario, Scenario::Join | Scenario::Partition) {
                come_to_rest(&mut network);
            }
            settled = Some(network);
        }
        let took = began.elapsed().as_secs_f64();
        drop(writeln!(
            std::io::stderr(),
            "{} nodes, minPeerNo {}, seed {}, {}: {took:.1} s (at {:.1} s of its own time, {handled} inputs)",
            setup.nodes,
            setup.min_peers,
            setup.seed,
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
        layouts: Vec::new(),
        first_seed: 1,
        runs: vec![3],
        jobs: std::thread::available_parallelism().map_or(1, usize::from),
        svg: None,
        min_peers: vec![Setup::new(0, 0).min_peers],
        max_peers: Setup::new(0, 0).max_peers,
        members: true,
        warm: false,
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
            "--layout" => match value()?.as_str() {
                "all" => parsed.layouts = Layout::ALL.to_vec(),
                names => {
                    let read = |name| Layout::parse(name).ok_or(format!("no layout {name}"));
                    parsed.layouts = names.split(',').map(read).collect::<Result<_, _>>()?;
                }
            },
            "--seeds" => {
                parsed.runs = value()?.split(',').map(number).collect::<Result<_, _>>()?;
            }
            "--jobs" => parsed.jobs = number(&value()?)?,
            "--svg" => parsed.svg = Some(value()?),
            "--seed" => parsed.first_seed = number(&value()?)?,
            "--min" => {
                parsed.min_peers = value()?.split(',').map(number).collect::<Result<_, _>>()?;
            }
            "--max" => parsed.max_peers = number(&value()?)?,
            "--without-members" => parsed.members = false,
            "--warm" => parsed.warm = true,
            "--json" => parsed.json = true,
            _ => return Err(format!("no option {option}")),
        }
    }
    Ok(parsed)
}
