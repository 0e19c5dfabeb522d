//! Step 4: the manifest is applied, and the replicas become ready.

use serde_json::json;
use windlass_pod::Object;

use super::PATIENCE;
use crate::demo::error::Result;
use crate::demo::show::{Look, Show};
use crate::demo::view;

/// Applies `objects` in order and waits for the replicas, the service and the client.
pub(in crate::demo) async fn apply(show: &Show, objects: Vec<Object>) -> Result<()> {
    let step = show.reporter.step(4, "apply the manifest");
    let mut applied = Vec::new();
    for object in objects {
        let object = show.registry().apply_object(object).await?;
        let metadata = object.metadata();
        applied.push(json!({
            "kind": object.kind(),
            "name": metadata.name,
            "revision": metadata.resource_version,
        }));
    }
    let count = usize::try_from(show.cast.replicas).unwrap_or_default();
    step.detail("waiting until the replicas are ready");
    let replicas = show.settled(count, PATIENCE).await?;
    let client = show.cast.client.clone();
    show.until("the client pod", PATIENCE, async || {
        let pod = show.registry().get::<windlass_pod::kinds::Pod>(&client).await?;
        Ok(match pod {
            Some(pod) if view::is_ready(&pod) => Look::Found(()),
            Some(pod) => Look::NotYet(view::row(&pod).state),
            None => Look::NotYet("it is not there".to_owned()),
        })
    })
    .await?;
    let nodes: std::collections::BTreeSet<&str> = replicas.iter().map(view::node).collect();
    let pods: Vec<_> = replicas
        .iter()
        .map(|pod| json!({ "pod": pod.metadata.name, "node": view::node(pod), "address": view::address(pod) }))
        .collect();
    step.done(
        &format!("{} objects, {} replicas ready on {} nodes", applied.len(), replicas.len(), nodes.len()),
        json!({ "applied": applied, "replicas": pods }),
    );
    Ok(())
}
