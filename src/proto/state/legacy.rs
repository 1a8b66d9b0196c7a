//! Legacy nodes: their packets, pings and peer requests.
//!
//! The [`Translator`] knows the legacy wire; this file acts on the messages.

mod fields;
mod peer_requests;
mod ping;

use super::State;
use crate::proto::legacy::{Arrival, Sends, Translator, base36};
use crate::proto::{
    Class, Event, LinkId, Native, Packet, PeerAddress, Publish, Topic, membership, publish,
};
pub(super) use fields::Legacy;

impl State {
    /// Floods a packet of this node and returns its id.
    pub(super) fn flood_new(&mut self, topic: Topic, data: &[u8]) -> String {
        let prefix = format!("{}-{}", self.me.code(), base36(self.rng.u64(..)));
        let mut sends = Sends::new();
        let translator = &mut self.legacy.translator;
        let id = translator.flood(&prefix, topic, data, self.now, &mut sends);
        self.send_all(sends);
        id
    }

    /// Sends a native broadcast to the legacy peers.
    pub(super) fn translate(&mut self, run: &Publish, except: Option<LinkId>, class: Class) {
        let mut sends = Sends::new();
        let translator = &mut self.legacy.translator;
        translator.translate(run, except, class, &mut sends);
        self.send_all(sends);
    }

    fn relay_packet(&mut self, from: LinkId, packet: &Packet) {
        let mut sends = Sends::new();
        self.legacy.translator.relay(from, packet, &mut sends);
        self.send_all(sends);
    }

    fn send_all(&mut self, sends: Sends) {
        for (link, data) in sends {
            self.send(link, data);
        }
    }

    pub(super) fn on_packet(&mut self, link: LinkId, packet: Packet) {
        if self.ignores(link) {
            return;
        }
        let mut sends = Sends::new();
        let translator = &mut self.legacy.translator;
        let arrival = translator.on_packet(link, &packet, self.now, &mut sends);
        self.send_all(sends);
        match arrival {
            Arrival::Known => {}
            Arrival::Native(run) => {
                let native = Native::Publish(run);
                self.publish(publish::Input::Received { link, native });
            }
            Arrival::Legacy(payload) => self.emit(Event::Broadcast {
                payload,
                mark: None,
            }),
            Arrival::PeerRequest(who) => self.on_flooded_request(link, &packet, who),
            Arrival::Ping { from, target } => {
                if !self.answer_ping(&packet.id, from, target) {
                    self.relay_packet(link, &packet);
                }
            }
            Arrival::Malformed(what) => {
                self.counters.rejected += 1;
                self.blame_native(link, what);
            }
        }
    }

    fn on_flooded_request(&mut self, link: LinkId, packet: &Packet, who: PeerAddress) {
        if !self.membership.takes_request(link, self.now) {
            return self.blame_native(link, "too many peer requests");
        }
        if self.take_up(&who) {
            return;
        }
        // Other nodes have refused it so far, too. One of about four nodes that get the request
        // makes sure that another makes room.
        let own = Translator::is_made_by(packet, &who.id);
        let urgent = !own && self.asks_again(&who.id) && self.rng.u8(..4) == 0;
        self.membership(membership::Input::Walk {
            who,
            except: Some(link),
            urgent,
        });
        self.relay_packet(link, packet);
    }

    /// Lowers the score of a native link for packets that no native node makes or relays. A legacy
    /// node relays every packet with the right hash, so it is not to blame.
    fn blame_native(&mut self, link: LinkId, what: &str) {
        if self.is_native(link) {
            self.blame(link, -1, what);
        }
    }
}
