//! The runtime dies at every system call, and a forced delete cleans up.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;

use trial::{Test, need};

use crate::bundle::{Said, runtime, strict};
use crate::sandbox::Sandbox;

pub(crate) fn tests() -> Vec<Test> {
    let test = |name, body: fn()| Test::new(name, body).needs(need::root).needs(need::program("strace")).needs(strict);
    vec![test("a_killed_run_is_cleaned_up", || sweep("run")), test("a_killed_create_is_cleaned_up", || sweep("create"))]
}

/// Every how many points one is tried; `WINDLASS_SWEEP` asks for another number, 1 for all.
fn stride() -> usize {
    std::env::var("WINDLASS_SWEEP").map_or(12, |text| text.parse().expect("WINDLASS_SWEEP is a number"))
}

fn corner() -> Sandbox {
    let sandbox = Sandbox::new();
    crate::bundle::fill(&sandbox.path("rootfs"));
    let mut spec: serde_json::Value =
        serde_json::from_str(include_str!("default.json")).expect("the default specification is JSON");
    spec["process"]["args"] = serde_json::json!(["true"]);
    std::fs::write(sandbox.path("config.json"), spec.to_string()).expect("the folder is ours");
    std::fs::write(sandbox.path("sweep.sh"), include_str!("sweep.sh")).expect("the folder is ours");
    for name in ["before", "after"] {
        std::fs::write(sandbox.path(name), "").expect("the folder is ours");
    }
    sandbox
}

/// The calls of a verb, each as often as the process that makes it most often does.
fn points(verb: &str) -> Vec<String> {
    let sandbox = corner();
    let program = runtime();
    let trace = sandbox.call(&["bash", "sweep.sh", program.to_str().expect("UTF-8"), "trace", verb]).out;
    let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for line in trace.lines() {
        let Some((process, rest)) = line.split_once(' ') else { continue };
        let Some((call, _)) = rest.trim_start().split_once('(') else { continue };
        if call.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            *counts.entry((call, process)).or_default() += 1;
        }
    }
    let mut most: BTreeMap<&str, u32> = BTreeMap::new();
    for ((call, _), count) in counts {
        let most = most.entry(call).or_default();
        *most = (*most).max(count);
    }
    let points: Vec<String> = most
        .into_iter()
        .flat_map(|(call, count)| (1..=count).map(move |number| format!("{verb} {call} {number}")))
        .collect();
    assert!(points.len() > 50, "the trace of a whole life is longer: {trace}");
    points
}

fn sweep(verb: &str) {
    let points: Vec<String> = points(verb).into_iter().step_by(stride()).collect();
    let halves: Vec<Vec<String>> = (0..2).map(|half| points.iter().skip(half).step_by(2).cloned().collect()).collect();
    let workers: Vec<_> = halves.into_iter().map(|half| std::thread::spawn(move || work(&half))).collect();
    let said: Vec<String> =
        workers.into_iter().map(|worker| worker.join().expect("a worker says what it saw")).collect();
    let lines: Vec<&str> = said.iter().flat_map(|said| said.lines()).collect();
    let (tried, wrong): (Vec<&str>, Vec<&str>) = lines.into_iter().partition(|line| line.starts_with("TRIED "));
    assert!(wrong.is_empty(), "{} of {} points:\n{}", wrong.len(), points.len(), wrong.join("\n"));
    assert_eq!(tried.len(), points.len());
}

fn work(points: &[String]) -> String {
    let sandbox = corner();
    let program = runtime();
    let mut command = sandbox.within(3000, &["bash", "sweep.sh", program.to_str().expect("UTF-8")]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("timeout starts");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all((points.join("\n") + "\n").as_bytes()).expect("it fits into a pipe");
    drop(input);
    let said = Said::new(&child.wait_with_output().expect("it ends"));
    assert_eq!(said.code, Some(0), "{said:?}");
    said.out
}
