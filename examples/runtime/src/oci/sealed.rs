//! Runs this program from a place that nothing inside a container can write to.
//!
//! A process that is on its way into a container still has this program as its `/proc/PID/exe`. Whoever lives there and
//! can open that link would write to the runtime of the host (CVE-2019-5736). So the program replaces itself, before it
//! makes any process, by the same file seen through a mount of its own: read-only, attached nowhere, and let go of by the
//! exec itself, so that nobody has a handle by which its attributes could be changed. Where such a mount is not allowed
//! (an ordinary user's) it is a sealed copy in memory.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use rustix::fs::{MemfdFlags, SealFlags};

use super::failure::{Failure, Result};
use crate::sys;

const PROGRAM: &str = "/proc/self/exe";

/// Replaces this process by itself, sealed; returns at once if that was done before.
pub(super) fn seal(arguments: &[OsString]) -> Result<()> {
    if is_sealed()? {
        return Ok(());
    }
    let program = match sys::read_only_clone(c"/proc/self/exe") {
        Ok(clone) => clone,
        Err(_) => sealed_copy().map_err(Failure::during("copy this program into memory"))?,
    };
    let c_string = |text: &[u8]| CString::new(text).expect("the kernel gave it as a C string");
    let arguments: Vec<CString> = arguments.iter().map(|word| c_string(word.as_bytes())).collect();
    let pair = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        c_string(&name.into_vec())
    };
    let environment: Vec<CString> = std::env::vars_os().map(pair).collect();
    Err(Failure::during("run this program sealed")(sys::execute(program.as_fd(), &arguments, &environment)))
}

/// Whether this process runs a sealed copy, or the program through a read-only mount that it was executed from by
/// descriptor. A program on a read-only disk is not sealed: somebody may make that writable some day.
fn is_sealed() -> Result<bool> {
    if !sys::executed_as().is_some_and(|name| name.to_bytes().starts_with(b"/dev/fd/")) {
        return Ok(false);
    }
    let status = rustix::fs::statvfs(PROGRAM).map_err(Failure::during(PROGRAM))?;
    if status.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Ok(true);
    }
    let file = File::open(PROGRAM).map_err(Failure::during(PROGRAM))?;
    let seals = rustix::fs::fcntl_get_seals(&file);
    Ok(seals.is_ok_and(|seals| seals.contains(SEALS)))
}

const SEALS: SealFlags = SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

fn sealed_copy() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag, and later ones may want to be told.
    let memory = rustix::fs::memfd_create("windlass-oci", flags | MemfdFlags::EXEC)
        .or_else(|_| rustix::fs::memfd_create("windlass-oci", flags))?;
    io::copy(&mut File::open(PROGRAM)?, &mut File::from(memory.try_clone()?))?;
    rustix::fs::fcntl_add_seals(&memory, SEALS)?;
    Ok(memory)
}
