//! Patches: JSON patch, merge patch, and the strategic merge patch of Kubernetes.
//!
//! ```
//! use windlass_pod::decode_yaml;
//! use windlass_pod::patch::{self, PatchKind};
//!
//! let text = b"{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: web, image: a}]}}";
//! let pod = decode_yaml(text).unwrap().remove(0);
//! let patch = br#"{"spec":{"containers":[{"name":"web","image":"b"}]}}"#;
//! let patched = patch::apply(&pod, PatchKind::Strategic, patch).unwrap();
//! assert!(patched.encode_json().contains(r#""image":"b""#));
//! ```

mod json;
mod merge;
mod order;
pub(crate) mod schema;
mod strategic;

use crate::error::Error;
use crate::object::Object;
use crate::wire::limits::Limits;
use crate::wire::record::Shape;
use crate::wire::tree::Tree;

/// The kinds of patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PatchKind {
    /// A list of operations, after RFC 6902.
    Json,
    /// What is to be different, after RFC 7386.
    Merge,
    /// What is to be different, with lists merged by the keys of their elements.
    Strategic,
}

/// Why a patch cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The patch is not JSON, or what comes of it is no object of the kind.
    #[error(transparent)]
    Decode(#[from] Error),
    /// It names what is not there.
    #[error("{0}: missing value")]
    Missing(String),
    /// It names an element of a list that cannot be.
    #[error("{0}: invalid index referenced")]
    Index(String),
    /// What it asks to be there is not.
    #[error("testing value {0} failed: test failed")]
    TestFailed(String),
    /// It is no patch of its kind.
    #[error("{0}")]
    Invalid(String),
}

/// The object that comes of a patch.
///
/// # Errors
/// [`PatchError`] says what is wrong with the patch.
pub fn apply(object: &Object, kind: PatchKind, patch: &[u8]) -> Result<Object, PatchError> {
    let document = object.encode_json();
    let result = patched(&document, kind, patch, Some(object.record().shape()))?;
    Ok(crate::decode_json(result.as_bytes())?)
}

/// The JSON document that comes of a patch; `api_version` and `kind` say how its lists are merged.
///
/// # Errors
/// [`PatchError`] says what is wrong with the patch.
pub fn apply_to_json(
    document: &str,
    api_version: &str,
    kind: &str,
    patch_kind: PatchKind,
    patch: &[u8],
) -> Result<String, PatchError> {
    let shape = Object::empty(api_version, kind)?.record().shape();
    patched(document, patch_kind, patch, Some(shape))
}

fn patched(document: &str, kind: PatchKind, patch: &[u8], shape: Option<&'static Shape>) -> Result<String, PatchError> {
    let maximum = Limits::default().size;
    if patch.len() > maximum {
        return Err(Error::LimitExceeded { limit: "size of the text in bytes", maximum }.into());
    }
    let document = Tree::parse(document)?;
    let text = std::str::from_utf8(patch).map_err(|_| PatchError::Invalid("the patch is not UTF-8".to_owned()))?;
    let patch = Tree::parse(text)?;
    let result = match kind {
        PatchKind::Json => json::apply(document, patch)?,
        PatchKind::Merge => merge::apply(document, patch)?,
        PatchKind::Strategic => strategic::apply(document, patch, shape)?,
    };
    Ok(result.to_json())
}
