//! How deeply events nest.

#[cfg(test)]
mod tests;

/// How deeply the arrays and objects of an event may nest, its own array included: far beyond any
/// use, and well below what would exhaust the stack of code that walks over a parsed value. What an
/// application sends is held to it, too (lib/depth.js).
pub(crate) const EVENT_DEPTH: usize = 1000;

/// Whether `text` nests more deeply than [`EVENT_DEPTH`].
pub(crate) fn is_deep(text: &[u8]) -> bool {
    // Few brackets cannot nest deeply; only texts with many are walked through.
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
        // Most are short, and of those only the last end within reach is looked for.
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
