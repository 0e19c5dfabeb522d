//! Bytes in the encoding of protobuf, read from the front.

use crate::error::{Error, Result};
use crate::wire::limits::{Budget, Limits};

/// How the bytes of a field are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// A number.
    Varint,
    /// Eight bytes.
    Fixed64,
    /// A length and as many bytes.
    Bytes,
    /// Four bytes.
    Fixed32,
}

/// What is left of a message; what it holds is counted.
#[derive(Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
    /// How far the bytes are from the start of the whole.
    offset: usize,
    budget: Budget,
    /// The field numbers that no table has, with where they stand.
    unknown: Vec<(u32, usize)>,
}

/// How many unknown fields are noted; a message with more is not worth the memory.
const UNKNOWN_MAX: usize = 1000;

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8], limits: Limits) -> Self {
        Self { bytes, offset: 0, budget: Budget::new(limits, bytes.len()), unknown: Vec::new() }
    }

    pub(crate) fn error(&self, reason: impl Into<String>) -> Error {
        Error::Protobuf { path: String::new(), offset: self.offset, reason: reason.into() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn note_unknown(&mut self, number: u32) {
        if self.unknown.len() < UNKNOWN_MAX {
            self.unknown.push((number, self.offset));
        }
    }

    pub(crate) fn into_unknown(self) -> Vec<(u32, usize)> {
        self.unknown
    }

    /// Counts one more value.
    pub(crate) fn count(&mut self) -> Result<()> {
        self.budget.count()
    }

    /// Checks a list that is about to have one more element of this size.
    pub(crate) fn element(&mut self, length: usize, size: usize) -> Result<()> {
        self.budget.element(length, size)
    }

    /// Checks a map that is about to have one more entry of this size.
    pub(crate) fn entry(&mut self, length: usize, size: usize) -> Result<()> {
        self.budget.entry(length, size)
    }

    /// Counts memory that is about to be taken.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<()> {
        self.budget.charge(bytes)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.bytes.split_at_checked(length) else {
            return Err(self.error("unexpected end of the message"));
        };
        self.bytes = rest;
        self.offset += length;
        Ok(taken)
    }

    pub(crate) fn varint(&mut self) -> Result<u64> {
        if let Some((byte, rest)) = self.bytes.split_first()
            && *byte < 0x80
        {
            self.bytes = rest;
            self.offset += 1;
            return Ok((*byte).into());
        }
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.error("a number has more than 64 bits"))
    }

    /// The number and layout of the next field.
    pub(crate) fn key(&mut self) -> Result<(u32, Wire)> {
        let key = self.varint()?;
        let wire = match key & 7 {
            0 => Wire::Varint,
            1 => Wire::Fixed64,
            2 => Wire::Bytes,
            5 => Wire::Fixed32,
            other => return Err(self.error(format!("wire type {other} is not known"))),
        };
        match u32::try_from(key >> 3) {
            Ok(number) if number > 0 => Ok((number, wire)),
            _ => Err(self.error("the number of a field is out of range")),
        }
    }

    /// What stands before it as its length says.
    pub(crate) fn bytes(&mut self, wire: Wire) -> Result<&'a [u8]> {
        if wire != Wire::Bytes {
            return Err(self.error("expected bytes"));
        }
        let length = self.varint()?;
        let length = usize::try_from(length).map_err(|_| self.error("a length is out of range"))?;
        self.take(length)
    }

    pub(crate) fn text(&mut self, wire: Wire) -> Result<&'a str> {
        let bytes = self.bytes(wire)?;
        self.budget.scalar(bytes.len())?;
        std::str::from_utf8(bytes).map_err(|_| self.error("a text is not UTF-8"))
    }

    pub(crate) fn number(&mut self, wire: Wire) -> Result<u64> {
        if wire == Wire::Varint { self.varint() } else { Err(self.error("expected a number")) }
    }

    pub(crate) fn skip(&mut self, wire: Wire) -> Result<()> {
        match wire {
            Wire::Varint => self.varint().map(|_| ()),
            Wire::Fixed64 => self.take(8).map(|_| ()),
            Wire::Fixed32 => self.take(4).map(|_| ()),
            Wire::Bytes => self.bytes(wire).map(|_| ()),
        }
    }

    /// Reads a message within this one; the depth is that of the schema.
    pub(crate) fn within<T>(&mut self, wire: Wire, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let inner = self.bytes(wire)?;
        let rest = std::mem::replace(&mut self.bytes, inner);
        let end = self.offset;
        self.offset -= inner.len();
        let value = read(self)?;
        self.bytes = rest;
        self.offset = end;
        Ok(value)
    }
}
