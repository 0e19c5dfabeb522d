//! Deployments: a replica set for each version of the template.

use super::bounds::Bounds;
use super::revision::{DESIRED, MAX_REPLICAS, REVISION, TEMPLATE_HASH, annotated, current, number, template_hash};
use super::status::{is_complete, report, sum};
use super::{proportion, revision};
use crate::kinds::{Deployment, DeploymentStatus, ObjectMeta, OwnerReference, PodTemplateSpec, ReplicaSet};
use crate::wire::text::Text as _;
use crate::wire::time::Time;

/// What to do about a deployment.
#[derive(Debug, Clone, PartialEq)]
pub enum DeploymentAction {
    /// Create this set.
    Create(Box<ReplicaSet>),
    /// Give a set another size.
    Scale {
        /// The set's name.
        set: String,
        /// How many pods it should have.
        replicas: i32,
    },
    /// Write annotations of a set: its revision, and how many pods the deployment wants.
    Annotate {
        /// The set's name.
        set: String,
        /// Keys and values.
        annotations: Vec<(String, String)>,
    },
    /// Remove a set that nobody will go back to.
    Delete {
        /// The set's name.
        set: String,
    },
}

/// What a deployment needs now.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentStep {
    /// What to do, in this order.
    pub actions: Vec<DeploymentAction>,
    /// What to report.
    pub status: DeploymentStatus,
    /// When to look again though nothing has changed.
    pub again: Option<Time>,
}

fn size(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

fn available(set: &ReplicaSet) -> i32 {
    set.status.available_replicas.unwrap_or(0)
}

fn name(set: &ReplicaSet) -> String {
    set.metadata.name.clone().unwrap_or_default()
}

fn by_age<'a>(sets: &[&'a ReplicaSet]) -> Vec<&'a ReplicaSet> {
    let mut sets = sets.to_vec();
    sets.sort_by_key(|set| (set.metadata.creation_timestamp, set.metadata.name.clone()));
    sets
}

/// What to do about a deployment and the replica sets that it owns.
///
/// ```
/// use windlass_pod::kinds::Deployment;
/// use windlass_pod::rollout::{DeploymentAction, deployment};
/// use windlass_pod::{Time, decode_yaml_as};
///
/// let text = b"{metadata: {name: web, uid: u}, spec: {replicas: 3, selector: {matchLabels: {app: web}}}}";
/// let own: Deployment = decode_yaml_as(text).unwrap();
/// let step = deployment(&own, &[], Time::from_unix_seconds(0));
/// let [DeploymentAction::Create(set)] = &step.actions[..] else { panic!() };
/// assert_eq!(set.spec.replicas, Some(3));
/// ```
pub fn deployment(own: &Deployment, sets: &[ReplicaSet], now: Time) -> DeploymentStep {
    let newest = current(own, sets);
    let old: Vec<&ReplicaSet> =
        sets.iter().filter(|set| newest.is_none_or(|newest| !std::ptr::eq(*set, newest))).collect();
    let all: Vec<&ReplicaSet> = sets.iter().collect();
    let (status, again) = report(own, newest, &all, now);
    let mut actions = Vec::new();
    if own.metadata.deletion_timestamp.is_none() {
        if own.spec.paused == Some(true) || is_scaled(own, &all) {
            scale(own, newest, &old, &mut actions);
        } else if own.spec.strategy.type_.text() == "Recreate" {
            recreate(own, newest, &old, &mut actions);
        } else {
            roll(own, newest, &old, &mut actions);
        }
        if own.spec.paused != Some(true) && is_complete(own, &status) {
            clean_up(own, &old, &mut actions);
        }
    }
    DeploymentStep { actions, status, again }
}

/// Somebody changed how many pods are wanted, and sets with pods do not know yet.
fn is_scaled(own: &Deployment, sets: &[&ReplicaSet]) -> bool {
    let wanted = own.spec.replicas.unwrap_or(1);
    sets.iter().any(|set| size(set) > 0 && annotated(set, DESIRED).is_some_and(|desired| desired != wanted))
}

