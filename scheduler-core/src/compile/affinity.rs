//! Labels and the terms that select by them: node affinity, pod affinity, spread, tolerations.

use super::wire;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::intern::{Interner, Symbol};
use crate::labels::{Labels, NodeRequirement, NodeTerm, Requirement, Selector};
use crate::request::{AffinityTerm, InclusionPolicy, PodAffinity, SpreadConstraint, WhenUnsatisfiable};
use crate::taint::Toleration;
use crate::topology::TopologyId;

/// What a pod says about nodes and about other pods.
pub(super) struct Terms {
    pub(super) tolerations: Box<[Toleration]>,
    pub(super) node_required: Option<Box<[NodeTerm]>>,
    pub(super) node_preferred: Box<[(i64, NodeTerm)]>,
    pub(super) affinity: PodAffinity,
    pub(super) anti_affinity: PodAffinity,
    pub(super) spread: Box<[SpreadConstraint]>,
}

/// The pod that terms belong to.
#[derive(Clone, Copy)]
struct Owner<'a> {
    namespace: Symbol,
    labels: &'a Labels,
}

/// Compiles every item of a list, with its index in the path of an error.
fn each<T, U>(name: &str, items: &[T], mut compile: impl FnMut(&T) -> Result<U>) -> Result<Box<[U]>> {
    let items = items.iter().enumerate();
    items.map(|(index, item)| compile(item).map_err(|error| error.within(format_args!("{name}[{index}]")))).collect()
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn compile(
    cluster: &mut Cluster,
    spec: &wire::PodSpec,
    labels: &Labels,
    namespace: Symbol,
) -> Result<Terms> {
    let owner = Owner { namespace, labels };
    let mut terms = Terms {
        tolerations: each("tolerations", &spec.tolerations, |item| toleration(&mut cluster.interner, item))?,
        node_required: None,
        node_preferred: Box::default(),
        affinity: PodAffinity::default(),
        anti_affinity: PodAffinity::default(),
        spread: each("topologySpreadConstraints", &spec.topology_spread_constraints, |item| {
            spread(cluster, owner, item)
        })?,
    };
    let Some(affinity) = &spec.affinity else { return Ok(terms) };
    if let Some(node) = &affinity.node_affinity {
        node_affinity(cluster, node, &mut terms).map_err(|error| error.within("affinity.nodeAffinity"))?;
    }
    if let Some(pods) = &affinity.pod_affinity {
        let required = &pods.required_during_scheduling_ignored_during_execution;
        let preferred = &pods.preferred_during_scheduling_ignored_during_execution;
        terms.affinity =
            pod_affinity(cluster, owner, required, preferred).map_err(|error| error.within("affinity.podAffinity"))?;
    }
    if let Some(pods) = &affinity.pod_anti_affinity {
        let required = &pods.required_during_scheduling_ignored_during_execution;
        let preferred = &pods.preferred_during_scheduling_ignored_during_execution;
        terms.anti_affinity = pod_affinity(cluster, owner, required, preferred)
            .map_err(|error| error.within("affinity.podAntiAffinity"))?;
    }
    Ok(terms)
}

fn toleration(interner: &mut Interner, toleration: &wire::Toleration) -> Result<Toleration> {
    let key = toleration.key.as_deref().filter(|key| !key.is_empty());
    let value = match toleration.operator.as_deref() {
        None | Some("" | "Equal") => Some(interner.intern(toleration.value.as_deref().unwrap_or_default())),
        Some("Exists") => None,
        Some(other) => return Err(Error::invalid("operator", other, "Equal or Exists is meant")),
    };
    let effect = toleration.effect.as_deref().filter(|effect| !effect.is_empty());
    Ok(Toleration { key: key.map(|key| interner.intern(key)), value, effect: effect.map(super::effect).transpose()? })
}

fn node_affinity(cluster: &mut Cluster, affinity: &wire::NodeAffinity, terms: &mut Terms) -> Result<()> {
    let interner = &mut cluster.interner;
    if let Some(required) = &affinity.required_during_scheduling_ignored_during_execution {
        let compiled = each("nodeSelectorTerms", &required.node_selector_terms, |term| node_term(interner, term));
        terms.node_required = Some(compiled.map_err(|error| error.within(REQUIRED))?);
    }
    let preferred = &affinity.preferred_during_scheduling_ignored_during_execution;
    terms.node_preferred = each(PREFERRED, preferred, |preferred| {
        let term = node_term(interner, &preferred.preference).map_err(|error| error.within("preference"))?;
        Ok((weight(preferred.weight)?, term))
    })?;
    Ok(())
}

/// Kubernetes takes weights from 1 to 100; 0 is what an absent one reads as.
fn weight(weight: Option<i32>) -> Result<i64> {
    let weight = weight.unwrap_or(0);
    if !(0..=100).contains(&weight) {
        return Err(Error::invalid("weight", weight.to_string(), "a weight lies between 1 and 100"));
    }
    Ok(i64::from(weight))
}

fn node_term(interner: &mut Interner, term: &wire::NodeSelectorTerm) -> Result<NodeTerm> {
    let labels = each("matchExpressions", &term.match_expressions, |item| node_requirement(interner, item))?;
    let fields = each("matchFields", &term.match_fields, |item| field_requirement(interner, item))?;
    Ok(NodeTerm(labels.into_iter().chain(fields).collect()))
}

fn node_requirement(interner: &mut Interner, item: &wire::NodeSelectorRequirement) -> Result<NodeRequirement> {
    let key = item.key.as_deref().unwrap_or_default();
    let operator = item.operator.as_deref().unwrap_or_default();
    if let "Gt" | "Lt" = operator {
        let bound = match &item.values[..] {
            [value] => value.parse().map_err(|_| Error::invalid("values[0]", value, "an integer is meant")),
            values => Err(Error::invalid("values", format!("{values:?}"), "Gt and Lt take one value")),
        }?;
        let key = interner.intern(key);
        return Ok(match operator {
            "Gt" => NodeRequirement::GreaterThan(key, bound),
            _ => NodeRequirement::LessThan(key, bound),
        });
    }
    requirement(interner, key, operator, &item.values).map(NodeRequirement::Label)
}

fn field_requirement(interner: &mut Interner, item: &wire::NodeSelectorRequirement) -> Result<NodeRequirement> {
    let key = item.key.as_deref().unwrap_or_default();
    if key != "metadata.name" {
        return Err(Error::invalid("key", key, "metadata.name is the only field to match"));
    }
    let names = item.values.iter().map(|name| interner.intern(name)).collect();
    match item.operator.as_deref().unwrap_or_default() {
        "In" => Ok(NodeRequirement::NameIn(names)),
        "NotIn" => Ok(NodeRequirement::NameNotIn(names)),
        other => Err(Error::invalid("operator", other, "In or NotIn is meant")),
    }
}

fn requirement(interner: &mut Interner, key: &str, operator: &str, values: &[String]) -> Result<Requirement> {
    let key = interner.intern(key);
    match (operator, values) {
        ("In" | "NotIn", []) => Err(Error::invalid("values", "[]", "In and NotIn need a value")),
        ("Exists" | "DoesNotExist", [_, ..]) => {
            Err(Error::invalid("values", format!("{values:?}"), "Exists and DoesNotExist take no value"))
        }
        ("In", values) => Ok(Requirement::In(key, values.iter().map(|value| interner.intern(value)).collect())),
        ("NotIn", values) => Ok(Requirement::NotIn(key, values.iter().map(|value| interner.intern(value)).collect())),
        ("Exists", []) => Ok(Requirement::Exists(key)),
        ("DoesNotExist", []) => Ok(Requirement::DoesNotExist(key)),
        (other, _) => Err(Error::invalid("operator", other, "no such operator")),
    }
}

/// A label selector; an absent one selects nothing.
pub(super) fn selector(interner: &mut Interner, selector: Option<&wire::LabelSelector>) -> Result<Selector> {
    let Some(selector) = selector else { return Ok(Selector::Nothing) };
    let mut requirements = Vec::new();
    for (key, value) in &selector.match_labels {
        requirements.push(Requirement::In(interner.intern(key), [interner.intern(value)].into()));
    }
    let expressions = each("matchExpressions", &selector.match_expressions, |item| {
        let operator = item.operator.as_deref().unwrap_or_default();
        requirement(interner, item.key.as_deref().unwrap_or_default(), operator, &item.values)
    })?;
    requirements.extend(expressions);
    Ok(Selector::All(requirements.into()))
}

/// The pod's own values of some label keys; keys that it does not have are left out.
fn own_values<'a>(interner: &Interner, owner: Owner<'a>, keys: &'a [String]) -> Vec<(Symbol, Symbol)> {
    let keys = keys.iter().filter_map(|key| interner.get(key));
    keys.filter_map(|key| Some((key, owner.labels.get(key)?))).collect()
}

