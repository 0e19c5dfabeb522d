//! A service manager around the runtime: scopes that systemd makes, and readiness that is passed on.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use trial::{Test, need};

use crate::bundle::{Bundle, Said, strict, unique};
use crate::until::{PATIENCE, until};

const UNIFIED: &str = "/sys/fs/cgroup/unified";
const GROUPS: &str = "/sys/fs/cgroup";
/// The module of the bus is the distribution's.
const PYTHON: &str = "/usr/bin/python3";

pub(crate) fn tests() -> Vec<Test> {
    let with_bus = |name, body: fn()| {
        Test::new(name, body)
            .needs(need::root)
            .needs(need::program("dbus-daemon"))
            .needs(python_with_dbus)
            .needs(unified)
            .needs(strict)
    };
    vec![
        with_bus("systemd_makes_the_scope_and_ends_it", scope),
        with_bus("a_scope_that_systemd_refuses_leaves_nothing", refused_scope),
        Test::new("without_systemd_a_scope_is_refused", no_bus).needs(need::root).needs(strict),
        Test::new("readiness_is_passed_on", readiness).needs(need::root),
        Test::new("readiness_of_a_run_in_the_foreground_is_passed_on", readiness_of_run).needs(need::root),
        Test::new("an_end_without_readiness_is_not_waited_for", never_ready).needs(need::root),
        Test::new("exec_goes_where_the_container_moved_itself", exec_below)
            .needs(need::root)
            .needs(huge_pages)
            .needs(strict),
    ]
}

fn python_with_dbus() -> Result<(), String> {
    match Command::new(PYTHON).args(["-c", "import dbus, gi"]).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err("needs the system's Python with the modules dbus and gi".to_owned()),
    }
}

/// Where v2 is mounted, alone or beside v1.
fn base() -> PathBuf {
    [UNIFIED, GROUPS]
        .into_iter()
        .map(PathBuf::from)
        .find(|base| base.join("cgroup.controllers").exists())
        .unwrap_or_default()
}

fn unified() -> Result<(), String> {
    if base().is_absolute() { Ok(()) } else { Err("needs cgroup2".to_owned()) }
}

/// Every folder in which groups begin.
fn hierarchies() -> Vec<PathBuf> {
    let below = std::fs::read_dir(GROUPS).expect("groups").flatten().map(|entry| entry.path());
    below.chain([GROUPS.into()]).filter(|path| path.join("cgroup.procs").exists()).collect()
}

/// A message bus, and a stand-in for systemd whose groups are below a group of this test's.
struct Systemd {
    folder: tempfile::TempDir,
    group: String,
    bus: Child,
    stand_in: Child,
}

impl Systemd {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let group = unique("windlass-systemd");
        std::fs::create_dir(base().join(&group)).expect("a group");
        let address = format!("unix:path={}", folder.path().join("bus").display());
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--session", "--nofork", "--print-address=1", &format!("--address={address}")]);
        let mut bus = bus.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("dbus-daemon starts");
        first_line(&mut bus);
        let mut stand_in = Command::new(PYTHON);
        stand_in.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cgroups/tests/support/systemd.py"));
        stand_in.arg(&address).arg(folder.path().join("log")).arg(base().join(&group)).arg("");
        let mut stand_in = stand_in.stdout(Stdio::piped()).spawn().expect("Python starts");
        assert_eq!(first_line(&mut stand_in), "ready\n");
        Self { folder, group, bus, stand_in }
    }

    fn call(&self, bundle: &Bundle, arguments: &[&str]) -> Said {
        let log = || std::fs::File::create(self.folder.path().join("said")).expect("the folder is ours");
        let mut command = bundle.command(&[&["--systemd-cgroup"], arguments].concat());
        command.env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", self.folder.path().join("bus").display()));
        // What a created container holds open must not be a pipe to this test.
        let status = command.stdout(log()).stderr(log()).status().expect("the runtime starts");
        let out = std::fs::read_to_string(self.folder.path().join("said")).expect("written above");
        Said { code: status.code(), err: out.clone(), out }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        for child in [&mut self.stand_in, &mut self.bus] {
            child.kill().expect("it was not waited for");
            child.wait().expect("it ends");
        }
        for hierarchy in hierarchies() {
            remove(&hierarchy.join(&self.group));
        }
    }
}

/// Removes a group with those below it.
fn remove(group: &Path) {
    let Ok(entries) = std::fs::read_dir(group) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove(&entry.path());
    }
    std::fs::remove_dir(group).unwrap_or_else(|error| panic!("{}: {error}", group.display()));
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("it is piped")).read_line(&mut line).expect("it is text");
    line
}

