//! Archives onto disk.

mod beneath;
mod digest;
mod make;
mod notice;
mod owner;
mod place;

use std::io::{BufReader, Read};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;

use self::beneath::Target;
use self::digest::Hashing;
use self::notice::Notices;
use self::place::Place;
use crate::entry::{Entry, Kind};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::layer_id::LayerId;
use crate::options::{ApplyOptions, Devices, Whiteouts};
use crate::path::SafePath;
use crate::sys;
use crate::tar::Reader;
use crate::unfinished::Unfinished;
use crate::whiteout::{self, Marker, XattrNamespace};

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
    let namespace = match options.whiteouts {
        Whiteouts::Native => Some(sys::native_namespace(directory.as_fd(), target)?),
        Whiteouts::Overlay(namespace) => Some(namespace),
        Whiteouts::Execute => None,
    };
    apply_to(stream, directory, namespace, options)
}

/// Applies to an open directory, with deletions in the spelling of a namespace or executed.
pub(crate) fn apply_to(
    stream: impl Read,
    directory: OwnedFd,
    namespace: Option<XattrNamespace>,
    options: &ApplyOptions,
) -> Result<Applied> {
    let mut applying = Applying {
        options,
        target: Target::new(directory, namespace, options),
        notices: Notices::default(),
        buffer: vec![0; BUFFER].into(),
    };
    let mut reader = Reader::new(BufReader::with_capacity(BUFFER, Hashing::new(stream)), options.limits);
    let mut entries = 0;
    while let Some(entry) = reader.next_entry()? {
        entries += 1;
        applying.entry(&entry, &mut reader)?;
    }
    let bytes = reader.offset();
    let diff_id = reader.into_inner().into_inner().finish();
    if let Some(expected) = options.expect
        && expected != diff_id
    {
        return Err(Error::Mismatch { expected, found: diff_id });
    }
    let unfinished = applying.target.finish()?;
    Ok(Applied { diff_id, entries, bytes, notices: applying.notices.into_vec(), unfinished })
}

/// Bytes read and written at once.
const BUFFER: usize = 128 << 10;

struct Applying<'a> {
    options: &'a ApplyOptions,
    target: Target,
    notices: Notices,
    buffer: Box<[u8]>,
}

impl Applying<'_> {
    fn entry<R: Read>(&mut self, entry: &Entry, reader: &mut Reader<R>) -> Result<()> {
        let offset = reader.entry_offset();
        match whiteout::marker(entry).map_err(|fault| Error::archive(offset, fault))? {
            Some(Marker::Whiteout(path)) => return self.target.whiteout(&path),
            Some(Marker::Opaque(directory)) => return self.target.opaque(&directory),
            Some(Marker::AufsPrivate) => {
                self.notices.add(NoticeKind::AufsPrivate, &entry.path);
                return Ok(());
            }
            None => {}
        }
        if let Kind::Device(kind, number) = entry.kind {
            let refused = Error::DeviceRefused { path: entry.path.clone(), kind: entry.kind.name() };
            match self.options.devices {
                _ if whiteout::is_whiteout_device(kind, number) => return Err(refused),
                Devices::Refuse => return Err(refused),
                Devices::Skip => {
                    self.notices.add(NoticeKind::Device, &entry.path);
                    return Ok(());
                }
                Devices::Create => {}
            }
        }
        let owner = owner::map(&self.options.id_map, entry)?;
        if entry.kind == Kind::Directory {
            let directory = self.target.directory(entry)?;
            return make::dress(directory.as_fd(), entry, owner, self.options.xattrs, &mut self.notices);
        }
        if let Kind::HardLink(target) = &entry.kind {
            return self.target.hard_link(&entry.path, target, offset);
        }
        let place = self.target.place(&entry.path)?;
        match &entry.kind {
            Kind::File { size } => {
                let file = make::file(&place)?;
                self.content(&file, &place, *size, reader)?;
                make::dress(file.as_fd(), entry, owner, self.options.xattrs, &mut self.notices)?;
                make::set_mode_and_time(file.as_fd(), &place.path, entry.metadata.mode, entry.metadata.mtime)
            }
            _ => make::special(&place, entry, owner, self.options.xattrs, &mut self.notices),
        }
    }

    fn content<R: Read>(&mut self, file: &OwnedFd, place: &Place, size: u64, reader: &mut Reader<R>) -> Result<()> {
        let mut end = 0;
        while let Some(chunk) = reader.read_chunk(&mut self.buffer)? {
            write_at(file.as_fd(), &self.buffer[..chunk.length], chunk.offset, &place.path)?;
            end = chunk.offset + chunk.length as u64;
        }
        if end < size {
            sys::Named::named(rustix::fs::ftruncate(file, size), "ftruncate", place.path.as_path())?;
        }
        Ok(())
    }
}

fn write_at(file: BorrowedFd<'_>, mut bytes: &[u8], mut offset: u64, path: &SafePath) -> Result<()> {
    while !bytes.is_empty() {
        let written = match rustix::io::pwrite(file, bytes, offset) {
            Err(Errno::INTR) => continue,
            Ok(0) => Err(Errno::IO),
            written => written,
        };
        let written = sys::Named::named(written, "pwrite", path.as_path())?;
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

/// The error of a hard link that names what no link can name.
fn unlinkable(offset: u64) -> Error {
    Error::archive(offset, Fault::HardLink)
}
