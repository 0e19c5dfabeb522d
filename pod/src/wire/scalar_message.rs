//! Scalars that protobuf carries as messages.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::quantity::Quantity;
use crate::wire::input::{Input, Wire};
use crate::wire::scalar::IntOrString;

/// An entry of a map is a message of its key and its value.
pub(super) fn merge_entry<T: Default>(
    map: &mut BTreeMap<String, T>,
    input: &mut Input<'_>,
    wire: Wire,
    mut take: impl FnMut(&mut T, &mut Input<'_>, Wire) -> Result<()>,
) -> Result<()> {
    let (key, value) = input.within(wire, |input| {
        let (mut key, mut value) = ("", T::default());
        while !input.is_empty() {
            let (number, wire) = input.key()?;
            match number {
                1 => key = input.text(wire)?,
                2 => take(&mut value, input, wire)?,
                _ => input.skip(wire)?,
            }
        }
        Ok((key.to_owned(), value))
    })?;
    input.entry(map.len(), size_of::<(String, T)>())?;
    map.insert(key, value);
    Ok(())
}

pub(super) fn int_or_string(input: &mut Input<'_>, wire: Wire) -> Result<IntOrString> {
    input.within(wire, |input| {
        let (mut is_text, mut number, mut text) = (false, 0, "");
        while !input.is_empty() {
            let (field, wire) = input.key()?;
            match field {
                1 => is_text = input.number(wire)? == 1,
                2 => {
                    let value = input.number(wire)?.cast_signed();
                    number = i32::try_from(value)
                        .map_err(|_| input.error(format!("{value} is not an integer of 32 bits")))?;
                }
                3 => text = input.text(wire)?,
                _ => input.skip(wire)?,
            }
        }
        Ok(if is_text { IntOrString::String(text.to_owned()) } else { IntOrString::Int(number) })
    })
}

pub(super) fn quantity(input: &mut Input<'_>, wire: Wire) -> Result<Quantity> {
    input.within(wire, |input| {
        let mut amount = Quantity::default();
        while !input.is_empty() {
            let (field, wire) = input.key()?;
            if field == 1 {
                let text = input.text(wire)?;
                amount = text
                    .parse()
                    .map_err(|error: crate::quantity::ParseQuantityError| input.error(error.to_string()))?;
            } else {
                input.skip(wire)?;
            }
        }
        Ok(amount)
    })
}

/// Seconds and nanoseconds; `None` for an empty message, which is no time.
pub(super) fn timestamp(input: &mut Input<'_>, wire: Wire) -> Result<Option<(i64, u32)>> {
    input.within(wire, |input| {
        if input.is_empty() {
            return Ok(None);
        }
        let (mut seconds, mut nanos) = (0, 0);
        while !input.is_empty() {
            let (field, wire) = input.key()?;
            match field {
                1 => seconds = input.number(wire)?.cast_signed(),
                2 => nanos = input.number(wire)?,
                _ => input.skip(wire)?,
            }
        }
        // The years 1 to 9999, which is what a time can be written with.
        let good = (-62_135_596_800..=253_402_300_799).contains(&seconds) && nanos < 1_000_000_000;
        match u32::try_from(nanos) {
            Ok(nanos) if good => Ok(Some((seconds, nanos))),
            _ => Err(input.error("the time is out of range")),
        }
    })
}
