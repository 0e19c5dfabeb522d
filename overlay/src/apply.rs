//! Archives onto disk.

mod attribute;
mod beneath;
mod birth;
mod digest;
mod image;
mod make;
mod notice;
mod owner;
mod place;

use std::io::Read;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use rustix::fs::OFlags;

use self::beneath::{NewFile, Target};
use self::digest::Hashing;
use self::notice::Notices;
use self::owner::Owner;
use self::place::Place;
use crate::entry::{Entry, Kind};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::layer_id::LayerId;
use crate::options::{ApplyOptions, Devices, WhiteoutStyle, Whiteouts, Xattrs};
use crate::path::SafePath;
use crate::sys::{self, Named as _, Spelling};
use crate::tar::Reader;
use crate::unfinished::Unfinished;
use crate::whiteout::{self, Marker};

pub(crate) use image::{Archive, apply_to_image, merge};
pub use notice::{Notice, NoticeKind};

/// What [`apply`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The digest of the archive, which was read to its end.
    pub diff_id: LayerId,
    /// Entries of the archive, deletions included.
    pub entries: u64,
    /// Bytes of the archive.
    pub bytes: u64,
    /// What was left out as the options allow.
    pub notices: Vec<Notice>,
    /// What this layer leaves to those beneath it; empty after [`Whiteouts::Execute`].
    pub unfinished: Unfinished,
}

/// Writes an uncompressed layer archive into a directory, in one pass.
///
/// Every path is resolved beneath the directory: symbolic links of the archive are followed as inside a container, with
/// the directory as the root, and a link that another process plants meanwhile is an error. Directories that no entry
/// names get mode 0755, the mapped root as owner and 1970 as their time. After an error the directory holds a part of
/// the layer: a [`crate::LayerStore`] throws it away.
///
/// # Errors
/// [`Error::Archive`], [`Error::LimitExceeded`] and [`Error::Read`] for the stream, [`Error::Mismatch`] where it is not
/// the expected layer, [`Error::UnmappedOwner`], [`Error::DeviceRefused`], [`Error::Sys`] for the kernel's refusals.
///
/// # Kernel
/// Linux 5.6 (`openat2`). Owners other than the caller's need `CAP_CHOWN`, see [`crate::IdMap`].
pub fn apply(stream: impl Read, target: &Path, options: &ApplyOptions) -> Result<Applied> {
    let directory = sys::open_directory(target)?;
    let spelling = match options.whiteouts {
        Whiteouts::Native => {
            let namespace = sys::native_namespace(directory.as_fd(), target)?;
            Some(Spelling { namespace, style: WhiteoutStyle::Device })
        }
        Whiteouts::Overlay(namespace, style) => Some(Spelling { namespace, style }),
        Whiteouts::Execute => None,
    };
    apply_to(stream, directory, spelling, options)
}

/// Applies to an open directory, with deletions spelled or executed.
pub(crate) fn apply_to(
    stream: impl Read,
    directory: OwnedFd,
    spelling: Option<Spelling>,
    options: &ApplyOptions,
) -> Result<Applied> {
    let mut destination = OnDisk { options, target: Target::new(directory, spelling, options)?, buffer: buffer() };
    let mut reader = Reader::new(Hashing::new(stream), options.limits);
    let (entries, notices) = entries(&mut reader, &mut destination, options)?;
    let bytes = reader.offset();
    let diff_id = reader.into_inner().finish();
    expected(diff_id, options)?;
    let unfinished = destination.target.finish()?;
    Ok(Applied { diff_id, entries, bytes, notices: notices.into_vec(), unfinished })
}

/// Bytes read and written at once.
const BUFFER: usize = 128 << 10;

fn buffer() -> Box<[u8]> {
    vec![0; BUFFER].into()
}

fn expected(found: LayerId, options: &ApplyOptions) -> Result<()> {
    match options.expect {
        Some(expected) if expected != found => Err(Error::Mismatch { expected, found }),
        _ => Ok(()),
    }
}

/// What entries are put into.
trait Destination {
    fn whiteout(&mut self, path: &SafePath) -> Result<()>;
    fn opaque(&mut self, directory: &SafePath) -> Result<()>;
    fn hard_link(&mut self, path: &SafePath, target: &SafePath, offset: u64) -> Result<()>;
    /// Puts anything else, with the content that the reader is at.
    fn put<R: Read>(
        &mut self,
        entry: &Entry,
        owner: Owner,
        reader: &mut Reader<R>,
        notices: &mut Notices,
    ) -> Result<()>;
}

/// Puts all entries of an archive, and counts them.
fn entries<R: Read>(
    reader: &mut Reader<R>,
    destination: &mut impl Destination,
    options: &ApplyOptions,
) -> Result<(u64, Notices)> {
    let mut notices = Notices::default();
    let mut entries = 0;
    while let Some(entry) = reader.next_entry()? {
        entries += 1;
        let offset = reader.entry_offset();
        match whiteout::marker(&entry).map_err(|fault| Error::archive(offset, fault))? {
            Some(Marker::Whiteout(path)) => destination.whiteout(&path)?,
            Some(Marker::Opaque(directory)) => destination.opaque(&directory)?,
            Some(Marker::AufsPrivate) => notices.add(NoticeKind::AufsPrivate, &entry.path),
            None if is_left_out(&entry, options, &mut notices)? => {}
            None => {
                let owner = owner::map(&options.id_map, &entry)?;
                match &entry.kind {
                    Kind::HardLink(target) => destination.hard_link(&entry.path, target, offset)?,
                    _ => destination.put(&entry, owner, reader, &mut notices)?,
                }
            }
        }
    }
    Ok((entries, notices))
}

