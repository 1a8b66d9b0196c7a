//! Figures of many runs, as text and as JSON.

use std::fmt::Write as _;

use super::layout::{Layout, Outcome, Start};
use super::scenario::{Figures, Setup};

/// One figure over many runs.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The name of the figure.
    pub figure: &'static str,
    /// The number of nodes.
    pub nodes: usize,
    /// How many peers each node sought.
    pub min_peers: usize,
    /// The median; infinite (`null` in JSON) if the event never happened.
    pub median: f64,
    /// The smallest value.
    pub least: f64,
    /// The largest value.
    pub greatest: f64,
    /// The number of runs.
    pub runs: usize,
    /// The goal: `<= x` or `>= x`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// Whether even the worst run reaches the goal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached: Option<bool>,
    /// The figures of modelled legacy flooding and of iroh-gossip's own simulator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others: Option<[&'static str; 2]>,
}

enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// Summarises runs of the same scenarios.
pub fn rows(setup: &Setup, runs: &[Figures]) -> Vec<Row> {
    let Setup {
        nodes, min_peers, ..
    } = *setup;
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let row = |(index, (figure, _)): (usize, &(&'static str, f64))| {
        let mut values: Vec<f64> = runs
            .iter()
            .filter_map(|run| run.get(index).map(|(_, value)| *value))
            .collect();
        values.sort_unstable_by(f64::total_cmp);
        let (least, greatest) = (values[0], values[values.len() - 1]);
        let (goal, reached) = match goal(figure, nodes) {
            None => (None, None),
            Some(Bound::AtMost(most)) => (Some(format!("<= {most}")), Some(greatest <= most)),
            Some(Bound::AtLeast(least_)) => (Some(format!(">= {least_}")), Some(least >= least_)),
        };
        Row {
            figure,
            nodes,
            min_peers,
            median: values[values.len() / 2],
            least,
            greatest,
            runs: values.len(),
            goal,
            reached,
            others: others(figure, nodes),
        }
    };
    first.iter().enumerate().map(row).collect()
}

/// The goals of the overlay, at 100, 1 000 and 10 000 nodes where they differ.
fn goal(figure: &str, nodes: usize) -> Option<Bound> {
    let by_size = |small, middle, large| match nodes {
        0..=100 => small,
        101..=1000 => middle,
        _ => large,
    };
    Some(match figure {
        "join: seconds until whole" => Bound::AtMost(by_size(3.0, 5.0, 10.0)),
        "join: left out" => Bound::AtMost(0.0),
        "overlay: components" => Bound::AtMost(1.0),
        "overlay: greatest degree" => Bound::AtMost(5.0),
        // A random graph of a hundred nodes with these degrees has about 0.04, smaller ones more.
        "overlay: clustering" if nodes >= 100 => Bound::AtMost(0.1),
        "overlay: within limits" => Bound::AtLeast(0.999),
        "steady: bytes/s per node" => Bound::AtMost(2000.0),
        "one sender: copies" => Bound::AtMost(1.1),
        "one sender: last hop" => Bound::AtMost(by_size(7.0, 11.0, 15.0)),
        "one sender: reached" | "random senders: reached" => Bound::AtLeast(1.0),
        "random senders: copies" => Bound::AtMost(1.4),
        "half die: reached in 3 s" => Bound::AtLeast(0.999),
        "80 % die: reached in 3 s" => Bound::AtLeast(0.99),
        "half die, repaired: reached in 2 s" | "80 % die, repaired: reached in 2 s" => {
            Bound::AtLeast(1.0)
        }
        "partition: seconds until healed" => Bound::AtMost(5.0),
        "members: lists equal at rest" | "letters: share that arrived" => Bound::AtLeast(1.0),
        "members: bytes of memory, greatest" => Bound::AtMost(4_194_304.0),
        "members: seconds until all know of a join" => Bound::AtMost(by_size(1.0, 2.0, 3.0)),
        "members: seconds until all know of a leave" => Bound::AtMost(1.0),
        "members: seconds until all know of a crash" => Bound::AtMost(8.0),
        "members: false leaves, one starved for 3 s" => Bound::AtMost(0.0),
        "members: seconds until equal after a split" => Bound::AtMost(5.0),
        "churn: nodes that got all, once and in order" => Bound::AtLeast(1.0),
        _ if figure.ends_with("doubled") => Bound::AtMost(0.0),
        _ if figure.contains("components") => Bound::AtMost(1.0),
        _ => return None,
    })
}

/// Figures for comparison: modelled legacy flooding, and iroh-gossip's own simulator.
fn others(figure: &str, nodes: usize) -> Option<[&'static str; 2]> {
    let by_size = |small, middle, large| match nodes {
        0..=100 => small,
        101..=1000 => middle,
        _ => large,
    };
    Some(match figure {
        "one sender: copies" => ["3.4-4.0", by_size("1.09", "1.08", "1.15")],
        "random senders: copies" => ["3.4-4.0", by_size("1.46", "1.55", "1.56")],
        "one sender: last hop" => [by_size("5-19", "14-171", "-"), by_size("7", "14", "19")],
        "half die: reached in 3 s" => [
            by_size("-", ".04-.95", "-"),
            by_size(".98", ".995", ".9998"),
        ],
        "80 % die: reached in 3 s" => [by_size("-", "~.01", "-"), by_size("0", ".02-.97", ".92")],
        "80 % die, repaired: reached in 2 s" => ["-", by_size("1.0", "1.0", ".9995")],
        "partition: seconds until healed" => ["3-13, never when full", "not detected"],
        "join: left out" => ["most", "-"],
        _ => return None,
    })
}

/// The rows as a text table.
pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<48} {:>6} {:>3} {:>9} {:>9} {:>9}  {:<10} {:<5} {:<22} {}\n",
        "figure",
        "nodes",
        "min",
        "median",
        "least",
        "greatest",
        "goal",
        "",
        "legacy",
        "iroh-gossip"
    );
    for row in rows {
        let goal = row.goal.as_deref().unwrap_or("");
        let reached = match row.reached {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        let [legacy, iroh] = row.others.unwrap_or(["", ""]);
        let Row {
            figure,
            nodes,
            min_peers,
            ..
        } = row;
        let [median, least, greatest] = [row.median, row.least, row.greatest].map(brief);
        let line = format!(
            "{figure:<48} {nodes:>6} {min_peers:>3} {median:>9} {least:>9} {greatest:>9}  {goal:<10} {reached:<5} {legacy:<22} {iroh}"
        );
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The header of the lines from [`layout`].
pub const LAYOUT_HEAD: &str = "layout       start   nodes runs  whole after, s (median, worst)  parts alone  \
    at rest: events removals  dials/node/min (most)  bytes/s";

/// The runs of one configuration; the worst value of each figure, unless the header says otherwise.
pub fn layout(layout: Layout, start: Start, nodes: usize, runs: &[Outcome]) -> String {
    let mut whole: Vec<f64> = runs.iter().map(|run| run.whole_after).collect();
    whole.sort_unstable_by(f64::total_cmp);
    let worst = |of: fn(&Outcome) -> f64| runs.iter().map(of).fold(0.0, f64::max);
    let median = whole.get(whole.len() / 2).copied().unwrap_or(0.0);
    let last = whole.last().copied().unwrap_or(0.0);
    let good = runs.iter().filter(|run| run.is_good()).count();
    format!(
        "{:<12} {:<7} {nodes:>5} {:>4}  {:>14} {:>15}  {:>5} {:>5} {:>16} {:>8}  {:>14.2} {:>6.1}  {:>7.0}  {}",
        layout.name(),
        start.name(),
        runs.len(),
        brief(median),
        brief(last),
        worst(|run| run.components as f64),
        worst(|run| run.alone as f64),
        worst(|run| run.events as f64),
        worst(|run| run.removals as f64),
        worst(|run| run.dials),
        worst(|run| run.most_dials),
        worst(|run| run.traffic),
        if good == runs.len() {
            "good".to_owned()
        } else {
            format!("{good} GOOD")
        },
    )
}

fn brief(value: f64) -> String {
    if value.is_infinite() {
        "never".to_owned()
    } else if value.fract() == 0.0 {
        format!("{value}")
    } else if value >= 100.0 {
        format!("{value:.0}")
    } else if (0.99..1.0).contains(&value) {
        format!("{value:.5}")
    } else {
        format!("{value:.3}")
    }
}
