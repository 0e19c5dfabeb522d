//! Joining the namespaces of others, as a process and as a thread.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use support::{link, own, said, shell, sleeper};
use trial::{Test, need::program, need::root};
use windlass_namespaces::{Child, Error, IdMapping, Mount, Namespace, Signal, Source, enter};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(TRACED) {
        return traced();
    }
    trial::main(vec![
        Test::new("every_kind_of_namespace_can_be_joined", each_kind).needs(root),
        Test::new("a_whole_container_can_be_joined", whole).needs(root),
        Test::new("a_joined_pid_namespace_numbers_the_program", pid).needs(root),
        Test::new("a_new_user_namespace_beside_a_joined_network", mixed).needs(root),
        Test::new("a_joined_user_namespace_makes_root", user).needs(root),
        Test::new("a_process_that_joins_can_be_waited_for_and_killed", handle).needs(root),
        Test::new("a_drop_does_not_wait_for_what_the_caller_has_to_reap", reaping).needs(root),
        Test::new("the_program_is_a_child_of_the_caller", parent).needs(root),
        Test::new("a_kill_of_the_intermediate_process_leaves_nothing", swept).needs(root).needs(program("strace")),
        Test::new("code_runs_inside_and_the_caller_stays_outside", within).needs(root),
        Test::new("a_thread_does_not_enter_what_it_cannot", within_refused),
        Test::new("a_panic_inside_comes_out", within_panic),
        trial::as_user(&[]),
    ])
}

/// A process that stays, in new namespaces of these kinds.
fn resident(kinds: &[Namespace]) -> Child {
    let mut command = sleeper(kinds);
    if kinds.contains(&Namespace::Mount) && kinds.contains(&Namespace::Pid) {
        command.mount(Mount::proc("/proc"));
    }
    command.spawn().expect("a process in new namespaces")
}

fn pid_string(child: &Child) -> String {
    child.pid().to_string()
}

fn each_kind() {
    for kind in Namespace::ALL {
        let resident = resident(&[kind]);
        let joined = resident.namespace(kind).unwrap();
        let mut command = shell("echo ready; read line; exit 7");
        command.namespace(kind, Source::Join(joined));
        let (reader, writer) = std::io::pipe().unwrap();
        command.stdin(OwnedFd::from(reader));
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        // The host's view: what the process is in is what the resident is in.
        assert_eq!(link(&pid_string(&child), kind), link(&pid_string(&resident), kind), "{kind}");
        assert_ne!(link(&pid_string(&child), kind), own(kind), "{kind}");
        for other in Namespace::ALL.into_iter().filter(|other| *other != kind) {
            assert_eq!(link(&pid_string(&child), other), own(other), "{other} beside a joined {kind}");
        }
        drop((writer, command));
        assert_eq!(child.wait().unwrap().code(), Some(7), "{kind}");
    }
}

fn whole() {
    let resident = resident(&Namespace::ALL);
    let mut command = shell("for n in mnt pid net ipc uts user cgroup time; do readlink /proc/self/ns/$n; done; pwd");
    for kind in Namespace::ALL {
        command.namespace(kind, Source::Join(resident.namespace(kind).unwrap()));
    }
    let text = said(&mut command);
    for (kind, line) in Namespace::ALL.into_iter().zip(text.lines()) {
        assert_eq!(line, link(&pid_string(&resident), kind));
    }
    assert_eq!(text.lines().last(), Some("/"));
}

fn pid() {
    let resident = resident(&[Namespace::Pid, Namespace::Mount]);
    let mut command = shell("echo $$; cat /proc/1/comm");
    for kind in [Namespace::Pid, Namespace::Mount] {
        command.namespace(kind, Source::Join(resident.namespace(kind).unwrap()));
    }
    let text = said(&mut command);
    let (number, first) = text.split_once('\n').unwrap();
    // The resident is number 1, and few others were ever there.
    assert!((2..10).contains(&number.parse::<u32>().unwrap()), "{text}");
    assert_eq!(first, "sleep");
}

fn mixed() {
    let resident = resident(&[Namespace::Net, Namespace::Uts]);
    let mut command = shell("readlink /proc/self/ns/net; id -u; cat /proc/self/uid_map");
    command.namespace(Namespace::Net, Source::Join(resident.namespace(Namespace::Net).unwrap()));
    command.namespace(Namespace::User, Source::New).namespace(Namespace::Mount, Source::New);
    command
        .id_mappings(vec![IdMapping::new(0, 100_000, 1000).unwrap()], vec![IdMapping::new(0, 100_000, 1000).unwrap()]);
    let text = said(&mut command);
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words, [link(&pid_string(&resident), Namespace::Net).as_str(), "0", "0", "100000", "1000"]);
}

fn user() {
    let mapping = || vec![IdMapping::new(0, 200_000, 1000).unwrap()];
    let mut command = sleeper(&[Namespace::User, Namespace::Net]);
    let resident = command.id_mappings(mapping(), mapping()).spawn().unwrap();
    let mut command = shell("id -u; id -g; id -G; grep CapEff /proc/self/status | cut -f2; cat /proc/self/uid_map");
    for kind in [Namespace::User, Namespace::Net] {
        command.namespace(kind, Source::Join(resident.namespace(kind).unwrap()));
    }
    let text = said(&mut command);
    let words: Vec<&str> = text.split_whitespace().collect();
    let [uid, gid, groups, capabilities, map @ ..] = &words[..] else { panic!("{text}") };
    assert_eq!([*uid, *gid, *groups], ["0", "0", "0"]);
    assert_eq!(map, ["0", "200000", "1000"]);
    // All that the kernel knows, of which the host's root may hold fewer.
    let all = u64::from_str_radix(capabilities, 16).unwrap();
    assert_eq!(all.trailing_ones() + all.leading_zeros(), 64, "{capabilities}");
}

