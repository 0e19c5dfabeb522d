//! Filters of system calls, as the kernel applies them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitCode;

use support::{fresh, output, said, shell};
use trial::{Test, need::root};
use windlass_namespaces::seccomp::{Action, Comparison, Condition, Flag, Policy, Rule};
use windlass_namespaces::{
    Capability, CapabilitySet, CapabilitySets, Command, Error, Gid, Mount, Namespace, Rootfs, Source, Uid,
};

const SIGSYS: i32 = 31;
const SIGILL: i32 = 4;

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("a_forbidden_call_gets_its_error", forbidden),
        Test::new("a_forbidden_argument_gets_its_error", argument),
        Test::new("a_call_that_kills_ends_by_sigsys", kills),
        Test::new("children_are_filtered_too", children),
        Test::new("calls_before_the_program_are_not_filtered", before).needs(root),
        Test::new("the_filter_takes_no_capability_along", capabilities).needs(root),
        Test::new("an_ordinary_user_needs_no_new_privileges", ordinary).needs(root),
        Test::new("an_exec_that_is_forbidden_is_told", exec),
        Test::new("a_failed_exec_that_cannot_be_told_ends_the_process", untold),
        Test::new("flags_reach_the_kernel", flags),
        Test::new("a_container_runs_a_shell_under_its_policy", container).needs(root),
        Test::new("the_policy_of_a_container_forbids", refuses).needs(root),
        trial::as_user(&[]),
    ])
}

fn policy(rules: impl IntoIterator<Item = Rule>) -> Policy {
    let mut policy = Policy::new(Action::Allow);
    policy.rules.extend(rules);
    policy
}

fn filtered(mut command: Command, policy: &Policy) -> Command {
    command.seccomp(policy.compile().unwrap());
    command
}

fn mkdir(action: Action) -> Policy {
    policy([Rule::new(["mkdir", "mkdirat"], action)])
}

fn forbidden() {
    for (errno, message) in [(1, "Operation not permitted"), (28, "No space left on device")] {
        let script = "LC_ALL=C; export LC_ALL; mkdir /tmp/never 2>&1";
        let mut command = filtered(shell(script), &mkdir(Action::Errno(errno)));
        let (status, text) = output(command.no_new_privileges());
        assert!(!status.success() && text.contains(message), "{status}: {text}");
    }
    assert_eq!(
        said(shell("grep -e Seccomp: -e NoNewPrivs /proc/self/status").no_new_privileges()),
        "NoNewPrivs:\t1\nSeccomp:\t0"
    );
    let mut command = filtered(shell("grep -e Seccomp: -e NoNewPrivs /proc/self/status"), &mkdir(Action::Errno(1)));
    assert_eq!(said(command.no_new_privileges()), "NoNewPrivs:\t1\nSeccomp:\t2");
}

fn argument() {
    let signal = |value| Condition::new(1, Comparison::Equal(value)).unwrap();
    let policy = policy([Rule::new(["kill"], Action::Errno(1)).when(signal(10))]);
    let mut command = filtered(shell("kill -0 $$ && ! kill -USR1 $$ 2> /dev/null"), &policy);
    assert_eq!(said(command.no_new_privileges()), "");
}

fn kills() {
    for action in [Action::KillProcess, Action::KillThread, Action::Trap] {
        let mut command = Command::new("/bin/mkdir");
        command.arg("/tmp/never").no_new_privileges();
        let (status, _) = output(&mut filtered(command, &mkdir(action)));
        assert_eq!(status.signal(), Some(SIGSYS), "{action:?}: {status}");
    }
}

fn children() {
    let mut command = filtered(shell("sh -c 'sh -c \"! mkdir /tmp/never 2> /dev/null\"'"), &mkdir(Action::Errno(1)));
    assert!(output(command.no_new_privileges()).0.success());
}

/// Everything that a start can do is forbidden: only the exec passes.
fn before() {
    let calls = ["mount", "fsopen", "fsmount", "move_mount", "pivot_root", "umount2", "mkdirat", "setresuid", "capset"];
    let more = ["setresgid", "setgroups", "sethostname", "umask", "setsid", "close_range", "unshare"];
    let policy = policy([Rule::new(calls.into_iter().chain(more), Action::KillProcess)]);
    for forbidding in [false, true] {
        let mut command = Command::new("/bin/cat");
        command.arg("/proc/sys/kernel/hostname").hostname("box").umask(0o77).new_session().mount(Mount::tmpfs("/mnt"));
        command.namespace(Namespace::Uts, Source::New).namespace(Namespace::Mount, Source::New);
        command.user(Uid::new(1234).unwrap(), Gid::new(1234).unwrap(), Vec::new());
        command.capabilities(CapabilitySets::none());
        if forbidding {
            command.no_new_privileges();
        }
        assert_eq!(said(&mut filtered(command, &policy)), "box");
    }
}

