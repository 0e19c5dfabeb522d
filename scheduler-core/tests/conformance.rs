//! What kube-scheduler 1.34.1 decided about 600 random clusters, compared with what this scheduler decides.
//!
//! `K8S_VECTORS` names another file of records, plain or gzip.
#![expect(clippy::print_stdout, reason = "the counts are what the test is run for")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use windlass_pod::{Kind, Namespace, Node, Pod, decode_json_as};
use windlass_scheduler_core::{Decision, Event, Explanation, Profile, Scheduler, Verdict};

fn main() -> ExitCode {
    trial::main(vec![trial::Test::new("decides_as_kube_scheduler_does", decides_as_kube_scheduler_does)])
}

/// What was compared, and what differed.
#[derive(Default)]
struct Tally {
    scenarios: usize,
    verdicts: usize,
    scores: usize,
    best_sets: usize,
    preemptions: usize,
    mismatches: Vec<String>,
}

impl Tally {
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: impl FnOnce() -> String, ours: &T, theirs: &T) {
        if ours != theirs {
            self.mismatches.push(format!("{}: ours {ours:?}, theirs {theirs:?}", what()));
        }
    }
}

fn vectors() -> String {
    let kept = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/k8s-1.34.1-600.jsonl.gz");
    let path = std::env::var_os("K8S_VECTORS").map_or(kept, PathBuf::from);
    let mut bytes = Vec::new();
    File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)).expect("the records can be read");
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return String::from_utf8(bytes).expect("records are text");
    }
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("the records decompress");
    text
}

/// The records' objects do not say what kind they are.
fn decode<K: Kind>(value: &Value) -> K {
    let mut value = value.clone();
    value["apiVersion"] = K::API_VERSION.into();
    value["kind"] = K::KIND.into();
    decode_json_as(value.to_string().as_bytes()).expect("records hold Kubernetes objects")
}

fn list<K: Kind>(record: &Value, name: &str) -> Vec<K> {
    record[name].as_array().into_iter().flatten().map(decode).collect()
}

/// A scheduler that saw the record's cluster and has its pending pod to place.
fn load(record: &Value) -> (Scheduler, Pod) {
    let mut scheduler = Scheduler::new(Profile::default()).expect("the default profile is valid");
    for namespace in list::<Namespace>(record, "namespaces") {
        scheduler.apply(Event::NamespaceApplied(&namespace)).expect("namespaces apply");
    }
    for node in list::<Node>(record, "nodes") {
        scheduler.apply(Event::NodeApplied(&node)).expect("nodes apply");
    }
    let pending: Pod = decode(&record["pending"]);
    for pod in list::<Pod>(record, "pods").iter().chain([&pending]) {
        scheduler.apply(Event::PodApplied(pod)).expect("pods apply");
    }
    (scheduler, pending)
}

fn verdicts(tally: &mut Tally, record: &Value, explanation: &Explanation) {
    let theirs = record["result"]["filter"].as_object().expect("a record has verdicts");
    tally.compare(|| format!("seed {}: nodes", record["seed"]), &explanation.nodes.len(), &theirs.len());
    for node in &explanation.nodes {
        let ours = match &node.verdict {
            Verdict::Fits { .. } => String::new(),
            Verdict::Rejected { plugin, code, reasons } => {
                format!("{}|{}|{}", code.name(), plugin.name(), reasons.join(", "))
            }
            other => panic!("an unknown verdict {other:?}"),
        };
        let theirs = theirs.get(&*node.node).and_then(Value::as_str).unwrap_or("absent").to_owned();
        tally.verdicts += 1;
        tally.compare(|| format!("seed {} {}: verdict", record["seed"], node.node), &ours, &theirs);
    }
}

