//! What was left out, said aloud.

use crate::path::SafePath;

/// One kind of thing that was left out of a layer, as the caller's options allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What.
    pub kind: NoticeKind,
    /// The first entry that it happened to.
    pub first: SafePath,
    /// How many entries it happened to.
    pub count: u64,
}

/// What was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoticeKind {
    /// An attribute that is overlay's own: an archive may not forge one.
    OverlayXattr,
    /// An attribute that the kernel or the file system refused.
    RefusedXattr,
    /// An attribute that the caller did not want.
    DroppedXattr,
    /// A device file.
    Device,
    /// A file that aufs kept for itself (`.wh..wh.*`).
    AufsPrivate,
}

/// Notices, one of each kind whatever the archive holds.
#[derive(Debug, Default)]
pub(super) struct Notices(Vec<Notice>);

impl Notices {
    pub(super) fn add(&mut self, kind: NoticeKind, path: &SafePath) {
        match self.0.iter_mut().find(|notice| notice.kind == kind) {
            Some(notice) => notice.count += 1,
            None => self.0.push(Notice { kind, first: path.clone(), count: 1 }),
        }
    }

    pub(super) fn into_vec(self) -> Vec<Notice> {
        self.0
    }
}
