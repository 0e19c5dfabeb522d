//! The lines of peers, in a build without them.

use crate::measure::{Contest, Skipped};

pub(super) fn stats_of_cgroups_rs() -> Result<Contest, Skipped> {
    Err(Skipped::without_peers())
}

pub(super) fn stats_of_libcgroups() -> Result<Contest, Skipped> {
    Err(Skipped::without_peers())
}

pub(super) fn once_of_cgroups_rs() -> Result<Contest, Skipped> {
    Err(Skipped::without_peers())
}

pub(super) fn lifecycle_of_cgroups_rs() -> Result<Contest, Skipped> {
    Err(Skipped::without_peers())
}

pub(super) fn lifecycle_of_libcgroups() -> Result<Contest, Skipped> {
    Err(Skipped::without_peers())
}
