//! What callers choose.

use crate::layer_id::LayerId;
use crate::limits::Limits;
use crate::whiteout::XattrNamespace;

/// How [`crate::apply`] writes a layer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApplyOptions {
    /// Bounds on the archive.
    pub limits: Limits,
    /// Owners in the archive to owners on disk.
    pub id_map: IdMap,
    /// The layer that the archive must be; checked after the last byte and before a store takes it.
    pub expect: Option<LayerId>,
    /// What a deletion in the archive becomes.
    pub whiteouts: Whiteouts,
    /// What happens to extended attributes.
    pub xattrs: Xattrs,
    /// What happens to device files.
    pub devices: Devices,
}

/// Owners in an archive to owners on disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum IdMap {
    /// The same numbers; needs the right to give files away, or a user namespace that has them.
    #[default]
    Identity,
    /// Everything belongs to the caller, as in a user namespace with a single user.
    CurrentUser,
    /// Ranges, so that nothing needs a `chown -R` later. An owner in no range is an error.
    Ranges {
        /// Of users.
        uids: Vec<IdRange>,
        /// Of groups.
        gids: Vec<IdRange>,
    },
}

/// `length` consecutive numbers from `archive` on become those from `disk` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// First number in the archive.
    pub archive: u32,
    /// First number on disk.
    pub disk: u32,
    /// How many.
    pub length: u32,
}

impl IdRange {
    /// The number on disk, if `id` is in the range.
    pub fn map(self, id: u32) -> Option<u32> {
        let place = id.checked_sub(self.archive)?;
        if place < self.length { self.disk.checked_add(place) } else { None }
    }
}

/// What a deletion in the archive becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Whiteouts {
    /// Overlay's own spelling, with the attributes that the caller may write: `trusted.` where allowed, else `user.`.
    #[default]
    Native,
    /// Overlay's own spelling with these attributes.
    Overlay(XattrNamespace, WhiteoutStyle),
    /// The deletion itself: the target is no layer but a whole tree that the archive changes.
    Execute,
}

/// How a directory tree spells that something beneath is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum WhiteoutStyle {
    /// A character device 0:0; overlay shows it to nobody, on every kernel.
    #[default]
    Device,
    /// An empty file with the attribute `overlay.whiteout`, in a directory whose `overlay.opaque` is `x`: for where no
    /// device can be made, or none survives, as in a tree that is itself in an overlay.
    ///
    /// # Kernel
    /// Linux 6.8; an older one shows the file, so mounting is refused there.
    Attribute,
}

/// What happens to the archive's extended attributes. Overlay's own are never taken from an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Xattrs {
    /// All are written; one that the kernel refuses is an error.
    #[default]
    Required,
    /// One that the kernel refuses becomes a notice.
    BestEffort,
    /// None is written, which a notice says.
    Drop,
}

/// What happens to device files. A character device 0:0 is a whiteout to overlay and always refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Devices {
    /// One is an error.
    #[default]
    Refuse,
    /// One is left out, which a notice says.
    Skip,
    /// They are made; needs `CAP_MKNOD` in the first user namespace.
    Create,
}

/// When a layer or snapshot of a store survives a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// The kernel writes it when it likes. What it is is remembered with the boot that wrote it: in any later boot it is
    /// not trusted, and opening the store removes it, unless [`crate::LayerStore::sync`] was called before.
    None,
    /// Each is whole and on disk before the call returns, or not there.
    #[default]
    Layer,
    /// As [`Durability::Layer`], with one flush of the file system for all that are committed together.
    Group,
}

/// How a store behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreOptions {
    /// When layers survive a power cut.
    pub durability: Durability,
    /// Who empties the trash.
    pub emptying: Emptying,
    /// What new layers become.
    pub format: LayerFormat,
    /// How the kernel gets images; `None` takes the best that it has.
    pub images: Option<ImageTier>,
}

