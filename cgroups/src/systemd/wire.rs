//! The messages of D-Bus: values, how they lie in a message, and its header.
//!
//! Source: the D-Bus specification, sections "Type System" and "Message Protocol".

/// A value in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Byte(u8),
    Bool(bool),
    U32(u32),
    U64(u64),
    Text(String),
    Path(String),
    Signature(String),
    /// The signature of an element, and the elements.
    Array(&'static str, Vec<Value>),
    Struct(Vec<Value>),
    Variant(Box<Value>),
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WireError(pub(crate) &'static str);

pub(crate) type Result<T> = std::result::Result<T, WireError>;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    Return,
    Failure,
    Signal,
}

/// A message, of whose header only those fields are kept that this client looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) serial: u32,
    pub(crate) reply_to: Option<u32>,
    pub(crate) path: Option<String>,
    pub(crate) interface: Option<String>,
    pub(crate) member: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) destination: Option<String>,
    pub(crate) body: Vec<Value>,
}

/// A message may be so long; the specification allows more, and nothing that this client asks for is near it.
pub(crate) const LENGTH_MAX: usize = 1 << 20;
/// The part of a header that tells how long the message is.
pub(crate) const FIXED: usize = 16;
const NESTED_MAX: usize = 16;

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn signature(&self) -> String {
        match self {
            Self::Byte(_) => "y".to_owned(),
            Self::Bool(_) => "b".to_owned(),
            Self::U32(_) => "u".to_owned(),
            Self::U64(_) => "t".to_owned(),
            Self::Text(_) => "s".to_owned(),
            Self::Path(_) => "o".to_owned(),
            Self::Signature(_) => "g".to_owned(),
            Self::Array(element, _) => format!("a{element}"),
            Self::Struct(fields) => format!("({})", fields.iter().map(Self::signature).collect::<String>()),
            Self::Variant(_) => "v".to_owned(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Byte(byte) => out.push(*byte),
            Self::Bool(set) => Self::U32(u32::from(*set)).write(out),
            Self::U32(number) => {
                pad(out, 4);
                out.extend(number.to_le_bytes());
            }
            Self::U64(number) => {
                pad(out, 8);
                out.extend(number.to_le_bytes());
            }
            Self::Text(text) | Self::Path(text) => {
                length(text.len()).write(out);
                out.extend(text.as_bytes());
                out.push(0);
            }
            Self::Signature(text) => write_signature(text, out),
            Self::Array(element, values) => {
                length(0).write(out);
                let at = out.len() - 4;
                pad(out, alignment(element.as_bytes().first().copied()));
                let start = out.len();
                for value in values {
                    value.write(out);
                }
                let Self::U32(written) = length(out.len() - start) else { return };
                out[at..at + 4].copy_from_slice(&written.to_le_bytes());
            }
            Self::Struct(fields) => {
                pad(out, 8);
                for field in fields {
                    field.write(out);
                }
            }
            Self::Variant(value) => {
                write_signature(&value.signature(), out);
                value.write(out);
            }
        }
    }
}

fn length(length: usize) -> Value {
    // Nothing that is written is nearly as long.
    Value::U32(u32::try_from(length).unwrap_or(u32::MAX))
}

fn write_signature(text: &str, out: &mut Vec<u8>) {
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend(text.as_bytes());
    out.push(0);
}

fn pad(out: &mut Vec<u8>, alignment: usize) {
    out.resize(out.len().next_multiple_of(alignment), 0);
}

fn alignment(code: Option<u8>) -> usize {
    match code {
        Some(b'y' | b'g' | b'v') => 1,
        Some(b'n' | b'q') => 2,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        _ => 4,
    }
}

impl Message {
    /// A call of a method.
    pub(crate) fn call(destination: &str, path: &str, interface: &str, member: &str, body: Vec<Value>) -> Self {
        Self {
            kind: Kind::Call,
            serial: 0,
            reply_to: None,
            path: Some(path.to_owned()),
            interface: Some(interface.to_owned()),
            member: Some(member.to_owned()),
            error: None,
            destination: Some(destination.to_owned()),
            body,
        }
    }

