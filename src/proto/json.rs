//! JSON texts, read without building values.
//!
//! The texts are hostile: nesting is bounded, time and memory are linear in the input, and strings
//! may hold lone surrogates, which no Rust string can hold.

mod depth;
mod scan;
mod text;

#[cfg(test)]
pub(crate) use depth::EVENT_DEPTH;
pub(crate) use depth::{has_deep, is_deep};
pub(crate) use scan::{Scanner, fields};
pub(crate) use text::{decode, quote, unquote, write_canonical};

/// How deep arrays and objects may nest in a line. Far below the depth at which `JSON.stringify` runs out of
/// stack, which would end a legacy node, and far above what people send.
pub const MAX_DEPTH: usize = 512;
