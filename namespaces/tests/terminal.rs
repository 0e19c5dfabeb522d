//! A terminal of the process's own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitCode;

use support::{contained, fresh, shell, sleeper};
use trial::{Test, need::program, need::root};
use windlass_namespaces::{
    Child, Command, Error, Gid, IdMapping, Mount, Namespace, Rootfs, Source, Terminal, Uid, WindowSize, pty,
};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(STARTER) {
        starter();
        return ExitCode::SUCCESS;
    }
    trial::main(vec![
        Test::new("a_container_has_a_terminal_of_its_own", inside).needs(root),
        Test::new("without_pseudo_terminals_inside_the_callers_are_used", callers),
        Test::new("a_tree_without_pseudo_terminals_gets_one_at_its_console", console_only).needs(root),
        Test::new("a_terminal_belongs_to_the_user", owner).needs(root),
        Test::new("a_terminal_works_in_a_user_namespace", in_user_namespace).needs(root),
        Test::new("a_process_that_joins_gets_a_terminal_of_the_container", joined).needs(root),
        Test::new("an_interrupt_reaches_the_program", interrupt),
        Test::new("a_terminal_can_be_resized", resized),
        Test::new("a_console_that_is_a_link_is_refused", linked_console).needs(root),
        Test::new("a_tree_that_only_looks_like_pseudo_terminals_is_not_used", lookalike).needs(root),
        Test::new("CVE-2025-52565_a_swapped_pseudo_terminal_never_becomes_the_console", swapped).needs(root),
        Test::new("CVE-2017-5226_input_cannot_be_pushed_into_the_callers_terminal", push_input)
            .needs(pushable)
            .needs(program("perl")),
        trial::as_user(&[]),
    ])
}

fn with_terminal(command: &mut Command) -> &mut Command {
    command.terminal(Terminal { size: Some(WindowSize { columns: 91, rows: 17 }) })
}

/// Runs to the end; what was written to the terminal, a line a line.
fn seen(command: &mut Command) -> Vec<String> {
    let mut child = with_terminal(command).spawn().unwrap_or_else(|error| panic!("{error:?}"));
    let text = read_all(child.take_terminal().expect("a terminal was asked for"));
    assert!(child.take_terminal().is_none());
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}: {text}");
    text.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn read_all(master: OwnedFd) -> String {
    let mut bytes = Vec::new();
    // The kernel tells the end by an error.
    let end = File::from(master).read_to_end(&mut bytes).unwrap_err();
    assert_eq!(end.raw_os_error(), Some(libc::EIO));
    String::from_utf8(bytes).unwrap()
}

/// The name, the size, whether it is the controlling one, and who owns what is where.
const LOOK: &str = "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all three; \
    echo hello > /dev/tty; cut -d' ' -f7 /proc/self/stat";

fn inside() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("{LOOK}; stat -c %t:%T /dev/console /dev/pts/0; echo console > /dev/console; ls /dev/pts");
    let mut command = contained(&script, folder.path());
    let lines = seen(&mut command);
    // 34816 is device 136:0: number 0 of a set of its own.
    let expected = ["/dev/pts/0", "17 91", "all three", "hello", "34816", "88:0", "88:0", "console", "0  ptmx"];
    assert_eq!(lines, expected);
    // The host's tree has nothing of it but the empty place that was made for nothing else.
    assert!(fs::read_dir(folder.path().join("dev")).unwrap().next().is_none());
}

fn callers() {
    let lines = seen(&mut shell(LOOK));
    assert!(lines[0].starts_with("/dev/pts/"), "{lines:?}");
    assert_eq!(lines[1..4], ["17 91", "all three", "hello"]);
    assert_ne!(lines[4], "0");
}

fn console_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = fresh("echo hello > /dev/console; test -t 0 && echo yes", &[Namespace::Mount]);
    support::links(folder.path());
    command.rootfs(Rootfs::Path(folder.path().into())).mount(support::host_programs());
    assert_eq!(seen(&mut command), ["hello", "yes"]);
    assert_eq!(fs::read(folder.path().join("dev/console")).unwrap(), b"");
}

