//! Names and numbers of the versions of a template.

use crate::kinds::{Deployment, PodTemplateSpec, ReplicaSet};
use crate::wire::record::{Record, View, json};
use crate::wire::semantic::equal;

/// Where a replica set says which version it is.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
/// Where a replica set says how many pods its deployment wanted.
pub const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// Where a replica set says how many pods its deployment might have.
pub const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
/// The label that tells the pods of two versions apart.
pub const TEMPLATE_HASH: &str = "pod-template-hash";

/// A name for a template: two that mean different things have, nearly always, different ones.
///
/// A second name for the same template comes of another count of collisions. Names are this library's own: the original
/// hashes how Go prints the template.
pub fn template_hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut hash = 0x811c_9dc5_u32;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    };
    add(json(View::Record(template)).as_bytes());
    if let Some(collisions) = collisions {
        add(&collisions.to_le_bytes());
    }
    hash.to_string().bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}

/// Whether a set was made from this template.
pub(super) fn is_from(set: &ReplicaSet, template: &PodTemplateSpec) -> bool {
    let mut own = set.spec.template.clone();
    own.metadata.labels.remove(TEMPLATE_HASH);
    let mut wanted = template.clone();
    wanted.metadata.labels.remove(TEMPLATE_HASH);
    equal(as_record(&own), as_record(&wanted))
}

fn as_record<T: Record>(record: &T) -> &dyn Record {
    record
}

pub(super) fn number(set: &ReplicaSet) -> i64 {
    set.metadata.annotations.get(REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

pub(super) fn annotated(set: &ReplicaSet, key: &str) -> Option<i32> {
    set.metadata.annotations.get(key).and_then(|text| text.parse().ok())
}

/// The set of the deployment's template: the oldest, where there are two.
pub(super) fn current<'a>(deployment: &Deployment, sets: &'a [ReplicaSet]) -> Option<&'a ReplicaSet> {
    sets.iter()
        .filter(|set| is_from(set, &deployment.spec.template))
        .min_by_key(|set| (set.metadata.creation_timestamp, set.metadata.name.clone()))
}