fn notes(own: &Deployment) -> Vec<(String, String)> {
    let bounds = Bounds::of(own);
    vec![(DESIRED.to_owned(), bounds.replicas.to_string()), (MAX_REPLICAS.to_owned(), bounds.total().to_string())]
}

fn resize(own: &Deployment, set: &ReplicaSet, replicas: i32, actions: &mut Vec<DeploymentAction>) {
    let stale = |note: &(String, String)| set.metadata.annotations.get(&note.0) != Some(&note.1);
    let annotations: Vec<(String, String)> = notes(own).into_iter().filter(stale).collect();
    if size(set) != replicas {
        actions.push(DeploymentAction::Scale { set: name(set), replicas });
    }
    if !annotations.is_empty() {
        actions.push(DeploymentAction::Annotate { set: name(set), annotations });
    }
}

fn scale(own: &Deployment, newest: Option<&ReplicaSet>, old: &[&ReplicaSet], actions: &mut Vec<DeploymentAction>) {
    let wanted = own.spec.replicas.unwrap_or(1);
    let all: Vec<&ReplicaSet> = newest.into_iter().chain(old.iter().copied()).collect();
    let active: Vec<&ReplicaSet> = all.iter().copied().filter(|set| size(set) > 0).collect();
    let only = match active[..] {
        [] => newest.or_else(|| by_age(old).last().copied()),
        [one] => Some(one),
        _ => None,
    };
    if let Some(only) = only {
        return resize(own, only, wanted, actions);
    }
    if newest.is_some_and(|set| size(set) == wanted && available(set) == wanted) {
        for set in by_age(old).into_iter().filter(|set| size(set) > 0) {
            resize(own, set, 0, actions);
        }
        return;
    }
    if own.spec.strategy.type_.text() == "Recreate" {
        return;
    }
    for (set, replicas) in proportion::sizes(own, &active) {
        if let Some(set) = active.iter().find(|own| own.metadata.name.text() == set) {
            resize(own, set, replicas, actions);
        }
    }
}

/// All old pods go before the first new one comes.
fn recreate(own: &Deployment, newest: Option<&ReplicaSet>, old: &[&ReplicaSet], actions: &mut Vec<DeploymentAction>) {
    let before = actions.len();
    for set in old.iter().filter(|set| size(set) > 0) {
        resize(own, set, 0, actions);
    }
    if actions.len() > before || sum(old, |set| set.status.replicas) > 0 {
        return;
    }
    let replicas = own.spec.replicas.unwrap_or(1);
    match newest {
        None => create(own, old, replicas, actions),
        Some(set) => resize(own, set, replicas, actions),
    }
}

fn roll(own: &Deployment, newest: Option<&ReplicaSet>, old: &[&ReplicaSet], actions: &mut Vec<DeploymentAction>) {
    let bounds = Bounds::of(own);
    let old_pods: i32 = old.iter().map(|set| size(set)).sum();
    let Some(newest) = newest else {
        let room = (bounds.total() - old_pods).max(0);
        return create(own, old, room.min(bounds.replicas), actions);
    };
    note_revision(newest, old, actions);
    let total = old_pods + size(newest);
    if size(newest) > bounds.replicas {
        return resize(own, newest, bounds.replicas, actions);
    }
    let grown = size(newest) + (bounds.total() - total).max(0).min(bounds.replicas - size(newest));
    if grown != size(newest) {
        return resize(own, newest, grown, actions);
    }
    resize(own, newest, grown, actions);
    shrink(own, newest, old, total, actions);
}

/// Takes from old sets what is not needed: first what does not work, then as much as may be missing.
fn shrink(own: &Deployment, newest: &ReplicaSet, old: &[&ReplicaSet], total: i32, actions: &mut Vec<DeploymentAction>) {
    let bounds = Bounds::of(own);
    let starting = (size(newest) - available(newest)).max(0);
    let mut spare = total - bounds.available() - starting;
    let old: Vec<&ReplicaSet> = by_age(old).into_iter().filter(|set| size(set) > 0).collect();
    if spare <= 0 || old.is_empty() {
        return;
    }
    let mut sizes: Vec<i32> = old.iter().map(|set| size(set)).collect();
    for (set, size) in old.iter().zip(&mut sizes) {
        let broken = (*size - available(set)).max(0).min(spare);
        *size -= broken;
        spare -= broken;
    }
    let working = available(newest) + old.iter().map(|set| available(set)).sum::<i32>();
    let mut surplus = working - bounds.available();
    for (set, size) in old.iter().zip(&mut sizes) {
        // What does not work is gone from the size already; of the rest no more than works too much.
        let less = surplus.min(available(set)).min(*size).max(0);
        *size -= less;
        surplus -= less;
    }
    for (set, size) in old.iter().zip(sizes) {
        resize(own, set, size, actions);
    }
}

