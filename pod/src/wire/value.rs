//! How each type of field is read and written.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::quantity::Quantity;
use crate::wire::collection::{read_list, read_map, write_list, write_map};
use crate::wire::input::{Input, Wire};
use crate::wire::json::Lexer;
use crate::wire::limits::Limits;
use crate::wire::message;
use crate::wire::raw::Raw;
use crate::wire::reader::{Reader, Source};
use crate::wire::record::{self, Entries, Items, Presence, Record, Shape, Value, View};
use crate::wire::scalar::{Bytes, IntOrString};
use crate::wire::scalar_message::{int_or_string, merge_entry, quantity, timestamp};
use crate::wire::time::{MicroTime, Time};
use crate::wire::token::Kind;
use crate::wire::writer::Writer;

/// A value without fields of its own.
trait Scalar: Default {
    /// Takes the next value, which is not null.
    fn take(reader: &mut Reader<'_>) -> Result<Self>;
    fn put(&self, writer: &mut Writer);
    fn is_zero(&self) -> bool;
    fn view(&self) -> View<'_>;
    /// Takes the next value of a protobuf message; an empty time is none.
    fn decode(input: &mut Input<'_>, wire: Wire) -> Result<Option<Self>>;
    /// Writes what stands for an unset one.
    fn put_zero(writer: &mut Writer) {
        Self::default().put(writer);
    }
}

impl Scalar for String {
    fn view(&self) -> View<'_> {
        View::Text(self)
    }
    fn decode(input: &mut Input<'_>, wire: Wire) -> Result<Option<Self>> {
        input.text(wire).map(|text| Some(text.to_owned()))
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self> {
        reader.string().map(std::borrow::Cow::into_owned)
    }
    fn put(&self, writer: &mut Writer) {
        writer.string(self);
    }
    fn is_zero(&self) -> bool {
        self.is_empty()
    }
}

impl Scalar for bool {
    fn view(&self) -> View<'_> {
        View::Bool(*self)
    }
    fn decode(input: &mut Input<'_>, wire: Wire) -> Result<Option<Self>> {
        input.number(wire).map(|value| Some(value != 0))
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self> {
        reader.bool()
    }
    fn put(&self, writer: &mut Writer) {
        writer.literal(if *self { "true" } else { "false" });
    }
    fn is_zero(&self) -> bool {
        !self
    }
}

fn take_integer(reader: &mut Reader<'_>, bits: u32) -> Result<i64> {
    let place = reader.place();
    let text = reader.number()?;
    let value: Option<i64> = text.parse().ok();
    let range = if bits == 32 { i64::from(i32::MIN)..=i64::from(i32::MAX) } else { i64::MIN..=i64::MAX };
    value
        .filter(|value| range.contains(value))
        .ok_or_else(|| reader.field_error(place, format!("{text} is not an integer of {bits} bits")))
}

impl Scalar for i32 {
    fn view(&self) -> View<'_> {
        View::Int32(*self)
    }
    fn decode(input: &mut Input<'_>, wire: Wire) -> Result<Option<Self>> {
        let value = input.number(wire)?.cast_signed();
        Self::try_from(value).map(Some).map_err(|_| input.error(format!("{value} is not an integer of 32 bits")))
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self> {
        let value = take_integer(reader, 32)?;
        Ok(Self::try_from(value).expect("take_integer checked the range"))
    }
    fn put(&self, writer: &mut Writer) {
        writer.literal(&self.to_string());
    }
    fn is_zero(&self) -> bool {
        *self == 0
    }
}

impl Scalar for i64 {
    fn view(&self) -> View<'_> {
        View::Int64(*self)
    }
    fn decode(input: &mut Input<'_>, wire: Wire) -> Result<Option<Self>> {
        input.number(wire).map(|value| Some(value.cast_signed()))
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self> {
        take_integer(reader, 64)
    }
    fn put(&self, writer: &mut Writer) {
        writer.literal(&self.to_string());
    }
    fn is_zero(&self) -> bool {
        *self == 0
    }
}

impl Scalar for IntOrString {
    fn view(&self) -> View<'_> {
        View::IntOrString(self)
    }
    fn decode(input: &mut Input<'_>, wire: Wire) -> Result<Option<Self>> {
        int_or_string(input, wire).map(Some)
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self> {
        if reader.peek()? == Kind::String {
            String::take(reader).map(Self::String)
        } else {
            i32::take(reader).map(Self::Int)
        }
    }
    fn put(&self, writer: &mut Writer) {
        match self {
            Self::Int(value) => value.put(writer),
            Self::String(value) => writer.string(value),
        }
    }
    fn is_zero(&self) -> bool {
        *self == Self::Int(0)
    }
}

impl Scalar for Quantity {
    fn view(&self) -> View<'_> {
        View::Quantity(self)
    }
    fn decode(input: &mut Input<'_>, wire: Wire) -> Result<Option<Self>> {
        quantity(input, wire).map(Some)
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self> {
        let place = reader.place();
        let text = match reader.peek()? {
            Kind::Number => reader.number()?,
            Kind::String => reader.string()?,
            _ => return Err(reader.field_error(place, crate::quantity::ParseQuantityError::Format.to_string())),
        };
        text.trim_matches([' ', '\t', '\n', '\r'])
            .parse()
            .map_err(|error: crate::quantity::ParseQuantityError| reader.field_error(place, error.to_string()))
    }
    fn put(&self, writer: &mut Writer) {
        writer.string(&self.to_string());
    }
    fn is_zero(&self) -> bool {
        false
    }
}

impl Scalar for Bytes {
    fn view(&self) -> View<'_> {
        View::Bytes(&self.0)
    }
    fn decode(input: &mut Input<'_>, wire: Wire) -> Result<Option<Self>> {
        input.bytes(wire).map(|bytes| Some(Self(bytes.to_vec())))
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self> {
        let place = reader.place();
        let text = reader.string()?;
        Self::from_base64(&text)
            .map_err(|offset| reader.field_error(place, format!("illegal base64 data at input byte {offset}")))
    }
    fn put(&self, writer: &mut Writer) {
        writer.string(&self.to_base64());
    }
    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }
}

macro_rules! scalar_times {
    ($($time:ident: $from:expr),*) => { $(
        impl Scalar for $time {
            fn view(&self) -> View<'_> {
                View::$time(*self)
            }
            fn decode(input: &mut Input<'_>, wire: Wire) -> Result<Option<Self>> {
                Ok(timestamp(input, wire)?.map(|(seconds, nanos)| $from(seconds, nanos)))
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self> {
                let place = reader.place();
                let text = reader.string()?;
                text.parse().map_err(|error: crate::wire::time::ParseTimeError| reader.field_error(place, error.to_string()))
            }
            fn put(&self, writer: &mut Writer) {
                writer.string(&self.to_string());
            }
            fn is_zero(&self) -> bool {
                false
            }
            fn put_zero(writer: &mut Writer) {
                writer.literal("null");
            }
        }

        impl Default for $time {
            /// The start of 1970.
            fn default() -> Self {
                Self::since_epoch(std::time::Duration::ZERO)
            }
        }
    )* };
}
scalar_times!(
    Time: |seconds, _| Time::from_unix_seconds(seconds),
    MicroTime: |seconds, nanos| MicroTime::from_unix(seconds, nanos / 1000)
);

macro_rules! optional_scalars {
    ($($type:ty),*) => { $(
        impl Value for Option<$type> {
            fn view(&self) -> View<'_> {
                self.as_ref().map_or(View::Unset, Scalar::view)
            }
            fn read(&mut self, reader: &mut Reader<'_>) -> Result<()> {
                *self = if reader.take_null()? { None } else { Some(Scalar::take(reader)?) };
                Ok(())
            }
            fn write(&self, writer: &mut Writer) {
                match self {
                    Some(value) => value.put(writer),
                    None => <$type>::put_zero(writer),
                }
            }
            fn is_unset(&self) -> bool {
                self.is_none()
            }
            fn is_zero(&self) -> bool {
                self.as_ref().is_none_or(Scalar::is_zero)
            }
            fn merge(&mut self, input: &mut Input<'_>, wire: Wire, presence: Presence) -> Result<()> {
                // Kubernetes writes what is unset as the zero of its type where it cannot tell them apart.
                *self = <$type>::decode(input, wire)?
                    .filter(|value| presence == Presence::Pointer || !Scalar::is_zero(value));
                Ok(())
            }
        }
    )* };
}
optional_scalars!(String, bool, i32, i64, IntOrString, Quantity, Bytes, Time, MicroTime);

