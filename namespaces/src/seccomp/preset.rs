//! The policy of a container.

use super::policy::{Action, Architecture, Comparison, Condition, Policy, Rule};
use crate::capability::{Capability, CapabilitySet};

impl Policy {
    /// The policy of a container whose bounding set is `capabilities`: as strict as podman's.
    ///
    /// Calls that a capability guards are allowed with it and refused with `EPERM` without; what is not known to be
    /// harmless does not exist (`ENOSYS`), as on an older kernel. On 64-bit x86 it covers x32 and 32-bit x86 as well;
    /// on 64-bit ARM it ends 32-bit programs.
    ///
    /// Source: the calls of `/usr/share/containers/seccomp.json` of containers-common 0.50.
    pub fn container(capabilities: CapabilitySet) -> Self {
        let mut policy = Self::new(Action::Errno(ENOSYS));
        if policy.architectures == [Architecture::X86_64] {
            policy.architectures.extend([Architecture::X86, Architecture::X32]);
        }
        policy.rules.push(Rule::new(REFUSED.split_ascii_whitespace(), Action::Errno(EPERM)));
        policy.rules.push(Rule::new(ALLOWED.split_ascii_whitespace(), Action::Allow));
        policy
            .rules
            .extend(PERSONALITIES.map(|persona| {
                Rule::new(["personality"], Action::Allow).when(argument(0, Comparison::Equal(persona)))
            }));
        for (capability, names) in GUARDED {
            let action = if capabilities.contains(*capability) { Action::Allow } else { Action::Errno(EPERM) };
            policy.rules.push(Rule::new(names.split_ascii_whitespace(), action));
        }
        policy.rules.extend(sockets(capabilities));
        policy
    }
}

/// Every socket, but the kernel's audit only with its capability.
fn sockets(capabilities: CapabilitySet) -> Vec<Rule> {
    let socket = |action| Rule::new(["socket"], action);
    if capabilities.contains(Capability::AuditWrite) {
        return vec![socket(Action::Allow)];
    }
    let family = |comparison: fn(u64) -> Comparison| argument(0, comparison(AF_NETLINK));
    let protocol = |comparison: fn(u64) -> Comparison| argument(2, comparison(NETLINK_AUDIT));
    vec![
        socket(Action::Errno(EINVAL)).when(family(Comparison::Equal)).when(protocol(Comparison::Equal)),
        socket(Action::Allow).when(protocol(Comparison::NotEqual)),
        socket(Action::Allow).when(family(Comparison::NotEqual)),
    ]
}

fn argument(index: u8, comparison: Comparison) -> Condition {
    Condition { argument: index, comparison }
}

const EPERM: u16 = 1;
const EINVAL: u16 = 22;
const ENOSYS: u16 = 38;
const AF_NETLINK: u64 = 16;
const NETLINK_AUDIT: u64 = 9;
/// Linux, BSD, either with `UNAME26`, and the question for the one in force.
const PERSONALITIES: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Calls that the kernel, too, leaves to who has the capability.
const GUARDED: &[(Capability, &str)] = &[
    (Capability::DacReadSearch, "open_by_handle_at"),
    (Capability::SysAdmin, "bpf fanotify_init lookup_dcookie perf_event_open quotactl setdomainname sethostname"),
    (Capability::SysChroot, "chroot"),
    (Capability::SysModule, "delete_module finit_module init_module query_module"),
    (Capability::SysPacct, "acct"),
    (Capability::SysPtrace, "kcmp process_madvise"),
    (Capability::SysRawio, "ioperm iopl"),
    (Capability::SysTime, "clock_settime clock_settime64 settimeofday stime"),
    (Capability::SysTtyConfig, "vhangup"),
];

/// Calls that need no more than the kernel's own checks.
const ALLOWED: &str = "\
    _llseek _newselect accept accept4 access adjtimex alarm arch_prctl bind brk capget capset chdir chmod chown \
    chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 \
    clock_nanosleep clock_nanosleep_time64 clone clone3 close close_range connect copy_file_range creat dup dup2 \
    dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old \
    eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate \
    fanotify_mark fchdir fchmod fchmodat fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock \
    fork fremovexattr fsconfig fsetxattr fsmount fsopen fspick fstat fstat64 fstatat64 fstatfs fstatfs64 fsync \
    ftruncate ftruncate64 futex futex_time64 futimesat get_mempolicy get_robust_list get_thread_area getcpu getcwd \
    getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer \
    getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 \
    getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr inotify_add_watch \
    inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_setup io_submit ioctl \
    ioprio_get ioprio_set ipc keyctl kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown \
    lchown32 lgetxattr link linkat listen listxattr llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise \
    mbind membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 \
    modify_ldt mount mount_setattr move_mount mprotect mq_getsetattr mq_notify mq_open mq_timedreceive \
    mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap msgctl msgget msgrcv msgsnd msync \
    munlock munlockall munmap name_to_handle_at nanosleep newfstatat open open_tree openat openat2 pause pidfd_getfd \
    pidfd_open pidfd_send_signal pipe pipe2 pivot_root pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 \
    prctl pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 \
    pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readdir readlink readlinkat readv reboot recv \
    recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr rename renameat renameat2 restart_syscall \
    rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait \
    rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity \
    sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 \
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop \
    semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_mempolicy set_robust_list \
    set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 \
    setitimer setns setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid \
    setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr shmat shmctl shmdt shmget shutdown sigaction \
    sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend socketcall socketpair splice \
    stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs sysinfo syslog tee tgkill time \
    timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 \
    timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate \
    truncate64 ugetrlimit umask umount umount2 uname unlink unlinkat unshare utime utimensat utimensat_time64 utimes \
    vfork wait4 waitid waitpid write writev";

/// Calls that exist and are refused, so that programs do not take the kernel for an older one.
const REFUSED: &str = "\
    bdflush io_pgetevents kexec_file_load kexec_load migrate_pages move_pages nfsservctl nice oldfstat oldlstat \
    oldolduname oldstat olduname sgetmask ssetmask swapoff swapon sysfs uselib userfaultfd ustat vm86 vm86old \
    vmsplice";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known() {
        for capabilities in [CapabilitySet::EMPTY, CapabilitySet::DOCKER, CapabilitySet::from_bits(u64::MAX)] {
            let filter = Policy::container(capabilities).compile().unwrap();
            assert_eq!(filter.unknown_names(), [""; 0]);
        }
    }

    #[test]
    fn no_name_is_in_two_lists() {
        let guarded = GUARDED.iter().map(|(_, names)| *names);
        let lists = guarded.chain([ALLOWED, REFUSED, "personality socket"]);
        let mut names: Vec<&str> = lists.flat_map(str::split_ascii_whitespace).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
