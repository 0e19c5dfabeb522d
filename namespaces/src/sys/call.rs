//! Raw system calls that allocate nothing, lock nothing and panic never: usable between clone and exec.

use std::ffi::CStr;
use std::os::fd::RawFd;
use std::os::raw::{c_int, c_long, c_void};
use std::{io, mem, ptr};

macro_rules! calls {
    ($($variant:ident = $number:ident $name:literal),* $(,)?) => {
        /// A system call that a step may make.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub(crate) enum Call {
            $($variant),*
        }

        impl Call {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The kernel's name.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),*
                }
            }

            const fn number(self) -> c_long {
                match self {
                    $(Self::$variant => libc::$number),*
                }
            }
        }
    };
}

calls! {
    Accept4 = SYS_accept4 "accept4",
    Capset = SYS_capset "capset",
    Chdir = SYS_chdir "chdir",
    Chroot = SYS_chroot "chroot",
    Clone = SYS_clone "clone",
    Clone3 = SYS_clone3 "clone3",
    Close = SYS_close "close",
    CloseRange = SYS_close_range "close_range",
    Dup3 = SYS_dup3 "dup3",
    Execve = SYS_execve "execve",
    Execveat = SYS_execveat "execveat",
    Exit = SYS_exit_group "exit_group",
    Faccessat2 = SYS_faccessat2 "faccessat2",
    Fchdir = SYS_fchdir "fchdir",
    Fchmod = SYS_fchmod "fchmod",
    Fchown = SYS_fchown "fchown",
    Fcntl = SYS_fcntl "fcntl",
    Fchownat = SYS_fchownat "fchownat",
    Fsconfig = SYS_fsconfig "fsconfig",
    Fsmount = SYS_fsmount "fsmount",
    Fsopen = SYS_fsopen "fsopen",
    Fspick = SYS_fspick "fspick",
    Fstatfs = SYS_fstatfs "fstatfs",
    Getcwd = SYS_getcwd "getcwd",
    Getdents64 = SYS_getdents64 "getdents64",
    Getpid = SYS_getpid "getpid",
    Ioctl = SYS_ioctl "ioctl",
    IoprioSet = SYS_ioprio_set "ioprio_set",
    Keyctl = SYS_keyctl "keyctl",
    LandlockAddRule = SYS_landlock_add_rule "landlock_add_rule",
    LandlockCreateRuleset = SYS_landlock_create_ruleset "landlock_create_ruleset",
    LandlockRestrictSelf = SYS_landlock_restrict_self "landlock_restrict_self",
    Mkdirat = SYS_mkdirat "mkdirat",
    Mknodat = SYS_mknodat "mknodat",
    MountSetattr = SYS_mount_setattr "mount_setattr",
    MoveMount = SYS_move_mount "move_mount",
    OpenTree = SYS_open_tree "open_tree",
    Openat = SYS_openat "openat",
    Openat2 = SYS_openat2 "openat2",
    Personality = SYS_personality "personality",
    PivotRoot = SYS_pivot_root "pivot_root",
    Ppoll = SYS_ppoll "ppoll",
    Prctl = SYS_prctl "prctl",
    Prlimit = SYS_prlimit64 "prlimit64",
    Read = SYS_read "read",
    Readlinkat = SYS_readlinkat "readlinkat",
    SchedSetaffinity = SYS_sched_setaffinity "sched_setaffinity",
    SchedSetattr = SYS_sched_setattr "sched_setattr",
    Seccomp = SYS_seccomp "seccomp",
    Sendmsg = SYS_sendmsg "sendmsg",
    SetMempolicy = SYS_set_mempolicy "set_mempolicy",
    Setdomainname = SYS_setdomainname "setdomainname",
    Setgroups = SYS_setgroups "setgroups",
    Sethostname = SYS_sethostname "sethostname",
    Setns = SYS_setns "setns",
    Setpgid = SYS_setpgid "setpgid",
    Setresgid = SYS_setresgid "setresgid",
    Setresuid = SYS_setresuid "setresuid",
    Setsid = SYS_setsid "setsid",
    Sigaction = SYS_rt_sigaction "rt_sigaction",
    Sigprocmask = SYS_rt_sigprocmask "rt_sigprocmask",
    Socket = SYS_socket "socket",
    Statx = SYS_statx "statx",
    Symlinkat = SYS_symlinkat "symlinkat",
    Umask = SYS_umask "umask",
    Umount = SYS_umount2 "umount2",
    Unshare = SYS_unshare "unshare",
    Lseek = SYS_lseek "lseek",
    MemfdCreate = SYS_memfd_create "memfd_create",
    Waitid = SYS_waitid "waitid",
    PidfdSendSignal = SYS_pidfd_send_signal "pidfd_send_signal",
    Pread64 = SYS_pread64 "pread64",
    Write = SYS_write "write",
}

