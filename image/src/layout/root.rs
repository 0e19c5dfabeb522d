//! The layout's directory: opening beneath it, locking it, replacing files in it.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2, renameat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::index_file::IndexFile;
use crate::codec::VerifyReader;
use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest};
use crate::error::{Error, Fault, Result};
use crate::index::Index;
use crate::json::{self, Value};
use crate::limits::Limits;
use crate::media_type::MediaType;

pub(super) const MARKER: &str = "oci-layout";
pub(super) const INDEX: &str = "index.json";
const VERSION: &str = "1.0.0";
/// What is being written has a name of this form until it is complete.
pub(super) const UNFINISHED: &str = ".windlass-unfinished-";

/// When written data is forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A blob and its name are on the disk before the call that wrote them returns, and so is the index.
    #[default]
    Synced,
    /// The kernel writes when it likes: after a power failure the layout may hold less, or blobs that fail to verify.
    Lazy,
}

/// A layout's directory.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) directory: OwnedFd,
    pub(super) path: PathBuf,
    pub(super) durability: Durability,
}

/// Where a blob lies, below the layout.
pub(super) fn blob_path(digest: &Digest) -> PathBuf {
    Path::new("blobs").join(digest.algorithm().as_str()).join(digest.hex())
}

impl Root {
    pub(super) fn create(path: &Path) -> Result<Self> {
        match std::fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::sys("create", path)(error));
            }
            _ => {}
        }
        let root = Self::open_directory(path)?;
        // Two creators at once: the second finds a whole layout.
        let _lock = root.lock()?;
        if root.exists(MARKER)? {
            root.check_marker()?;
            return Ok(root);
        }
        let index = format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#, MediaType::INDEX);
        // A creator that was killed here has left this very index; any other one belongs to something else.
        if root.exists(INDEX)? && root.read_document(INDEX, &Limits::DEFAULT)? != index.as_bytes() {
            return Err(Error::Invalid {
                field: "layout",
                value: path.display().to_string(),
                reason: "holds an index.json without oci-layout",
            });
        }
        for directory in ["blobs", "blobs/sha256"] {
            root.make_directory(directory)?;
        }
        root.replace(INDEX, index.as_bytes())?;
        // Last, because it is what makes the directory a layout.
        root.replace(MARKER, format!(r#"{{"imageLayoutVersion":"{VERSION}"}}"#).as_bytes())?;
        Ok(root)
    }

    pub(super) fn open(path: &Path) -> Result<Self> {
        let root = Self::open_directory(path)?;
        if !root.exists(MARKER)? {
            return Err(Error::NotFound { object: format!("image layout in {}", path.display()) });
        }
        root.check_marker()?;
        Ok(root)
    }

    fn open_directory(path: &Path) -> Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = nix::fcntl::open(path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::ENOENT => Error::NotFound { object: format!("directory {}", path.display()) },
            errno => Error::errno("open", path)(errno),
        })?;
        Ok(Self { directory, path: path.to_path_buf(), durability: Durability::default() })
    }

    fn check_marker(&self) -> Result<()> {
        let raw = self.read_document(MARKER, &Limits::DEFAULT)?;
        let value = json::parse(MARKER, &raw, &Limits::DEFAULT)?;
        let version = value.object().and_then(|object| object.required("imageLayoutVersion", Value::owned));
        match version.map_err(|fault| fault.of(MARKER))?.as_str() {
            VERSION => Ok(()),
            other => Err(Fault::new(format!("is {other:?}, only {VERSION} is known"))
                .within("imageLayoutVersion")
                .of(MARKER)),
        }
    }

    /// Held until dropped; waits for other holders in this and other processes.
    ///
    /// The directory is locked and not the index, because the index is replaced while the lock is held.
    pub(super) fn lock(&self) -> Result<File> {
        let lock = self.open_beneath(Path::new("."), OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        lock.lock().map_err(Error::sys("lock", &self.path))?;
        Ok(lock)
    }

    pub(super) fn open_beneath(&self, path: &Path, flags: OFlag) -> Result<File> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC | OFlag::O_NOCTTY)
            .mode(if flags.contains(OFlag::O_CREAT) { Mode::from_bits_truncate(0o644) } else { Mode::empty() })
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        loop {
            return match openat2(&self.directory, path, how) {
                Ok(descriptor) => Ok(descriptor.into()),
                // A rename elsewhere on the file system made the kernel unsure whether it stayed beneath.
                Err(Errno::EAGAIN | Errno::EINTR) => continue,
                Err(Errno::ENOENT) => Err(Error::NotFound { object: self.path.join(path).display().to_string() }),
                Err(Errno::ELOOP) => Err(Error::NotRegularFile { path: self.path.join(path) }),
                Err(errno) => Err(Error::errno("open", self.path.join(path))(errno)),
            };
        }
    }

    /// Opens a regular file and nothing else; a FIFO is neither waited for nor read.
    pub(super) fn open_regular(&self, path: &Path) -> Result<(File, u64)> {
        let file = self.open_beneath(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
        let status = fstat(&file).map_err(Error::errno("examine", self.path.join(path)))?;
        if SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(Error::NotRegularFile { path: self.path.join(path) });
        }
        Ok((file, u64::try_from(status.st_size).unwrap_or(0)))
    }

    pub(super) fn open_blob(&self, descriptor: &Descriptor) -> Result<File> {
        let (file, actual) = self.open_regular(&blob_path(&descriptor.digest)).map_err(|error| match error {
            Error::NotFound { .. } => {
                Error::NotFound { object: format!("blob {} in {}", descriptor.digest, self.path.display()) }
            }
            other => other,
        })?;
        if actual != descriptor.size {
            return Err(Error::SizeMismatch { digest: descriptor.digest, expected: descriptor.size, actual });
        }
        Ok(file)
    }

    /// A blob's content, verified, if it is no larger than a document may be.
    pub(super) fn get(&self, descriptor: &Descriptor, limits: &Limits) -> Result<Vec<u8>> {
        let max = limits.document_bytes;
        if descriptor.size > max {
            return Err(Error::LimitExceeded { limit: "document", max });
        }
        let mut content = Vec::new();
        let mut blob = VerifyReader::new(self.open_blob(descriptor)?, descriptor);
        blob.read_to_end(&mut content).map_err(Error::sys("read", blob_path(&descriptor.digest)))?;
        Ok(content)
    }

    /// The file of an unfinished blob that a writer can go on with; `None` while another writer does.
    pub(super) fn open_partial(&self, digest: &Digest) -> Result<Option<(File, PathBuf)>> {
        let name = PathBuf::from(format!("{UNFINISHED}{}-{}", digest.algorithm(), digest.hex()));
        loop {
            let file = self.open_beneath(&name, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NONBLOCK)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(Error::sys("lock", self.path.join(&name))(error)),
            }
            let status = fstat(&file).map_err(Error::errno("examine", self.path.join(&name)))?;
            if SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
                return Err(Error::NotRegularFile { path: self.path.join(&name) });
            }
            // It was finished or collected between opening and locking.
            if status.st_nlink > 0 {
                return Ok(Some((file, name)));
            }
        }
    }

    /// A new file that no other writer has, at the top of the layout, where other tools expect no blobs.
    pub(super) fn create_unfinished(&self) -> Result<(File, PathBuf)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = PathBuf::from(format!("{UNFINISHED}{}-{number}", std::process::id()));
            match self.open_beneath(&name, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL) {
                Ok(file) => {
                    // The lock tells a writer that lives from one that was killed.
                    if let Err(error) = file.lock_shared() {
                        self.remove(&name)?;
                        return Err(Error::sys("lock", self.path.join(&name))(error));
                    }
                    // A collector that saw the file before it was locked took it for a dead writer's.
                    if fstat(&file).map_err(Error::errno("examine", self.path.join(&name)))?.st_nlink > 0 {
                        return Ok((file, name));
                    }
                }
                // Left by a process that had this number before.
                Err(Error::Sys { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn publish(&self, file: &File, from: &Path, to: &Path) -> Result<()> {
        let synced = self.durability == Durability::Synced;
        if synced {
            file.sync_all().map_err(Error::sys("sync", self.path.join(from)))?;
        }
        let renamed = renameat(&self.directory, from, &self.directory, to);
        renamed.map_err(Error::errno("rename into place", self.path.join(to)))?;
        if synced {
            // The name is durable only when its directory is.
            let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            self.sync_directory(parent)?;
        }
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> Result<()> {
        let directory = self.open_beneath(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        directory.sync_all().map_err(Error::sys("sync", self.path.join(path)))
    }

    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        match unlinkat(&self.directory, path, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(Error::errno("remove", self.path.join(path))(errno)),
        }
    }

    pub(super) fn make_blob_directory(&self, algorithm: Algorithm) -> Result<()> {
        self.make_directory(&format!("blobs/{algorithm}"))
    }

    fn make_directory(&self, path: &str) -> Result<()> {
        match mkdirat(&self.directory, path, Mode::from_bits_truncate(0o755)) {
            Ok(()) => {
                self.sync_directory(Path::new(path).parent().filter(|parent| *parent != "").unwrap_or(Path::new(".")))
            }
            Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(Error::errno("create", self.path.join(path))(errno)),
        }
    }

    fn exists(&self, name: &str) -> Result<bool> {
        match fstatat(self.directory.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(Error::errno("examine", self.path.join(name))(errno)),
        }
    }

    fn read_document(&self, name: &str, limits: &Limits) -> Result<Vec<u8>> {
        let (file, length) = self.open_regular(Path::new(name))?;
        if length > limits.document_bytes {
            return Err(Error::LimitExceeded { limit: "document", max: limits.document_bytes });
        }
        let mut raw = Vec::new();
        // One byte more than allowed, so that a file which grows meanwhile is refused by the parser.
        let mut bounded = file.take(limits.document_bytes + 1);
        bounded.read_to_end(&mut raw).map_err(Error::sys("read", self.path.join(name)))?;
        Ok(raw)
    }

    fn replace(&self, name: &str, content: &[u8]) -> Result<()> {
        let (mut file, unfinished) = self.create_unfinished()?;
        let written = file
            .write_all(content)
            .map_err(Error::sys("write", self.path.join(name)))
            .and_then(|()| self.publish(&file, &unfinished, Path::new(name)));
        if written.is_err() {
            // The first failure is the one to report; the file is recognisable as unfinished.
            let _ = self.remove(&unfinished);
        }
        written
    }

    pub(super) fn read_index(&self, limits: &Limits) -> Result<Index> {
        Index::parse_as(self.read_document(INDEX, limits)?, &MediaType::INDEX, limits)
    }

    /// Reads, changes and replaces the index while nobody else can.
    pub(super) fn change_index(
        &self,
        limits: &Limits,
        change: impl FnOnce(&mut IndexFile<'_>) -> Result<()>,
    ) -> Result<()> {
        let _lock = self.lock()?;
        let raw = self.read_document(INDEX, limits)?;
        let mut index = IndexFile::parse(&raw, limits)?;
        change(&mut index)?;
        let changed = index.into_bytes();
        // What this crate would refuse to read must not be written.
        Index::parse_as(changed.clone(), &MediaType::INDEX, limits)?;
        self.replace(INDEX, &changed)
    }
}
