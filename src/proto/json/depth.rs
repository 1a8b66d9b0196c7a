//! The nesting limit of events.

#[cfg(test)]
mod tests;

/// How deeply the arrays and objects of an event may nest, its own array included. This is far
/// above any use, and well below the depth that exhausts the stack of code that walks over a parsed
/// value. lib/depth.js holds the application's own events to it, too.
pub(crate) const EVENT_DEPTH: usize = 1000;

/// Whether `text` nests more deeply than [`EVENT_DEPTH`].
pub(crate) fn is_deep(text: &[u8]) -> bool {
    // Deep nesting needs many brackets, so only long texts are scanned.
    if text.len() <= EVENT_DEPTH
        || memchr::memchr2_iter(b'[', b'{', text)
            .nth(EVENT_DEPTH)
            .is_none()
    {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > EVENT_DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Whether one of `texts`, joined by `\n`, [is deep](is_deep).
pub(crate) fn has_deep(texts: &[u8]) -> bool {
    let mut rest = texts;
    while rest.len() > EVENT_DEPTH {
        // Most texts are short, so this finds the last end within reach.
        let near = memchr::memrchr(b'\n', &rest[..=EVENT_DEPTH]);
        let end = near.or_else(|| memchr::memchr(b'\n', rest));
        let end = end.unwrap_or(rest.len());
        if near.is_none() && is_deep(&rest[..end]) {
            return true;
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    false
}