macro_rules! scalar_lists {
    ($($type:ty),*) => { $(
        impl Items for Vec<$type> {
            fn count(&self) -> usize {
                self.len()
            }
            fn item(&self, index: usize) -> View<'_> {
                self[index].view()
            }
        }

        impl Value for Vec<$type> {
            fn view(&self) -> View<'_> {
                if self.is_empty() { View::Unset } else { View::List(self) }
            }
            fn read(&mut self, reader: &mut Reader<'_>) -> Result<()> {
                read_list(self, reader, |value, reader| {
                    if !reader.take_null()? {
                        *value = Scalar::take(reader)?;
                    }
                    Ok(())
                })
            }
            fn write(&self, writer: &mut Writer) {
                write_list(self, writer, Scalar::put);
            }
            fn merge(&mut self, input: &mut Input<'_>, wire: Wire, _: Presence) -> Result<()> {
                let packed = wire == Wire::Bytes && !matches!(<$type>::default().view(), View::Text(_));
                if !packed {
                    input.element(self.len(), size_of::<$type>())?;
                    self.push(<$type>::decode(input, wire)?.unwrap_or_default());
                    return Ok(());
                }
                input.within(wire, |input| {
                    while !input.is_empty() {
                        input.count()?;
                        input.element(self.len(), size_of::<$type>())?;
                        self.push(<$type>::decode(input, Wire::Varint)?.unwrap_or_default());
                    }
                    Ok(())
                })
            }
            fn is_unset(&self) -> bool {
                self.is_empty()
            }
        }
    )* };
}
scalar_lists!(String, i32, i64);