fn topology(cluster: &mut Cluster, key: Option<&str>) -> Result<TopologyId> {
    let key = key.filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| Error::invalid("topologyKey", "", "a topology key is needed"))?;
    let key = cluster.interner.intern(key);
    let limit = usize::from(u16::MAX);
    let registered = cluster.nodes.register_topology(key);
    registered.ok_or_else(|| Error::LimitExceeded { field: "topologyKey".to_owned(), limit })
}

fn pod_affinity(
    cluster: &mut Cluster,
    owner: Owner<'_>,
    required: &[wire::PodAffinityTerm],
    preferred: &[wire::WeightedPodAffinityTerm],
) -> Result<PodAffinity> {
    Ok(PodAffinity {
        required: each(REQUIRED, required, |item| affinity_term(cluster, owner, item))?,
        preferred: each(PREFERRED, preferred, |item| {
            let term = affinity_term(cluster, owner, &item.pod_affinity_term);
            Ok((weight(item.weight)?, term.map_err(|error| error.within("podAffinityTerm"))?))
        })?,
    })
}

fn affinity_term(cluster: &mut Cluster, owner: Owner<'_>, term: &wire::PodAffinityTerm) -> Result<AffinityTerm> {
    let interner = &mut cluster.interner;
    let mut pods = selector(interner, term.label_selector.as_deref()).map_err(|error| error.within("labelSelector"))?;
    if pods != Selector::Nothing {
        let matching = own_values(interner, owner, &term.match_label_keys).into_iter();
        let mismatching = own_values(interner, owner, &term.mismatch_label_keys).into_iter();
        let matching = matching.map(|(key, value)| Requirement::In(key, [value].into()));
        let mismatching = mismatching.map(|(key, value)| Requirement::NotIn(key, [value].into()));
        pods = pods.and(matching.chain(mismatching).collect());
    }
    let namespaces = match (&term.namespaces[..], &term.namespace_selector) {
        ([], None) => [owner.namespace].into(),
        (names, _) => names.iter().map(|name| interner.intern(name)).collect(),
    };
    let namespace_selector = selector(interner, term.namespace_selector.as_deref());
    Ok(AffinityTerm {
        namespaces,
        namespace_selector: namespace_selector.map_err(|error| error.within("namespaceSelector"))?,
        selector: pods,
        topology: topology(cluster, term.topology_key.as_deref())?,
    })
}

