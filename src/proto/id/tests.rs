use super::*;

#[test]
fn any_id_survives_encoding_as_a_code() {
    for text in [
        "Mathew Franqui",
        "Jürgen",
        "日本",
        "a\"b",
        "a\\b",
        "tab\there",
        "-5",
        "a-b",
        "50 %",
    ] {
        let id = NodeId::parse(text).unwrap();
        assert!(is_code(id.code()), "{text}");
        let again = NodeId::from_code(id.code()).unwrap();
        assert_eq!((again.as_str(), &again), (text, &id));
    }
}

#[test]
fn a_plain_id_is_its_own_code() {
    for text in ["abc", "x/y", "50%", "=", "=a%20b", &"a".repeat(64)] {
        let id = NodeId::parse(text).unwrap();
        assert_eq!((id.code(), id.as_str()), (text, text));
    }
}

#[test]
fn the_code_of_a_long_id_is_short_and_its_own() {
    let long = |last| "a".repeat(511) + last;
    let [one, other] = ["a", "b"].map(|last| NodeId::parse(&long(last)).unwrap());
    assert_eq!(one.code().len(), 34);
    assert_eq!(one, NodeId::from_code(one.code()).unwrap());
    assert_ne!(one, other);
    assert_eq!(NodeId::parse(&"a".repeat(513)), None);
    assert_eq!(NodeId::parse(""), None);
}
