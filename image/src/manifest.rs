//! Manifests: one image, its configuration and its layers.

use std::collections::BTreeMap;

use crate::descriptor::{Descriptor, read_media_type};
use crate::error::{Fault, Result};
use crate::json::{self, Object, Value};
use crate::limits::Limits;
use crate::media_type::MediaType;

const KIND: &str = "manifest";

/// An image manifest: the bytes as they are stored, and what they say.
///
/// The bytes are what the digest covers; nothing is ever written back from the parsed view, so fields that this
/// crate does not know survive.
///
/// # Source
/// OCI image specification, manifest; Docker image manifest version 2, schema 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    raw: Vec<u8>,
    media_type: MediaType,
    config: Descriptor,
    layers: Vec<Descriptor>,
    subject: Option<Descriptor>,
    artifact_type: Option<MediaType>,
    annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads a manifest whose media type is not known from elsewhere.
    ///
    /// # Errors
    /// As [`Manifest::parse_as`].
    pub fn parse(raw: impl Into<Vec<u8>>) -> Result<Self> {
        parse(raw.into(), None, &Limits::DEFAULT)
    }

    /// Reads a manifest that its descriptor or its transport calls `media_type`.
    ///
    /// # Errors
    /// A document beyond `limits`, one that is no manifest, one whose own `mediaType` differs from `media_type`, and
    /// one that an index's reader would read otherwise (`manifests` beside `layers`, duplicate keys).
    pub fn parse_as(raw: impl Into<Vec<u8>>, media_type: &MediaType, limits: &Limits) -> Result<Self> {
        parse(raw.into(), Some(media_type), limits)
    }

    /// Writes the manifest of an OCI image, canonical, and reads it back.
    pub fn build(config: &Descriptor, layers: &[Descriptor], annotations: &BTreeMap<String, String>) -> Result<Self> {
        let mut object = Object::default();
        object.set("schemaVersion", Value::number(2));
        object.set("mediaType", Value::text(MediaType::MANIFEST.to_string()));
        object.set("config", config.to_value());
        object.set("layers", Value::Array(layers.iter().map(Descriptor::to_value).collect()));
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

    /// The image's configuration.
    pub fn config(&self) -> &Descriptor {
        &self.config
    }

    /// The layers, bottom first.
    pub fn layers(&self) -> &[Descriptor] {
        &self.layers
    }

    /// The manifest that this one is about.
    pub fn subject(&self) -> Option<&Descriptor> {
        self.subject.as_ref()
    }

    /// The kind of artifact that the manifest describes, if it says so.
    pub fn artifact_type(&self) -> Option<&MediaType> {
        self.artifact_type.as_ref()
    }

    /// Free text by key.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }
}

fn parse(raw: Vec<u8>, expected: Option<&MediaType>, limits: &Limits) -> Result<Manifest> {
    let value = json::parse(KIND, &raw, limits)?;
    let mut manifest = read(&value, expected).map_err(|fault| fault.of(KIND))?;
    drop(value);
    manifest.raw = raw;
    Ok(manifest)
}

fn read(value: &Value<'_>, expected: Option<&MediaType>) -> std::result::Result<Manifest, Fault> {
    let object = value.object()?;
    let media_type = document_type(object, expected, MediaType::MANIFEST, MediaType::is_manifest)?;
    refuse(object, &["manifests", "fsLayers", "history", "signatures"])?;
    Ok(Manifest {
        raw: Vec::new(),
        media_type,
        config: object.required("config", Descriptor::read)?,
        layers: object.required("layers", |value| value.list(Descriptor::read))?,
        subject: object.optional("subject", Descriptor::read)?,
        artifact_type: object.optional("artifactType", read_media_type)?,
        annotations: object.or_default("annotations", Value::string_map)?,
    })
}