    /// The bytes of the message.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for value in &self.body {
            value.write(&mut body);
        }
        let signature: String = self.body.iter().map(Value::signature).collect();
        let text = |code, text: &Option<String>| text.clone().map(|text| (code, Value::Text(text)));
        let fields = [
            self.path.clone().map(|path| (1, Value::Path(path))),
            text(2, &self.interface),
            text(3, &self.member),
            text(4, &self.error),
            self.reply_to.map(|serial| (5, Value::U32(serial))),
            text(6, &self.destination),
            (!signature.is_empty()).then_some((8, Value::Signature(signature))),
        ];
        let field = |(code, value)| Value::Struct(vec![Value::Byte(code), Value::Variant(Box::new(value))]);
        let kind = match self.kind {
            Kind::Call => 1,
            Kind::Return => 2,
            Kind::Failure => 3,
            Kind::Signal => 4,
        };
        let mut out = vec![b'l', kind, 0, 1];
        length(body.len()).write(&mut out);
        Value::U32(self.serial).write(&mut out);
        Value::Array("(yv)", fields.into_iter().flatten().map(field).collect()).write(&mut out);
        pad(&mut out, 8);
        out.extend(body);
        out
    }

    /// How long the message is that starts so.
    pub(crate) fn length(fixed: &[u8; FIXED]) -> Result<usize> {
        let mut reader = Reader::new(fixed)?;
        reader.at = 4;
        let body = reader.number()?;
        reader.at = 12;
        let fields = reader.number()?;
        let whole = (FIXED + fields).next_multiple_of(8) + body;
        if whole > LENGTH_MAX { Err(WireError("a message is too long")) } else { Ok(whole) }
    }

    /// Reads a message.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes)?;
        let kind = match bytes.get(1) {
            Some(1) => Kind::Call,
            Some(2) => Kind::Return,
            Some(3) => Kind::Failure,
            Some(4) => Kind::Signal,
            _ => return Err(WireError("a kind of message is expected")),
        };
        reader.at = 8;
        let serial = reader.u32()?;
        let mut message = Self {
            kind,
            serial,
            reply_to: None,
            path: None,
            interface: None,
            member: None,
            error: None,
            destination: None,
            body: Vec::new(),
        };
        let mut signature = String::new();
        let end = reader.number()? + FIXED;
        while reader.at < end {
            reader.align(8)?;
            let code = reader.byte()?;
            match (code, reader.variant(0)?) {
                (1, Value::Path(path)) => message.path = Some(path),
                (2, Value::Text(text)) => message.interface = Some(text),
                (3, Value::Text(text)) => message.member = Some(text),
                (4, Value::Text(text)) => message.error = Some(text),
                (5, Value::U32(serial)) => message.reply_to = Some(serial),
                (6, Value::Text(text)) => message.destination = Some(text),
                (8, Value::Signature(text)) => signature = text,
                _ => {}
            }
        }
        reader.align(8)?;
        let mut types = signature.as_bytes();
        while !types.is_empty() {
            message.body.push(reader.value(&mut types, 0)?);
        }
        Ok(message)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    little: bool,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self> {
        match bytes.first() {
            Some(b'l') => Ok(Self { bytes, at: 0, little: true }),
            Some(b'B') => Ok(Self { bytes, at: 0, little: false }),
            _ => Err(WireError("a byte order is expected")),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(length).ok_or(WireError("a length is too great"))?;
        let taken = self.bytes.get(self.at..end).ok_or(WireError("a message ends early"))?;
        self.at = end;
        Ok(taken)
    }

    fn align(&mut self, alignment: usize) -> Result<()> {
        let padding = self.at.next_multiple_of(alignment) - self.at;
        self.take(padding).map(drop)
    }

    fn byte(&mut self) -> Result<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.align(N)?;
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        if !self.little {
            bytes.reverse();
        }
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.fixed().map(u32::from_le_bytes)
    }

    /// A length.
    fn number(&mut self) -> Result<usize> {
        let number = self.u32()? as usize;
        if number > LENGTH_MAX { Err(WireError("a length is too great")) } else { Ok(number) }
    }

    fn text(&mut self, length: usize) -> Result<String> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| WireError("a text is expected"))?.to_owned();
        if self.byte()? == 0 { Ok(text) } else { Err(WireError("a text ends in zero")) }
    }

    fn signature(&mut self) -> Result<String> {
        let length = usize::from(self.byte()?);
        self.text(length)
    }

    fn variant(&mut self, depth: usize) -> Result<Value> {
        let signature = self.signature()?;
        let mut types = signature.as_bytes();
        let value = self.value(&mut types, depth + 1)?;
        if types.is_empty() { Ok(value) } else { Err(WireError("a variant has one value")) }
    }

    /// The next value; `types` is left with those that follow it.
    fn value(&mut self, types: &mut &[u8], depth: usize) -> Result<Value> {
        if depth > NESTED_MAX {
            return Err(WireError("values are nested too deep"));
        }
        let (code, rest) = types.split_first().ok_or(WireError("a type is missing"))?;
        *types = rest;
        match code {
            b'y' => self.byte().map(Value::Byte),
            b'b' => self.u32().map(|number| Value::Bool(number != 0)),
            b'u' | b'i' | b'h' => self.u32().map(Value::U32),
            b'n' | b'q' => self.fixed().map(u16::from_le_bytes).map(|number| Value::U32(number.into())),
            b't' | b'x' | b'd' => self.fixed().map(u64::from_le_bytes).map(Value::U64),
            b's' | b'o' => {
                let length = self.number()?;
                let text = self.text(length)?;
                Ok(if *code == b's' { Value::Text(text) } else { Value::Path(text) })
            }
            b'g' => self.signature().map(Value::Signature),
            b'v' => self.variant(depth).map(|value| Value::Variant(Box::new(value))),
            b'(' | b'{' => {
                let close = if *code == b'(' { b')' } else { b'}' };
                self.align(8)?;
                let mut fields = Vec::new();
                while types.first() != Some(&close) {
                    fields.push(self.value(types, depth + 1)?);
                }
                *types = &types[1..];
                Ok(Value::Struct(fields))
            }
            b'a' => {
                let length = self.number()?;
                self.align(alignment(types.first().copied()))?;
                let end = self.at + length;
                let element = *types;
                skip(types, depth + 1)?;
                let mut values = Vec::new();
                while self.at < end {
                    let (before, mut element) = (self.at, element);
                    values.push(self.value(&mut element, depth + 1)?);
                    if self.at == before {
                        return Err(WireError("an element has no length"));
                    }
                }
                // What the elements are is not asked of an array that was read.
                Ok(Value::Array("", values))
            }
            _ => Err(WireError("an unknown type")),
        }
    }
}

