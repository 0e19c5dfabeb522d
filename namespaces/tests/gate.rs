//! Processes that wait, prepared to the last, until somebody lets their program begin.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use support::{descriptors, shell, unique};
use trial::{Test, need::root};
use windlass_namespaces::seccomp::{Action, Policy, Rule};
use windlass_namespaces::{Child, Command, Error, Gate, KillOnDrop, Namespace, Opener, Signal, Source};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("a_program_begins_when_its_gate_is_opened", pair),
        Test::new("a_named_gate_is_opened_by_another_process", named),
        Test::new("one_visitor_is_let_through", visitors),
        Test::new("a_program_that_cannot_be_executed_fails_the_spawn", missing),
        Test::new("what_fails_behind_the_gate_is_told_at_the_gate", failures),
        Test::new("nobody_waits_at_the_gate_of_a_killed_process", killed),
        Test::new("a_forgotten_gate_ends_the_process", forgotten),
        Test::new("at_the_gate_nothing_of_the_caller_is_open", hygiene),
        Test::new("all_isolation_is_there_before_the_program", isolation).needs(root),
        Test::new("a_second_spawn_needs_another_gate", spent),
        Test::new("gates_leave_nothing_open", leaks),
        trial::as_user(&[]),
    ])
}

/// A directory with a long path, for a gate and a file that shows that the program ran.
struct Room {
    directory: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix(&"gate".repeat(30)).tempdir().unwrap();
        assert!(directory.path().as_os_str().len() > 108, "longer than the path of a socket may be");
        Self { directory }
    }

    fn gate(&self) -> PathBuf {
        self.directory.path().join("gate")
    }

    fn mark(&self) -> PathBuf {
        self.directory.path().join("mark")
    }

    fn command(&self) -> Command {
        let mut command = shell(&format!("echo >{}", self.mark().display()));
        command.kill_on_drop(KillOnDrop::Yes);
        command
    }
}

fn pair() {
    let room = Room::new();
    let (gate, opener) = Gate::pair().unwrap();
    let mut child = room.command().gate(gate).spawn().unwrap();
    assert_eq!(child.wait_timeout(Duration::from_millis(50)).unwrap(), None);
    assert!(!room.mark().exists());
    opener.open().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(room.mark().exists());
}

fn named() {
    let room = Room::new();
    let mut child = room.command().gate(Gate::bind(room.gate()).unwrap()).spawn().unwrap();
    let mode = room.gate().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}: only the owner opens");
    // Of the gate another process knows the path alone, and speaks the protocol: a byte, and then an end.
    let script = "import socket,sys; s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET); s.connect('gate'); \
                  s.send(b'1'); sys.exit(len(s.recv(2000)))";
    if std::process::Command::new("python3").arg("--version").output().is_ok() {
        let visitor = std::process::Command::new("python3")
            .args(["-c", script])
            .current_dir(room.directory.path())
            .status()
            .unwrap();
        assert!(visitor.success(), "{visitor}");
    } else {
        Opener::connect(room.gate()).unwrap().open().unwrap();
    }
    assert!(child.wait().unwrap().success());
    assert!(room.mark().exists());
    assert_eq!(Opener::connect(room.gate()).unwrap_err().errno(), Some(libc::ECONNREFUSED));
    std::fs::remove_file(room.gate()).unwrap();
    assert_eq!(Opener::connect(room.gate()).unwrap_err().errno(), Some(libc::ENOENT));
}

fn visitors() {
    let room = Room::new();
    let mut child = room.command().gate(Gate::bind(room.gate()).unwrap()).spawn().unwrap();
    let results: Vec<_> = std::thread::scope(|scope| {
        let visit = || Opener::connect(room.gate())?.open();
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(visit)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let errors: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()?.errno()).collect();
    assert_eq!(errors.len(), 2, "{results:?}");
    let refused = [libc::ECONNRESET, libc::ECONNREFUSED, libc::EPIPE];
    assert!(errors.iter().all(|errno| refused.contains(errno)), "{results:?}");
    assert!(child.wait().unwrap().success());
}

fn missing() {
    for (program, errno) in [("/nowhere/at/all", libc::ENOENT), ("/proc", libc::EACCES), ("/etc/passwd", libc::EACCES)]
    {
        let (gate, _opener) = Gate::pair().unwrap();
        let error = Command::new(program).gate(gate).spawn().unwrap_err();
        assert!(matches!(&error, Error::Child { step, .. } if step == "find the program"), "{error}");
        assert_eq!(error.errno(), Some(errno), "{program}");
    }
    let (gate, _opener) = Gate::pair().unwrap();
    let error = Command::new(unique("nosuch")).gate(gate).spawn().unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENOENT));
}

