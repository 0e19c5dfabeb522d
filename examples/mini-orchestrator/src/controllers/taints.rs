//! Taints that keep new pods off nodes that are cordoned or not ready.

use windlass_pod::kinds::{Node, Taint};

use super::action::{Action, Outcome};
use super::view::View;
use crate::registry::Key;

const CORDONED: &str = "node.kubernetes.io/unschedulable";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// The taints that this controller alone sets and removes.
const OURS: &[&str] = &[CORDONED, NOT_READY, UNREACHABLE];

/// Sets the taints that a node's state calls for.
pub(super) fn reconcile(key: &Key, view: View<'_>) -> Outcome {
    let Some(node) = view.nodes.get(key) else {
        return Outcome::default();
    };
    let called_for = called_for(node);
    let is_ours = |taint: &&Taint| OURS.contains(&taint.key.as_deref().unwrap_or_default());
    let set = node.spec.taints.iter().filter(is_ours).map(|taint| (taint.key.as_deref(), taint.effect.as_deref()));
    if set.eq(called_for.iter().map(|key| (Some(*key), Some("NoSchedule")))) {
        return Outcome::default();
    }
    let taint =
        |key: &str| Taint { key: Some(key.to_owned()), effect: Some("NoSchedule".to_owned()), ..Taint::default() };
    let taints = called_for.into_iter().map(taint).collect();
    Outcome::of(vec![Action::SetTaints { node: key.clone(), keys: OURS, taints }])
}

fn called_for(node: &Node) -> Vec<&'static str> {
    let ready = node.status.conditions.iter().find(|condition| condition.type_.as_deref() == Some("Ready"));
    let is_cordoned = node.spec.unschedulable == Some(true);
    let state = match ready.and_then(|ready| ready.status.as_deref()) {
        // A node that never said so has just been made: its agent will.
        None | Some("True") => None,
        Some("False") => Some(NOT_READY),
        Some(_) => Some(UNREACHABLE),
    };
    is_cordoned.then_some(CORDONED).into_iter().chain(state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::fixture::Cluster;

    /// The keys of the taints to set; `None` when nothing is to be done.
    fn set(spec: &str, ready: &str) -> Option<Vec<String>> {
        let cluster = Cluster::new(&format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: n1}}, spec: {{{spec}}}, status: {{conditions: [{ready}]}}}}"
        ));
        let outcome = reconcile(&Key::cluster("n1"), cluster.view());
        match outcome.stages.concat().pop()? {
            Action::SetTaints { taints, .. } => Some(taints.into_iter().filter_map(|taint| taint.key).collect()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_state_of_a_node_calls_for_its_taints_and_no_more() {
        let (yes, no, lost) =
            ("{type: Ready, status: 'True'}", "{type: Ready, status: 'False'}", "{type: Ready, status: Unknown}");
        let taint = |key: &str| format!("taints: [{{key: {key}, effect: NoSchedule}}]");
        let cases = [
            (String::new(), yes, None),
            (String::new(), "", None),
            ("unschedulable: true".to_owned(), yes, Some(vec![CORDONED])),
            (String::new(), no, Some(vec![NOT_READY])),
            (String::new(), lost, Some(vec![UNREACHABLE])),
            ("unschedulable: true".to_owned(), no, Some(vec![CORDONED, NOT_READY])),
            (taint(CORDONED), yes, Some(vec![])),
            (taint(NOT_READY), no, None),
            (taint(NOT_READY), lost, Some(vec![UNREACHABLE])),
            (taint("mine"), yes, None),
        ];
        for (spec, ready, expected) in cases {
            let expected = expected.map(|keys| keys.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(set(&spec, ready), expected, "{spec} {ready}");
        }
    }

    #[test]
    fn a_node_that_is_gone_needs_nothing() {
        assert_eq!(reconcile(&Key::cluster("n1"), Cluster::default().view()), Outcome::default());
    }
}
