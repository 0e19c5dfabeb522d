//! The only unsafe code: bpf(2), for which no crate in use has a call.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const PROG_LOAD: libc::c_long = 5;
const PROG_ATTACH: libc::c_long = 8;
const PROG_DETACH: libc::c_long = 9;
const PROG_GET_FD_BY_ID: libc::c_long = 13;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const PROG_QUERY: libc::c_long = 16;

const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 1 << 1;
const REPLACE: u32 = 1 << 2;

/// The kernel allows so many programs on one group.
const PROGRAMS_MAX: usize = 64;

/// Names a program, so that a later one can tell it from those of others.
pub(crate) const NAME: [u8; 16] = *b"windlass_dev\0\0\0\0";

/// The start of `union bpf_attr` for loading a program.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// The start of `union bpf_attr` for attaching and detaching.
#[repr(C)]
#[derive(Default)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replaced: u32,
    padding: u32,
}

/// The start of `union bpf_attr` for a query.
#[repr(C)]
#[derive(Default)]
struct Query {
    target: u32,
    kind: u32,
    flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

/// The start of `union bpf_attr` for a descriptor of an id.
#[repr(C)]
#[derive(Default)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
    padding: u32,
}

/// The start of `union bpf_attr` for information.
#[repr(C)]
#[derive(Default)]
struct Info {
    descriptor: u32,
    length: u32,
    data: u64,
}

/// The start of `struct bpf_prog_info`.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    before_name: [u64; 8],
    name: [u8; 16],
}

/// Loads a device program.
pub(crate) fn load(instructions: &[u64]) -> io::Result<OwnedFd> {
    let license = c"Apache-2.0";
    let mut attributes = Load {
        kind: TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(instructions.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        instructions: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        name: NAME,
        ..Load::default()
    };
    // SAFETY: the pointers in `attributes` are to memory that lives until the call returns, with the lengths given
    // beside them (the license ends in a zero byte), and the kernel only reads it.
    let fd = unsafe { bpf(PROG_LOAD, &mut attributes) }?;
    own(fd)
}

/// Attaches a program to a group, in the place of `replaced` if there is one; the change is atomic.
pub(crate) fn attach(group: BorrowedFd<'_>, program: &OwnedFd, replaced: Option<&OwnedFd>) -> io::Result<()> {
    let mut attributes = Attach {
        target: number(group.as_raw_fd())?,
        program: number(program.as_raw_fd())?,
        kind: ATTACH_CGROUP_DEVICE,
        flags: if replaced.is_some() { ALLOW_MULTI | REPLACE } else { ALLOW_MULTI },
        replaced: replaced.map_or(Ok(0), |program| number(program.as_raw_fd()))?,
        padding: 0,
    };
    // SAFETY: the attributes hold no pointer.
    unsafe { bpf(PROG_ATTACH, &mut attributes) }.map(drop)
}

/// Takes a program off a group.
pub(crate) fn detach(group: BorrowedFd<'_>, program: &OwnedFd) -> io::Result<()> {
    let mut attributes = Attach {
        target: number(group.as_raw_fd())?,
        program: number(program.as_raw_fd())?,
        kind: ATTACH_CGROUP_DEVICE,
        ..Attach::default()
    };
    // SAFETY: the attributes hold no pointer.
    unsafe { bpf(PROG_DETACH, &mut attributes) }.map(drop)
}

/// The device programs on a group itself that have [`NAME`].
pub(crate) fn attached(group: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let mut ids = [0_u32; PROGRAMS_MAX];
    let mut attributes = Query {
        target: number(group.as_raw_fd())?,
        kind: ATTACH_CGROUP_DEVICE,
        ids: ids.as_mut_ptr() as u64,
        count: u32::try_from(ids.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        ..Query::default()
    };
    // SAFETY: `ids` points to `count` numbers that the kernel may write until the call returns.
    unsafe { bpf(PROG_QUERY, &mut attributes) }?;
    let mut programs = Vec::new();
    // The kernel fills from the start; no program has the id 0.
    for id in ids.into_iter().take_while(|id| *id != 0) {
        let mut attributes = ById { id, ..ById::default() };
        // SAFETY: the attributes hold no pointer.
        let program = match unsafe { bpf(PROG_GET_FD_BY_ID, &mut attributes) } {
            Ok(fd) => own(fd)?,
            // Taken off since the query.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => continue,
            Err(error) => return Err(error),
        };
        if name(&program)? == NAME {
            programs.push(program);
        }
    }
    Ok(programs)
}

fn name(program: &OwnedFd) -> io::Result<[u8; 16]> {
    let mut info = ProgramInfo::default();
    let mut attributes = Info {
        descriptor: number(program.as_raw_fd())?,
        length: u32::try_from(size_of::<ProgramInfo>()).map_err(|_| io::ErrorKind::InvalidInput)?,
        data: (&raw mut info) as u64,
    };
    // SAFETY: `info` points to `length` bytes that the kernel may write until the call returns, and every bit pattern
    // of them is a value.
    unsafe { bpf(OBJ_GET_INFO_BY_FD, &mut attributes) }?;
    Ok(info.name)
}

/// # Safety
///
/// `attributes` must be the start of `union bpf_attr` as `command` reads it, and each pointer in it valid for what
/// the command does with it until the call returns.
unsafe fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<libc::c_long> {
    let attributes: *mut T = attributes;
    // SAFETY: the caller vouches for the contents; the size is that of the memory behind the pointer, which is
    // borrowed mutably because some commands write results there.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn number(fd: std::os::fd::RawFd) -> io::Result<u32> {
    u32::try_from(fd).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn own(fd: libc::c_long) -> io::Result<OwnedFd> {
    let fd = std::os::fd::RawFd::try_from(fd).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel just opened this descriptor for the caller, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
