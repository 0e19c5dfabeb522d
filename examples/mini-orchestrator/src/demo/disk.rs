//! Which disk a folder is on, as control groups name it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use windlass_cgroups::DeviceNumber;

/// The whole disk; `None` for a file system that is on none, or on several.
pub(super) fn of(folder: &Path) -> Option<DeviceNumber> {
    let device = fs::metadata(folder).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let entry = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    // A rule names a disk; a partition is a folder in its disk's.
    let disk = if entry.join("partition").exists() { entry.parent()? } else { entry.as_path() };
    parse(&fs::read_to_string(disk.join("dev")).ok()?)
}

fn parse(text: &str) -> Option<DeviceNumber> {
    let (major, minor) = text.trim().split_once(':')?;
    Some(DeviceNumber { major: major.parse().ok()?, minor: minor.parse().ok()? })
}
