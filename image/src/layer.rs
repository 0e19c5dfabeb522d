//! Building layers: the same entries always give the same bytes.

mod records;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

pub(crate) use records::{Records, append_as};

use crate::codec::{DigestWriter, Encoder};
use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest};
use crate::error::{Error, Result};
use crate::media_type::{Codec, MediaType};

/// Who owns an entry and who may do what with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits, with set-user-id, set-group-id and sticky: at most `0o7777`.
    pub mode: u32,
    /// The owner's number inside the image.
    pub uid: u64,
    /// The group's number inside the image.
    pub gid: u64,
}

impl Metadata {
    /// Owned by root.
    pub const fn root(mode: u32) -> Self {
        Self { mode, uid: 0, gid: 0 }
    }
}

/// Where a file's content comes from.
#[derive(Debug)]
pub enum Source {
    /// Held in memory.
    Bytes(Vec<u8>),
    /// Read from its beginning when the layer is written; the position of the descriptor does not change.
    File(File),
    /// Opened when the layer is written, so that a tree needs no descriptor for each file; not through a symbolic
    /// link in its last component.
    Path(PathBuf),
    /// Opened beneath a directory when the layer is written, through no symbolic link.
    Beneath {
        /// The directory.
        root: Arc<OwnedFd>,
        /// Where in it.
        path: PathBuf,
    },
}

/// Collects entries and writes them as a reproducible layer.
///
/// Entries are written sorted by path, parents first, all with one modification time and without names of users, so
/// that neither the order of calls nor the machine shows. Parents that were not added become directories of root
/// with mode 0755.
///
/// ```
/// use windlass_image::layer::{Builder, Metadata, Source};
/// use windlass_image::Codec;
///
/// let mut layer = Builder::new(0);
/// layer.file("etc/motd", Metadata::root(0o644), Source::Bytes(b"hello\n".to_vec()))?;
/// layer.symlink("motd", "etc/motd")?;
/// let mut blob = Vec::new();
/// let written = layer.write(&mut blob, Codec::Gzip)?;
/// assert_eq!(written.descriptor.size, blob.len() as u64);
/// # Ok::<(), windlass_image::Error>(())
/// ```
#[derive(Debug)]
pub struct Builder {
    mtime: u64,
    entries: BTreeMap<PathBuf, Entry>,
    attributes: BTreeMap<PathBuf, BTreeMap<Vec<u8>, Vec<u8>>>,
}

#[derive(Debug)]
struct Entry {
    metadata: Metadata,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A parent that nobody described.
    Implied,
    Directory,
    File(Source),
    Symlink(PathBuf),
    /// Another name of a file whose own comes before it.
    HardLink(PathBuf),
}

/// A layer that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The blob.
    pub descriptor: Descriptor,
    /// The digest of the uncompressed layer.
    pub diff_id: Digest,
    /// Bytes of the uncompressed layer.
    pub bytes: u64,
}

impl Builder {
    /// Starts an empty layer whose entries all have the modification time `mtime`.
    ///
    /// # Units
    /// Seconds since 1970; the convention `SOURCE_DATE_EPOCH` has such a number.
    pub fn new(mtime: u64) -> Self {
        Self { mtime, entries: BTreeMap::new(), attributes: BTreeMap::new() }
    }

