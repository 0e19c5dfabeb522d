//! Resource quotas: what a namespace uses, and whether there is room for more.
//!
//! ```
//! use windlass_pod::kinds::ResourceQuota;
//! use windlass_pod::{Time, decode_yaml, decode_yaml_as, quota};
//!
//! let quota: ResourceQuota = decode_yaml_as(b"{metadata: {name: q}, spec: {hard: {pods: 1}}}").unwrap();
//! let pods = decode_yaml(b"{apiVersion: v1, kind: Pod, metadata: {name: a}}").unwrap();
//! let now = Time::from_unix_seconds(0);
//! let used = quota::used(&quota, &pods, now);
//! assert_eq!(used["pods"].to_string(), "1");
//! let refused = quota::admit(&quota, &used, &pods[0], now).unwrap_err();
//! assert_eq!(refused.to_string(), "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1");
//! ```
//!
//! Source: `pkg/quota/v1/evaluator/core` and the admission plugin `ResourceQuota`.

mod scope;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::kinds::{Container, ResourceQuota};
use crate::object::Object;
use crate::quantity::{Format, Quantity};
use crate::resources::ResourceList;
use crate::wire::text::Text as _;
use crate::wire::time::Time;

pub use usage::usage;

/// What a quota demands of each container where it counts them.
const DEMANDED: [&str; 6] = ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];

/// Why a quota leaves no room for an object.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// Containers do not say how much of what the quota counts they need.
    #[error("failed quota: {quota}: must specify {}", Missing(missing))]
    Unspecified {
        /// The quota's name.
        quota: String,
        /// The resources, and the containers that do not name them.
        missing: BTreeMap<String, BTreeSet<String>>,
    },
    /// There would be more than the quota allows.
    #[error(
        "exceeded quota: {quota}, requested: {}, used: {}, limited: {}",
        Pairs(requested),
        Pairs(used),
        Pairs(limited)
    )]
    Exceeded {
        /// The quota's name.
        quota: String,
        /// What the object needs of what runs out.
        requested: ResourceList,
        /// What is used of it.
        used: ResourceList,
        /// What may be used of it.
        limited: ResourceList,
    },
}

struct Pairs<'a>(&'a ResourceList);

impl fmt::Display for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|(name, amount)| format!("{name}={amount}")).collect();
        f.write_str(&pairs.join(","))
    }
}

struct Missing<'a>(&'a BTreeMap<String, BTreeSet<String>>);

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(",");
        let parts: Vec<String> = self.0.iter().map(|(name, of)| format!("{name} for: {}", join(of))).collect();
        f.write_str(&parts.join("; "))
    }
}

/// Whether the quota counts what an object uses.
pub fn matches(quota: &ResourceQuota, object: &Object) -> bool {
    quota.spec.hard.keys().any(|name| usage::counts(object, name)) && scope::covers(quota, object)
}

/// What the objects of a namespace use of what the quota limits.
pub fn used(quota: &ResourceQuota, objects: &[Object], now: Time) -> ResourceList {
    let hard = &quota.spec.hard;
    let mut used: ResourceList = hard
        .keys()
        .filter(|name| usage::is_counted(name))
        .map(|name| (name.clone(), Quantity::from_units(0, Format::DecimalSi)))
        .collect();
    for object in objects.iter().filter(|object| scope::covers(quota, object)) {
        for (name, amount) in usage(object, now) {
            if let Some(sum) = used.get_mut(&name).filter(|_| usage::counts(object, &name)) {
                *sum = sum.plus(&amount);
            }
        }
    }
    used
}

/// What is used once the object is there too.
///
/// # Errors
/// [`QuotaError`] when there is no room for it.
pub fn admit(
    quota: &ResourceQuota,
    used: &ResourceList,
    object: &Object,
    now: Time,
) -> Result<ResourceList, QuotaError> {
    if !matches(quota, object) {
        return Ok(used.clone());
    }
    specified(quota, object)?;
    let hard = &quota.spec.hard;
    let mut after = used.clone();
    let (mut requested, mut had, mut limited) = (ResourceList::new(), ResourceList::new(), ResourceList::new());
    for (name, amount) in usage(object, now) {
        let Some(most) = hard.get(&name) else { continue };
        let before = used.get(&name).cloned();
        let sum = before.as_ref().map_or_else(|| amount.clone(), |before| before.plus(&amount));
        if sum > *most {
            requested.insert(name.clone(), amount);
            had.extend(before.map(|before| (name.clone(), before)));
            limited.insert(name.clone(), most.clone());
        }
        after.insert(name, sum);
    }
    if requested.is_empty() {
        return Ok(after);
    }
    Err(QuotaError::Exceeded { quota: quota.metadata.name.text().to_owned(), requested, used: had, limited })
}

/// Where a quota counts processors or memory, each container has to say what it needs.
fn specified(quota: &ResourceQuota, object: &Object) -> Result<(), QuotaError> {
    let Object::Pod(pod) = object else { return Ok(()) };
    let mut missing: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let demanded: Vec<&str> = DEMANDED.into_iter().filter(|name| quota.spec.hard.contains_key(*name)).collect();
    let mut look = |container: &Container| {
        let own = usage::compute(&container.resources.requests, &container.resources.limits);
        for name in demanded.iter().filter(|name| !own.contains_key(**name)) {
            missing.entry((*name).to_owned()).or_default().insert(container.name.text().to_owned());
        }
    };
    pod.spec.containers.iter().chain(&pod.spec.init_containers).for_each(&mut look);
    if missing.is_empty() {
        return Ok(());
    }
    Err(QuotaError::Unspecified { quota: quota.metadata.name.text().to_owned(), missing })
}
