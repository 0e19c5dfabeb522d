//! A scheduler that is as plain as it can be: it reads the JSON of the objects, remembers nothing, and goes through
//! every node and every pod for every question. What it says about the 600 clusters is compared as well.

mod preempt;
mod score;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A cluster and the pod to place, as a record has them.
pub(crate) struct Plain<'a> {
    pub(crate) namespaces: &'a [Value],
    pub(crate) nodes: &'a [Value],
    pub(crate) pods: Vec<&'a Value>,
    pub(crate) pending: &'a Value,
}

/// Code, plugin and reasons of a rejection.
pub(crate) type Rejection = (&'static str, &'static str, String);

const NEVER: &str = "UnschedulableAndUnresolvable";
const NOW: &str = "Unschedulable";

/// What kube-scheduler would have answered, in the form of a record's `result`, with all candidates for eviction.
pub(crate) fn result(record: &Value) -> Value {
    let list = |name: &str| record[name].as_array().map_or(&[][..], Vec::as_slice);
    let plain = Plain {
        namespaces: list("namespaces"),
        nodes: list("nodes"),
        pods: list("pods").iter().collect(),
        pending: &record["pending"],
    };
    let mut filter = Map::new();
    let mut feasible = Vec::new();
    for node in plain.nodes {
        let verdict = plain.verdict(node).map(|(code, plugin, reasons)| format!("{code}|{plugin}|{reasons}"));
        if verdict.is_none() {
            feasible.push(node);
        }
        filter.insert(name(node).to_owned(), verdict.unwrap_or_default().into());
    }
    if feasible.is_empty() {
        let best = preempt::best(&plain);
        let code = if best.is_empty() { NOW } else { "Success" };
        let evictions: Map<String, Value> = best.into_iter().map(|(node, victims)| (node, victims.into())).collect();
        return json!({ "filter": filter, "postFilter": code, "evictions": evictions });
    }
    let scores = score::scores(&plain, &feasible);
    let most = scores.values().map(|points| points["="]).max();
    let best: Vec<&str> =
        scores.iter().filter(|(_, points)| Some(points["="]) == most).map(|(node, _)| *node).collect();
    json!({ "filter": filter, "scores": scores, "best": best })
}

pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

pub(crate) fn namespace(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or("default")
}

pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(crate) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["labels"][key].as_str()
}

pub(crate) fn text<'a>(value: &'a Value, unset: &'a str) -> &'a str {
    value.as_str().filter(|text| !text.is_empty()).unwrap_or(unset)
}

/// An amount in thousandths.
pub(crate) fn millis(quantity: &Value) -> i64 {
    let text = quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned);
    let suffixes = [("m", 1), ("Ki", 1000 << 10), ("Mi", 1000 << 20), ("Gi", 1000 << 30), ("Ti", 1000 << 40)];
    let found = suffixes.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)));
    let (digits, factor) = found.unwrap_or((&text, 1000));
    digits.parse::<i64>().expect("generated amounts are whole numbers") * factor
}

/// The requests of a pod in thousandths; `unset` are added for containers that name no cpu or memory.
pub(crate) fn requests(pod: &Value, unset: &[(&str, i64)]) -> BTreeMap<String, i64> {
    let of = |container: &Value| {
        let named = container["resources"]["requests"].as_object().into_iter().flatten();
        let mut amounts: BTreeMap<String, i64> = named.map(|(name, value)| (name.clone(), millis(value))).collect();
        for (name, amount) in unset {
            amounts.entry((*name).to_owned()).or_insert(*amount);
        }
        amounts
    };
    let add = |sum: &mut BTreeMap<String, i64>, more: &BTreeMap<String, i64>| {
        for (name, amount) in more {
            *sum.entry(name.clone()).or_default() += amount;
        }
    };
    let mut running = BTreeMap::new();
    items(&pod["spec"]["containers"]).for_each(|container| add(&mut running, &of(container)));
    let (mut sidecars, mut peak) = (BTreeMap::new(), BTreeMap::new());
    for container in items(&pod["spec"]["initContainers"]) {
        let mut beside = sidecars.clone();
        add(&mut beside, &of(container));
        if container["restartPolicy"] == "Always" {
            add(&mut running, &of(container));
            sidecars.clone_from(&beside);
        }
        for (name, amount) in beside {
            let most: &mut i64 = peak.entry(name).or_default();
            *most = amount.max(*most);
        }
    }
    for (name, amount) in peak {
        let most = running.entry(name).or_default();
        *most = amount.max(*most);
    }
    let overhead = pod["spec"]["overhead"].as_object().into_iter().flatten();
    add(&mut running, &overhead.map(|(name, value)| (name.clone(), millis(value))).collect());
    running
}

