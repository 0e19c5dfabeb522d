//! Deletions, in the spellings of archives and of overlay directories.

use crate::entry::{DeviceKind, DeviceNumber, Entry, Kind};
use crate::fault::Fault;
use crate::path::SafePath;

/// What an archive's entry says about the layers beneath.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// The path is deleted.
    Whiteout(SafePath),
    /// Nothing that lower layers have in this directory is seen.
    Opaque(SafePath),
    /// A file that aufs kept for itself; it means nothing here.
    AufsPrivate,
}

/// Who may read and write overlay's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum XattrNamespace {
    /// `trusted.overlay.*`: written by a caller with `CAP_SYS_ADMIN` in the first user namespace.
    Trusted,
    /// `user.overlay.*`: written by the owner, read by a mount with `userxattr`.
    ///
    /// # Kernel
    /// Linux 5.11.
    User,
}

impl XattrNamespace {
    /// The attribute that makes a directory opaque.
    pub fn opaque(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.opaque",
            Self::User => "user.overlay.opaque",
        }
    }

    /// The attribute that makes an empty file a whiteout, in a directory whose `opaque` is `x`.
    ///
    /// # Kernel
    /// Linux 6.7.
    pub fn whiteout(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.whiteout",
            Self::User => "user.overlay.whiteout",
        }
    }

    /// The attribute with which a directory points to another place of the lower layers.
    pub fn redirect(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.redirect",
            Self::User => "user.overlay.redirect",
        }
    }

    /// The attribute of a file whose content is still in a lower layer.
    pub fn metacopy(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.metacopy",
            Self::User => "user.overlay.metacopy",
        }
    }
}

/// Whether an extended attribute is overlay's own, in either namespace.
pub fn is_overlay_xattr(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}

/// Reads OCI's spelling: `.wh.NAME` deletes NAME, `.wh..wh..opq` makes its directory opaque.
///
/// # Errors
/// [`Fault::Whiteout`] for a name that would delete `.`, `..`, the root or a whiteout, for a marker that is no plain
/// file, and for a marker in the middle of a path.
///
/// # Source
/// OCI image specification, layer.md, "Whiteouts".
pub fn marker(entry: &Entry) -> Result<Option<Marker>, Fault> {
    let Some(name) = entry.path.file_name() else { return Ok(None) };
    let directory = entry.path.parent().expect("a path with a name has a parent");
    if directory.components().any(|part| part.starts_with(PREFIX)) {
        return Err(Fault::Whiteout);
    }
    let Some(target) = name.strip_prefix(PREFIX) else { return Ok(None) };
    if name == OPAQUE {
        return if is_plain(&entry.kind) { Ok(Some(Marker::Opaque(directory))) } else { Err(Fault::Whiteout) };
    }
    if target.starts_with(PREFIX) {
        return Ok(Some(Marker::AufsPrivate)).and_then(|private| match entry.kind {
            Kind::File { .. } | Kind::HardLink(_) => Ok(private),
            _ => Err(Fault::Whiteout),
        });
    }
    if !is_plain(&entry.kind) {
        return Err(Fault::Whiteout);
    }
    directory.join(target).map(|path| Some(Marker::Whiteout(path))).map_err(|_| Fault::Whiteout)
}

fn is_plain(kind: &Kind) -> bool {
    matches!(kind, Kind::File { size: 0 })
}

/// The archive's name for a deletion of `path`; `None` for the root, which cannot be deleted.
pub fn whiteout_path(path: &SafePath) -> Option<SafePath> {
    let name = path.file_name()?;
    path.parent()?.join(&[PREFIX, name].concat()).ok()
}

/// The archive's name for "this directory is opaque".
pub fn opaque_path(directory: &SafePath) -> SafePath {
    directory.join(OPAQUE).expect("the marker is one plain name")
}

/// Whether a name would be read as a whiteout in an archive.
pub fn is_whiteout_name(name: &[u8]) -> bool {
    name.starts_with(PREFIX)
}

/// Whether a device is overlay's own spelling of a whiteout: character device 0:0.
pub fn is_whiteout_device(kind: DeviceKind, number: DeviceNumber) -> bool {
    kind == DeviceKind::Character && number == DeviceNumber { major: 0, minor: 0 }
}

const PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Metadata;

    fn read(path: &str, kind: Kind) -> Result<Option<Marker>, Fault> {
        marker(&Entry { path: path.parse().unwrap(), kind, metadata: Metadata::default() })
    }

    fn path(text: &str) -> SafePath {
        text.parse().unwrap()
    }

    #[test]
    fn spellings() {
        let empty = || Kind::File { size: 0 };
        assert_eq!(read("a/.wh.b", empty()), Ok(Some(Marker::Whiteout(path("a/b")))));
        assert_eq!(read(".wh.b", empty()), Ok(Some(Marker::Whiteout(path("b")))));
        assert_eq!(read("a/.wh..wh..opq", empty()), Ok(Some(Marker::Opaque(path("a")))));
        assert_eq!(read(".wh..wh..opq", empty()), Ok(Some(Marker::Opaque(SafePath::root()))));
        assert_eq!(read(".wh..wh.plnk", empty()), Ok(Some(Marker::AufsPrivate)));
        assert_eq!(read("a/.whb", empty()), Ok(None));
        assert_eq!(read("a/b.wh.", empty()), Ok(None));
        for wrong in [".wh.", ".wh..", ".wh...", "a/.wh.x/b"] {
            assert_eq!(read(wrong, empty()), Err(Fault::Whiteout), "{wrong}");
        }
        for kind in [Kind::Directory, Kind::File { size: 1 }, Kind::Symlink(b"x"[..].into()), Kind::Fifo] {
            assert_eq!(read(".wh..wh..opq", kind.clone()), Err(Fault::Whiteout), "{kind:?}");
            assert_eq!(read(".wh.a", kind.clone()), Err(Fault::Whiteout), "{kind:?}");
        }
        assert_eq!(read(".wh..wh.plnk", Kind::Directory), Err(Fault::Whiteout));
    }

    #[test]
    fn spelled_and_read_back() {
        for name in ["a/b", "b", "...", "a/.wh"] {
            let marked = whiteout_path(&path(name)).unwrap();
            assert_eq!(read(&marked.to_string(), Kind::File { size: 0 }), Ok(Some(Marker::Whiteout(path(name)))));
        }
        assert_eq!(whiteout_path(&SafePath::root()), None);
    }
}