/// Leaves out one whole type.
fn skip(types: &mut &[u8], depth: usize) -> Result<()> {
    if depth > NESTED_MAX {
        return Err(WireError("types are nested too deep"));
    }
    let (code, rest) = types.split_first().ok_or(WireError("a type is missing"))?;
    *types = rest;
    match code {
        b'a' => skip(types, depth + 1),
        b'(' | b'{' => {
            while !matches!(types.first(), Some(b')' | b'}')) {
                skip(types, depth + 1)?;
            }
            *types = &types[1..];
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_has_the_bytes_of_the_specification() {
        let mut message = Message::call("a.b", "/p", "a.b", "M", vec![Value::text("x")]);
        message.serial = 7;
        let expected: &[u8] = b"l\x01\0\x01\x06\0\0\0\x07\0\0\0\x47\0\0\0\
            \x01\x01o\0\x02\0\0\0/p\0\0\0\0\0\0\
            \x02\x01s\0\x03\0\0\0a.b\0\0\0\0\0\
            \x03\x01s\0\x01\0\0\0M\0\0\0\0\0\0\0\
            \x06\x01s\0\x03\0\0\0a.b\0\0\0\0\0\
            \x08\x01g\0\x01s\0\0\
            \x01\0\0\0x\0";
        let bytes = message.encode();
        let mut fixed = [0; FIXED];
        fixed.copy_from_slice(&bytes[..FIXED]);
        assert_eq!(Message::length(&fixed), Ok(bytes.len()));
        assert_eq!(Message::decode(&bytes), Ok(message));
        assert_eq!(bytes, expected);
    }

    #[test]
    fn nested_values_are_read_as_they_were_written() {
        let body = vec![
            Value::Bool(true),
            Value::Struct(vec![Value::Byte(1), Value::U64(2), Value::Path("/x".to_owned())]),
            Value::Variant(Box::new(Value::Struct(vec![Value::U32(5), Value::text("y")]))),
        ];
        let message = Message::call("a.b", "/", "a.b", "M", body);
        assert_eq!(Message::decode(&message.encode()), Ok(message));
        let pairs = Value::Array(
            "(sv)",
            vec![Value::Struct(vec![
                Value::text("PIDs"),
                Value::Variant(Box::new(Value::Array("u", vec![Value::U32(1), Value::U32(2)]))),
            ])],
        );
        let read = Message::decode(
            &Message::call("a.b", "/", "a.b", "M", vec![pairs, Value::Array("(sa(sv))", vec![])]).encode(),
        )
        .unwrap();
        let Value::Array(_, elements) = &read.body[0] else { panic!("{read:?}") };
        let Value::Struct(fields) = &elements[0] else { panic!("{read:?}") };
        assert_eq!(fields[0], Value::text("PIDs"));
        let numbers = Value::Array("", vec![Value::U32(1), Value::U32(2)]);
        assert_eq!(fields[1], Value::Variant(Box::new(numbers)));
        assert_eq!(read.body[1], Value::Array("", vec![]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), at: usize, to: u8) {
            drop(Message::decode(&bytes));
            let whole = Message::call("a.b", "/p", "a.b", "M", vec![Value::Array("(sv)", vec![Value::Struct(vec![
                Value::text("a"), Value::Variant(Box::new(Value::U64(1)))])])]);
            let mut damaged = whole.encode();
            let place = at % damaged.len();
            damaged[place] = to;
            drop(Message::decode(&damaged));
            bytes.insert(0, b'l');
            drop(Message::decode(&bytes));
        }
    }
}
