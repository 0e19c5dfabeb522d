//! Programs confined by Landlock.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

use support::{contained, output, said, shell};
use trial::{Test, need::root};
use windlass_namespaces::landlock::{Enforcement, FilesystemAccess, NetworkAccess, Ruleset, Scope};
use windlass_namespaces::{CapabilitySets, Command, Error, Gate, Gid, Notice, Stdio, Uid};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, port] = &arguments[..]
        && let Ok(port) = port.parse()
    {
        return reach(mode, port);
    }
    trial::main(vec![
        Test::new("files_outside_the_rules_are_denied", files).needs(landlock),
        Test::new("rules_are_of_the_containers_tree", inside).needs(landlock).needs(root),
        Test::new("root_without_new_privileges_is_confined_too", privileged).needs(landlock).needs(root),
        Test::new("ports_outside_the_rules_are_denied", ports).needs(landlock),
        Test::new("signals_end_at_the_program", signals).needs(landlock),
        Test::new("a_missing_path_is_an_error_unless_told_otherwise", missing).needs(landlock),
        Test::new("a_program_behind_a_gate_is_confined", gate).needs(landlock),
        Test::new("what_the_kernel_does_not_know_is_told", unknown),
        trial::as_user(&[]),
    ])
}

/// Version 6 of its interface, of Linux 6.12.
fn landlock() -> Result<(), String> {
    let mut rules = Ruleset::new();
    rules.scope(Scope::SIGNAL).enforcement(Enforcement::Strict);
    match shell("true").landlock(rules).no_new_privileges().plan() {
        Err(Error::Unsupported { feature }) => Err(format!("needs Landlock: {feature}")),
        _ => Ok(()),
    }
}

/// Programs and their libraries, wherever this test is.
fn programs() -> Ruleset {
    let mut rules: Ruleset = "read+execute:/usr,read+execute:?/lib,read+execute:?/lib64,read+execute:?/bin,\
        read_file+write_file:/dev/null"
        .parse()
        .unwrap();
    rules.enforcement(Enforcement::Strict);
    rules
}

fn confined(script: &str, rules: Ruleset) -> Command {
    let mut command = shell(script);
    command.landlock(rules).no_new_privileges().stderr(Stdio::Null).current_dir("/");
    command
}

fn files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("secret"), "secret").unwrap();
    fs::create_dir(path("open")).unwrap();
    fs::write(path("open/file"), "open").unwrap();
    let script = format!(
        "cat {secret} || echo denied; cat {file} && echo; echo x > {file} || echo unwritable; ls {folder} || echo unlisted; \
         ls {open}; rm {file} || echo kept; cat < /dev/null; mkdir {open}/new && echo made",
        secret = path("secret"),
        file = path("open/file"),
        folder = folder.path().display(),
        open = path("open"),
    );
    let mut rules = programs();
    rules.allow_path(path("open"), FilesystemAccess::READ | FilesystemAccess::MAKE_DIR);
    assert_eq!(said(&mut confined(&script, rules)), "denied\nopen\nunwritable\nunlisted\nfile\nkept\nmade");
    // Without rules all is as before: what was denied was denied by them.
    assert!(said(&mut shell(&format!("cat {}", path("secret")))).contains("secret"));
    assert!(path("open/new").parse::<std::path::PathBuf>().unwrap().is_dir());
}

fn inside() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["data", "other"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("file"), name).unwrap();
    }
    let mut command = contained("cat /data/file /other/file; id -u; echo x > /data/file", folder.path());
    let rules: Ruleset = "read+execute:/usr,read+execute:/lib64,read:/data,strict".parse().unwrap();
    command.landlock(rules).no_new_privileges().stderr(Stdio::Null);
    command.user(Uid::new(77).unwrap(), Gid::new(77).unwrap(), Vec::new());
    assert_eq!(output(&mut command).1, "data77\n");
}