fn failures() {
    let room = Room::new();
    let program = room.directory.path().join("program");
    let made = |text: &str| {
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let spawn = |gate: Gate| Command::new(&program).kill_on_drop(KillOnDrop::Yes).gate(gate).spawn().unwrap();
    let told = |error: Error, child: &mut Child| {
        let Error::Child { step, op, source } = error else { panic!("{error}") };
        assert!(step.starts_with("execute /") && op == "execve", "{step}: {op}");
        assert_eq!(child.wait().unwrap().code(), Some(126));
        source.raw_os_error()
    };
    made("#!/nowhere/interpreter\n");
    let (gate, opener) = Gate::pair().unwrap();
    let mut child = spawn(gate);
    assert_eq!(told(opener.open().unwrap_err(), &mut child), Some(libc::ENOENT));

    made("no program");
    let mut child = spawn(Gate::bind(room.gate()).unwrap());
    assert_eq!(told(Opener::connect(room.gate()).unwrap().open().unwrap_err(), &mut child), Some(libc::ENOEXEC));

    let mut policy = Policy::new(Action::Allow);
    policy.rules.push(Rule::new(["execve"], Action::Errno(77)));
    let (gate, opener) = Gate::pair().unwrap();
    let mut command = Command::new("true");
    command.kill_on_drop(KillOnDrop::Yes).no_new_privileges().seccomp(policy.compile().unwrap()).gate(gate);
    let mut child = command.spawn().unwrap();
    assert_eq!(told(opener.open().unwrap_err(), &mut child), Some(77));
}

fn killed() {
    let room = Room::new();
    let (gate, opener) = Gate::pair().unwrap();
    for mut child in [
        room.command().gate(Gate::bind(room.gate()).unwrap()).spawn().unwrap(),
        room.command().gate(gate).spawn().unwrap(),
    ] {
        child.kill(Signal::KILL).unwrap();
        child.wait().unwrap();
    }
    assert_eq!(Opener::connect(room.gate()).unwrap_err().errno(), Some(libc::ECONNREFUSED));
    let gone = opener.open().unwrap_err().errno();
    assert!(matches!(gone, Some(libc::ECONNRESET | libc::EPIPE)), "{gone:?}");
    assert!(!room.mark().exists());
}

fn forgotten() {
    let room = Room::new();
    let (gate, opener) = Gate::pair().unwrap();
    let mut child = room.command().gate(gate).spawn().unwrap();
    drop(opener);
    assert!(!child.wait().unwrap().success());
    assert!(!room.mark().exists());
}

fn hygiene() {
    let room = Room::new();
    let file = OwnedFd::from(std::fs::File::open("/etc/passwd").unwrap());
    rustix::io::fcntl_setfd(file.as_fd(), rustix::io::FdFlags::empty()).unwrap();
    let child = room.command().gate(Gate::bind(room.gate()).unwrap()).spawn().unwrap();
    let open = std::fs::read_dir(format!("/proc/{}/fd", child.pid())).unwrap();
    let open: Vec<String> =
        open.map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap().to_string_lossy().into_owned()).collect();
    assert!(open.len() <= 4 && !open.contains(&"/etc/passwd".to_owned()), "{open:?}");
    assert_eq!(open.iter().filter(|target| target.starts_with("socket:")).count(), 1, "{open:?}");
}

fn isolation() {
    let room = Room::new();
    let mut command = room.command();
    command.namespace(Namespace::Uts, Source::New).namespace(Namespace::Pid, Source::New).hostname("behind");
    let mut child = command.gate(Gate::bind(room.gate()).unwrap()).spawn().unwrap();
    let uts = child.namespace(Namespace::Uts).unwrap();
    let name = windlass_namespaces::enter::within(&[(Namespace::Uts, uts.as_fd())], || {
        std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap()
    });
    assert_eq!(name.unwrap(), "behind\n");
    Opener::connect(room.gate()).unwrap().open().unwrap();
    assert!(child.wait().unwrap().success());
}

fn spent() {
    let (gate, opener) = Gate::pair().unwrap();
    let mut command = Command::new("true");
    let mut child = command.gate(gate).spawn().unwrap();
    assert!(matches!(command.spawn(), Err(Error::Invalid { field: "gate", .. })));
    opener.open().unwrap();
    child.wait().unwrap();
}

fn leaks() {
    let room = Room::new();
    let before = descriptors();
    for _ in 0..20 {
        let (gate, opener) = Gate::pair().unwrap();
        let mut child = room.command().gate(gate).spawn().unwrap();
        opener.open().unwrap();
        child.wait().unwrap();
        let mut child = room.command().gate(Gate::bind(room.gate()).unwrap()).spawn().unwrap();
        Opener::connect(room.gate()).unwrap().open().unwrap();
        child.wait().unwrap();
        std::fs::remove_file(room.gate()).unwrap();
    }
    assert_eq!(descriptors(), before);
}
