//! The listeners of each channel of a node.

use std::collections::{HashMap, HashSet};

use crate::proto::members::{ALL_HANDLES, FIRST_HANDLE};

use super::validation;

/// The channel of [`net::Node::broadcast`](crate::net::Node::broadcast). Every other channel is a
/// peer's link or a member.
pub(crate) const BROADCAST: u32 = 0;

/// The channel whose filter applies to the messages of all members.
const MEMBERS: u32 = ALL_HANDLES;

/// The channel whose filter applies to `channel`.
fn of(channel: u32) -> u32 {
    if channel >= FIRST_HANDLE {
        MEMBERS
    } else {
        channel
    }
}

/// The channel's stream has a reader.
const WANTS_CHUNKS: u32 = 1;
/// Lines with a path of the application's own have a listener.
const WANTS_LINES: u32 = 2;

/// The messages that one channel has listeners for.
#[derive(Debug)]
pub(crate) struct Filter {
    names: Option<HashSet<String>>,
    flags: u32,
}

impl Filter {
    /// `names`: the events with a listener; `None` = all.
    pub(crate) fn new(names: Option<Vec<String>>, flags: u32) -> Self {
        Self {
            names: names.map(|names| names.into_iter().collect()),
            flags,
        }
    }
}

/// The filters of all channels. A channel without a filter gets everything, because JavaScript does
/// not know it yet.
#[derive(Debug, Default)]
pub(crate) struct Filters(HashMap<u32, Filter>);

impl Filters {
    pub(crate) fn set(&mut self, channel: u32, filter: Filter) {
        self.0.insert(channel, filter);
    }

    /// Adds a name to a channel's filter.
    pub(crate) fn listen(&mut self, channel: u32, name: String) {
        if let Some(names) = self.names(channel) {
            names.insert(name);
        }
    }

    /// Removes names from a channel's filter.
    pub(crate) fn unlisten(&mut self, channel: u32, gone: &[String]) {
        if let Some(names) = self.names(channel) {
            for name in gone {
                names.remove(name);
            }
        }
    }

    fn names(&mut self, channel: u32) -> Option<&mut HashSet<String>> {
        self.0.get_mut(&of(channel))?.names.as_mut()
    }

    pub(crate) fn forget(&mut self, channel: u32) {
        self.0.remove(&channel);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn wants_event(&self, channel: u32, json: &[u8]) -> bool {
        let Some(Filter {
            names: Some(names), ..
        }) = self.0.get(&of(channel))
        else {
            return true;
        };
        // A name that is unreadable here (a lone surrogate) may still be one in JavaScript.
        !names.is_empty() && validation::event_name(json).is_none_or(|name| names.contains(&*name))
    }

    /// Whether any event has a listener.
    pub(crate) fn wants_some_event(&self, channel: u32) -> bool {
        let filter = self.0.get(&of(channel));
        filter
            .and_then(|filter| filter.names.as_ref())
            .is_none_or(|names| !names.is_empty())
    }

    pub(crate) fn wants_chunks(&self, channel: u32) -> bool {
        self.has(channel, WANTS_CHUNKS)
    }

    pub(crate) fn wants_lines(&self, channel: u32) -> bool {
        self.has(channel, WANTS_LINES)
    }

    fn has(&self, channel: u32, flag: u32) -> bool {
        self.0
            .get(&of(channel))
            .is_none_or(|filter| filter.flags & flag != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_channel_is_heard_in_full() {
        let filters = Filters::default();
        assert!(filters.wants_event(7, br#"["chat"]"#));
        assert!(filters.wants_chunks(7));
        assert!(filters.wants_lines(7));
    }

    #[test]
    fn one_filter_holds_for_all_members() {
        let mut filters = Filters::default();
        filters.set(MEMBERS, Filter::new(Some(vec!["chat".into()]), 0));
        assert!(filters.wants_event(FIRST_HANDLE, br#"["chat"]"#));
        assert!(!filters.wants_event(FIRST_HANDLE + 7, br#"["other"]"#));
        assert!(filters.wants_event(7, br#"["other"]"#));
    }

    #[test]
    fn a_filter_passes_its_names() {
        let mut filters = Filters::default();
        filters.set(
            7,
            Filter::new(Some(vec!["chat".into(), "\u{e9}".into()]), WANTS_CHUNKS),
        );
        assert!(filters.wants_event(7, br#"["chat",1]"#));
        assert!(filters.wants_event(7, br#"["\u00e9"]"#));
        assert!(!filters.wants_event(7, br#"["chatter"]"#));
        assert!(filters.wants_chunks(7));
        assert!(!filters.wants_lines(7));
        filters.set(7, Filter::new(None, WANTS_LINES));
        assert!(filters.wants_event(7, br#"["chatter"]"#));
        assert!(!filters.wants_chunks(7));
        assert!(filters.wants_lines(7));
        filters.set(7, Filter::new(Some(vec!["chat".into()]), 0));
        filters.listen(7, "more".into());
        filters.unlisten(7, &["chat".into(), "never".into()]);
        assert!(filters.wants_event(7, br#"["more"]"#));
        assert!(!filters.wants_event(7, br#"["chat"]"#));
        filters.listen(8, "unknown".into());
        assert!(filters.wants_event(8, br#"["anything"]"#));
        filters.forget(7);
        assert!(filters.wants_chunks(7));
    }
}
