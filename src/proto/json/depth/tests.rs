use super::*;

fn nested(depth: usize) -> String {
    format!("[\"a\",{}{}]", "[".repeat(depth - 1), "]".repeat(depth - 1))
}

#[test]
fn only_deep_nesting_counts_as_deep() {
    assert!(!is_deep(nested(EVENT_DEPTH).as_bytes()));
    assert!(is_deep(nested(EVENT_DEPTH + 1).as_bytes()));
    let wide = format!("[\"a\"{}]", ",[]".repeat(3 * EVENT_DEPTH));
    assert!(!is_deep(wide.as_bytes()));
    let quoted = format!("[\"a\\\"{}\"]", "[".repeat(3 * EVENT_DEPTH));
    assert!(!is_deep(quoted.as_bytes()));
}

#[test]
fn a_deep_text_is_found_at_any_position() {
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
