use super::*;
use crate::proto::NodeId;

#[test]
fn a_seed_has_a_new_mark_in_each_epoch() {
    let origin = |id: &str, epoch| Origin {
        id: NodeId::parse(id).unwrap(),
        epoch,
    };
    let marks = [origin("a", 1), origin("a", 2), origin("b", 1)].map(|it| mark(&it));
    assert_eq!(marks[0], mark(&origin("a", 1)));
    assert!(marks[0] != marks[1] && marks[0] != marks[2] && marks[1] != marks[2]);
}
