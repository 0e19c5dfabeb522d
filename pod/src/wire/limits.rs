//! What a decoder takes at the most.

use crate::error::{Error, Result};

/// Bounds on what a decoder reads; beyond one of them it stops with [`Error::LimitExceeded`](crate::Error::LimitExceeded).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The length of the text, in bytes.
    pub size: usize,
    /// How deep maps and lists nest.
    pub depth: usize,
    /// How many values a text holds, those that YAML aliases repeat counted each time.
    pub values: usize,
    /// How many elements a list or a map has.
    pub elements: usize,
    /// The length of a key or a scalar, in bytes.
    pub scalar: usize,
    /// How many anchors a YAML stream has.
    pub anchors: usize,
    /// How many times as large as the text the objects may be in memory, [`Limits::ROOM`] bytes aside; two bytes of
    /// protobuf can stand for a container, which has room for all its fields.
    pub growth: usize,
}

impl Limits {
    /// What the objects may take in memory however short the text is, in bytes.
    pub const ROOM: usize = 1 << 20;
}

impl Default for Limits {
    /// 3 MiB as the Kubernetes API server takes, 128 deep, 100,000 values, any of them as long as there is room; 1,000
    /// anchors, and eight times the text in memory.
    fn default() -> Self {
        Self {
            size: 3 << 20,
            depth: 128,
            values: 100_000,
            elements: 100_000,
            scalar: 3 << 20,
            anchors: 1000,
            growth: 8,
        }
    }
}

/// What is left of the [`Limits`] while a text is read.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Limits,
    values: usize,
    memory: usize,
    memory_max: usize,
}

impl Budget {
    /// For a text of this many bytes.
    pub(crate) fn new(limits: Limits, size: usize) -> Self {
        let memory_max = size.saturating_mul(limits.growth).saturating_add(Limits::ROOM);
        Self { limits, values: 0, memory: 0, memory_max }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many values there were.
    pub(crate) fn values(&self) -> usize {
        self.values
    }

    /// Goes back to a number of values, because they are read again.
    pub(crate) fn set_values(&mut self, values: usize) {
        self.values = values;
    }

    /// How much memory was counted.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Counts one more value.
    pub(crate) fn count(&mut self) -> Result<()> {
        self.values += 1;
        at_most("number of values", self.values, self.limits.values)
    }

    /// Checks a key or a scalar, which is about to be kept.
    pub(crate) fn scalar(&mut self, length: usize) -> Result<()> {
        at_most("length of a scalar in bytes", length, self.limits.scalar)?;
        self.charge(length)
    }

    /// Checks a list that is about to have one more element of this size: a list takes room for some, and for as many
    /// again whenever that is used up.
    pub(crate) fn element(&mut self, length: usize, size: usize) -> Result<()> {
        at_most("number of elements", length + 1, self.limits.elements)?;
        let first = if size <= 1024 { 4 } else { 1 };
        match length {
            0 => self.charge(first * size),
            _ if length >= first && length.is_power_of_two() => self.charge(length.saturating_mul(size)),
            _ => Ok(()),
        }
    }

    /// Checks a map that is about to have one more entry of this size; the nodes of a map are half empty at the worst.
    pub(crate) fn entry(&mut self, length: usize, size: usize) -> Result<()> {
        at_most("number of elements", length + 1, self.limits.elements)?;
        self.charge(2 * size)
    }

    /// Counts memory that is about to be taken.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<()> {
        self.memory = self.memory.saturating_add(bytes);
        at_most("memory of the objects in bytes", self.memory, self.memory_max)
    }
}

/// Refuses what is beyond a limit.
pub(crate) fn at_most(limit: &'static str, value: usize, maximum: usize) -> Result<()> {
    if value > maximum { Err(Error::LimitExceeded { limit, maximum }) } else { Ok(()) }
}
