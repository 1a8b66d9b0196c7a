//! How deeply events nest.

/// How deeply the arrays and objects of an event may nest, its own array included: far beyond any use,
/// and well below what would exhaust the stack of code that walks over a parsed value. What an
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

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("[\"a\",{}{}]", "[".repeat(depth - 1), "]".repeat(depth - 1))
    }

    #[test]
    fn only_what_nests_deeply_is_deep() {
        assert!(!is_deep(nested(EVENT_DEPTH).as_bytes()));
        assert!(is_deep(nested(EVENT_DEPTH + 1).as_bytes()));
        let wide = format!("[\"a\"{}]", ",[]".repeat(3 * EVENT_DEPTH));
        assert!(!is_deep(wide.as_bytes()));
        let quoted = format!("[\"a\\\"{}\"]", "[".repeat(3 * EVENT_DEPTH));
        assert!(!is_deep(quoted.as_bytes()));
    }

    #[test]
    fn a_deep_one_is_found_wherever_it_is() {
        let (deep, most) = (nested(EVENT_DEPTH + 1), nested(EVENT_DEPTH));
        for before in 0..60 {
            let others = vec![format!("[\"{}\"]", "x".repeat(29)); before].join("\n");
            let around = |text: &str| [&others, text, &others, &most].join("\n");
            assert!(has_deep(around(&deep).as_bytes()), "after {before}");
            assert!(!has_deep(around(&most).as_bytes()), "after {before}");
        }
        assert!(has_deep(deep.as_bytes()));
        assert!(!has_deep(b""));
    }
}