/// What a layer is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerFormat {
    /// A directory tree with deletions in this style: works everywhere, also without root.
    Dir(WhiteoutStyle),
    /// One EROFS image around the archive's own bytes, which come out of it again unchanged. Nothing is unpacked, one
    /// file is synced and one file removed.
    ///
    /// # Kernel
    /// Linux 6.12 mounts it from the file, 5.19 from a loop device. Needs `CAP_SYS_ADMIN` in the first user namespace.
    ErofsTar,
    /// As [`LayerFormat::ErofsTar`], and every chain of layers that is stacked becomes one more image, of metadata only,
    /// so that a mount has one lower directory however many layers there are.
    ErofsMerged,
}

impl Default for LayerFormat {
    fn default() -> Self {
        Self::Dir(WhiteoutStyle::Device)
    }
}

/// How an image reaches the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageTier {
    /// Through a loop device that goes with the mount.
    Loop,
    /// As the file that it is.
    ///
    /// # Kernel
    /// Linux 6.12.
    File,
}

/// Who empties the trash. What is in it is gone for all in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Emptying {
    /// The caller who removes something, before the call returns. No thread is started.
    #[default]
    Caller,
    /// A thread of the store, which ends before the store's last clone is dropped. A process with threads cannot enter a
    /// new user namespace.
    Background,
}

/// How a snapshot is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MountOptions {
    /// Whether the writable layer survives a crash of the machine.
    pub syncing: Syncing,
    /// How lower directories reach the kernel; `None` takes the best that this kernel has.
    pub lowers: Option<LowerTier>,
    /// What a change brings into the writable layer.
    pub copies: Copies,
    /// Whether the names of a lower layer's file stay one file when it is changed.
    pub index: Index,
    /// How inode numbers are made where layers are on several file systems.
    pub inodes: Inodes,
}

/// Whether the names of a lower layer's file stay one file when it is changed (`index`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Index {
    /// A change of one name leaves the others as they were.
    #[default]
    Off,
    /// A change shows under every name. What changed is told by [`crate::Snapshot::diff_by_walking`] then, and the
    /// writable layer can be mounted over the same layers only. A read-only mount has no index.
    ///
    /// # Kernel
    /// Linux 4.13; needs file systems whose files have handles.
    On,
}

/// How inode numbers are made where layers are on several file systems (`xino`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inodes {
    /// As the kernel is configured.
    #[default]
    Kernel,
    /// Those of the layers, which may name two files by the same number.
    Plain,
    /// With the number of the layer in their upper bits, where it fits.
    Auto,
    /// As [`Inodes::Auto`], also where the file system does not say that it fits.
    ///
    /// # Kernel
    /// Linux 4.17.
    Extended,
}

/// What a change of a lower layer's object brings into the writable layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Copies {
    /// All of the object, so that the writable layer alone tells what changed.
    #[default]
    Whole,
    /// Only what changed: no content for a new owner or mode, nothing of a directory for a new name. What changed is told
    /// by [`crate::Snapshot::diff_by_walking`] then. Not with user attributes.
    ///
    /// # Kernel
    /// Linux 4.19 (`metacopy`, `redirect_dir`).
    Parts,
}

/// Whether the writable layer is written to disk on `fsync`, `sync` and unmount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Syncing {
    /// As on any file system.
    #[default]
    Normal,
    /// Never: faster to end, and of no use after a crash of the machine.
    ///
    /// # Kernel
    /// Linux 5.10, `volatile`.
    Volatile,
}

/// How lower directories reach the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LowerTier {
    /// One option string of all paths, at most 255 bytes of it.
    ///
    /// # Kernel
    /// Linux 5.2 (`fsopen`).
    OptionString,
    /// `lowerdir+`, a path of each.
    ///
    /// # Kernel
    /// Linux 6.8.
    Path,
    /// `lowerdir+`, a path of each, in a mount namespace that a short-lived thread makes: there, mounts that are attached
    /// nowhere else can be lower directories before Linux 6.15.
    ///
    /// # Kernel
    /// Linux 6.8.
    Attached,
    /// `lowerdir+`, a descriptor of each.
    ///
    /// # Kernel
    /// Linux 6.13.
    Descriptor,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let range = IdRange { archive: 10, disk: 100_000, length: 5 };
        assert_eq!([9, 10, 14, 15].map(|id| range.map(id)), [None, Some(100_000), Some(100_004), None]);
        assert_eq!(IdRange { archive: 0, disk: u32::MAX, length: 5 }.map(1), None);
    }
}
