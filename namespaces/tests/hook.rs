//! Programs that a process runs while it is prepared, and the caller's say in between.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use support::{descriptors, output, shell};
use trial::{Test, need::root};
use windlass_namespaces::{
    Child, Command, Error, Gate, Hook, HookInput, HookPoint, KillOnDrop, Mount, Namespace, Rootfs, Source,
};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("a_hook_reads_its_input_and_has_its_own_environment", surroundings),
        Test::new("hooks_run_in_order_and_before_the_program", order),
        Test::new("a_hook_sees_the_mounts_and_the_callers_root", before_pivot).needs(root),
        Test::new("a_hook_behind_the_gate_is_found_in_the_container", before_exec).needs(root),
        Test::new("a_hook_that_fails_is_told_with_its_words", failures),
        Test::new("a_hook_that_fails_behind_the_gate_is_told_there", failure_at_gate),
        Test::new("a_hook_has_its_time", late),
        Test::new("a_hook_that_is_missing_is_told_apart", missing),
        Test::new("the_caller_acts_while_the_process_waits", paused).needs(root),
        Test::new("an_error_of_the_caller_ends_the_process", caller_fails),
        Test::new("a_hook_gets_no_descriptor_and_leaves_none", hygiene),
        trial::as_user(&[]),
    ])
}

fn hook(script: &str) -> Hook {
    Hook {
        path: "/bin/sh".into(),
        args: vec!["hook".into(), "-c".into(), script.into()],
        env: vec![("PATH".into(), "/bin:/usr/bin".into()), ("WORD".into(), "a=b".into())],
        timeout: None,
    }
}

fn with_hook(command: &mut Command, point: HookPoint, script: &str) {
    command.hook(point, hook(script), HookInput::around_pid("pid ", " end"));
}

struct Notes {
    directory: tempfile::TempDir,
}

impl Notes {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("notes")
    }

    fn read(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap_or_default()
    }
}

fn surroundings() {
    for point in [HookPoint::BeforePivot, HookPoint::BeforeExec] {
        let notes = Notes::new();
        let mut command = Command::new("true");
        let script = format!("exec >{}; cat; echo; echo $WORD $HOME $0; env | wc -l; umask", notes.path().display());
        with_hook(&mut command, point, &script);
        let mut child = command.spawn().unwrap();
        let pid = child.pid();
        assert!(child.wait().unwrap().success());
        // The shell adds PWD.
        assert_eq!(notes.read(), format!("pid {pid} end\na=b hook\n3\n0022\n"), "{point:?}");
    }
}

fn order() {
    let notes = Notes::new();
    let note = |word: &str| format!("echo {word} >>{}", notes.path().display());
    let mut command = shell(&note("program"));
    with_hook(&mut command, HookPoint::BeforeExec, &note("third"));
    with_hook(&mut command, HookPoint::BeforePivot, &note("first"));
    with_hook(&mut command, HookPoint::BeforePivot, &note("second"));
    let (gate, opener) = Gate::pair().unwrap();
    let mut child = command.gate(gate).spawn().unwrap();
    assert_eq!(notes.read(), "first\nsecond\n");
    opener.open().unwrap();
    child.wait().unwrap();
    assert_eq!(notes.read(), "first\nsecond\nthird\nprogram\n");
}

/// A container on the host's own files.
fn container(script: &str) -> (Command, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    let mut command = shell(script);
    command
        .namespace(Namespace::Mount, Source::New)
        .namespace(Namespace::Pid, Source::New)
        .rootfs(Rootfs::Path(root.path().to_owned()));
    for folder in ["/bin", "/lib", "/lib64", "/usr"] {
        command.mount(Mount::bind_recursive(folder, folder).read_only());
    }
    command.mount(Mount::proc("/proc")).mount(Mount::tmpfs("/made")).mount(Mount::masked("/proc/stat"));
    (command, root)
}

fn before_pivot() {
    let (mut command, root) = container("cat /made/note; mount | grep -c ' /kept '");
    // By the path outside, which is the working directory too; what it mounts stays.
    let script = format!(
        "[ $(pwd) = {0} ] && cat >{0}/made/note && mkdir kept && mount -t tmpfs none {0}/kept && [ $(wc -c <proc/stat) -gt 0 ] && \
         echo $$ >>made/note",
        root.path().display()
    );
    with_hook(&mut command, HookPoint::BeforePivot, &script);
    let (status, text) = output(&mut command);
    assert!(status.success(), "{text}");
    // The process is the first in its pid namespace, and the hook the second.
    assert_eq!(text, "pid 1 end2\n1\n");
    assert!(!root.path().join("kept/x").exists());
}

fn before_exec() {
    let notes = Notes::new();
    let (mut command, root) = container("cat /made/note");
    let script = "cat >/made/note; echo >>/made/note; ls / >>/made/note; [ $(wc -c </proc/stat) = 0 ]";
    with_hook(&mut command, HookPoint::BeforeExec, script);
    let (status, text) = output(&mut command);
    assert!(status.success(), "{text}");
    assert_eq!(text, "pid 1 end\nbin\nlib\nlib64\nmade\nproc\nusr\n");
    drop((notes, root));
}

fn failed(command: &mut Command) -> (String, Option<i32>, String) {
    match command.spawn() {
        Err(Error::Hook { hook, status, output }) => (hook, status.and_then(|status| status.code()), output),
        other => panic!("{other:?}"),
    }
}