/// The one media type on which the document, its descriptor and its kind agree.
pub(crate) fn document_type(
    object: &Object<'_>,
    expected: Option<&MediaType>,
    default: MediaType,
    is_kind: fn(&MediaType) -> bool,
) -> std::result::Result<MediaType, Fault> {
    if object.required("schemaVersion", Value::unsigned)? != 2 {
        return Err(Fault::new("must be 2").within("schemaVersion"));
    }
    let own = object.optional("mediaType", read_media_type)?;
    let media_type = match (own, expected) {
        (Some(own), Some(expected)) if own != *expected => {
            return Err(Fault::new(format!("is {own}, but its descriptor says {expected}")).within("mediaType"));
        }
        (Some(own), _) => own,
        (None, Some(expected)) => expected.clone(),
        (None, None) => default,
    };
    if is_kind(&media_type) {
        Ok(media_type)
    } else {
        Err(Fault::new(format!("is {media_type}, which is another kind of document")).within("mediaType"))
    }
}

/// Fields of another kind of document: with them, two readers could see two different images.
pub(crate) fn refuse(object: &Object<'_>, keys: &[&str]) -> std::result::Result<(), Fault> {
    match keys.iter().find(|key| object.get(key).is_some()) {
        Some(key) => Err(Fault::new("belongs to another kind of document").within(key)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(media_type: &MediaType) -> String {
        String::from_utf8(json::canonical(&Descriptor::of(media_type.clone(), b"x").to_value())).unwrap()
    }

    fn sample(extra: &str) -> String {
        let config = descriptor(&MediaType::CONFIG);
        let layer = descriptor(&MediaType::LAYER);
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]{extra}}}"#)
    }

    #[test]
    fn unknown_fields_survive_because_the_bytes_do() {
        let text = sample(r#", "x-future": {"b": 1.50, "a": null}"#);
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(manifest.raw(), text.as_bytes());
        assert_eq!(manifest.descriptor().digest, crate::Digest::of(text.as_bytes()));
        assert_eq!(manifest.layers().len(), 1);
        assert_eq!(*manifest.media_type(), MediaType::MANIFEST);
    }

    #[test]
    fn confusion_is_refused() {
        for (text, message) in [
            (sample(r#","manifests":[]"#), "invalid manifest at manifests: belongs to another kind of document"),
            (sample(r#","manifests":null"#), "invalid manifest at manifests: belongs to another kind of document"),
            (sample(r#","fsLayers":[]"#), "invalid manifest at fsLayers: belongs to another kind of document"),
            (sample(r#","layers":[]"#), "invalid manifest at layers: occurs twice"),
            (
                sample(r#","mediaType":"application/vnd.oci.image.index.v1+json""#),
                "invalid manifest at mediaType: is application/vnd.oci.image.index.v1+json, \
                 which is another kind of document",
            ),
            (sample("").replace(":2", ":1"), "invalid manifest at schemaVersion: must be 2"),
            (sample("").replace("layers", "Layers"), "invalid manifest at layers: is missing"),
        ] {
            assert_eq!(Manifest::parse(text.clone()).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn the_descriptor_and_the_document_agree() {
        let docker = sample(&format!(r#","mediaType":"{}""#, MediaType::DOCKER_MANIFEST));
        let parse = |media_type: MediaType| Manifest::parse_as(docker.clone(), &media_type, &Limits::DEFAULT);
        assert!(parse(MediaType::DOCKER_MANIFEST).is_ok());
        let error = parse(MediaType::MANIFEST).unwrap_err().to_string();
        assert!(error.contains("but its descriptor says application/vnd.oci.image.manifest.v1+json"), "{error}");
    }

    #[test]
    fn what_is_built_is_canonical() {
        let config = Descriptor::of(MediaType::CONFIG, b"{}");
        let manifest = Manifest::build(&config, &[], &BTreeMap::new()).unwrap();
        let text = String::from_utf8(manifest.raw().to_vec()).unwrap();
        assert!(text.starts_with(r#"{"config":{"digest":"sha256:"#), "{text}");
        assert!(
            text.ends_with(
                r#""layers":[],"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}"#
            )
        );
    }
}