/// Whether an entry is a device that the caller does not want.
fn is_left_out(entry: &Entry, options: &ApplyOptions, notices: &mut Notices) -> Result<bool> {
    let Kind::Device(kind, number) = entry.kind else { return Ok(false) };
    let refused = Error::DeviceRefused { path: entry.path.clone(), kind: entry.kind.name() };
    match options.devices {
        _ if whiteout::is_whiteout_device(kind, number) => Err(refused),
        Devices::Refuse => Err(refused),
        Devices::Skip => {
            notices.add(NoticeKind::Device, &entry.path);
            Ok(true)
        }
        Devices::Create => Ok(false),
    }
}

/// A directory as destination.
struct OnDisk<'a> {
    options: &'a ApplyOptions,
    target: Target,
    buffer: Box<[u8]>,
}

impl Destination for OnDisk<'_> {
    fn whiteout(&mut self, path: &SafePath) -> Result<()> {
        self.target.whiteout(path)
    }

    fn opaque(&mut self, directory: &SafePath) -> Result<()> {
        self.target.opaque(directory)
    }

    fn hard_link(&mut self, path: &SafePath, target: &SafePath, offset: u64) -> Result<()> {
        self.target.hard_link(path, target, offset)
    }

    fn put<R: Read>(
        &mut self,
        entry: &Entry,
        owner: Owner,
        reader: &mut Reader<R>,
        notices: &mut Notices,
    ) -> Result<()> {
        let xattrs = self.options.xattrs;
        if entry.kind == Kind::Directory {
            let directory = self.target.directory(entry)?;
            return make::dress(directory.as_fd(), entry, owner, xattrs, notices);
        }
        let Kind::File { size } = entry.kind else {
            let place = self.target.place(&entry.path)?;
            return make::special(&place, entry, owner, xattrs, notices);
        };
        let NewFile { place, file, is_owned, has_mode } = self.target.file(entry, owner)?;
        self.content(&file, &place, size, reader)?;
        make::dress(file.as_fd(), entry, owner.filter(|_| !is_owned), xattrs, notices)?;
        if has_mode {
            return make::set_time(file.as_fd(), &place.path, entry.metadata.mtime);
        }
        make::set_mode_and_time(file.as_fd(), &place.path, entry.metadata.mode, entry.metadata.mtime)
    }
}

impl OnDisk<'_> {
    fn content<R: Read>(&mut self, file: &OwnedFd, place: &Place, size: u64, reader: &mut Reader<R>) -> Result<()> {
        let mut end = 0;
        while let Some(chunk) = reader.read_chunk(&mut self.buffer)? {
            let bytes = &self.buffer[..chunk.length];
            sys::write_at(file.as_fd(), bytes, chunk.offset).named("pwrite", place.path.as_path())?;
            end = chunk.offset + chunk.length as u64;
        }
        if end < size {
            rustix::fs::ftruncate(file, size).named("ftruncate", place.path.as_path())?;
        }
        Ok(())
    }
}

/// Copies one object that is no directory, with what an entry says of it.
pub(crate) fn copy(from: BorrowedFd<'_>, name: &SafePath, entry: &Entry, parent: OwnedFd) -> Result<()> {
    let last = entry.path.file_name().expect("the root is a directory");
    let last = SafePath::parse(last).expect("a part of a path is a path");
    let place = Place { parent: Rc::new(parent), name: last, path: entry.path.clone() };
    let owner = owner::same(entry);
    let mut notices = Notices::default();
    let Kind::File { size } = entry.kind else {
        return make::special(&place, entry, owner, Xattrs::Required, &mut notices);
    };
    let object = entry.path.as_path();
    let source = sys::open_beneath(from, name, OFlags::RDONLY | OFlags::NOFOLLOW).named("open", object)?;
    let file = make::file(&place, make::UNDRESSED).named("create", object)?;
    sys::copy(source.as_fd(), file.as_fd(), size).named("copy", object)?;
    make::dress(file.as_fd(), entry, owner, Xattrs::Required, &mut notices)?;
    make::set_mode_and_time(file.as_fd(), &place.path, entry.metadata.mode, entry.metadata.mtime)
}

/// Gives a directory what an entry says of it, once nothing more is written into it.
pub(crate) fn dress_directory(directory: BorrowedFd<'_>, entry: &Entry) -> Result<()> {
    let mut notices = Notices::default();
    make::dress(directory, entry, owner::same(entry), Xattrs::Required, &mut notices)?;
    make::set_mode_and_time(directory, &entry.path, entry.metadata.mode, entry.metadata.mtime)
}

/// The error of a hard link that names what no link can name.
fn unlinkable(offset: u64) -> Error {
    Error::archive(offset, Fault::HardLink)
}
