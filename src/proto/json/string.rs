//! The inside of JSON strings.
//!
//! JavaScript strings are UTF-16 and may be ill-formed: `"\ud800"` is valid JSON. Decoded texts are
//! therefore WTF-8: UTF-8 in which a lone surrogate has its three bytes, too.

use std::borrow::Cow;

use memchr::memchr;

/// The meaning of an escape.
pub(super) enum Unit {
    Char(char),
    /// A surrogate without its other half.
    Lone(u16),
}

/// The length of an escape without its backslash; `None` if it is invalid.
pub(super) fn escape_len(after_backslash: &[u8]) -> Option<usize> {
    match after_backslash.first()? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(1),
        b'u' => code_unit(after_backslash).map(|_| 5),
        _ => None,
    }
}

/// Reads an escape. Returns its meaning and the rest. A surrogate pair counts as one escape.
fn unescape(after_backslash: &str) -> Option<(Unit, &str)> {
    let bytes = after_backslash.as_bytes();
    let simple = match bytes.first()? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let unit = code_unit(bytes)?;
            if let Some(low) = low_surrogate(unit, &bytes[5..])
                && let Some(Ok(pair)) = char::decode_utf16([unit, low]).next()
            {
                return Some((Unit::Char(pair), after_backslash.get(11..)?));
            }
            let unit = char::from_u32(unit.into()).map_or(Unit::Lone(unit), Unit::Char);
            return Some((unit, after_backslash.get(5..)?));
        }
        other => char::from(*other),
    };
    Some((Unit::Char(simple), after_backslash.get(1..)?))
}

fn code_unit(after_backslash: &[u8]) -> Option<u16> {
    let digits = after_backslash.strip_prefix(b"u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| {
        Some(unit << 4 | char::from(*digit).to_digit(16)? as u16)
    })
}

fn low_surrogate(high: u16, after: &[u8]) -> Option<u16> {
    let low = code_unit(after.strip_prefix(b"\\")?)?;
    ((0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low)).then_some(low)
}

/// Splits the inside of a valid string into plain text and the escapes between.
struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = (&'a str, Option<Unit>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let Some(backslash) = memchr(b'\\', self.0.as_bytes()) else {
            return Some((std::mem::take(&mut self.0), None));
        };
        let (plain, escape) = self.0.split_at(backslash);
        let (unit, rest) = unescape(&escape[1..])?;
        self.0 = rest;
        Some((plain, Some(unit)))
    }
}

/// The inside of a valid string, decoded to WTF-8.
pub(crate) fn decode(inside: &str) -> Cow<'_, [u8]> {
    if memchr(b'\\', inside.as_bytes()).is_none() {
        return Cow::Borrowed(inside.as_bytes());
    }
    let mut out = Vec::with_capacity(inside.len());
    for (plain, unit) in Pieces(inside) {
        out.extend_from_slice(plain.as_bytes());
        match unit {
            Some(Unit::Char(c)) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Some(Unit::Lone(unit)) => {
                let [high, low] = unit.to_be_bytes();
                // 1110xxxx 10xxxxxx 10xxxxxx: three bytes of UTF-8, as if it allowed surrogates.
                out.extend([
                    0xe0 | high >> 4,
                    0x80 | (high & 0x0f) << 2 | low >> 6,
                    0x80 | low & 0x3f,
                ]);
            }
            None => {}
        }
    }
    Cow::Owned(out)
}

/// The text of a valid JSON value, if it is a string without a lone surrogate.
pub(crate) fn unquote(value: &str) -> Option<Cow<'_, str>> {
    let inside = value.strip_prefix('"')?.strip_suffix('"')?;
    match decode(inside) {
        Cow::Borrowed(_) => Some(Cow::Borrowed(inside)),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

/// Appends the inside of a valid string, with quotes, escaped as `JSON.stringify` does.
pub(crate) fn write_canonical(out: &mut Vec<u8>, inside: &str) {
    out.push(b'"');
    for (plain, unit) in Pieces(inside) {
        out.extend_from_slice(plain.as_bytes());
        match unit {
            Some(Unit::Char(c)) => write_char(out, c),
            Some(Unit::Lone(unit)) => write_unit(out, unit),
            None => {}
        }
    }
    out.push(b'"');
}

/// Appends `text` as a JSON string.
pub(crate) fn quote(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if text
        .bytes()
        .any(|byte| matches!(byte, b'"' | b'\\' | ..0x20))
    {
        text.chars().for_each(|c| write_char(out, c));
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
}

fn write_char(out: &mut Vec<u8>, c: char) {
    let short = match c {
        '"' | '\\' => c as u8,
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\0'..='\x1f' => return write_unit(out, c as u16),
        _ => return out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    };
    out.extend([b'\\', short]);
}

fn write_unit(out: &mut Vec<u8>, unit: u16) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(b"0123456789abcdef"[usize::from(unit >> shift & 0xf)]);
    }
}