fn handle() {
    let resident = resident(&[Namespace::Pid]);
    let mut command = sleeper(&[]);
    command.namespace(Namespace::Pid, Source::Join(resident.namespace(Namespace::Pid).unwrap()));
    let mut child = command.spawn().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    assert_eq!(std::fs::read_to_string(format!("/proc/{}/comm", child.pid())).unwrap(), "sleep\n");
    // The end of the namespace's first process is the end of all in it; its own waits until they are reaped.
    resident.kill(Signal::KILL).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
}

fn reaping() {
    let resident = resident(&[Namespace::Pid]);
    let mut command = sleeper(&[]);
    command.namespace(Namespace::Pid, Source::Join(resident.namespace(Namespace::Pid).unwrap()));
    let mut child = command.spawn().unwrap();
    let pid = resident.pid();
    let before = Instant::now();
    drop(resident);
    assert!(before.elapsed() < Duration::from_mins(1));
    // Dead but for the one that it waits for.
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    let pid = rustix::process::Pid::from_raw(pid.as_raw().cast_signed());
    rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).unwrap();
}

fn parent() {
    let resident = resident(&[Namespace::Pid]);
    let mut command = sleeper(&[]);
    command.namespace(Namespace::Pid, Source::Join(resident.namespace(Namespace::Pid).unwrap()));
    let child = command.spawn().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.pid())).unwrap();
    let line = format!("PPid:\t{}", std::process::id());
    assert!(status.lines().any(|status| status == line), "{status}");
}

fn within() {
    let resident = resident(&[Namespace::Net, Namespace::Uts, Namespace::Mount]);
    let net = resident.namespace(Namespace::Net).unwrap();
    let uts = resident.namespace(Namespace::Uts).unwrap();
    let mount = resident.namespace(Namespace::Mount).unwrap();
    let entered = [(Namespace::Net, net.as_fd()), (Namespace::Uts, uts.as_fd()), (Namespace::Mount, mount.as_fd())];
    let look = || {
        [Namespace::Net, Namespace::Uts, Namespace::Mount].map(|kind| {
            let path = format!("/proc/thread-self/ns/{}", kind.file_name());
            std::fs::read_link(path).unwrap().to_string_lossy().into_owned()
        })
    };
    let inside = enter::within(&entered, look).unwrap();
    let kinds = [Namespace::Net, Namespace::Uts, Namespace::Mount];
    assert_eq!(inside, kinds.map(|kind| link(&pid_string(&resident), kind)));
    assert_eq!(look(), kinds.map(own));

    // A socket stays where it was opened: the address of the host's listener means nothing there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let inner = [(Namespace::Net, net.as_fd())];
    let refused = enter::within(&inner, || std::net::TcpStream::connect(address).map(drop)).unwrap();
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    let there = enter::within(&inner, || std::net::TcpListener::bind(address).unwrap()).unwrap();
    assert_eq!(there.local_addr().unwrap(), address);
}

fn within_refused() {
    for kind in [Namespace::User, Namespace::Pid, Namespace::Time] {
        let file = File::open(format!("/proc/self/ns/{}", kind.file_name())).unwrap();
        let result = enter::within(&[(kind, file.as_fd())], || panic!("must not run"));
        assert!(matches!(result, Err(Error::Invalid { field: "within", .. })), "{result:?}");
    }
}

fn within_panic() {
    let result = std::panic::catch_unwind(|| enter::within(&[], || panic!("inside")));
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&"inside"));
}

const TRACED: &str = "start-under-a-tracer";

/// Starts a process that joins, and tells which children are left after it was ended.
#[expect(clippy::print_stdout, reason = "the test that started this reads it")]
fn traced() -> ExitCode {
    let resident = resident(&[Namespace::Pid]);
    let mut command = sleeper(&[]);
    command.namespace(Namespace::Pid, Source::Join(resident.namespace(Namespace::Pid).unwrap()));
    let told = match command.spawn() {
        Ok(mut child) => {
            child.kill(Signal::KILL).unwrap();
            child.wait().unwrap();
            "started".to_owned()
        }
        Err(error) => error.to_string(),
    };
    let mine = resident.pid().to_string();
    drop(resident);
    let children = std::fs::read_to_string("/proc/thread-self/children").unwrap();
    let left: Vec<&str> = children.split_whitespace().filter(|pid| **pid != mine).collect();
    println!("{told}; left: {left:?}");
    ExitCode::SUCCESS
}

fn swept() {
    // Calls that the caller itself does not make, or makes last of all: before the process is made, and after.
    let mut outcomes = std::collections::BTreeSet::new();
    for (call, last) in [("setns", 1), ("prctl", 3), ("close_range", 6), ("exit_group", 1), ("rt_sigprocmask", 1)] {
        for when in 1..=last {
            let output = std::process::Command::new("strace")
                .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")])
                .args(["-e", &format!("inject={call}:signal=KILL:when={when}")])
                .arg(std::env::current_exe().unwrap())
                .arg(TRACED)
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            // A kill of the caller itself says nothing.
            if let Some((told, left)) = text.trim().split_once("; left: ") {
                assert_eq!(left, "[]", "{call} {when}: {told}");
                outcomes.insert((call, told.to_owned()));
            }
        }
    }
    // It was killed before it made the process, and after.
    let killed = "the new process was ended by SIGKILL before its program began".to_owned();
    assert!(outcomes.contains(&("setns", killed)), "{outcomes:?}");
    assert!(outcomes.contains(&("exit_group", "started".to_owned())), "{outcomes:?}");
}
