//! Records: what one table of fields says about a type, and the one way to read and write all of them.

use crate::error::{ProblemKind, Result};
use crate::quantity::Quantity;
use crate::wire::input::{Input, Wire};
use crate::wire::path::Segment;
use crate::wire::raw::{Raw, Unknown};
use crate::wire::reader::Reader;
use crate::wire::scalar::{Bytes, IntOrString};
use crate::wire::time::{MicroTime, Time};
use crate::wire::writer::{Style, Writer};

/// When Kubernetes itself writes a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presence {
    /// Always, also when it holds nothing.
    Always,
    /// Unless it holds nothing or the zero of its type.
    OmitZero,
    /// When it is set, also to the zero of its type.
    Pointer,
}

/// What a table says about one field.
#[derive(Debug, Clone, Copy)]
pub struct FieldInfo {
    /// The name in JSON and YAML.
    pub name: &'static str,
    /// The field number in protobuf; more than one where protobuf nests what JSON has inline.
    pub numbers: &'static [u32],
    /// When Kubernetes writes it.
    pub presence: Presence,
    /// The table of the record, or of the elements that are records, that it holds.
    pub element: fn() -> Option<&'static Shape>,
}

/// What a table says about a type.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The name of the type in Kubernetes.
    pub name: &'static str,
    /// The fields, sorted by name.
    pub fields: &'static [FieldInfo],
    /// How the name of each field begins.
    pub(crate) starts: &'static [u64],
    /// By the number in protobuf: one more than the index of the field, or [`NESTED`], or 0 for none.
    pub(crate) by_number: [u8; NUMBERS],
}

/// How many field numbers a type may have.
pub(crate) const NUMBERS: usize = 64;
/// Under this number protobuf has a message of fields that JSON has inline.
pub(crate) const NESTED: u8 = u8::MAX;

/// The first eight bytes of a name as a number: names are in the order of these as far as they go.
pub(crate) const fn start(name: &str) -> u64 {
    let name = name.as_bytes();
    if let Some(first) = name.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let (mut start, mut index) = (0, 0);
    while index < name.len() {
        start |= (name[index] as u64) << (56 - 8 * index);
        index += 1;
    }
    start
}

/// Turns field numbers into the index that [`Shape`] has.
pub(crate) const fn by_number(fields: &[&[u32]]) -> [u8; NUMBERS] {
    let mut table = [0; NUMBERS];
    let mut index = 0;
    while index < fields.len() {
        let numbers = fields[index];
        index += 1;
        #[expect(clippy::cast_possible_truncation, reason = "no type has 255 fields")]
        if numbers[0] != 0 {
            table[numbers[0] as usize] = if numbers.len() > 1 { NESTED } else { index as u8 };
        }
    }
    table
}

impl Shape {
    /// The index of a field; `hint` is where it probably is.
    fn find(&self, name: &str, hint: usize) -> Option<usize> {
        let start = start(name);
        let is_it = |index: usize| self.starts.get(index) == Some(&start) && self.fields[index].name == name;
        if is_it(hint) {
            return Some(hint);
        }
        // Names are compared only with the few that begin alike.
        let first = self.starts.partition_point(|other| *other < start);
        (first..self.starts.len()).take_while(|index| self.starts[*index] == start).find(|index| is_it(*index))
    }
}

/// A type whose fields a table describes.
///
/// All of them are public on the type itself; this is the view for code that works on any of them.
pub trait Record: 'static {
    /// What the table says about the type.
    fn of_type() -> &'static Shape
    where
        Self: Sized;

    /// What the table says.
    fn shape(&self) -> &'static Shape;

    /// The field at this index of [`Shape::fields`].
    ///
    /// # Panics
    /// When there is none.
    fn field(&self, index: usize) -> &dyn Value;

    /// The field at this index of [`Shape::fields`], to be changed.
    ///
    /// # Panics
    /// When there is none.
    fn field_mut(&mut self, index: usize) -> &mut dyn Value;

    /// The fields that the table does not have.
    fn unknown(&self) -> &Unknown;

    /// The fields that the table does not have, to be changed.
    fn unknown_mut(&mut self) -> &mut Unknown;
}

