//! Media types: what kind of content a blob is.

use std::borrow::Cow;
use std::fmt;

/// A media type; an unknown one is kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType(Cow<'static, str>);

/// All that have a name here, the frequent ones first.
static KNOWN: [MediaType; 13] = [
    MediaType::LAYER_GZIP,
    MediaType::DOCKER_LAYER_GZIP,
    MediaType::LAYER_ZSTD,
    MediaType::LAYER,
    MediaType::MANIFEST,
    MediaType::CONFIG,
    MediaType::INDEX,
    MediaType::DOCKER_MANIFEST,
    MediaType::DOCKER_CONFIG,
    MediaType::DOCKER_INDEX,
    MediaType::DOCKER_LAYER,
    MediaType::DOCKER_LAYER_ZSTD,
    MediaType::EMPTY,
];

impl MediaType {
    /// An OCI image manifest.
    pub const MANIFEST: Self = Self::known("application/vnd.oci.image.manifest.v1+json");
    /// An OCI image index.
    pub const INDEX: Self = Self::known("application/vnd.oci.image.index.v1+json");
    /// An OCI image configuration.
    pub const CONFIG: Self = Self::known("application/vnd.oci.image.config.v1+json");
    /// An uncompressed layer.
    pub const LAYER: Self = Self::known("application/vnd.oci.image.layer.v1.tar");
    /// A layer compressed with gzip.
    pub const LAYER_GZIP: Self = Self::known("application/vnd.oci.image.layer.v1.tar+gzip");
    /// A layer compressed with zstd.
    pub const LAYER_ZSTD: Self = Self::known("application/vnd.oci.image.layer.v1.tar+zstd");
    /// The empty JSON object, as the configuration of what is no image.
    pub const EMPTY: Self = Self::known("application/vnd.oci.empty.v1+json");
    /// A Docker manifest, schema 2.
    pub const DOCKER_MANIFEST: Self = Self::known("application/vnd.docker.distribution.manifest.v2+json");
    /// A Docker manifest list.
    pub const DOCKER_INDEX: Self = Self::known("application/vnd.docker.distribution.manifest.list.v2+json");
    /// A Docker image configuration.
    pub const DOCKER_CONFIG: Self = Self::known("application/vnd.docker.container.image.v1+json");
    /// A Docker layer, uncompressed.
    pub const DOCKER_LAYER: Self = Self::known("application/vnd.docker.image.rootfs.diff.tar");
    /// A Docker layer compressed with gzip.
    pub const DOCKER_LAYER_GZIP: Self = Self::known("application/vnd.docker.image.rootfs.diff.tar.gzip");
    /// A Docker layer compressed with zstd.
    pub const DOCKER_LAYER_ZSTD: Self = Self::known("application/vnd.docker.image.rootfs.diff.tar.zstd");

    const fn known(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// Keeps any text as a media type.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Cow::Owned(text.into()))
    }

    /// The type that a document names; those that are known need no memory.
    pub(crate) fn read(text: &str) -> Self {
        let known = KNOWN.iter().find(|known| known.as_str() == text);
        known.cloned().unwrap_or_else(|| Self::new(text))
    }

    /// The type as it is written in documents.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is an image manifest, of OCI or Docker schema 2.
    pub fn is_manifest(&self) -> bool {
        *self == Self::MANIFEST || *self == Self::DOCKER_MANIFEST
    }

    /// Whether this is an index, of OCI or Docker.
    pub fn is_index(&self) -> bool {
        *self == Self::INDEX || *self == Self::DOCKER_INDEX
    }

    /// Whether this is an image configuration, of OCI or Docker.
    pub fn is_config(&self) -> bool {
        *self == Self::CONFIG || *self == Self::DOCKER_CONFIG
    }

    /// How a layer of this type is compressed; `None` for what is no layer.
    pub fn layer_codec(&self) -> Option<Codec> {
        // Layers that may not be redistributed differ in name only.
        let text = self.0.replace(".nondistributable.", ".");
        Some(match text.as_str() {
            "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => Codec::None,
            "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => Codec::Gzip,
            "application/vnd.oci.image.layer.v1.tar+zstd" | "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
                Codec::Zstd
            }
            _ => return None,
        })
    }

    /// The type of an OCI layer compressed with `codec`.
    pub const fn layer(codec: Codec) -> Self {
        match codec {
            Codec::None => Self::LAYER,
            Codec::Gzip => Self::LAYER_GZIP,
            Codec::Zstd => Self::LAYER_ZSTD,
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not at all.
    None,
    /// gzip, RFC 1952; several members in a row are one stream.
    Gzip,
    /// Zstandard, RFC 8878; several frames in a row are one stream.
    Zstd,
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "uncompressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_say_how_they_are_compressed() {
        for codec in [Codec::None, Codec::Gzip, Codec::Zstd] {
            assert_eq!(MediaType::layer(codec).layer_codec(), Some(codec));
        }
        let foreign = MediaType::new("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
        assert_eq!(foreign.layer_codec(), Some(Codec::Gzip));
        assert_eq!(MediaType::CONFIG.layer_codec(), None);
        assert_eq!(MediaType::new("text/plain").layer_codec(), None);
    }

    #[test]
    fn an_owned_text_equals_the_constant() {
        for known in KNOWN.clone() {
            assert_eq!(MediaType::new(known.as_str()), known);
            assert!(matches!(MediaType::read(known.as_str()).0, Cow::Borrowed(text) if text == known.as_str()));
        }
        assert_eq!(MediaType::read("text/plain").as_str(), "text/plain");
    }
}