fn privileged() {
    // Without no_new_privileges it takes the capability, which the program does not get.
    let mut command = shell("grep CapEff /proc/self/status | cut -f2; cat /etc/passwd || echo denied");
    let mut rules = programs();
    rules.allow_path("/proc", FilesystemAccess::READ);
    command.landlock(rules).capabilities(CapabilitySets::none()).stderr(Stdio::Null);
    assert_eq!(said(&mut command), "0000000000000000\ndenied");
}

/// Tries a port from inside; the code tells what came of it.
fn reach(mode: &str, port: u16) -> ExitCode {
    let result = match mode {
        "bind" => TcpListener::bind(("127.0.0.1", port)).map(drop),
        _ => TcpStream::connect(("127.0.0.1", port)).map(drop),
    };
    match result {
        Ok(()) => ExitCode::from(10),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => ExitCode::from(11),
        Err(_) => ExitCode::from(12),
    }
}

fn tried(mode: &str, port: u16, rules: &Ruleset) -> Option<i32> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([mode, &port.to_string()]).landlock(rules.clone()).no_new_privileges();
    command.spawn().unwrap().wait().unwrap().code()
}

fn ports() {
    let (one, two) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let mut rules = Ruleset::new();
    rules.handle_network(NetworkAccess::ALL).allow_port(port(&one), NetworkAccess::CONNECT_TCP);
    assert_eq!(tried("connect", port(&one), &rules), Some(10));
    assert_eq!(tried("connect", port(&two), &rules), Some(11));
    assert_eq!(tried("bind", 0, &rules), Some(11));
    rules.allow_port(0, NetworkAccess::BIND_TCP);
    assert_eq!(tried("bind", 0, &rules), Some(10));
}

fn signals() {
    let mut victim = Command::new("sleep").arg("600").spawn().unwrap();
    let mut rules = Ruleset::new();
    rules.scope(Scope::SIGNAL);
    let script = format!("kill -TERM {} || echo refused; sleep 600 & kill -TERM $! && echo own", victim.pid());
    assert_eq!(said(&mut confined(&script, rules)), "refused\nown");
    assert!(victim.try_wait().unwrap().is_none());
    victim.kill(windlass_namespaces::Signal::KILL).unwrap();
    victim.wait().unwrap();
}

fn missing() {
    let mut rules = programs();
    rules.allow_path_if_present("/does/not/exist", FilesystemAccess::READ);
    assert!(confined("true", rules.clone()).spawn().unwrap().wait().unwrap().success());
    rules.allow_path("/does/not/exist", FilesystemAccess::READ);
    match confined("true", rules).spawn() {
        Err(Error::Child { step, op: "openat2", source }) => {
            assert_eq!(step, "allow read_file+read_dir below /does/not/exist");
            assert_eq!(source.raw_os_error(), Some(libc::ENOENT));
        }
        other => panic!("{other:?}"),
    }
}

fn gate() {
    let (gate, opener) = Gate::pair().unwrap();
    let mut command = confined("cat /etc/passwd || exit 7", programs());
    let mut child = command.gate(gate).spawn().unwrap();
    opener.open().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

fn unknown() {
    // A bit that no kernel has yet.
    let mut rules = Ruleset::new();
    rules.handle_filesystem(FilesystemAccess::from_bits(1 << 63) | FilesystemAccess::EXECUTE);
    rules.allow_path("/", FilesystemAccess::EXECUTE);
    let mut command = shell("true");
    command.no_new_privileges().landlock(rules.clone());
    match command.spawn() {
        // A kernel that is newer than the names here judges for itself, an older one is told apart.
        Err(Error::Sys { op: "landlock_create_ruleset", source, .. }) => {
            assert_eq!(source.raw_os_error(), Some(libc::EINVAL));
        }
        Ok(mut child) => {
            assert!(child.notices().iter().any(|notice| matches!(notice, Notice::Landlock(_))));
            assert!(child.wait().unwrap().success());
        }
        other => panic!("{other:?}"),
    }
    rules.enforcement(Enforcement::Strict);
    assert!(command.landlock(rules).spawn().is_err());
}
