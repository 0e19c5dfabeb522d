//! Owners of the archive to owners on disk.

use rustix::fs::{Gid, Uid};

use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::options::{IdMap, IdRange};

/// Whose a new file becomes; `None` leaves it to the caller.
pub(super) type Owner = Option<(Uid, Gid)>;

/// The owner of an entry on disk.
pub(super) fn map(map: &IdMap, entry: &Entry) -> Result<Owner> {
    let unmapped = |kind, id| Error::UnmappedOwner { path: entry.path.clone(), kind, id };
    let (uid, gid) = (entry.metadata.uid, entry.metadata.gid);
    let (uid, gid) = match map {
        IdMap::CurrentUser => return Ok(None),
        IdMap::Identity => (Some(uid), Some(gid)),
        IdMap::Ranges { uids, gids } => (in_ranges(uids, uid), in_ranges(gids, gid)),
    };
    // The last number means "unchanged" to chown.
    let uid = uid.filter(|uid| *uid != u32::MAX).ok_or_else(|| unmapped("uid", entry.metadata.uid))?;
    let gid = gid.filter(|gid| *gid != u32::MAX).ok_or_else(|| unmapped("gid", entry.metadata.gid))?;
    Ok(Some((Uid::from_raw(uid), Gid::from_raw(gid))))
}

/// The owner that an entry has on disk already.
pub(super) fn same(entry: &Entry) -> Owner {
    let owner = (Uid::from_raw(entry.metadata.uid), Gid::from_raw(entry.metadata.gid));
    // An ordinary user may give no file away, not even to itself where the group is another.
    if (rustix::process::geteuid(), rustix::process::getegid()) == owner { None } else { Some(owner) }
}

/// As numbers, for where nothing is left to the caller.
pub(super) fn numbers(owner: Owner) -> (u32, u32) {
    let own = || (rustix::process::geteuid(), rustix::process::getegid());
    let (uid, gid) = owner.unwrap_or_else(own);
    (uid.as_raw(), gid.as_raw())
}

/// The owner of directories that no entry names.
pub(super) fn root(map: &IdMap) -> Owner {
    match map {
        IdMap::CurrentUser => None,
        IdMap::Identity => Some((Uid::ROOT, Gid::ROOT)),
        IdMap::Ranges { uids, gids } => {
            // Where nobody mapped root, the caller keeps the directory.
            Some((Uid::from_raw(in_ranges(uids, 0)?), Gid::from_raw(in_ranges(gids, 0)?)))
        }
    }
}

fn in_ranges(ranges: &[IdRange], id: u32) -> Option<u32> {
    ranges.iter().find_map(|range| range.map(id))
}