fn owner() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = contained("stat -c %u:%g:%a /dev/pts/0; echo x > /dev/console; id -u", folder.path());
    command.user(Uid::new(77).unwrap(), Gid::new(88).unwrap(), Vec::new());
    assert_eq!(seen(&mut command), ["77:5:620", "x", "77"]);
}

fn in_user_namespace() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(100_000), Some(100_000)).unwrap();
    let map = || vec![IdMapping::new(0, 100_000, 1000).unwrap()];
    let mut command = contained("tty; stat -c %u:%g /dev/pts/0; echo x > /dev/console", folder.path());
    command.namespace(Namespace::User, Source::New).id_mappings(map(), map());
    command.user(Uid::new(33).unwrap(), Gid::new(33).unwrap(), Vec::new());
    assert_eq!(seen(&mut command), ["/dev/pts/0", "33:5", "x"]);
}

fn join(container: &Child, script: &str, kinds: &[Namespace]) -> Command {
    let mut command = shell(script);
    for kind in kinds {
        command.namespace(*kind, Source::Join(container.namespace(*kind).unwrap()));
    }
    command
}

fn joined() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(100_000), Some(100_000)).unwrap();
    let map = || vec![IdMapping::new(0, 100_000, 1000).unwrap()];
    for own_users in [false, true] {
        let mut resident = contained("exec sleep 600", folder.path());
        let mut kinds = vec![Namespace::Mount, Namespace::Pid];
        if own_users {
            resident.namespace(Namespace::User, Source::New).id_mappings(map(), map());
            kinds.push(Namespace::User);
        }
        resident.kill_on_drop(windlass_namespaces::KillOnDrop::Yes);
        let resident = resident.spawn().unwrap();
        let script = "tty; stat -c %u /dev/pts/0; echo x > /dev/tty; cat /proc/1/comm; ls /dev/pts";
        let mut command = join(&resident, script, &kinds);
        command.user(Uid::new(44).unwrap(), Gid::new(44).unwrap(), Vec::new());
        assert_eq!(seen(&mut command), ["/dev/pts/0", "44", "x", "sleep", "0  ptmx"], "{own_users}");
    }
    // A container without any: none of the host's is taken instead.
    let bare = sleeper(&[Namespace::Mount]).mount(Mount::tmpfs("/dev/pts")).spawn().unwrap();
    let mut command = join(&bare, "true", &[Namespace::Mount]);
    let failed = with_terminal(&mut command).spawn();
    assert_eq!(failed.unwrap_err().errno(), Some(libc::ENODEV));
}

fn interrupt() {
    let mut command = shell("echo ready; exec sleep 600");
    let mut child = with_terminal(&mut command).spawn().unwrap();
    let mut master = File::from(child.take_terminal().unwrap());
    let mut ready = [0; 7];
    master.read_exact(&mut ready).unwrap();
    master.write_all(b"\x03").unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGINT));
}

fn resized() {
    let mut command = shell("trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done");
    let mut child = command.terminal(Terminal::default()).spawn().unwrap();
    let mut master = File::from(child.take_terminal().unwrap());
    assert_eq!(pty::window_size(&master).unwrap(), WindowSize { columns: 0, rows: 0 });
    let mut ready = [0; 7];
    master.read_exact(&mut ready).unwrap();
    pty::resize(&master, WindowSize { columns: 100, rows: 50 }).unwrap();
    assert_eq!(read_all(master.into()).trim(), "50 100");
    assert!(child.wait().unwrap().success());
    assert!(pty::resize(File::open("/dev/null").unwrap(), WindowSize { columns: 1, rows: 1 }).is_err());
}

fn linked_console() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    support::links(folder.path());
    fs::create_dir(folder.path().join("dev")).unwrap();
    for contents in [outside.path(), std::path::Path::new("/canary")] {
        let link = folder.path().join("dev/console");
        std::os::unix::fs::symlink(contents, &link).unwrap();
        let mut command = fresh("true", &[Namespace::Mount]);
        command.rootfs(Rootfs::Path(folder.path().into())).mount(support::host_programs());
        match with_terminal(&mut command).spawn() {
            Err(Error::Child { op: "openat2", source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::ELOOP)),
            other => panic!("{other:?}"),
        }
        fs::remove_file(link).unwrap();
    }
    assert!(!folder.path().join("canary").exists());
}

