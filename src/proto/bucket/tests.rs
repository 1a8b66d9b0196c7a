use super::*;

#[test]
fn a_bucket_gives_its_burst_and_then_its_rate() {
    let mut bucket = Bucket::new(2.0, 4.0, Moment(0));
    assert!(bucket.take(Moment(0)));
    assert!(bucket.take(Moment(0)));
    assert!(!bucket.take(Moment(0)));
    assert!(!bucket.is_full(Moment(250_000)));
    assert!(bucket.take(Moment(250_000)));
    assert!(!bucket.take(Moment(250_000)));
    assert!(bucket.is_full(Moment(750_000)));
}

#[test]
fn a_debt_is_paid_off_in_time() {
    let mut bucket = Bucket::new(2.0, 4.0, Moment(0));
    bucket.spend(2.0);
    assert_eq!(bucket.debt(Moment(0)), Duration::ZERO);
    bucket.spend(4.0);
    assert_eq!(bucket.debt(Moment(0)), Duration::from_secs(1));
    assert_eq!(bucket.debt(Moment(750_000)), Duration::from_millis(250));
    assert_eq!(bucket.debt(Moment(9_000_000)), Duration::ZERO);
}
