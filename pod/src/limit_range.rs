//! Limit ranges: what containers get that ask for nothing, and what nobody may ask for.
//!
//! ```
//! use windlass_pod::kinds::{LimitRange, Pod};
//! use windlass_pod::{decode_yaml_as, limit_range};
//!
//! let range: LimitRange =
//!     decode_yaml_as(b"spec: {limits: [{type: Container, default: {cpu: 1}, max: {cpu: 2}}]}").unwrap();
//! let mut pod: Pod = decode_yaml_as(b"spec: {containers: [{name: web}]}").unwrap();
//! limit_range::fill(&range, &mut pod);
//! assert_eq!(pod.spec.containers[0].resources.limits["cpu"].to_string(), "1");
//! assert!(limit_range::pod_faults(&range, &pod).is_empty());
//! ```
//!
//! Source: `plugin/pkg/admission/limitranger`.

use crate::kinds::{Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod};
use crate::quantity::Quantity;
use crate::resources::{self, ResourceList, Scope};
use crate::wire::text::Text as _;

/// Where a pod says what was filled in.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";
/// The largest number whose thousandfold fits into 64 bits.
const MILLI_MAX: i64 = i64::MAX / 1000;

/// Gives containers the defaults of a limit range, and the pod an annotation that tells of it.
pub fn fill(range: &LimitRange, pod: &mut Pod) {
    let (mut limits, mut requests) = (ResourceList::new(), ResourceList::new());
    for item in range.spec.limits.iter().filter(|item| item.type_.text() == "Container") {
        limits.extend(item.default.clone());
        requests.extend(item.default_request.clone());
    }
    let mut notes = Vec::new();
    for (what, containers) in
        [("container", &mut pod.spec.containers), ("init container", &mut pod.spec.init_containers)]
    {
        for container in containers {
            let name = container.name.text().to_owned();
            for (field, list, defaults) in [
                ("request", &mut container.resources.requests, &requests),
                ("limit", &mut container.resources.limits, &limits),
            ] {
                let missing: Vec<&str> =
                    defaults.keys().filter(|key| !list.contains_key(*key)).map(String::as_str).collect();
                if !missing.is_empty() {
                    notes.push(format!("{} {field} for {what} {name}", missing.join(", ")));
                }
                for (key, amount) in defaults {
                    list.entry(key.clone()).or_insert_with(|| amount.clone());
                }
            }
        }
    }
    if !notes.is_empty() {
        let note = format!("LimitRanger plugin set: {}", notes.join("; "));
        pod.metadata.annotations.insert(ANNOTATION.to_owned(), note);
    }
}

/// What a pod asks for that the limit range does not allow, in the words of Kubernetes.
pub fn pod_faults(range: &LimitRange, pod: &Pod) -> Vec<String> {
    let mut faults = Vec::new();
    for item in &range.spec.limits {
        match item.type_.text() {
            "Container" => {
                let all: Vec<&Container> = pod.spec.containers.iter().chain(&pod.spec.init_containers).collect();
                for container in all {
                    let own = &container.resources;
                    Check { item, requests: &own.requests, limits: &own.limits }.all(&mut faults);
                }
            }
            "Pod" => {
                let requests = resources::requests(&pod.spec, Scope::WithoutOverhead);
                let limits = resources::limits(&pod.spec, Scope::WithoutOverhead);
                Check { item, requests: &requests, limits: &limits }.all(&mut faults);
            }
            _ => {}
        }
    }
    faults
}

/// What a claim asks for that the limit range does not allow, in the words of Kubernetes.
pub fn claim_faults(range: &LimitRange, claim: &PersistentVolumeClaim) -> Vec<String> {
    let mut faults = Vec::new();
    let requests = &claim.spec.resources.requests;
    for item in range.spec.limits.iter().filter(|item| item.type_.text() == "PersistentVolumeClaim") {
        let check = Check { item, requests, limits: &ResourceList::new() };
        for (name, least) in &item.min {
            faults.extend(check.min(name, least));
        }
        for (name, most) in &item.max {
            let text = format!("maximum {name} usage per PersistentVolumeClaim is {most}");
            match requests.get(name) {
                None => faults.push(format!("{text}.  No request is specified")),
                Some(request) if values(Some(request), None, most).0 > values(Some(request), None, most).2 => {
                    faults.push(format!("{text}, but request is {request}"));
                }
                Some(_) => {}
            }
        }
    }
    faults
}

