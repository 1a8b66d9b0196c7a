//! Validates JSON texts from the network before JavaScript parses them.

use std::borrow::Cow;

use serde::Deserializer as _;
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::proto::json::is_deep;

/// A validated event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Event<'a> {
    /// The JSON text of the whole array.
    pub(crate) text: &'a str,
    /// The JSON text of the name.
    pub(crate) name: &'a str,
    /// The JSON texts of the arguments, with commas between them.
    pub(crate) arguments: &'a str,
    /// The number of arguments.
    pub(crate) arity: usize,
}

/// Validates an event: the JSON text of an array whose first element is a string.
///
/// Chunks for JavaScript are built from such texts, so a text that slipped through could forge
/// whole items.
pub(crate) fn event(text: &[u8]) -> Option<Event<'_>> {
    name_start(text)?;
    if is_deep(text) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let mut json = serde_json::Deserializer::from_str(text);
    let (name, arity) = json.deserialize_seq(Elements).ok()?;
    json.end().ok()?;
    let name = name.get();
    let name_end = name.as_ptr().addr() - text.as_ptr().addr() + name.len();
    let (arguments, _) = text[name_end..].rsplit_once(']')?;
    let arguments = arguments.trim_start_matches(BLANK);
    let arguments = arguments.strip_prefix(',').unwrap_or_default();
    Some(Event {
        text,
        name,
        arguments,
        arity,
    })
}

/// Reads an array as its first element, a string, and the number of the others.
struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = (&'de RawValue, usize);

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an event")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let name = elements.next_element::<&RawValue>()?;
        let name = name.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let mut arity = 0;
        while elements.next_element::<IgnoredAny>()?.is_some() {
            arity += 1;
        }
        Ok((name, arity))
    }
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

/// The event's name, the first element of the array `text`, if it is readable.
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

/// The place of the opening quote of the first element.
fn name_start(text: &[u8]) -> Option<usize> {
    let bracket = skip_blank(text, 0);
    if text.get(bracket) != Some(&b'[') {
        return None;
    }
    let quote = skip_blank(text, bracket + 1);
    (text.get(quote) == Some(&b'"')).then_some(quote)
}

/// The characters that JSON allows between tokens.
const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];

fn skip_blank(text: &[u8], from: usize) -> usize {
    let blank = text[from..].iter().take_while(|byte| is_blank(**byte));
    from + blank.count()
}

/// Whether JSON allows `byte` between tokens.
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
            assert_eq!(event(text.as_bytes()).unwrap().text, text);
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
            r#"["a",1 2]"#,
            r#"["a",1],[2]"#,
            r#"["a",1]]"#,
            r#"["a",1"#,
            r#"["a",,1]"#,
            r#"["a"1]"#,
            r#"[["a"],1]"#,
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
    fn events_are_taken_apart() {
        for (text, name, arguments, arity) in [
            (r#"["chat","hi"]"#, r#""chat""#, r#""hi""#, 1),
            (r#"["",{"a":[1,"]"]}]"#, "\"\"", r#"{"a":[1,"]"]}"#, 1),
            (" [ \"chat\" , 1.5e3 ] ", r#""chat""#, " 1.5e3 ", 1),
            (r#"["chat"]"#, r#""chat""#, "", 0),
            (r#"["chat" ]"#, r#""chat""#, "", 0),
            (r#"["c,h",1,[2,3],"4,"]"#, r#""c,h""#, r#"1,[2,3],"4,""#, 3),
            (r#"["ch\u0061t",null]"#, r#""ch\u0061t""#, "null", 1),
        ] {
            let expected = Event {
                text,
                name,
                arguments,
                arity,
            };
            assert_eq!(event(text.as_bytes()), Some(expected));
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

    /// Runs for two seconds, or `FUZZ_SECONDS`. A text that passes must be exactly one item of a
    /// chunk.
    #[test]
    fn a_text_that_passes_is_one_item_of_a_chunk() {
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
            let chunk = format!("[0,{},7]", good.text);
            let items: Vec<&RawValue> = serde_json::from_str(&chunk).unwrap();
            assert_eq!(items[1].get(), good.text.trim(), "seed {seed}");
            assert_eq!(items.len(), 3, "seed {seed}");
            let list = format!("[{}]", good.arguments);
            let arguments: Vec<&RawValue> = serde_json::from_str(&list).unwrap();
            assert_eq!(arguments.len(), good.arity, "seed {seed}");
        }
        assert!(passed > 100, "{passed} of seed {seed} passed");
    }
}