fn scope() {
    let systemd = Systemd::new();
    let mut bundle = Bundle::script("exec sleep 600");
    let name = format!("machine-web.slice:windlass:{}", bundle.id);
    bundle.spec["linux"]["cgroupsPath"] = json!(name);
    bundle.spec["linux"]["resources"]["pids"] = json!({"limit": 33});
    bundle.write();
    let path = bundle.path("");
    systemd.call(&bundle, &["create", "--bundle", path.to_str().expect("UTF-8"), &bundle.id]).fine();
    let log = systemd.log();
    for told in ["\"Slice\": \"machine-web.slice\"", "\"TasksMax\": 33", "\"Delegate\": 1"] {
        assert!(log.contains(told), "{told}: {log}");
    }
    let pid = bundle.state()["pid"].as_u64().expect("a number");
    let below = format!("{}/machine.slice/machine-web.slice/windlass-{}.scope", systemd.group, bundle.id);
    // Its process alone, in the group that systemd made and in those of the hierarchies that it did not know of.
    let procs = |hierarchy: &Path| std::fs::read_to_string(hierarchy.join(&below).join("cgroup.procs"));
    assert_eq!(procs(&base()).expect("the scope"), format!("{pid}\n"));
    let membership = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it waits");
    assert!(membership.lines().all(|line| line.ends_with(&format!("/{below}"))), "{membership}");
    systemd.call(&bundle, &["start", &bundle.id]).fine();
    bundle.exec(&["true"]).fine();
    systemd.call(&bundle, &["update", "--pids-limit", "44", &bundle.id]).fine();
    assert!(systemd.log().contains("\"TasksMax\": 44"), "{}", systemd.log());
    systemd.call(&bundle, &["delete", "--force", &bundle.id]).fine();
    assert!(systemd.log().contains(&format!("[\"stop\", \"windlass-{}.scope\"", bundle.id)), "{}", systemd.log());
    for hierarchy in hierarchies() {
        assert!(!hierarchy.join(&below).exists(), "{}", hierarchy.display());
    }
}

fn refused_scope() {
    let systemd = Systemd::new();
    let mut bundle = Bundle::script("true");
    let run = |bundle: &Bundle| {
        bundle.write();
        let path = bundle.path("");
        systemd.call(bundle, &["run", "--bundle", path.to_str().expect("UTF-8"), &bundle.id])
    };
    for (path, words) in [("a.slice:bad:n", "failed"), ("/a/path", "slice:prefix:name"), ("a:b:c", "slice")] {
        bundle.spec["linux"]["cgroupsPath"] = json!(path);
        let said = run(&bundle).refused();
        assert!(said.contains(words), "{path}: {said}");
        assert!(!bundle.path("state").join(&bundle.id).exists(), "{path}");
    }
    bundle.spec["linux"]["cgroupsPath"] = json!(null);
    run(&bundle).fine();
    let log = systemd.log();
    assert!(log.contains(&format!("windlass-{}.scope", bundle.id)) && log.contains("system.slice"), "{log}");
}

fn no_bus() {
    let bundle = Bundle::script("true");
    bundle.write();
    let mut command = bundle.command(&["--systemd-cgroup", "run", &bundle.id]);
    command.current_dir(bundle.path("")).env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let said = Said::new(&command.output().expect("the runtime starts")).refused();
    assert!(said.contains("systemd cannot be asked") && said.contains("/nonexistent/bus"), "{said}");
    assert!(!bundle.path("state").join(&bundle.id).exists());
}

/// The socket of a service manager, and a container whose program says a line at its own.
fn notifying(script: &str) -> (UnixDatagram, PathBuf, Bundle) {
    let mut bundle = Bundle::new();
    bundle.spec["process"]["args"] = json!(["/bin/say"]);
    bundle.spec["root"]["readonly"] = json!(false);
    bundle.compile("say", &SAY.replace("WORDS", script));
    let path = bundle.path("manager");
    let socket = UnixDatagram::bind(&path).expect("the folder is ours");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    (socket, path, bundle)
}

/// Says words at the socket that the environment names, and stays.
const SAY: &str = r#"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(void) {
    const char *words[] = {WORDS};
    struct sockaddr_un there = {AF_UNIX};
    strcpy(there.sun_path, getenv("NOTIFY_SOCKET"));
    int own = socket(AF_UNIX, SOCK_DGRAM, 0);
    for (int word = 0; word < sizeof words / sizeof *words; word++)
        if (sendto(own, words[word], strlen(words[word]), 0, (void *)&there, sizeof there) < 0) return 1;
    pause();
}
"#;

