//! The plain scheduler's scores.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Plain, items, label, millis_or_zero, name, requests, term_selects, text, tolerated};

type Points<'a> = BTreeMap<&'a str, BTreeMap<&'static str, i64>>;

/// Weighted points by node and plugin, and their sum as `=`.
pub(crate) fn scores<'a>(plain: &Plain<'a>, feasible: &[&'a Value]) -> Points<'a> {
    let columns = [
        ("TaintToleration", 3, taints(plain, feasible)),
        ("NodeAffinity", 2, node_affinity(plain, feasible)),
        ("NodeResourcesFit", 1, feasible.iter().map(|node| fit(plain, node)).collect()),
        ("PodTopologySpread", 2, spread(plain, feasible)),
        ("InterPodAffinity", 2, pod_affinity(plain, feasible)),
        ("NodeResourcesBalancedAllocation", 1, feasible.iter().map(|node| balance(plain, node)).collect()),
        ("ImageLocality", 1, feasible.iter().map(|node| images(plain, node)).collect()),
    ];
    let mut points: Points<'a> = feasible.iter().map(|node| (name(node), BTreeMap::from([("=", 0)]))).collect();
    for (plugin, weight, column) in columns {
        for (node, value) in feasible.iter().zip(column).filter(|(_, value)| *value != 0) {
            let row = points.get_mut(name(node)).expect("every feasible node has a row");
            row.insert(plugin, value * weight);
            *row.get_mut("=").expect("every row has a sum") += value * weight;
        }
    }
    points
}

fn taints(plain: &Plain<'_>, feasible: &[&Value]) -> Vec<i64> {
    let soft = |node: &&Value| {
        let taints = items(&node["spec"]["taints"]).filter(|taint| taint["effect"] == "PreferNoSchedule");
        taints.filter(|taint| !tolerated(plain.pending, taint)).count() as i64
    };
    let counts: Vec<i64> = feasible.iter().map(soft).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    counts.iter().map(|count| if most == 0 { 100 } else { 100 - 100 * count / most }).collect()
}

fn node_affinity(plain: &Plain<'_>, feasible: &[&Value]) -> Vec<i64> {
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    let terms = &plain.pending["spec"]["affinity"]["nodeAffinity"][preferred];
    let weight = |node: &&Value| -> i64 {
        let matching = items(terms).filter(|term| term_selects(&term["preference"], node));
        matching.filter_map(|term| term["weight"].as_i64()).sum()
    };
    let weights: Vec<i64> = feasible.iter().map(weight).collect();
    let most = weights.iter().copied().max().unwrap_or(0);
    weights.iter().map(|weight| if most == 0 { 0 } else { 100 * weight / most }).collect()
}

/// Requested and allocatable amounts of cpu (thousandths) and memory (bytes) on a node with the pending pod.
fn used(plain: &Plain<'_>, node: &Value, unset: &[(&str, i64)]) -> [(i64, i64); 2] {
    [("cpu", 1), ("memory", 1000)].map(|(resource, unit)| {
        let pods = plain.pods_on(node).chain([plain.pending]);
        let amounts = pods.map(|pod| requests(pod, unset).get(resource).copied().unwrap_or(0));
        let sum: i64 = amounts.map(|amount| amount / unit).sum();
        (sum, millis_or_zero(&node["status"]["allocatable"][resource]) / unit)
    })
}

fn fit(plain: &Plain<'_>, node: &Value) -> i64 {
    let unset = [("cpu", 100), ("memory", 200 * 1024 * 1024 * 1000)];
    let points = used(plain, node, &unset).into_iter().filter(|(_, capacity)| *capacity > 0);
    let points: Vec<i64> =
        points.map(|(sum, capacity)| if sum > capacity { 0 } else { (capacity - sum) * 100 / capacity }).collect();
    if points.is_empty() { 0 } else { points.iter().sum::<i64>() / points.len() as i64 }
}

fn balance(plain: &Plain<'_>, node: &Value) -> i64 {
    let wanted = requests(plain.pending, &[]);
    if ["cpu", "memory"].iter().all(|resource| wanted.get(*resource).is_none_or(|amount| *amount == 0)) {
        return 0;
    }
    let shares = used(plain, node, &[]).into_iter().filter(|(_, capacity)| *capacity > 0);
    let shares: Vec<f64> = shares.map(|(sum, capacity)| (sum as f64 / capacity as f64).min(1.0)).collect();
    let deviation = if let [cpu, memory] = shares[..] { ((cpu - memory) / 2.0).abs() } else { 0.0 };
    ((1.0 - deviation) * 100.0) as i64
}

fn images(plain: &Plain<'_>, node: &Value) -> i64 {
    let spec = &plain.pending["spec"];
    let containers: Vec<&Value> = items(&spec["containers"]).chain(items(&spec["initContainers"])).collect();
    let lists = |node: &'_ Value, image: &str| {
        items(&node["status"]["images"]).any(|listed| items(&listed["names"]).any(|name| name == image))
    };
    let mut sum = 0;
    for container in &containers {
        let image = text(&container["image"], "");
        let tagged = image.rsplit('/').next().is_some_and(|last| last.contains(':'));
        let image = if tagged { image.to_owned() } else { format!("{image}:latest") };
        if !lists(node, &image) {
            continue;
        }
        let having: Vec<&Value> = plain.nodes.iter().filter(|other| lists(other, &image)).collect();
        // The first node that told the image's size is believed.
        let listed = items(&having[0]["status"]["images"])
            .find(|listed| items(&listed["names"]).any(|name| *name == *image))
            .expect("the node lists the image");
        let size = listed["sizeBytes"].as_i64().unwrap_or(0);
        sum += (size as f64 * (having.len() as f64 / plain.nodes.len() as f64)) as i64;
    }
    let (least, most) = (23 << 20, (1000 << 20) * containers.len() as i64);
    100 * (sum.clamp(least, most) - least) / (most - least)
}

