//! The plain scheduler's evictions.

use std::cmp::Reverse;

use serde_json::Value;

use super::{NOW, Plain, name};

fn priority(pod: &Value) -> i64 {
    pod["spec"]["priority"].as_i64().unwrap_or(0)
}

/// Start times sort as text: they are all written in the same form, and none counts as the latest.
fn started(pod: &Value) -> &str {
    pod["status"]["startTime"].as_str().unwrap_or("9999")
}

/// The equally best evictions: node, and the names of the pods that must go.
pub(crate) fn best(plain: &Plain<'_>) -> Vec<(String, Vec<String>)> {
    if plain.pending["spec"]["preemptionPolicy"] == "Never" {
        return Vec::new();
    }
    let may_help = plain.nodes.iter().filter(|node| plain.verdict(node).is_some_and(|verdict| verdict.0 == NOW));
    let candidates = may_help.filter_map(|node| Some((node, victims(plain, node)?)));
    let candidates: Vec<(&Value, Vec<&Value>)> = candidates.filter(|(_, victims)| !victims.is_empty()).collect();
    let key = |victims: &[&Value]| {
        let highest = victims.iter().map(|pod| priority(pod)).max().unwrap_or(i64::MIN);
        let sum: i64 = victims.iter().map(|pod| priority(pod) + (1 << 31)).sum();
        let top = victims.iter().filter(|pod| priority(pod) == highest);
        let earliest = top.map(|pod| started(pod).to_owned()).min();
        (highest, sum, victims.len(), Reverse(earliest))
    };
    let Some(least) = candidates.iter().map(|(_, victims)| key(victims)).min() else { return Vec::new() };
    let best = candidates.iter().filter(|(_, victims)| key(victims) == least);
    best.map(|(node, victims)| {
        let mut names: Vec<String> = victims.iter().map(|pod| name(pod).to_owned()).collect();
        names.sort_unstable();
        (name(node).to_owned(), names)
    })
    .collect()
}

/// Takes every less important pod away, and lets each stay again that the pod fits beside, the most important first.
fn victims<'a>(plain: &Plain<'a>, node: &Value) -> Option<Vec<&'a Value>> {
    let mine = priority(plain.pending);
    let mut weaker: Vec<&Value> = plain.pods_on(node).filter(|pod| priority(pod) < mine).collect();
    weaker.sort_by_key(|pod| (Reverse(priority(pod)), started(pod)));
    let mut pods: Vec<&Value> = plain.pods.iter().copied().filter(|pod| !has(&weaker, pod)).collect();
    let fits = |pods: &[&'a Value]| Plain { pods: pods.to_vec(), ..*plain }.verdict(node).is_none();
    if !fits(&pods) {
        return None;
    }
    let mut victims = Vec::new();
    for pod in weaker {
        pods.push(pod);
        if !fits(&pods) {
            pods.pop();
            victims.push(pod);
        }
    }
    Some(victims)
}

fn has(pods: &[&Value], pod: &Value) -> bool {
    pods.iter().any(|other| std::ptr::eq(*other, pod))
}