fn scores(tally: &mut Tally, record: &Value, explanation: &Explanation) {
    for node in &explanation.nodes {
        let Verdict::Fits { scores, total } = &node.verdict else { continue };
        let theirs = &record["result"]["scores"][&*node.node];
        let theirs: BTreeMap<&str, i64> = theirs
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, points)| (name.as_str(), points.as_i64().expect("points are integers")))
            .filter(|(_, points)| *points != 0)
            .collect();
        let mut ours: BTreeMap<&str, i64> = scores.iter().map(|(plugin, points)| (plugin.name(), *points)).collect();
        ours.insert("=", *total);
        ours.retain(|_, points| *points != 0);
        tally.scores += ours.len().max(theirs.len());
        tally.compare(|| format!("seed {} {}: scores", record["seed"], node.node), &ours, &theirs);
    }
}

fn best(tally: &mut Tally, record: &Value, explanation: &Explanation, decision: &Decision) {
    let Some(theirs) = record["result"]["best"].as_array().filter(|best| !best.is_empty()) else { return };
    let theirs: BTreeSet<&str> = theirs.iter().filter_map(Value::as_str).collect();
    let ours: BTreeSet<&str> = explanation.best.iter().map(|node| &**node).collect();
    tally.best_sets += 1;
    tally.compare(|| format!("seed {}: best nodes", record["seed"]), &ours, &theirs);
    let bound = matches!(decision, Decision::Bind { node, .. } if theirs.contains(&**node));
    tally.compare(|| format!("seed {}: decided {decision:?}, best {theirs:?}", record["seed"]), &bound, &true);
}

fn preemption(tally: &mut Tally, record: &Value, explanation: &Explanation, decision: &Decision) {
    let result = &record["result"];
    let Some(code) = result["postFilter"].as_str() else { return };
    tally.preemptions += 1;
    let succeeds = !explanation.evictions.is_empty();
    tally.compare(|| format!("seed {}: preemption", record["seed"]), &succeeds, &(code == "Success"));
    let decided = matches!(decision, Decision::Preempt { .. });
    tally.compare(|| format!("seed {}: decided {decision:?}", record["seed"]), &decided, &succeeds);
    if !succeeds || code != "Success" {
        return;
    }
    // kube-scheduler takes any of the equally best nodes: ours must be the same set or hold theirs.
    let nominated = result["nominated"].as_str().unwrap_or_default();
    let theirs: BTreeSet<&str> = result["victims"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let ours = explanation.evictions.iter().find(|eviction| &*eviction.node == nominated);
    let ours: Option<BTreeSet<&str>> =
        ours.map(|eviction| eviction.victims.iter().map(windlass_scheduler_core::PodRef::name).collect());
    tally.compare(|| format!("seed {}: victims on {nominated}", record["seed"]), &ours, &Some(theirs));
}

fn decides_as_kube_scheduler_does() {
    let mut tally = Tally::default();
    for line in vectors().lines().filter(|line| !line.trim().is_empty()) {
        let record: Value = serde_json::from_str(line).expect("a record is a JSON object");
        let (mut scheduler, pending) = load(&record);
        let explanation = scheduler.explain(pending.namespace(), pending.name()).expect("the pod is pending");
        let decision = scheduler.next(Duration::ZERO);
        tally.scenarios += 1;
        verdicts(&mut tally, &record, &explanation);
        scores(&mut tally, &record, &explanation);
        best(&mut tally, &record, &explanation, &decision);
        preemption(&mut tally, &record, &explanation, &decision);
    }
    for mismatch in tally.mismatches.iter().take(20) {
        println!("{mismatch}");
    }
    println!(
        "\nscenarios {}, verdicts {}, scores {}, best sets {}, preemptions {}, mismatches {}",
        tally.scenarios,
        tally.verdicts,
        tally.scores,
        tally.best_sets,
        tally.preemptions,
        tally.mismatches.len()
    );
    assert!(tally.scenarios > 0, "no record was read");
    assert!(tally.mismatches.is_empty(), "{} mismatches", tally.mismatches.len());
}