macro_rules! scalar_maps {
    ($($type:ty),*) => { $(
        impl Entries for BTreeMap<String, $type> {
            fn entries(&self) -> Vec<(&str, View<'_>)> {
                self.iter().map(|(key, value)| (key.as_str(), value.view())).collect()
            }
        }

        impl Value for BTreeMap<String, $type> {
            fn view(&self) -> View<'_> {
                if self.is_empty() { View::Unset } else { View::Map(self) }
            }
            fn read(&mut self, reader: &mut Reader<'_>) -> Result<()> {
                read_map(self, reader, |value, reader| {
                    *value = if reader.take_null()? { Default::default() } else { Scalar::take(reader)? };
                    Ok(())
                })
            }
            fn write(&self, writer: &mut Writer) {
                write_map(self, writer, Scalar::put);
            }
            fn merge(&mut self, input: &mut Input<'_>, wire: Wire, _: Presence) -> Result<()> {
                merge_entry(self, input, wire, |value, input, wire| {
                    *value = <$type>::decode(input, wire)?.unwrap_or_default();
                    Ok(())
                })
            }
            fn is_unset(&self) -> bool {
                self.is_empty()
            }
        }
    )* };
}
scalar_maps!(String, Quantity, Bytes, Time);

impl Entries for BTreeMap<String, Vec<String>> {
    fn entries(&self) -> Vec<(&str, View<'_>)> {
        self.iter().map(|(key, value)| (key.as_str(), View::List(value))).collect()
    }
}

impl Value for BTreeMap<String, Vec<String>> {
    fn view(&self) -> View<'_> {
        if self.is_empty() { View::Unset } else { View::Map(self) }
    }
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        read_map(self, reader, Value::read)
    }
    fn write(&self, writer: &mut Writer) {
        write_map(self, writer, Value::write);
    }
    fn merge(&mut self, input: &mut Input<'_>, wire: Wire, _: Presence) -> Result<()> {
        // The value is a message whose first field is the list.
        merge_entry(self, input, wire, |list, input, wire| {
            input.within(wire, |input| {
                while !input.is_empty() {
                    let (number, wire) = input.key()?;
                    if number == 1 {
                        input.count()?;
                        input.element(list.len(), size_of::<String>())?;
                        list.push(input.text(wire)?.to_owned());
                    } else {
                        input.skip(wire)?;
                    }
                }
                Ok(())
            })
        })
    }
    fn is_unset(&self) -> bool {
        self.is_empty()
    }
}

