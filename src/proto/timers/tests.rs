use super::*;

#[test]
fn a_timer_set_again_moves() {
    let mut timers = Timers::default();
    timers.set(Timer::Tick, Moment(10));
    timers.set(Timer::Refill, Moment(20));
    timers.set(Timer::Tick, Moment(30));
    assert_eq!(timers.next(), Some(Moment(20)));
    assert_eq!(timers.pop(Moment(19)), None);
    assert_eq!(timers.pop(Moment(30)), Some(Timer::Refill));
    assert_eq!(timers.pop(Moment(30)), Some(Timer::Tick));
    assert!(timers.is_empty());
}
