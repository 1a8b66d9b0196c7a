//! Unicast: what the application says to one peer.

use crate::proto::codec::{line, native};
use crate::proto::state::{State, flood};
use crate::proto::{Class, LinkId, Outgoing, Payload};

impl State {
    pub(in crate::proto::state) fn direct(&mut self, link: LinkId, payload: &Payload) {
        let Some(native) = self.peer(link).map(|peer| peer.native) else {
            return;
        };
        self.counters.direct_sent += u64::from(payload.count());
        if native {
            return self.send(link, native::direct(payload, Class::Own));
        }
        for item in payload.items() {
            let head = flood::direct_line(&item);
            self.send(
                link,
                Outgoing {
                    class: Class::Own,
                    head,
                    body: bytes::Bytes::new(),
                },
            );
        }
    }

    pub(in crate::proto::state) fn line(&mut self, link: LinkId, text: &bytes::Bytes) {
        let Some(peer) = self.peer(link) else {
            return;
        };
        let data = if peer.native {
            native::application(text, Class::Own)
        } else {
            Outgoing {
                class: Class::Own,
                head: line::application(text),
                body: bytes::Bytes::new(),
            }
        };
        self.send(link, data);
    }
}
