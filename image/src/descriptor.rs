//! Descriptors: what content is, how long it is and what it hashes to.

use std::collections::BTreeMap;

use crate::base64;
use crate::digest::Digest;
use crate::error::Fault;
use crate::json::{Object, Value};
use crate::media_type::MediaType;
use crate::platform::Platform;

/// A typed, sized link to content.
///
/// # Source
/// OCI image specification, descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Descriptor {
    /// What the content is.
    pub media_type: MediaType,
    /// What it hashes to.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Where else the content may be fetched; never followed unless asked.
    pub urls: Vec<String>,
    /// Free text by key.
    pub annotations: BTreeMap<String, String>,
    /// The content itself, when it is embedded; checked against `digest` and `size` when it was read.
    pub data: Option<Vec<u8>>,
    /// What an image behind this descriptor runs on.
    pub platform: Option<Platform>,
    /// The kind of artifact, when the content is the manifest of one.
    pub artifact_type: Option<MediaType>,
}

/// The annotation that names an entry of a layout's index.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

impl Descriptor {
    /// A descriptor with nothing but what each must have.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            platform: None,
            artifact_type: None,
        }
    }

    /// The descriptor of `content`.
    pub fn of(media_type: MediaType, content: &[u8]) -> Self {
        Self::new(media_type, Digest::of(content), content.len() as u64)
    }

    /// The name that a layout's index gives this entry.
    pub fn ref_name(&self) -> Option<&str> {
        self.annotations.get(REF_NAME).map(String::as_str)
    }

    pub(crate) fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let object = value.object()?;
        let digest = object.required("digest", read_digest)?;
        let size = object.required("size", Value::unsigned)?;
        Ok(Self {
            media_type: object.required("mediaType", read_media_type)?,
            digest,
            size,
            urls: object.or_default("urls", |value| value.list(Value::owned))?,
            annotations: object.or_default("annotations", Value::string_map)?,
            data: object.optional("data", |value| read_data(value, &digest, size))?,
            platform: object.optional("platform", Platform::read)?,
            artifact_type: object.optional("artifactType", read_media_type)?,
        })
    }

    pub(crate) fn to_value(&self) -> Value<'static> {
        let mut object = Object::default();
        object.set("mediaType", Value::text(self.media_type.to_string()));
        object.set("digest", Value::text(self.digest.to_string()));
        object.set("size", Value::number(self.size));
        if !self.urls.is_empty() {
            object.set("urls", Value::strings(&self.urls));
        }
        if !self.annotations.is_empty() {
            object.set("annotations", Value::map(&self.annotations));
        }
        if let Some(data) = &self.data {
            object.set("data", Value::text(base64::encode(data)));
        }
        if let Some(platform) = &self.platform {
            let mut members = Object::default();
            platform.write(&mut members);
            object.set("platform", Value::Object(members));
        }
        if let Some(kind) = &self.artifact_type {
            object.set("artifactType", Value::text(kind.to_string()));
        }
        Value::Object(object)
    }
}

pub(crate) fn read_digest(value: &Value<'_>) -> Result<Digest, Fault> {
    Digest::parse(value.string()?).map_err(|error| Fault::new(error.to_string()))
}

pub(crate) fn read_media_type(value: &Value<'_>) -> Result<MediaType, Fault> {
    match value.string()? {
        "" => Err(Fault::new("is empty")),
        text => Ok(MediaType::read(text)),
    }
}

fn read_data(value: &Value<'_>, digest: &Digest, size: u64) -> Result<Vec<u8>, Fault> {
    let data = base64::decode(value.string()?).ok_or_else(|| Fault::new("is not base64"))?;
    let mut hasher = crate::digest::Hasher::new(digest.algorithm());
    hasher.update(&data);
    if data.len() as u64 != size || hasher.finish() != *digest {
        return Err(Fault::new("is not the content of this descriptor"));
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::Limits;

    fn read(text: &str) -> Result<Descriptor, Fault> {
        Descriptor::read(&crate::json::parse("test", text.as_bytes(), &Limits::DEFAULT).unwrap())
    }

    fn sample(extra: &str) -> String {
        let digest = Digest::of(b"foo");
        format!(r#"{{"mediaType":"text/plain","digest":"{digest}","size":3{extra}}}"#)
    }

    #[test]
    fn embedded_data_must_be_the_content() {
        assert_eq!(read(&sample(r#","data":"Zm9v""#)).unwrap().data.as_deref(), Some(&b"foo"[..]));
        for data in ["Zm9w", "Zm9vZm9v", "Zm9", "Zm9*", "===="] {
            let fault = read(&sample(&format!(r#","data":"{data}""#))).unwrap_err();
            assert_eq!(fault.path(), "data", "{data}");
        }
    }

    #[test]
    fn wrong_fields_are_named() {
        for (text, message) in [
            ("[]", "must be an object, is an array"),
            ("{}", "digest: is missing"),
            (r#"{"digest":"sha256:x"}"#, "digest: digest \"sha256:x\" has the wrong length for its algorithm"),
            (&sample(r#","platform":{"os":1}"#), "platform.os: must be a string, is a number"),
            (&sample(r#","annotations":{"a":[]}"#), "annotations.a: must be a string, is an array"),
            (&sample(r#","urls":["a",2]"#), "urls[1]: must be a string, is a number"),
            (&sample("").replace(":3", ":-3"), "size: must be a whole number from 0 to 2^64-1"),
            (&sample("").replace("text/plain", ""), "mediaType: is empty"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), message, "{text}");
        }
        assert!(read(&sample(r#","urls":null,"platform":null"#)).is_ok());
    }

    proptest! {
        #[test]
        fn reading_inverts_writing(
            content: Vec<u8>, embed: bool, name: Option<String>, variant in prop::option::of("[a-z]{1,3}"),
            features: Vec<String>,
        ) {
            let mut descriptor = Descriptor::of(MediaType::MANIFEST, &content);
            descriptor.data = embed.then_some(content);
            descriptor.annotations.extend(name.map(|name| (REF_NAME.into(), name)));
            descriptor.platform =
                Some(Platform { variant, os_features: features, ..Platform::linux("amd64") });
            let text = crate::json::canonical(&descriptor.to_value());
            let value = crate::json::parse("test", &text, &Limits::DEFAULT).unwrap();
            prop_assert_eq!(Descriptor::read(&value).unwrap(), descriptor);
        }
    }
}
