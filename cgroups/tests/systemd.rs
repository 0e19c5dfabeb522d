//! Scopes, with a message bus and a stand-in for systemd that another implementation of D-Bus speaks for.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a failed expectation is a failed test")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use support::{Actor, Scratch, has};
use trial::{Test, need};
use windlass_cgroups::systemd::{Bus, ScopeName, Systemd};
use windlass_cgroups::{
    Bytes, Controller, DeviceAccess, DeviceAction, DeviceFilter, DeviceKind, DeviceRule, Error, Group, GroupPath,
    Hierarchies, Limit, Memory, Pids, Resources, Version,
};

fn main() -> ExitCode {
    let test = |name, body: fn()| {
        Test::new(name, body)
            .needs(need::root)
            .needs(has(Version::V2, &[]))
            .needs(need::program("dbus-daemon"))
            .needs(need::program("dbus-send"))
            .needs(python_with_dbus)
    };
    support::main(vec![
        test("a_scope_holds_its_processes_and_is_told_its_settings", a_scope),
        test("the_end_of_the_job_is_waited_for", the_job_is_waited_for),
        test("a_unit_that_is_there_is_not_taken", existing_unit),
        test("a_failed_unit_is_forgotten", failed_unit),
        test("device_rules_survive_a_reload", devices_survive).needs(has(Version::V1, &[Controller::Devices])),
        Test::new("no_bus_is_an_error", no_bus),
    ])
}

const PYTHON: &str = "/usr/bin/python3";

fn python_with_dbus() -> Result<(), String> {
    match Command::new(PYTHON).args(["-c", "import dbus, gi"]).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err("needs the system's Python with the modules dbus and gi".to_owned()),
    }
}

/// A message bus with a stand-in for systemd, whose groups are below a scratch group.
struct Machine {
    scratch: Scratch,
    folder: PathBuf,
    bus: Child,
    stand_in: Child,
}

impl Machine {
    fn new() -> Self {
        let all = Hierarchies::discover().unwrap();
        let devices =
            all.only(Version::V1).is_ok_and(|v1| matches!(v1.home(Controller::Devices), windlass_cgroups::Home::V1));
        let scratch = Scratch::new(&all, if devices { &[Controller::Devices] } else { &[] });
        let folder = std::env::temp_dir().join(scratch.path().as_str());
        std::fs::create_dir(&folder).unwrap();
        let address = format!("unix:path={}", folder.join("bus").display());
        let mut bus = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address=1", &format!("--address={address}")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        first_line(&mut bus);
        let unified = std::fs::read_link(format!("/proc/self/fd/{}", raw(&scratch))).unwrap();
        let v1 = if devices { scratch.directory(Controller::Devices) } else { String::new() };
        let mut stand_in = Command::new(PYTHON)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/systemd.py"))
            .args([&address, folder.join("log").to_str().unwrap(), unified.to_str().unwrap(), &v1])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(first_line(&mut stand_in), "ready\n");
        Self { scratch, folder, bus, stand_in }
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("bus")
    }

    fn connect(&self) -> Systemd {
        Systemd::connect_within(&Bus::Socket(self.socket()), Duration::from_mins(1)).unwrap()
    }

    fn start(&self, name: &str, actor: &Actor, resources: &Resources) -> Result<GroupPath, Error> {
        self.connect().start_scope(&name.parse().unwrap(), &[actor.pid()], resources, &self.scratch.all)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }

    fn reload(&self) {
        let sent = Command::new("dbus-send")
            .arg(format!("--bus=unix:path={}", self.socket().display()))
            .args(["--print-reply", "--dest=org.freedesktop.systemd1", "/org/freedesktop/systemd1"])
            .arg("org.freedesktop.systemd1.Manager.Reload")
            .output()
            .unwrap();
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for child in [&mut self.stand_in, &mut self.bus] {
            child.kill().expect("a child that was not waited for can be signalled");
            child.wait().expect("a child can be waited for");
        }
        std::fs::remove_dir_all(&self.folder).expect("the test made it");
    }
}

fn raw(group: &Group) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(&group.unified().unwrap())
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line
}

