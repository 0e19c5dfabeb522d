//! Containers over their life: states, policies, and what killed ones leave.

use serde_json::Value;

use crate::home::{Home, eventually, kill_hard, runs};

const FOREVER: &str = "trap 'exit 0' TERM; while :; do sleep 0.05; done";

pub(crate) fn create_start_stop_rm() {
    let home = Home::new();
    let id = home.ok(&["create", "--name", "one", "box", "sh", "-c", FOREVER]);
    assert_eq!(home.status("one"), "created");
    home.ok(&["start", "one"]);
    assert_eq!(home.status(id.trim()), "running");
    assert!(home.fails(&["start", "one"]).1.contains("running"));
    assert!(home.fails(&["rm", "one"]).1.contains("rm -f"));
    home.ok(&["stop", "one"]);
    let state = home.inspect("one");
    assert_eq!((state["status"].as_str(), state["state"]["exit_code"].as_i64()), (Some("exited"), Some(0)));
    home.ok(&["start", &id[..6]]);
    assert_eq!(home.ok(&["rm", "-f", "one"]), "one\n");
    assert_eq!(home.ok(&["ps", "-aq"]), "");
    assert!(home.fails(&["inspect", "one"]).1.contains("one"));
}

pub(crate) fn names_are_unique() {
    let home = Home::new();
    home.ok(&["create", "--name", "one", "box"]);
    assert!(home.fails(&["create", "--name", "one", "box"]).1.contains("one"));
    home.ok(&["create", "--name", "two", "box"]);
    assert!(home.fails(&["rename", "two", "one"]).1.contains("one"));
    home.ok(&["rename", "two", "three"]);
    assert_eq!(home.inspect("three")["name"], "three");
    assert!(home.fails(&["inspect", "two"]).1.contains("two"));
}

pub(crate) fn stop_kills_who_does_not_listen() {
    let home = Home::new();
    home.detach("deaf", &[], "trap '' TERM; echo ready; while :; do sleep 0.05; done");
    home.await_log("deaf", "ready");
    home.ok(&["stop", "-t", "0", "deaf"]);
    assert_eq!(home.inspect("deaf")["state"]["exit_code"], 137);
}

pub(crate) fn stop_sends_the_containers_signal() {
    let home = Home::new();
    let script = "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done";
    home.detach("own", &["--stop-signal", "USR1"], script);
    home.await_log("own", "ready");
    home.ok(&["stop", "own"]);
    assert_eq!(home.ok(&["wait", "own"]), "5\n");
}

pub(crate) fn kill_sends_any_signal() {
    let home = Home::new();
    home.detach("one", &[], "trap 'echo hup' HUP; echo ready; while :; do sleep 0.05; done");
    home.await_log("one", "ready");
    home.ok(&["kill", "-s", "HUP", "one"]);
    home.await_log("one", "hup");
    home.ok(&["kill", "one"]);
    assert_eq!(home.inspect("one")["state"]["exit_code"], 137);
    assert!(home.fails(&["kill", "one"]).1.contains("exited"));
}

pub(crate) fn wait_prints_the_exit_code() {
    let home = Home::new();
    home.detach("one", &[], "sleep 0.3; exit 6");
    assert_eq!(home.ok(&["wait", "one"]), "6\n");
    assert_eq!(home.ok(&["wait", "one"]), "6\n");
}

pub(crate) fn restart_begins_anew() {
    let home = Home::new();
    home.detach("one", &[], &format!("echo begun; {FOREVER}"));
    let first = home.pid("one", "process");
    home.ok(&["restart", "one"]);
    assert_ne!(home.pid("one", "process"), first);
    eventually("two beginnings", || home.ok(&["logs", "one"]) == "begun\nbegun\n");
}

