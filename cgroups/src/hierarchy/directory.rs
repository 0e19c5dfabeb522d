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

/// A directory of a hierarchy.
#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
    /// Where it is, for messages: a base, which all below it share, and the names from there on.
    base: Arc<str>,
    names: Arc<str>,
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
        self.fd.as_fd()
    }
}

impl From<Directory> for OwnedFd {
    fn from(directory: Directory) -> Self {
        directory.fd
    }
}

impl Directory {
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
        Ok(Some(Self { fd, base: path.as_str().into(), names: "".into() }))
    }

    /// The same directory, as one that others are named from.
    pub(crate) fn into_base(self) -> Self {
        let base = self.path().into();
        Self { fd: self.fd, base, names: "".into() }
    }

    /// Another descriptor of the same directory.
    pub(crate) fn duplicate(&self) -> Result<Self> {
        let fd = self.fd.try_clone().map_err(|error| Error::sys("duplicate the descriptor of", self.path(), error))?;
        Ok(Self { fd, base: self.base.clone(), names: self.names.clone() })
    }

    /// Where it is, for messages.
    pub(crate) fn path(&self) -> String {
        match &*self.names {
            "" => self.base.to_string(),
            names => [&self.base, "/", names].concat(),
        }
    }

    /// Where the base is from which it is named, and which most often it is itself.
    pub(crate) fn base_path(&self) -> &str {
        &self.base
    }

    /// Opens the directory below it that `names` lead to; `None` if there is none.
    pub(crate) fn below(&self, names: &str) -> Result<Option<Self>> {
        let from_base = match &*self.names {
            "" => names.into(),
            above => [above, "/", names].concat().into(),
        };
        self.below_as(names, from_base)
    }

    /// The same for a caller that has the names from the base on.
    pub(crate) fn below_as(&self, names: &str, from_base: Arc<str>) -> Result<Option<Self>> {
        match self.open_beneath(names, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(fd) => Ok(Some(Self { fd, base: self.base.clone(), names: from_base })),
            Err(Errno::NOENT) => self.missing(),
            Err(error) => Err(Error::sys("open", self.file(names), error)),
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
                stopped_at: self.path(),
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
        let mut content = String::new();
        Ok(self.read_into(file, &mut content)?.then_some(content))
    }

    /// Reads a file of the group in the place of what `content` holds; `false` if there is none of the name.
    pub(crate) fn read_into(&self, file: &str, content: &mut String) -> Result<bool> {
        let Some(fd) = self.open(file)? else { return Ok(false) };
        match read_text(&fd, content) {
            Ok(true) => Ok(true),
            Ok(false) => Err(Error::Malformed { file: self.file(file), reason: "it is not text" }),
            Err(Errno::NODEV) => self.missing().map(|none: Option<()>| none.is_some()),
            Err(error) => Err(Error::sys("read", self.file(file), error)),
        }
    }

    /// Reads a file that every such group has.
    pub(crate) fn read_always(&self, file: &str) -> Result<String> {
        let mut content = String::new();
        self.read_always_into(file, &mut content).map(|()| content)
    }

    /// The same, in the place of what `content` holds.
    pub(crate) fn read_always_into(&self, file: &str, content: &mut String) -> Result<()> {
        if self.read_into(file, content)? { Ok(()) } else { Err(Error::sys("open", self.file(file), Errno::NOENT)) }
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
                let mut content = String::new();
                let read = read_text(&fd, &mut content).unwrap_or(false);
                Ok((fd, read.then_some(content)))
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
        Error::Gone { group: self.path() }
    }

    /// The path of a file, for messages.
    pub(crate) fn file(&self, file: &str) -> String {
        match &*self.names {
            "" => [&self.base, "/", file].concat(),
            names => [&self.base, "/", names, "/", file].concat(),
        }
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

/// Reads an open file from its start in the place of what `content` holds; `false` if it is not text.
fn read_text(fd: &OwnedFd, content: &mut String) -> Result<bool, Errno> {
    let mut buffer = [0_u8; 2 * SURELY_WHOLE];
    let mut bytes = std::mem::take(content).into_bytes();
    bytes.clear();
    loop {
        let read = rustix::io::retry_on_intr(|| rustix::io::pread(fd, &mut buffer, bytes.len() as u64))?;
        bytes.extend_from_slice(&buffer[..read]);
        if read < SURELY_WHOLE {
            return Ok(String::from_utf8(bytes).map(|text| *content = text).is_ok());
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
