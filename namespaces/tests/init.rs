//! The small first process of a pid namespace.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use support::{contained, fresh, output, said, shell};
use trial::{Test, need::root};
use windlass_namespaces::{
    CapabilitySets, Child, Command, Error, Gate, Gid, Init, KillOnDrop, Mount, Namespace, Signal, Source, Terminal, Uid,
};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("the_reaper_is_the_first_process", first).needs(root),
        Test::new("the_programs_status_comes_out", statuses).needs(root),
        Test::new("signals_are_passed_on", signals).needs(root),
        Test::new("orphans_are_reaped", orphans).needs(root),
        Test::new("a_program_that_does_not_exist_is_told", failures).needs(root),
        Test::new("the_reaper_serves_an_unprivileged_program_in_a_container", contained_user).needs(root),
        Test::new("the_program_has_the_terminal", terminal).needs(root),
        Test::new("a_program_behind_a_gate_has_its_reaper", gate).needs(root),
        Test::new("the_end_of_the_reaper_is_the_end_of_all", killed).needs(root),
    ])
}

fn init(script: &str) -> Command {
    let mut command = fresh(script, &[Namespace::Pid, Namespace::Mount]);
    command.mount(Mount::proc("/proc")).init(Init::Reaper).kill_on_drop(KillOnDrop::Yes);
    command
}

fn first() {
    let script = "echo $$; cat /proc/1/comm; tr '\\0' ' ' < /proc/1/cmdline; echo; ls /proc/1/fd; wc -c < /proc/1/environ; \
        grep VmSize /proc/1/status | tr -s ' \\t' ' '; grep -E '^(PPid|NSpgid)' /proc/self/status | tr -d '\\n'";
    let mut command = init(&format!("{script}; true"));
    let text = said(command.env("SECRET", "of the caller"));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..3], ["2", "init", "init 2 "], "{text}");
    // The standard descriptors and nothing else; no environment; a stack, a page, and the kernel's own.
    assert_eq!(lines[3..7], ["0", "1", "2", "0"], "{text}");
    let size: u32 = lines[7].split(' ').nth(1).unwrap().parse().unwrap();
    assert!(size < 200, "{text}");
}

fn statuses() {
    for code in [0, 1, 42, 255] {
        let (status, _) = output(&mut init(&format!("exit {code}")));
        assert_eq!(status.code(), Some(code));
    }
    let (status, _) = output(&mut init("kill -TERM $$"));
    assert_eq!(status.code(), Some(128 + libc::SIGTERM));
    let (status, _) = output(&mut init("kill -KILL $$"));
    assert_eq!(status.code(), Some(128 + libc::SIGKILL));
}

/// Starts it and waits until it says that it is ready.
fn ready(command: &mut Command) -> (Child, File) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let child = command.stdout(OwnedFd::from(writer)).spawn().unwrap();
    command.stdout(windlass_namespaces::Stdio::Inherit);
    let mut bytes = [0; 6];
    reader.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"ready\n");
    (child, File::from(OwnedFd::from(reader)))
}

fn signals() {
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::HUP, "HUP"), (Signal::USR1, "USR1"), (Signal::INT, "INT")] {
        let script = format!("trap 'echo got {name}; exit 9' {name}; echo ready; while :; do sleep 0.02; done");
        let (mut child, mut output) = ready(&mut init(&script));
        child.kill(signal).unwrap();
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("got {name}\n"));
        assert_eq!(child.wait().unwrap().code(), Some(9));
    }
    // What the program does not handle ends it.
    let (mut child, _) = ready(&mut init("echo ready; exec sleep 600"));
    child.kill(Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + libc::SIGTERM));
}

fn orphans() {
    // Three hundred processes whose parents are gone: none of them stays behind as a zombie.
    let script = "for i in $(seq 300); do (true &) ; done; \
        for i in $(seq 200); do test $(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l) = 0 && echo none && exit; \
        sleep 0.02; done; echo some";
    assert_eq!(said(&mut init(script)), "none");
}

fn failures() {
    let mut command = init("true");
    let mut missing = Command::new("/does/not/exist");
    missing.namespace(Namespace::Pid, Source::New).init(Init::Reaper);
    match missing.spawn() {
        Err(Error::Child { op: "execve", step, source }) => {
            assert_eq!((step.as_str(), source.raw_os_error()), ("execute /does/not/exist", Some(libc::ENOENT)));
        }
        other => panic!("{other:?}"),
    }
    let plan = command.plan().unwrap().to_string();
    assert!(plan.contains("leave a reaper as the first process\nprocess: leave the other descriptors"), "{plan}");
    command = shell("true");
    assert!(matches!(command.init(Init::Reaper).spawn(), Err(Error::Invalid { field: "init", .. })));
}

fn contained_user() {
    let folder = tempfile::tempdir().unwrap();
    let filter = windlass_namespaces::seccomp::Policy::container(windlass_namespaces::CapabilitySet::DOCKER);
    let script = "id -u; grep -E 'CapEff|Seccomp:' /proc/1/status | cut -f2; cat /proc/1/comm; sleep 0.01 & wait";
    let mut command = contained(script, folder.path());
    command
        .init(Init::Reaper)
        .capabilities(CapabilitySets::none())
        .no_new_privileges()
        .seccomp(filter.compile().unwrap());
    command.user(Uid::new(77).unwrap(), Gid::new(77).unwrap(), Vec::new());
    assert_eq!(said(&mut command), "77\n0000000000000000\n0\ninit");
}

fn terminal() {
    let script = "trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.02; done";
    let mut command = init(script);
    let mut child = command.terminal(Terminal::default()).spawn().unwrap();
    let mut master = File::from(child.take_terminal().unwrap());
    let mut bytes = [0; 7];
    master.read_exact(&mut bytes).unwrap();
    master.write_all(b"\x03").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let mut text = Vec::new();
    drop(master.read_to_end(&mut text));
    assert!(String::from_utf8_lossy(&text).contains("interrupted"));
}

fn gate() {
    let (gate, opener) = Gate::pair().unwrap();
    let mut command = init("echo $$; exit 5");
    let mut child = command.gate(gate).spawn().unwrap();
    let comm = format!("/proc/{}/comm", child.pid());
    let until = Instant::now() + Duration::from_mins(1);
    while fs::read_to_string(&comm).unwrap() != "init\n" {
        assert!(Instant::now() < until);
    }
    assert!(child.try_wait().unwrap().is_none());
    opener.open().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

fn killed() {
    let (mut child, mut output) = ready(&mut init("sleep 600 & echo ready; wait"));
    child.kill(Signal::KILL).unwrap();
    assert!(child.wait().unwrap().code().is_none());
    // Nobody has the other end open any more.
    let mut text = String::new();
    assert_eq!(output.read_to_string(&mut text).unwrap(), 0);
}
