//! A pseudo terminal for the new process.

use std::mem;
use std::os::fd::RawFd;
use std::ptr;

use super::call::{Call, Failure, Outcome, Word, call, close, dup3, int, open_at, raw};
use super::message::{MESSAGE_LENGTH, Message};
use super::{filesystem, status};
use crate::plan::terminal::{Console, Devpts, TerminalStep};

const DEVPTS_MAGIC: i64 = 0x1cd1;
const MULTIPLEXER: (u32, u32) = (5, 2);
const RESOLVE_NO_XDEV: u64 = 0x01;
const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
const RESOLVE_NO_SYMLINKS: u64 = 0x04;
const RESOLVE_IN_ROOT: u64 = 0x10;

/// Opens the pair, makes the process's end its controlling terminal and standard descriptors, and hands the other end to
/// the caller. `root` is -1 where the process keeps the root that it has.
pub(super) fn give(socket: RawFd, root: RawFd, step: &TerminalStep) -> Outcome<()> {
    let (inside, opened) = match root {
        -1 => (filesystem::own_root()?, true),
        root => (root, false),
    };
    let master = master(inside, step.devpts)?;
    let unlocked = 0_i32;
    // SAFETY: TIOCSPTLCK reads a live int.
    unsafe { call!(Ioctl, master, libc::TIOCSPTLCK, ptr::from_ref(&unlocked)) }?;
    // The peer by its descriptor: a path could lead to somebody else's.
    // SAFETY: TIOCGPTPEER takes flags by value and gives a descriptor.
    let peer =
        unsafe { call!(Ioctl, master, libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) }.map(int)?;
    if let Some(size) = step.size {
        let size = [size.rows, size.columns, 0, 0];
        // SAFETY: TIOCSWINSZ reads a live struct winsize of four shorts.
        unsafe { call!(Ioctl, master, libc::TIOCSWINSZ, size.as_ptr()) }?;
    }
    if let Some(owner) = step.owner {
        // SAFETY: takes no pointer; the group stays.
        unsafe { call!(Fchown, peer, owner, u32::MAX) }?;
    }
    // SAFETY: takes a number.
    unsafe { call!(Ioctl, peer, libc::TIOCSCTTY, 0) }?;
    if step.console == Console::Bind {
        filesystem::bind_console(inside, peer)?;
    }
    for descriptor in 0..=2 {
        dup3(peer, descriptor, 0)?;
    }
    send(socket, Message::Terminal, master)?;
    if opened {
        close(inside)?;
    }
    close(peer)?;
    close(master)
}

fn master(root: RawFd, devpts: Devpts) -> Outcome<RawFd> {
    match multiplexer(root, true) {
        // None inside; or the host's own, whose multiplexer is closed to all but its device beside them.
        Err(Failure { errno: libc::ENOENT | libc::ENODEV | libc::EACCES, .. }) if devpts == Devpts::InsideOrCaller => {
            caller()
        }
        other => other,
    }
}

/// Of the tree that the caller has: `fs->root` of the process is still there.
fn caller() -> Outcome<RawFd> {
    let root = filesystem::own_root()?;
    let opened = match multiplexer(root, true) {
        Err(Failure { errno: libc::EACCES | libc::ENOENT | libc::ENODEV, .. }) => multiplexer(root, false),
        other => other,
    };
    close(root)?;
    opened
}

/// Opens the multiplexer of the pseudo terminals below `root`: the file in them, or the device beside them.
fn multiplexer(root: RawFd, is_inside: bool) -> Outcome<RawFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    let resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    let master = if is_inside {
        let path = c"/dev/pts";
        let flags_of_place = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
        let folder = match open_at(root, path, flags_of_place, resolve | RESOLVE_NO_SYMLINKS) {
            Err(Failure { call, errno: libc::ENOTDIR | libc::ELOOP }) => {
                return Err(Failure { call, errno: libc::ENODEV });
            }
            other => other?,
        };
        if !is_devpts(folder)? {
            close(folder)?;
            return Err(Failure { call: Call::Fstatfs, errno: libc::ENODEV });
        }
        // Nothing that is mounted over it, and no link.
        let opened = open_at(folder, c"ptmx", flags, RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
        close(folder)?;
        opened?
    } else {
        open_at(root, c"/dev/ptmx", flags, resolve)?
    };
    let status = status::status(master)?;
    let is_multiplexer = u32::from(status.stx_mode) & libc::S_IFMT == libc::S_IFCHR
        && (status.stx_rdev_major, status.stx_rdev_minor) == MULTIPLEXER;
    if is_multiplexer { Ok(master) } else { Err(Failure { call: Call::Statx, errno: libc::ENODEV }) }
}

fn is_devpts(descriptor: RawFd) -> Outcome<bool> {
    // SAFETY: all zeroes is a value of this plain structure.
    let mut status: libc::statfs64 = unsafe { mem::zeroed() };
    // SAFETY: a structure to be written.
    unsafe { call!(Fstatfs, descriptor, ptr::from_mut(&mut status)) }?;
    Ok(status.f_type == DEVPTS_MAGIC)
}

/// `struct cmsghdr` with one descriptor, padded to its alignment.
#[repr(C)]
struct Control {
    length: usize,
    level: i32,
    kind: i32,
    descriptor: RawFd,
    padding: u32,
}

/// `struct user_msghdr`.
#[repr(C)]
struct Header {
    name: *const u8,
    name_length: u64,
    parts: *const libc::iovec,
    part_count: usize,
    control: *const Control,
    control_length: usize,
    flags: u64,
}

/// Tells the caller `message`, with a descriptor for it to keep.
pub(super) fn send(socket: RawFd, message: Message, descriptor: RawFd) -> Outcome<()> {
    let bytes: [u8; MESSAGE_LENGTH] = message.encode();
    let part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let control = Control {
        length: mem::offset_of!(Control, padding),
        level: libc::SOL_SOCKET,
        kind: libc::SCM_RIGHTS,
        descriptor,
        padding: 0,
    };
    let header = Header {
        name: ptr::null(),
        name_length: 0,
        parts: ptr::from_ref(&part),
        part_count: 1,
        control: ptr::from_ref(&control),
        control_length: size_of_val(&control),
        flags: 0,
    };
    // SAFETY: the header, the part and the control message are live, and as long as they say.
    unsafe { call!(Sendmsg, socket, ptr::from_ref(&header), libc::MSG_NOSIGNAL) }.map(drop)
}
