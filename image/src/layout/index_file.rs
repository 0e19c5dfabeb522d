//! Changes to a layout's index that keep whatever else it holds.

use crate::descriptor::{Descriptor, REF_NAME};
use crate::error::{Error, Fault, Result};
use crate::json::{self, Object, Value};
use crate::limits::Limits;

const NAME_LENGTH_MAX: usize = 512;

/// The index as a tree, so that entries and fields which nobody here knows stay.
#[derive(Debug)]
pub(super) struct IndexFile<'a> {
    members: Object<'a>,
    entries: Vec<Value<'a>>,
}

/// Names as the specification's grammar allows them, and the brackets of IPv6 registries.
pub(super) fn check_name(name: &str) -> Result<()> {
    let reason = match name {
        "" => "is empty",
        _ if name.len() > NAME_LENGTH_MAX => "is longer than 512 bytes",
        _ if !name.bytes().all(|byte| byte.is_ascii_graphic()) => "has other than visible ASCII characters",
        _ => return Ok(()),
    };
    Err(Error::Invalid { field: "name of an image", value: name.to_owned(), reason })
}

impl<'a> IndexFile<'a> {
    pub(super) fn parse(raw: &'a [u8], limits: &Limits) -> Result<Self> {
        let fault = |fault: Fault| fault.of("index");
        let Value::Object(mut members) = json::parse("index", raw, limits)? else {
            return Err(fault(Fault::new("must be an object")));
        };
        let entries = match members.get_mut("manifests").map(|value| std::mem::replace(value, Value::Null)) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(_) => return Err(fault(Fault::new("must be an array").within("manifests"))),
        };
        Ok(Self { members, entries })
    }

    pub(super) fn tag(&mut self, name: &str, descriptor: &Descriptor) {
        self.entries.retain(|entry| name_of(entry) != Some(name));
        let mut descriptor = descriptor.clone();
        descriptor.annotations.insert(REF_NAME.to_owned(), name.to_owned());
        // An entry that has no name yet is given this one; the same image under another name is another entry.
        let digest = descriptor.digest.to_string();
        self.entries.retain(|entry| name_of(entry).is_some() || digest_of(entry) != Some(&digest));
        self.entries.push(descriptor.to_value());
    }

    pub(super) fn untag(&mut self, name: &str) -> Result<()> {
        let before = self.entries.len();
        self.entries.retain(|entry| name_of(entry) != Some(name));
        if self.entries.len() < before { Ok(()) } else { Err(Error::NotFound { object: format!("image {name}") }) }
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.members.set("manifests", Value::Array(self.entries));
        json::compact(&Value::Object(self.members))
    }
}

fn name_of<'v>(entry: &'v Value<'_>) -> Option<&'v str> {
    entry.object().ok()?.get("annotations")?.object().ok()?.get(REF_NAME)?.string().ok()
}

fn digest_of<'v>(entry: &'v Value<'_>) -> Option<&'v str> {
    entry.object().ok()?.get("digest")?.string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::MediaType;

    #[test]
    fn what_is_not_known_stays() {
        let other = r#"{"mediaType":"x/y","digest":"sha256:0","size":1e2,"x-new":[1.50]}"#;
        let raw = format!(r#"{{"schemaVersion":2,"x-top":{{"b":1,"a":2}},"manifests":[{other}]}}"#);
        let mut index = IndexFile::parse(raw.as_bytes(), &Limits::DEFAULT).unwrap();
        let descriptor = Descriptor::of(MediaType::MANIFEST, b"1");
        index.tag("a", &descriptor);
        index.tag("b", &descriptor);
        index.tag("a", &Descriptor::of(MediaType::MANIFEST, b"2"));
        index.untag("b").unwrap();
        assert!(matches!(index.untag("b"), Err(Error::NotFound { .. })));
        let text = String::from_utf8(index.into_bytes()).unwrap();
        assert!(text.starts_with(&raw[..raw.len() - 2]), "{text}");
        assert_eq!(text.matches(REF_NAME).count(), 1, "{text}");
    }

    #[test]
    fn names() {
        for name in ["a", "docker.io/library/a:1@sha256:00", "[::1]:5000/a:latest"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "a b", "a\n", "ü", &"a".repeat(513)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
