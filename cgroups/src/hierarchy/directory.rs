//! A group's directory as a descriptor: every file of it is opened beneath, without links and without mounts.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::controller::Version;
use crate::error::{Error, NotDelegated, Result};
use crate::mountinfo::Mount;

const SUPER_MAGIC_V1: i64 = 0x0027_e0eb;
const SUPER_MAGIC_V2: i64 = 0x6367_7270;

/// The file that every group of both versions has for as long as it exists.
const ALWAYS_THERE: &str = "cgroup.procs";

/// A file that answers with less than this, to a buffer of twice the size, was read to its end.
///
/// The kernel fills a buffer with whole lines for as long as the next one fits, and none is nearly as long.
const SURELY_WHOLE: usize = 2048;

/// A directory of a hierarchy; clones share the descriptor.
#[derive(Debug, Clone)]
pub(crate) struct Directory(Arc<Open>);

#[derive(Debug)]
struct Open {
    fd: OwnedFd,
    path: String,
}

/// What one look at a directory and at its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The name leads to another directory, or to none.
    Gone,
    /// It is there, and directories are below it.
    Parent,
    /// It is there, and no directory is below it.
    Leaf,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

impl Directory {
    fn new(fd: OwnedFd, path: String) -> Self {
        Self(Arc::new(Open { fd, path }))
    }

