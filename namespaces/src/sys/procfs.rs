//! Files of the kernel, reached so that nothing in a tree of mounts can lead elsewhere.

use std::ffi::CStr;
use std::mem;
use std::os::fd::RawFd;
use std::ptr;

use super::call::{Call, Failure, Outcome, Word, call, close, open_at, open_place, raw};
use super::filesystem::filesystem;
use super::status::status;
use crate::plan::attribute::Procfs;

const PROC_MAGIC: i64 = 0x9fa0;
/// The number of procfs's root directory.
const ROOT: u64 = 1;
const RESOLVE_NO_XDEV: u64 = 0x01;
const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
const RESOLVE_BENEATH: u64 = 0x08;

/// The root of a procfs.
pub(super) fn open(procfs: Procfs) -> Outcome<RawFd> {
    match (filesystem(c"proc", 0), procfs) {
        // In a user namespace the kernel makes one only with a pid namespace of it, where the one around is all visible.
        (Err(Failure { errno: libc::EPERM, .. }), Procfs::PrivateOrCaller) => callers(),
        (other, _) => other,
    }
}

/// The caller's `/proc`, proven to be the root of a procfs.
pub(super) fn callers() -> Outcome<RawFd> {
    let root = open_place(libc::AT_FDCWD, c"/proc", libc::O_DIRECTORY, 0)?;
    // SAFETY: all zeroes is a value of this plain structure.
    let mut system: libc::statfs64 = unsafe { mem::zeroed() };
    // SAFETY: a structure to be written.
    unsafe { call!(Fstatfs, root, ptr::from_mut(&mut system)) }?;
    if system.f_type == PROC_MAGIC && status(root)?.stx_ino == ROOT {
        return Ok(root);
    }
    close(root)?;
    Err(Failure { call: Call::Fstatfs, errno: libc::EXDEV })
}

/// Opens a file below `root`, with nothing mounted on the way.
pub(super) fn open_file(root: RawFd, path: &CStr, flags: i32) -> Outcome<RawFd> {
    open_at(root, path, flags | libc::O_CLOEXEC, RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS)
}

/// Opens what a link of the kernel's own, such as those of namespaces, stands for.
pub(super) fn open_link(root: RawFd, path: &CStr) -> Outcome<RawFd> {
    open_at(root, path, libc::O_RDONLY | libc::O_CLOEXEC, 0)
}
