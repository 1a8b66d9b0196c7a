//! Passes a node's `tracing` events to the application's logger.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use super::queue::Queue;

/// The methods of a logger, as bits of the mask from JavaScript.
const LEVELS: [(u32, &str); 6] = [
    (1, "trace"),
    (2, "debug"),
    (4, "info"),
    (8, "warn"),
    (16, "error"),
    (32, "fatal"),
];
const ERROR: u32 = 16;
const FATAL: u32 = 32;

/// Passes the events of one node to its queue. Formats nothing for a level that the logger lacks.
pub(crate) struct Log {
    queue: Arc<Queue>,
    levels: u32,
    spans: AtomicU64,
}

impl Log {
    pub(crate) fn dispatch(queue: Arc<Queue>, levels: u32) -> Dispatch {
        // Needed without levels, too. While a process has only one dispatcher, `tracing` asks the
        // first node that logs at a place whether it is enabled there. That may be a node without a
        // logger.
        Dispatch::new(Self {
            queue,
            levels,
            spans: AtomicU64::new(1),
        })
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.levels & bits(metadata.level()) != 0
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let hints = [
            (1, LevelFilter::TRACE),
            (2, LevelFilter::DEBUG),
            (4, LevelFilter::INFO),
            (8, LevelFilter::WARN),
            (ERROR | FATAL, LevelFilter::ERROR),
        ];
        let hint = hints.into_iter().find(|(bits, _)| self.levels & bits != 0);
        Some(hint.map_or(LevelFilter::OFF, |(_, filter)| filter))
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let bit = match bits(event.metadata().level()) {
            error_or_fatal if error_or_fatal & ERROR != 0 => {
                if line.fatal {
                    FATAL
                } else {
                    ERROR
                }
            }
            bit => bit,
        };
        let Some((_, level)) = LEVELS.iter().find(|(level, _)| *level == bit & self.levels) else {
            return;
        };
        self.queue.log(level, &line.text);
    }

    // Spans are not shown; their ids only have to differ.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed).max(1))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn bits(level: &Level) -> u32 {
    match *level {
        Level::TRACE => 1,
        Level::DEBUG => 2,
        Level::INFO => 4,
        Level::WARN => 8,
        Level::ERROR => ERROR | FATAL,
    }
}

/// An event as a line of text: the message, then every other field as `name=value`.
#[derive(Default)]
struct Line {
    text: String,
    fatal: bool,
}

impl Visit for Line {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "fatal" {
            self.fatal = value;
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let fields = std::mem::take(&mut self.text);
            let _ = write!(self.text, "{value:?}{fields}");
        } else {
            let _ = write!(self.text, " {}={value:?}", field.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(levels: u32) -> Option<String> {
        let queue = Arc::new(Queue::new(|| true));
        tracing::dispatcher::with_default(&Log::dispatch(queue.clone(), levels), || {
            tracing::trace!("a trace");
            tracing::debug!(peer = 7, "connected to {}", "somebody");
            tracing::warn!(address = %"127.0.0.1", "odd \"thing\"");
            tracing::error!("failed");
            tracing::error!(fatal = true, "broke");
        });
        queue.drain()
    }

    #[test]
    fn only_levels_that_the_logger_has_are_formatted() {
        let lines = [
            r#"{"level":"debug","message":"connected to somebody peer=7","t":"log"}"#,
            r#"{"level":"warn","message":"odd \"thing\" address=127.0.0.1","t":"log"}"#,
            r#"{"level":"error","message":"failed","t":"log"}"#,
            r#"{"level":"fatal","message":"broke","t":"log"}"#,
        ];
        let chunk = |lines: &[&str]| {
            let all = lines.join(",");
            Some(format!("[[0,0,1],[0,{}],[{all}]]", lines.len()))
        };
        assert_eq!(logged(2 + 8 + 16 + 32), chunk(&lines));
        assert_eq!(logged(32), chunk(&lines[3..]));
        assert_eq!(logged(16), chunk(&lines[2..3]));
        assert_eq!(logged(4), None);
        assert_eq!(logged(0), None);
    }
}
