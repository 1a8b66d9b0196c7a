//! JSON texts from the network, before JavaScript is to parse them.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::proto::json::is_deep;

/// Returns `text` if it is the JSON text of an array whose first element is a string.
///
/// Chunks for JavaScript are put together from such texts, so one that got past this could forge
/// whole items.
pub(crate) fn event(text: &[u8]) -> Option<&str> {
    name_start(text)?;
    array(text)
}

/// The usual event, with one argument and a name without escapes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Single<'a> {
    /// What the text begins with, up to the argument.
    pub(crate) lead: &'a str,
    /// Its name, as the JSON text of a string.
    pub(crate) name: &'a str,
    /// Its argument's text.
    pub(crate) argument: &'a str,
}

/// Takes the usual event apart. `None` for any other text, an event or not. It nests no more deeply than
/// what the core lets through.
pub(crate) fn single(text: &[u8]) -> Option<Single<'_>> {
    let start = name_start(text)?;
    let length = memchr::memchr2(b'"', b'\\', &text[start + 1..])?;
    let end = start + 1 + length;
    let name = &text[start + 1..end];
    if text[end] != b'"' || name.iter().any(|byte| *byte < b' ') {
        return None;
    }
    let comma = skip_blank(text, end + 1);
    if text.get(comma) != Some(&b',') {
        return None;
    }
    let lead = std::str::from_utf8(&text[..=comma]).ok()?;
    Some(Single {
        lead,
        name: &lead[start..=end],
        argument: last_argument(&text[comma + 1..])?,
    })
}

/// Returns the one value that is left of an event, without what closes the event; as deep as it may be.
pub(crate) fn last_argument(rest: &[u8]) -> Option<&str> {
    let argument = unproven_argument(rest)?;
    serde_json::from_str::<IgnoredAny>(argument).ok()?;
    Some(argument)
}

/// The same, but it may be anything.
pub(crate) fn unproven_argument(rest: &[u8]) -> Option<&str> {
    let end = rest.iter().rposition(|byte| !is_blank(*byte))?;
    let (argument, closing) = rest.split_at(end);
    if closing[0] != b']' {
        return None;
    }
    std::str::from_utf8(argument).ok()
}

/// Returns `text` if it is the JSON text of an array.
pub(crate) fn array(text: &[u8]) -> Option<&str> {
    if text.get(skip_blank(text, 0)) != Some(&b'[') || is_deep(text) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    Some(text)
}

/// The event's name: the first element of the array `text`, as far as one can be read.
pub(crate) fn event_name(text: &[u8]) -> Option<Cow<'_, str>> {
    let start = name_start(text)?;
    let rest = &text[start + 1..];
    let end = memchr::memchr2(b'"', b'\\', rest)?;
    if rest[end] == b'"' {
        return std::str::from_utf8(&rest[..end]).ok().map(Cow::Borrowed);
    }
    let mut names = serde_json::Deserializer::from_slice(&text[start..]).into_iter::<String>();
    names.next()?.ok().map(Cow::Owned)
}

/// Where the opening quote of the first element is.
fn name_start(text: &[u8]) -> Option<usize> {
    let bracket = skip_blank(text, 0);
    if text.get(bracket) != Some(&b'[') {
        return None;
    }
    let quote = skip_blank(text, bracket + 1);
    (text.get(quote) == Some(&b'"')).then_some(quote)
}

fn skip_blank(text: &[u8], from: usize) -> usize {
    let blank = text[from..].iter().take_while(|byte| is_blank(**byte));
    from + blank.count()
}

