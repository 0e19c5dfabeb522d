//! Docker and containerd over the runtime.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command};

use serde_json::{Value, json};
use trial::{Test, need};

use crate::bundle::{Said, runtime};
use crate::image;
use crate::sandbox::Sandbox;
use crate::terminal::Seat;
use crate::until::until;

pub(crate) fn tests() -> Vec<Test> {
    let test = |name, program, body: fn()| Test::new(name, body).needs(need::root).needs(need::path(program));
    vec![
        test("docker_runs_and_confines", DOCKER, docker_runs),
        test("docker_keeps_a_container", DOCKER, docker_keeps),
        test("docker_loads_and_saves", DOCKER, docker_loads_and_saves),
        test("containerd_runs", "/usr/bin/ctr", containerd_runs),
        test("containerd_keeps_a_task", "/usr/bin/ctr", containerd_keeps),
    ]
}

/// Debian's.
const DOCKER: &str = "/usr/bin/docker";

/// A daemon of its own in a corner, which ends with it.
struct Daemon {
    corner: Sandbox,
    process: Child,
    log: PathBuf,
}

impl Daemon {
    fn new(corner: Sandbox, words: &[&str]) -> Self {
        let log = corner.path("daemon.log");
        let file = || File::options().create(true).append(true).open(&log).expect("the folder is ours");
        let mut daemon = corner.bare(words);
        let daemon =
            daemon.stdin(std::process::Stdio::null()).stdout(file()).stderr(file()).spawn().expect("sh starts");
        Self { corner, process: daemon, log }
    }

    /// Waits for the daemon to answer this client.
    fn answers(&mut self, words: &[&str]) {
        until("the daemon answers", || {
            let ended = self.process.try_wait().expect("it is our child");
            assert!(ended.is_none(), "{}", std::fs::read_to_string(&self.log).unwrap_or_default());
            (self.corner.call(words).code == Some(0)).then_some(())
        });
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(15).collect();
            for line in lines.iter().rev() {
                _ = writeln!(std::io::stderr(), "daemon: {line}"); // the test has failed already
            }
        }
        _ = self.process.kill(); // the corner's end ends it too
        _ = self.process.wait();
    }
}

struct Docker(Daemon);

const HOST: &str = "unix:///run/docker-test.sock";

impl Docker {
    fn new() -> Self {
        let corner = Sandbox::new();
        let archive = image::archive(&corner);
        let runtime = format!("windlass={}", runtime().display());
        let mut daemon = Daemon::new(
            corner,
            &[
                "dockerd",
                "--add-runtime",
                &runtime,
                "--iptables=false",
                "--ip6tables=false",
                "--bridge=none",
                "--data-root=/var/lib/docker",
                "--exec-root=/run/docker",
                "--pidfile=/run/docker-test.pid",
                "-H",
                HOST,
            ],
        );
        daemon.answers(&[DOCKER, "-H", HOST, "version"]);
        let docker = Self(daemon);
        docker.call(&["load", "--quiet", "--input", archive.to_str().expect("UTF-8")]).fine();
        docker
    }

    fn call(&self, arguments: &[&str]) -> Said {
        self.0.corner.call(&[&[DOCKER, "-H", HOST], arguments].concat())
    }

    fn run(&self, options: &[&str], command: &[&str]) -> Said {
        let run = ["run", "--rm", "--runtime", "windlass", "--network=none"];
        self.call(&[&run, options, &["box"], command].concat())
    }

    fn sh(&self, options: &[&str], script: &str) -> String {
        self.run(options, &["sh", "-c", script]).fine()
    }

    fn seat(&self, arguments: &[&str]) -> Seat {
        let command: Command = self.0.corner.bare(&[&[DOCKER, "-H", HOST], arguments].concat());
        Seat::new(&command)
    }
}

