//! What a pod requests in all, and what a node has to give.

use std::collections::BTreeMap;

use super::Quantity;

use super::wire;
use crate::error::{Error, Result};
use crate::resources::{
    AMOUNT_MAX, CPU, Catalog, DEFAULT_MEMORY_BYTES, DEFAULT_MILLICORES, EPHEMERAL_STORAGE, MEMORY, Requests,
    ResourceId, is_scalar_name,
};
use crate::verdict::Shortage;

/// Exact amounts by resource name.
type Amounts = BTreeMap<String, Quantity>;

/// What a node has of each resource.
type Allocatable = Box<[(ResourceId, i64)]>;

/// What a container counts with where it names no cpu or memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unnamed {
    Nothing,
    Defaults,
}

pub(super) fn is_sidecar(container: &wire::Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

pub(super) fn compile(catalog: &mut Catalog, pod: &wire::Pod) -> Result<Requests> {
    let plain = total(pod, Unnamed::Nothing);
    let scored = total(pod, Unnamed::Defaults);
    let mut requests = Requests::default();
    let mut scalars = Vec::new();
    for (name, quantity) in &plain {
        let Some(id) = column(catalog, name)? else { continue };
        let amount = amount(id, name, quantity).map_err(|error| error.within("resources.requests"))?;
        if id.is_scalar() {
            scalars.push((id, amount));
        } else {
            requests.base[id.column()] = amount;
        }
    }
    if scalars.len() > Shortage::SCALARS_MAX {
        return Err(Error::LimitExceeded { field: "resources.requests".to_owned(), limit: Shortage::SCALARS_MAX });
    }
    requests.scalars = scalars.into();
    for (index, (id, name)) in [(CPU, "cpu"), (MEMORY, "memory")].into_iter().enumerate() {
        requests.scored[index] = match scored.get(name) {
            Some(quantity) => amount(id, name, quantity).map_err(|error| error.within("resources.requests"))?,
            None => 0,
        };
    }
    Ok(requests)
}

/// What the node has for pods, and how many pods it takes.
pub(super) fn allocatable(catalog: &mut Catalog, status: &wire::NodeStatus) -> Result<(Allocatable, i64)> {
    let mut amounts = Vec::new();
    let mut pods = 0;
    let within = |error: Error| error.within("status.allocatable");
    for (name, quantity) in &status.allocatable {
        if name == "pods" {
            // Counted in whole units, as a scalar is.
            pods = whole(name, quantity.value()).map_err(within)?;
        } else if let Some(id) = column(catalog, name).map_err(within)? {
            amounts.push((id, amount(id, name, quantity).map_err(within)?));
        }
    }
    Ok((amounts.into(), pods))
}

/// The column of a resource that is counted, `None` for names that are not.
fn column(catalog: &mut Catalog, name: &str) -> Result<Option<ResourceId>> {
    match name {
        "cpu" => Ok(Some(CPU)),
        "memory" => Ok(Some(MEMORY)),
        "ephemeral-storage" => Ok(Some(EPHEMERAL_STORAGE)),
        scalar if is_scalar_name(scalar) => {
            let limit = usize::from(u16::MAX);
            let id = catalog.intern(scalar);
            id.map(Some).ok_or(Error::LimitExceeded { field: format!("[{scalar}]"), limit })
        }
        _ => Ok(None),
    }
}

fn amount(id: ResourceId, name: &str, quantity: &Quantity) -> Result<i64> {
    whole(name, if id == CPU { quantity.milli_value() } else { quantity.value() })
        .map_err(|error| name_value(error, quantity))
}

fn whole(name: &str, amount: Option<i64>) -> Result<i64> {
    amount.filter(|amount| (0..=AMOUNT_MAX).contains(amount)).ok_or_else(|| {
        let value = amount.map_or_else(|| "more than 64 bits".to_owned(), |amount| amount.to_string());
        Error::invalid(format!("[{name}]"), value, "not an amount from 0 to 2^55")
    })
}

fn name_value(mut error: Error, quantity: &Quantity) -> Error {
    if let Error::Invalid { value, .. } = &mut error {
        *value = quantity.to_string();
    }
    error
}

/// Adds up a pod: containers and sidecars run together, an init container runs beside the sidecars before it, and
/// what the pod itself names stands above both. Overhead comes on top.
fn total(pod: &wire::Pod, unnamed: Unnamed) -> Amounts {
    let infeasible = pod.status.conditions.iter().any(|condition| {
        condition.type_.as_deref() == Some("PodResizePending") && condition.reason.as_deref() == Some("Infeasible")
    });
    let of = |container: &wire::Container, statuses: &[wire::ContainerStatus]| {
        let mut amounts = container_requests(container, statuses, infeasible);
        if unnamed == Unnamed::Defaults {
            let memory = Quantity::from_units(DEFAULT_MEMORY_BYTES, super::Format::BinarySi);
            amounts.entry("cpu".to_owned()).or_insert_with(|| Quantity::from_millis(DEFAULT_MILLICORES));
            amounts.entry("memory".to_owned()).or_insert(memory);
        }
        amounts
    };
    let mut sum = Amounts::new();
    for container in &pod.spec.containers {
        add(&mut sum, &of(container, &pod.status.container_statuses));
    }
    let mut sidecars = Amounts::new();
    let mut starting = Amounts::new();
    for container in &pod.spec.init_containers {
        let mut amounts = of(container, &pod.status.init_container_statuses);
        if is_sidecar(container) {
            add(&mut sum, &amounts);
            add(&mut sidecars, &amounts);
            amounts.clone_from(&sidecars);
        } else {
            add(&mut amounts, &sidecars);
        }
        raise(&mut starting, &amounts);
    }
    raise(&mut sum, &starting);
    if let Some(resources) = &pod.spec.resources {
        let pod_level = |name: &&String| matches!(name.as_str(), "cpu" | "memory") || name.starts_with("hugepages-");
        for name in resources.requests.keys().filter(pod_level) {
            sum.insert(name.clone(), resources.requests[name].clone());
        }
    }
    add(&mut sum, &pod.spec.overhead);
    sum
}

/// What a container holds: while its resources are being changed, the larger of what it has and what it wants.
fn container_requests(container: &wire::Container, statuses: &[wire::ContainerStatus], infeasible: bool) -> Amounts {
    let status = statuses.iter().find(|status| status.name == container.name);
    let Some((status, resources)) = status.and_then(|status| Some((status, status.resources.as_deref()?))) else {
        return container.resources.requests.clone();
    };
    let mut amounts = if infeasible { Amounts::new() } else { container.resources.requests.clone() };
    raise(&mut amounts, &resources.requests);
    raise(&mut amounts, &status.allocated_resources);
    amounts
}

fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, quantity) in more {
        let entry = sum.entry(name.clone()).or_default();
        *entry = entry.plus(quantity);
    }
}

fn raise(most: &mut Amounts, other: &Amounts) {
    for (name, quantity) in other {
        let entry = most.entry(name.clone()).or_insert_with(|| quantity.clone());
        *entry = entry.max_of(quantity).clone();
    }
}
