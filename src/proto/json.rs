//! JSON exactly as JavaScript writes it.