pub(crate) fn pause_freezes() {
    let home = Home::new();
    home.detach("one", &[], "i=0; while :; do echo $i; echo $i >/count; i=$((i+1)); sleep 0.02; done");
    home.await_log("one", "3");
    home.ok(&["pause", "one"]);
    assert_eq!(home.status("one"), "paused");
    // What the program wrote itself: its log may still be on the way.
    let path = format!("/proc/{}/root/count", home.pid("one", "process"));
    let count = || std::fs::read_to_string(&path).expect("it counts");
    let before = count();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(count(), before);
    assert!(home.fails(&["exec", "one", "true"]).1.contains("unpause"));
    home.ok(&["unpause", "one"]);
    eventually("it goes on", || count() != before);
    assert!(home.fails(&["unpause", "one"]).1.contains("not paused"));
    home.ok(&["pause", "one"]);
    home.ok(&["stop", "-t", "0", "one"]);
    assert_eq!(home.status("one"), "exited");
}

pub(crate) fn update_changes_limits() {
    let home = Home::new();
    home.detach("one", &["-m", "32m"], "sleep 600");
    home.ok(&["update", "-m", "16m", "--restart", "on-failure:2", "one"]);
    let stats: Value = serde_json::from_str(&home.ok(&["stats", "--no-stream", "--json", "one"])).expect("JSON");
    assert_eq!(stats["memory_limit_bytes"], 16 << 20);
    let config = home.inspect("one")["config"].take();
    assert_eq!(
        (config["limits"]["memory"].as_i64(), config["restart"].as_str()),
        (Some(16 << 20), Some("on-failure:2"))
    );
}

pub(crate) fn a_removed_one_is_gone_after_its_end() {
    let home = Home::new();
    home.detach("one", &["--rm", "-v", "/data"], "sleep 0.2");
    eventually("it is gone", || home.ok(&["ps", "-aq"]).is_empty());
    eventually("its volume is gone", || home.ok(&["volume", "ls", "-q"]).is_empty());
}

pub(crate) fn on_failure_is_tried_again_so_often() {
    let home = Home::new();
    home.detach("one", &["--restart", "on-failure:2"], "echo try; exit 4");
    assert_eq!(home.ok(&["wait", "one"]), "4\n");
    assert_eq!(home.ok(&["logs", "one"]), "try\ntry\ntry\n");
    assert_eq!(home.inspect("one")["state"]["restarts"], 2);
    home.detach("well", &["--restart", "on-failure"], "echo once");
    assert_eq!(home.ok(&["wait", "well"]), "0\n");
    assert_eq!(home.ok(&["logs", "well"]), "once\n");
}

pub(crate) fn always_ends_when_stopped() {
    let home = Home::new();
    home.detach("one", &["--restart", "always"], "echo try; sleep 0.05");
    eventually("it began three times", || home.ok(&["logs", "one"]).lines().count() >= 3);
    home.ok(&["stop", "-t", "0", "one"]);
    assert_eq!(home.status("one"), "exited");
    let count = home.ok(&["logs", "one"]);
    std::thread::sleep(std::time::Duration::from_millis(400));
    assert_eq!(home.ok(&["logs", "one"]), count);
}

pub(crate) fn ps_lists_and_filters() {
    let home = Home::new();
    home.detach("up", &["--label", "tier=web"], "sleep 600");
    home.ok(&["create", "--name", "idle", "-l", "tier=db", "box"]);
    let names = |arguments: &[&str]| -> Vec<String> {
        let all: Vec<&str> = ["ps", "--json"].iter().chain(arguments).copied().collect();
        let lines = home.ok(&all);
        let name = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["name"].as_str().map(str::to_owned);
        lines.lines().filter_map(name).collect()
    };
    assert_eq!(names(&[]), ["up"]);
    assert_eq!(names(&["-a"]), ["idle", "up"]);
    assert_eq!(names(&["--filter", "status=created"]), ["idle"]);
    assert_eq!(names(&["-a", "--filter", "label=tier=web"]), ["up"]);
    assert_eq!(names(&["-a", "--filter", "name=dl"]), ["idle"]);
    let table = home.ok(&["ps", "-a"]);
    assert!(table.starts_with("CONTAINER ID") && table.contains("Created") && table.contains("Up "), "{table}");
    assert_eq!(home.ok(&["ps", "--format", "json"]), home.ok(&["ps", "--json"]));
}

