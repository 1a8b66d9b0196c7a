use super::*;

fn identity(byte: u8) -> Identity {
    Identity::from_private([byte; 32]).unwrap()
}

#[test]
fn base32_is_lower_case_rfc_4648() {
    let cases = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
    let texts = cases.map(|text| base32(text.as_bytes()));
    let expected = [
        "",
        "my",
        "mzxq",
        "mzxw6",
        "mzxw6yq",
        "mzxw6ytb",
        "mzxw6ytboi",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn an_id_follows_from_the_key_alone() {
    let id = |byte| identity(byte).id().to_string();
    assert_eq!(id(7), id(7));
    assert_ne!(id(7), id(8));
    assert_eq!(id(7).len(), 26);
}

#[test]
fn every_key_signs_and_only_its_own_signature_holds() {
    for byte in 0..64 {
        let one = identity(byte);
        let signature = one.sign(b"hello");
        assert!(one.public().has_signed(b"hello", &signature), "{byte}");
        assert!(!one.public().has_signed(b"hallo", &signature));
        assert!(!identity(byte + 1).public().has_signed(b"hello", &signature));
        assert_eq!(one.sign(b"hello"), signature, "signatures do not change");
    }
}

#[test]
fn keys_of_small_order_sign_nothing_and_share_nothing() {
    let mut one = [0; 32];
    one[0] = 1;
    for public in [PublicKey([0; 32]), PublicKey(one)] {
        assert!(identity(1).pair_key(&public).is_none());
        assert!(!public.has_signed(b"hello", &[0; 64]));
    }
}

#[test]
fn two_nodes_share_a_key_that_no_third_has() {
    let [a, b, c] = [1, 2, 3].map(identity);
    let ab = a.pair_key(b.public()).unwrap();
    let ba = b.pair_key(a.public()).unwrap();
    let code = ab.code(&[b"hello", b", b"]);
    assert!(ba.is_code(&[b"hello, b"], &code));
    assert!(!ba.is_code(&[b"hello, c"], &code));
    for other in [&a, &b] {
        let third = c.pair_key(other.public()).unwrap();
        assert!(!third.is_code(&[b"hello, b"], &code));
    }
}

#[test]
fn nothing_secret_is_printed() {
    let one = identity(42);
    let id = one.id();
    assert_eq!(format!("{one:?}"), format!("Identity {{ id: {id:?} }}"));
    let pair = one.pair_key(identity(43).public()).unwrap();
    assert_eq!(format!("{pair:?}"), "PairKey");
}
