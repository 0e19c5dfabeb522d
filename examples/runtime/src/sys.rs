//! System calls that no safe crate offers.

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
mod seal;

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::ptr;

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// What the standard library does for a program that it starts: descriptors 0 to 2 are open, so that no file that is
/// opened later gets such a number, and a write to a pipe that nobody reads is an error and no signal.
pub(crate) fn begin() -> io::Result<()> {
    let mut polled = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: three live structures.
    while unsafe { libc::poll(polled.as_mut_ptr(), 3, 0) } == -1 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    for closed in polled.iter().filter(|polled| polled.revents & libc::POLLNVAL != 0) {
        // SAFETY: a live C string. The lowest number that is free is this one: all below are open.
        let opened = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
        check(opened.into())?;
        debug_assert_eq!(opened, closed.fd, "the lowest number");
    }
    // SAFETY: no handler is installed.
    if unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Sends a signal of any number to the process of a pidfd.
pub(crate) fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let (number, information) = (libc::SYS_pidfd_send_signal, ptr::null::<libc::siginfo_t>());
    // SAFETY: a null siginfo asks the kernel to fill one in.
    check(unsafe { libc::syscall(number, pidfd.as_raw_fd(), signal, information, 0) }).map(drop)
}

/// A copy of the mount at `path`, attached nowhere and read-only.
pub(crate) fn read_only_clone(path: &CStr) -> io::Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: a live C string.
    let tree = check(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })?;
    let tree = i32::try_from(tree).map_err(io::Error::other)?;
    // SAFETY: the kernel made this descriptor for nobody else.
    let tree = unsafe { OwnedFd::from_raw_fd(tree) };
    // struct mount_attr: set, clear, propagation, user namespace.
    let attributes = [libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID, 0, 0, 0];
    let (size, empty) = (size_of_val(&attributes), c"".as_ptr());
    let (descriptor, flags) = (tree.as_raw_fd(), libc::AT_EMPTY_PATH);
    // SAFETY: a live C string, and a live structure of the size given.
    let set = unsafe { libc::syscall(libc::SYS_mount_setattr, descriptor, empty, flags, attributes.as_ptr(), size) };
    check(set)?;
    Ok(tree)
}

/// Replaces this process by the program that is open as `program`; returns only the reason why not.
pub(crate) fn execute(program: BorrowedFd<'_>, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    let (number, program, flags) = (libc::SYS_execveat, program.as_raw_fd(), libc::AT_EMPTY_PATH);
    // SAFETY: live C strings, and live arrays of such that end in null.
    unsafe { libc::syscall(number, program, c"".as_ptr(), arguments.as_ptr(), environment.as_ptr(), flags) };
    io::Error::last_os_error()
}

/// The name by which the kernel was told to execute this program.
pub(crate) fn executed_as() -> Option<CString> {
    // SAFETY: takes no pointer.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) };
    if address == 0 {
        return None;
    }
    let start = ptr::with_exposed_provenance::<c_char>(usize::try_from(address).ok()?);
    // SAFETY: the kernel put a C string there, which stays as long as the process.
    Some(unsafe { CStr::from_ptr(start) }.to_owned())
}

/// A second descriptor for what the caller left open under this number.
pub(crate) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: a number that is not open is refused; the new descriptor is nobody else's.
    unsafe {
        let duplicate = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, number);
        check(duplicate.into())?;
        Ok(OwnedFd::from_raw_fd(duplicate))
    }
}
