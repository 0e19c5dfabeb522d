//! Settings of the kernel that each network namespace has for itself.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags, fstatfs, open, openat2};

use crate::enter;
use crate::error::{Error, Result};
use crate::kind::Namespace;

const FOLDER: &str = "/proc/sys";
const PROC_MAGIC: u64 = 0x9fa0;

/// Sets `name` (`net.ipv4.ip_forward`) inside a network namespace.
///
/// A part of the name that itself has a dot, as a device's may, is written with slashes: `net/ipv4/conf/eth0.5/forwarding`.
///
/// # Errors
/// [`Error::Invalid`] for a name outside `net`; [`Error::Sys`] when the kernel has no such setting or refuses the value.
///
/// # Kernel
/// `/proc/sys/net` shows the settings of the network namespace of whoever opens it. Needs `CAP_NET_ADMIN` over it.
pub fn sysctl(netns: BorrowedFd<'_>, name: &str, value: &str) -> Result<()> {
    let path = if name.contains('/') { name.to_owned() } else { name.replace('.', "/") };
    let leaves = path.split('/').any(|part| part == "..");
    if leaves || !path.starts_with("net/") {
        return Err(Error::invalid("sysctl", name, "only settings below `net` belong to a network namespace"));
    }
    enter::within(&[(Namespace::Net, netns)], || set(&path, value))?
}

fn set(path: &str, value: &str) -> Result<()> {
    let object = || format!("{FOLDER}/{path}");
    let folder = open(FOLDER, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::sys("open", FOLDER, errno))?;
    let kind = fstatfs(&folder).map_err(|errno| Error::sys("fstatfs", FOLDER, errno))?.f_type;
    if u64::try_from(kind) != Ok(PROC_MAGIC) {
        return Err(Error::invalid("sysctl", FOLDER, "is not the kernel's"));
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let file = openat2(&folder, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), resolve)
        .map_err(|errno| Error::sys("open", object(), errno))?;
    File::from(file).write_all(value.as_bytes()).map_err(|source| Error::sys("write", object(), source))
}
