//! Texts that may be unset.

/// Reads an unset text as the empty one, as Kubernetes does.
pub(crate) trait Text {
    /// The text, or the empty one.
    fn text(&self) -> &str;
}

impl Text for Option<String> {
    fn text(&self) -> &str {
        self.as_deref().unwrap_or_default()
    }
}