fn spread(cluster: &mut Cluster, owner: Owner<'_>, item: &wire::TopologySpreadConstraint) -> Result<SpreadConstraint> {
    let interner = &mut cluster.interner;
    let pods = selector(interner, item.label_selector.as_deref()).map_err(|error| error.within("labelSelector"))?;
    let own = own_values(interner, owner, &item.match_label_keys).into_iter();
    let at_least_one = |name: &str, value: i32| match value {
        1.. => Ok(i64::from(value)),
        _ => Err(Error::invalid(name, value.to_string(), "a positive number is meant")),
    };
    Ok(SpreadConstraint {
        max_skew: at_least_one("maxSkew", item.max_skew.unwrap_or(0))?,
        min_domains: at_least_one("minDomains", item.min_domains.unwrap_or(1))?,
        selector: pods.and(own.map(|(key, value)| Requirement::In(key, [value].into())).collect()),
        when: match item.when_unsatisfiable.as_deref().unwrap_or_default() {
            "" | "DoNotSchedule" => WhenUnsatisfiable::DoNotSchedule,
            "ScheduleAnyway" => WhenUnsatisfiable::ScheduleAnyway,
            other => {
                let reason = "DoNotSchedule or ScheduleAnyway is meant";
                return Err(Error::invalid("whenUnsatisfiable", other, reason));
            }
        },
        node_affinity: inclusion("nodeAffinityPolicy", item.node_affinity_policy.as_deref(), InclusionPolicy::Honor)?,
        node_taints: inclusion("nodeTaintsPolicy", item.node_taints_policy.as_deref(), InclusionPolicy::Ignore)?,
        topology: topology(cluster, item.topology_key.as_deref())?,
    })
}

fn inclusion(field: &str, text: Option<&str>, unset: InclusionPolicy) -> Result<InclusionPolicy> {
    match text {
        None | Some("") => Ok(unset),
        Some("Honor") => Ok(InclusionPolicy::Honor),
        Some("Ignore") => Ok(InclusionPolicy::Ignore),
        Some(other) => Err(Error::invalid(field, other, "Honor or Ignore is meant")),
    }
}
