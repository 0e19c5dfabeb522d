//! Who uses something, in whatever process.
#![expect(unsafe_code, reason = "rustix has no locks of open files that can be asked for without taking them")]

use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::open_beneath;
use crate::path::SafePath;

/// Which others a lock lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Those that share, too.
    Shared,
    /// Nobody.
    Exclusive,
}

/// A lock on a file that ends with this value, also where a child process has inherited its descriptor.
///
/// Asking for one disturbs nobody, which a `flock` that is tried would.
#[derive(Debug)]
pub(crate) struct Lease(OwnedFd);

impl Lease {
    /// Takes the lock on a file of a directory; `None` where another one excludes it.
    pub(crate) fn take(directory: BorrowedFd<'_>, file: &SafePath, sharing: Sharing) -> std::io::Result<Option<Self>> {
        let kind = match sharing {
            Sharing::Shared => libc::F_RDLCK,
            Sharing::Exclusive => libc::F_WRLCK,
        };
        let own = open(directory, file)?;
        match lock(&own, libc::F_OFD_SETLK, kind) {
            Ok(_) => Ok(Some(Self(own))),
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::AGAIN | Errno::ACCESS)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether somebody has a lock on the file.
    pub(crate) fn is_taken(directory: BorrowedFd<'_>, file: &SafePath) -> std::io::Result<bool> {
        lock(&open(directory, file)?, libc::F_OFD_GETLK, libc::F_WRLCK).map(|found| found != libc::F_UNLCK)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // It can only fail for a descriptor that is none.
        drop(lock(&self.0, libc::F_OFD_SETLK, libc::F_UNLCK));
    }
}

fn open(directory: BorrowedFd<'_>, file: &SafePath) -> std::io::Result<OwnedFd> {
    Ok(open_beneath(directory, file, OFlags::RDWR | OFlags::NOFOLLOW)?)
}

/// Takes or asks for a lock on a whole file; gives the kind that the kernel answers with.
fn lock(file: &OwnedFd, command: i32, kind: i32) -> std::io::Result<i32> {
    let kind = libc::c_short::try_from(kind).expect("the kinds of locks are small numbers");
    let mut wanted = libc::flock { l_type: kind, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
    // SAFETY: the commands read and write one `struct flock`, which outlives the call.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), command, std::ptr::from_mut(&mut wanted)) };
    if done == 0 { Ok(wanted.l_type.into()) } else { Err(std::io::Error::last_os_error()) }
}
