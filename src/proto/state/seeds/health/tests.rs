use super::*;

#[test]
fn a_seed_heard_before_is_dialled_until_it_answers() {
    let suspected = Health::Suspected { dials: 0 };
    assert_eq!(suspected.dialled(), Health::Suspected { dials: 1 });
    let lost = suspected.dialled().lost();
    assert_eq!(lost, Health::Lost { dials: Some(1) });
    assert_eq!(lost.dialled().dials(), 2);
    assert!(lost.is_suspected() && lost.is_lost() && lost.is_watched());
    assert_eq!(lost.answered(), Health::Heard);
    assert_eq!(Health::Heard.lost(), Health::Lost { dials: Some(0) });
}

#[test]
fn a_seed_that_is_only_pinged_is_lost_but_not_dialled() {
    let lost = Health::Unheard.lost();
    assert!(lost.is_lost() && !lost.is_suspected() && !lost.is_watched());
    assert_eq!(lost.dialled(), lost);
    assert_eq!(lost.answered(), Health::Unheard);
}
