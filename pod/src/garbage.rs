//! Garbage: what goes when its owners go, and the end of a namespace.
//!
//! ```
//! use windlass_pod::decode_yaml;
//! use windlass_pod::garbage::{Removal, collect};
//!
//! let text = b"{apiVersion: v1, kind: Pod, metadata: {name: a, uid: p, ownerReferences: [{uid: gone}]}}";
//! let objects = decode_yaml(text).unwrap();
//! assert_eq!(collect(&objects), [Removal::Delete { index: 0 }]);
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::{Namespace, OwnerReference};
use crate::object::Object;
use crate::wire::text::Text as _;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What becomes of dependents when their owner is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Propagation {
    /// The owner goes at once, they after it.
    Background,
    /// They go first, the owner when those that block it are gone.
    Foreground,
    /// They stay and forget it.
    Orphan,
}

impl Propagation {
    /// The finalizer that keeps the owner until the garbage collector has done its part.
    pub fn finalizer(self) -> Option<&'static str> {
        match self {
            Self::Background => None,
            Self::Foreground => Some(FOREGROUND),
            Self::Orphan => Some(ORPHAN),
        }
    }
}

/// What the garbage collector does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// Delete an object: none of its owners is there any more.
    Delete {
        /// Its place in what was given.
        index: usize,
    },
    /// Delete an object in the foreground: an owner waits for it, and things may depend on it in turn.
    DeleteInForeground {
        /// Its place in what was given.
        index: usize,
    },
    /// Take owners that are not there any more from an object that has others.
    Forget {
        /// Its place in what was given.
        index: usize,
        /// The owners' identities.
        owners: Vec<String>,
    },
    /// Take a finalizer from an object that is being deleted: its part is done.
    Finalize {
        /// Its place in what was given.
        index: usize,
        /// The finalizer.
        finalizer: &'static str,
    },
}

fn waits(object: &Object, finalizer: &str) -> bool {
    let metadata = object.metadata();
    metadata.deletion_timestamp.is_some() && metadata.finalizers.iter().any(|own| own == finalizer)
}

/// What to do about objects whose owners are gone or going.
///
/// `objects` are all there are: an owner that is not among them is gone. Call it again when what it says is done.
pub fn collect(objects: &[Object]) -> Vec<Removal> {
    let by_uid: BTreeMap<&str, usize> = objects
        .iter()
        .enumerate()
        .map(|(index, object)| (object.metadata().uid.text(), index))
        .filter(|(uid, _)| !uid.is_empty())
        .collect();
    let owner = |reference: &OwnerReference| by_uid.get(reference.uid.text()).copied();
    let mut removals = Vec::new();
    // Owners that somebody who blocks them still names.
    let mut blocked: BTreeSet<usize> = BTreeSet::new();
    let mut named: BTreeSet<usize> = BTreeSet::new();
    for (index, object) in objects.iter().enumerate() {
        let references = &object.metadata().owner_references;
        for reference in references {
            let Some(owner) = owner(reference) else { continue };
            named.insert(owner);
            if reference.block_owner_deletion == Some(true) {
                blocked.insert(owner);
            }
        }
        removals.extend(of_dependent(index, object, references, objects, &owner));
    }
    for (index, object) in objects.iter().enumerate() {
        if waits(object, ORPHAN) && !named.contains(&index) {
            removals.push(Removal::Finalize { index, finalizer: ORPHAN });
        }
        if waits(object, FOREGROUND) && !blocked.contains(&index) {
            removals.push(Removal::Finalize { index, finalizer: FOREGROUND });
        }
    }
    removals
}

fn of_dependent(
    index: usize,
    object: &Object,
    references: &[OwnerReference],
    objects: &[Object],
    owner: &dyn Fn(&OwnerReference) -> Option<usize>,
) -> Option<Removal> {
    let uid = |reference: &OwnerReference| reference.uid.text().to_owned();
    // An owner that orphans its dependents is forgotten first.
    let orphaning: Vec<String> = references
        .iter()
        .filter(|reference| owner(reference).is_some_and(|owner| waits(&objects[owner], ORPHAN)))
        .map(uid)
        .collect();
    if !orphaning.is_empty() {
        return Some(Removal::Forget { index, owners: orphaning });
    }
    if references.is_empty() || object.metadata().deletion_timestamp.is_some() {
        return None;
    }
    let going = |reference: &&OwnerReference| owner(reference).is_none_or(|owner| waits(&objects[owner], FOREGROUND));
    let lost: Vec<&OwnerReference> = references.iter().filter(going).collect();
    if lost.is_empty() {
        return None;
    }
    if lost.len() < references.len() {
        return Some(Removal::Forget { index, owners: lost.into_iter().map(uid).collect() });
    }
    // An owner that waits wants all that depends on this to be gone too.
    let awaited = references.iter().any(|reference| owner(reference).is_some());
    Some(if awaited { Removal::DeleteInForeground { index } } else { Removal::Delete { index } })
}