fn lookalike() {
    // A tree whose multiplexer is something else, or where something else covers it.
    let folder = tempfile::tempdir().unwrap();
    let mut covered = contained("true", folder.path());
    covered.mount(Mount::bind("/dev/null", "/dev/pts/ptmx"));
    match with_terminal(&mut covered).spawn() {
        Err(Error::Child { op: "openat2", source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::EXDEV)),
        other => panic!("{other:?}"),
    }
}

fn swapped() {
    // The image brings links where the terminal will be, at the name that the first terminal gets.
    let folder = tempfile::tempdir().unwrap();
    let canary = folder.path().join("canary");
    fs::write(&canary, "host").unwrap();
    let mut command = contained("stat -c '%F %t:%T' /dev/console; cat /canary", folder.path());
    // What lies over the numbered file is not what is bound: the open file is.
    command.mount(Mount::bind(&canary, "/dev/pts/0"));
    let failed = with_terminal(&mut command).spawn();
    // There is no number 0 before the terminal is opened, and nothing can be made there.
    assert!(matches!(failed, Err(Error::Child { op: "openat", .. })), "{failed:?}");

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("canary"), "inside").unwrap();
    fs::create_dir_all(folder.path().join("dev/pts")).unwrap();
    std::os::unix::fs::symlink("/canary", folder.path().join("dev/pts/0")).unwrap();
    support::links(folder.path());
    let mut command = fresh("stat -c '%F %t' /dev/console; echo x > /dev/console; cat /canary", &[Namespace::Mount]);
    command.rootfs(Rootfs::Path(folder.path().into())).mount(support::host_programs());
    let lines = seen(&mut command);
    assert_eq!(lines, ["character special file 88", "x", "inside"]);
}

/// Pushes a line into the input of every terminal in reach, as a hostile program would.
const PUSH: &str = r#"perl -e 'for $n (map("/dev/fd/$_", 0..2), "/dev/tty") {
    open($f, "<", $n) or next; ioctl($f, 0x5412, $_) for split(//, "pushed\n") }'"#;

fn push_input() {
    // The caller has a terminal of its own in this test; what it started may only be seen there.
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = command.arg(STARTER).terminal(Terminal::default()).spawn().unwrap();
    let text = read_all(child.take_terminal().unwrap());
    assert!(child.wait().unwrap().success(), "{text}");
    let told: Vec<&str> = text.lines().map(str::trim_end).filter(|line| line.starts_with("input")).collect();
    // The first is the proof that the attempt is one.
    assert_eq!(told, ["input of nothing: 28", "input of session: 0", "input of terminal: 0"], "{text}");
}

const STARTER: &str = "start-from-a-terminal";

#[expect(clippy::print_stdout, reason = "the test that started this reads it")]
/// Starts the hostile program in three ways, and says how many bytes came into the own input each time.
fn starter() {
    let stdin = std::io::stdin();
    rustix::fs::fcntl_setfl(&stdin, rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::RDWR).unwrap();
    for defence in ["nothing", "session", "terminal"] {
        let mut command = shell(PUSH);
        // Who is root may push anywhere; who is not has none to drop.
        if root().is_ok() {
            command.capabilities(windlass_namespaces::CapabilitySets::none());
        }
        match defence {
            "session" => command.new_session(),
            "terminal" => command.terminal(Terminal::default()),
            _ => &mut command,
        };
        let mut child = command.spawn().unwrap();
        if let Some(master) = child.take_terminal() {
            read_all(master);
        }
        assert!(child.wait().unwrap().success());
        let mut bytes = [0; 64];
        // A read gives one line.
        let mut count = 0;
        while let Ok(length @ 1..) = rustix::io::read(&stdin, &mut bytes) {
            count += length;
        }
        println!("\ninput of {defence}: {count}");
    }
}

/// Kernel: 6.2 and later can be told to refuse it to everybody.
fn pushable() -> Result<(), String> {
    let setting = fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti").unwrap_or_default();
    if setting.trim() == "0" { Err("needs a kernel that still takes TIOCSTI".into()) } else { Ok(()) }
}