impl Call {
    /// The call of a message from a new process.
    pub(crate) fn from_index(index: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|call| *call as u32 == index)
    }
}

/// A system call that failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    pub(super) call: Call,
    pub(super) errno: i32,
}

pub(super) type Outcome<T> = Result<T, Failure>;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("system calls take their numbers in 64-bit registers here");

/// An argument of a system call, as a machine word; negative numbers keep their bits.
pub(super) trait Word {
    fn word(self) -> u64;
}

impl Word for i32 {
    fn word(self) -> u64 {
        i64::from(self).cast_unsigned()
    }
}

impl Word for u32 {
    fn word(self) -> u64 {
        u64::from(self)
    }
}

impl Word for u64 {
    fn word(self) -> u64 {
        self
    }
}

impl Word for usize {
    fn word(self) -> u64 {
        self as u64
    }
}

impl<T> Word for *const T {
    fn word(self) -> u64 {
        self.addr().word()
    }
}

impl<T> Word for *mut T {
    fn word(self) -> u64 {
        self.addr().word()
    }
}

/// One raw system call.
///
/// # Safety
/// The arguments must be what the kernel expects of this call; pointers must be valid for as much as it reads or
/// writes.
pub(super) unsafe fn raw(call: Call, arguments: [u64; 6]) -> Outcome<c_long> {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    // SAFETY: the caller vouches for the arguments; `syscall` itself touches only this thread's errno.
    let result = unsafe { libc::syscall(call.number(), first, second, third, fourth, fifth, sixth) };
    if result == -1 {
        Err(Failure { call, errno: io::Error::last_os_error().raw_os_error().unwrap_or(0) })
    } else {
        Ok(result)
    }
}

macro_rules! call {
    ($call:ident $(, $argument:expr)* $(,)?) => {{
        let mut arguments = [0; 6];
        let given = [$(Word::word($argument)),*];
        for (slot, value) in arguments.iter_mut().zip(given) {
            *slot = value;
        }
        raw(Call::$call, arguments)
    }};
}
pub(super) use call;

#[expect(clippy::cast_possible_truncation, reason = "the kernel returns descriptors and process ids that fit an int")]
pub(super) fn int(result: c_long) -> c_int {
    result as c_int
}

pub(super) fn close(descriptor: RawFd) -> Outcome<()> {
    // SAFETY: takes no pointer; callers close only descriptors that they opened, or that nothing uses any more.
    unsafe { call!(Close, descriptor) }.map(drop)
}

fn close_range(first: u32, last: u32, flags: u32) -> Outcome<()> {
    // SAFETY: takes no pointer; runs in the new process, whose descriptors nothing else uses.
    unsafe { call!(CloseRange, first, last, flags) }.map(drop)
}

/// Closes what is neither a standard descriptor nor one of these, which are sorted.
pub(super) fn close_all_but(kept: &[RawFd]) -> Outcome<()> {
    range_all_but(kept, 0)
}

