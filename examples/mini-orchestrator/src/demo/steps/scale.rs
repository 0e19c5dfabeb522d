//! The controller is asked for more replicas, and for fewer again.

use serde_json::json;
use windlass_pod::kinds::ReplicationController;

use super::PATIENCE;
use crate::demo::error::Result;
use crate::demo::show::Show;

/// How many more there are for a while.
const MORE: i32 = 2;

pub(super) async fn scale(show: &mut Show) -> Result<()> {
    let few = show.cast.replicas;
    let many = few + MORE;
    for (part, count) in [("up", many), ("down", few)] {
        let step = show.reporter.part(5, part, &format!("scaled to {count} replicas"));
        let change = |controller: &mut ReplicationController| controller.spec.replicas = Some(count);
        let changed = show.registry().update(&show.cast.controller, change).await?;
        let replicas = show.settled(usize::try_from(count).unwrap_or_default(), PATIENCE).await?;
        let names: Vec<_> = replicas.iter().filter_map(|pod| pod.metadata.name.clone()).collect();
        step.done(
            &format!("{} ready behind the service", names.len()),
            json!({ "replicas": names, "revision": changed.metadata.resource_version }),
        );
    }
    Ok(())
}
