//! Extended attributes of what is open, and of what cannot be opened.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::Named as _;
use crate::error::{Error, Result};
use crate::path::SafePath;
use crate::whiteout::XattrNamespace;

/// Values by name.
pub(crate) type Attributes = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// What has attributes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Object<'a> {
    /// An open file or directory.
    Open(BorrowedFd<'a>),
    /// A directory that is open as a place only.
    Place(BorrowedFd<'a>),
    /// A name in a directory, not followed: symbolic links, devices and pipes are not opened.
    Name(BorrowedFd<'a>, &'a SafePath),
}

impl Object<'_> {
    fn path(self) -> PathBuf {
        match self {
            Self::Open(descriptor) | Self::Place(descriptor) => super::proc_path(descriptor),
            Self::Name(directory, name) => super::proc_path(directory).join(name.as_path()),
        }
    }

    /// Writes one attribute; the caller sees the bare errno, which decides what comes next.
    pub(crate) fn set(self, name: &[u8], value: &[u8]) -> rustix::io::Result<()> {
        match self {
            Self::Open(descriptor) => rustix::fs::fsetxattr(descriptor, name, value, XattrFlags::empty()),
            Self::Place(_) => rustix::fs::setxattr(self.path(), name, value, XattrFlags::empty()),
            Self::Name(..) => rustix::fs::lsetxattr(self.path(), name, value, XattrFlags::empty()),
        }
    }

    /// One attribute, or `None` where it is not set or the file system has none.
    pub(crate) fn get(self, name: &[u8], object: &Path) -> Result<Option<Box<[u8]>>> {
        // 64 KiB is the kernel's own limit on a value.
        let mut value = Vec::with_capacity(64);
        loop {
            let room = rustix::buffer::spare_capacity(&mut value);
            let read = match self {
                Self::Open(descriptor) => rustix::fs::fgetxattr(descriptor, name, room),
                Self::Place(_) => rustix::fs::getxattr(self.path(), name, room),
                Self::Name(..) => rustix::fs::lgetxattr(self.path(), name, room),
            };
            match read {
                Ok(_) => return Ok(Some(value.into())),
                Err(Errno::RANGE) if value.capacity() < 65536 => value = Vec::with_capacity(65536),
                Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
                Err(errno) => return Err(errno).named("getxattr", object),
            }
        }
    }

    /// All attributes that the caller may see.
    pub(crate) fn all(self, object: &Path) -> Result<Attributes> {
        let mut names = Vec::with_capacity(256);
        loop {
            let room = rustix::buffer::spare_capacity(&mut names);
            let listed = match self {
                Self::Open(descriptor) => rustix::fs::flistxattr(descriptor, room),
                Self::Place(_) => rustix::fs::listxattr(self.path(), room),
                Self::Name(..) => rustix::fs::llistxattr(self.path(), room),
            };
            match listed {
                Ok(_) => break,
                Err(Errno::RANGE) if names.capacity() < 65536 => names = Vec::with_capacity(65536),
                Err(Errno::OPNOTSUPP) => return Ok(BTreeMap::new()),
                Err(errno) => return Err(errno).named("listxattr", object),
            }
        }
        let mut found = BTreeMap::new();
        for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            if let Some(value) = self.get(name, object)? {
                found.insert(name.into(), value);
            }
        }
        Ok(found)
    }

    /// Removes one attribute; one that is not set is no error.
    pub(crate) fn remove(self, name: &[u8], object: &Path) -> Result<()> {
        let removed = match self {
            Self::Open(descriptor) => rustix::fs::fremovexattr(descriptor, name),
            Self::Place(_) => rustix::fs::removexattr(self.path(), name),
            Self::Name(..) => rustix::fs::lremovexattr(self.path(), name),
        };
        match removed {
            Err(Errno::NODATA) => Ok(()),
            removed => removed.named("removexattr", object),
        }
    }
}

/// Which of overlay's attributes the caller may write on this directory's file system.
pub(crate) fn native_namespace(directory: BorrowedFd<'_>, object: &Path) -> Result<XattrNamespace> {
    let mut refused = None;
    for namespace in [XattrNamespace::Trusted, XattrNamespace::User] {
        let probe = match namespace {
            XattrNamespace::Trusted => "trusted.windlass.probe",
            XattrNamespace::User => "user.windlass.probe",
        };
        match rustix::fs::fsetxattr(directory, probe, b"y", XattrFlags::empty()) {
            Ok(()) => {
                Object::Open(directory).remove(probe.as_bytes(), object)?;
                return Ok(namespace);
            }
            Err(errno) => refused = Some(errno),
        }
    }
    let reason = refused.map(|errno| format!("{}: {errno}", object.display())).unwrap_or_default();
    Err(Error::Unsupported { feature: "trusted or user extended attributes", reason })
}
