//! Probes, back-off and pod status against the answers of Kubernetes.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod judge;

use std::time::Duration;

use judge::{differs, judge, records};
use serde_json::{Value, json};
use windlass_pod::backoff::{Backoff, Verdict};
use windlass_pod::decode_json_as;
use windlass_pod::kinds::{ContainerStatus, Pod, Probe};
use windlass_pod::probe::{Judge, Observation, Outcome, ProbeKind, ProbeResult, Step};
use windlass_pod::status::{self, PodEnd};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn seconds(value: &Value) -> Duration {
    Duration::from_secs(value.as_u64().unwrap())
}

fn number(value: &Value) -> Option<i32> {
    value.as_i64().map(|number| i32::try_from(number).unwrap())
}

/// One tick of the worker, as the driver of the original counts it.
fn probe_step(judge: &mut Judge, input: &Value, step: &Value) -> Value {
    let running = text(&step["state"]) == "running";
    let terminated = text(&step["state"]) == "terminated";
    let seen = Observation {
        id: text(&step["containerID"]),
        running_for: running.then(|| seconds(&step["elapsed"])),
        started: step["started"] == json!(true),
        restarts: !terminated || text(&input["restartPolicy"]) != "Never",
        deleting: step["deleting"] == json!(true),
    };
    let ended = matches!(text(&step["phase"]), "Succeeded" | "Failed");
    let next = if ended { Step::Stop } else { judge.step(&seen) };
    if next == Step::Probe {
        judge.record(match text(&step["result"]) {
            "success" => Outcome::Success,
            "warning" => Outcome::Warning,
            "failure" => Outcome::Failure,
            "unknown" => Outcome::Unknown,
            "error" => Outcome::Error,
            other => panic!("unknown result {other}"),
        });
    }
    let result = match judge.result() {
        _ if !judge.has_container() => "none",
        ProbeResult::Unknown => "unknown",
        ProbeResult::Success => "success",
        ProbeResult::Failure => "failure",
    };
    json!({
        "keepGoing": next != Step::Stop,
        "probed": next == Step::Probe,
        "result": result,
        "onHold": judge.is_on_hold(),
        "run": judge.run(),
    })
}

fn probe_case(record: &Value) -> Option<String> {
    let input = &record["in"];
    let probe = Probe {
        failure_threshold: number(&input["probe"]["failureThreshold"]),
        success_threshold: number(&input["probe"]["successThreshold"]),
        initial_delay_seconds: number(&input["probe"]["initialDelaySeconds"]),
        period_seconds: number(&input["probe"]["periodSeconds"]),
        ..Probe::default()
    };
    let kind = match text(&input["type"]) {
        "readiness" => ProbeKind::Readiness,
        "liveness" => ProbeKind::Liveness,
        "startup" => ProbeKind::Startup,
        other => panic!("unknown type {other}"),
    };
    let mut judge = Judge::new(kind, &probe);
    let theirs = record["out"].as_array().unwrap();
    let ours: Vec<Value> = input["steps"]
        .as_array()
        .unwrap()
        .iter()
        .take(theirs.len())
        .map(|step| probe_step(&mut judge, input, step))
        .collect();
    ours.iter()
        .zip(theirs)
        .enumerate()
        .find_map(|(index, (ours, theirs))| differs(&format!("step {index}"), ours, theirs))
}

#[test]
fn probe() {
    judge("probe", &records("probe"), probe_case);
}

fn backoff_case(record: &Value) -> Option<String> {
    let input = &record["in"];
    assert_eq!(input["expire"].as_u64(), input["max"].as_u64().map(|max| max * 2), "the reset is twice the maximum");
    let mut backoff = Backoff::new(seconds(&input["initial"]), seconds(&input["max"]));
    let mut ours = Vec::new();
    for event in input["events"].as_array().unwrap() {
        let now = seconds(&event["now"]);
        let mut out = json!({});
        if event["gc"] == json!(true) {
            backoff.collect(now);
        } else {
            match backoff.start(seconds(&event["finishedAt"]), now) {
                Verdict::Start => out["start"] = json!(true),
                Verdict::Wait { wait, .. } => {
                    out["start"] = json!(false);
                    let (minutes, seconds) = (wait.as_secs() / 60, wait.as_secs() % 60);
                    let printed = if minutes > 0 { format!("{minutes}m{seconds}s") } else { format!("{seconds}s") };
                    out["message"] = json!(format!("back-off {printed}"));
                }
            }
        }
        out["backoff"] = json!(backoff.wait().as_secs());
        ours.push(out);
    }
    differs("out", json!(ours), record["out"].clone())
}

#[test]
fn backoff() {
    judge("backoff", &records("backoff"), backoff_case);
}

fn statuses(value: &Value) -> Option<Vec<ContainerStatus>> {
    let list = value.as_array()?;
    let document = json!({"status": {"containerStatuses": list}}).to_string();
    Some(decode_json_as::<Pod>(document.as_bytes()).unwrap().status.container_statuses)
}

fn podstatus_case(record: &Value) -> Option<String> {
    let input = &record["in"];
    let pod: Pod = decode_json_as(input["pod"].to_string().as_bytes()).unwrap();
    let regular = statuses(&input["containerStatuses"]).unwrap_or_default();
    let all = [regular, statuses(&input["initContainerStatuses"]).unwrap_or_default()].concat();
    let end = if input["podIsTerminal"] == json!(true) { PodEnd::Terminal } else { PodEnd::Open };
    let phase = status::phase(&pod.spec, &all, end);
    let conditions: Vec<Value> = [
        status::initialized(&pod.spec, &all, phase),
        status::ready(&pod.spec, &pod.status.conditions, &all, phase),
        status::containers_ready(&pod.spec, &all, phase),
    ]
    .iter()
    .map(|one| {
        json!({
            "type": one.type_, "status": one.status,
            "reason": one.reason.as_deref().unwrap_or_default(), "message": one.message.as_deref().unwrap_or_default(),
        })
    })
    .collect();
    differs("phase", phase.as_str(), text(&record["phase"]))
        .or_else(|| differs("conditions", json!(conditions), record["conditions"].clone()))
}

#[test]
fn podstatus() {
    judge("podstatus", &records("podstatus"), podstatus_case);
}
