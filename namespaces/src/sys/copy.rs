//! Copies a directory into a file system that is attached nowhere yet.

use std::ffi::CStr;
use std::os::fd::RawFd;

use super::call::{Call, Failure, Outcome, Word, call, close, open_at, raw, read, write};
use super::status::status;

const RESOLVE_NO_XDEV: u64 = 0x01;
const RESOLVE_NO_SYMLINKS: u64 = 0x04;
/// How deep directories are followed: each takes its part of a thread's stack.
const DEPTH_MAX: u32 = 64;
const HEADER: usize = 19;

/// Copies what is in the directory `from` to the directory `to`: contents, modes and owners of files, directories, links,
/// pipes and devices; neither sockets nor what is mounted below.
pub(super) fn directory(from: RawFd, to: RawFd) -> Outcome<()> {
    let source = open_directory(from, c".")?;
    let target = open_directory(to, c".")?;
    entries(source, target, 0)?;
    like(source, target)?;
    close(source)?;
    close(target)
}

fn open_directory(parent: RawFd, name: &CStr) -> Outcome<RawFd> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    open_at(parent, name, flags, RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS)
}

fn entries(source: RawFd, target: RawFd, depth: u32) -> Outcome<()> {
    if depth > DEPTH_MAX {
        return Err(Failure { call: Call::Getdents64, errno: libc::ENAMETOOLONG });
    }
    let mut buffer = [0_u8; 4096];
    loop {
        // SAFETY: the buffer is writable for its length.
        let length = unsafe { call!(Getdents64, source, buffer.as_mut_ptr(), buffer.len()) }?;
        let mut rest = buffer.get(..usize::try_from(length).unwrap_or(0)).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        while let Some(([_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, a, b, _], _)) =
            rest.split_first_chunk::<HEADER>()
        {
            let length = usize::from(u16::from_ne_bytes([*a, *b]));
            let (record, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            let name = record.get(HEADER..).and_then(|name| CStr::from_bytes_until_nul(name).ok());
            if let Some(name) = name.filter(|name| *name != c"." && *name != c"..") {
                entry(source, target, name, depth)?;
            }
            rest = after;
        }
    }
}

fn entry(source: RawFd, target: RawFd, name: &CStr, depth: u32) -> Outcome<()> {
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let place = match open_at(source, name, flags, RESOLVE_NO_XDEV) {
        // Something is mounted there.
        Err(Failure { errno: libc::EXDEV, .. }) => return Ok(()),
        other => other?,
    };
    let found = status(place)?;
    close(place)?;
    let mode = u32::from(found.stx_mode);
    match mode & libc::S_IFMT {
        libc::S_IFDIR => {
            // SAFETY: a live C string.
            unsafe { call!(Mkdirat, target, name.as_ptr(), 0o700) }?;
            let (inner, copy) = (open_directory(source, name)?, open_directory(target, name)?);
            entries(inner, copy, depth + 1)?;
            like(inner, copy)?;
            close(inner)?;
            close(copy)
        }
        libc::S_IFREG => file(source, target, name),
        libc::S_IFLNK => link(source, target, name, &found),
        libc::S_IFCHR | libc::S_IFBLK | libc::S_IFIFO => {
            let number = libc::makedev(found.stx_rdev_major, found.stx_rdev_minor);
            // SAFETY: a live C string.
            unsafe { call!(Mknodat, target, name.as_ptr(), mode, number) }?;
            own(target, name, &found)
        }
        _ => Ok(()),
    }
}

fn file(source: RawFd, target: RawFd, name: &CStr) -> Outcome<()> {
    let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
    let from = open_at(source, name, flags, RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS)?;
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
    let to = super::call::open(target, name, flags, 0o600)?;
    let mut buffer = [0_u8; 16384];
    loop {
        let length = read(from, &mut buffer)?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        while !rest.is_empty() {
            rest = rest.get(write(to, rest)?..).unwrap_or_default();
        }
    }
    like(from, to)?;
    close(from)?;
    close(to)
}

fn link(source: RawFd, target: RawFd, name: &CStr, found: &libc::statx) -> Outcome<()> {
    let mut buffer = [0_u8; 4097];
    // SAFETY: a live C string, and a buffer that is writable for its length less the final zero.
    let length = unsafe { call!(Readlinkat, source, name.as_ptr(), buffer.as_mut_ptr(), buffer.len() - 1) }?;
    let contents = buffer.get(..=usize::try_from(length).unwrap_or(0)).unwrap_or_default();
    let contents =
        CStr::from_bytes_with_nul(contents).map_err(|_| Failure { call: Call::Readlinkat, errno: libc::EINVAL })?;
    // SAFETY: both are live C strings.
    unsafe { call!(Symlinkat, contents.as_ptr(), target, name.as_ptr()) }?;
    own(target, name, found)
}

/// Gives `copy` the owner and the mode of `original`, in the order in which the kernel keeps set-id bits.
fn like(original: RawFd, copy: RawFd) -> Outcome<()> {
    let found = status(original)?;
    // SAFETY: takes numbers.
    unsafe { call!(Fchown, copy, found.stx_uid, found.stx_gid) }?;
    // SAFETY: takes numbers.
    unsafe { call!(Fchmod, copy, u32::from(found.stx_mode) & 0o7777) }.map(drop)
}

fn own(target: RawFd, name: &CStr, found: &libc::statx) -> Outcome<()> {
    let (uid, gid) = (found.stx_uid, found.stx_gid);
    // SAFETY: a live C string.
    unsafe { call!(Fchownat, target, name.as_ptr(), uid, gid, libc::AT_SYMLINK_NOFOLLOW) }.map(drop)
}
