//! Users, groups and capabilities of the new process.

use std::os::raw::c_long;
use std::ptr;

use super::call::{Call, Failure, Outcome, Word, call, prctl, raw};
use crate::plan::step::{CapabilityStep, Groups};
use crate::seccomp::{CompiledFilter, Instruction};

/// `_LINUX_CAPABILITY_VERSION_3`.
const VERSION: u32 = 0x2008_0522;

pub(super) fn set_ids(uid: u32, gid: u32) -> Outcome<()> {
    // SAFETY: takes no pointer.
    unsafe { call!(Setresgid, gid, gid, gid) }?;
    // SAFETY: takes no pointer.
    unsafe { call!(Setresuid, uid, uid, uid) }.map(drop)
}

pub(super) fn set_groups(groups: &Groups) -> Outcome<()> {
    match groups {
        Groups::Keep => Ok(()),
        // SAFETY: the list is live for its length.
        Groups::Set(groups) => unsafe { call!(Setgroups, groups.len(), groups.as_ptr()) }.map(drop),
        // SAFETY: an empty list may be null.
        Groups::Drop => match unsafe { call!(Setgroups, 0, ptr::null::<u32>()) } {
            // The user namespace denies it, as it did to its first process.
            Ok(_) | Err(Failure { errno: libc::EPERM, .. }) => Ok(()),
            Err(failure) => Err(failure),
        },
    }
}

pub(super) fn drop_bounding(keep: u64) -> Outcome<()> {
    for capability in 0..u64::from(u64::BITS) {
        if keep & (1 << capability) == 0 {
            match prctl(libc::PR_CAPBSET_DROP, capability, 0) {
                // Beyond the last capability that this kernel knows.
                Err(Failure { errno: libc::EINVAL, .. }) => return Ok(()),
                other => other?,
            }
        }
    }
    Ok(())
}

pub(super) fn set_capabilities(sets: &CapabilityStep) -> Outcome<()> {
    let header = [VERSION, 0];
    let low = |set: u64| u32::try_from(set & u64::from(u32::MAX)).unwrap_or(0);
    let words =
        |shift: u32| [low(sets.effective >> shift), low(sets.permitted >> shift), low(sets.inheritable >> shift)];
    let data = [words(0), words(32)];
    // SAFETY: header and data have the layout of version 3: two words, and twice three words.
    unsafe { call!(Capset, header.as_ptr(), data.as_ptr()) }.map(drop)
}

pub(super) fn set_ambient(set: u64) -> Outcome<()> {
    let (clear, raise) = (libc::PR_CAP_AMBIENT_CLEAR_ALL, libc::PR_CAP_AMBIENT_RAISE);
    prctl(libc::PR_CAP_AMBIENT, clear.word(), 0)?;
    for capability in 0..u64::from(u64::BITS) {
        if set & (1 << capability) != 0 {
            prctl(libc::PR_CAP_AMBIENT, raise.word(), capability)?;
        }
    }
    Ok(())
}

const SECCOMP_SET_MODE_FILTER: u32 = 1;
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`.
pub(super) const FILTER_NEW_LISTENER: u32 = 1 << 3;

/// `struct sock_fprog`.
#[repr(C)]
struct FilterProgram {
    length: u16,
    instructions: *const Instruction,
}

pub(super) fn filter_calls(filter: &CompiledFilter) -> Outcome<()> {
    install(filter, 0).map(drop)
}

/// With further flags; gives what they make the call return.
pub(super) fn install(filter: &CompiledFilter, flags: u32) -> Outcome<c_long> {
    let flags = filter.flags() | flags;
    let instructions = filter.instructions();
    // A compiled filter has at most 4096 instructions; the kernel refuses an empty one.
    let length = u16::try_from(instructions.len()).unwrap_or(0);
    let program = FilterProgram { length, instructions: instructions.as_ptr() };
    // SAFETY: `program` is live and describes a live list of instructions with the kernel's layout, which it copies.
    unsafe { call!(Seccomp, SECCOMP_SET_MODE_FILTER, flags, ptr::from_ref(&program)) }
}