/// Three amounts as whole numbers of the same unit: thousandths unless one of them is too large.
fn values(request: Option<&Quantity>, limit: Option<&Quantity>, bound: &Quantity) -> (i64, i64, i64) {
    let whole = |amount: Option<&Quantity>| amount.map_or(0, |amount| amount.value().unwrap_or(i64::MAX));
    let milli = |amount: Option<&Quantity>| amount.map_or(0, |amount| amount.milli_value().unwrap_or(i64::MAX));
    let amounts = [request, limit, Some(bound)];
    if amounts.iter().all(|amount| whole(*amount) <= MILLI_MAX) {
        return (milli(request), milli(limit), milli(Some(bound)));
    }
    (whole(request), whole(limit), whole(Some(bound)))
}

struct Check<'a> {
    item: &'a LimitRangeItem,
    requests: &'a ResourceList,
    limits: &'a ResourceList,
}

impl Check<'_> {
    fn all(&self, faults: &mut Vec<String>) {
        for (name, least) in &self.item.min {
            faults.extend(self.min(name, least));
        }
        for (name, most) in &self.item.max {
            faults.extend(self.max(name, most));
        }
        for (name, ratio) in &self.item.max_limit_request_ratio {
            faults.extend(self.ratio(name, ratio));
        }
    }

    fn of(&self, name: &str) -> (Option<&Quantity>, Option<&Quantity>) {
        (self.requests.get(name), self.limits.get(name))
    }

    fn min(&self, name: &str, least: &Quantity) -> Option<String> {
        let (request, limit) = self.of(name);
        let (asked, granted, bound) = values(request, limit, least);
        let text = format!("minimum {name} usage per {} is {least}", self.item.type_.text());
        match (request, limit) {
            (None, _) => Some(format!("{text}.  No request is specified")),
            (Some(request), _) if asked < bound => Some(format!("{text}, but request is {request}")),
            (_, Some(limit)) if granted < bound => Some(format!("{text}, but limit is {limit}")),
            _ => None,
        }
    }

    fn max(&self, name: &str, most: &Quantity) -> Option<String> {
        let (request, limit) = self.of(name);
        let (asked, granted, bound) = values(request, limit, most);
        let text = format!("maximum {name} usage per {} is {most}", self.item.type_.text());
        match (limit, request) {
            (None, _) => Some(format!("{text}.  No limit is specified")),
            (Some(limit), _) if granted > bound => Some(format!("{text}, but limit is {limit}")),
            (_, Some(request)) if asked > bound => Some(format!("{text}, but request is {request}")),
            _ => None,
        }
    }

    fn ratio(&self, name: &str, most: &Quantity) -> Option<String> {
        let (request, limit) = self.of(name);
        let (asked, granted, _) = values(request, limit, most);
        let text = format!("{name} max limit to request ratio per {} is {most}", self.item.type_.text());
        if asked == 0 {
            return Some(format!("{text}, but no request is specified or request is 0"));
        }
        if granted == 0 {
            return Some(format!("{text}, but no limit is specified or limit is 0"));
        }
        let ratio = as_float(granted) / as_float(asked);
        let whole = most.value().unwrap_or(i64::MAX);
        let exceeds = if whole <= MILLI_MAX {
            ratio * 1000.0 > as_float(most.milli_value().unwrap_or(i64::MAX))
        } else {
            ratio > as_float(whole)
        };
        exceeds.then(|| format!("{text}, but provided ratio is {ratio:.6}"))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio is compared as the original compares it")]
fn as_float(value: i64) -> f64 {
    value as f64
}
