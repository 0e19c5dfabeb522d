//! Mounts of the new process; everything below its root by descriptor.

use std::ffi::{CStr, CString, c_char, c_void};
use std::os::fd::RawFd;
use std::{mem, ptr};

use super::call::{Call, Failure, Outcome, Word, call, close, int, open, open_place, raw, write};
use super::copy;
use super::status::{is_directory, status};
use super::tree::Tree;
use crate::mount::{Attributes, Contents, DeviceKind, Reach, attribute};
use crate::plan::step::{DeviceStep, Links, MountSource, MountStep, RootSource, Target};

const OPEN_TREE_CLONE: u32 = 1;
const OPEN_TREE_CLOEXEC: u32 = 0o2_000_000;
pub(super) const AT_RECURSIVE: u32 = 0x8000;
pub(super) const AT_EMPTY_PATH: u32 = 0x1000;
const FSOPEN_CLOEXEC: u32 = 1;
const FSMOUNT_CLOEXEC: u32 = 1;
const FSPICK_CLOEXEC: u32 = 1;
const FSPICK_EMPTY_PATH: u32 = 8;
pub(super) const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
const RESOLVE_NO_SYMLINKS: u64 = 0x04;
const RESOLVE_IN_ROOT: u64 = 0x10;
const NULL_DEVICE: (u32, u32) = (1, 3);

pub(super) fn write_below(directory: RawFd, path: &CStr, bytes: &[u8]) -> Outcome<()> {
    let file = open(directory, path, libc::O_WRONLY, 0)?;
    let result = write(file, bytes);
    close(file)?;
    result.map(drop)
}

/// The root that mounts are made in, attached to the mount namespace.
pub(super) fn open_root(source: &RootSource) -> Outcome<RawFd> {
    let mount = match source {
        RootSource::Own => return own_root(),
        RootSource::Detached(descriptor) => *descriptor,
        RootSource::Path(path) => {
            // Where hooks know it.
            let place = open_place(libc::AT_FDCWD, path, libc::O_DIRECTORY, 0)?;
            let mount = clone_tree(place, c"", Reach::Below)?;
            attach(mount, place, c"", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)?;
            close(place)?;
            return Ok(mount);
        }
    };
    // Over the root of the tree that is left behind: no directory of it need be known to exist.
    attach(mount, libc::AT_FDCWD, c"/", MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(mount)
}

/// The root that the process has.
pub(super) fn own_root() -> Outcome<RawFd> {
    open_place(libc::AT_FDCWD, c"/", libc::O_DIRECTORY, 0)
}

/// Makes an open terminal appear at `/dev/console`; no link is followed there.
pub(super) fn bind_console(root: RawFd, terminal: RawFd) -> Outcome<()> {
    let console = clone_tree(terminal, c"", Reach::This)?;
    let resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
    let place = match open_place(root, c"/dev/console", 0, resolve) {
        Err(Failure { errno: libc::ENOENT, .. }) => {
            let parent = directory(root, c"/dev", RESOLVE_NO_SYMLINKS)?;
            let flags = libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_WRONLY;
            close(open(parent, c"console", flags, 0o600)?)?;
            close(parent)?;
            open_place(root, c"/dev/console", 0, resolve)?
        }
        other => other?,
    };
    attach(console, place, c"", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)?;
    close(place)?;
    close(console)
}

pub(super) fn mount<'a>(tree: &mut Tree<'a>, step: &'a MountStep) -> Outcome<()> {
    tree.sweep_some()?;
    let (mount, is_fresh) = match &step.source {
        MountSource::Bind { path, recursive, .. } => {
            let reach = if *recursive { Reach::Below } else { Reach::This };
            (clone_tree(libc::AT_FDCWD, path, reach)?, false)
        }
        MountSource::Detached(descriptor) | MountSource::Mapped { descriptor: Some(descriptor), .. } => {
            (*descriptor, false)
        }
        MountSource::Mapped { .. } => return Err(Failure { call: Call::OpenTree, errno: libc::EBADF }),
        MountSource::Filesystem { name, options } => {
            let attributes = step.own.set | step.below.set;
            let options = options.iter().map(|(key, value)| (key.as_c_str(), value.as_deref()));
            let (mount, context) = instance(name, options, attributes)?;
            tree.leave(context);
            (mount, true)
        }
    };
    change(mount, step, is_fresh)?;
    if step.source.is_known_directory() || is_directory(mount)? {
        attach_directory(tree, step, mount)?;
    } else {
        let place = file(tree.root, &step.target)?;
        attach_over(tree, step, mount, place)?;
    }
    match step.source {
        // One of those that are kept.
        MountSource::Detached(_) | MountSource::Mapped { .. } => close(mount),
        MountSource::Bind { .. } | MountSource::Filesystem { .. } => {
            tree.leave(mount);
            Ok(())
        }
    }
}