/// Whether JSON allows `byte` between its tokens.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::json::EVENT_DEPTH;

    #[test]
    fn well_formed_events_pass() {
        for text in [
            r#"["chat"]"#,
            r#"["chat","hi",1.5e300,{"a":[null,true]}]"#,
            " [ \"chat\" , 1 ] ",
            r#"["\ud83d\ude00",1]"#,
            r#"["\ud800"]"#,
            "[\"\u{1f600}\u{2028}\"]",
        ] {
            assert_eq!(event(text.as_bytes()), Some(text));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "[",
            "[]",
            "[1]",
            "{}",
            "\"chat\"",
            r#"{"t":"stopped"}"#,
            r#"["a"],{"t":"stopped"}"#,
            r#"["a"] x"#,
            r#"["a",]"#,
            r#"["a",01]"#,
            r#"["a",NaN]"#,
            r#"["a""#,
            "[\"a\n\"]",
            "\u{feff}[\"a\"]",
            "[\"a\"]\x0c",
        ] {
            assert_eq!(event(text.as_bytes()), None, "{text}");
        }
        assert_eq!(event(b"[\"\xff\"]"), None);
    }

    #[test]
    fn the_usual_event_is_taken_apart() {
        for (text, name, argument) in [
            (r#"["chat","hi"]"#, r#""chat""#, r#""hi""#),
            (r#"["",{"a":[1,"]"]}]"#, "\"\"", r#"{"a":[1,"]"]}"#),
            (" [ \"chat\" , 1.5e3 ] ", r#""chat""#, " 1.5e3 "),
            (r#"["a",null]"#, r#""a""#, "null"),
        ] {
            let single = single(text.as_bytes()).unwrap();
            assert_eq!((single.name, single.argument), (name, argument), "{text}");
            assert!(text.starts_with(single.lead) && single.lead.ends_with(','));
            let rest = &text[single.lead.len()..];
            assert_eq!(last_argument(rest.as_bytes()), Some(argument), "{text}");
        }
        for text in [
            r#"["chat"]"#,
            r#"["chat",1,2]"#,
            r#"["ch\u0061t",1]"#,
            r#"["chat",1],[2]"#,
            r#"["chat",1]]"#,
            r#"["chat",1"#,
            r#"["chat",01]"#,
            r#"["chat",1 2]"#,
            r#"["chat",]"#,
            "[\"ch\nat\",1]",
            "[\"chat\",1]\x0c",
            "[1,2]",
        ] {
            assert_eq!(single(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested =
            |depth: usize| format!("[\"a\",{}{}", "[".repeat(depth), "]".repeat(depth + 1));
        assert!(event(nested(EVENT_DEPTH - 1).as_bytes()).is_some());
        assert!(event(nested(EVENT_DEPTH).as_bytes()).is_none());
    }

    #[test]
    fn names_are_read_raw_or_unescaped() {
        assert_eq!(event_name(br#"["chat",1]"#), Some(Cow::Borrowed("chat")));
        assert_eq!(event_name(br#" [ "" ]"#), Some(Cow::Borrowed("")));
        assert_eq!(
            event_name(br#"["a\"\u0062\n",1]"#),
            Some(Cow::Borrowed("a\"b\n"))
        );
        assert_eq!(event_name(br#"["\ud800"]"#), None);
        assert_eq!(event_name(b"[1]"), None);
        assert_eq!(event_name(b"[\"open"), None);
    }

    /// Two seconds, or `FUZZ_SECONDS`: whatever passes is one item of a chunk, and no more.
    #[test]
    fn what_passes_is_one_item_of_a_chunk() {
        let seconds = std::env::var("FUZZ_SECONDS").ok();
        let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(2);
        let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
        let alphabet = b"[]{}\",:\\u0019eE+-. tnfalsr\n\xff\xc3\xa9";
        let seed = std::env::var("FUZZ_FROM").ok();
        let seed = seed.and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut passed = 0;
        while std::time::Instant::now() < end {
            let mut text = br#"["a",{"b":[1,"\n"]},"\ud800"]"#.to_vec();
            for _ in 0..rng.usize(..6) {
                let at = rng.usize(..text.len());
                let byte = *rng.choice(alphabet).unwrap();
                match rng.u8(..3) {
                    0 => text[at] = byte,
                    1 => text.insert(at, byte),
                    _ => drop(text.drain(at..(at + 3).min(text.len() - 1))),
                }
            }
            let Some(good) = event(&text) else { continue };
            passed += 1;
            let chunk = format!("[0,{good},7]");
            let items: Vec<&serde_json::value::RawValue> = serde_json::from_str(&chunk).unwrap();
            assert_eq!(items[1].get(), good.trim(), "seed {seed}");
            assert_eq!(items.len(), 3, "seed {seed}");
        }
        assert!(passed > 100, "{passed} of seed {seed} passed");
    }
}
