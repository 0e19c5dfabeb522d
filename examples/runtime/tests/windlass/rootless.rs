//! The same verbs for an ordinary user, as an id that nobody has.

use std::io::Write as _;
use std::process::Stdio;

use trial::need;

use crate::home::{Home, eventually, kill_hard, runs, stderr, stdout};

const USER: u32 = 41_234;

pub(crate) fn runs_and_isolates() {
    let home = Home::of_user(USER);
    let user = if need::root().is_ok() { USER } else { rustix::process::geteuid().as_raw() };
    let output = home.sh(&[], "read map < /proc/self/uid_map; echo $map $$; exit 5");
    assert_eq!(stdout(&output), format!("0 {user} 1 1\n").as_str(), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(home.sh(&[], "exec absent").status.code(), Some(127));
    assert_eq!(home.ok(&["ps", "-aq"]), "");
}

pub(crate) fn granted_ids_are_users_of_the_container() {
    const FIRST: u32 = 3_000_000;
    let home = Home::of_granted_user(USER + 1, FIRST);
    home.detach("one", &["-u", "two", "-v", "data:/data"], "id -u; id -G; echo x > /tmp/mine; sleep 600");
    home.await_log("one", "10");
    let process = home.pid("one", "process");
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    assert!(status.contains(&format!("Uid:\t{}\t", FIRST + 999)), "{status}");
    assert_eq!(home.ok(&["exec", "-u", "daemon", "one", "sh", "-c", "id -u; stat -c %u /tmp/mine"]), "1\n1000\n");
    home.ok(&["stop", "-t", "0", "one"]);
    assert_eq!(home.ok(&["diff", "one"]), "C /tmp\nA /tmp/mine\n");
    home.ok(&["rm", "one"]);
    assert_eq!(std::fs::read_dir(home.root().join("layers/snapshots")).expect("a folder").count(), 0);
}

pub(crate) fn lives_and_ends() {
    let home = Home::of_user(USER);
    home.detach("one", &[], "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    home.await_log("one", "ready");
    assert_eq!(home.status("one"), "running");
    assert!(home.ok(&["top", "one"]).contains("sh -c"));
    assert_eq!(home.ok(&["exec", "one", "sh", "-c", "echo in; hostname"]).lines().next(), Some("in"));
    home.ok(&["stop", "one"]);
    assert_eq!(home.ok(&["wait", "one"]), "3\n");
    home.ok(&["start", "one"]);
    home.ok(&["restart", "one"]);
    home.ok(&["kill", "one"]);
    assert_eq!(home.ok(&["wait", "one"]), "137\n");
    home.ok(&["rename", "one", "two"]);
    home.ok(&["rm", "two"]);
    assert_eq!(std::fs::read_dir(home.root().join("layers/snapshots")).expect("a folder").count(), 0);
}

pub(crate) fn passes_input() {
    let home = Home::of_user(USER);
    let mut child = home.command(&["run", "--rm", "-i", "box", "cat"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("windlass starts");
    child.stdin.take().expect("piped").write_all(b"through\n").expect("it is written");
    assert_eq!(stdout(&child.wait_with_output().expect("it ends")), "through\n");
}

pub(crate) fn keeps_volumes() {
    let home = Home::of_user(USER);
    home.prints(&["-v", "data:/data"], "echo kept > /data/file");
    assert_eq!(home.prints(&["-v", "data:/data"], "cat /data/file"), "kept\n");
    home.ok(&["volume", "rm", "data"]);
}

pub(crate) fn copies_and_commits() {
    let home = Home::of_user(USER);
    let given = home.folder().join("given");
    std::fs::write(&given, "given").expect("a file");
    let given = given.display().to_string();
    home.detach("one", &[], "echo made > /made; sleep 600");
    home.ok(&["cp", &given, "one:/running"]);
    assert_eq!(home.ok(&["exec", "one", "cat", "/running"]), "given");
    home.ok(&["stop", "-t", "0", "one"]);
    home.ok(&["cp", &given, "one:/stopped"]);
    assert!(home.windlass(&["cp", "one:/stopped", "-"]).stdout.windows(5).any(|bytes| bytes == b"given"));
    let changed = home.ok(&["diff", "one"]);
    assert_eq!(changed, "A /made\nA /running\nA /stopped\n");
    home.ok(&["commit", "one", "changed"]);
    assert_eq!(home.ok(&["run", "--rm", "changed", "cat", "/made", "/stopped"]), "made\ngiven");
}

pub(crate) fn publishes_ports() {
    let home = Home::of_user(USER);
    home.detach("one", &["-p", "127.0.0.1::7"], "while :; do nc -l -p 7 -e cat; done");
    let port: serde_json::Value = serde_json::from_str(&home.ok(&["port", "one", "--json"])).expect("JSON");
    crate::network::echoes(u16::try_from(port["host_port"].as_u64().expect("a number")).expect("a port"));
}

pub(crate) fn a_killed_monitor_is_told() {
    let home = Home::of_user(USER);
    home.detach("one", &[], "sleep 300");
    let process = home.pid("one", "process");
    kill_hard(home.pid("one", "monitor"));
    eventually("unattended", || home.status("one") == "unattended");
    home.ok(&["rm", "-f", "one"]);
    assert!(!runs(process));
}

/// The monitor of a container: the one process with both words in its command line.
fn monitor_of(id: &str) -> Option<i32> {
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.into_iter().find(|pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        words.any(|word| word == b"monitor") && words.any(|word| word == id.as_bytes())
    })
}

/// Whether a program with this argument runs.
fn argument_runs(argument: &str) -> bool {
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.into_iter().any(|pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.starts_with(b"/bin/sleep\0") && words.ends_with(format!("{argument}\0").as_bytes()) && runs(pid)
    })
}

pub(crate) fn a_monitor_killed_at_any_time_leaves_nothing() {
    let home = Home::of_user(USER);
    for step in 0..12_u64 {
        // No other process sleeps so long.
        let seconds = format!("{}{step:02}", std::process::id());
        let id = home.ok(&["create", "box", "/bin/sleep", &seconds]).trim().to_owned();
        let mut start = home.command(&["start", &id]).stderr(Stdio::null()).stdout(Stdio::null()).spawn();
        let start = start.as_mut().expect("windlass starts");
        let mut monitor = None;
        eventually("there is a monitor", || {
            monitor = monitor_of(&id);
            monitor.is_some() || start.try_wait().is_ok_and(|ended| ended.is_some())
        });
        std::thread::sleep(std::time::Duration::from_millis(step * 2));
        // It may have failed by itself, or the container be up; both are well.
        let pid = nix::unistd::Pid::from_raw(monitor.unwrap_or_else(|| home.pid(&id, "monitor")));
        _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        start.wait().expect("it ends");
        home.ok(&["rm", "-f", &id]);
        eventually("its process is gone", || !argument_runs(&seconds));
        assert!(!home.root().join("containers").join(&id).exists());
        assert!(!home.root().join("layers/snapshots").join(&id).exists());
    }
}

pub(crate) fn what_cannot_be_says_the_way_out() {
    let home = Home::of_user(USER);
    let refused =
        [(&["--network", "bridge"][..], "--publish"), (&["-m", "8m"], "Delegate"), (&["-u", "two"], "/etc/subuid")];
    // A user who was granted ids may be anybody.
    let count = if std::env::var_os(trial::GRANTED).is_some() { 2 } else { 3 };
    for (options, words) in &refused[..count] {
        let output = home.sh(options, "true");
        assert_eq!(output.status.code(), Some(125), "{options:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{options:?}: {}", stderr(&output));
    }
    home.detach("one", &[], "sleep 600");
    for verb in [&["pause", "one"][..], &["stats", "--no-stream", "one"], &["update", "-m", "8m", "one"]] {
        let (code, words) = home.fails(verb);
        assert!(code == 125 && words.contains("root"), "{verb:?}: {words}");
    }
}
