//! Objects in Kubernetes' protobuf: a magic number, and the object in an envelope that names its kind.

use super::Object;
use crate::error::{Error, Result};
use crate::wire::input::Input;
use crate::wire::limits::Limits;
use crate::wire::message::{self, Output};
use crate::wire::record::Record;

/// What the bytes begin with.
const MAGIC: &[u8; 4] = b"k8s\0";

/// The object as Kubernetes' protobuf; fields that its kind does not have cannot be carried.
///
/// ```
/// use windlass_pod::{decode_protobuf, decode_yaml, encode_protobuf};
///
/// let object = decode_yaml(b"{apiVersion: v1, kind: Namespace, metadata: {name: a}}").unwrap().remove(0);
/// let bytes = encode_protobuf(&object);
/// assert_eq!(&bytes[..4], b"k8s\0");
/// assert_eq!(decode_protobuf(&bytes).unwrap().metadata().name.as_deref(), Some("a"));
/// ```
pub fn encode_protobuf(object: &Object) -> Vec<u8> {
    let mut raw = Output::default();
    raw.record(object.record());
    let raw = raw.finish();
    let mut out = Output::default();
    // From the end to the front: no content type, no encoding, the object, its kind.
    out.bytes(4, b"");
    out.bytes(3, b"");
    out.bytes(2, &raw);
    out.message(1, |out| {
        out.bytes(2, object.kind().as_bytes());
        out.bytes(1, object.api_version().as_bytes());
    });
    let mut bytes = MAGIC.to_vec();
    bytes.extend(out.finish());
    bytes
}

/// What an envelope holds.
struct Envelope<'a> {
    api_version: &'a str,
    kind: &'a str,
    raw: &'a [u8],
}

fn open<'a>(input: &mut Input<'a>) -> Result<Envelope<'a>> {
    let mut envelope = Envelope { api_version: "", kind: "", raw: &[] };
    while !input.is_empty() {
        let (number, wire) = input.key()?;
        match number {
            1 => input.within(wire, |input| {
                while !input.is_empty() {
                    let (number, wire) = input.key()?;
                    match number {
                        1 => envelope.api_version = input.text(wire)?,
                        2 => envelope.kind = input.text(wire)?,
                        _ => input.skip(wire)?,
                    }
                }
                Ok(())
            })?,
            2 => envelope.raw = input.bytes(wire)?,
            3 if !input.text(wire)?.is_empty() => return Err(input.error("the content is encoded once more")),
            3 => {}
            _ => input.skip(wire)?,
        }
    }
    Ok(envelope)
}

/// The object in an envelope, and the numbers of the fields that it does not have with where they stand in it.
pub(crate) fn envelope(bytes: &[u8], limits: Limits) -> Result<(Object, Vec<(u32, usize)>)> {
    if bytes.len() > limits.size {
        return Err(Error::LimitExceeded { limit: "size of the text in bytes", maximum: limits.size });
    }
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(Error::Protobuf {
            path: String::new(),
            offset: 0,
            reason: "the bytes do not begin as Kubernetes' protobuf does".to_owned(),
        });
    };
    let envelope = open(&mut Input::new(rest, limits))?;
    for (field, name) in [("apiVersion", envelope.api_version), ("kind", envelope.kind)] {
        if name.is_empty() {
            return Err(Error::KindMissing { field });
        }
    }
    let mut object = Object::empty(envelope.api_version, envelope.kind)?;
    let mut input = Input::new(envelope.raw, limits);
    let record: &mut dyn Record = object.record_mut();
    message::merge(record, &mut input)?;
    // What the envelope says of it, the other encodings say within the object.
    object.set_named();
    Ok((object, input.into_unknown()))
}