fn expression(expression: &Value, labels: &Value) -> bool {
    let value = labels[expression["key"].as_str().unwrap_or_default()].as_str();
    let listed = || items(&expression["values"]).any(|listed| listed.as_str() == value);
    let bound = || expression["values"][0].as_str().and_then(|bound| bound.parse::<i64>().ok());
    let number = || value.and_then(|value| value.parse::<i64>().ok());
    match expression["operator"].as_str().unwrap_or_default() {
        "In" => value.is_some() && listed(),
        "NotIn" => value.is_none() || !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => number().zip(bound()).is_some_and(|(number, bound)| number > bound),
        "Lt" => number().zip(bound()).is_some_and(|(number, bound)| number < bound),
        other => panic!("an unknown operator {other}"),
    }
}

/// Whether a label selector selects these labels. An absent selector selects nothing.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let exact = selector["matchLabels"].as_object().into_iter().flatten();
    !selector.is_null()
        && exact.into_iter().all(|(key, value)| &labels[key] == value)
        && items(&selector["matchExpressions"]).all(|one| expression(one, labels))
}

pub(crate) fn tolerated(pod: &Value, taint: &Value) -> bool {
    items(&pod["spec"]["tolerations"]).any(|toleration| {
        let effect = text(&toleration["effect"], "");
        let key = text(&toleration["key"], "");
        (effect.is_empty() || effect == text(&taint["effect"], ""))
            && (key.is_empty() || key == text(&taint["key"], ""))
            && (toleration["operator"] == "Exists" || text(&toleration["value"], "") == text(&taint["value"], ""))
    })
}

/// Whether a node selector term selects a node; one without conditions selects none.
pub(crate) fn term_selects(term: &Value, node: &Value) -> bool {
    let expressions: Vec<&Value> = items(&term["matchExpressions"]).collect();
    !expressions.is_empty() && expressions.into_iter().all(|one| expression(one, &node["metadata"]["labels"]))
}