    /// Opens a mount point; `None` if another file system covers it.
    pub(crate) fn open_mount(mount: &Mount) -> Result<Option<Self>> {
        let path = &mount.at;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::ACCESS | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(Error::sys("open", path, error)),
        };
        let magic = rustix::fs::fstatfs(&fd).map_err(|error| Error::sys("inspect", path, error))?.f_type;
        let wanted = match mount.version {
            Version::V1 => SUPER_MAGIC_V1,
            Version::V2 => SUPER_MAGIC_V2,
        };
        if magic != wanted || (mount.maybe_covered && !is_of_device(&fd, mount)?) {
            return Ok(None);
        }
        Ok(Some(Self::new(fd, path.to_owned())))
    }

    /// Whether the other is a clone of it.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The descriptor itself, or another of the same directory if there is a clone.
    pub(crate) fn into_fd(self) -> Result<OwnedFd> {
        match Arc::try_unwrap(self.0) {
            Ok(open) => Ok(open.fd),
            Err(shared) => {
                shared.fd.try_clone().map_err(|error| Error::sys("duplicate the descriptor of", &shared.path, error))
            }
        }
    }

    /// Where it is, for messages.
    pub(crate) fn path(&self) -> &str {
        &self.0.path
    }

    /// Opens the directory below it that `names` lead to; `None` if there is none.
    pub(crate) fn below(&self, names: &str) -> Result<Option<Self>> {
        let path = self.file(names);
        match self.open_beneath(names, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(fd) => Ok(Some(Self::new(fd, path))),
            Err(Errno::NOENT) => self.missing(),
            Err(error) => Err(Error::sys("open", path, error)),
        }
    }

    /// Makes a directory below it; `false` if there is one already.
    pub(crate) fn make(&self, name: &str) -> Result<bool> {
        match rustix::fs::mkdirat(self, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(Errno::NOENT) => Err(self.gone()),
            Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Err(Error::NotDelegated {
                controllers: Vec::new(),
                stopped_at: self.path().to_owned(),
                reason: NotDelegated::Permission,
            }),
            Err(error) => Err(Error::sys("create", format!("{}/{name}", self.path()), error)),
        }
    }

    /// Removes an empty directory below it, with the kernel's plain answer.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, name, AtFlags::REMOVEDIR)?)
    }

    /// Whether the directory `name` below it is the one that `child` stands for, and whether others are below that.
    pub(crate) fn standing(&self, name: &str, child: &Self) -> Result<Standing> {
        let fail = |error| Err(Error::sys("inspect", child.path(), error));
        let meant = match rustix::fs::fstat(child) {
            Ok(status) => status,
            Err(error) => return fail(error),
        };
        match rustix::fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) if (named.st_dev, named.st_ino) != (meant.st_dev, meant.st_ino) => Ok(Standing::Gone),
            Ok(_) if meant.st_nlink > 2 => Ok(Standing::Parent),
            Ok(_) => Ok(Standing::Leaf),
            Err(Errno::NOENT) => Ok(Standing::Gone),
            Err(error) => fail(error),
        }
    }

    /// Whether directories are below it, without listing them: the kernel counts each as a link.
    pub(crate) fn has_directories(&self) -> Result<bool> {
        match rustix::fs::fstat(self) {
            Ok(status) => Ok(status.st_nlink > 2),
            Err(error) => Err(Error::sys("inspect", self.path(), error)),
        }
    }

    /// The names of the directories below it.
    pub(crate) fn directories(&self) -> Result<Vec<String>> {
        if !self.has_directories()? {
            return if self.is_gone() { Err(self.gone()) } else { Ok(Vec::new()) };
        }
        self.entries(FileType::Directory)
    }

    /// The names of its files.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        self.entries(FileType::RegularFile)
    }

    fn entries(&self, kind: FileType) -> Result<Vec<String>> {
        let fail = |error: Errno| match error {
            Errno::NOENT => self.gone(),
            error => Error::sys("list", self.path(), error),
        };
        let mut names = Vec::new();
        for entry in Dir::read_from(self).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy();
            if entry.file_type() == kind && name != "." && name != ".." {
                names.push(name.into_owned());
            }
        }
        Ok(names)
    }

    /// Opens a file of the group to read; `None` if this kernel or group has none of the name.
    pub(crate) fn open(&self, file: &str) -> Result<Option<OwnedFd>> {
        match self.open_unchecked(file)? {
            Some(fd) => Ok(Some(fd)),
            None => self.missing(),
        }
    }

    /// Opens a file as [`open`](Self::open) does, for a caller that opens many and asks once whether the group is there.
    pub(crate) fn open_unchecked(&self, file: &str) -> Result<Option<OwnedFd>> {
        match self.open_beneath(file, OFlags::RDONLY) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT | Errno::NODEV) => Ok(None),
            Err(error) => Err(Error::sys("open", self.file(file), error)),
        }
    }

    /// Reads a file of the group; `None` if this kernel or group has none of the name.
    pub(crate) fn read(&self, file: &str) -> Result<Option<String>> {
        let Some(fd) = self.open(file)? else { return Ok(None) };
        match read_text(&fd) {
            Ok(Some(content)) => Ok(Some(content)),
            Ok(None) => Err(Error::Malformed { file: self.file(file), reason: "it is not text" }),
            Err(Errno::NODEV) => self.missing(),
            Err(error) => Err(Error::sys("read", self.file(file), error)),
        }
    }

    /// Reads a file that every such group has.
    pub(crate) fn read_always(&self, file: &str) -> Result<String> {
        self.read(file)?.ok_or_else(|| Error::sys("open", self.file(file), Errno::NOENT))
    }

    /// Writes a file in one system call, as the kernel wants it.
    pub(crate) fn write(&self, file: &str, value: &str) -> Result<(), WriteFailure> {
        self.write_to(&self.open_to_write(file)?, value)
    }

    /// Opens a file of the group to write.
    pub(crate) fn open_to_write(&self, file: &str) -> Result<OwnedFd, WriteFailure> {
        self.open_beneath(file, OFlags::WRONLY).map_err(|error| self.unopened(error))
    }

    /// Opens a file of the group to write, and says what it holds; `None` if that cannot be read.
    pub(crate) fn open_to_change(&self, file: &str) -> Result<(OwnedFd, Option<String>), WriteFailure> {
        match self.open_beneath(file, OFlags::RDWR) {
            Ok(fd) => {
                // A group that was removed meanwhile is told by the write.
                let content = read_text(&fd).unwrap_or(None);
                Ok((fd, content))
            }
            // Not for this caller to read, or for nobody.
            Err(Errno::ACCESS | Errno::INVAL) => self.open_to_write(file).map(|fd| (fd, None)),
            Err(error) => Err(self.unopened(error)),
        }
    }

    /// Writes an open file of the group in one system call.
    pub(crate) fn write_to(&self, fd: &OwnedFd, value: &str) -> Result<(), WriteFailure> {
        match rustix::io::retry_on_intr(|| rustix::io::write(fd, value.as_bytes())) {
            Ok(written) if written == value.len() => Ok(()),
            Ok(_) => Err(WriteFailure::Refused(io::ErrorKind::WriteZero.into())),
            Err(Errno::NODEV) if self.is_gone() => Err(WriteFailure::Gone),
            Err(error) => Err(WriteFailure::Refused(error.into())),
        }
    }

    fn unopened(&self, error: Errno) -> WriteFailure {
        match error {
            Errno::NOENT | Errno::NODEV if self.is_gone() => WriteFailure::Gone,
            Errno::NOENT => WriteFailure::NoFile,
            Errno::ACCESS | Errno::PERM | Errno::ROFS => WriteFailure::NotPermitted,
            error => WriteFailure::Refused(error.into()),
        }
    }

    /// Writes a file for which only the plain answer counts.
    pub(crate) fn write_plainly(&self, file: &str, value: &str) -> Result<()> {
        self.write(file, value).map_err(|failure| self.plainly(file, failure))
    }

    /// The error of a write for which only the plain answer counts.
    pub(crate) fn plainly(&self, file: &str, failure: WriteFailure) -> Error {
        match failure {
            WriteFailure::Gone => self.gone(),
            WriteFailure::NoFile => Error::sys("open", self.file(file), Errno::NOENT),
            WriteFailure::NotPermitted => Error::sys("open", self.file(file), Errno::ACCESS),
            WriteFailure::Refused(source) => Error::sys("write", self.file(file), source),
        }
    }

    /// Whether the group was removed: its directory is then empty for this handle, whatever has its name now.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(rustix::fs::statat(self, ALWAYS_THERE, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT))
    }

    /// The error of an operation on a removed group.
    pub(crate) fn gone(&self) -> Error {
        Error::Gone { group: self.path().to_owned() }
    }

    /// The path of a file, for messages.
    pub(crate) fn file(&self, file: &str) -> String {
        [self.path(), "/", file].concat()
    }

    /// Tells a missing file from a removed group.
    fn missing<T>(&self) -> Result<Option<T>> {
        if self.is_gone() { Err(self.gone()) } else { Ok(None) }
    }

    fn open_beneath(&self, names: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        loop {
            match rustix::fs::openat2(self, names, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                // A rename anywhere on the machine makes the kernel give up the check; it asks for another try.
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
    }
}

/// Whether a directory is of the file system that was mounted, and not of one that covers it.
fn is_of_device(fd: &OwnedFd, mount: &Mount) -> Result<bool> {
    let status = rustix::fs::fstat(fd).map_err(|error| Error::sys("inspect", &mount.at, error))?;
    Ok((rustix::fs::major(status.st_dev), rustix::fs::minor(status.st_dev)) == mount.device)
}

/// Reads an open file from its start; `None` if it is not text.
fn read_text(fd: &OwnedFd) -> Result<Option<String>, Errno> {
    let mut buffer = [0_u8; 2 * SURELY_WHOLE];
    let mut content = Vec::new();
    loop {
        let read = rustix::io::retry_on_intr(|| rustix::io::pread(fd, &mut buffer, content.len() as u64))?;
        content.extend_from_slice(&buffer[..read]);
        if read < SURELY_WHOLE {
            return Ok(String::from_utf8(content).ok());
        }
    }
}

/// Why a write did not happen.
#[derive(Debug)]
pub(crate) enum WriteFailure {
    /// The group was removed.
    Gone,
    /// The group is there and has no such file.
    NoFile,
    /// The file may not be opened.
    NotPermitted,
    /// The kernel refused the value.
    Refused(io::Error),
}
