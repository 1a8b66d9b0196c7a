//! `canonical` against fixed cases, and against Node's `JSON.stringify(JSON.parse(…))`.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use smokesignal::proto::json::MAX_DEPTH;
use smokesignal::proto::legacy::canonical;

fn check(text: &str, expected: &str) {
    let got = canonical(text.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(got.as_deref(), Some(expected), "for {text}");
}

#[test]
fn numbers_are_written_as_javascript_writes_them() {
    check(
        "[0,-0,0.0,-0e9,1.0,1e2,1E+2,100e-2]",
        "[0,0,0,0,1,100,100,1]",
    );
    check(
        "[1e21,1e20,123456789012345678901234]",
        "[1e+21,100000000000000000000,1.2345678901234569e+23]",
    );
    check(
        "[9007199254740993,999999999999999,1000000000000001]",
        "[9007199254740992,999999999999999,1000000000000001]",
    );
    check(
        "[1e400,-1e400,1e-400,5e-324,0.000001,0.0000001]",
        "[null,null,0,5e-324,0.000001,1e-7]",
    );
}

#[test]
fn strings_are_escaped_as_javascript_escapes_them() {
    check(
        r#""\u0041\/\"\\\b\f\n\r\t\u0000\u001F\u007f""#,
        "\"A/\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}\"",
    );
    check(r#""\u00e9\u2028é""#, "\"é\u{2028}é\"");
    check(
        r#""\ud83d\ude00 \uD83D \uDE00 \ud83dx \ud83d\ud83d\ude00""#,
        r#""😀 \ud83d \ude00 \ud83dx \ud83d😀""#,
    );
}

#[test]
fn members_are_in_the_order_of_javascript() {
    check(
        r#"{"b":1,"10":2,"9":3,"a":4}"#,
        r#"{"9":3,"10":2,"b":1,"a":4}"#,
    );
    check(r#"{"a":1,"b":2,"\u0061":3}"#, r#"{"a":3,"b":2}"#);
    check(
        r#"{"4294967295":1,"4294967294":2,"01":3,"-0":4,"0":5}"#,
        r#"{"0":5,"4294967294":2,"4294967295":1,"01":3,"-0":4}"#,
    );
    check(
        r#"{"__proto__":{"1":1,"0":[]},"x":{"__proto__":null}}"#,
        r#"{"__proto__":{"0":[],"1":1},"x":{"__proto__":null}}"#,
    );
    check(
        r#"{"\ud800":1,"\udc00":2,"\ud800":3}"#,
        r#"{"\ud800":3,"\udc00":2}"#,
    );
    check(
        r#"{"x":{"1":{"b":0,"0":1},"0":2},"0":{"1":3,"1":4}}"#,
        r#"{"0":{"1":4},"x":{"0":2,"1":{"0":1,"b":0}}}"#,
    );
}

#[test]
fn white_space_goes() {
    check(
        " \t\r\n{ \"a\" : [ 1 , true , { } , [ ] ] } \n",
        r#"{"a":[1,true,{},[]]}"#,
    );
}

#[test]
fn invalid_json_is_refused() {
    let texts = [
        "",
        " ",
        "[",
        "[1,]",
        "[,1]",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\"}",
        "{1:2}",
        "'a'",
        "01",
        "-",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "--1",
        "NaN",
        "Infinity",
        "nul",
        "truex",
        "1 2",
        "[1]]",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\t\"",
        "\"\u{0}\"",
        "\u{feff}1",
        "[1\u{a0}]",
        "\u{c}1",
    ];
    for text in texts {
        assert_eq!(canonical(text.as_bytes()), None, "for {text:?}");
    }
    assert_eq!(canonical(b"\"\xff\""), None);
    assert_eq!(canonical(b"\"\xed\xa0\x80\""), None);
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    check(&nested(MAX_DEPTH), &nested(MAX_DEPTH));
    assert_eq!(canonical(nested(MAX_DEPTH + 1).as_bytes()), None);
    assert_eq!(canonical("[".repeat(1 << 20).as_bytes()), None);
    assert_eq!(canonical("{\"a\":".repeat(1 << 20).as_bytes()), None);
}

#[test]
fn deep_reordering_does_not_write_anything_twice() {
    let mut text = format!("\"{}\"", "x".repeat(1 << 20));
    for _ in 0..MAX_DEPTH {
        text = format!(r#"{{"1":{text},"0":0}}"#);
    }
    let written = canonical(text.as_bytes()).unwrap();
    assert_eq!(written.len(), text.len());
    assert!(written.starts_with(br#"{"0":0,"1":{"0":0,"1":{"#));
}

#[test]
fn large_objects_are_reordered() {
    let keys = (0..1000).map(|n| (n * 7919) % 1000);
    let members: Vec<_> = keys.map(|key| format!(r#""{key}":{key}"#)).collect();
    let sorted: Vec<_> = (0..1000).map(|key| format!(r#""{key}":{key}"#)).collect();
    check(
        &format!("{{{}}}", members.join(",")),
        &format!("{{{}}}", sorted.join(",")),
    );
}

fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ -~&&[^\"\\\\]]{0,6}",
        2 => "\\PC&&[^\"\\\\]{0,3}".prop_filter("quotes", |text| !text.contains(['"', '\\'])),
        2 => prop::sample::select(vec!["\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\u{7f}", "\u{2028}"])
            .prop_map(str::to_owned),
        2 => any::<u16>().prop_map(|unit| format!("\\u{unit:04x}")),
        2 => (0xd7f0_u16..0xe010).prop_map(|unit| format!("\\u{unit:04X}")),
        1 => (0_u16..0x80).prop_map(|unit| format!("\\u{unit:04x}")),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn key() -> impl Strategy<Value = String> {
    let known = [
        "0",
        "1",
        "2",
        "10",
        "01",
        "-0",
        "-1",
        "1.5",
        "4294967293",
        "4294967294",
        "4294967295",
        "4294967296",
        "9007199254740991",
        "99999999999",
        "__proto__",
        "constructor",
        "toJSON",
        "length",
        "a",
        "\\u0061",
        "b",
        "\\u0031",
        "",
        "\\ud800",
        "\\udc00",
    ];
    prop_oneof![
        5 => prop::sample::select(known.to_vec()).prop_map(|key| format!("\"{key}\"")),
        2 => (0_u32..30).prop_map(|key| format!("\"{key}\"")),
        1 => string(),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("no JSON", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<i32>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?",
        prop::sample::select(vec!["-0", "0e0", "-0.0", "1e21", "1e-7", "1e309", "-1e309"])
            .prop_map(str::to_owned),
    ]
}

fn value() -> impl Strategy<Value = String> {
    let space = prop::sample::select(vec!["", "", "", "", " ", "\t", "\r", "\n "]);
    let leaf = prop_oneof![
        prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned),
        number(),
        string(),
    ];
    let leaf = (leaf, space.clone()).prop_map(|(leaf, space)| leaf + space);
    leaf.prop_recursive(5, 60, 12, move |inner| {
        let member = (key(), space.clone(), inner.clone())
            .prop_map(|(key, space, value)| format!("{key}{space}:{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..14)
                .prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// The text, possibly damaged in one place.
fn text() -> impl Strategy<Value = String> {
    let edit = prop::option::weighted(
        0.3,
        (
            any::<prop::sample::Index>(),
            prop::sample::select(b"\"\\{}[],:0-.e \x01x".to_vec()),
        ),
    );
    (value(), edit).prop_map(|(text, edit)| {
        let mut bytes = text.clone().into_bytes();
        if let Some((at, byte)) = edit {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        String::from_utf8(bytes).unwrap_or(text)
    })
}

const SCRIPT: &str = r"
  const lines = require('readline').createInterface({ input: process.stdin })
  lines.on('line', line => {
    let out = '-'
    try { out = JSON.stringify(JSON.parse(Buffer.from(line, 'hex').toString())) } catch {}
    console.log(Buffer.from(out).toString('hex'))
  })
";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

#[test]
fn it_agrees_with_node_on_generated_texts() {
    let node = Command::new("node")
        .args(["-e", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut node) = node else {
        eprintln!("skipped: there is no node in the path");
        return;
    };
    let mut runner = TestRunner::deterministic();
    let cases: Vec<String> = (0..5000)
        .map(|_| text().new_tree(&mut runner).unwrap().current())
        .collect();
    let mut stdin = node.stdin.take().unwrap();
    let input: String = cases
        .iter()
        .map(|case| hex(case.as_bytes()) + "\n")
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let answers = BufReader::new(node.stdout.take().unwrap()).lines();
    let mut refused = 0;
    let mut compared = 0;
    for (case, answer) in cases.iter().zip(answers) {
        let ours = canonical(case.as_bytes());
        refused += usize::from(ours.is_none());
        let ours = ours.unwrap_or_else(|| b"-".to_vec());
        assert_eq!(hex(&ours), answer.unwrap(), "for {case}");
        compared += 1;
    }
    writer.join().unwrap().unwrap();
    assert!(node.wait().unwrap().success());
    assert_eq!(compared, cases.len());
    // Both valid and invalid texts must have occurred.
    assert!((100..2000).contains(&refused), "{refused} refused");
}

proptest! {
    #[test]
    fn it_is_a_fixed_point(text in text()) {
        if let Some(once) = canonical(text.as_bytes()) {
            prop_assert_eq!(canonical(&once), Some(once.clone()));
        }
    }

    #[test]
    fn it_takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = canonical(&bytes);
    }
}