/// What a field holds, for code that works on any of them.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum View<'a> {
    /// Nothing.
    Unset,
    /// A flag.
    Bool(bool),
    /// A number of 32 bits.
    Int32(i32),
    /// A number of 64 bits.
    Int64(i64),
    /// A text.
    Text(&'a str),
    /// A number or a text.
    IntOrString(&'a IntOrString),
    /// An amount.
    Quantity(&'a Quantity),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A time.
    Time(Time),
    /// A time with microseconds.
    MicroTime(MicroTime),
    /// A value that is not understood.
    Raw(&'a Raw),
    /// A record.
    Record(&'a dyn Record),
    /// A list with something in it.
    List(&'a dyn Items),
    /// A map with something in it.
    Map(&'a dyn Entries),
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&json(*self))
    }
}

/// The elements of a list, for code that works on any.
pub trait Items {
    /// How many there are.
    fn count(&self) -> usize;

    /// The element at this index.
    ///
    /// # Panics
    /// When there is none.
    fn item(&self, index: usize) -> View<'_>;
}

/// The entries of a map, for code that works on any.
pub trait Entries {
    /// The keys and values, sorted by key.
    fn entries(&self) -> Vec<(&str, View<'_>)>;
}

/// The content of a field.
pub trait Value {
    /// What the field holds.
    fn view(&self) -> View<'_>;

    /// What a table says about the record, or the elements that are records, that such a field holds.
    fn element() -> Option<&'static Shape>
    where
        Self: Sized,
    {
        None
    }

    /// Takes the next value of the reader.
    #[doc(hidden)]
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<()>;

    /// Takes the next value of a protobuf message; a list grows by it.
    #[doc(hidden)]
    fn merge(&mut self, input: &mut Input<'_>, wire: Wire, presence: Presence) -> Result<()>;

    /// Writes the value, or the zero of its type when it is unset.
    #[doc(hidden)]
    fn write(&self, writer: &mut Writer);

    /// Holds nothing.
    fn is_unset(&self) -> bool;

    /// Holds nothing, or the zero of its type.
    fn is_zero(&self) -> bool {
        self.is_unset()
    }
}

/// Reads the fields of a record; a null leaves it as it is.
pub(crate) fn read(record: &mut dyn Record, reader: &mut Reader<'_>) -> Result<()> {
    if reader.take_null()? {
        return Ok(());
    }
    let shape = record.shape();
    reader.enter_map()?;
    let mut seen = 0u128;
    let mut hint = 0;
    while let Some(key) = reader.next_key()? {
        if let Some(index) = shape.find(&key, hint) {
            if seen & (1 << index) != 0 {
                reader.problem(&key, ProblemKind::DuplicateField);
            }
            seen |= 1 << index;
            hint = index + 1;
            reader.push(Segment::Field(shape.fields[index].name))?;
            record.field_mut(index).read(reader)?;
            reader.pop();
        } else {
            // One that stands twice is told once.
            if record.unknown().get(&key).is_none() {
                reader.problem(&key, ProblemKind::UnknownField);
            }
            let value = reader.raw()?;
            reader.charge(size_of::<(Box<str>, Raw)>())?;
            record.unknown_mut().insert(&key, value);
        }
    }
    Ok(())
}

/// Writes a record with the fields sorted by name, those of no table among them.
pub(crate) fn write(record: &dyn Record, writer: &mut Writer) {
    let type_meta = writer.take_type_meta();
    writer.begin_map();
    let mut unknown = record.unknown().iter().peekable();
    for (index, info) in record.shape().fields.iter().enumerate() {
        while let Some((name, value)) = unknown.next_if(|(name, _)| *name < info.name) {
            writer.key(name);
            writer.raw(value);
        }
        let field = record.field(index);
        let wanted = match (writer.style(), info.presence) {
            (Style::AsSet, _) | (Style::AsServed, Presence::Pointer) => !field.is_unset(),
            (Style::AsServed, Presence::Always) => true,
            (Style::AsServed, Presence::OmitZero) => !field.is_zero(),
        };
        if wanted {
            writer.key(info.name);
            field.write(writer);
        } else if let Some((api_version, kind)) = type_meta
            && let Some(name) =
                [("apiVersion", api_version), ("kind", kind)].iter().find(|(name, _)| *name == info.name)
        {
            writer.key(info.name);
            writer.string(name.1);
        }
    }
    for (name, value) in unknown {
        writer.key(name);
        writer.raw(value);
    }
    writer.end_map();
}

/// No field holds anything.
pub(crate) fn is_unset(record: &dyn Record) -> bool {
    record.unknown().is_empty() && (0..record.shape().fields.len()).all(|index| record.field(index).is_unset())
}

/// Prints a record as the JSON of what it holds.
pub(crate) fn debug(record: &dyn Record, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    let mut writer = Writer::json(Style::AsSet);
    write(record, &mut writer);
    write!(f, "{} {}", record.shape().name, writer.finish())
}

/// A value as JSON; nothing for an unset one.
pub(crate) fn json(view: View<'_>) -> String {
    let mut writer = Writer::json(Style::AsSet);
    write_view(view, &mut writer);
    writer.finish()
}

fn write_view(view: View<'_>, writer: &mut Writer) {
    match view {
        View::Unset => {}
        View::Bool(value) => writer.literal(if value { "true" } else { "false" }),
        View::Int32(value) => writer.literal(&value.to_string()),
        View::Int64(value) => writer.literal(&value.to_string()),
        View::Text(text) => writer.string(text),
        View::IntOrString(IntOrString::Int(value)) => writer.literal(&value.to_string()),
        View::IntOrString(IntOrString::String(text)) => writer.string(text),
        View::Quantity(amount) => writer.string(&amount.to_string()),
        View::Bytes(bytes) => writer.string(&Bytes(bytes.to_vec()).to_base64()),
        View::Time(time) => writer.string(&time.to_string()),
        View::MicroTime(time) => writer.string(&time.to_string()),
        View::Raw(raw) => writer.raw(raw),
        View::Record(record) => write(record, writer),
        View::List(items) => {
            writer.begin_list();
            for index in 0..items.count() {
                writer.item();
                write_view(items.item(index), writer);
            }
            writer.end_list();
        }
        View::Map(entries) => {
            writer.begin_map();
            for (key, value) in entries.entries() {
                writer.key(key);
                write_view(value, writer);
            }
            writer.end_map();
        }
    }
}
