//! What is at a place.

use std::ffi::CStr;
use std::os::fd::RawFd;
use std::{mem, ptr};

use super::call::{Call, Outcome, Word, call, raw};

const AT_EMPTY_PATH: u32 = 0x1000;

pub(super) fn status(descriptor: RawFd) -> Outcome<libc::statx> {
    status_at(descriptor, c"", AT_EMPTY_PATH)
}

/// Whether a path from the working directory leads to a directory.
pub(super) fn is_directory_at(path: &CStr) -> Outcome<bool> {
    Ok(u32::from(status_at(libc::AT_FDCWD, path, 0)?.stx_mode) & libc::S_IFMT == libc::S_IFDIR)
}

fn status_at(directory: RawFd, path: &CStr, flags: u32) -> Outcome<libc::statx> {
    // SAFETY: all zeroes is a value of this plain structure.
    let mut status: libc::statx = unsafe { mem::zeroed() };
    let out = ptr::from_mut(&mut status);
    // SAFETY: a live C string, and a structure to be written.
    unsafe { call!(Statx, directory, path.as_ptr(), flags, libc::STATX_BASIC_STATS, out) }?;
    Ok(status)
}

pub(super) fn is_directory(descriptor: RawFd) -> Outcome<bool> {
    Ok(u32::from(status(descriptor)?.stx_mode) & libc::S_IFMT == libc::S_IFDIR)
}
