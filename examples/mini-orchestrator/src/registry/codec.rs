//! Objects as the bytes in the store.

use super::{Error, Resource, Result, Revision};

/// Reads an object and fills in the revision that wrote it.
pub(super) fn decode<R: Resource>(path: &str, bytes: &[u8], revision: Revision) -> Result<R> {
    let decoded = windlass_pod::decode_json_as(bytes);
    let mut object: R = decoded.map_err(|source| Error::Undecodable { path: path.to_owned(), source })?;
    object.metadata_mut().resource_version = Some(revision.to_string());
    Ok(object)
}

/// The bytes of an object; its `resourceVersion` is not one of its own.
pub(super) fn encode<R: Resource>(mut object: R) -> Vec<u8> {
    object.metadata_mut().resource_version = None;
    windlass_pod::encode_json(&object).into_bytes()
}

/// The revision that a read object says wrote it.
pub(super) fn revision<R: Resource>(object: &R) -> Option<Revision> {
    object.metadata().resource_version.as_deref()?.parse().ok().map(Revision)
}
