//! Which of an entry's extended attributes a layer gets, whatever it is written into.

use rustix::io::Errno;

use super::notice::{NoticeKind, Notices};
use crate::entry::Entry;
use crate::error::Result;
use crate::options::Xattrs;
use crate::sys::Named as _;
use crate::whiteout;

/// Those that are wanted: never overlay's own, and none where the caller wants none.
pub(super) fn wanted<'e>(entry: &'e Entry, xattrs: Xattrs, notices: &mut Notices) -> Vec<(&'e [u8], &'e [u8])> {
    let mut wanted = Vec::new();
    for (name, value) in &entry.metadata.xattrs {
        if whiteout::is_overlay_xattr(name) {
            notices.add(NoticeKind::OverlayXattr, &entry.path);
        } else if xattrs == Xattrs::Drop {
            notices.add(NoticeKind::DroppedXattr, &entry.path);
        } else {
            wanted.push((&**name, &**value));
        }
    }
    wanted
}

/// One could not be written: an error, or a notice where the caller takes what there is.
pub(super) fn refused(entry: &Entry, xattrs: Xattrs, errno: Errno, notices: &mut Notices) -> Result<()> {
    if xattrs == Xattrs::BestEffort {
        notices.add(NoticeKind::RefusedXattr, &entry.path);
        return Ok(());
    }
    Err(errno).named("setxattr", entry.path.as_path())
}