/// As [`close_all_but`], with the exec.
pub(super) fn close_on_exec_all_but(kept: &[RawFd]) -> Outcome<()> {
    range_all_but(kept, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes what lies between the standard descriptors and `last`, but not `kept`, which is sorted, and `also`.
pub(super) fn close_up_to(last: RawFd, kept: &[RawFd], also: RawFd) -> Outcome<()> {
    gaps(last, kept, also).try_for_each(|(first, end)| close_range(first, end, 0))
}

/// The runs of numbers between the standard descriptors and `last` in which there is none of `kept`, and not `also`.
fn gaps(last: RawFd, kept: &[RawFd], also: RawFd) -> impl Iterator<Item = (u32, u32)> {
    let last = last.cast_unsigned();
    let mut next = 3_u32;
    std::iter::from_fn(move || {
        while next <= last {
            let first = next;
            // No descriptor is minus one, the highest of all.
            let numbers = kept.iter().chain([&also]).map(|descriptor| descriptor.cast_unsigned());
            let stop = numbers.filter(|number| *number >= first).min().unwrap_or(u32::MAX);
            next = stop.saturating_add(1);
            if stop > first {
                return Some((first, last.min(stop.saturating_sub(1))));
            }
        }
        None
    })
}

fn range_all_but(kept: &[RawFd], flags: u32) -> Outcome<()> {
    let mut next = 3;
    for descriptor in kept {
        let descriptor = descriptor.cast_unsigned();
        if descriptor > next {
            close_range(next, descriptor.saturating_sub(1), flags)?;
        }
        next = descriptor.saturating_add(1);
    }
    close_range(next, u32::MAX, flags)
}

pub(super) fn getpid() -> Outcome<c_int> {
    // SAFETY: takes no argument.
    unsafe { call!(Getpid, 0) }.map(int)
}

pub(super) fn dup3(from: RawFd, to: RawFd, flags: i32) -> Outcome<()> {
    // SAFETY: takes no pointer; runs in the new process, whose descriptors nothing else uses.
    unsafe { call!(Dup3, from, to, flags) }.map(drop)
}

pub(super) fn open(directory: RawFd, path: &CStr, flags: i32, mode: u32) -> Outcome<RawFd> {
    // SAFETY: `path` is a live C string.
    unsafe { call!(Openat, directory, path.as_ptr(), flags | libc::O_CLOEXEC, mode) }.map(int)
}

/// Opens a path for use as a place only, resolved under `resolve`.
pub(super) fn open_place(directory: RawFd, path: &CStr, flags: i32, resolve: u64) -> Outcome<RawFd> {
    open_at(directory, path, flags | libc::O_PATH | libc::O_CLOEXEC, resolve)
}

/// Opens a path that is resolved under `resolve`.
pub(super) fn open_at(directory: RawFd, path: &CStr, flags: i32, resolve: u64) -> Outcome<RawFd> {
    // SAFETY: all zeroes is a value of this plain structure.
    let mut how: libc::open_how = unsafe { mem::zeroed() };
    how.flags = flags.word();
    how.resolve = resolve;
    // SAFETY: `path` is a live C string, `how` a live structure of the size given.
    unsafe { call!(Openat2, directory, path.as_ptr(), ptr::from_ref(&how), size_of_val(&how)) }.map(int)
}

pub(super) fn write(descriptor: RawFd, bytes: &[u8]) -> Outcome<usize> {
    // SAFETY: `bytes` is live for its length.
    unsafe { call!(Write, descriptor, bytes.as_ptr(), bytes.len()) }.map(|count| usize::try_from(count).unwrap_or(0))
}

pub(super) fn read(descriptor: RawFd, bytes: &mut [u8]) -> Outcome<usize> {
    // SAFETY: `bytes` is live and writable for its length.
    unsafe { call!(Read, descriptor, bytes.as_mut_ptr(), bytes.len()) }.map(|count| usize::try_from(count).unwrap_or(0))
}

/// The connection of who comes next to a listening socket.
pub(super) fn accept(descriptor: RawFd) -> Outcome<RawFd> {
    let nowhere = ptr::null_mut::<c_void>();
    // SAFETY: no address is asked for.
    unsafe { call!(Accept4, descriptor, nowhere, nowhere, libc::SOCK_CLOEXEC) }.map(int)
}

pub(super) fn prctl(option: c_int, second: u64, third: u64) -> Outcome<()> {
    // SAFETY: only options that take numbers are used in this crate.
    unsafe { call!(Prctl, option, second, third, 0, 0) }.map(drop)
}

pub(super) fn umask(bits: u32) -> Outcome<()> {
    // SAFETY: takes no pointer.
    unsafe { call!(Umask, bits) }.map(drop)
}

pub(super) fn setns(descriptor: RawFd, kind: u32) -> Outcome<()> {
    // SAFETY: takes no pointer; runs in a process or thread of its own.
    unsafe { call!(Setns, descriptor, kind) }.map(drop)
}

pub(super) fn unshare(flags: u32) -> Outcome<()> {
    // SAFETY: takes no pointer; runs in a process or thread of its own, and never with CLONE_FILES.
    unsafe { call!(Unshare, flags) }.map(drop)
}

pub(super) fn chdir(path: &CStr) -> Outcome<()> {
    // SAFETY: `path` is a live C string.
    unsafe { call!(Chdir, path.as_ptr()) }.map(drop)
}

pub(super) fn getcwd(buffer: &mut [u8]) -> Outcome<usize> {
    // SAFETY: `buffer` is live and writable for its length.
    unsafe { call!(Getcwd, buffer.as_mut_ptr(), buffer.len()) }.map(|count| usize::try_from(count).unwrap_or(0))
}

pub(super) fn setsid() -> Outcome<()> {
    // SAFETY: takes no argument.
    unsafe { call!(Setsid, 0) }.map(drop)
}

pub(super) fn sethostname(name: &CStr) -> Outcome<()> {
    // SAFETY: the string is live for its length.
    unsafe { call!(Sethostname, name.as_ptr(), name.count_bytes()) }.map(drop)
}

pub(super) fn prlimit(resource: u32, soft: u64, hard: u64) -> Outcome<()> {
    let limit = [soft, hard];
    // SAFETY: `limit` has the layout of struct rlimit64; a null old limit is allowed.
    unsafe { call!(Prlimit, 0, resource, limit.as_ptr(), ptr::null_mut::<c_void>()) }.map(drop)
}

/// Ends the process.
pub(super) fn exit(code: c_int) -> ! {
    loop {
        // SAFETY: takes no pointer; the call returns only when a filter of system calls forbids it.
        match unsafe { call!(Exit, code) } {
            Ok(_) | Err(_) => fault(),
        }
    }
}

/// Ends the process by a signal, where it cannot end itself by a call.
fn fault() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: an instruction that is defined to be undefined: SIGILL, whose action is the default one.
    unsafe {
        std::arch::asm!("ud2", options(nomem, nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("udf #0", options(nomem, nostack));
    }
}

/// Restores the default action of a signal.
pub(super) fn default_action(signal: c_int) -> Outcome<()> {
    // struct sigaction of the kernel: handler, flags, restorer and mask are all zero for SIG_DFL.
    let action = [0_u64; 4];
    // SAFETY: `action` is as large as the kernel's structure; 8 is the size of its signal mask.
    unsafe { call!(Sigaction, signal, action.as_ptr(), ptr::null_mut::<c_void>(), 8) }.map(drop)
}

/// Unblocks every signal.
pub(super) fn unblock_signals() -> Outcome<()> {
    let mask = 0_u64;
    // SAFETY: `mask` is a live signal mask of 8 bytes.
    unsafe { call!(Sigprocmask, libc::SIG_SETMASK, ptr::from_ref(&mask), ptr::null_mut::<c_void>(), 8) }.map(drop)
}

/// Brings the loopback device of the network namespace up.
pub(super) fn loopback_up() -> Outcome<()> {
    // SAFETY: takes no pointer.
    let socket = unsafe { call!(Socket, libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) }.map(int)?;
    // SAFETY: all zeroes is a value of this plain structure.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
        *slot = byte.cast_signed();
    }
    request.ifr_ifru.ifru_flags = UP;
    // SAFETY: SIOCSIFFLAGS reads a live struct ifreq.
    let result = unsafe { call!(Ioctl, socket, SIOCSIFFLAGS, ptr::from_ref(&request)) };
    close(socket)?;
    result.map(drop)
}

const SIOCSIFFLAGS: u32 = 0x8914;
/// `IFF_UP`; the kernel ignores attempts on the flags that a driver owns.
const UP: i16 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_lies_in_no_gap() {
        let told = |last, kept: &[RawFd], also| gaps(last, kept, also).collect::<Vec<_>>();
        assert_eq!(told(9, &[], -1), [(3, 9)]);
        assert_eq!(told(9, &[5, 6], -1), [(3, 4), (7, 9)]);
        assert_eq!(told(9, &[3, 9], 5), [(4, 4), (6, 8)]);
        assert_eq!(told(9, &[0, 12], 4), [(3, 3), (5, 9)]);
        assert_eq!((told(2, &[], -1), told(3, &[3], -1), told(4, &[4], 3)), (vec![], vec![], vec![]));
    }
}