/// How far a namespace is on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceStep {
    /// It lives.
    Live,
    /// Its phase is to become `Terminating`.
    Terminate,
    /// These objects are to be deleted, by their places in what was given.
    Empty(Vec<usize>),
    /// Objects wait for their finalizers.
    Wait {
        /// How many.
        remaining: usize,
    },
    /// Its own finalizer is to be taken away: nothing is left in it.
    Finalize,
    /// It can go.
    Remove,
}

/// What to do next about a namespace, given all objects of the cluster.
pub fn namespace(own: &Namespace, objects: &[Object]) -> NamespaceStep {
    if own.metadata.deletion_timestamp.is_none() {
        return NamespaceStep::Live;
    }
    if own.status.phase.text() != "Terminating" {
        return NamespaceStep::Terminate;
    }
    let inside = |object: &Object| {
        object.metadata().namespace.text() == own.metadata.name.text() && crate::is_namespaced(object.kind())
    };
    let mut left: Vec<(usize, &Object)> = objects.iter().enumerate().filter(|(_, object)| inside(object)).collect();
    if left.is_empty() {
        let own_finalizer = own.spec.finalizers.iter().any(|finalizer| finalizer == "kubernetes");
        return if own_finalizer { NamespaceStep::Finalize } else { NamespaceStep::Remove };
    }
    let remaining = left.len();
    left.retain(|(_, object)| object.metadata().deletion_timestamp.is_none());
    if left.is_empty() {
        return NamespaceStep::Wait { remaining };
    }
    // Pods may need what else is there to end well, so they go first.
    let pods = left.iter().any(|(_, object)| matches!(object, Object::Pod(_)));
    let chosen = left.into_iter().filter(|(_, object)| !pods || matches!(object, Object::Pod(_)));
    NamespaceStep::Empty(chosen.map(|(index, _)| index).collect())
}

#[cfg(test)]
mod tests {
    use super::{NamespaceStep, Removal, collect, namespace};
    use crate::object::Object;
    use crate::object::decode::{decode_yaml, decode_yaml_as};

    fn objects(text: &str) -> Vec<Object> {
        decode_yaml(text.as_bytes()).unwrap()
    }

    const GOING: &str = "deletionTimestamp: '2025-06-15T15:06:40Z'";

    #[test]
    fn dependents_go_before_an_owner_that_waits() {
        let text = format!(
            "{{apiVersion: apps/v1, kind: ReplicaSet, metadata: {{name: a, uid: r, {GOING}, finalizers: [foregroundDeletion]}}}}\n---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p, uid: p, ownerReferences: [{{uid: r, blockOwnerDeletion: true}}]}}}}\n"
        );
        let mut all = objects(&text);
        assert_eq!(collect(&all), [Removal::DeleteInForeground { index: 1 }]);
        all.truncate(1);
        assert_eq!(collect(&all), [Removal::Finalize { index: 0, finalizer: "foregroundDeletion" }]);
    }

    #[test]
    fn orphans_forget_their_owner() {
        let text = format!(
            "{{apiVersion: apps/v1, kind: ReplicaSet, metadata: {{name: a, uid: r, {GOING}, finalizers: [orphan]}}}}\n---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p, uid: p, ownerReferences: [{{uid: r}}]}}}}\n"
        );
        assert_eq!(collect(&objects(&text)), [Removal::Forget { index: 1, owners: vec!["r".to_owned()] }]);
    }

    #[test]
    fn one_living_owner_keeps_an_object() {
        let text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, uid: a}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: p, uid: p, ownerReferences: [{uid: a}, {uid: gone}]}}\n";
        assert_eq!(collect(&objects(text)), [Removal::Forget { index: 1, owners: vec!["gone".to_owned()] }]);
    }

    #[test]
    fn a_namespace_empties_itself_pods_first() {
        let own = |phase: &str, finalizers: &str| {
            let text = format!(
                "{{metadata: {{name: ns, {GOING}}}, spec: {{finalizers: {finalizers}}}, status: {{phase: {phase}}}}}"
            );
            decode_yaml_as::<crate::kinds::Namespace>(text.as_bytes()).unwrap()
        };
        let all = objects(
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: ns}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: ns}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: m}}\n",
        );
        assert_eq!(namespace(&own("Active", "[kubernetes]"), &all), NamespaceStep::Terminate);
        assert_eq!(namespace(&own("Terminating", "[kubernetes]"), &all), NamespaceStep::Empty(vec![1]));
        assert_eq!(namespace(&own("Terminating", "[kubernetes]"), &all[..1]), NamespaceStep::Empty(vec![0]));
        assert_eq!(namespace(&own("Terminating", "[kubernetes]"), &[]), NamespaceStep::Finalize);
        assert_eq!(namespace(&own("Terminating", "[]"), &[]), NamespaceStep::Remove);
    }
}
