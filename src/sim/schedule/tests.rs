use super::*;

#[test]
fn entries_come_in_order_of_time_and_then_of_insertion() {
    let mut schedule = Schedule::new();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut expected = Vec::new();
    let mut got = Vec::new();
    let mut now = Moment(0);
    for _ in 0..2_000 {
        for _ in 0..rng.usize(..5) {
            // A time within a slot, within the wheel, or far beyond it.
            let bits = rng.u32(1..28);
            let at = Moment(now.0 + rng.u64(..1 << bits));
            let number = schedule.add(at, ());
            expected.push((at, number));
        }
        let bits = rng.u32(1..22);
        let until = Moment(now.0 + rng.u64(..1 << bits));
        while let Some(due) = schedule.pop_until(until) {
            assert!(due.at >= now && due.at <= until);
            now = due.at;
            got.push((due.at, due.number));
        }
        now = until;
    }
    while let Some(due) = schedule.pop_until(Moment(u64::MAX)) {
        got.push((due.at, due.number));
    }
    expected.sort_unstable();
    assert_eq!(got, expected);
}