/// Attaches a directory where the target is, which is made if it is missing.
fn attach_directory<'a>(tree: &mut Tree<'a>, step: &'a MountStep, mount: RawFd) -> Outcome<()> {
    let target = &step.target;
    let resolve = match step.links {
        Links::Follow => 0,
        Links::Refuse => RESOLVE_NO_SYMLINKS,
    };
    let is_simple = step.links == Links::Follow && step.contents == Contents::None;
    if is_simple
        && let Some(parent) = tree.remembered(&target.parent)
        && attach_new(parent, &target.name, mount)?
    {
        return Ok(());
    }
    let resolve_in_root = resolve | RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    let place = match tree.place(&target.path, libc::O_DIRECTORY, resolve_in_root) {
        Err(Failure { errno: libc::ENOENT, .. }) => {
            if is_simple && attach_new(parent(tree, target)?, &target.name, mount)? {
                return Ok(());
            }
            directory(tree.root, &target.path, resolve)?
        }
        other => {
            let place = other?;
            if step.contents == Contents::PermissionsOfTarget {
                permissions(mount, status(place)?.stx_mode)?;
            }
            place
        }
    };
    attach_over(tree, step, mount, place)
}

/// Makes a directory and attaches a mount there, if nothing of the name exists. What was just made is nothing that a
/// link leads to, and no part of a procfs, in which none can be made.
fn attach_new(parent: RawFd, name: &CStr, mount: RawFd) -> Outcome<bool> {
    // SAFETY: a live C string.
    match unsafe { call!(Mkdirat, parent, name.as_ptr(), 0o755) } {
        Ok(_) => {}
        Err(Failure { errno: libc::EEXIST, .. }) => return Ok(false),
        Err(failure) => return Err(failure),
    }
    // Without a flag no link is followed at the end of the path.
    attach(mount, parent, name, MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(true)
}

/// Attaches a mount over a place that is open.
fn attach_over(tree: &mut Tree<'_>, step: &MountStep, mount: RawFd, place: RawFd) -> Outcome<()> {
    // Where processes are shown nothing else may appear by way of a link: what is written there afterwards would not
    // reach the kernel.
    if !step.target.path.to_bytes().starts_with(b"/proc") && is_procfs(place)? {
        return Err(Failure { call: Call::MoveMount, errno: libc::ELOOP });
    }
    if step.contents == Contents::OfTarget {
        copy::directory(place, mount)?;
    }
    attach(mount, place, c"", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)?;
    tree.leave(place);
    tree.forget();
    Ok(())
}

/// The directory that a target is in.
fn parent<'a>(tree: &mut Tree<'a>, target: &'a Target) -> Outcome<RawFd> {
    if let Some(parent) = tree.remembered(&target.parent) {
        return Ok(parent);
    }
    let parent = directory(tree.root, &target.parent, 0)?;
    tree.remember(&target.parent, parent);
    Ok(parent)
}

