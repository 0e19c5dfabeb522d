//! A pull lexer for JSON: no tree, no recursion.

use std::borrow::Cow;
use std::cell::Cell;

use crate::error::{Error, Position, Result};
use crate::wire::token::Kind;

const START: Position = Position { line: 1, column: 1 };

/// Reads one JSON text from the front.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Nothing of the innermost map or list has been read.
    first: bool,
    /// The last place that was asked for, from which the next one is counted.
    known: Cell<(usize, Position)>,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, first: true, known: Cell::new((0, START)) }
    }

    pub(crate) fn mark(&self) -> (usize, bool) {
        (self.at, self.first)
    }

    pub(crate) fn reset(&mut self, (at, first): (usize, bool)) {
        (self.at, self.first) = (at, first);
    }

    fn skip_space(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn byte(&mut self) -> Option<u8> {
        self.skip_space();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Where the next token starts, as an offset that [`position`] turns into a line and column.
    pub(crate) fn offset(&mut self) -> usize {
        self.skip_space();
        self.at
    }

    /// The line and column of an offset; places that are asked for in order cost one pass over the text together.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let (known, position) = self.known.get();
        let (from, mut position) = if known <= offset { (known, position) } else { (0, START) };
        for c in self.text[from..offset.min(self.text.len())].chars() {
            if c == '\n' {
                position = Position { line: position.line + 1, column: 1 };
            } else {
                position.column += 1;
            }
        }
        self.known.set((offset, position));
        position
    }

    fn error<T>(&self, reason: impl Into<String>) -> Result<T> {
        Err(Error::Syntax { position: self.position(self.at), reason: reason.into() })
    }

    fn unexpected<T>(&self, context: &str) -> Result<T> {
        match self.text[self.at..].chars().next() {
            None => self.error("unexpected end of JSON input"),
            Some(found) => self.error(format!("invalid character {found:?} {context}")),
        }
    }

    pub(crate) fn peek(&mut self) -> Result<Kind> {
        match self.byte() {
            Some(b'"') => Ok(Kind::String),
            Some(b'{') => Ok(Kind::Map),
            Some(b'[') => Ok(Kind::List),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            _ => self.unexpected("looking for beginning of value"),
        }
    }

    /// After a map or list began: the closing byte, or the comma before the next entry.
    fn next_entry(&mut self, close: u8) -> Result<bool> {
        match self.byte() {
            Some(byte) if byte == close => {
                self.at += 1;
                self.first = false;
                return Ok(false);
            }
            Some(b',') if !self.first => self.at += 1,
            _ if self.first => {}
            _ => return self.unexpected("after a value"),
        }
        self.first = false;
        Ok(true)
    }

    pub(crate) fn enter(&mut self) {
        self.at += 1;
        self.first = true;
    }

    pub(crate) fn next_item(&mut self) -> Result<bool> {
        self.next_entry(b']')
    }

    pub(crate) fn next_key(&mut self) -> Result<Option<Cow<'a, str>>> {
        if !self.next_entry(b'}')? {
            return Ok(None);
        }
        if self.byte() != Some(b'"') {
            return self.unexpected("looking for beginning of object key string");
        }
        let key = self.text()?;
        if self.byte() != Some(b':') {
            return self.unexpected("after object key");
        }
        self.at += 1;
        Ok(Some(key))
    }

    pub(crate) fn null(&mut self) -> Result<()> {
        self.word("null")
    }

    pub(crate) fn bool(&mut self) -> Result<bool> {
        if self.byte() == Some(b't') { self.word("true").map(|()| true) } else { self.word("false").map(|()| false) }
    }

    fn word(&mut self, word: &str) -> Result<()> {
        if !self.text[self.at..].starts_with(word) {
            return self.unexpected("in a literal");
        }
        self.at += word.len();
        Ok(())
    }

    pub(crate) fn number(&mut self) -> Result<&'a str> {
        self.skip_space();
        let start = self.at;
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return self.unexpected("in numeric literal"),
        }
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<()> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        while bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { self.unexpected("in numeric literal") } else { Ok(()) }
    }

    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>> {
        self.skip_space();
        self.at += 1;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        self.at = bytes[start..].iter().position(special).map_or(bytes.len(), |length| start + length);
        match bytes.get(self.at) {
            Some(b'"') => {
                let plain = &self.text[start..self.at];
                self.at += 1;
                Ok(Cow::Borrowed(plain))
            }
            Some(b'\\') => self.escaped_string(start).map(Cow::Owned),
            Some(_) => self.unexpected("in string literal"),
            None => self.error("unexpected end of JSON input"),
        }
    }

    fn escaped_string(&mut self, start: usize) -> Result<String> {
        let mut value = String::from(&self.text[start..self.at]);
        let bytes = self.text.as_bytes();
        loop {
            let plain = self.at;
            while !matches!(bytes.get(self.at), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            value.push_str(&self.text[plain..self.at]);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some(b'\\') => {
                    self.at += 1;
                    value.push(self.escape()?);
                }
                Some(_) => return self.unexpected("in string literal"),
                None => return self.error("unexpected end of JSON input"),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let escape = self.text.as_bytes().get(self.at).copied();
        let value = match escape {
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
            _ => return self.unexpected("in string escape code"),
        };
        self.at += 1;
        Ok(value)
    }

    /// A half of a surrogate pair without the other becomes U+FFFD, as in Go.
    fn unicode_escape(&mut self) -> Result<char> {
        let high = self.hex4()?;
        if let Some(value) = char::from_u32(high) {
            return Ok(value);
        }
        if (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                let value = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex4(&mut self) -> Result<u32> {
        let mut value = 0;
        for _ in 0..4 {
            let Some(digit) = self.text.as_bytes().get(self.at).and_then(|byte| char::from(*byte).to_digit(16)) else {
                return self.unexpected("in \\u hexadecimal character escape");
            };
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }

    /// Nothing but white space may follow the value.
    pub(crate) fn end(&mut self) -> Result<()> {
        if self.byte().is_none() { Ok(()) } else { self.unexpected("after top-level value") }
    }
}
