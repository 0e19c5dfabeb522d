//! Records as protobuf messages.

use crate::error::{Error, Result};
use crate::wire::input::{Input, Wire};
use crate::wire::record::{NESTED, Presence, Record, View};
use crate::wire::scalar::IntOrString;

/// Reads the fields of a message into a record, over what it holds.
pub(crate) fn merge(record: &mut dyn Record, input: &mut Input<'_>) -> Result<()> {
    let shape = record.shape();
    while !input.is_empty() {
        let (number, wire) = input.key()?;
        match shape.by_number.get(number as usize).copied().unwrap_or(0) {
            0 => {
                input.note_unknown(number);
                input.skip(wire)?;
            }
            NESTED => input.within(wire, |input| merge_nested(record, number, input))?,
            index => {
                let index = usize::from(index) - 1;
                merge_field(record, index, input, wire)?;
            }
        }
    }
    Ok(())
}

fn merge_field(record: &mut dyn Record, index: usize, input: &mut Input<'_>, wire: Wire) -> Result<()> {
    let info = &record.shape().fields[index];
    input.count()?;
    record.field_mut(index).merge(input, wire, info.presence).map_err(|error| within(info.name, error))
}

/// Fields that JSON has inline and protobuf in a message of their own.
fn merge_nested(record: &mut dyn Record, outer: u32, input: &mut Input<'_>) -> Result<()> {
    let shape = record.shape();
    while !input.is_empty() {
        let (number, wire) = input.key()?;
        if let Some(index) = shape.fields.iter().position(|info| info.numbers == [outer, number]) {
            merge_field(record, index, input, wire)?;
        } else {
            input.note_unknown(number);
            input.skip(wire)?;
        }
    }
    Ok(())
}

/// The same error with one more step of the path.
fn within(field: &str, error: Error) -> Error {
    match error {
        Error::Protobuf { path, offset, reason } => {
            let path = if path.is_empty() { field.to_owned() } else { format!("{field}.{path}") };
            Error::Protobuf { path, offset, reason }
        }
        other => other,
    }
}

/// Bytes that are written from the end to the front, so that each length is known when it is written.
#[derive(Debug, Default)]
pub(crate) struct Output {
    reversed: Vec<u8>,
}

impl Output {
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.reversed.reverse();
        self.reversed
    }

    fn varint(&mut self, mut value: u64) {
        let mut bytes = [0; 10];
        let mut length = 0;
        loop {
            bytes[length] = value.to_le_bytes()[0] & 0x7f;
            value >>= 7;
            if value == 0 {
                break;
            }
            bytes[length] |= 0x80;
            length += 1;
        }
        self.reversed.extend(bytes[..=length].iter().rev());
    }

    fn key(&mut self, number: u32, wire: u64) {
        self.varint(u64::from(number) << 3 | wire);
    }

    pub(crate) fn number(&mut self, number: u32, value: i64) {
        self.varint(value.cast_unsigned());
        self.key(number, 0);
    }

    pub(crate) fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.reversed.extend(bytes.iter().rev());
        self.varint(bytes.len() as u64);
        self.key(number, 2);
    }

    pub(crate) fn message(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        let before = self.reversed.len();
        write(self);
        self.varint((self.reversed.len() - before) as u64);
        self.key(number, 2);
    }

    /// Writes the fields that are set.
    pub(crate) fn record(&mut self, record: &dyn Record) {
        let fields = record.shape().fields;
        for (index, info) in fields.iter().enumerate().rev() {
            match info.numbers {
                [0] => {}
                [number] => self.field(*number, record, index),
                [outer, _] => {
                    // The first of those that share the message writes all of them.
                    let is_first = fields[..index].iter().all(|other| !shares(other.numbers, *outer));
                    let is_set =
                        |index: &usize| shares(fields[*index].numbers, *outer) && !record.field(*index).is_unset();
                    if is_first && (index..fields.len()).any(|index| is_set(&index)) {
                        self.message(*outer, |output| {
                            for index in (index..fields.len()).rev().filter(is_set) {
                                output.field(fields[index].numbers[1], record, index);
                            }
                        });
                    }
                }
                _ => {}
            }
        }
    }

    fn field(&mut self, number: u32, record: &dyn Record, index: usize) {
        let field = record.field(index);
        let pointer = record.shape().fields[index].presence == Presence::Pointer;
        if pointer || !field.is_unset() {
            self.view(number, field.view());
        }
    }

    fn view(&mut self, number: u32, view: View<'_>) {
        match view {
            View::Unset => {}
            View::Bool(value) => self.number(number, value.into()),
            View::Int32(value) => self.number(number, value.into()),
            View::Int64(value) => self.number(number, value),
            View::Text(text) => self.bytes(number, text.as_bytes()),
            View::Bytes(bytes) => self.bytes(number, bytes),
            View::Quantity(amount) => self.message(number, |output| output.bytes(1, amount.to_string().as_bytes())),
            View::IntOrString(IntOrString::Int(value)) => self.message(number, |output| {
                output.number(2, (*value).into());
                output.number(1, 0);
            }),
            View::IntOrString(IntOrString::String(text)) => self.message(number, |output| {
                output.bytes(3, text.as_bytes());
                output.number(1, 1);
            }),
            View::Time(time) => self.message(number, |output| {
                output.number(2, 0);
                output.number(1, time.unix_seconds());
            }),
            View::MicroTime(time) => self.message(number, |output| {
                output.number(2, i64::from(time.subsec_micros()) * 1000);
                output.number(1, time.unix_seconds());
            }),
            View::Raw(raw) => self.message(number, |output| output.bytes(1, raw.json().as_bytes())),
            View::Record(record) => self.message(number, |output| output.record(record)),
            View::List(items) => {
                for index in (0..items.count()).rev() {
                    self.view(number, items.item(index));
                }
            }
            View::Map(entries) => {
                for (key, value) in entries.entries().into_iter().rev() {
                    self.message(number, |output| {
                        match value {
                            // A list as a value is a message of its own.
                            View::List(_) => output.message(2, |output| output.view(1, value)),
                            value => output.view(2, value),
                        }
                        output.bytes(1, key.as_bytes());
                    });
                }
            }
        }
    }
}

fn shares(numbers: &[u32], outer: u32) -> bool {
    matches!(numbers, [own, _] if *own == outer)
}