fn docker_runs() {
    let docker = Docker::new();
    assert_eq!(docker.sh(&["-e", "A=b c", "-w", "/tmp", "-h", "name"], "echo $A; pwd; hostname"), "b c\n/tmp\nname\n");
    assert_eq!(docker.run(&[], &["sh", "-c", "exit 7"]).code, Some(7));
    assert_eq!(docker.run(&[], &["nosuchprogram"]).code, Some(127));
    assert_eq!(docker.run(&[], &["/etc/passwd"]).code, Some(126));
    assert_eq!(docker.run(&[], &["sh", "-c", "sh -c 'kill -9 $$'; exit $?"]).code, Some(137));
    let options = ["-m", "64m", "--cpus", "0.5", "--pids-limit", "20"];
    let script = "cd /sys/fs/cgroup; if [ -d memory ]; then cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us; \
                  else cat memory.max pids.max; cut -d' ' -f1 cpu.max; fi";
    assert_eq!(docker.sh(&options, script), "67108864\n20\n50000\n");
    assert_eq!(docker.run(&["--read-only"], &["touch", "/x"]).code, Some(1));
    assert_eq!(docker.sh(&["--read-only", "--tmpfs", "/mnt:size=1m"], "touch /mnt/x && echo fine"), "fine\n");
    assert_eq!(docker.sh(&["--user", "12:34"], "id -u; id -g"), "12\n34\n");
    assert_eq!(docker.sh(&["--cap-drop", "all"], "grep CapEff /proc/self/status"), "CapEff:\t0000000000000000\n");
    // The init of Docker is the first process, so the shell is not.
    assert_eq!(docker.sh(&["--init"], "cat /proc/1/comm; [ $$ != 1 ] && echo child"), "docker-init\nchild\n");
    let folder = docker.0.corner.path("volume");
    std::fs::create_dir(&folder).expect("the folder is ours");
    let bind = format!("{}:/mnt", folder.display());
    docker.sh(&["-v", &bind], "echo inside >/mnt/new");
    assert_eq!(std::fs::read_to_string(folder.join("new")).expect("it was written"), "inside\n");
    let script = "tty; read -r line; echo \"got $line\"; exit 9";
    let mut seat =
        docker.seat(&["run", "--rm", "-it", "--runtime", "windlass", "--network=none", "box", "sh", "-c", script]);
    // The window's size comes after the start.
    assert!(seat.read_until("\n").starts_with("/dev/pts/0"));
    seat.type_line("hello");
    seat.read_until("got hello");
    assert_eq!(seat.child.wait().expect("it ends").code(), Some(9));
    assert_eq!(docker.call(&["ps", "-aq"]).fine(), "");
}

fn docker_keeps() {
    let docker = Docker::new();
    let script = "echo started; trap 'echo asked; exit 3' TERM; while :; do sleep 0.05; done";
    let run = ["run", "-d", "--name", "kept", "--runtime", "windlass", "--network=none", "-m", "64m"];
    docker.call(&[&run[..], &["box", "sh", "-c", script]].concat()).fine();
    let inspect = |format: &str| docker.call(&["inspect", "--format", format, "kept"]).fine();
    assert_eq!(inspect("{{.HostConfig.Runtime}}"), "windlass\n");
    until("it writes", || (docker.call(&["logs", "kept"]).fine() == "started\n").then_some(()));
    assert_eq!(docker.call(&["exec", "kept", "sh", "-c", "echo inside; exit 4"]).code, Some(4));
    assert_eq!(
        docker.call(&["exec", "-e", "A=1", "-w", "/tmp", "-u", "5", "kept", "sh", "-c", "echo $A $PWD; id -u"]).fine(),
        "1 /tmp\n5\n"
    );
    assert_eq!(docker.call(&["exec", "kept", "nosuchprogram"]).code, Some(126));
    let mut seat = docker.seat(&["exec", "-it", "kept", "sh", "-c", "tty; read -r line; echo \"got $line\"; exit 5"]);
    seat.read_until("/dev/pts/");
    seat.type_line("hello");
    seat.read_until("got hello");
    assert_eq!(seat.child.wait().expect("it ends").code(), Some(5));
    let stats: Value =
        serde_json::from_str(&docker.call(&["stats", "--no-stream", "--format", "{{json .}}", "kept"]).fine())
            .expect("JSON");
    assert!(stats["MemUsage"].as_str().is_some_and(|usage| usage.ends_with("/ 64MiB")), "{stats}");
    assert!(stats["PIDs"].as_str().and_then(|pids| pids.parse::<u32>().ok()) > Some(0), "{stats}");
    docker.call(&["pause", "kept"]).fine();
    assert_eq!(inspect("{{.State.Status}}"), "paused\n");
    docker.call(&["unpause", "kept"]).fine();
    docker.call(&["update", "--memory", "32m", "--memory-swap", "64m", "--pids-limit", "30", "kept"]).fine();
    let script = "cd /sys/fs/cgroup; if [ -d memory ]; then cat memory/memory.limit_in_bytes pids/pids.max; else cat memory.max pids.max; fi";
    assert_eq!(docker.call(&["exec", "kept", "sh", "-c", script]).fine(), "33554432\n30\n");
    assert!(docker.call(&["top", "kept"]).fine().contains("sleep"));
    docker.call(&["stop", "--time", "20", "kept"]).fine();
    assert_eq!(docker.call(&["logs", "kept"]).fine(), "started\nasked\n");
    assert_eq!(inspect("{{.State.ExitCode}}"), "3\n");
    docker.call(&["start", "kept"]).fine();
    docker.call(&["kill", "kept"]).fine();
    assert_eq!(docker.call(&["wait", "kept"]).fine(), "137\n");
    docker.call(&["rm", "--force", "kept"]).fine();
}

