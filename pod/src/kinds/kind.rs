//! What every top-level object has.

use crate::kinds::ObjectMeta;
use crate::wire::record::Record;

/// A top-level kind of object.
pub trait Kind: Record + Clone + Default + PartialEq + std::fmt::Debug {
    /// What its `apiVersion` says.
    const API_VERSION: &'static str;
    /// What its `kind` says.
    const KIND: &'static str;

    /// Its metadata.
    fn metadata(&self) -> &ObjectMeta;

    /// Its metadata, to be changed.
    fn metadata_mut(&mut self) -> &mut ObjectMeta;

    /// What its fields `apiVersion` and `kind` say, which may be nothing.
    fn named(&self) -> [Option<&str>; 2];

    /// Has its fields `apiVersion` and `kind` say what it is.
    fn set_named(&mut self);

    /// The name, or the empty text.
    fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// The namespace, or the empty text.
    fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or_default()
    }
}
