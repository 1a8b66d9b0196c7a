//! Message counts of the queue to JavaScript.

/// Totals since the queue was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counters {
    /// Messages handed to JavaScript.
    pub(crate) crossed: u64,
    /// Messages without a listener.
    pub(crate) unheard: u64,
    /// Messages whose text was not the JSON of an event.
    pub(crate) unreadable: u64,
    /// Messages dropped because the queue was full.
    pub(crate) lost: u64,
    /// Log lines dropped because too many waited.
    pub(crate) log_lines_lost: u64,
    /// Bytes of waiting messages.
    pub(crate) waiting_bytes: u64,
}

/// The counters that a rewind restores, so that a message drained twice counts once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    crossed: u64,
    unheard: u64,
    unreadable: u64,
}

impl Tally {
    pub(crate) fn of(counters: &Counters) -> Self {
        Self {
            crossed: counters.crossed,
            unheard: counters.unheard,
            unreadable: counters.unreadable,
        }
    }

    pub(crate) fn restore(self, counters: &mut Counters) {
        (counters.crossed, counters.unheard) = (self.crossed, self.unheard);
        counters.unreadable = self.unreadable;
    }
}
