//! What goes wrong with pods, one thing after the other, and what is done about it.

use std::time::Instant;

use serde_json::json;
use windlass_namespaces::Signal;
use windlass_pod::kinds::Pod;

use super::{PATIENCE, configure};
use crate::demo::error::{Error, Result};
use crate::demo::show::{Look, Show};
use crate::demo::view;
use crate::registry::Grace;

/// (a) A pod is deleted: its endpoint goes, and another pod with another address takes its place.
pub(super) async fn delete(show: &mut Show) -> Result<()> {
    let step = show.reporter.part(5, "a", "a pod is deleted");
    let old = chosen(show, 0).await?;
    let address = view::address(&old).unwrap_or_default().to_owned();
    show.registry().delete_pod(&view::key(&old), Grace::Default, Some(view::uid(&old))).await?;
    let start = Instant::now();
    endpoint_gone(show, &address).await?;
    let gone = start.elapsed();
    let replicas = settled(show).await?;
    let is_new = |pod: &&Pod| view::uid(pod) != view::uid(&old) && view::address(pod) != Some(&address);
    if replicas.iter().filter(is_new).count() != replicas.len() {
        return Err(unexpected("the replicas after a deletion", "none with the old uid or address", &replicas));
    }
    let newest = replicas.iter().max_by_key(|pod| pod.metadata.creation_timestamp).unwrap_or(&replicas[0]);
    let (name, at) = (newest.metadata.name.clone().unwrap_or_default(), view::address(newest).unwrap_or_default());
    step.done(
        &format!("endpoint gone after {} ms; {name} at {at} is ready", gone.as_millis()),
        json!({ "deleted": old.metadata.name, "address": address, "endpoint_gone_seconds": gone.as_secs_f64(), "replacement": name, "replacement_address": at }),
    );
    Ok(())
}

/// (b) A container's process is killed: it is started again in its place, with what is configured now.
pub(super) async fn kill(show: &mut Show) -> Result<()> {
    let step = show.reporter.part(5, "b", "a process is killed with -9");
    let pod = chosen(show, 0).await?;
    let node = show.node(view::node(&pod))?;
    let signalled = node.agent.signal(&view::key(&pod), &show.cast.container, Signal::KILL).await;
    signalled.map_err(Error::agent(&node.name))?;
    let after = restarted(show, &pod, 1).await?;
    if view::address(&after) != view::address(&pod) {
        return Err(unexpected("the address after a restart", "the same", std::slice::from_ref(&after)));
    }
    let answer = configure::answer(show, &after).await?;
    if answer.mode != configure::MODE {
        let expected = configure::MODE.to_owned();
        return Err(Error::Unexpected { what: "the mode after a restart", expected, found: answer.mode });
    }
    settled(show).await?;
    step.done(
        &format!("{} restarted in place, restart count 1, now in mode {}", answer.pod, answer.mode),
        json!({ "pod": answer.pod, "restart_count": 1, "last_end": view::last_end(&after, &show.cast.container), "mode": answer.mode }),
    );
    Ok(())
}

/// (c) A container hangs: its liveness probe has it restarted.
pub(super) async fn hang(show: &mut Show) -> Result<()> {
    let step = show.reporter.part(5, "c", "one hangs");
    let pod = chosen(show, 0).await?;
    order(show, &pod, "/control/hang").await?;
    let after = restarted(show, &pod, 1).await?;
    settled(show).await?;
    let name = after.metadata.name.clone().unwrap_or_default();
    step.done(
        &format!("the liveness probe had {name} restarted"),
        json!({ "pod": name, "restart_count": 1, "last_end": view::last_end(&after, &show.cast.container) }),
    );
    Ok(())
}

/// (d) A container says that it is not ready: its endpoint goes and comes back, and nothing is restarted.
pub(super) async fn not_ready(show: &mut Show) -> Result<()> {
    let step = show.reporter.part(5, "d", "one is not ready for a while");
    let pod = chosen(show, 0).await?;
    let address = view::address(&pod).unwrap_or_default().to_owned();
    let start = Instant::now();
    order(show, &pod, "/control/not-ready").await?;
    endpoint_gone(show, &address).await?;
    let gone = start.elapsed();
    order(show, &pod, "/control/ready").await?;
    let replicas = settled(show).await?;
    let container = &show.cast.container;
    let after = replicas.iter().find(|after| view::uid(after) == view::uid(&pod));
    let restarts = after.map(|after| view::restarts(after, container));
    if restarts != Some(view::restarts(&pod, container)) {
        return Err(unexpected("the pod that was not ready", "still there, not restarted", &replicas));
    }
    step.done(
        &format!("endpoint gone after {} ms, back without a restart", gone.as_millis()),
        json!({ "pod": pod.metadata.name, "endpoint_gone_seconds": gone.as_secs_f64(), "restarts": restarts }),
    );
    Ok(())
}

