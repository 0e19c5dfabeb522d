//! For which nodes and zones endpoints are meant.
//!
//! A service whose `trafficDistribution` prefers what is close has its hints from [`slices`](super::slices) and
//! [`Index`](super::Index) already: each endpoint is meant for its own zone or node. One with the annotation
//! `service.kubernetes.io/topology-mode: Auto` wants as many endpoints for a zone as it has of the processors:
//! [`allot`] does that to all its slices.
//!
//! Source: `staging/src/k8s.io/endpointslice/{trafficdist,topologycache}`.

use std::collections::BTreeMap;

use crate::kinds::{Endpoint, EndpointHints, EndpointSlice, ForNode, ForZone, Node, Service};
use crate::quantity::Quantity;
use crate::wire::text::Text as _;

pub(super) const ZONE: &str = "topology.kubernetes.io/zone";
const MODES: [&str; 2] = ["service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"];
const NOT_COUNTED: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];
/// How much more than its share an endpoint may be asked for.
const OVERLOAD: f64 = 0.2;

/// Whether a service asks for its endpoints to be [allotted](allot) to zones.
pub fn wants_allotment(service: &Service) -> bool {
    let mode = MODES.iter().find_map(|name| service.metadata.annotations.get(*name));
    mode.is_some_and(|mode| mode == "Auto" || mode == "auto")
}

/// The hints of a ready endpoint of a service that prefers what is close.
pub(super) fn close(service: &Service, node: Option<&str>, zone: Option<&str>) -> Option<EndpointHints> {
    let preference = service.spec.traffic_distribution.text();
    if !matches!(preference, "PreferClose" | "PreferSameZone" | "PreferSameNode") || wants_allotment(service) {
        return None;
    }
    let node = node.filter(|_| preference == "PreferSameNode");
    if node.is_none() && zone.is_none() {
        return None;
    }
    let for_node = |name: &str| ForNode { name: Some(name.to_owned()), ..ForNode::default() };
    Some(EndpointHints {
        for_nodes: node.map(for_node).into_iter().collect(),
        for_zones: zone.map(for_zone).into_iter().collect(),
        ..EndpointHints::default()
    })
}

fn for_zone(name: &str) -> ForZone {
    ForZone { name: Some(name.to_owned()), ..ForZone::default() }
}

/// Which part of the processors each zone has.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Zones {
    shares: BTreeMap<String, f64>,
}

/// Why a service has no hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAllotted {
    /// A node tells no zone or no processors, or there are fewer than two zones.
    #[error("Insufficient Node information: allocatable CPU or zone not specified on one or more nodes")]
    Nodes,
    /// There are fewer ready endpoints than zones.
    #[error("Insufficient number of endpoints ({endpoints} endpoints, {zones} zones)")]
    TooFew {
        /// How many endpoints are ready.
        endpoints: usize,
        /// How many zones there are.
        zones: usize,
    },
    /// However they are spread, some endpoint is asked for too much.
    #[error(
        "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold ({endpoints} endpoints, {zones} zones)"
    )]
    Overload {
        /// How many endpoints are ready.
        endpoints: usize,
        /// How many zones there are.
        zones: usize,
    },
    /// The node of a ready endpoint tells no zone.
    #[error("One or more endpoints do not have a zone specified")]
    Endpoint,
}

impl Zones {
    /// Counts the ready nodes that are no control plane.
    ///
    /// Where one of them tells no zone or has no processors, or all are in one zone, nothing is known of any.
    pub fn of<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Self {
        let mut processors: BTreeMap<String, i64> = BTreeMap::new();
        for node in nodes.into_iter().filter(|node| counts(node)) {
            let zone = node.metadata.labels.get(ZONE).filter(|zone| !zone.is_empty());
            let millis = node.status.allocatable.get("cpu").and_then(Quantity::milli_value).filter(|cpu| *cpu > 0);
            let (Some(zone), Some(millis)) = (zone, millis) else { return Self::default() };
            let sum = processors.entry(zone.clone()).or_default();
            *sum = sum.saturating_add(millis);
        }
        if processors.len() < 2 {
            return Self::default();
        }
        #[expect(clippy::cast_precision_loss, reason = "a share is no exact number")]
        let part = |millis: i64| millis as f64;
        let all: f64 = processors.values().map(|millis| part(*millis)).sum();
        Self { shares: processors.into_iter().map(|(zone, millis)| (zone, part(millis) / all)).collect() }
    }