fn heard(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    let length = socket.recv(&mut buffer).expect("somebody speaks");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn readiness() {
    let (socket, path, bundle) = notifying(r#""STATUS=nearly", "X=1\nREADY=1\n""#);
    bundle.write();
    let folder = bundle.path("");
    let out = || std::fs::File::create(bundle.path("out")).expect("the folder is ours");
    let call = |arguments: &[&str]| {
        let mut command = bundle.command(arguments);
        let status = command.env("NOTIFY_SOCKET", &path).stdout(out()).stderr(out()).status();
        assert!(status.expect("the runtime starts").success(), "{}", bundle.out());
    };
    call(&["create", "--bundle", folder.to_str().expect("UTF-8"), &bundle.id]);
    let pid = bundle.state()["pid"].as_u64().expect("a number");
    // `start` returns once it is ready.
    std::thread::scope(|scope| {
        let start = scope.spawn(|| call(&["start", &bundle.id]));
        let mut told = heard(&socket);
        while !told.contains("MAINPID") {
            told += &heard(&socket);
        }
        assert!(told.contains("READY=1\n") && told.contains(&format!("MAINPID={pid}\n")), "{told}");
        assert!(!told.contains("STATUS"), "{told}");
        assert_eq!(heard(&socket), "BARRIER=1");
        start.join().expect("it is ready");
    });
    bundle.call(&["delete", "--force", &bundle.id]).fine();
    assert!(!bundle.path("state").join(&bundle.id).exists());
}

fn readiness_of_run() {
    let (socket, path, bundle) = notifying(r#""READY=1""#);
    bundle.write();
    let mut command = bundle.command(&["run", "--bundle", ".", &bundle.id]);
    let mut run = command.current_dir(bundle.path("")).env("NOTIFY_SOCKET", &path).spawn().expect("it starts");
    let mut told = heard(&socket);
    while !told.contains("MAINPID") {
        told += &heard(&socket);
    }
    // Whom the manager started is the runtime, which stays: the child of the program that limits its time.
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.id())).expect("it runs");
    assert!(told.contains("READY=1\n") && told.contains(&format!("MAINPID={}\n", children.trim())), "{told}");
    assert_eq!(heard(&socket), "BARRIER=1");
    bundle.call(&["delete", "--force", &bundle.id]).fine();
    assert_eq!(run.wait().expect("it ends").code(), Some(137));
}

fn never_ready() {
    let (socket, path, mut bundle) = notifying("");
    bundle.set_script("ls -d $NOTIFY_SOCKET");
    bundle.write();
    let mut command = bundle.command(&["run", "--detach", "--bundle", ".", &bundle.id]);
    let out = || std::fs::File::create(bundle.path("out")).expect("the folder is ours");
    let status = command.current_dir(bundle.path("")).env("NOTIFY_SOCKET", &path).stdout(out()).stderr(out()).status();
    assert!(status.expect("the runtime starts").success(), "{}", bundle.out());
    assert_eq!(bundle.out(), "/run/notify/notify.sock\n");
    socket.set_nonblocking(true).expect("a socket");
    assert!(socket.recv(&mut [0; 16]).is_err());
}

fn huge_pages() -> Result<(), String> {
    let available = std::fs::read_to_string(base().join("cgroup.controllers")).unwrap_or_default();
    let has = available.split_whitespace().any(|controller| controller == "hugetlb");
    if has { Ok(()) } else { Err("needs hugetlb on cgroup2".to_owned()) }
}

fn exec_below() {
    let mut bundle = Bundle::script("exec sleep 600");
    let size = std::fs::read_dir("/sys/kernel/mm/hugepages").expect("the kernel has huge pages").flatten();
    let size = size.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("hugepages-2048kB").map(drop)).count();
    assert_eq!(size, 1, "pages of 2 MiB are this processor's");
    let name = unique("windlass-below");
    bundle.spec["linux"]["cgroupsPath"] = json!(name);
    bundle.spec["linux"]["resources"]["hugepageLimits"] = json!([{"pageSize": "2MB", "limit": 2_097_152}]);
    bundle.start();
    let group = base().join(&name);
    let inside = group.join("inside");
    std::fs::create_dir(&inside).expect("a group");
    let pid = bundle.state()["pid"].to_string();
    std::fs::write(inside.join("cgroup.procs"), &pid).expect("the container's process may be moved");
    until("the group can pass controllers on", || {
        std::fs::write(group.join("cgroup.subtree_control"), "+hugetlb").ok()
    });
    let said = bundle.exec(&["grep", "^0::", "/proc/self/cgroup"]).fine();
    let own = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    assert!(own.contains(&format!("0::/{name}/inside\n")), "{own}");
    // Seen from a cgroup namespace of the host's.
    assert!(said.trim().ends_with("/inside"), "{said}");
    bundle.call(&["delete", "--force", &bundle.id]).fine();
    assert!(!group.exists());
}
