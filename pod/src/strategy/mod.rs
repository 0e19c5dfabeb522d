//! What the server does to an object between its defaults and its validation when it is created.
//!
//! Source: the strategies of `pkg/registry`, with the feature gates of 1.34 as they are by default.

mod pod;
mod service;

use std::collections::BTreeMap;

use crate::kinds::{Job, LabelSelector, ObjectMeta};
use crate::object::Object;
use crate::wire::text::Text as _;

pub(crate) use pod::drop_disabled;

/// How many characters of a prefix are kept, so that a name with its suffix is a label of DNS.
const PREFIX_MAX: usize = 58;
const SUFFIX_LENGTH: usize = 5;
/// No vowels and nothing that looks like one: no words come of it.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// The name that a server makes of `metadata.generateName`.
///
/// ```
/// use windlass_pod::strategy::generate_name;
///
/// let name = generate_name("web-", 42);
/// assert_eq!(name.len(), "web-".len() + 5);
/// assert_eq!(name, generate_name("web-", 42));
/// ```
pub fn generate_name(prefix: &str, seed: u64) -> String {
    let mut cut = prefix.len().min(PREFIX_MAX);
    while !prefix.is_char_boundary(cut) {
        cut -= 1;
    }
    let mut state = seed;
    let suffix = (0..SUFFIX_LENGTH).map(|_| {
        // SplitMix64: well spread from any seed, also from small numbers in order.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let index = usize::try_from((mixed ^ (mixed >> 31)) % 27).unwrap_or(0);
        char::from(ALPHABET[index])
    });
    prefix[..cut].chars().chain(suffix).collect()
}

/// Prepares an object that is about to be created: its status is reset, what is computed is set, and what stands
/// behind a feature gate that is off is dropped.
///
/// The object should have its defaults, see [`defaults`](crate::defaults), and a job its `metadata.uid`. Addresses and
/// ports of services are given out before this.
pub fn prepare_for_create(object: &mut Object) {
    system_fields(object.metadata_mut());
    match object {
        Object::Pod(pod) => pod::pod(pod),
        Object::PodTemplate(template) => {
            template.metadata.generation = Some(1);
            drop_disabled(&mut template.template.spec);
        }
        Object::ReplicationController(controller) => {
            reset(&mut controller.status);
            controller.metadata.generation = Some(1);
            if let Some(template) = &mut controller.spec.template {
                drop_disabled(&mut template.spec);
            }
        }
        Object::ReplicaSet(set) => {
            reset(&mut set.status);
            templated(&mut set.metadata, &mut set.spec.template);
        }
        Object::Deployment(deployment) => {
            reset(&mut deployment.status);
            templated(&mut deployment.metadata, &mut deployment.spec.template);
        }
        Object::StatefulSet(set) => {
            reset(&mut set.status);
            if let Some(rolling) = &mut set.spec.update_strategy.rolling_update {
                rolling.max_unavailable = None;
            }
            templated(&mut set.metadata, &mut set.spec.template);
        }
        Object::DaemonSet(set) => {
            reset(&mut set.status);
            templated(&mut set.metadata, &mut set.spec.template);
            let generation = set.metadata.annotations.entry(TEMPLATE_GENERATION.to_owned()).or_default();
            if generation.parse::<i64>().is_ok_and(|generation| generation < 1) {
                "1".clone_into(generation);
            }
        }
        Object::Job(own) => {
            job(own);
            reset(&mut own.status);
            templated(&mut own.metadata, &mut own.spec.template);
        }
        Object::CronJob(job) => {
            reset(&mut job.status);
            templated(&mut job.metadata, &mut job.spec.job_template.spec.template);
        }
        other => without_template(other),
    }
}

fn reset<T: Default>(slot: &mut T) {
    *slot = T::default();
}

fn templated(metadata: &mut ObjectMeta, template: &mut crate::kinds::PodTemplateSpec) {
    metadata.generation = Some(1);
    drop_disabled(&mut template.spec);
}