fn failures() {
    for point in [HookPoint::BeforePivot, HookPoint::BeforeExec] {
        let mut command = Command::new("true");
        with_hook(&mut command, point, "echo some; echo words >&2; exit 3");
        assert_eq!(failed(&mut command), ("run hook /bin/sh".into(), Some(3), "some\nwords".into()));
        let mut command = Command::new("true");
        with_hook(&mut command, point, "kill -9 $$");
        assert_eq!(failed(&mut command), ("run hook /bin/sh".into(), None, String::new()));
    }
    let mut command = Command::new("true");
    with_hook(&mut command, HookPoint::BeforePivot, "yes | head -c 100000; printf END; exit 1");
    let (_, _, output) = failed(&mut command);
    assert!(output.len() <= 512 && output.ends_with("y\nEND"), "{output}");
}

fn failure_at_gate() {
    let (gate, opener) = Gate::pair().unwrap();
    let mut command = Command::new("true");
    with_hook(&mut command, HookPoint::BeforeExec, "echo no luck; exit 9");
    let mut child: Child = command.kill_on_drop(KillOnDrop::Yes).gate(gate).spawn().unwrap();
    let error = opener.open().unwrap_err();
    assert_eq!(error.to_string(), "run hook /bin/sh failed: exit status: 9: no luck");
    assert!(!child.wait().unwrap().success());
}

fn late() {
    for point in [HookPoint::BeforePivot, HookPoint::BeforeExec] {
        let mut command = Command::new("true");
        let begin = Instant::now();
        let slow = Hook { timeout: Some(Duration::from_millis(150)), ..hook("exec sleep 600") };
        let error = command.hook(point, slow, HookInput::default()).spawn().unwrap_err();
        assert!(matches!(&error, Error::Hook { status: None, .. }), "{error}");
        assert!(error.to_string().ends_with("took too long and was killed"), "{error}");
        assert!(begin.elapsed() < Duration::from_mins(5));
    }
    let mut command = Command::new("true");
    let quick = Hook { timeout: Some(Duration::from_mins(5)), ..hook("exit 0") };
    assert!(command.hook(HookPoint::BeforePivot, quick, HookInput::default()).spawn().unwrap().wait().is_ok());
}

fn missing() {
    let mut command = Command::new("true");
    let nowhere = Hook { path: "/nowhere/hook".into(), ..hook("") };
    let error = command.hook(HookPoint::BeforePivot, nowhere, HookInput::default()).spawn().unwrap_err();
    assert!(matches!(&error, Error::Child { step, .. } if step == "run hook /nowhere/hook"), "{error}");
    assert_eq!(error.errno(), Some(libc::ENOENT));
    let relative = Hook { path: "sh".into(), ..hook("") };
    let mut command = Command::new("true");
    let error = command.hook(HookPoint::BeforePivot, relative, HookInput::default()).spawn().unwrap_err();
    assert!(matches!(error, Error::Invalid { field: "hook", .. }), "{error}");
}

fn paused() {
    let notes = Notes::new();
    let (mut command, root) = container("cat /made/note");
    command.namespace(Namespace::Net, Source::New);
    let script = format!("echo hook >>{}/made/note", root.path().display());
    with_hook(&mut command, HookPoint::BeforePivot, &script);
    let (mut reader, writer) = std::io::pipe().unwrap();
    command.stdout(std::os::fd::OwnedFd::from(writer));
    let mut seen = None;
    let child = command.spawn_paused(|paused| -> Result<(), Error> {
        let inside = std::fs::read_link(format!("/proc/{}/ns/net", paused.pid())).unwrap();
        assert_ne!(inside, std::fs::read_link("/proc/self/ns/net").unwrap());
        // Through the root that the process is still going to leave, to the mounts that it made.
        let made = format!("/proc/{}/root{}/made/note", paused.pid(), root.path().display());
        std::fs::write(made, "caller\n").unwrap();
        assert!(
            rustix::event::poll(
                &mut [rustix::event::PollFd::from_borrowed_fd(paused.as_fd(), rustix::event::PollFlags::IN)],
                Some(&rustix::event::Timespec::default()),
            )
            .is_ok_and(|ready| ready == 0)
        );
        seen = Some(paused.pid());
        Ok(())
    });
    let mut child = child.unwrap();
    assert_eq!(seen, Some(child.pid()));
    drop(command);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(text, "caller\nhook\n");
    drop(notes);
}

#[derive(Debug)]
enum Own {
    Windlass,
    Mine,
}

impl From<Error> for Own {
    fn from(_: Error) -> Self {
        Self::Windlass
    }
}

fn caller_fails() {
    let mut pid = None;
    let result = Command::new("true").spawn_paused(|paused| {
        pid = Some(paused.pid());
        Err(Own::Mine)
    });
    assert!(matches!(result, Err(Own::Mine)), "{result:?}");
    let path = format!("/proc/{}", pid.unwrap());
    assert!(!std::path::Path::new(&path).exists(), "no process is left");
    let result = Command::new("/nowhere").spawn_paused(|_| Ok(()));
    assert!(matches!(result, Err(Own::Windlass)), "{result:?}");
}

fn hygiene() {
    let notes = Notes::new();
    let before = descriptors();
    for point in [HookPoint::BeforePivot, HookPoint::BeforeExec] {
        let mut command = Command::new("true");
        with_hook(&mut command, point, &format!("ls /proc/self/fd >{}", notes.path().display()));
        command.spawn().unwrap().wait().unwrap();
        // The fourth is that of the directory that is read.
        assert_eq!(notes.read(), "0\n1\n2\n3\n", "{point:?}");
    }
    assert_eq!(descriptors(), before);
}