fn spread(plain: &Plain<'_>, feasible: &[&Value]) -> Vec<i64> {
    let soft = plain.constraints("ScheduleAnyway");
    if soft.is_empty() {
        return vec![0; feasible.len()];
    }
    let key = |constraint: &Value| text(&constraint["topologyKey"], "").to_owned();
    let complete = |node: &Value| soft.iter().all(|one| label(node, &key(one)).is_some());
    let scored: Vec<&Value> = feasible.iter().copied().filter(|node| complete(node)).collect();
    let raw = |node: &Value| {
        let mut sum = 0.0;
        for constraint in &soft {
            let key = key(constraint);
            let mut domains: Vec<&str> = scored.iter().filter_map(|node| label(node, &key)).collect();
            domains.sort_unstable();
            domains.dedup();
            let by_host = key == "kubernetes.io/hostname";
            let size = if by_host { scored.len() } else { domains.len() };
            let members = plain.nodes.iter().filter(|other| {
                complete(other) && label(other, &key) == label(node, &key) && plain.constraint_counts(constraint, other)
            });
            let count: i64 = if by_host {
                plain.constraint_matches(constraint, node)
            } else {
                members.map(|other| plain.constraint_matches(constraint, other)).sum()
            };
            let skew = constraint["maxSkew"].as_i64().unwrap_or(1);
            sum += count as f64 * ((size + 2) as f64).ln() + (skew - 1) as f64;
        }
        sum.round() as i64
    };
    let raw: Vec<Option<i64>> = feasible.iter().map(|node| complete(node).then(|| raw(node))).collect();
    let least = raw.iter().flatten().copied().min().unwrap_or(0);
    let most = raw.iter().flatten().copied().max().unwrap_or(0);
    let points = |raw: &Option<i64>| match raw {
        None => 0,
        Some(_) if most == 0 => 100,
        Some(raw) => 100 * (most + least - raw) / most,
    };
    raw.iter().map(points).collect()
}

fn pod_affinity(plain: &Plain<'_>, feasible: &[&Value]) -> Vec<i64> {
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    // (weight, topology key, domain) of every pair of a term and a pod that it selects.
    let mut pulls: Vec<(i64, String, String)> = Vec::new();
    for pod in &plain.pods {
        let Some(home) = plain.node_of(pod) else { continue };
        let mut pull = |owner: &Value, term: &'_ Value, other: &Value, weight: i64| {
            if let Some(domain) = label(home, text(&term["topologyKey"], ""))
                && plain.affinity_selects(owner, term, other)
            {
                pulls.push((weight, text(&term["topologyKey"], "").to_owned(), domain.to_owned()));
            }
        };
        for (kind, sign) in [("podAffinity", 1), ("podAntiAffinity", -1)] {
            for weighted in items(&plain.pending["spec"]["affinity"][kind][preferred]) {
                let weight = sign * weighted["weight"].as_i64().unwrap_or(0);
                pull(plain.pending, &weighted["podAffinityTerm"], pod, weight);
            }
            for weighted in items(&pod["spec"]["affinity"][kind][preferred]) {
                let weight = sign * weighted["weight"].as_i64().unwrap_or(0);
                pull(pod, &weighted["podAffinityTerm"], plain.pending, weight);
            }
        }
        for term in items(&pod["spec"]["affinity"]["podAffinity"][required]) {
            pull(pod, term, plain.pending, 1);
        }
    }
    let sum = |node: &&Value| -> i64 {
        let here = pulls.iter().filter(|(_, key, domain)| label(node, key) == Some(domain.as_str()));
        here.map(|(weight, _, _)| weight).sum()
    };
    let sums: Vec<i64> = feasible.iter().map(sum).collect();
    let least = sums.iter().copied().min().unwrap_or(0);
    let span = sums.iter().copied().max().unwrap_or(0) - least;
    let points = |sum: &i64| if span == 0 { 0 } else { (100.0 * ((sum - least) as f64 / span as f64)) as i64 };
    sums.iter().map(points).collect()
}
