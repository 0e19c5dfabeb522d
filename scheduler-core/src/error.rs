//! The error type.

/// What went wrong; the state is as it was before the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field of an object or of the profile holds what cannot be scheduled by.
    #[error("{field}: {value:?}: {reason}")]
    Invalid {
        /// Path of the field, as in `spec.containers[0].resources.requests[cpu]`.
        field: String,
        /// What it held.
        value: String,
        /// Why that is wrong.
        reason: String,
    },
    /// An object names another that was never applied, or was removed.
    #[error("no such {kind}: {name}")]
    NotFound {
        /// `node`, `pod`, `namespace`, ...
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Two pods have the same uid.
    #[error("pod {pod} has the uid {uid} of pod {holder}")]
    DuplicateUid {
        /// The pod that was applied.
        pod: String,
        /// The pod that has the uid.
        holder: String,
        /// The uid.
        uid: String,
    },
    /// The pod uses something that this scheduler does not decide.
    #[error("{field}: {feature} is not supported")]
    Unsupported {
        /// Path of the field.
        field: String,
        /// What it asks for.
        feature: &'static str,
    },
    /// More of something than the scheduler keeps.
    #[error("{field}: at most {limit} are kept")]
    LimitExceeded {
        /// What there is too much of.
        field: String,
        /// The limit.
        limit: usize,
    },
    /// The pod is not in the state that the call needs.
    #[error("pod {pod} is not {expected}")]
    WrongState {
        /// The pod.
        pod: String,
        /// `assumed`, `pending`, ...
        expected: &'static str,
    },
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn invalid(field: impl Into<String>, value: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), value: value.into(), reason: reason.into() }
    }

    /// The error with the path of its field put behind the path of what holds it.
    pub(crate) fn within(mut self, outer: impl std::fmt::Display) -> Self {
        match &mut self {
            Self::Invalid { field, .. } | Self::Unsupported { field, .. } | Self::LimitExceeded { field, .. } => {
                let dot = if field.is_empty() || field.starts_with('[') { "" } else { "." };
                *field = format!("{outer}{dot}{field}");
            }
            Self::NotFound { .. } | Self::DuplicateUid { .. } | Self::WrongState { .. } => {}
        }
        self
    }
}