/// Gives the root of a mount the permissions of another directory.
fn permissions(mount: RawFd, mode: u16) -> Outcome<()> {
    let root = open(mount, c".", libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    // SAFETY: takes numbers.
    unsafe { call!(Fchmod, root, u32::from(mode) & 0o7777) }?;
    close(root)
}

fn is_procfs(place: RawFd) -> Outcome<bool> {
    // SAFETY: all zeroes is a value of this plain structure.
    let mut status: libc::statfs = unsafe { mem::zeroed() };
    // SAFETY: a live structure to be written.
    unsafe { call!(Fstatfs, place, ptr::from_mut(&mut status)) }?;
    Ok(status.f_type == libc::PROC_SUPER_MAGIC)
}

/// Changes a mount that is attached nowhere yet; a fresh one has its attributes.
fn change(mount: RawFd, step: &MountStep, is_fresh: bool) -> Outcome<()> {
    for (attributes, reach) in [(step.below, Reach::Below), (step.own, Reach::This)] {
        let attributes = if is_fresh { Attributes::default() } else { attributes };
        let propagation = if step.propagation_reach == reach { step.propagation } else { 0 };
        let flags = if reach == Reach::Below { AT_EMPTY_PATH | AT_RECURSIVE } else { AT_EMPTY_PATH };
        if !attributes.is_empty() || propagation != 0 {
            set_attributes(mount, c"", flags, attributes, propagation)?;
        }
    }
    Ok(())
}

pub(super) fn device<'a>(tree: &mut Tree<'a>, step: &'a DeviceStep) -> Outcome<()> {
    tree.sweep_some()?;
    let kind = match step.kind {
        DeviceKind::Character => libc::S_IFCHR,
        DeviceKind::Block => libc::S_IFBLK,
        DeviceKind::Fifo => libc::S_IFIFO,
    };
    let number = libc::makedev(step.major, step.minor);
    let parent = parent(tree, &step.target)?;
    // SAFETY: the name is a live C string.
    let made = unsafe { call!(Mknodat, parent, step.target.name.as_ptr(), kind | step.mode, number) };
    match made {
        Ok(_) => {
            if let Some((uid, gid)) = step.owner {
                let name = step.target.name.as_ptr();
                // SAFETY: the name is a live C string.
                unsafe { call!(Fchownat, parent, name, uid, gid, libc::AT_SYMLINK_NOFOLLOW) }?;
            }
            Ok(())
        }
        Err(failure @ Failure { errno: libc::EEXIST, .. }) => {
            let there = open_place(parent, &step.target.name, libc::O_NOFOLLOW, 0)?;
            let status = status(there)?;
            let is_same = u32::from(status.stx_mode) & libc::S_IFMT == kind
                && (status.stx_rdev_major, status.stx_rdev_minor) == (step.major, step.minor);
            tree.leave(there);
            if is_same { Ok(()) } else { Err(failure) }
        }
        Err(failure) => Err(failure),
    }
}

pub(super) fn symlink<'a>(tree: &mut Tree<'a>, contents: &CStr, target: &'a Target) -> Outcome<()> {
    tree.sweep_some()?;
    let parent = parent(tree, target)?;
    // SAFETY: both are live C strings.
    match unsafe { call!(Symlinkat, contents.as_ptr(), parent, target.name.as_ptr()) } {
        Ok(_) => Ok(()),
        Err(failure @ Failure { errno: libc::EEXIST, .. }) => {
            if says(parent, &target.name, contents)? {
                Ok(())
            } else {
                Err(failure)
            }
        }
        Err(failure) => Err(failure),
    }
}

/// Whether `name` is a symbolic link with these contents.
fn says(parent: RawFd, name: &CStr, contents: &CStr) -> Outcome<bool> {
    let mut buffer = [0_u8; 4096];
    let (start, length) = (buffer.as_mut_ptr(), buffer.len());
    // SAFETY: a live C string, and a buffer that is writable for its length.
    match unsafe { call!(Readlinkat, parent, name.as_ptr(), start, length) } {
        Ok(read) => Ok(buffer.get(..usize::try_from(read).unwrap_or(0)) == Some(contents.to_bytes())),
        // Something else than a link.
        Err(Failure { errno: libc::EINVAL, .. }) => Ok(false),
        Err(failure) => Err(failure),
    }
}

pub(super) fn mask(tree: &mut Tree<'_>, path: &CStr) -> Outcome<()> {
    tree.sweep_some()?;
    let Some(place) = existing(tree.root, path)? else { return Ok(()) };
    let cover = if is_directory(place)? { cover(tree)? } else { null(tree)? };
    attach(cover, place, c"", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)?;
    tree.leave(cover);
    tree.leave(place);
    tree.forget();
    Ok(())
}

/// A mount of an empty directory that nothing can be written to: the first is made, the others are copies.
fn cover(tree: &mut Tree<'_>) -> Outcome<RawFd> {
    if let Some(first) = tree.cover() {
        return clone_tree(first, c"", Reach::This);
    }
    let options = [(c"source", Some(c"tmpfs")), (c"ro", None)];
    let (cover, context) = instance(c"tmpfs", options.into_iter(), attribute::READ_ONLY)?;
    tree.leave(context);
    tree.remember_cover(cover);
    Ok(cover)
}

/// A mount of the null device, proven to be that: the first is the container's own or, where something else lies there,
/// the caller's; the others are copies.
fn null(tree: &mut Tree<'_>) -> Outcome<RawFd> {
    if let Some(first) = tree.null() {
        return clone_tree(first, c"", Reach::This);
    }
    let null = match clone_tree(tree.root, c"dev/null", Reach::This) {
        Ok(own) if is_null(own)? => own,
        other => {
            if let Ok(own) = other {
                tree.leave(own);
            }
            let callers = clone_tree(libc::AT_FDCWD, c"/dev/null", Reach::This)?;
            if !is_null(callers)? {
                // Covering with it would show it instead of hiding.
                return Err(Failure { call: Call::Statx, errno: libc::ENODEV });
            }
            callers
        }
    };
    tree.remember_null(null);
    Ok(null)
}

