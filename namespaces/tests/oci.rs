//! Containers from OCI configurations.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use support::{output, said};
use trial::{Test, need::root};
use windlass_namespaces::oci::{self, Config, Options, ProcessConfig, Running};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("the_configurations_of_engines_are_taken", engines),
        Test::new("runcs_configuration_for_a_user_runs", runc_rootless).needs(busybox),
        Test::new("runcs_own_configuration_runs", runc_spec).needs(root).needs(busybox),
        Test::new("the_containers_of_engines_run", engines_run).needs(root).needs(busybox),
        Test::new("no_link_leads_a_mount_over_proc_cve_2019_16884", over_proc).needs(root).needs(busybox),
        Test::new("proc_is_never_mounted_through_a_link_cve_2019_19921", proc_is_a_link).needs(root).needs(busybox),
        Test::new("a_listener_gets_the_filter_and_decides", listener).needs(root).needs(busybox).needs(python),
        Test::new("a_process_joins_a_container", additional).needs(root).needs(busybox),
        trial::as_user(&[]),
    ])
}

const BUSYBOX: &str = "/bin/busybox";

fn busybox() -> Result<(), String> {
    if Path::new(BUSYBOX).exists() { Ok(()) } else { Err("needs busybox-static".to_owned()) }
}

/// What podman, docker, containerd and runc hand to a runtime.
const CONFIGURATIONS: &[(&str, &str)] = &[
    ("runc spec", include_str!("data/runc-spec.json")),
    ("runc spec --rootless", include_str!("data/runc-rootless.json")),
    ("podman run", include_str!("data/podman-run.json")),
    ("docker run", include_str!("data/docker-run.json")),
    ("docker run --privileged", include_str!("data/docker-privileged.json")),
    ("ctr run", include_str!("data/containerd-run.json")),
];

/// A bundle with busybox as its root file system.
struct Bundle {
    directory: tempfile::TempDir,
}

impl Bundle {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bin = directory.path().join("rootfs/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::copy(BUSYBOX, bin.join("busybox")).unwrap();
        let names =
            ["sh", "true", "cat", "ls", "id", "hostname", "grep", "sleep", "mount", "stat", "readlink", "touch"];
        for name in names {
            symlink("busybox", bin.join(name)).unwrap();
        }
        Self { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, name).unwrap();
        path
    }
}

