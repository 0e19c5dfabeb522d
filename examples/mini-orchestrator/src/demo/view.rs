//! What the demo looks at in objects.

use windlass_pod::kinds::{ContainerStatus, EndpointSlice, Pod};

use super::output::board::PodRow;
use crate::registry::Key;

/// The key of a pod.
pub(super) fn key(pod: &Pod) -> Key {
    Key::of(pod)
}

/// The uid, which tells a pod from a later one of the same name.
pub(super) fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// Its address, once it has one.
pub(super) fn address(pod: &Pod) -> Option<&str> {
    pod.status.pod_ip.as_deref().filter(|ip| !ip.is_empty())
}

/// The node it is on, or nothing.
pub(super) fn node(pod: &Pod) -> &str {
    pod.spec.node_name.as_deref().unwrap_or_default()
}

/// Whether it is meant to stay.
pub(super) fn stays(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none()
}

/// Whether it says of itself that it can serve.
pub(super) fn is_ready(pod: &Pod) -> bool {
    stays(pod)
        && pod
            .status
            .conditions
            .iter()
            .any(|condition| condition.type_.as_deref() == Some("Ready") && condition.status.as_deref() == Some("True"))
}

/// The state of one of its containers.
pub(super) fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    pod.status.container_statuses.iter().find(|status| status.name.as_deref() == Some(name))
}

/// How often one of its containers was started again.
pub(super) fn restarts(pod: &Pod, name: &str) -> i32 {
    container(pod, name).and_then(|status| status.restart_count).unwrap_or(0)
}

/// Why a container ended last, with its exit code.
pub(super) fn last_end<'a>(pod: &'a Pod, name: &str) -> Option<(&'a str, i32)> {
    let status = container(pod, name)?;
    let terminated = status.last_state.terminated.as_deref().or(status.state.terminated.as_deref())?;
    Some((terminated.reason.as_deref().unwrap_or_default(), terminated.exit_code.unwrap_or_default()))
}

/// The addresses of a service's endpoints that are ready, in order.
pub(super) fn endpoints(slices: &[EndpointSlice], service: &Key) -> Vec<String> {
    let of_service = |slice: &&EndpointSlice| {
        slice.metadata.namespace.as_deref() == Some(&service.namespace)
            && slice.metadata.labels.get("kubernetes.io/service-name") == Some(&service.name)
    };
    let ready = slices.iter().filter(of_service).flat_map(|slice| &slice.endpoints).filter(|endpoint| {
        // Unknown counts as ready, says Kubernetes.
        endpoint.conditions.ready != Some(false)
    });
    let mut addresses: Vec<String> = ready.flat_map(|endpoint| endpoint.addresses.iter().cloned()).collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

/// What keeps a pod from being ready, in its own words; nothing for one that is.
pub(super) fn trouble(pod: &Pod) -> String {
    if is_ready(pod) {
        return "ready".to_owned();
    }
    let waiting = pod.status.container_statuses.iter().filter_map(|status| status.state.waiting.as_deref());
    let words = waiting.flat_map(|waiting| [waiting.reason.as_deref(), waiting.message.as_deref()]).flatten();
    let words: Vec<&str> = words.chain(pod.status.message.as_deref()).collect();
    if words.is_empty() { state(pod) } else { words.join(", ") }
}

/// A pod's line of the table.
pub(super) fn row(pod: &Pod) -> PodRow {
    let statuses = &pod.status.container_statuses;
    PodRow {
        name: pod.metadata.name.clone().unwrap_or_default(),
        node: node(pod).to_owned(),
        address: address(pod).unwrap_or("-").to_owned(),
        ready: (statuses.iter().filter(|status| status.ready == Some(true)).count(), pod.spec.containers.len()),
        restarts: statuses.iter().filter_map(|status| status.restart_count).map(i32::cast_unsigned).sum(),
        state: state(pod),
    }
}

/// The most telling word of a pod's state, as `kubectl get` chooses it.
fn state(pod: &Pod) -> String {
    if !stays(pod) {
        return "Terminating".to_owned();
    }
    let mut waiting = pod.status.container_statuses.iter().filter_map(|status| {
        let waiting = status.state.waiting.as_deref().and_then(|waiting| waiting.reason.as_deref());
        waiting.or_else(|| status.state.terminated.as_deref().and_then(|terminated| terminated.reason.as_deref()))
    });
    waiting.next_back().or(pod.status.phase.as_deref()).unwrap_or("Pending").to_owned()
}