pub(crate) fn top_and_stats_count_processes() {
    let home = Home::new();
    home.detach("one", &[], "sleep 61 & sleep 62 & wait");
    eventually("two sleepers", || home.ok(&["top", "one"]).matches("sleep 6").count() >= 2);
    let stats: Value = serde_json::from_str(&home.ok(&["stats", "--no-stream", "--json", "one"])).expect("JSON");
    assert_eq!(stats["pids"], 3);
    assert!(stats["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{stats}");
    assert!(home.ok(&["stats", "--no-stream"]).contains("one"));
}

pub(crate) fn a_container_outlives_its_monitor_and_ps_says_so() {
    let home = Home::new();
    home.detach("one", &["-m", "64m"], "sleep 300");
    let (process, monitor) = (home.pid("one", "process"), home.pid("one", "monitor"));
    kill_hard(monitor);
    eventually("unattended", || home.status("one") == "unattended");
    assert!(home.ok(&["ps"]).contains("monitor was killed"));
    assert!(home.fails(&["start", "one"]).1.contains("stop"));
    home.ok(&["rm", "-f", "one"]);
    assert_gone(&home, process);
}

pub(crate) fn a_lost_end_is_told_and_started_again() {
    let home = Home::new();
    home.detach("one", &[], "sleep 300");
    let (process, monitor) = (home.pid("one", "process"), home.pid("one", "monitor"));
    kill_hard(monitor);
    kill_hard(process);
    eventually("exited", || home.status("one") == "exited");
    let state = home.inspect("one")["state"].take();
    assert!(state["exit_code"].is_null() && state["error"].as_str().is_some_and(|error| error.contains("monitor")));
    home.ok(&["start", "one"]);
    assert_eq!(home.status("one"), "running");
    home.ok(&["stop", "-t", "0", "one"]);
    assert_eq!(home.inspect("one")["state"]["exit_code"], 137);
    home.ok(&["rm", "one"]);
    assert_gone(&home, process);
}

fn assert_gone(home: &Home, process: i32) {
    assert!(!runs(process), "its process runs");
    assert_eq!(std::fs::read_dir(home.root().join("layers/snapshots")).expect("a folder").count(), 0);
    assert_eq!(home.ok(&["ps", "-aq"]), "");
}

pub(crate) fn a_killed_monitor_is_not_taken_for_another_process() {
    let home = Home::new();
    home.ok(&["create", "--name", "one", "box", "sleep", "300"]);
    home.ok(&["start", "one"]);
    kill_hard(home.pid("one", "monitor"));
    kill_hard(home.pid("one", "process"));
    eventually("exited", || home.status("one") == "exited");
    // A record that names a living process of somebody else with another start time.
    let id = home.inspect("one")["id"].as_str().expect("an id").to_owned();
    let path = home.root().join("containers").join(id).join("state.json");
    let mut state: Value = serde_json::from_slice(&std::fs::read(&path).expect("a state")).expect("JSON");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
    let own = serde_json::json!({"pid": std::process::id(), "start_time": 1, "boot_id": boot.trim()});
    state["phase"] = "running".into();
    state["process"] = own.clone();
    state["monitor"] = own;
    std::fs::write(&path, state.to_string()).expect("written");
    home.ok(&["rm", "-f", "one"]);
}

pub(crate) fn prune_removes_what_nothing_uses() {
    let home = Home::new();
    home.detach("up", &["-v", "used:/data"], "sleep 600");
    home.ok(&["create", "--name", "idle", "-v", "/anonymous", "box"]);
    home.ok(&["volume", "create", "unused"]);
    // A creation that was cut short.
    std::fs::create_dir(home.root().join("containers/0123456789ab")).expect("a folder");
    let pruned: Value = serde_json::from_str(&home.ok(&["prune", "--volumes", "--json"])).expect("JSON");
    assert_eq!(pruned["containers"].as_array().map(Vec::len), Some(1));
    assert_eq!(pruned["leftovers"], serde_json::json!(["0123456789ab"]));
    assert_eq!(pruned["volumes"], serde_json::json!(["unused"]));
    assert_eq!(home.ok(&["volume", "ls", "-q"]), "used\n");
    assert_eq!(home.ok(&["ps", "-a", "--json"]).lines().count(), 1);
}
