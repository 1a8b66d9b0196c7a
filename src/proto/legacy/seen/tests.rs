use super::*;

#[test]
fn an_id_is_new_once_until_it_is_forgotten() {
    let mut seen = Seen::new(Duration::from_secs(60), 10);
    assert!(seen.insert("a", Moment(0)));
    assert!(!seen.insert("a", Moment(59_999_999)));
    assert!(seen.insert("b", Moment(60_000_000)));
    assert!(seen.insert("a", Moment(60_000_000)));
}

#[test]
fn the_number_of_ids_is_bounded() {
    let mut seen = Seen::new(Duration::from_secs(60), 3);
    for n in 0..100 {
        assert!(seen.insert(&n.to_string(), Moment(n)));
    }
    assert_eq!(seen.len(), 3);
    assert!(seen.insert("0", Moment(100)));
    assert!(!seen.insert("99", Moment(100)));
}

#[test]
fn an_id_takes_the_same_memory_at_any_length() {
    fn in_place<T>(_: impl IntoIterator<Item = T>) -> Option<usize> {
        (!std::mem::needs_drop::<T>()).then_some(size_of::<T>())
    }
    let mut seen = Seen::new(Duration::from_secs(60), 10);
    let long = ["a", "b"].map(|end| "x".repeat(255) + end);
    for id in &long {
        assert!(seen.insert(id, Moment(0)));
        assert!(!seen.insert(id, Moment(0)));
    }
    assert_eq!(in_place(seen.ids), Some(16));
    assert_eq!(in_place(seen.order), Some(24));
}
