//! The reader: one pass over the bytes, strings without escapes borrowed.

use std::borrow::Cow;
use std::collections::HashSet;

use super::value::{Object, Value};
use crate::error::{Error, Fault, Result};
use crate::limits::Limits;

/// Objects larger than this look for duplicate keys in a set instead of comparing each pair.
const PAIRWISE: usize = 16;

enum Failure {
    Fault(Fault),
    Limit(&'static str, usize),
}

type Parsed<T> = std::result::Result<T, Failure>;

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth_left: usize,
    values_left: usize,
    limits: Limits,
}

/// Reads one document that holds nothing else.
pub(crate) fn parse<'a>(document: &'static str, bytes: &'a [u8], limits: &Limits) -> Result<Value<'a>> {
    if bytes.len() as u64 > limits.document_bytes {
        return Err(Error::LimitExceeded { limit: "document", max: limits.document_bytes });
    }
    // Checked once for the whole document.
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Fault::new(format!("is not UTF-8 at byte {}", error.valid_up_to())).of(document))?;
    let mut parser = Parser {
        text,
        bytes,
        at: 0,
        depth_left: limits.document_depth,
        values_left: limits.document_values,
        limits: *limits,
    };
    parser.document().map_err(|failure| match failure {
        Failure::Fault(fault) => fault.of(document),
        Failure::Limit(limit, max) => Error::LimitExceeded { limit, max: max as u64 },
    })
}

impl<'a> Parser<'a> {
    fn document(&mut self) -> Parsed<Value<'a>> {
        let value = self.value()?;
        self.skip_space();
        if self.at == self.bytes.len() { Ok(value) } else { Err(self.unexpected()) }
    }

    fn value(&mut self) -> Parsed<Value<'a>> {
        self.values_left = self
            .values_left
            .checked_sub(1)
            .ok_or(Failure::Limit("number of values in a document", self.limits.document_values))?;
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.unexpected()),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Parsed<Value<'a>>) -> Parsed<Value<'a>> {
        self.depth_left =
            self.depth_left.checked_sub(1).ok_or(Failure::Limit("document depth", self.limits.document_depth))?;
        self.at += 1;
        let value = read(self)?;
        self.depth_left += 1;
        Ok(value)
    }

    fn object(&mut self) -> Parsed<Value<'a>> {
        let mut members: Vec<(Cow<'a, str>, Value<'a>)> = Vec::new();
        let mut seen: HashSet<Cow<'a, str>> = HashSet::new();
        self.skip_space();
        if self.eat(b'}') {
            return Ok(Value::Object(Object(members)));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected());
            }
            let key = self.string()?;
            if members.len() == PAIRWISE {
                seen.extend(members.iter().map(|(key, _)| key.clone()));
            }
            let twice = if members.len() < PAIRWISE {
                members.iter().any(|(other, _)| *other == key)
            } else {
                !seen.insert(key.clone())
            };
            if twice {
                return Err(Failure::Fault(Fault::new("occurs twice").within(&key)));
            }
            self.skip_space();
            if !self.eat(b':') {
                return Err(self.unexpected());
            }
            let value = self.value().map_err(|failure| failure.within(&key))?;
            members.push((key, value));
            self.skip_space();
            if self.eat(b'}') {
                return Ok(Value::Object(Object(members)));
            }
            if !self.eat(b',') {
                return Err(self.unexpected());
            }
        }
    }

    fn array(&mut self) -> Parsed<Value<'a>> {
        let mut values = Vec::new();
        self.skip_space();
        if self.eat(b']') {
            return Ok(Value::Array(values));
        }
        loop {
            let value = self.value().map_err(|failure| failure.within(&format!("[{}]", values.len())))?;
            values.push(value);
            self.skip_space();
            if self.eat(b']') {
                return Ok(Value::Array(values));
            }
            if !self.eat(b',') {
                return Err(self.unexpected());
            }
        }
    }

    /// A string; the position is at its opening quotation mark.
    fn string(&mut self) -> Parsed<Cow<'a, str>> {
        self.at += 1;
        let mut decoded: Option<String> = None;
        let mut start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let piece = self.slice(start);
                    self.at += 1;
                    return Ok(match decoded {
                        None => Cow::Borrowed(piece),
                        Some(text) => Cow::Owned(text + piece),
                    });
                }
                Some(b'\\') => {
                    let piece = self.slice(start);
                    self.at += 1;
                    let escaped = self.escape()?;
                    let text = decoded.get_or_insert_default();
                    text.push_str(piece);
                    text.push(escaped);
                    start = self.at;
                }
                None | Some(0..0x20) => return Err(self.unexpected()),
                Some(_) => self.at += plain_len(&self.bytes[self.at..]),
            }
        }
    }

    fn escape(&mut self) -> Parsed<char> {
        let character = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(character)
    }

    fn unicode_escape(&mut self) -> Parsed<char> {
        let first = self.four_digits()?;
        let scalar = if (0xd800..0xdc00).contains(&first) && self.bytes[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let second = self.four_digits()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.fault("lone surrogate"));
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(scalar).ok_or_else(|| self.fault("lone surrogate"))
    }

    fn four_digits(&mut self) -> Parsed<u32> {
        let mut number = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16)).ok_or_else(|| self.unexpected())?;
            number = number << 4 | digit;
            self.at += 1;
        }
        Ok(number)
    }

    fn number(&mut self) -> Parsed<Value<'a>> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Ok(Value::Number(Cow::Borrowed(self.slice(start))))
    }

    fn digits(&mut self) -> Parsed<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected()) } else { Ok(()) }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Parsed<Value<'a>> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.unexpected());
        }
        self.at += word.len();
        Ok(value)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn slice(&self, start: usize) -> &'a str {
        &self.text[start..self.at] // cut at ASCII bytes
    }

    fn unexpected(&self) -> Failure {
        if self.at >= self.bytes.len() {
            return Failure::Fault(Fault::new("ends early"));
        }
        self.fault("unexpected character")
    }

    fn fault(&self, what: &str) -> Failure {
        Failure::Fault(Fault::new(format!("{what} at byte {}", self.at)))
    }
}

/// How many bytes at the beginning are neither a quotation mark nor a backslash nor a control character.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = 0x80 * ONES;
    // Marks bytes below `bound`. One that is marked wrongly has one that is marked rightly before it.
    let below = |bytes: u64, bound: u64| bytes.wrapping_sub(bound * ONES) & !bytes & HIGH;
    let is = |bytes: u64, byte: u8| below(bytes ^ (u64::from(byte) * ONES), 1);
    let (words, rest) = bytes.as_chunks();
    for (position, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let marks = is(word, b'"') | is(word, b'\\') | below(word, 0x20);
        if marks != 0 {
            return position * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    bytes.len() - rest.len() + rest.iter().position(ends).unwrap_or(rest.len())
}

impl Failure {
    fn within(self, segment: &str) -> Self {
        match self {
            Self::Fault(fault) => Self::Fault(fault.within(segment)),
            limit @ Self::Limit(..) => limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn eight_at_once_end_where_one_at_a_time_does(
            bytes in prop::collection::vec(
                prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), Just(0x1f), Just(0x20), Just(0x21), Just(0xff)], 0..40,
            ),
            clean in 0..40_usize,
        ) {
            let mut bytes = bytes;
            for byte in bytes.iter_mut().take(clean) {
                if matches!(byte, b'"' | b'\\' | 0..0x20) {
                    *byte = b'x';
                }
            }
            let expected = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(plain_len(&bytes), expected.unwrap_or(bytes.len()));
        }
    }
}