/// (e) A container fills its memory: the kernel kills it, which its status says, and it waits before it starts again.
pub(super) async fn fill_memory(show: &mut Show) -> Result<()> {
    const TITLE: &str = "one fills its memory";
    if let Some(reason) = &show.missing.memory {
        show.reporter.skip(5, "e", TITLE, reason);
        return Ok(());
    }
    let step = show.reporter.part(5, "e", TITLE);
    // The one that failed before: only a second failure is followed by a wait.
    let pod = chosen(show, 1).await?;
    let before = view::restarts(&pod, &show.cast.container);
    // The answer is lost with the process; whether the order arrived shows in what follows.
    let _ = order(show, &pod, "/control/fill-memory").await;
    let start = Instant::now();
    let mut waited = None;
    let container = show.cast.container.clone();
    let killed = show
        .until("the end by the kernel, in the pod's status", PATIENCE, async || {
            let Some(now) = show.pod(&pod).await? else { return Ok(Look::NotYet("the pod is gone".to_owned())) };
            match view::last_end(&now, &container) {
                Some(("OOMKilled", code)) => {
                    let status = view::container(&now, &container);
                    waited = status.and_then(|status| status.state.waiting.as_deref()?.reason.clone());
                    Ok(Look::Found(code))
                }
                other => Ok(Look::NotYet(format!("{other:?}"))),
            }
        })
        .await?;
    let after = restarted(show, &pod, before + 1).await?;
    let took = start.elapsed();
    settled(show).await?;
    let name = after.metadata.name.clone().unwrap_or_default();
    step.done(
        &format!("{name}: OOMKilled, exit code {killed}, ready again after {:.1} s", took.as_secs_f64()),
        json!({ "pod": name, "reason": "OOMKilled", "exit_code": killed, "waited_in": waited, "ready_again_seconds": took.as_secs_f64(), "restart_count": before + 1 }),
    );
    Ok(())
}

/// A ready replica whose container was restarted so often; without one, any.
async fn chosen(show: &Show, restarts: i32) -> Result<Pod> {
    let replicas = settled(show).await?;
    let fits = |pod: &&Pod| view::restarts(pod, &show.cast.container) == restarts;
    replicas.iter().find(fits).or(replicas.first()).cloned().ok_or_else(|| unexpected("the replicas", "some", &[]))
}

async fn settled(show: &Show) -> Result<Vec<Pod>> {
    show.settled(usize::try_from(show.cast.replicas).unwrap_or_default(), PATIENCE).await
}

async fn order(show: &Show, pod: &Pod, path: &'static str) -> Result<()> {
    let response = show.ask(pod, "POST", path).await?;
    if response.status == 200 {
        return Ok(());
    }
    let found = format!("{} {}", response.status, response.body.trim());
    Err(Error::Unexpected { what: "the answer to an order", expected: "200".to_owned(), found })
}

async fn endpoint_gone(show: &Show, address: &str) -> Result<()> {
    show.until(&format!("the endpoint {address} to go"), PATIENCE, async || {
        let endpoints = show.endpoints().await?;
        let there = endpoints.iter().any(|endpoint| endpoint == address);
        Ok(if there { Look::NotYet(endpoints.join(" ")) } else { Look::Found(()) })
    })
    .await
}

/// Waits until the same pod's container has been restarted so often and is ready.
async fn restarted(show: &Show, pod: &Pod, count: i32) -> Result<Pod> {
    let container = &show.cast.container;
    let what = format!("restart {count} of {container} in {}", pod.metadata.name.as_deref().unwrap_or_default());
    show.until(&what, PATIENCE, async || {
        let Some(now) = show.pod(pod).await? else { return Ok(Look::NotYet("the pod is gone".to_owned())) };
        let restarts = view::restarts(&now, container);
        if restarts >= count && view::is_ready(&now) {
            return Ok(Look::Found(now));
        }
        Ok(Look::NotYet(format!("{restarts} restarts, {}", view::row(&now).state)))
    })
    .await
}

fn unexpected(what: &'static str, expected: &str, pods: &[Pod]) -> Error {
    let pods: Vec<String> = pods.iter().map(|pod| format!("{:?}", view::row(pod))).collect();
    Error::Unexpected { what, expected: expected.to_owned(), found: pods.join(", ") }
}
