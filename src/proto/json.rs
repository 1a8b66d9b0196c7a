//! JSON texts, read without building values.
//!
//! The texts are hostile: nesting is bounded, time and memory are linear in the input, and strings
//! may hold lone surrogates, which no Rust string can hold.

mod depth;
mod scan;
mod string;

#[cfg(test)]
pub(crate) use depth::EVENT_DEPTH;
pub(crate) use depth::{has_deep, is_deep};
pub use scan::MAX_DEPTH;
pub(crate) use scan::{Scanner, fields};
pub(crate) use string::{decode, quote, unquote, write_canonical};
