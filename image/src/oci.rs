//! Conversions to and from the types of `oci-spec`.
//!
//! What both can say converts without failing. Documents are read anew from their bytes: towards `oci-spec` unknown
//! fields are lost, and its types know no raw bytes, so that digests of what comes back are other ones.
//!
//! ```
//! use windlass_image::{Descriptor, MediaType};
//!
//! let own = Descriptor::of(MediaType::CONFIG, b"{}");
//! let theirs = oci_spec::image::Descriptor::from(&own);
//! assert_eq!(theirs.size(), 2);
//! assert_eq!(Descriptor::try_from(&theirs)?, own);
//! # Ok::<(), windlass_image::Error>(())
//! ```

use oci_spec::image as spec;

use crate::base64;
use crate::config::ImageConfig;
use crate::descriptor::Descriptor;
use crate::digest::{Digest, ParseDigestError};
use crate::error::{Error, Fault, Result};
use crate::index::Index;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::media_type::MediaType;
use crate::platform::Platform;

impl From<&Digest> for spec::Digest {
    fn from(digest: &Digest) -> Self {
        digest.to_string().parse().expect("a digest that exists is well formed")
    }
}

impl TryFrom<&spec::Digest> for Digest {
    type Error = ParseDigestError;

    fn try_from(digest: &spec::Digest) -> Result<Self, ParseDigestError> {
        Self::parse(digest.as_ref())
    }
}

impl From<&MediaType> for spec::MediaType {
    fn from(media_type: &MediaType) -> Self {
        Self::from(media_type.as_str())
    }
}

impl From<&spec::MediaType> for MediaType {
    fn from(media_type: &spec::MediaType) -> Self {
        Self::new(media_type.to_string())
    }
}

impl From<&Platform> for spec::Platform {
    fn from(platform: &Platform) -> Self {
        let mut made = Self::default();
        made.set_os(platform.os.as_str().into());
        made.set_architecture(platform.architecture.as_str().into());
        made.set_variant(platform.variant.clone());
        made.set_os_version(platform.os_version.clone());
        made.set_os_features(Some(platform.os_features.clone()).filter(|features| !features.is_empty()));
        made
    }
}

impl From<&spec::Platform> for Platform {
    fn from(platform: &spec::Platform) -> Self {
        Self {
            os: platform.os().to_string(),
            architecture: platform.architecture().to_string(),
            variant: platform.variant().clone(),
            os_version: platform.os_version().clone(),
            os_features: platform.os_features().clone().unwrap_or_default(),
        }
    }
}

impl From<&Descriptor> for spec::Descriptor {
    fn from(descriptor: &Descriptor) -> Self {
        let digest = spec::Digest::from(&descriptor.digest);
        let mut made = Self::new((&descriptor.media_type).into(), descriptor.size, digest);
        made.set_urls(Some(descriptor.urls.clone()).filter(|urls| !urls.is_empty()));
        let annotations = descriptor.annotations.clone().into_iter();
        made.set_annotations(Some(annotations.collect()).filter(|_| !descriptor.annotations.is_empty()));
        made.set_platform(descriptor.platform.as_ref().map(Into::into));
        made.set_artifact_type(descriptor.artifact_type.as_ref().map(Into::into));
        made.set_data(descriptor.data.as_deref().map(base64::encode));
        made
    }
}

impl TryFrom<&spec::Descriptor> for Descriptor {
    type Error = Error;

    fn try_from(descriptor: &spec::Descriptor) -> Result<Self> {
        let digest = Digest::try_from(descriptor.digest())?;
        let mut made = Self::new(descriptor.media_type().into(), digest, descriptor.size());
        made.urls = descriptor.urls().clone().unwrap_or_default();
        made.annotations = descriptor.annotations().clone().unwrap_or_default().into_iter().collect();
        made.platform = descriptor.platform().as_ref().map(Into::into);
        made.artifact_type = descriptor.artifact_type().as_ref().map(Into::into);
        if let Some(text) = descriptor.data() {
            let data = base64::decode(text).filter(|data| Self::of(made.media_type.clone(), data).size == made.size);
            made.data = Some(data.ok_or_else(|| Fault::new("is not the content").within("data").of("descriptor"))?);
        }
        Ok(made)
    }
}

