//! Work that blocks, kept away from the event loop.

use super::error::{Error, Result};

/// Runs what blocks where it holds up nothing else.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|source| Error::Task { source })
}