fn parsed(value: &Value) -> Config {
    Config::parse(value.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

/// The configuration of an engine, made to run `script` in a bundle.
fn adapted(text: &str, bundle: &Bundle, script: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).unwrap();
    value["root"]["path"] = json!("rootfs");
    value["process"]["args"] = json!(["/bin/sh", "-c", script]);
    value["process"]["terminal"] = json!(false);
    // Raising them takes a capability that root lacks on some machines.
    value["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 64, "hard": 64 }]);
    for mount in value["mounts"].as_array_mut().unwrap() {
        let is_bind = mount["source"].as_str().is_some_and(|source| source.starts_with("/var/lib/engine"));
        if is_bind && mount["destination"] == "/dev/shm" {
            mount["source"] = json!("rootfs/bin");
        } else if is_bind || mount["destination"] == "/sbin/docker-init" {
            mount["source"] = json!(bundle.file("bound"));
        }
    }
    value
}

fn engines() {
    for (name, text) in CONFIGURATIONS {
        let config = Config::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let container = oci::container(&config, Path::new("/bundle"), &Options::new("box"))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        // The others are for root, and a user may not do what they ask for.
        if root().is_ok() || name.contains("rootless") {
            let plan = container.command.plan().unwrap_or_else(|error| panic!("{name}: {error}")).to_string();
            assert!(plan.contains("mount proc source=proc on /proc"), "{name}: {plan}");
            assert!(plan.contains("mask /proc/kcore") || name.contains("privileged"), "{name}: {plan}");
        }
        let spec = config.spec().linux().as_ref().unwrap();
        assert_eq!(&container.resources, spec.resources(), "{name}");
        assert_eq!(&container.cgroups_path, spec.cgroups_path(), "{name}");
        assert_eq!(container.hooks.prestart.len(), usize::from(name.starts_with("docker")), "{name}");
    }
}

fn runc_spec() {
    let bundle = Bundle::new();
    let script = "hostname; cat /proc/1/comm; ls -d /proc/[0-9]*; touch /x 2>&1; stat -c %a /dev/shm; \
                  readlink /dev/ptmx; cat /proc/kcore | head -c 1; echo end";
    let value = adapted(CONFIGURATIONS[0].1, &bundle, script);
    let mut container = oci::container(&parsed(&value), bundle.path(), &Options::new("box")).unwrap();
    let (status, text) = output(&mut container.command);
    assert!(status.success(), "{status}: {text}");
    let expected = ["runc", "sh", "/proc/1", "touch: /x: Read-only file system", "1777", "pts/ptmx", "end"].join("\n");
    assert_eq!(text.trim().replace("\n/proc/2", ""), expected);
}

fn runc_rootless() {
    let bundle = Bundle::new();
    let script = "id -u; cat /proc/self/uid_map; cat /proc/1/comm; touch /x 2>&1; ls /dev/pts; echo end";
    let mut value = adapted(CONFIGURATIONS[1].1, &bundle, script);
    let own = [rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()];
    for (mappings, id) in ["uidMappings", "gidMappings"].into_iter().zip(own) {
        value["linux"][mappings][0]["hostID"] = json!(id);
    }
    let mut container = oci::container(&parsed(&value), bundle.path(), &Options::new("box")).unwrap();
    let (status, text) = output(&mut container.command);
    assert!(status.success(), "{status}: {text}");
    let words: Vec<&str> = text.split_whitespace().collect();
    let expected = format!("0 0 {} 1 sh touch: /x: Read-only file system ptmx end", own[0]);
    assert_eq!(words.join(" "), expected);
}

fn engines_run() {
    for (name, text) in CONFIGURATIONS.iter().filter(|(name, _)| !name.contains("rootless")) {
        let bundle = Bundle::new();
        let value =
            adapted(text, &bundle, "grep -c . /proc/mounts >/dev/null; id -u; grep NoNewPrivs /proc/self/status");
        let mut container = oci::container(&parsed(&value), bundle.path(), &Options::new("box")).unwrap();
        let text = said(&mut container.command);
        let user = if name.contains("privileged") { "1000" } else { "0" };
        assert!(text.starts_with(user), "{name}: {text}");
        let forbids = value["process"]["noNewPrivileges"] == true;
        assert!(text.ends_with(if forbids { "\t1" } else { "\t0" }), "{name}: {text}");
    }
}

fn additional() {
    let bundle = Bundle::new();
    let value = adapted(CONFIGURATIONS[0].1, &bundle, "sleep 100");
    let config = parsed(&value);
    let mut container = oci::container(&config, bundle.path(), &Options::new("box")).unwrap();
    container.command.kill_on_drop(windlass_namespaces::KillOnDrop::Yes);
    let child = container.command.spawn().unwrap();
    let namespaces = Running::kinds(&config).into_iter().map(|kind| (kind, child.namespace(kind).unwrap())).collect();
    let process = json!({ "user": { "uid": 5, "gid": 6 }, "cwd": "/bin", "env": ["PATH=/bin", "X=1"],
                          "args": ["sh", "-c", "hostname; id -u; echo $X $PWD"] });
    let process = ProcessConfig::parse(process.to_string().as_bytes()).unwrap();
    let mut additional =
        oci::process(&process, Running { config: &config, namespaces, modules: oci::SecurityModules::default() })
            .unwrap();
    assert_eq!(said(&mut additional.command), "runc\n5\n1 /bin");
}

/// A step that a container of runc's configuration with other mounts fails at.
fn failure(bundle: &Bundle, change: impl FnOnce(&mut Value)) -> (String, Option<i32>) {
    let mut value = adapted(CONFIGURATIONS[0].1, bundle, "true");
    change(&mut value);
    let mut container = oci::container(&parsed(&value), bundle.path(), &Options::new("box")).unwrap();
    match container.command.spawn() {
        Err(error @ windlass_namespaces::Error::Child { .. }) => (error.to_string(), error.errno()),
        other => panic!("{other:?}"),
    }
}

fn over_proc() {
    let bundle = Bundle::new();
    symlink("/proc/self", bundle.path().join("rootfs/volume")).unwrap();
    let volume = json!({ "destination": "/volume/attr", "type": "tmpfs", "source": "tmpfs" });
    let (text, errno) = failure(&bundle, |value| value["mounts"].as_array_mut().unwrap().push(volume));
    assert_eq!(errno, Some(libc::ELOOP), "{text}");
}

fn proc_is_a_link() {
    let bundle = Bundle::new();
    std::fs::create_dir(bundle.path().join("rootfs/elsewhere")).unwrap();
    symlink("elsewhere", bundle.path().join("rootfs/proc")).unwrap();
    let (text, errno) = failure(&bundle, |_| {});
    assert_eq!(errno, Some(libc::ELOOP), "{text}");
}

fn python() -> Result<(), String> {
    let here = std::process::Command::new("python3").arg("--version").output().is_ok();
    if here { Ok(()) } else { Err("needs python3".to_owned()) }
}

/// Takes the message with the descriptor, prints it, and answers every call that it is asked about with error 122.
const AGENT: &str = r#"
import socket, sys, fcntl, struct, os, errno
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("ready", flush=True)
peer, _ = server.accept()
text, fds, _, _ = socket.recv_fds(peer, 65536, 1)
while True:
    more = peer.recv(65536)
    if not more: break
    text += more
print(text.decode(), flush=True)
for _ in range(2):
    notification = bytearray(80)
    fcntl.ioctl(fds[0], 0xc0502100, notification)
    (number,) = struct.unpack_from("Q", notification)
    fcntl.ioctl(fds[0], 0xc0182101, struct.pack("QqiI", number, 0, -122, 0))
"#;

fn listener() {
    use std::io::{BufRead as _, BufReader};
    use std::os::fd::AsFd as _;

    let bundle = Bundle::new();
    let socket = bundle.path().join("agent");
    let mut agent = std::process::Command::new("python3")
        .args(["-c", AGENT])
        .arg(&socket)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(agent.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");

    let mut value =
        adapted(CONFIGURATIONS[0].1, &bundle, "/bin/busybox mkdir /proc/x 2>&1; /bin/busybox mkdir /proc/y 2>&1");
    value["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": socket, "listenerMetadata": "meta",
        "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY" }]
    });
    let mut container = oci::container(&parsed(&value), bundle.path(), &Options::new("box")).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    container.command.stdout(std::os::fd::OwnedFd::from(writer));
    let mut child = container.command.spawn().unwrap();
    container.command.stdout(windlass_namespaces::Stdio::Inherit);
    let state = oci::State {
        oci_version: "1.0.2".into(),
        id: "box".into(),
        status: oci::Status::Creating,
        pid: Some(child.pid().as_raw()),
        bundle: bundle.path().into(),
        annotations: std::collections::BTreeMap::new(),
    };
    let descriptor = child.take_listener().unwrap();
    container.listener.unwrap().send(descriptor.as_fd(), child.pid().as_raw(), &state).unwrap();
    drop(descriptor);
    let told: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let expected = json!({
        "ociVersion": "1.0.2", "fds": ["seccompFd"], "pid": child.pid().as_raw(), "metadata": "meta",
        "state": serde_json::to_value(&state).unwrap()
    });
    assert_eq!(told, expected);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
    child.wait().unwrap();
    assert!(agent.wait().unwrap().success());
    assert_eq!(text.matches("Disk quota exceeded").count(), 2, "{text}");
}
