//! The whole demo, for real, judged by what it tells scripts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use trial::{Test, need};

const DEMO: &str = env!("CARGO_BIN_EXE_mini-orchestrator");

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("every_step_is_shown_and_measured", every_step).needs(need::root),
        Test::new("a_kept_service_is_reached_from_the_host", kept).needs(need::root),
        Test::new("two_demos_at_once_do_not_meet", two_at_once).needs(need::root),
        Test::new("an_ordinary_user_sees_all_that_needs_no_limits", rootless)
            .needs(need::root)
            .needs(need::program("setpriv")),
        Test::new("a_killed_rootless_demo_takes_everything_with_it", rootless_killed)
            .needs(need::root)
            .needs(need::program("setpriv")),
    ])
}

/// Runs a demo and returns its lines; its state directory must be gone or empty afterwards.
fn run(command: &mut Command) -> Vec<Value> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}\n{errors}\n{text}", output.status);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

/// The part of this name, which must be there once.
fn part<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let found: Vec<_> = of(lines, "part").into_iter().filter(|line| line["part"] == name).collect();
    assert_eq!(found.len(), 1, "{name}");
    found[0]
}

fn judge_steps(lines: &[Value]) {
    let steps: Vec<_> = of(lines, "step").iter().map(|step| step["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5, 6]);
    for step in of(lines, "step") {
        assert_eq!(step["status"], "done", "{step}");
        assert!(step["seconds"].as_f64().unwrap() > 0.0, "{step}");
    }
    let revisions: Vec<_> = of(lines, "transition").iter().map(|line| line["revision"].as_u64().unwrap()).collect();
    assert!(revisions.len() > 100, "{} transitions", revisions.len());
    assert!(revisions.windows(2).all(|pair| pair[0] < pair[1]), "a revision is missing its place");
    // A proxy in the process would mean that the kernel refused the rules.
    assert_eq!(of(lines, "step")[2]["proxies"], "nftables");
    let data = part(lines, "data");
    assert_eq!(data["records"], data["answers"]);
    assert!(data["answers"].as_u64().unwrap() > 50, "{data}");
    assert_eq!(of(lines, "result")[0]["ok"], true);
    assert_eq!(of(lines, "cleanup")[0]["ok"], true);
}

fn every_step() {
    let lines = run(Command::new(DEMO).args(["demo", "--json"]));
    judge_steps(&lines);
    let parts: BTreeSet<&str> = of(&lines, "part").iter().map(|part| part["part"].as_str().unwrap()).collect();
    for name in ["client", "node", "backend", "up", "down", "config", "a", "b", "c", "d", "e", "f", "usage", "data"] {
        assert!(parts.contains(name), "{name} is missing in {parts:?}");
        assert_eq!(part(&lines, name)["status"], "done", "{name}");
    }
    assert_eq!(part(&lines, "b")["restart_count"], 1);
    assert_eq!(part(&lines, "e")["exit_code"], 137);
    assert!(part(&lines, "config")["file_seconds"].as_f64().unwrap() < 2.0);
    for pod in part(&lines, "usage")["pods"].as_array().unwrap() {
        assert!(pod["cpu_seconds"].as_f64().unwrap() > 0.0, "{pod}");
        assert!(pod["memory_bytes"].as_u64().unwrap() > 0, "{pod}");
        // Either something was counted, or a reason says why not: never a zero that means "unknown".
        assert!(pod["io_written_bytes"].is_u64() != pod["io_reason"].is_string(), "{pod}");
    }
    let layers = of(&lines, "step")[0]["layers"].as_array().unwrap();
    let roles: Vec<_> = layers.iter().map(|layer| layer["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["dependencies", "code"]);
}

/// With `--keep` the service answers on a port of the host until Ctrl-C, which then is no failure.
fn kept() {
    let mut command = Command::new(DEMO);
    let mut child =
        command.args(["demo", "--json", "--keep"]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let kept = lines
        .by_ref()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
        .find(|line| line["event"] == "keep");
    let address = kept.unwrap()["address"].as_str().unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("pod responder-"), "{answer}");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), nix::sys::signal::Signal::SIGINT)
        .unwrap();
    let rest: Vec<Value> = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert!(child.wait().unwrap().success(), "{rest:#?}");
    assert_eq!(of(&rest, "result")[0]["ok"], true);
}

fn two_at_once() {
    let both = std::thread::scope(|scope| {
        let runs = [0, 1].map(|_| scope.spawn(|| run(Command::new(DEMO).args(["demo", "--json"]))));
        runs.map(|run| run.join().unwrap())
    });
    for lines in &both {
        judge_steps(lines);
    }
    let ids = both.map(|lines| of(&lines, "begin")[0]["run"].as_str().unwrap().to_owned());
    assert_ne!(ids[0], ids[1]);
}

/// A user that no account has, with a folder of its own.
struct Somebody {
    home: tempfile::TempDir,
    uid: u32,
}

impl Somebody {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let uid = 100_000 + std::process::id();
        std::os::unix::fs::chown(home.path(), Some(uid), Some(uid)).unwrap();
        Self { home, uid }
    }

    fn demo(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={}", self.uid), format!("--regid={}", self.uid)]);
        command.args(["--clear-groups", "--inh-caps=-all", DEMO, "demo", "--json"]);
        command.env("HOME", self.home.path()).env_remove("XDG_DATA_HOME").current_dir("/");
        command
    }

    fn processes(&self) -> usize {
        let owner = |entry: std::fs::DirEntry| std::os::unix::fs::MetadataExt::uid(&entry.metadata().ok()?).into();
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(owner).filter(|owner: &u32| *owner == self.uid).count()
    }

    fn files(&self) -> Vec<std::path::PathBuf> {
        let runs = std::fs::read_dir(self.home.path().join(".local/share/windlass/demo"));
        runs.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }
}

/// Nobody can tell a killed process to clean up, but its user namespace's first process sees that it is alone.
fn rootless_killed() {
    let somebody = Somebody::new();
    let mut child = somebody.demo().stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    // The program and at least one pod.
    while somebody.processes() < 4 {
        assert!(start.elapsed() < Duration::from_mins(2), "{} processes", somebody.processes());
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let start = Instant::now();
    while somebody.processes() > 0 || !somebody.files().is_empty() {
        assert!(start.elapsed() < Duration::from_mins(2), "{} {:?}", somebody.processes(), somebody.files());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn rootless() {
    let somebody = Somebody::new();
    let lines = run(&mut somebody.demo());
    judge_steps(&lines);
    let skipped = part(&lines, "e");
    assert_eq!(skipped["status"], "skipped");
    assert!(!skipped["reason"].as_str().unwrap().is_empty());
    assert!(!of(&lines, "notice").is_empty(), "what degrades is said");
    let left: Vec<_> =
        std::fs::read_dir(somebody.home.path().join(".local/share")).into_iter().flatten().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}