fn is_null(place: RawFd) -> Outcome<bool> {
    let status = status(place)?;
    let is_device = u32::from(status.stx_mode) & libc::S_IFMT == libc::S_IFCHR;
    Ok(is_device && (status.stx_rdev_major, status.stx_rdev_minor) == NULL_DEVICE)
}

/// Makes the mount at `path` read-only.
pub(super) fn seal(tree: &mut Tree<'_>, path: &CStr) -> Outcome<()> {
    let place = tree.place(path, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)?;
    tree.leave(place);
    read_only_mount(place)
}

/// Makes the directory at `path` where it is missing.
pub(super) fn make_directories(tree: &mut Tree<'_>, path: &CStr) -> Outcome<()> {
    let place = directory(tree.root, path, 0)?;
    tree.leave(place);
    Ok(())
}

/// Changes the mount at `path`, which must be one: options of its file system, and what is allowed through it.
pub(super) fn remount(
    tree: &mut Tree<'_>,
    path: &CStr,
    options: &[(CString, Option<CString>)],
    attributes: Attributes,
) -> Outcome<()> {
    let place = tree.place(path, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)?;
    tree.leave(place);
    set_attributes(place, c"", AT_EMPTY_PATH, attributes, 0)?;
    if options.is_empty() {
        return Ok(());
    }
    // SAFETY: a live C string.
    let context = unsafe { call!(Fspick, place, c"".as_ptr(), FSPICK_CLOEXEC | FSPICK_EMPTY_PATH) }.map(int)?;
    tree.leave(context);
    set_options(context, options.iter().map(|(key, value)| (key.as_c_str(), value.as_deref())))?;
    configure(context, libc::FSCONFIG_CMD_RECONFIGURE, ptr::null(), ptr::null())
}

pub(super) fn read_only(tree: &mut Tree<'_>, path: &CStr) -> Outcome<()> {
    tree.sweep_some()?;
    let Some(place) = existing(tree.root, path)? else { return Ok(()) };
    let copy = clone_tree(place, c"", Reach::Below)?;
    set_attributes(copy, c"", AT_EMPTY_PATH | AT_RECURSIVE, Attributes::set(attribute::READ_ONLY), 0)?;
    attach(copy, place, c"", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)?;
    tree.leave(copy);
    tree.leave(place);
    tree.forget();
    Ok(())
}

pub(super) fn read_only_mount(root: RawFd) -> Outcome<()> {
    set_attributes(root, c"", AT_EMPTY_PATH, Attributes::set(attribute::READ_ONLY), 0)
}

