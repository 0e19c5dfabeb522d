//! Stacks of layers that a build looks into: each is there until it is mounted, and longer only where a build was killed.

use windlass_overlay::{Error, View};

use crate::windlass::create;
use crate::windlass::failure::Failure;
use crate::windlass::home::Home;
use crate::windlass::identity::Identity;

const PREFIX: &str = "build-";

/// A name for a view of this process.
pub(super) fn key() -> Result<String, Failure> {
    let own = Identity::of(std::process::id()).ok_or_else(|| Failure::new("this process is not in /proc"))?;
    Ok(format!("{PREFIX}{}-{}", own.mark(), create::new_id()?))
}

/// Removes the views of builds that were killed; their names.
pub(in crate::windlass) fn prune(home: &Home) -> Result<Vec<String>, Failure> {
    let mut removed = Vec::new();
    for key in home.layers.snapshots().map_err(Failure::during("list the writable layers"))? {
        let mark = key.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once('-'));
        if mark.is_none_or(|(mark, _)| Identity::is_marked_alive(mark)) {
            continue;
        }
        match home.layers.open_view(&key).and_then(View::remove) {
            Ok(()) => removed.push(key),
            // Another build was faster.
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(Failure::during(format_args!("remove {key}"))(error)),
        }
    }
    Ok(removed)
}
