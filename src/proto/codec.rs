//! Bytes to [`Message`](super::Message)s and back: total and bounded, for both wires.
