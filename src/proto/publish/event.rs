//! The inputs and outputs of the state of broadcasts.

use std::time::Duration;

use super::peer::Peer;
use crate::proto::{Class, Event, Level, LinkId, Mark, Native, Outgoing, Payload, Publish, Timer};

/// An input of the state of broadcasts.
#[derive(Debug)]
pub(in crate::proto) enum Input {
    /// A peer was added.
    PeerUp(Box<Peer>),
    /// A peer was removed.
    PeerDown(LinkId),
    /// The queue of a link crossed a threshold.
    Pressure { link: LinkId, level: Level },
    /// This node's application broadcasts.
    Broadcast(Payload),
    /// A peer sent a frame about broadcasts.
    Received { link: LinkId, native: Native },
    /// The application has consumed these messages.
    Consumed(Vec<Mark>),
    /// These links are sending, if slowly.
    Moving(Vec<LinkId>),
    /// A timer is due.
    TimerFired(Timer),
}

/// An action for the node to carry out, in order.
#[derive(Debug)]
pub(in crate::proto) enum Output {
    /// Queue bytes on a link.
    Send { link: LinkId, data: Outgoing },
    /// Write a run as packets to every legacy peer but `except`.
    Translate {
        run: Publish,
        except: Option<LinkId>,
        class: Class,
    },
    /// (Re)start a timer.
    SetTimer { timer: Timer, after: Duration },
    /// Make sure that [`Timer::Window`] fires soon.
    WatchWindows,
    /// How much of this node's broadcasts is outstanding, and the limit on it.
    Window { outstanding: usize, size: usize },
    /// A peer misbehaved.
    Blame { link: LinkId, what: &'static str },
    /// Tell the application.
    Event(Event),
}