    /// Whether no entry was added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The paths of all entries with those implied, sorted, without a leading slash.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.entries.keys().map(PathBuf::as_path)
    }

    /// Adds a directory, or describes one that is implied.
    pub fn directory(&mut self, path: impl AsRef<Path>, metadata: Metadata) -> Result<()> {
        self.insert(path.as_ref(), metadata, Kind::Directory)
    }

    /// Adds a regular file.
    pub fn file(&mut self, path: impl AsRef<Path>, metadata: Metadata, source: Source) -> Result<()> {
        self.insert(path.as_ref(), metadata, Kind::File(source))
    }

    /// Adds a symbolic link; adding the same one again is no error.
    pub fn symlink(&mut self, path: impl AsRef<Path>, target: impl Into<PathBuf>) -> Result<()> {
        self.symlink_of(path, target, (0, 0))
    }

    /// Adds a symbolic link of another user and group than root's.
    pub fn symlink_of(
        &mut self,
        path: impl AsRef<Path>,
        target: impl Into<PathBuf>,
        (uid, gid): (u64, u64),
    ) -> Result<()> {
        self.insert(path.as_ref(), Metadata { mode: 0o777, uid, gid }, Kind::Symlink(target.into()))
    }

    /// Adds another name of a file that was added.
    ///
    /// # Errors
    /// [`Error::Invalid`] also for a path that does not sort behind the file's: unpackers need the file first.
    pub fn hard_link(&mut self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<()> {
        let (path, target) = (path.as_ref(), target.as_ref());
        let invalid = |reason| Error::Invalid { field: "hard link", value: target.display().to_string(), reason };
        let file = relative(target).filter(|file| relative(path).is_some_and(|path| *file < path));
        let file = file.ok_or_else(|| invalid("must sort before its other name"))?;
        match self.entries.get(&file) {
            Some(Entry { metadata, kind: Kind::File(_) }) => self.insert(path, *metadata, Kind::HardLink(file)),
            _ => Err(invalid("must be a file that was added")),
        }
    }

    /// Gives an entry that was added extended attributes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an entry that is not there.
    pub fn extended_attributes(
        &mut self,
        path: impl AsRef<Path>,
        attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> Result<()> {
        let path = path.as_ref();
        let known = relative(path).filter(|inside| self.entries.contains_key(inside));
        let Some(inside) = known else {
            let reason = "must be added before it gets attributes";
            return Err(Error::Invalid { field: "layer entry", value: path.display().to_string(), reason });
        };
        self.attributes.insert(inside, attributes);
        Ok(())
    }

    fn insert(&mut self, path: &Path, metadata: Metadata, kind: Kind) -> Result<()> {
        let invalid = |reason| Error::Invalid { field: "layer entry", value: path.display().to_string(), reason };
        let inside = relative(path).ok_or_else(|| invalid("must be a path without \"..\" inside the image"))?;
        if metadata.mode > 0o7777 {
            return Err(invalid("has a mode of more than the permission bits"));
        }
        for parent in inside.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            let implied = Entry { metadata: Metadata::root(0o755), kind: Kind::Implied };
            match self.entries.entry(parent.to_path_buf()).or_insert(implied).kind {
                Kind::Implied | Kind::Directory => {}
                Kind::File(_) | Kind::Symlink(_) | Kind::HardLink(_) => {
                    return Err(invalid("has a parent that is no directory"));
                }
            }
        }
        match self.entries.get(&inside).map(|entry| (&entry.kind, &kind)) {
            None | Some((Kind::Implied, Kind::Directory)) => {}
            Some((Kind::Symlink(there), Kind::Symlink(new))) if there == new => return Ok(()),
            Some((Kind::Implied, _)) => return Err(invalid("is the parent of another entry")),
            Some(_) => return Err(invalid("occurs twice")),
        }
        self.entries.insert(inside, Entry { metadata, kind });
        Ok(())
    }

    /// Writes the layer's blob.
    ///
    /// # Errors
    /// A file that cannot be read or that becomes shorter while it is read; a writer that fails.
    pub fn write(&self, out: impl Write, codec: Codec) -> Result<Layer> {
        let failed = |error| Error::sys("write", "a layer")(error);
        let blob = DigestWriter::new(out, Algorithm::Sha256);
        let tar = DigestWriter::new(Encoder::new(codec, blob)?, Algorithm::Sha256);
        let mut archive = tar::Builder::new(tar);
        for (path, entry) in &self.entries {
            self.append(&mut archive, path, entry)?;
        }
        let (encoder, diff_id, bytes) = archive.into_inner().map_err(failed)?.into_parts();
        let mut blob = encoder.finish().map_err(failed)?;
        blob.flush().map_err(failed)?;
        let (digest, size) = blob.finish();
        Ok(Layer { descriptor: Descriptor::new(MediaType::layer(codec), digest, size), diff_id, bytes })
    }

    fn append<W: Write>(&self, archive: &mut tar::Builder<W>, path: &Path, entry: &Entry) -> Result<()> {
        let failed = |error| Error::sys("write the entry", path)(error);
        if let Some(attributes) = self.attributes.get(path) {
            Records::attributes(attributes).append(archive).map_err(failed)?;
        }
        let mut header = tar::Header::new_gnu();
        header.set_mode(entry.metadata.mode);
        header.set_uid(entry.metadata.uid);
        header.set_gid(entry.metadata.gid);
        header.set_mtime(self.mtime);
        header.set_size(0);
        match &entry.kind {
            Kind::Implied | Kind::Directory => {
                header.set_entry_type(tar::EntryType::Directory);
                // Unpackers that know old archives only tell a directory by its final slash.
                let mut name = path.as_os_str().to_owned();
                name.push("/");
                archive.append_data(&mut header, name, io::empty()).map_err(failed)
            }
            Kind::Symlink(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                archive.append_link(&mut header, path, target).map_err(failed)
            }
            Kind::HardLink(target) => {
                header.set_entry_type(tar::EntryType::Link);
                archive.append_link(&mut header, path, target).map_err(failed)
            }
            Kind::File(Source::Bytes(content)) => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(content.len() as u64);
                archive.append_data(&mut header, path, content.as_slice()).map_err(failed)
            }
            Kind::File(Source::File(file)) => append_file(archive, header, path, file),
            Kind::File(Source::Path(source)) => append_file(archive, header, path, &open_regular(source)?),
            Kind::File(Source::Beneath { root, path: source }) => {
                append_file(archive, header, path, &open_beneath(root, source)?)
            }
        }
    }
}