fn next_revision(old: &[&ReplicaSet]) -> i64 {
    old.iter().map(|set| number(set)).max().unwrap_or(0) + 1
}

/// A set that is rolled back to becomes the latest revision again.
fn note_revision(newest: &ReplicaSet, old: &[&ReplicaSet], actions: &mut Vec<DeploymentAction>) {
    let next = next_revision(old);
    if number(newest) < next {
        let annotations = vec![(REVISION.to_owned(), next.to_string())];
        actions.push(DeploymentAction::Annotate { set: name(newest), annotations });
    }
}

fn create(own: &Deployment, old: &[&ReplicaSet], replicas: i32, actions: &mut Vec<DeploymentAction>) {
    let mut template = own.spec.template.clone();
    template.metadata.labels.remove(TEMPLATE_HASH);
    let hash = template_hash(&template, own.status.collision_count);
    template.metadata.labels.insert(TEMPLATE_HASH.to_owned(), hash.clone());
    let mut selector = own.spec.selector.clone().unwrap_or_default();
    selector.match_labels.insert(TEMPLATE_HASH.to_owned(), hash.clone());
    let owner = OwnerReference {
        api_version: Some("apps/v1".to_owned()),
        kind: Some("Deployment".to_owned()),
        name: own.metadata.name.clone(),
        uid: own.metadata.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
        ..OwnerReference::default()
    };
    let mut annotations = own.metadata.annotations.clone();
    annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    annotations.extend(notes(own));
    annotations.insert(REVISION.to_owned(), next_revision(old).to_string());
    let mut set = ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", own.metadata.name.text())),
            namespace: own.metadata.namespace.clone(),
            labels: template.metadata.labels.clone(),
            annotations,
            owner_references: vec![owner],
            ..ObjectMeta::default()
        },
        ..ReplicaSet::default()
    };
    set.spec.replicas = Some(replicas);
    set.spec.min_ready_seconds = own.spec.min_ready_seconds;
    set.spec.selector = Some(selector);
    set.spec.template = template;
    actions.push(DeploymentAction::Create(Box::new(set)));
}

/// Keeps as many old versions as the deployment asks for.
fn clean_up(own: &Deployment, old: &[&ReplicaSet], actions: &mut Vec<DeploymentAction>) {
    let Some(limit) = own.spec.revision_history_limit.and_then(|limit| usize::try_from(limit).ok()) else { return };
    let is_empty = |set: &&ReplicaSet| {
        size(set) == 0 && set.status.replicas.unwrap_or(0) == 0 && set.metadata.deletion_timestamp.is_none()
    };
    let mut empty: Vec<&ReplicaSet> = old.iter().copied().filter(is_empty).collect();
    empty.sort_by_key(|set| (number(set), set.metadata.creation_timestamp));
    let surplus = empty.len().saturating_sub(limit);
    actions.extend(empty.into_iter().take(surplus).map(|set| DeploymentAction::Delete { set: name(set) }));
}

/// The template to go back to: that of a revision, or of the one before the latest for 0.
pub fn rollback(own: &Deployment, sets: &[ReplicaSet], revision: i64) -> Option<PodTemplateSpec> {
    let mut sets: Vec<&ReplicaSet> = sets.iter().collect();
    sets.sort_by_key(|set| std::cmp::Reverse(number(set)));
    let target = match revision {
        0 => sets.into_iter().find(|set| !revision::is_from(set, &own.spec.template)),
        wanted => sets.into_iter().find(|set| number(set) == wanted),
    };
    let mut template = target?.spec.template.clone();
    template.metadata.labels.remove(TEMPLATE_HASH);
    Some(template)
}