/// Conversions of a document both ways.
macro_rules! document {
    ($own:ty, $theirs:ty, $kind:literal, $parse:expr) => {
        impl TryFrom<&$own> for $theirs {
            type Error = Error;

            fn try_from(document: &$own) -> Result<Self> {
                Self::from_reader(document.raw()).map_err(|error| Fault::new(error.to_string()).of($kind))
            }
        }

        impl TryFrom<&$theirs> for $own {
            type Error = Error;

            fn try_from(document: &$theirs) -> Result<Self> {
                let text = document.to_string().map_err(|error| Fault::new(error.to_string()).of($kind))?;
                $parse(text.into_bytes())
            }
        }
    };
}

document!(Manifest, spec::ImageManifest, "manifest", Manifest::parse);
document!(Index, spec::ImageIndex, "index", Index::parse);
document!(ImageConfig, spec::ImageConfiguration, "image configuration", |raw: Vec<u8>| ImageConfig::parse(
    raw,
    &Limits::DEFAULT
));

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Contents, Execution};

    #[test]
    fn what_both_can_say_comes_back() {
        let mut descriptor = Descriptor::of(MediaType::new("text/x"), b"data");
        descriptor.urls = vec!["https://r.example/x".into()];
        descriptor.annotations = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
        descriptor.data = Some(b"data".to_vec());
        descriptor.platform = Some(Platform {
            variant: Some("v8".into()),
            os_version: Some("1".into()),
            os_features: vec!["f".into()],
            ..Platform::linux("arm64")
        });
        descriptor.artifact_type = Some(MediaType::new("text/y"));
        let theirs = spec::Descriptor::from(&descriptor);
        assert_eq!(Descriptor::try_from(&theirs).unwrap(), descriptor);
        let mut wrong = theirs;
        wrong.set_data(Some("AAAA".into()));
        assert!(matches!(Descriptor::try_from(&wrong), Err(Error::Document { .. })));

        // Its JSON has neither the version nor the features of an operating system, whose keys hold a dot.
        descriptor.platform = Some(Platform::linux("arm64"));
        let plain = Descriptor::of(MediaType::LAYER_ZSTD, b"x");
        assert_eq!(spec::Descriptor::from(&plain).media_type(), &spec::MediaType::ImageLayerZstd);
        let manifest = Manifest::build(&descriptor, &[plain], &descriptor.annotations).unwrap();
        let theirs = spec::ImageManifest::try_from(&manifest).unwrap();
        let again = Manifest::try_from(&theirs).unwrap();
        assert_eq!((again.config(), again.layers()), (manifest.config(), manifest.layers()));
        assert_eq!(again.annotations(), manifest.annotations());

        let mut entry = manifest.descriptor();
        entry.platform = Some(Platform::linux("amd64"));
        let index = Index::build(&[entry], &BTreeMap::new()).unwrap();
        let theirs = spec::ImageIndex::try_from(&index).unwrap();
        assert_eq!(Index::try_from(&theirs).unwrap().manifests(), index.manifests());

        let contents = Contents {
            platform: Platform::linux("arm64"),
            execution: Execution { env: vec!["A=1".into()], entrypoint: vec!["/x".into()], ..Execution::default() },
            diff_ids: vec![Digest::of(b"y")],
            ..Contents::default()
        };
        let config = ImageConfig::build(&contents).unwrap();
        let theirs = spec::ImageConfiguration::try_from(&config).unwrap();
        assert_eq!(ImageConfig::try_from(&theirs).unwrap().contents(), &contents);
    }
}
