//! Decisions into writes.

use windlass_pod::Time;
use windlass_pod::kinds::Pod;
use windlass_scheduler_core::{Decision, PodRef, Report};

use super::condition;
use crate::registry::{Error, Grace, Key, Registry, Result};

/// What became of a decision.
#[derive(Debug)]
pub(super) enum Carried {
    /// The pod is on the node.
    Bound(PodRef),
    /// The decision could not be carried out: the pod is another one by now, or is leaving.
    Refused(PodRef),
    /// It needs no answer.
    Told,
}

/// Writes a decision. A failure that concerns one object refuses it.
pub(super) async fn carry_out(registry: Registry, decision: Decision) -> Result<Carried> {
    let (pod, result) = match decision {
        Decision::Bind { pod, node, .. } => {
            let result = bind(&registry, &pod, &node).await;
            (pod, result)
        }
        Decision::Preempt { pod, node, victims } => {
            let result = preempt(&registry, &pod, &node, &victims).await;
            (pod, result)
        }
        Decision::Unschedulable { pod, report } => {
            let result = tell(&registry, &pod, &report).await;
            (pod, result)
        }
        _ => return Ok(Carried::Told),
    };
    match result {
        Err(error) if !error.is_fatal() => Ok(Carried::Refused(pod)),
        result => result,
    }
}

async fn bind(registry: &Registry, pod: &PodRef, node: &str) -> Result<Carried> {
    let now = Time::since_epoch(registry.now());
    let change = |found: &mut Pod| {
        let is_free = found.spec.node_name.is_none() && found.metadata.deletion_timestamp.is_none();
        if is_same(found, pod) && is_free {
            found.spec.node_name = Some(node.to_owned());
            found.status.nominated_node_name = None;
            condition::scheduled(&mut found.status, now);
        }
    };
    let written = registry.update(&key(pod), change).await?;
    let is_bound = is_same(&written, pod) && written.spec.node_name.as_deref() == Some(node);
    Ok(if is_bound { Carried::Bound(pod.clone()) } else { Carried::Refused(pod.clone()) })
}

async fn preempt(registry: &Registry, pod: &PodRef, node: &str, victims: &[PodRef]) -> Result<Carried> {
    let change = |found: &mut Pod| {
        if is_same(found, pod) {
            found.status.nominated_node_name = Some(node.to_owned());
        }
    };
    let written = registry.update(&key(pod), change).await?;
    if !is_same(&written, pod) {
        return Ok(Carried::Refused(pod.clone()));
    }
    for victim in victims {
        match registry.delete_pod(&key(victim), Grace::Default, Some(victim.uid())).await {
            // Gone is what was wanted.
            Ok(_) | Err(Error::NotFound { .. } | Error::Replaced { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Carried::Told)
}

async fn tell(registry: &Registry, pod: &PodRef, report: &Report) -> Result<Carried> {
    let (now, message) = (Time::since_epoch(registry.now()), report.to_string());
    let change = |found: &mut Pod| {
        if is_same(found, pod) && found.spec.node_name.is_none() {
            condition::unscheduled(&mut found.status, now, "Unschedulable", &message);
        }
    };
    match registry.update(&key(pod), change).await {
        Ok(_) | Err(Error::NotFound { .. }) => Ok(Carried::Told),
        Err(error) => Err(error),
    }
}

fn key(pod: &PodRef) -> Key {
    Key::new(pod.namespace(), pod.name())
}

fn is_same(found: &Pod, pod: &PodRef) -> bool {
    found.metadata.uid.as_deref() == Some(pod.uid())
}
