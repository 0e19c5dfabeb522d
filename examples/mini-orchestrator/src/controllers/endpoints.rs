//! The endpoint slices of services.

use std::collections::BTreeSet;

use windlass_pod::endpoints::{self, Options};
use windlass_pod::kinds::{EndpointSlice, Service};
use windlass_pod::{Kind as _, Object};

use super::action::{Action, Outcome};
use super::view::{View, within};
use super::work::SERVICE_NAME;
use crate::registry::Key;

/// The label by which a slice says who keeps it, and what ours say.
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const CONTROLLER: &str = "endpointslice-controller.k8s.io";

/// Makes a service's slices tell who answers for it; a service that is gone has none.
pub(super) fn reconcile(key: &Key, view: View<'_>) -> Outcome {
    let mut found: Vec<&EndpointSlice> = within(view.slices, key)
        .map(|(_, slice)| &**slice)
        .filter(|slice| label(slice, SERVICE_NAME) == Some(&key.name) && label(slice, MANAGED_BY) == Some(CONTROLLER))
        .collect();
    let (wanted, mut actions) = match view.services.get(key) {
        Some(service) if service.metadata.deletion_timestamp.is_none() => wanted(service, key, view),
        _ => (Vec::new(), Vec::new()),
    };
    for slice in wanted {
        actions.extend(match take_alike(&mut found, &slice) {
            None => Some(Action::CreateSlice(Box::new(slice))),
            Some(kept) if is_same(kept, &slice) => None,
            Some(kept) => Some(Action::UpdateSlice { key: Key::of(kept), slice: Box::new(slice) }),
        });
    }
    actions.extend(
        found.into_iter().map(|slice| Action::DeleteSlice {
            key: Key::of(slice),
            uid: slice.metadata.uid.clone().unwrap_or_default(),
        }),
    );
    Outcome::of(actions)
}

/// The slices that should be there, and warnings about pods that cannot be in one.
fn wanted(service: &Service, key: &Key, view: View<'_>) -> (Vec<EndpointSlice>, Vec<Action>) {
    let pods = within(view.pods, key).map(|(_, pod)| &**pod);
    let node = |name: &str| view.nodes.get(&Key::cluster(name)).map(|node| &**node);
    let wanted = endpoints::slices(service, pods, node, &Options::default());
    let warn = |skipped: endpoints::Skipped| Action::Warn {
        about: Box::new(Object::from(service.clone())),
        reason: "FailedToUpdateEndpointSlices",
        message: skipped.to_string(),
    };
    (wanted.slices, wanted.skipped.into_iter().map(warn).collect())
}

/// Takes out a slice that can become this one with the least change; the family of a slice never changes.
fn take_alike<'a>(found: &mut Vec<&'a EndpointSlice>, wanted: &EndpointSlice) -> Option<&'a EndpointSlice> {
    let in_family = |slice: &&EndpointSlice| slice.address_type == wanted.address_type;
    let shared = |slice: &EndpointSlice| {
        let addresses: BTreeSet<_> = slice.endpoints.iter().map(|endpoint| &endpoint.addresses).collect();
        wanted.endpoints.iter().filter(|endpoint| addresses.contains(&endpoint.addresses)).count()
    };
    let best = found
        .iter()
        .enumerate()
        .filter(|(_, slice)| in_family(slice))
        .max_by_key(|(index, slice)| (slice.ports == wanted.ports, shared(slice), std::cmp::Reverse(*index)));
    best.map(|(index, _)| index).map(|index| found.remove(index))
}

fn is_same(kept: &EndpointSlice, wanted: &EndpointSlice) -> bool {
    kept.endpoints == wanted.endpoints
        && kept.ports == wanted.ports
        && kept.metadata.labels == wanted.metadata.labels
        && kept.metadata.owner_references == wanted.metadata.owner_references
}

fn label<'a>(slice: &'a EndpointSlice, key: &str) -> Option<&'a str> {
    slice.metadata().labels.get(key).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::fixture::object;

    fn slice(name: &str, port: u16, addresses: &[&str]) -> EndpointSlice {
        let endpoints: Vec<String> = addresses.iter().map(|address| format!("{{addresses: ['{address}']}}")).collect();
        let text = format!(
            "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: {name}}}, addressType: IPv4, ports: \
             [{{name: http, port: {port}}}], endpoints: [{}]}}",
            endpoints.join(", ")
        );
        EndpointSlice::clone(&object(&text))
    }

    #[test]
    fn the_slice_that_changes_least_is_kept() {
        let (a, b, c) = (slice("a", 80, &["10.0.0.1"]), slice("b", 80, &["10.0.0.2", "10.0.0.3"]), slice("c", 81, &[]));
        let mut v6 = slice("d", 80, &["10.0.0.2", "10.0.0.3"]);
        v6.address_type = Some("IPv6".to_owned());
        let mut found = vec![&v6, &c, &a, &b];
        let wanted =
            [slice("", 80, &["10.0.0.3", "10.0.0.4"]), slice("", 81, &["10.0.0.1"]), slice("", 82, &["10.0.0.9"])];
        let mut kept = || wanted.iter().map(|wanted| take_alike(&mut found, wanted).map(EndpointSlice::name)).collect();
        let names: Vec<Option<&str>> = kept();
        assert_eq!(names, [Some("b"), Some("c"), Some("a")]);
        assert_eq!(take_alike(&mut found, &wanted[0]), None, "a family never changes");
    }
}
