//! Landlock's calls: the caller makes a ruleset, the new process fills it and confines itself.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::ptr;

use super::call::{Call, Failure, Outcome, Word, call, close, int, open_place, raw};
use super::status::is_directory;
use crate::landlock::Missing;
use crate::plan::landlock::{Denied, LandlockRule};

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;
const RULE_NET_PORT: u32 = 2;
const RESOLVE_NO_MAGICLINKS: u64 = 0x02;

/// The version of the kernel's interface; 0 where it has none, or is told to offer none.
pub(crate) fn landlock_abi() -> u32 {
    // SAFETY: asks for the version, with no ruleset.
    let version = unsafe { call!(LandlockCreateRuleset, ptr::null::<u64>(), 0, CREATE_RULESET_VERSION) };
    version.ok().and_then(|version| u32::try_from(version).ok()).unwrap_or(0)
}

/// A ruleset without rules.
pub(crate) fn create_ruleset(denied: &Denied) -> io::Result<OwnedFd> {
    // struct landlock_ruleset_attr; an older kernel takes the longer one when what it does not know is zero.
    let attributes = [denied.filesystem.bits(), denied.network.bits(), denied.scope.bits()];
    // SAFETY: a live structure of the size given.
    let created = unsafe { call!(LandlockCreateRuleset, attributes.as_ptr(), size_of_val(&attributes), 0) };
    let descriptor = created.map(int).map_err(|failure| io::Error::from_raw_os_error(failure.errno))?;
    // SAFETY: the kernel gave a new descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneath {
    access: u64,
    parent: RawFd,
}

pub(super) fn allow(ruleset: Option<RawFd>, rule: &LandlockRule) -> Outcome<()> {
    let ruleset = ruleset.ok_or(Failure { call: Call::LandlockAddRule, errno: libc::EBADF })?;
    match rule {
        LandlockRule::Path { path, access, of_file, missing } => {
            let place = match open_place(libc::AT_FDCWD, path, 0, RESOLVE_NO_MAGICLINKS) {
                Err(Failure { errno: libc::ENOENT | libc::ENOTDIR, .. }) if *missing == Missing::Skip => return Ok(()),
                other => other?,
            };
            let access = if is_directory(place)? { access } else { of_file };
            if !access.is_empty() {
                let rule = PathBeneath { access: access.bits(), parent: place };
                add(ruleset, RULE_PATH_BENEATH, ptr::from_ref(&rule).cast())?;
            }
            close(place)
        }
        LandlockRule::Port { port, access } => {
            // struct landlock_net_port_attr.
            let rule = [access.bits(), u64::from(*port)];
            add(ruleset, RULE_NET_PORT, rule.as_ptr().cast())
        }
    }
}

fn add(ruleset: RawFd, kind: u32, rule: *const u8) -> Outcome<()> {
    // SAFETY: the callers give a live structure of this kind.
    unsafe { call!(LandlockAddRule, ruleset, kind, rule, 0) }.map(drop)
}

pub(super) fn restrict(ruleset: Option<RawFd>) -> Outcome<()> {
    let ruleset = ruleset.ok_or(Failure { call: Call::LandlockRestrictSelf, errno: libc::EBADF })?;
    // SAFETY: takes numbers.
    unsafe { call!(LandlockRestrictSelf, ruleset, 0) }?;
    close(ruleset)
}
