//! Base64 as `Buffer` decodes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The result of `Buffer.from(text, 'base64')`: it accepts both alphabets and any padding, skips
/// other characters, and ends at the first `=`.
pub(super) fn decode(text: &str) -> Vec<u8> {
    STANDARD
        .decode(text)
        .unwrap_or_else(|_| decode_leniently(text))
}

fn decode_leniently(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut bits = 0_u32;
    let mut count = 0;
    for sextet in text
        .bytes()
        .take_while(|byte| *byte != b'=')
        .filter_map(sextet)
    {
        bits = bits << 6 | u32::from(sextet);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// A chunk as a JSON string of base64, in canonical form.
pub(super) fn quote(chunk: &[u8]) -> Vec<u8> {
    let mut out = vec![0; chunk.len().div_ceil(3) * 4 + 2];
    // Never fails: the buffer has the size of padded base64.
    let last = out.len() - 1;
    let written = STANDARD.encode_slice(chunk, &mut out[1..last]).unwrap_or(0);
    debug_assert_eq!(written, last - 1);
    out[0] = b'"';
    out[last] = b'"';
    out
}