fn capabilities() {
    let status = "grep -e Cap -e NoNewPrivs -e Seccomp: -e Uid /proc/self/status";
    for user in [None, Some((Uid::new(1234).unwrap(), Gid::new(1234).unwrap()))] {
        for sets in [CapabilitySets::none(), CapabilitySets::docker()] {
            let mut command = shell(status);
            command.capabilities(sets);
            if let Some((uid, gid)) = user {
                command.user(uid, gid, Vec::new());
            }
            let without = said(&mut command);
            let with = said(&mut filtered(command, &mkdir(Action::Errno(1))));
            assert!(without.contains("Seccomp:\t0") && without.contains("NoNewPrivs:\t0"), "{without}");
            assert_eq!(with, without.replace("Seccomp:\t0", "Seccomp:\t2"));
        }
    }
}

fn ordinary() {
    let mut command = filtered(shell("true"), &mkdir(Action::Errno(1)));
    command.user(Uid::new(1234).unwrap(), Gid::new(1234).unwrap(), Vec::new());
    match command.spawn() {
        Err(Error::Child { step, op: "seccomp", source }) => {
            assert!(step.starts_with("filter system calls by "), "{step}");
            assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied);
        }
        other => panic!("{other:?}"),
    }
    assert!(output(command.no_new_privileges()).0.success());
    // In a user namespace of its own the process has the capability.
    let mut command = fresh("grep Seccomp: /proc/self/status", &[Namespace::User]);
    command.capabilities(CapabilitySets::none());
    assert_eq!(said(&mut filtered(command, &mkdir(Action::Errno(1)))), "Seccomp:\t2");
}

fn exec() {
    let mut command = filtered(shell("true"), &policy([Rule::new(["execve"], Action::Errno(13))]));
    match command.no_new_privileges().spawn() {
        Err(Error::Child { step, op: "execve", source }) => {
            assert_eq!((step.as_str(), source.raw_os_error()), ("execute /bin/sh", Some(13)));
        }
        other => panic!("{other:?}"),
    }
}

fn untold() {
    let mut command = filtered(Command::new("/nowhere/at/all"), &policy([Rule::new(["write"], Action::Errno(1))]));
    assert_eq!(command.no_new_privileges().spawn().unwrap().wait().unwrap().code(), Some(125));
    let rule = Rule::new(["write", "exit_group"], Action::Errno(1));
    let mut command = filtered(Command::new("/nowhere/at/all"), &policy([rule]));
    assert_eq!(command.no_new_privileges().spawn().unwrap().wait().unwrap().signal(), Some(SIGILL));
}

fn flags() {
    let script = "grep Speculation_Store_Bypass: /proc/self/status";
    let mut policy = mkdir(Action::Errno(1));
    policy.flags = vec![Flag::SpecAllow, Flag::Log];
    let before = said(&mut shell(script));
    assert_eq!(said(filtered(shell(script), &policy).no_new_privileges()), before);
    assert_ne!(policy.compile().unwrap().instructions(), []);
}

/// Like docker: all namespaces but the user's, its mounts and capabilities, on the host's files read-only; filtered by
/// the policy for `capabilities`.
fn boxed(script: &str, capabilities: CapabilitySet) -> Command {
    let kinds = [Namespace::Mount, Namespace::Pid, Namespace::Net, Namespace::Ipc, Namespace::Uts, Namespace::Cgroup];
    let mut command = fresh(script, &kinds);
    command.rootfs(Rootfs::Path("/".into())).read_only_rootfs().mounts(Mount::defaults()).new_session();
    command.capabilities(CapabilitySets::docker()).hostname("box");
    filtered(command, &Policy::container(capabilities))
}

fn container() {
    let script =
        "id -u; hostname; ls / > /dev/null; sh -c 'echo $((1 + 1))' | cat; mount > /dev/null; sleep 0.01; wait";
    assert_eq!(said(&mut boxed(script, CapabilitySet::DOCKER)), "0\nbox\n2");
    let script = "grep -e Seccomp: -e CapEff /proc/self/status";
    assert_eq!(said(&mut boxed(script, CapabilitySet::DOCKER)), "CapEff:\t00000000a80425fb\nSeccomp:\t2");
}

/// What the kernel alone would allow.
fn refuses() {
    let told = |capabilities, program: &str| output(&mut boxed(&format!("LC_ALL=C {program} 2>&1"), capabilities)).1;
    let without = CapabilitySet::DOCKER.without(Capability::SysChroot);
    let (chroot, personality) = ("chroot / echo inside", "setarch --addr-no-randomize echo inside");
    assert_eq!(told(CapabilitySet::DOCKER, chroot).trim(), "inside");
    assert_eq!(told(CapabilitySet::DOCKER, "setarch --uname-2.6 echo inside").trim(), "inside");
    for (capabilities, program, message) in
        [(without, chroot, "Operation not permitted"), (CapabilitySet::DOCKER, personality, "Function not implemented")]
    {
        let text = told(capabilities, program);
        assert!(text.contains(message), "{text}");
    }
    assert_eq!(said(&mut shell(personality)), "inside");
}
