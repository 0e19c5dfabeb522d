//! Indexes: one name, an image for each platform.

use std::collections::BTreeMap;

use crate::descriptor::{Descriptor, read_media_type};
use crate::error::{Fault, Result};
use crate::json::{self, Object, Value};
use crate::limits::Limits;
use crate::manifest::{document_type, refuse};
use crate::media_type::MediaType;
use crate::platform::Platform;

const KIND: &str = "index";

/// An image index or a Docker manifest list: the bytes as they are stored, and what they say.
///
/// # Source
/// OCI image specification, image index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    raw: Vec<u8>,
    media_type: MediaType,
    manifests: Vec<Descriptor>,
    subject: Option<Descriptor>,
    artifact_type: Option<MediaType>,
    annotations: BTreeMap<String, String>,
}

impl Index {
    /// Reads an index whose media type is not known from elsewhere.
    ///
    /// # Errors
    /// As [`Index::parse_as`].
    pub fn parse(raw: impl Into<Vec<u8>>) -> Result<Self> {
        parse(raw.into(), None, &Limits::DEFAULT)
    }

    /// Reads an index that its descriptor or its transport calls `media_type`.
    ///
    /// # Errors
    /// A document beyond `limits`, one that is no index, one whose own `mediaType` differs from `media_type`, and one
    /// that a manifest's reader would read otherwise (`config` or `layers` beside `manifests`, duplicate keys).
    pub fn parse_as(raw: impl Into<Vec<u8>>, media_type: &MediaType, limits: &Limits) -> Result<Self> {
        parse(raw.into(), Some(media_type), limits)
    }

    /// Writes an OCI index, canonical, and reads it back.
    pub fn build(manifests: &[Descriptor], annotations: &BTreeMap<String, String>) -> Result<Self> {
        let mut object = Object::default();
        object.set("schemaVersion", Value::number(2));
        object.set("mediaType", Value::text(MediaType::INDEX.to_string()));
        object.set("manifests", Value::Array(manifests.iter().map(Descriptor::to_value).collect()));
        if !annotations.is_empty() {
            object.set("annotations", Value::map(annotations));
        }
        Self::parse(json::canonical(&Value::Object(object)))
    }

    /// The document as it is stored.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The descriptor of the document itself.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(self.media_type.clone(), &self.raw)
    }

    /// The document's media type.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// The manifests and further indexes, in order.
    pub fn manifests(&self) -> &[Descriptor] {
        &self.manifests
    }

    /// The manifest that this index is about.
    pub fn subject(&self) -> Option<&Descriptor> {
        self.subject.as_ref()
    }

    /// The kind of artifact, if the index says so.
    pub fn artifact_type(&self) -> Option<&MediaType> {
        self.artifact_type.as_ref()
    }

    /// Free text by key.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// The entry that runs best on `host`; the first of equals.
    ///
    /// An entry that says nothing about its platform is taken only if it is the only one.
    pub fn select(&self, host: &Platform) -> Option<&Descriptor> {
        if let [only] = self.manifests.as_slice()
            && only.platform.is_none()
        {
            return Some(only);
        }
        let ranked = self.manifests.iter().filter_map(|entry| Some((entry.platform.as_ref()?.rank_on(host)?, entry)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, entry)| entry)
    }
}

fn parse(raw: Vec<u8>, expected: Option<&MediaType>, limits: &Limits) -> Result<Index> {
    let value = json::parse(KIND, &raw, limits)?;
    let mut index = read(&value, expected).map_err(|fault| fault.of(KIND))?;
    drop(value);
    index.raw = raw;
    Ok(index)
}

fn read(value: &Value<'_>, expected: Option<&MediaType>) -> std::result::Result<Index, Fault> {
    let object = value.object()?;
    let media_type = document_type(object, expected, MediaType::INDEX, MediaType::is_index)?;
    refuse(object, &["layers", "config", "fsLayers", "history", "signatures"])?;
    Ok(Index {
        raw: Vec::new(),
        media_type,
        // Go's encoder writes an index without entries as `null`.
        manifests: match object.get("manifests") {
            None => return Err(Fault::new("is missing").within("manifests")),
            Some(_) => object.or_default("manifests", |value| value.list(Descriptor::read))?,
        },
        subject: object.optional("subject", Descriptor::read)?,
        artifact_type: object.optional("artifactType", read_media_type)?,
        annotations: object.or_default("annotations", Value::string_map)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(content: &[u8], platform: Option<&str>) -> Descriptor {
        Descriptor { platform: platform.map(Platform::linux), ..Descriptor::of(MediaType::MANIFEST, content) }
    }

    #[test]
    fn selection_never_guesses() {
        let host = Platform::linux("arm64");
        let select = |entries: &[Descriptor]| {
            let index = Index::build(entries, &BTreeMap::new()).unwrap();
            index.select(&host).map(|entry| entry.digest)
        };
        let (arm, amd, unsaid) = (entry(b"1", Some("arm64")), entry(b"2", Some("amd64")), entry(b"3", None));
        assert_eq!(select(&[amd.clone(), arm.clone(), unsaid.clone()]), Some(arm.digest));
        assert_eq!(select(std::slice::from_ref(&amd)), None);
        assert_eq!(select(std::slice::from_ref(&unsaid)), Some(unsaid.digest));
        assert_eq!(select(&[unsaid, amd]), None);
        assert_eq!(select(&[]), None);
    }

    #[test]
    fn confusion_is_refused() {
        for (text, message) in [
            (r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, "layers: belongs to another kind of document"),
            (r#"{"schemaVersion":2,"manifests":[],"config":{}}"#, "config: belongs to another kind of document"),
            (r#"{"schemaVersion":2}"#, "manifests: is missing"),
            (r#"{"schemaVersion":2,"manifests":[{}]}"#, "manifests[0].digest: is missing"),
            (r#"{"schemaVersion":2,"schemaVersion":2,"manifests":[]}"#, "schemaVersion: occurs twice"),
        ] {
            let error = Index::parse(text).unwrap_err().to_string();
            assert_eq!(error, format!("invalid index at {message}"), "{text}");
        }
        assert!(Index::parse(r#"{"schemaVersion":2,"manifests":null}"#).is_ok());
    }
}