fn append_file<W: Write>(
    archive: &mut tar::Builder<W>,
    mut header: tar::Header,
    path: &Path,
    file: &File,
) -> Result<()> {
    let failed = |error| Error::sys("write the entry", path)(error);
    let length = file.metadata().map_err(failed)?.len();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(length);
    archive.append_data(&mut header, path, FromStart { file, at: 0, left: length }).map_err(failed)
}

/// What was a file when the layer was planned must still be one; a FIFO in its place is not waited for.
fn open_regular(path: &Path) -> Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits()).open(path).map_err(Error::sys("open", path))?;
    only_regular(file, path)
}

fn only_regular(file: File, path: &Path) -> Result<File> {
    if file.metadata().map_err(Error::sys("examine", path))?.is_file() {
        Ok(file)
    } else {
        Err(Error::NotRegularFile { path: path.to_path_buf() })
    }
}

fn open_beneath(root: &OwnedFd, path: &Path) -> Result<File> {
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    loop {
        match openat2(root, path, how) {
            Ok(descriptor) => return only_regular(descriptor.into(), path),
            // A rename elsewhere on the file system made the kernel unsure whether it stayed beneath.
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(Error::errno("open", path)(errno)),
        }
    }
}

/// A file's first bytes, read without its position; fewer than were promised are an error.
struct FromStart<'f> {
    file: &'f File,
    at: u64,
    left: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(&mut buffer[..wanted], self.at)?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read"));
        }
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// The path below the root of the image; `None` for the root itself and for what could leave it.
fn relative(path: &Path) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => inside.push(name),
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    (!inside.as_os_str().is_empty()).then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{LayerReader, verify_diff_id};
    use crate::limits::Limits;

    fn bytes(text: &str) -> Source {
        Source::Bytes(text.as_bytes().to_vec())
    }

    type Step = Box<dyn Fn(&mut Builder) -> Result<()>>;

    fn sample(reversed: bool) -> Builder {
        let mut builder = Builder::new(1_000);
        let long = format!("usr/share/{}/{}", "d".repeat(90), "f".repeat(140));
        let mut steps: Vec<Step> = vec![
            Box::new(|builder| builder.file("/usr/bin/app", Metadata::root(0o755), bytes("program"))),
            Box::new(|builder| builder.symlink("bin", "usr/bin")),
            Box::new(|builder| builder.directory("tmp", Metadata::root(0o1777))),
            Box::new(|builder| builder.directory("usr/bin", Metadata { mode: 0o711, uid: 5, gid: 6 })),
            Box::new(move |builder| builder.file(&long, Metadata::root(0o600), bytes(""))),
        ];
        if reversed {
            steps.reverse();
        }
        for step in steps {
            step(&mut builder).unwrap();
        }
        builder
    }

    #[test]
    fn the_order_of_calls_does_not_show() {
        let with_zstd = cfg!(feature = "zstd").then_some(Codec::Zstd);
        for codec in [Codec::None, Codec::Gzip].into_iter().chain(with_zstd) {
            let (mut one, mut two) = (Vec::new(), Vec::new());
            let first = sample(false).write(&mut one, codec).unwrap();
            let second = sample(true).write(&mut two, codec).unwrap();
            assert_eq!((&first, &one), (&second, &two));
            assert_eq!(first.descriptor, Descriptor::of(MediaType::layer(codec), &one));
            let reader = LayerReader::new(&one[..], &first.descriptor, &Limits::DEFAULT).unwrap();
            assert_eq!(verify_diff_id(reader, &first.diff_id).unwrap(), first.bytes);
        }
    }

    #[test]
    fn entries_come_back_sorted_with_their_metadata() {
        let mut blob = Vec::new();
        sample(true).write(&mut blob, Codec::None).unwrap();
        let mut archive = tar::Archive::new(&blob[..]);
        let entries: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                assert_eq!(header.mtime().unwrap(), 1_000);
                let path = entry.path().unwrap().display().to_string();
                (path, header.entry_type(), header.mode().unwrap(), header.uid().unwrap())
            })
            .collect();
        let paths: Vec<_> = entries.iter().map(|entry| entry.0.as_str()).collect();
        let long = format!("usr/share/{}/{}", "d".repeat(90), "f".repeat(140));
        assert_eq!(paths[..5], ["bin", "tmp/", "usr/", "usr/bin/", "usr/bin/app"]);
        assert_eq!(paths[7], long);
        assert_eq!(entries[0].1, tar::EntryType::Symlink);
        assert_eq!((entries[3].2, entries[3].3), (0o711, 5));
        assert_eq!(entries[1].2, 0o1777);
    }

    #[test]
    fn what_an_unpacker_could_read_two_ways_is_refused() {
        let mut builder = sample(false);
        for (path, reason) in [
            ("../etc/passwd", "must be a path without"),
            ("/", "must be a path without"),
            ("usr/bin/app", "occurs twice"),
            ("bin/app", "has a parent that is no directory"),
            ("usr/bin/app/x", "has a parent that is no directory"),
            ("usr", "is the parent of another entry"),
        ] {
            let error = builder.file(path, Metadata::root(0o644), bytes("")).unwrap_err().to_string();
            assert!(error.contains(reason), "{path}: {error}");
        }
        assert!(builder.symlink("bin", "usr/bin").is_ok());
        assert!(builder.symlink("bin", "elsewhere").is_err());
        assert!(builder.file("x", Metadata::root(0o100_644), bytes("")).is_err());
    }

    #[test]
    fn a_file_is_read_from_its_beginning_and_must_not_shrink() {
        use std::io::Seek as _;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"content").unwrap();
        assert_eq!(file.stream_position().unwrap(), 7);
        let mut builder = Builder::new(0);
        builder.file("f", Metadata::root(0o644), Source::File(file.try_clone().unwrap())).unwrap();
        let mut blob = Vec::new();
        builder.write(&mut blob, Codec::None).unwrap();
        assert_eq!(&blob[512..519], b"content");
        assert_eq!(file.stream_position().unwrap(), 7);
        let mut short = FromStart { file: &file, at: 0, left: 8 };
        assert!(io::copy(&mut short, &mut io::sink()).is_err());
    }
}