impl<'a> Plain<'a> {
    pub(crate) fn pods_on(&self, node: &Value) -> impl Iterator<Item = &'a Value> {
        self.pods.iter().copied().filter(|pod| pod["spec"]["nodeName"].as_str() == Some(name(node)))
    }

    pub(crate) fn node_of(&self, pod: &Value) -> Option<&'a Value> {
        self.nodes.iter().find(|node| pod["spec"]["nodeName"].as_str() == Some(name(node)))
    }

    /// The first plugin that rejects a node.
    pub(crate) fn verdict(&self, node: &Value) -> Option<Rejection> {
        let never = |plugin, reason: &str| Some((NEVER, plugin, reason.to_owned()));
        let cordon = json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"});
        if node["spec"]["unschedulable"] == true && !tolerated(self.pending, &cordon) {
            return never("NodeUnschedulable", "node(s) were unschedulable");
        }
        if let Some(taint) = self.hard_taint(node) {
            let (key, value) = (text(&taint["key"], ""), text(&taint["value"], ""));
            return never("TaintToleration", &format!("node(s) had untolerated taint {{{key}: {value}}}"));
        }
        if !self.node_selected(node) {
            return never("NodeAffinity", "node(s) didn't match Pod's node affinity/selector");
        }
        let ports = self
            .ports(node)
            .then(|| (NOW, "NodePorts", "node(s) didn't have free ports for the requested pod ports".to_owned()));
        ports.or_else(|| self.resources(node)).or_else(|| self.spread(node)).or_else(|| self.affinity(node))
    }

    pub(crate) fn hard_taint<'n>(&self, node: &'n Value) -> Option<&'n Value> {
        items(&node["spec"]["taints"])
            .find(|taint| taint["effect"] != "PreferNoSchedule" && !tolerated(self.pending, taint))
    }

    pub(crate) fn node_selected(&self, node: &Value) -> bool {
        let spec = &self.pending["spec"];
        let mut exact = spec["nodeSelector"].as_object().into_iter().flatten();
        let required = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        exact.all(|(key, value)| &node["metadata"]["labels"][key] == value)
            && (required.is_null() || items(&required["nodeSelectorTerms"]).any(|term| term_selects(term, node)))
    }

    fn ports(&self, node: &Value) -> bool {
        fn of(pod: &Value) -> Vec<(&str, &str, i64)> {
            let containers = items(&pod["spec"]["containers"]);
            let sidecars = items(&pod["spec"]["initContainers"]).filter(|one| one["restartPolicy"] == "Always");
            let ports = containers.chain(sidecars).flat_map(|container| items(&container["ports"]));
            let host = ports.filter_map(|port| {
                let number = port["hostPort"].as_i64().filter(|number| *number > 0)?;
                Some((text(&port["hostIP"], "0.0.0.0"), text(&port["protocol"], "TCP"), number))
            });
            host.collect()
        }
        let wanted = of(self.pending);
        self.pods_on(node).flat_map(of).any(|taken| {
            wanted.iter().any(|port| {
                (port.1, port.2) == (taken.1, taken.2)
                    && (port.0 == taken.0 || port.0 == "0.0.0.0" || taken.0 == "0.0.0.0")
            })
        })
    }

    fn resources(&self, node: &Value) -> Option<Rejection> {
        let has = |name: &str| millis_or_zero(&node["status"]["allocatable"][name]);
        let mut reasons = Vec::new();
        let mut code = NOW;
        if (self.pods_on(node).count() as i64 + 1) * 1000 > has("pods") {
            reasons.push("Too many pods".to_owned());
        }
        let wanted = requests(self.pending, &[]);
        let order = |name: &str| ["cpu", "memory", "ephemeral-storage"].iter().position(|known| *known == name);
        let mut names: Vec<&String> = wanted.keys().filter(|name| wanted[*name] > 0).collect();
        names.sort_by_key(|name| (order(name).unwrap_or(3), *name));
        for name in names {
            let taken: i64 = self.pods_on(node).map(|pod| requests(pod, &[]).get(name).copied().unwrap_or(0)).sum();
            if wanted[name] > has(name) - taken {
                reasons.push(format!("Insufficient {name}"));
            }
            if wanted[name] > has(name) {
                code = NEVER;
            }
        }
        (!reasons.is_empty()).then(|| (code, "NodeResourcesFit", reasons.join(", ")))
    }

    /// Matching pods of a constraint on a node, and whether the node counts for it.
    pub(crate) fn constraint_counts(&self, constraint: &Value, node: &Value) -> bool {
        (constraint["nodeAffinityPolicy"] == "Ignore" || self.node_selected(node))
            && (constraint["nodeTaintsPolicy"] != "Honor" || self.hard_taint(node).is_none())
    }

    pub(crate) fn constraint_selects(&self, constraint: &Value, labels: &Value) -> bool {
        let mut keys = items(&constraint["matchLabelKeys"]).filter_map(Value::as_str);
        selects(&constraint["labelSelector"], labels)
            && keys.all(|key| label(self.pending, key).is_none_or(|own| labels[key] == own))
    }

    /// The pods on a node that a constraint counts.
    pub(crate) fn constraint_matches(&self, constraint: &Value, node: &Value) -> i64 {
        let matching = self.pods_on(node).filter(|pod| {
            namespace(pod) == namespace(self.pending)
                && pod["metadata"]["deletionTimestamp"].is_null()
                && self.constraint_selects(constraint, &pod["metadata"]["labels"])
        });
        matching.count() as i64
    }

    pub(crate) fn constraints(&self, when: &str) -> Vec<&'a Value> {
        items(&self.pending["spec"]["topologySpreadConstraints"])
            .filter(|constraint| constraint["whenUnsatisfiable"] == when)
            .collect()
    }

    fn spread(&self, node: &Value) -> Option<Rejection> {
        let hard = self.constraints("DoNotSchedule");
        let key = |constraint: &'a Value| text(&constraint["topologyKey"], "");
        for constraint in &hard {
            let Some(domain) = label(node, key(constraint)) else {
                let reason = "node(s) didn't match pod topology spread constraints (missing required label)";
                return Some((NEVER, "PodTopologySpread", reason.to_owned()));
            };
            let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
            for other in self.nodes {
                if hard.iter().all(|one| label(other, key(one)).is_some()) && self.constraint_counts(constraint, other)
                {
                    let value = label(other, key(constraint)).expect("every key was found");
                    *counts.entry(value).or_default() += self.constraint_matches(constraint, other);
                }
            }
            let enough = counts.len() as i64 >= constraint["minDomains"].as_i64().unwrap_or(1);
            let least = counts.values().copied().min().filter(|_| enough).unwrap_or(0);
            let own = i64::from(self.constraint_selects(constraint, &self.pending["metadata"]["labels"]));
            let skew = counts.get(domain).copied().unwrap_or(0) + own - least;
            if skew > constraint["maxSkew"].as_i64().unwrap_or(1) {
                let reason = "node(s) didn't match pod topology spread constraints";
                return Some((NOW, "PodTopologySpread", reason.to_owned()));
            }
        }
        None
    }

    /// Whether a term of `owner` selects a pod.
    pub(crate) fn affinity_selects(&self, owner: &Value, term: &Value, pod: &Value) -> bool {
        let named: Vec<&Value> = items(&term["namespaces"]).collect();
        let by_name = match (named.is_empty(), term["namespaceSelector"].is_null()) {
            (true, true) => namespace(owner) == namespace(pod),
            _ => named.iter().any(|named| named.as_str() == Some(namespace(pod))),
        };
        let home = self.namespaces.iter().find(|home| name(home) == namespace(pod));
        let by_label = home.is_some_and(|home| selects(&term["namespaceSelector"], &home["metadata"]["labels"]));
        (by_name || by_label) && selects(&term["labelSelector"], &pod["metadata"]["labels"])
    }

    /// Pods that `wanted` selects in the domain of a node.
    fn in_domain(&self, term: &Value, node: &Value, wanted: impl Fn(&Value) -> bool) -> Option<bool> {
        let key = text(&term["topologyKey"], "");
        let domain = label(node, key)?;
        let mut pods = self.pods.iter().filter(|pod| wanted(pod)).filter_map(|pod| self.node_of(pod));
        Some(pods.any(|other| label(other, key) == Some(domain)))
    }

    fn affinity(&self, node: &Value) -> Option<Rejection> {
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        let terms = |pod: &'a Value, kind: &str| items(&pod["spec"]["affinity"][kind][required]).collect::<Vec<_>>();
        let together = terms(self.pending, "podAffinity");
        let all = |pod: &Value| together.iter().all(|term| self.affinity_selects(self.pending, term, pod));
        let present = |term: &&Value| self.in_domain(term, node, all);
        let labelled = together.iter().all(|term| present(term).is_some());
        let joined = together.iter().all(|term| present(term) == Some(true));
        let anywhere =
            together.iter().any(|term| self.nodes.iter().any(|node| self.in_domain(term, node, all) == Some(true)));
        if !labelled || !(joined || !anywhere && all(self.pending)) {
            return Some((NEVER, "InterPodAffinity", "node(s) didn't match pod affinity rules".to_owned()));
        }
        let apart = terms(self.pending, "podAntiAffinity");
        let met = |term: &&Value| {
            self.in_domain(term, node, |pod| self.affinity_selects(self.pending, term, pod)) == Some(true)
        };
        if apart.iter().any(met) {
            return Some((NOW, "InterPodAffinity", "node(s) didn't match pod anti-affinity rules".to_owned()));
        }
        let refused = self.pods.iter().any(|pod| {
            terms(pod, "podAntiAffinity").iter().any(|term| {
                let key = text(&term["topologyKey"], "");
                let domain = self.node_of(pod).and_then(|home| label(home, key));
                domain.is_some() && domain == label(node, key) && self.affinity_selects(pod, term, self.pending)
            })
        });
        let reason = "node(s) didn't satisfy existing pods anti-affinity rules";
        refused.then(|| (NOW, "InterPodAffinity", reason.to_owned()))
    }
}

pub(crate) fn millis_or_zero(quantity: &Value) -> i64 {
    if quantity.is_null() { 0 } else { millis(quantity) }
}