fn existing(root: RawFd, path: &CStr) -> Outcome<Option<RawFd>> {
    match open_place(root, path, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) {
        Ok(place) => Ok(Some(place)),
        Err(Failure { errno: libc::ENOENT | libc::ENOTDIR, .. }) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Opens the directory at `path` inside `root`, with those on the way made where they are missing.
fn directory(root: RawFd, path: &CStr, resolve: u64) -> Outcome<RawFd> {
    let resolve = resolve | RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    match open_place(root, path, libc::O_DIRECTORY, resolve) {
        Err(Failure { errno: libc::ENOENT, .. }) => {}
        other => return other,
    }
    let mut current = open_place(root, c"/", libc::O_DIRECTORY, resolve)?;
    let bytes = path.to_bytes();
    let mut buffer = [0_u8; 4096];
    if bytes.len() >= buffer.len() {
        return Err(Failure { call: Call::Openat2, errno: libc::ENAMETOOLONG });
    }
    let mut start = 1;
    while start < bytes.len() {
        let rest = bytes.get(start..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let end = start + length;
        // The whole path up to here is resolved anew, so that a link on the way stays inside the root.
        let prefix = prefix(&mut buffer, bytes, 0, end)?;
        let next = match open_place(root, prefix, libc::O_DIRECTORY, resolve) {
            Err(Failure { errno: libc::ENOENT, .. }) => {
                make_directory(current, self::prefix(&mut buffer, bytes, start, end)?)?;
                open_place(root, self::prefix(&mut buffer, bytes, 0, end)?, libc::O_DIRECTORY, resolve)?
            }
            other => other?,
        };
        close(current)?;
        current = next;
        start = end + 1;
    }
    Ok(current)
}

fn make_directory(parent: RawFd, name: &CStr) -> Outcome<()> {
    // SAFETY: a live C string.
    match unsafe { call!(Mkdirat, parent, name.as_ptr(), 0o755) } {
        Ok(_) | Err(Failure { errno: libc::EEXIST, .. }) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// `bytes[start..end]` as a C string in `buffer`.
fn prefix<'a>(buffer: &'a mut [u8; 4096], bytes: &[u8], start: usize, end: usize) -> Outcome<&'a CStr> {
    let too_long = Failure { call: Call::Openat2, errno: libc::ENAMETOOLONG };
    let part = bytes.get(start..end).ok_or(too_long)?;
    for (slot, byte) in buffer.iter_mut().zip(part.iter().chain([&0])) {
        *slot = *byte;
    }
    CStr::from_bytes_until_nul(buffer).map_err(|_| too_long)
}

/// Opens what is at the target inside `root`; an empty file is made where nothing is.
fn file(root: RawFd, target: &Target) -> Outcome<RawFd> {
    if let Some(place) = existing(root, &target.path)? {
        return Ok(place);
    }
    let parent = directory(root, &target.parent, 0)?;
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_WRONLY;
    close(open(parent, &target.name, flags, 0o644)?)?;
    let place = open_place(parent, &target.name, libc::O_NOFOLLOW, 0)?;
    close(parent)?;
    Ok(place)
}

/// A detached copy of the mount at `path`.
fn clone_tree(directory: RawFd, path: &CStr, reach: Reach) -> Outcome<RawFd> {
    let mut flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    if reach == Reach::Below {
        flags |= AT_RECURSIVE;
    }
    if path.is_empty() {
        flags |= AT_EMPTY_PATH;
    }
    // SAFETY: a live C string.
    unsafe { call!(OpenTree, directory, path.as_ptr(), flags) }.map(int)
}

pub(super) fn attach(mount: RawFd, directory: RawFd, path: &CStr, flags: u32) -> Outcome<()> {
    // SAFETY: both are live C strings.
    unsafe { call!(MoveMount, mount, c"".as_ptr(), directory, path.as_ptr(), flags) }.map(drop)
}

pub(super) fn set_attributes(
    directory: RawFd,
    path: &CStr,
    flags: u32,
    change: Attributes,
    propagation: u64,
) -> Outcome<()> {
    // Setting a part of a field takes clearing all of it.
    let field = if change.set & attribute::ATIME == 0 { 0 } else { attribute::ATIME };
    // struct mount_attr: set, clear, propagation, user namespace.
    let attributes = [change.set, change.clear | field, propagation, 0];
    let size = size_of_val(&attributes);
    // SAFETY: a live C string and a live structure of the size given.
    unsafe { call!(MountSetattr, directory, path.as_ptr(), flags, attributes.as_ptr(), size) }.map(drop)
}

/// A new instance of a file system, attached nowhere.
pub(super) fn filesystem(name: &CStr, attributes: u64) -> Outcome<RawFd> {
    let (mount, context) = instance(name, std::iter::empty(), attributes)?;
    close(context)?;
    Ok(mount)
}

/// The same with options, and the descriptor that it was configured by.
fn instance<'a>(
    name: &CStr,
    options: impl Iterator<Item = (&'a CStr, Option<&'a CStr>)>,
    attributes: u64,
) -> Outcome<(RawFd, RawFd)> {
    // SAFETY: a live C string.
    let context = unsafe { call!(Fsopen, name.as_ptr(), FSOPEN_CLOEXEC) }.map(int)?;
    set_options(context, options)?;
    configure(context, libc::FSCONFIG_CMD_CREATE, ptr::null(), ptr::null())?;
    // SAFETY: takes no pointer.
    let mount = unsafe { call!(Fsmount, context, FSMOUNT_CLOEXEC, attributes) }.map(int)?;
    Ok((mount, context))
}

fn set_options<'a>(context: RawFd, options: impl Iterator<Item = (&'a CStr, Option<&'a CStr>)>) -> Outcome<()> {
    for (key, value) in options {
        match value {
            Some(value) => configure(context, libc::FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr())?,
            None => configure(context, libc::FSCONFIG_SET_FLAG, key.as_ptr(), ptr::null())?,
        }
    }
    Ok(())
}

fn configure(context: RawFd, command: u32, key: *const c_char, value: *const c_char) -> Outcome<()> {
    // SAFETY: key and value are live C strings, or null where the command takes none.
    unsafe { call!(Fsconfig, context, command, key, value.cast::<c_void>(), 0) }.map(drop)
}