    /// How many of these endpoints each zone is to have, and at the least must have.
    fn desired(&self, endpoints: usize) -> Result<BTreeMap<&str, f64>, NotAllotted> {
        let zones = self.shares.len();
        if zones < 2 {
            return Err(NotAllotted::Nodes);
        }
        if zones > endpoints {
            return Err(NotAllotted::TooFew { endpoints, zones });
        }
        #[expect(clippy::cast_precision_loss, reason = "endpoints are few")]
        let count = endpoints as f64;
        let mut least = 0.0;
        let mut desired = BTreeMap::new();
        for (zone, share) in &self.shares {
            let wanted = share * count;
            let minimum = (wanted * (1.0 / (1.0 + OVERLOAD))).ceil();
            least += minimum;
            desired.insert(zone.as_str(), wanted.max(minimum));
        }
        if least > count { Err(NotAllotted::Overload { endpoints, zones }) } else { Ok(desired) }
    }
}

fn counts(node: &Node) -> bool {
    let ready = node.status.conditions.iter().find(|condition| condition.type_.text() == "Ready");
    ready.is_some_and(|ready| ready.status.text() == "True")
        && !NOT_COUNTED.iter().any(|label| node.metadata.labels.contains_key(*label))
}

/// Gives each ready endpoint a zone that it is meant for: its own, but where a zone has more than its share of the
/// processors asks for, those that are too many go to zones that have fewer.
///
/// The slices are all those of a service; each family of addresses is allotted for itself. Where zones are as good as
/// each other the first by name is taken.
///
/// # Errors
/// Why the endpoints of a family cannot be allotted; all hints are gone then.
pub fn allot(slices: &mut [EndpointSlice], zones: &Zones) -> Result<(), NotAllotted> {
    let mut families: Vec<Option<String>> = slices.iter().map(|slice| slice.address_type.clone()).collect();
    families.sort();
    families.dedup();
    for endpoint in slices.iter_mut().flat_map(|slice| &mut slice.endpoints) {
        endpoint.hints = None;
    }
    let mut hints = Vec::new();
    for family in families {
        let of_family = slices.iter().filter(|slice| slice.address_type == family);
        let spread = spread(of_family.flat_map(|slice| &slice.endpoints), zones)?;
        hints.push((family, spread));
    }
    for (family, hints) in hints {
        let of_family = slices.iter_mut().filter(|slice| slice.address_type == family);
        let ready = of_family.flat_map(|slice| &mut slice.endpoints).filter(|endpoint| is_ready(endpoint));
        for (endpoint, zone) in ready.zip(hints) {
            let hints = EndpointHints { for_zones: vec![for_zone(&zone)], ..EndpointHints::default() };
            endpoint.hints = Some(Box::new(hints));
        }
    }
    Ok(())
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.ready == Some(true)
}

/// The zone that each ready endpoint is meant for.
fn spread<'a>(endpoints: impl Iterator<Item = &'a Endpoint>, zones: &Zones) -> Result<Vec<String>, NotAllotted> {
    let ready: Vec<&Endpoint> = endpoints.filter(|endpoint| is_ready(endpoint)).collect();
    let desired = zones.desired(ready.len())?;
    let own = |endpoint: &&Endpoint| endpoint.zone.clone().filter(|zone| !zone.is_empty());
    let own: Option<Vec<String>> = ready.iter().map(own).collect();
    let mut own = own.ok_or(NotAllotted::Endpoint)?;
    let (mut giving, mut receiving) = exchange(&desired, &own);
    for zone in &mut own {
        let Some(left) = giving.get_mut(zone.as_str()).filter(|left| **left > 0) else { continue };
        let Some((receiver, wanted)) = receiving.iter_mut().find(|(_, wanted)| **wanted > 0) else { break };
        *left -= 1;
        *wanted -= 1;
        (*receiver).clone_into(zone);
    }
    Ok(own)
}

type Moves<'a> = BTreeMap<&'a str, usize>;

/// How many endpoints which zones give, and which receive.
fn exchange<'a>(desired: &BTreeMap<&'a str, f64>, own: &[String]) -> (Moves<'a>, Moves<'a>) {
    let (mut surplus, mut want) = (BTreeMap::new(), BTreeMap::new());
    for (zone, desired) in desired {
        #[expect(clippy::cast_precision_loss, reason = "endpoints are few")]
        let has = own.iter().filter(|own| own == zone).count() as f64;
        if has > *desired {
            surplus.insert(*zone, has - desired);
        } else if has < *desired {
            want.insert(*zone, desired - has);
        }
    }
    let (mut giving, mut receiving) = (Moves::new(), Moves::new());
    while let (Some((giver, gives)), Some((receiver, receives))) = (most(&surplus), most(&want))
        && (gives >= 1.0 || receives >= 1.0)
        && gives >= 0.5
        && receives >= 0.5
    {
        *giving.entry(giver).or_default() += 1;
        *receiving.entry(receiver).or_default() += 1;
        surplus.insert(giver, gives - 1.0);
        want.insert(receiver, receives - 1.0);
    }
    (giving, receiving)
}