/// Archives of images there and back: Docker's to windlass, and windlass's to Docker under another name.
fn docker_loads_and_saves() {
    let docker = Docker::new();
    let path = |name: &str| docker.0.corner.path(name).to_str().expect("UTF-8").to_owned();
    let windlass = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        let output = command.args(["--root", &path("windlass")]).args(arguments).output().expect("it starts");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    docker.call(&["save", "--output", &path("theirs.tar"), "box"]).fine();
    assert_eq!(windlass(&["load", "-i", &path("theirs.tar")]), "box:latest\n");
    windlass(&["tag", "box", "example.com/again:2"]);
    windlass(&["save", "-o", &path("ours.tar"), "example.com/again:2"]);
    docker.call(&["load", "--quiet", "--input", &path("ours.tar")]).fine();
    let id = |name: &str| docker.call(&["image", "inspect", "--format", "{{.Id}}", name]).fine();
    // The configuration and the layers are the same bytes.
    assert_eq!(id("example.com/again:2"), id("box"));
    let inspected: Value = serde_json::from_str(&windlass(&["inspect", "--json", "box"])).expect("JSON");
    assert_eq!(inspected["id"], id("box").trim());
}

struct Containerd(Daemon);

const ADDRESS: &str = "/run/containerd-test/containerd.sock";

impl Containerd {
    fn new() -> Self {
        let corner = Sandbox::new();
        let archive = image::archive(&corner);
        let config = corner.path("containerd.toml");
        let text = "version = 2\nroot = \"/var/lib/containerd\"\nstate = \"/run/containerd-test\"\n\
                    disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n\
                    [grpc]\naddress = \"/run/containerd-test/containerd.sock\"\n";
        std::fs::write(&config, text).expect("the folder is ours");
        let mut daemon = Daemon::new(corner, &["containerd", "--config", config.to_str().expect("UTF-8")]);
        daemon.answers(&["ctr", "--address", ADDRESS, "version"]);
        let containerd = Self(daemon);
        containerd.call(&["image", "import", archive.to_str().expect("UTF-8")]).fine();
        containerd
    }

    fn call(&self, arguments: &[&str]) -> Said {
        self.0.corner.call(&[&["ctr", "--address", ADDRESS], arguments].concat())
    }

    fn run(&self, options: &[&str], name: &str, command: &[&str]) -> Said {
        let runtime = runtime();
        let run = ["run", "--runc-binary", runtime.to_str().expect("UTF-8")];
        self.call(&[&run, options, &[image::NAME, name], command].concat())
    }
}

fn containerd_runs() {
    let containerd = Containerd::new();
    let sh = |name: &str, options: &[&str], script: &str| {
        containerd.run(&[&["--rm"], options].concat(), name, &["sh", "-c", script])
    };
    assert_eq!(sh("one", &["--env", "A=b c", "--cwd", "/tmp"], "echo $A; pwd; echo $$").fine(), "b c\n/tmp\n1\n");
    assert_eq!(sh("two", &[], "exit 7").code, Some(7));
    assert_eq!(sh("three", &["--read-only"], "touch /x || echo refused").fine(), "refused\n");
    let mapped = sh("four", &["--uidmap", "0:200000:99", "--gidmap", "0:300000:99"], "cat /proc/self/uid_map").fine();
    assert_eq!(mapped.split_whitespace().collect::<Vec<_>>(), ["0", "200000", "99"]);
    assert_eq!(sh("five", &["--seccomp"], "grep Seccomp: /proc/self/status").fine(), "Seccomp:\t2\n");
    containerd.run(&["--rm"], "seven", &["nosuchprogram"]).refused();
    let left = containerd.call(&["task", "list", "--quiet"]).fine();
    assert_eq!(left, "");
}

fn containerd_keeps() {
    let containerd = Containerd::new();
    containerd.run(&["--detach", "--memory-limit", "67108864"], "kept", &["sleep", "600"]).fine();
    let limit = "cd /sys/fs/cgroup; cat memory/default/kept/memory.limit_in_bytes default/kept/memory.max 2>/dev/null";
    assert_eq!(containerd.0.corner.script(limit).out, "67108864\n");
    let status = || {
        let list = containerd.call(&["task", "list"]).fine();
        list.lines()
            .find(|line| line.starts_with("kept "))
            .and_then(|line| line.split_whitespace().last().map(str::to_owned))
    };
    assert_eq!(status().as_deref(), Some("RUNNING"));
    let exec =
        |name: &str, script: &str| containerd.call(&["task", "exec", "--exec-id", name, "kept", "sh", "-c", script]);
    assert_eq!(exec("a", "echo inside; cat /proc/1/comm").fine(), "inside\nsleep\n");
    assert_eq!(exec("b", "exit 4").code, Some(4));
    containerd.call(&["task", "pause", "kept"]).fine();
    assert_eq!(status().as_deref(), Some("PAUSED"));
    containerd.call(&["task", "resume", "kept"]).fine();
    assert_eq!(containerd.call(&["task", "ps", "kept"]).fine().lines().count(), 2);
    let metrics: Value =
        serde_json::from_str(&containerd.call(&["task", "metrics", "--format", "json", "kept"]).fine()).expect("JSON");
    assert_ne!(metrics, json!(null));
    containerd.call(&["task", "kill", "--signal", "SIGKILL", "kept"]).fine();
    until("it stops", || (status().as_deref() == Some("STOPPED")).then_some(()));
    containerd.call(&["task", "delete", "kept"]);
    containerd.call(&["container", "delete", "kept"]).fine();
    assert_eq!(containerd.call(&["container", "list", "--quiet"]).fine(), "");
}
