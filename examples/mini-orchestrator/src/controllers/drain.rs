//! Taking a node out of service: no new pods, then no pods.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use windlass_pod::kinds::{Node, Pod};

use crate::registry::{Error, Grace, Key, Mirror, Registry, Scope};

/// What becomes of pods that no controller would replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmanaged {
    /// They keep the node from being drained.
    Refuse,
    /// They are removed for good.
    Evict,
    /// They stay.
    Leave,
}

/// Why a node was not drained. It stays cordoned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrainError {
    /// Pods that no controller would replace are on the node; none was removed.
    #[error("node {node}: pods without a controller: {}", join(pods))]
    Unmanaged {
        /// The node.
        node: String,
        /// The pods.
        pods: Vec<Key>,
    },
    /// Pods were still there when the time was over.
    #[error("node {node}: still there after {waited:?}: {}", join(pods))]
    Timeout {
        /// The node.
        node: String,
        /// The pods.
        pods: Vec<Key>,
        /// How long it was waited for them.
        waited: Duration,
    },
    /// The registry refused or failed.
    #[error(transparent)]
    Registry(#[from] Error),
}

fn join(keys: &[Key]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Keeps new pods off a node.
///
/// # Errors
/// Those of [`Registry::update`].
pub async fn cordon(registry: &Registry, node: &str) -> Result<(), Error> {
    registry
        .update(&Key::cluster(node), |node: &mut Node| {
            node.spec.unschedulable = Some(true);
        })
        .await
        .map(drop)
}

/// Lets new pods on a node again.
///
/// # Errors
/// Those of [`Registry::update`].
pub async fn uncordon(registry: &Registry, node: &str) -> Result<(), Error> {
    registry
        .update(&Key::cluster(node), |node: &mut Node| {
            node.spec.unschedulable = None;
        })
        .await
        .map(drop)
}

/// Cordons a node, evicts its pods with the time that they ask for, and waits until they are gone; returns them.
///
/// # Errors
/// [`DrainError`]; the node stays cordoned.
pub async fn drain(
    registry: &Registry,
    node: &str,
    unmanaged: Unmanaged,
    patience: Duration,
) -> Result<Vec<Key>, DrainError> {
    cordon(registry, node).await?;
    let mut pods = registry.mirror::<Pod>(Scope::All).await?;
    pods.catch_up().await?;
    plan(pods.objects(), node, unmanaged).map_err(|pods| DrainError::Unmanaged { node: node.to_owned(), pods })?;
    let mut evicted = BTreeSet::new();
    match tokio::time::timeout(patience, evict(registry, &mut pods, node, unmanaged, &mut evicted)).await {
        Ok(Ok(())) => Ok(evicted.into_iter().map(|(key, _)| key).collect()),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => {
            let left = plan(pods.objects(), node, unmanaged)
                .map_or_else(|pods| pods, |left| left.into_iter().map(|(key, _)| key).collect());
            Err(DrainError::Timeout { node: node.to_owned(), pods: left, waited: patience })
        }
    }
}

/// Evicts until nothing is left, also what a scheduler has bound before it knew that the node is cordoned.
async fn evict(
    registry: &Registry,
    pods: &mut Mirror<Pod>,
    node: &str,
    unmanaged: Unmanaged,
    evicted: &mut BTreeSet<(Key, String)>,
) -> Result<(), Error> {
    let unmanaged = if unmanaged == Unmanaged::Refuse { Unmanaged::Leave } else { unmanaged };
    loop {
        let left = plan(pods.objects(), node, unmanaged).unwrap_or_default();
        if left.is_empty() {
            return Ok(());
        }
        for (key, uid) in left {
            if !evicted.insert((key.clone(), uid.clone())) {
                continue;
            }
            match registry.delete_pod(&key, Grace::Default, Some(&uid)).await {
                Ok(_) | Err(Error::NotFound { .. } | Error::Replaced { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        pods.changed().await?;
        pods.catch_up().await?;
    }
}

/// The pods to evict, with their uids; or those that forbid it.
fn plan(pods: &BTreeMap<Key, Arc<Pod>>, node: &str, unmanaged: Unmanaged) -> Result<Vec<(Key, String)>, Vec<Key>> {
    let here = pods.iter().filter(|(_, pod)| pod.spec.node_name.as_deref() == Some(node));
    let (managed, other): (Vec<_>, Vec<_>) = here.partition(|(_, pod)| is_managed(pod));
    let wanted = match unmanaged {
        Unmanaged::Refuse if !other.is_empty() => {
            return Err(other.into_iter().map(|(key, _)| key.clone()).collect());
        }
        Unmanaged::Refuse | Unmanaged::Leave => managed,
        Unmanaged::Evict => [managed, other].concat(),
    };
    Ok(wanted.into_iter().map(|(key, pod)| (key.clone(), pod.metadata.uid.clone().unwrap_or_default())).collect())
}

fn is_managed(pod: &Pod) -> bool {
    pod.metadata.owner_references.iter().any(|owner| owner.controller == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::fixture::Cluster;

    #[test]
    fn only_pods_of_the_node_are_evicted_and_those_without_controller_as_told() {
        let pod = |name: &str, node: &str, owner: &str| {
            format!(
                "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: default, uid: {name}, \
                 ownerReferences: [{owner}]}}, spec: {{nodeName: {node}}}}}\n"
            )
        };
        let owned = "{controller: true}";
        let cluster = Cluster::new(
            &[pod("a", "n1", owned), pod("b", "n1", "{controller: false}"), pod("c", "n2", owned)].concat(),
        );
        let names = |unmanaged| match plan(&cluster.pods, "n1", unmanaged) {
            Ok(pods) => Ok(pods.into_iter().map(|(key, uid)| format!("{key} {uid}")).collect::<Vec<_>>()),
            Err(pods) => Err(join(&pods)),
        };
        assert_eq!(names(Unmanaged::Refuse), Err("default/b".to_owned()));
        assert_eq!(names(Unmanaged::Leave), Ok(vec!["default/a a".to_owned()]));
        assert_eq!(names(Unmanaged::Evict), Ok(vec!["default/a a".to_owned(), "default/b b".to_owned()]));
        assert_eq!(plan(&cluster.pods, "n3", Unmanaged::Refuse), Ok(Vec::new()));
    }
}
