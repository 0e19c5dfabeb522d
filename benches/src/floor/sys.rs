//! The calls.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::ptr;

use super::{Mount, Plan};

/// Of `clone_args`, too wide for the type that `libc` gives it.
const CLONE_INTO_CGROUP: u64 = 1 << 33;
/// The capabilities of the default specification: `CAP_AUDIT_WRITE`, `CAP_KILL`, `CAP_NET_BIND_SERVICE`.
const CAPABILITIES: u32 = 1 << 29 | 1 << 5 | 1 << 10;
/// The last one that the kernel of this machine may know.
const CAPABILITY_LAST: libc::c_ulong = 40;

fn checked(result: impl Into<i64>) -> io::Result<i64> {
    match result.into() {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value),
    }
}

/// Clones, and waits for the end of the program.
pub(super) fn run(plan: &Plan, tasks: &[OwnedFd], unified: Option<&OwnedFd>) -> io::Result<i32> {
    let namespaces =
        libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    // SAFETY: all zeros is a valid value of this structure of numbers.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = u64::try_from(namespaces).expect("flags are positive");
    arguments.exit_signal = u64::try_from(libc::SIGCHLD).expect("a signal is positive");
    if let Some(group) = unified {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::try_from(group.as_raw_fd()).expect("a descriptor is positive");
    }
    // SAFETY: without CLONE_VM the child has a copy of everything; it only makes system calls over `plan` until it execs
    // or exits.
    let process = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()) };
    if checked(process)? == 0 {
        let code = match child(plan, tasks) {
            Ok(never) => never,
            Err(step) => step,
        };
        // SAFETY: it ends the child without running anything of the parent's.
        unsafe { libc::_exit(code) }
    }
    let mut status = 0;
    let process = libc::pid_t::try_from(process).expect("a pid");
    // SAFETY: `status` outlives the call.
    checked(unsafe { libc::waitpid(process, &raw mut status, 0) })?;
    Ok(status)
}

/// What failed: the code with which the child exits.
fn step(code: i32, result: impl Into<i64>) -> Result<(), i32> {
    if result.into() == -1 { Err(code) } else { Ok(()) }
}

fn child(plan: &Plan, tasks: &[OwnedFd]) -> Result<i32, i32> {
    for file in tasks {
        // SAFETY: the buffer is one byte long.
        step(10, unsafe { libc::write(file.as_raw_fd(), c"0".as_ptr().cast(), 1) } as i64)?;
    }
    let root = c"/";
    mount(11, None, root, None, libc::MS_REC | libc::MS_SLAVE, None)?;
    mount(12, Some(&plan.rootfs), &plan.rootfs, None, libc::MS_BIND | libc::MS_REC, None)?;
    for entry in &plan.mounts {
        let Mount { source, target, kind, flags, data } = entry;
        // SAFETY: the path ends with a zero byte. That the folder is there already is no failure.
        unsafe { libc::mkdir(target.as_ptr(), 0o755) };
        mount(13, Some(source), target, Some(kind), *flags, Some(data))?;
    }
    for (path, device) in &plan.devices {
        // SAFETY: the path ends with a zero byte.
        step(14, unsafe { libc::mknod(path.as_ptr(), libc::S_IFCHR | 0o666, *device) })?;
    }
    for (target, path) in &plan.links {
        // SAFETY: both end with a zero byte.
        step(15, unsafe { libc::symlink(target.as_ptr(), path.as_ptr()) })?;
    }
    // SAFETY: the paths end with a zero byte.
    unsafe {
        step(16, libc::chdir(plan.rootfs.as_ptr()))?;
        step(17, libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()))?;
        step(18, libc::umount2(c".".as_ptr(), libc::MNT_DETACH))?;
        step(19, libc::chdir(root.as_ptr()))?;
    }
    mask(plan)?;
    mount(22, None, root, None, libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY, None)?;
    become_program(plan)
}

fn mount(
    code: i32,
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    data: Option<&CStr>,
) -> Result<(), i32> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: each pointer is null or a text that ends with a zero byte.
    step(code, unsafe { libc::mount(pointer(source), target.as_ptr(), pointer(kind), flags, pointer(data).cast()) })
}

/// A path that is not there needs no mask.
fn absent() -> bool {
    io::Error::last_os_error().raw_os_error() == Some(libc::ENOENT)
}

fn mask(plan: &Plan) -> Result<(), i32> {
    for path in &plan.masked {
        let over = mount(20, Some(c"/dev/null"), path, None, libc::MS_BIND, None);
        if over.is_err() && io::Error::last_os_error().raw_os_error() == Some(libc::ENOTDIR) {
            mount(20, Some(c"tmpfs"), path, Some(c"tmpfs"), libc::MS_RDONLY, None)?;
        } else if over.is_err() && !absent() {
            return over;
        }
    }
    for path in &plan.read_only {
        let bind = mount(21, Some(path), path, None, libc::MS_BIND | libc::MS_REC, None);
        if bind.is_err() && absent() {
            continue;
        }
        bind?;
        let flags = libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY;
        mount(21, None, path, None, flags, None)?;
    }
    Ok(())
}

fn become_program(plan: &Plan) -> Result<i32, i32> {
    let limit = libc::rlimit { rlim_cur: 1024, rlim_max: 1024 };
    let header = [0x2008_0522_u32, 0];
    let data = [CAPABILITIES, CAPABILITIES, 0, 0, 0, 0];
    // SAFETY: names and structures live as long as the calls; the arrays have the layout of capset's version 3.
    unsafe {
        step(23, libc::sethostname(c"box".as_ptr(), 3))?;
        step(24, libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit))?;
        for capability in 0..=CAPABILITY_LAST {
            if CAPABILITIES.checked_shr(u32::try_from(capability).unwrap_or(u32::MAX)).is_none_or(|bits| bits & 1 == 0)
            {
                step(25, libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0))?;
            }
        }
        step(26, libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()))?;
        step(27, libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        let arguments = [plan.program.as_ptr(), ptr::null()];
        let environment = [c"PATH=/bin".as_ptr(), ptr::null()];
        libc::execve(plan.program.as_ptr(), arguments.as_ptr(), environment.as_ptr());
    }
    Err(28)
}
