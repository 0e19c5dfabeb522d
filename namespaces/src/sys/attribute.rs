//! Attributes of the new process, set by raw calls.

use std::ffi::CStr;
use std::os::fd::RawFd;
use std::ptr;
use std::time::Duration;

use super::call::{Call, Failure, Outcome, Word, call, close, int, raw, setns, unshare, write};
use super::procfs;
use crate::kind::Namespace;
use crate::number_set::NumberSet;
use crate::plan::attribute::{Attribute, Procfs};
use crate::scheduling::{MemoryPolicy, Scheduler};

const KEYCTL_JOIN_SESSION_KEYRING: u32 = 1;
const KEYCTL_SETPERM: u32 = 5;
const KEYCTL_DESCRIBE: u32 = 6;
const KEY_USER_SEARCH: u32 = 0x8_0000;
const IOPRIO_WHO_PROCESS: u32 = 1;

pub(super) fn set(attribute: &Attribute) -> Outcome<()> {
    match attribute {
        Attribute::Domainname(name) => {
            // SAFETY: the string is live for its length.
            unsafe { call!(Setdomainname, name.as_ptr(), name.count_bytes()) }.map(drop)
        }
        Attribute::Sysctl { procfs, path, value } => write_below(*procfs, path, value.to_bytes()),
        Attribute::TimeOffsets { procfs, lines } => time(*procfs, lines),
        Attribute::Scheduler(scheduler) => schedule(scheduler),
        Attribute::IoPriority(priority) => {
            // SAFETY: takes numbers.
            unsafe { call!(IoprioSet, IOPRIO_WHO_PROCESS, 0, priority.number()) }.map(drop)
        }
        Attribute::Personality(personality) => {
            // SAFETY: takes a number.
            unsafe { call!(Personality, personality.bits()) }.map(drop)
        }
        Attribute::CpuAffinity(cpus) => run_on(cpus),
        Attribute::SessionKeyring(name) => keyring(name),
        Attribute::MemoryPolicy(policy) => take_memory(policy),
        // Whoever may make no instance by now has the container's own: nothing else can pass for one.
        Attribute::Label { path, label } => write_below(Procfs::PrivateOrCaller, path, label.to_bytes()),
    }
}

fn write_below(procfs: Procfs, path: &CStr, bytes: &[u8]) -> Outcome<()> {
    write_file(procfs::open(procfs)?, path, bytes)
}

/// Writes to a file of the caller's procfs: nothing of another tree has been entered yet.
pub(super) fn write_callers(path: &CStr, bytes: &[u8]) -> Outcome<()> {
    write_file(procfs::callers()?, path, bytes)
}

fn write_file(root: RawFd, path: &CStr, bytes: &[u8]) -> Outcome<()> {
    let result = procfs::open_file(root, path, libc::O_WRONLY).and_then(|file| {
        let result = write(file, bytes);
        close(file)?;
        result.map(drop)
    });
    close(root)?;
    result
}

/// Makes the time namespace, sets its clocks while nothing is in it, and enters it.
fn time(procfs: Procfs, lines: &CStr) -> Outcome<()> {
    let root = procfs::open(procfs)?;
    unshare(Namespace::Time.flag())?;
    let offsets = procfs::open_file(root, c"self/timens_offsets", libc::O_WRONLY)?;
    write(offsets, lines.to_bytes())?;
    close(offsets)?;
    // Kernels before 6.1 enter it with a fork alone, and not with the exec.
    let namespace = procfs::open_link(root, c"self/ns/time_for_children")?;
    setns(namespace, Namespace::Time.flag())?;
    close(namespace)?;
    close(root)
}

/// `struct sched_attr`.
#[repr(C)]
struct SchedulingAttributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn schedule(scheduler: &Scheduler) -> Outcome<()> {
    let attributes = SchedulingAttributes {
        // The first published size, which every kernel takes.
        size: 48,
        policy: scheduler.policy.number(),
        flags: scheduler.flags,
        nice: scheduler.nice,
        priority: scheduler.priority,
        runtime: nanoseconds(scheduler.runtime),
        deadline: nanoseconds(scheduler.deadline),
        period: nanoseconds(scheduler.period),
    };
    // SAFETY: a live structure of the size that it says.
    unsafe { call!(SchedSetattr, 0, ptr::from_ref(&attributes), 0) }.map(drop)
}

fn run_on(cpus: &NumberSet) -> Outcome<()> {
    let mask = cpus.words();
    // SAFETY: the mask is live for its length.
    unsafe { call!(SchedSetaffinity, 0, size_of_val(mask), mask.as_ptr()) }.map(drop)
}

fn take_memory(policy: &MemoryPolicy) -> Outcome<()> {
    let mask = policy.nodes.words();
    let mode = policy.mode.number() | policy.flags;
    let (start, bits) = match mask {
        [] => (ptr::null(), 0),
        // The kernel reads one bit less than it is told.
        mask => (mask.as_ptr(), mask.len() * 64 + 1),
    };
    // SAFETY: the mask is live for as many bits as said, or null for none.
    unsafe { call!(SetMempolicy, mode, start, bits) }.map(drop)
}

fn keyring(name: &CStr) -> Outcome<()> {
    // SAFETY: a live C string.
    let key = unsafe { call!(Keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) }.map(int)?;
    let mut description = [0_u8; 256];
    // SAFETY: a buffer that is writable for its length.
    let length = unsafe { call!(Keyctl, KEYCTL_DESCRIBE, key, description.as_mut_ptr(), description.len()) }?;
    let described = description.get(..usize::try_from(length).unwrap_or(0).min(description.len()));
    // `keyring;UID;GID;PERMISSIONS;NAME`. Processes of the same user that come later shall find what is in it.
    let permissions = described.and_then(|text| text.split(|byte| *byte == b';').nth(3)).and_then(hexadecimal);
    let permissions = permissions.ok_or(Failure { call: Call::Keyctl, errno: libc::EBADMSG })?;
    // SAFETY: takes numbers.
    unsafe { call!(Keyctl, KEYCTL_SETPERM, key, permissions | KEY_USER_SEARCH) }.map(drop)
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok().and_then(|digits| u32::from_str_radix(digits, 16).ok())
}
