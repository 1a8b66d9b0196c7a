//! The inputs and outputs of the state of broadcasts.

use std::time::Duration;

use super::peer::Peer;
use crate::proto::{Class, Event, Level, LinkId, Mark, Native, Outgoing, Payload, Publish, Timer};

/// Something that concerns broadcasts.
#[derive(Debug)]
pub(in crate::proto) enum Input {
    /// There is one more peer.
    PeerUp(Box<Peer>),
    /// A peer is gone.
    PeerDown(LinkId),
    /// The queue of a link crossed a threshold.
    Pressure { link: LinkId, level: Level },
    /// This node's application broadcasts.
    Broadcast(Payload),
    /// A peer sent a frame about broadcasts.
    Received { link: LinkId, native: Native },
    /// The application has consumed these messages.
    Consumed(Vec<Mark>),
    /// These links take bytes, if slowly.
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
    /// See to it that [`Timer::Window`] fires soon.
    WatchWindows,
    /// How much of this node's broadcasts is outstanding, and how much may be.
    Window { outstanding: usize, size: usize },
    /// A peer misbehaved.
    Blame { link: LinkId, what: &'static str },
    /// Tell the application.
    Event(Event),
}