fn a_scope() {
    let machine = Machine::new();
    let actor = Actor::new("sleep");
    let resources = Resources {
        memory: Memory { max: Some(Limit::At(Bytes::mib(64))), swap: Some(Limit::Max), ..Memory::default() },
        pids: Pids { max: Some(Limit::At(33)) },
        ..Resources::default()
    };
    let name: ScopeName = "machine-web.slice:windlass:blog".parse().unwrap();
    let mut systemd = machine.connect();
    let path = systemd.start_scope(&name, &[actor.pid()], &resources, &machine.scratch.all).unwrap();
    assert_eq!(path, machine.scratch.path().join(&name.path()).unwrap());
    let group = machine.scratch.all.find(&path).unwrap().unwrap();
    assert_eq!(group.pids().unwrap(), [i32::try_from(actor.pid()).unwrap()]);
    let log = machine.log();
    for told in [
        r#"["start", "windlass-blog.scope", "fail", {"#,
        r#""Slice": "machine-web.slice""#,
        r#""Delegate": 1"#,
        r#""TasksMax": 33"#,
        "67108864",
        &format!(r#""PIDs": [{}]"#, actor.pid()),
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
    let more = Resources { pids: Pids { max: Some(Limit::Max) }, ..Resources::default() };
    systemd.update_scope(&name, &more, &machine.scratch.all).unwrap();
    assert!(machine.log().contains(r#"["update", "windlass-blog.scope", true, {"#));
    assert!(machine.log().contains(r#""TasksMax": 18446744073709551615"#));
    systemd.stop_scope(&name).unwrap();
    systemd.stop_scope(&name).unwrap();
    let error = systemd.update_scope(&name, &more, &machine.scratch.all).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
}

fn the_job_is_waited_for() {
    let machine = Machine::new();
    let actor = Actor::new("sleep");
    let start = Instant::now();
    machine.start("a.slice:p:n", &actor, &Resources::default()).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(50), "{:?}", start.elapsed());
    let slow: ScopeName = "a.slice:slow:n".parse().unwrap();
    let bus = Bus::Socket(machine.socket());
    let mut systemd = Systemd::connect_within(&bus, Duration::from_millis(300)).unwrap();
    let start = Instant::now();
    let error = systemd.start_scope(&slow, &[actor.pid()], &Resources::default(), &machine.scratch.all).unwrap_err();
    assert!(matches!(error, Error::TimedOut { op: "start", .. }), "{error:?}");
    assert!((Duration::from_millis(300)..Systemd::TIMEOUT).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(Systemd::TIMEOUT, Duration::from_secs(30));
}

fn existing_unit() {
    let machine = Machine::new();
    let actor = Actor::new("sleep");
    machine.start(":p:n", &actor, &Resources::default()).unwrap();
    let error = machine.start(":p:n", &actor, &Resources::default()).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error:?}");
}

fn failed_unit() {
    let machine = Machine::new();
    let actor = Actor::new("sleep");
    for _ in 0..2 {
        let error = machine.start(":bad:n", &actor, &Resources::default()).unwrap_err();
        let Error::Systemd { answer, unit, .. } = &error else { panic!("{error:?}") };
        assert_eq!((&**answer, &**unit), ("failed", "bad-n.scope"));
    }
    assert!(machine.log().contains(r#"["forget", "bad-n.scope"]"#), "{}", machine.log());
}

fn devices_survive() {
    let machine = Machine::new();
    let null = DeviceRule {
        action: DeviceAction::Allow,
        kind: DeviceKind::Character,
        major: Some(1),
        minor: Some(3),
        access: DeviceAccess::READ_WRITE,
    };
    let filter = |default, rules| Resources { devices: Some(DeviceFilter { default, rules }), ..Resources::default() };
    let only_null = filter(DeviceAction::Deny, vec![null]);
    let scope = |name: &str, told: &Resources| {
        let actor = Actor::new("sleep");
        let path = machine.start(name, &actor, told).unwrap();
        let group = machine.scratch.all.find(&path).unwrap().unwrap();
        group.apply(&only_null).unwrap();
        group
    };
    let can_open = |group: &Group, path: &str| Actor::within(group, &format!("open {path}")).news().map(char::from);
    let told = scope("a.slice:p:told", &only_null);
    let untold = scope("a.slice:p:untold", &Resources::default());
    for group in [&told, &untold] {
        assert_eq!((can_open(group, "/dev/null"), can_open(group, "/dev/zero")), (Some('y'), Some('n')));
    }
    machine.reload();
    assert_eq!((can_open(&told, "/dev/null"), can_open(&told, "/dev/zero")), (Some('y'), Some('n')));
    assert_eq!(can_open(&untold, "/dev/zero"), Some('y'), "systemd opens what it was told nothing of");
}

fn no_bus() {
    let error = Systemd::connect(&Bus::Socket("/nonexistent/bus".into())).unwrap_err();
    assert_eq!(error.errno(), Some(2), "{error:?}");
}
