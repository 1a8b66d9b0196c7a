//! A validating scanner: finds where values begin and end, and builds no values.

use memchr::memchr2;

use super::string;

/// How deeply arrays and objects may nest in a line. `JSON.stringify` runs out of stack far above
/// this depth, which would end a legacy node; applications stay far below it.
pub const MAX_DEPTH: usize = 512;

/// Walks over a JSON text. Methods return `None` for invalid JSON; the scanner is then useless.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// A scanner of the same text at another position.
    pub(crate) fn moved_to(&self, at: usize) -> Self {
        Self {
            text: self.text,
            at,
        }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The text from the current position on.
    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next byte that is not white space.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let space = rest
            .iter()
            .take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
            .count();
        self.at += space;
        rest.get(space).copied()
    }

    /// Takes `byte`, after white space.
    pub(crate) fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Whether only white space is left.
    pub(crate) fn at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Between the elements of an array or object: takes the comma or the closing bracket. Returns
    /// whether another element follows.
    pub(crate) fn more(&mut self, is_first: bool, close: u8) -> Option<bool> {
        let next = self.peek()?;
        if next == close {
            self.at += 1;
            return Some(false);
        }
        if !is_first {
            self.eat(b',')?;
        }
        Some(true)
    }

    /// Takes a key and its colon. Returns the raw key between its quotes.
    pub(crate) fn key(&mut self) -> Option<&'a str> {
        let key = self.string()?;
        self.eat(b':')?;
        Some(key)
    }

    /// Takes a whole value, in which arrays and objects nest at most `depth` deep.
    pub(crate) fn value(&mut self, depth: usize) -> Option<&'a str> {
        self.peek()?;
        let start = self.at;
        self.skip(depth)?;
        self.text.get(start..self.at)
    }

    fn skip(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'[' => {
                let depth = depth.checked_sub(1)?;
                self.at += 1;
                let mut is_first = true;
                while self.more(is_first, b']')? {
                    self.skip(depth)?;
                    is_first = false;
                }
                Some(())
            }
            b'{' => {
                let depth = depth.checked_sub(1)?;
                self.at += 1;
                let mut is_first = true;
                while self.more(is_first, b'}')? {
                    self.key()?;
                    self.skip(depth)?;
                    is_first = false;
                }
                Some(())
            }
            _ => self.scalar().map(drop),
        }
    }

    /// Takes a string with its quotes, a number, `true`, `false` or `null`.
    pub(crate) fn scalar(&mut self) -> Option<&'a str> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => self.string().map(drop)?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => self.number()?,
        }
        self.text.get(start..self.at)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text
            .get(self.at..)?
            .starts_with(word)
            .then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        self.take_if(b"-");
        if !self.take_if(b"0") {
            self.digits()?;
        }
        if self.take_if(b".") {
            self.digits()?;
        }
        if self.take_if(b"eE") {
            self.take_if(b"+-");
            self.digits()?;
        }
        Some(())
    }

    fn take_if(&mut self, bytes: &[u8]) -> bool {
        let found = self
            .text
            .as_bytes()
            .get(self.at)
            .is_some_and(|byte| bytes.contains(byte));
        self.at += usize::from(found);
        found
    }

    fn digits(&mut self) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }

    /// Takes a string. Returns the raw text between its quotes.
    fn string(&mut self) -> Option<&'a str> {
        self.eat(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        loop {
            let rest = bytes.get(self.at..)?;
            let end = plain_len(rest)?;
            self.at += end + 1;
            if rest[end] == b'"' {
                return self.text.get(start..self.at - 1);
            }
            self.at += string::escape_len(&rest[end + 1..])?;
        }
    }

    /// Takes an object. Returns the raw values of `names`, the last one for a repeated key. Arrays
    /// and objects nest at most `depth` deep, the object itself included.
    pub(crate) fn object<const N: usize>(
        &mut self,
        names: [&str; N],
        depth: usize,
    ) -> Option<[Option<&'a str>; N]> {
        let depth = depth.checked_sub(1)?;
        let mut found = [None; N];
        self.eat(b'{')?;
        let mut is_first = true;
        while self.more(is_first, b'}')? {
            is_first = false;
            let key = string::decode(self.key()?);
            let value = self.value(depth)?;
            if let Some(index) = names.iter().position(|name| name.as_bytes() == &*key) {
                found[index] = Some(value);
            }
        }
        Some(found)
    }
}

/// The distance to the quote or backslash that ends plain text; `None` if there is no such end, or
/// a control character before it.
fn plain_len(text: &[u8]) -> Option<usize> {
    // Most strings are short; for those, a vector search costs more than it saves.
    const SHORT: usize = 24;
    let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    let end = match text.iter().take(SHORT).position(is_end) {
        Some(end) => end,
        None => {
            let end = SHORT + memchr2(b'"', b'\\', text.get(SHORT..)?)?;
            // The loop has no early exit, so that it compiles to vector instructions.
            if text[SHORT..end]
                .iter()
                .fold(false, |found, byte| found | (*byte < 0x20))
            {
                return None;
            }
            end
        }
    };
    (text[end] >= 0x20).then_some(end)
}

/// Looks `names` up in the object `raw`; `None` if it is no object.
pub(crate) fn fields<'a, const N: usize>(
    raw: &'a str,
    names: [&str; N],
) -> Option<[Option<&'a str>; N]> {
    Scanner::new(raw).object(names, MAX_DEPTH)
}