fn most<'a>(zones: &BTreeMap<&'a str, f64>) -> Option<(&'a str, f64)> {
    let mut most = None;
    for (zone, count) in zones {
        if *count > most.map_or(0.0, |(_, most)| most) {
            most = Some((*zone, *count));
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::{NotAllotted, Zones, allot, wants_allotment};
    use crate::kinds::{Endpoint, EndpointConditions, EndpointSlice, Node, Service};
    use crate::object::decode::decode_yaml_as;

    fn node(zone: &str, cpu: &str) -> Node {
        let text = format!(
            "{{metadata: {{labels: {{topology.kubernetes.io/zone: '{zone}'}}}}, status: {{allocatable: {{cpu: {cpu}}}, \
             conditions: [{{type: Ready, status: 'True'}}]}}}}"
        );
        decode_yaml_as(text.as_bytes()).unwrap()
    }

    fn endpoints(zones: &[(&str, usize)]) -> Vec<Endpoint> {
        let of_zone = |(zone, count): &(&str, usize)| {
            let conditions = EndpointConditions { ready: Some(true), ..EndpointConditions::default() };
            let endpoint = Endpoint { zone: Some((*zone).to_owned()), conditions, ..Endpoint::default() };
            vec![endpoint; *count]
        };
        zones.iter().flat_map(of_zone).collect()
    }

    fn hints(slices: &[EndpointSlice]) -> Vec<(String, usize)> {
        let mut hints = std::collections::BTreeMap::new();
        for hint in slices.iter().flat_map(|slice| &slice.endpoints).filter_map(|endpoint| endpoint.hints.as_ref()) {
            *hints.entry(hint.for_zones[0].name.clone().unwrap()).or_default() += 1;
        }
        hints.into_iter().collect()
    }

    /// Cases of the original's own table (`TestAddHints`).
    #[test]
    fn endpoints_are_spread_as_processors_are() {
        let nodes =
            |zones: &[(&str, &str)]| Zones::of(&zones.iter().map(|(zone, cpu)| node(zone, cpu)).collect::<Vec<_>>());
        let three = [("a", "1000m"), ("b", "1000m"), ("c", "1000m")];
        for (zones, given, expected) in [
            (&three[..2], &[("a", 1), ("b", 1)][..], Ok(vec![("a", 1), ("b", 1)])),
            (&three[..], &[("a", 1), ("b", 1), ("c", 1)][..], Ok(vec![("a", 1), ("b", 1), ("c", 1)])),
            (&three[..2], &[("a", 1)][..], Err(NotAllotted::TooFew { endpoints: 1, zones: 2 })),
            (&three[..1], &[("a", 2)][..], Err(NotAllotted::Nodes)),
            (&three[..2], &[("a", 4), ("b", 0)][..], Ok(vec![("a", 2), ("b", 2)])),
            (&[("a", "4000m"), ("b", "1000m")][..], &[("a", 1), ("b", 4)][..], Ok(vec![("a", 4), ("b", 1)])),
        ] {
            let mut slices = [EndpointSlice { endpoints: endpoints(given), ..EndpointSlice::default() }];
            let expected =
                expected.map(|expected| expected.into_iter().map(|(zone, n)| (zone.to_owned(), n)).collect());
            assert_eq!(allot(&mut slices, &nodes(zones)).map(|()| hints(&slices)), expected, "{zones:?} {given:?}");
        }
        let mut nowhere = [EndpointSlice { endpoints: endpoints(&[("", 3)]), ..EndpointSlice::default() }];
        assert_eq!(allot(&mut nowhere, &nodes(&three)), Err(NotAllotted::Endpoint));
    }

    #[test]
    fn nodes_that_say_too_little_make_no_shares() {
        let mut nodes = vec![node("a", "1"), node("b", "1"), node("", "1")];
        assert_eq!(Zones::of(&nodes), Zones::default());
        // A control plane is not counted, and so need not say anything.
        nodes[2].metadata.labels.insert("node-role.kubernetes.io/control-plane".to_owned(), String::new());
        assert_eq!(Zones::of(&nodes).shares.len(), 2);
        nodes[1].status.conditions.clear();
        assert_eq!(Zones::of(&nodes), Zones::default(), "one zone is not spread over");
    }

    #[test]
    fn the_annotation_asks() {
        for (annotations, wants) in [
            ("{service.kubernetes.io/topology-mode: Auto}", true),
            (
                "{service.kubernetes.io/topology-aware-hints: disabled, service.kubernetes.io/topology-mode: Auto}",
                false,
            ),
            ("{}", false),
        ] {
            let text = format!("{{metadata: {{annotations: {annotations}}}}}");
            let service: Service = decode_yaml_as(text.as_bytes()).unwrap();
            assert_eq!(wants_allotment(&service), wants, "{annotations}");
        }
    }
}
