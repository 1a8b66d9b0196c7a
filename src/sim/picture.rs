//! A picture of one broadcast and of the overlay that it crossed.

use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::time::Duration;

use super::scenario::{coverage, settle};
use super::{Graph, Network};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const MARGIN: f64 = 48.0;
/// Larger graphs are unreadable when drawn.
const MAX_DRAWN: usize = 250;

/// Starts the nodes, sends one broadcast once they have settled, and draws its spread as an SVG. A
/// small overlay is drawn below it.
pub fn draw(network: &mut Network) -> String {
    settle(network);
    let times = coverage(network);
    let graph = Graph::of(network);
    let drawn = graph.hosts.len() <= MAX_DRAWN;
    let height = if drawn { HEIGHT + WIDTH } else { HEIGHT };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    draw_coverage(&mut svg, &times, graph.hosts.len() - 1);
    if drawn {
        draw_graph(&mut svg, &graph);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_coverage(svg: &mut String, times: &[Duration], nodes: usize) {
    let last = times.last().map_or(0.1, Duration::as_secs_f64).max(0.001);
    let x = |seconds: f64| MARGIN + seconds / last * (WIDTH - 2.0 * MARGIN);
    let y = |share: f64| HEIGHT - MARGIN - share * (HEIGHT - 2.0 * MARGIN);
    let mut path = format!("M{:.1} {:.1}", x(0.0), y(0.0));
    for (count, time) in (1..).zip(times) {
        let share = f64::from(count) / nodes as f64;
        // Writing to a string does not fail.
        let _ = write!(path, "H{:.1}V{:.1}", x(time.as_secs_f64()), y(share));
    }
    let _ = writeln!(
        svg,
        "<text x=\"{MARGIN}\" y=\"24\">one broadcast to {nodes} nodes: share reached over time</text>\n\
         <path d=\"M{MARGIN} {MARGIN}V{bottom}H{right}\" fill=\"none\" stroke=\"#999\"/>\n\
         <text x=\"8\" y=\"{top}\">100 %</text>\n\
         <text x=\"{right}\" y=\"{below}\" text-anchor=\"end\">{milliseconds:.0} ms</text>\n\
         <path d=\"{path}\" fill=\"none\" stroke=\"#06c\" stroke-width=\"2\"/>",
        bottom = HEIGHT - MARGIN,
        right = WIDTH - MARGIN,
        top = MARGIN + 4.0,
        below = HEIGHT - MARGIN + 18.0,
        milliseconds = last * 1000.0,
    );
}

fn draw_graph(svg: &mut String, graph: &Graph) {
    let count = graph.hosts.len() as f64;
    let radius = WIDTH / 2.0 - MARGIN;
    let place = |index: usize| {
        let angle = TAU * index as f64 / count;
        let (sin, cos) = angle.sin_cos();
        (
            WIDTH / 2.0 + radius * cos,
            HEIGHT + WIDTH / 2.0 + radius * sin,
        )
    };
    let mut lines = String::new();
    let mut dots = String::new();
    for (index, peers) in graph.neighbours.iter().enumerate() {
        let (x, y) = place(index);
        for peer in peers.iter().filter(|peer| **peer > index) {
            let (to_x, to_y) = place(*peer);
            let _ = write!(lines, "M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}");
        }
        let _ = writeln!(dots, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>");
    }
    let _ = writeln!(
        svg,
        "<path d=\"{lines}\" fill=\"none\" stroke=\"#06c\" stroke-opacity=\"0.3\"/>\n{dots}"
    );
}