impl Value for Option<Raw> {
    fn view(&self) -> View<'_> {
        self.as_ref().map_or(View::Unset, View::Raw)
    }
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        *self = if reader.take_null()? { None } else { Some(reader.raw()?) };
        Ok(())
    }
    fn write(&self, writer: &mut Writer) {
        match self {
            Some(value) => writer.raw(value),
            None => writer.literal("null"),
        }
    }
    fn merge(&mut self, input: &mut Input<'_>, wire: Wire, _: Presence) -> Result<()> {
        input.within(wire, |input| {
            while !input.is_empty() {
                let (number, wire) = input.key()?;
                if number != 1 {
                    input.skip(wire)?;
                    continue;
                }
                let text = input.text(wire)?;
                *self = None;
                if !text.is_empty() {
                    let mut reader = Reader::new(Source::Json(Lexer::new(text)), Limits::default(), text.len());
                    let value = reader.raw().and_then(|value| reader.end().map(|()| value));
                    *self =
                        Some(value.map_err(|error| input.error(error.to_string()))?).filter(|raw| raw.json() != "null");
                }
            }
            Ok(())
        })
    }
    fn is_unset(&self) -> bool {
        self.is_none()
    }
}

impl<T: Record> Value for T {
    fn view(&self) -> View<'_> {
        View::Record(self)
    }
    fn element() -> Option<&'static Shape> {
        Some(T::of_type())
    }
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        record::read(self, reader)
    }
    fn write(&self, writer: &mut Writer) {
        record::write(self, writer);
    }
    fn merge(&mut self, input: &mut Input<'_>, wire: Wire, _: Presence) -> Result<()> {
        input.within(wire, |input| message::merge(self, input))
    }
    fn is_unset(&self) -> bool {
        record::is_unset(self)
    }
}

impl<T: Record + Default> Value for Option<Box<T>> {
    fn view(&self) -> View<'_> {
        self.as_deref().map_or(View::Unset, |record| View::Record(record))
    }
    fn element() -> Option<&'static Shape> {
        Some(T::of_type())
    }
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        if reader.take_null()? {
            *self = None;
            return Ok(());
        }
        reader.charge(size_of::<T>())?;
        record::read(&mut **self.get_or_insert_default(), reader)
    }
    fn write(&self, writer: &mut Writer) {
        match self {
            Some(value) => record::write(&**value, writer),
            None => writer.literal("null"),
        }
    }
    fn merge(&mut self, input: &mut Input<'_>, wire: Wire, _: Presence) -> Result<()> {
        input.charge(size_of::<T>())?;
        let record = &mut **self.get_or_insert_default();
        input.within(wire, |input| message::merge(record, input))
    }
    fn is_unset(&self) -> bool {
        self.is_none()
    }
}

impl<T: Record + Default> Items for Vec<T> {
    fn count(&self) -> usize {
        self.len()
    }
    fn item(&self, index: usize) -> View<'_> {
        View::Record(&self[index])
    }
}

impl<T: Record + Default> Value for Vec<T> {
    fn view(&self) -> View<'_> {
        if self.is_empty() { View::Unset } else { View::List(self) }
    }
    fn element() -> Option<&'static Shape> {
        Some(T::of_type())
    }
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        read_list(self, reader, |value, reader| record::read(value, reader))
    }
    fn write(&self, writer: &mut Writer) {
        write_list(self, writer, |value, writer| record::write(value, writer));
    }
    fn merge(&mut self, input: &mut Input<'_>, wire: Wire, _: Presence) -> Result<()> {
        input.element(self.len(), size_of::<T>())?;
        self.push(T::default());
        let Some(record) = self.last_mut() else { return Ok(()) };
        input.within(wire, |input| message::merge(record, input))
    }
    fn is_unset(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Record + Default> Entries for BTreeMap<String, T> {
    fn entries(&self) -> Vec<(&str, View<'_>)> {
        self.iter().map(|(key, value)| (key.as_str(), View::Record(value))).collect()
    }
}

impl<T: Record + Default> Value for BTreeMap<String, T> {
    fn view(&self) -> View<'_> {
        if self.is_empty() { View::Unset } else { View::Map(self) }
    }
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        read_map(self, reader, |value, reader| record::read(value, reader))
    }
    fn write(&self, writer: &mut Writer) {
        write_map(self, writer, |value, writer| record::write(value, writer));
    }
    fn merge(&mut self, input: &mut Input<'_>, wire: Wire, _: Presence) -> Result<()> {
        merge_entry(self, input, wire, |value, input, wire| input.within(wire, |input| message::merge(value, input)))
    }
    fn is_unset(&self) -> bool {
        self.is_empty()
    }
}