fn without_template(object: &mut Object) {
    match object {
        Object::Service(own) => reset(&mut own.status),
        Object::PersistentVolumeClaim(claim) => reset(&mut claim.status),
        Object::PersistentVolume(volume) => {
            reset(&mut volume.status);
            volume.status.phase = Some("Pending".to_owned());
        }
        Object::ResourceQuota(quota) => reset(&mut quota.status),
        Object::PodDisruptionBudget(budget) => {
            reset(&mut budget.status);
            budget.metadata.generation = Some(1);
        }
        Object::Ingress(ingress) => {
            reset(&mut ingress.status);
            ingress.metadata.generation = Some(1);
        }
        Object::EndpointSlice(slice) => slice.metadata.generation = Some(1),
        Object::NetworkPolicy(policy) => policy.metadata.generation = Some(1),
        Object::PriorityClass(class) => class.metadata.generation = Some(1),
        Object::Namespace(namespace) => {
            reset(&mut namespace.status);
            namespace.status.phase = Some("Active".to_owned());
            let finalizers = &mut namespace.spec.finalizers;
            if !finalizers.iter().any(|finalizer| finalizer == "kubernetes") {
                finalizers.push("kubernetes".to_owned());
            }
        }
        _ => {}
    }
}

/// Prepares an object that is about to take the place of another: what only the server sets stays, its status among it.
///
/// Addresses and ports of services are given out before this.
pub fn prepare_for_update(new: &mut Object, old: &Object) {
    let (metadata, had) = (new.metadata_mut(), old.metadata());
    metadata.generation = had.generation;
    if metadata.uid.text().is_empty() {
        metadata.uid.clone_from(&had.uid);
    }
    metadata.creation_timestamp = had.creation_timestamp;
    metadata.deletion_timestamp = had.deletion_timestamp.or(metadata.deletion_timestamp);
    metadata.deletion_grace_period_seconds =
        metadata.deletion_grace_period_seconds.or(had.deletion_grace_period_seconds);
    keep_status(new, old);
    match (new, old) {
        (Object::Pod(new), Object::Pod(old)) => {
            let mut without = old.spec.clone();
            drop_disabled(&mut without);
            // What the old one uses stays allowed.
            if without == old.spec {
                drop_disabled(&mut new.spec);
            }
        }
        (Object::Service(new), Object::Service(old)) => {
            service::drop_unneeded(&mut new.spec, &old.spec);
            if new.spec.type_.text() != "LoadBalancer" {
                reset(&mut new.status.load_balancer);
            }
        }
        _ => {}
    }
}

fn keep_status(new: &mut Object, old: &Object) {
    macro_rules! keep {
        ($($kind:ident),*) => {
            match (new, old) {
                $((Object::$kind(new), Object::$kind(old)) => new.status.clone_from(&old.status),)*
                _ => {}
            }
        };
    }
    keep!(
        CronJob,
        DaemonSet,
        Deployment,
        Ingress,
        Job,
        Namespace,
        PersistentVolume,
        PersistentVolumeClaim,
        Pod,
        PodDisruptionBudget,
        ReplicaSet,
        ReplicationController,
        ResourceQuota,
        Service,
        StatefulSet
    );
}

/// What only the server sets.
fn system_fields(metadata: &mut ObjectMeta) {
    metadata.deletion_timestamp = None;
    metadata.deletion_grace_period_seconds = None;
}

/// The labels that the pods of a job carry.
pub(crate) fn job_labels(name: &str, uid: &str) -> BTreeMap<String, String> {
    let pairs = [
        ("batch.kubernetes.io/controller-uid", uid),
        ("batch.kubernetes.io/job-name", name),
        ("controller-uid", uid),
        ("job-name", name),
    ];
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// Gives a job the selector and labels that are generated for it, unless it brings its own.
pub(crate) fn job(job: &mut Job) {
    if job.spec.manual_selector == Some(true) {
        return;
    }
    let (name, uid) = (job.metadata.name.text().to_owned(), job.metadata.uid.text().to_owned());
    let labels = &mut job.spec.template.metadata.labels;
    for (key, value) in job_labels(&name, &uid) {
        labels.entry(key).or_insert(value);
    }
    let selector: &mut LabelSelector = job.spec.selector.get_or_insert_default();
    selector.match_labels.entry("batch.kubernetes.io/controller-uid".to_owned()).or_insert(uid);
}

#[cfg(test)]
mod tests {
    use super::{ALPHABET, generate_name};

    #[test]
    fn generated_names_are_cut() {
        let name = generate_name(&"p".repeat(100), 7);
        assert_eq!(name.len(), 63);
        assert!(name[58..].bytes().all(|byte| ALPHABET.contains(&byte)));
        assert_ne!(generate_name("a-", 1), generate_name("a-", 2));
        assert_eq!(generate_name(&"ü".repeat(40), 1).chars().count(), 29 + 5);
    }
}
