//! JSON exactly as V8 writes it: `JSON.stringify(JSON.parse(text))` without the value in between.
//!
//! Legacy nodes hash that text, so a hash needs exactly the same bytes.
//!
//! Two passes over the text. The first notes the objects whose members JavaScript would reorder or
//! drop. The second writes, and follows those notes. So a reordered object is written once, in
//! place, at any depth.

use crate::proto::json::{MAX_DEPTH, Scanner, decode, write_canonical};

/// Exactly the bytes of `JSON.stringify(JSON.parse(text))`, or `None` if `text` is not JSON in
/// UTF-8 or nests deeper than [`MAX_DEPTH`].
pub fn canonical(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut survey = Survey {
        scanner: Scanner::new(text),
        open: Vec::new(),
        reordered: Vec::new(),
    };
    survey.value(MAX_DEPTH)?;
    if !survey.scanner.at_end() {
        return None;
    }
    let mut reordered = survey.reordered;
    reordered.sort_unstable_by_key(|object| object.start);
    let mut out = Vec::with_capacity(text.len());
    write_value(&mut out, &mut Scanner::new(text), &reordered)?;
    Some(out)
}

/// A member of an object: its raw key, and where its value begins.
#[derive(Clone, Copy)]
struct Member<'a> {
    key: &'a str,
    value: usize,
}

/// An object that JavaScript would write in another order.
struct Reordered<'a> {
    start: usize,
    end: usize,
    members: Vec<Member<'a>>,
}

struct Survey<'a> {
    scanner: Scanner<'a>,
    /// The members so far of all open objects, innermost last.
    open: Vec<Member<'a>>,
    reordered: Vec<Reordered<'a>>,
}

impl Survey<'_> {
    fn value(&mut self, depth: usize) -> Option<()> {
        match self.scanner.peek()? {
            b'[' => {
                let depth = depth.checked_sub(1)?;
                self.scanner.eat(b'[')?;
                let mut is_first = true;
                while self.scanner.more(is_first, b']')? {
                    is_first = false;
                    self.value(depth)?;
                }
            }
            b'{' => {
                let depth = depth.checked_sub(1)?;
                let start = self.scanner.position();
                let base = self.open.len();
                self.scanner.eat(b'{')?;
                while self.scanner.more(self.open.len() == base, b'}')? {
                    let key = self.scanner.key()?;
                    self.open.push(Member {
                        key,
                        value: self.scanner.position(),
                    });
                    self.value(depth)?;
                }
                if let Some(members) = reorder(&self.open[base..]) {
                    let end = self.scanner.position();
                    self.reordered.push(Reordered {
                        start,
                        end,
                        members,
                    });
                }
                self.open.truncate(base);
            }
            _ => drop(self.scanner.scalar()?),
        }
        Some(())
    }
}

/// The members in JavaScript's order, or `None` if they already stand in it: first array indices,
/// ascending; then names in order of appearance. Of equal keys, the last value takes the first
/// place.
fn reorder<'a>(members: &[Member<'a>]) -> Option<Vec<Member<'a>>> {
    if is_plainly_ordered(members) {
        return None;
    }
    let mut by_key: Vec<_> = members
        .iter()
        .enumerate()
        .map(|(place, member)| (decode(member.key), place))
        .collect();
    by_key.sort_unstable();
    let mut ordered: Vec<(Option<u32>, usize, Member<'a>)> = by_key
        .chunk_by(|a, b| a.0 == b.0)
        .map(|same| {
            let (first, last) = (&same[0], &same[same.len() - 1]);
            (array_index(&first.0), first.1, members[last.1])
        })
        .collect();
    ordered.sort_unstable_by_key(|(index, place, _)| (index.is_none(), *index, *place));
    Some(ordered.into_iter().map(|(_, _, member)| member).collect())
}

/// A quick test that settles nearly every object; `false` means "perhaps not".
fn is_plainly_ordered(members: &[Member<'_>]) -> bool {
    const FEW: usize = 8;
    let mut highest = None;
    let mut names_began = false;
    members.len() < 2
        || members.len() <= FEW
            && members
                .iter()
                .enumerate()
                .all(|(place, Member { key, .. })| {
                    let in_place = match array_index(key.as_bytes()) {
                        Some(index) => !names_began && highest.replace(index) < Some(index),
                        None => {
                            names_began = true;
                            members[..place].iter().all(|earlier| earlier.key != *key)
                        }
                    };
                    in_place && !key.contains('\\')
                })
}

/// The array index that JavaScript takes a key for: 0 to 2³² − 2, without a leading 0.
fn array_index(key: &[u8]) -> Option<u32> {
    let first = *key.first()?;
    let is_plain = key == b"0" || first != b'0' && first.is_ascii_digit() && key.len() <= 10;
    if !is_plain {
        return None;
    }
    let index = key.iter().try_fold(0_u64, |index, digit| {
        digit
            .is_ascii_digit()
            .then(|| index * 10 + u64::from(digit - b'0'))
    })?;
    u32::try_from(index).ok().filter(|index| *index < u32::MAX)
}

fn write_value(
    out: &mut Vec<u8>,
    scanner: &mut Scanner<'_>,
    reordered: &[Reordered<'_>],
) -> Option<()> {
    match scanner.peek()? {
        b'[' => {
            scanner.eat(b'[')?;
            out.push(b'[');
            let mut is_first = true;
            while scanner.more(is_first, b']')? {
                if !is_first {
                    out.push(b',');
                }
                is_first = false;
                write_value(out, scanner, reordered)?;
            }
            out.push(b']');
        }
        b'{' => write_object(out, scanner, reordered)?,
        b'"' => {
            let string = scanner.scalar()?;
            write_canonical(out, string.get(1..string.len() - 1)?);
        }
        b't' | b'f' | b'n' => out.extend_from_slice(scanner.scalar()?.as_bytes()),
        _ => write_number(out, scanner.scalar()?)?,
    }
    Some(())
}

fn write_object(
    out: &mut Vec<u8>,
    scanner: &mut Scanner<'_>,
    reordered: &[Reordered<'_>],
) -> Option<()> {
    let start = scanner.position();
    out.push(b'{');
    if let Ok(index) = reordered.binary_search_by_key(&start, |object| object.start) {
        let Reordered { end, members, .. } = &reordered[index];
        for (place, member) in members.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            write_canonical(out, member.key);
            out.push(b':');
            write_value(out, &mut scanner.moved_to(member.value), reordered)?;
        }
        *scanner = scanner.moved_to(*end);
    } else {
        scanner.eat(b'{')?;
        let mut is_first = true;
        while scanner.more(is_first, b'}')? {
            if !is_first {
                out.push(b',');
            }
            is_first = false;
            write_canonical(out, scanner.key()?);
            out.push(b':');
            write_value(out, scanner, reordered)?;
        }
    }
    out.push(b'}');
    Some(())
}

fn write_number(out: &mut Vec<u8>, number: &str) -> Option<()> {
    // An integer of up to 15 digits is an exact double, and is written as it stands.
    if number.len() <= 15 && number.bytes().all(|byte| byte.is_ascii_digit()) {
        out.extend_from_slice(number.as_bytes());
        return Some(());
    }
    let value: f64 = number.parse().ok()?;
    if value.is_finite() {
        out.extend_from_slice(ryu_js::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
    Some(())
}
