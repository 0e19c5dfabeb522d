//! Compares what the scheduler says about a recorded cluster with a `result`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use windlass_pod::{Kind, Namespace, Node, Pod};
use windlass_scheduler_core::{Decision, Event, Explanation, PodRef, Profile, Scheduler, Verdict};

use crate::wire::decode;

/// What was compared, and what differed.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) scenarios: usize,
    pub(crate) verdicts: usize,
    pub(crate) scores: usize,
    pub(crate) best_sets: usize,
    pub(crate) preemptions: usize,
    pub(crate) mismatches: Vec<String>,
}

impl Tally {
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: impl FnOnce() -> String, ours: &T, theirs: &T) {
        if ours != theirs {
            self.mismatches.push(format!("{}: ours {ours:?}, theirs {theirs:?}", what()));
        }
    }

    /// Counts one cluster.
    pub(crate) fn add(&mut self, record: &Value, result: &Value) {
        let (mut scheduler, pending) = load(record);
        let explanation = scheduler.explain(pending.namespace(), pending.name()).expect("the pod is pending");
        let decision = scheduler.next(Duration::ZERO);
        let seed = &record["seed"];
        self.scenarios += 1;
        self.verdicts(seed, result, &explanation);
        self.scores(seed, result, &explanation);
        self.best(seed, result, &explanation, &decision);
        self.again(seed, result, &mut scheduler, &decision);
        self.preemption(seed, result, &explanation, &decision);
    }

    fn verdicts(&mut self, seed: &Value, result: &Value, explanation: &Explanation) {
        let theirs = result["filter"].as_object().expect("a result has verdicts");
        self.compare(|| format!("seed {seed}: nodes"), &explanation.nodes.len(), &theirs.len());
        for node in &explanation.nodes {
            let ours = match &node.verdict {
                Verdict::Fits { .. } => String::new(),
                Verdict::Rejected { plugin, code, reasons } => {
                    format!("{}|{}|{}", code.name(), plugin.name(), reasons.join(", "))
                }
                other => panic!("an unknown verdict {other:?}"),
            };
            let theirs = theirs.get(&*node.node).and_then(Value::as_str).unwrap_or("absent").to_owned();
            self.verdicts += 1;
            self.compare(|| format!("seed {seed} {}: verdict", node.node), &ours, &theirs);
        }
    }

    fn scores(&mut self, seed: &Value, result: &Value, explanation: &Explanation) {
        for node in &explanation.nodes {
            let Verdict::Fits { scores, total } = &node.verdict else { continue };
            let theirs: BTreeMap<&str, i64> = result["scores"][&*node.node]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, points)| (name.as_str(), points.as_i64().expect("points are integers")))
                .filter(|(_, points)| *points != 0)
                .collect();
            let mut ours: BTreeMap<&str, i64> =
                scores.iter().map(|(plugin, points)| (plugin.name(), *points)).collect();
            ours.insert("=", *total);
            ours.retain(|_, points| *points != 0);
            self.scores += ours.len().max(theirs.len());
            self.compare(|| format!("seed {seed} {}: scores", node.node), &ours, &theirs);
        }
    }

    fn best(&mut self, seed: &Value, result: &Value, explanation: &Explanation, decision: &Decision) {
        let Some(theirs) = result["best"].as_array().filter(|best| !best.is_empty()) else {
            self.compare(|| format!("seed {seed}: best nodes"), &explanation.best.len(), &0);
            return;
        };
        let theirs: BTreeSet<&str> = theirs.iter().filter_map(Value::as_str).collect();
        let ours: BTreeSet<&str> = explanation.best.iter().map(|node| &**node).collect();
        self.best_sets += 1;
        self.compare(|| format!("seed {seed}: best nodes"), &ours, &theirs);
        let bound = matches!(decision, Decision::Bind { node, .. } if theirs.contains(&**node));
        self.compare(|| format!("seed {seed}: decided {decision:?}, best {theirs:?}"), &bound, &true);
    }

    /// Takes the binding back and asks again: a pod that comes again is placed by what is remembered of the nodes.
    fn again(&mut self, seed: &Value, result: &Value, scheduler: &mut Scheduler, decision: &Decision) {
        let Decision::Bind { pod, .. } = decision else { return };
        for attempt in 1..=12 {
            scheduler.rollback(pod).expect("the pod is assumed");
            let decision = scheduler.next(Duration::from_secs(20 * attempt));
            let among = matches!(&decision, Decision::Bind { node, score, .. }
                if result["best"].as_array().is_some_and(|best| best.iter().any(|best| *best == **node))
                    && result["scores"][&**node]["="] == *score);
            self.compare(|| format!("seed {seed}, attempt {attempt}: {decision:?}"), &among, &true);
        }
    }

    fn preemption(&mut self, seed: &Value, result: &Value, explanation: &Explanation, decision: &Decision) {
        let Some(code) = result["postFilter"].as_str() else { return };
        self.preemptions += 1;
        let succeeds = !explanation.evictions.is_empty();
        self.compare(|| format!("seed {seed}: preemption"), &succeeds, &(code == "Success"));
        let decided = matches!(decision, Decision::Preempt { .. });
        self.compare(|| format!("seed {seed}: decided {decision:?}"), &decided, &succeeds);
        let ours: BTreeMap<&str, BTreeSet<&str>> = explanation
            .evictions
            .iter()
            .map(|eviction| (&*eviction.node, eviction.victims.iter().map(PodRef::name).collect()))
            .collect();
        let names = |value: &'_ Value| -> BTreeSet<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        if let Some(theirs) = result["evictions"].as_object() {
            let ours: BTreeMap<String, BTreeSet<String>> = ours
                .iter()
                .map(|(node, pods)| ((*node).to_owned(), pods.iter().map(|pod| (*pod).to_owned()).collect()))
                .collect();
            let theirs = theirs.iter().map(|(node, pods)| (node.clone(), names(pods))).collect();
            self.compare(|| format!("seed {seed}: evictions"), &ours, &theirs);
        } else if code == "Success" {
            // kube-scheduler takes any of the equally best nodes.
            let nominated = result["nominated"].as_str().unwrap_or_default();
            let theirs = names(&result["victims"]);
            let ours = ours.get(nominated).map(|pods| pods.iter().map(|pod| (*pod).to_owned()).collect());
            self.compare(|| format!("seed {seed}: victims on {nominated}"), &ours, &Some(theirs));
        }
    }
}

fn list<K: Kind>(record: &Value, name: &str) -> Vec<K> {
    record[name].as_array().into_iter().flatten().map(decode).collect()
}

/// A scheduler that saw the record's cluster and has its pending pod to place.
pub(crate) fn load(record: &Value) -> (Scheduler, Pod) {
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
