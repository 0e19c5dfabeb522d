//! Waiting for what happens soon.

use std::time::{Duration, Instant};

/// How long anything may take that takes milliseconds on a quiet machine. Only a failing test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Waits for `ready` to give something, and panics with `what` when nothing comes.
pub(crate) fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(3));
    }
}
