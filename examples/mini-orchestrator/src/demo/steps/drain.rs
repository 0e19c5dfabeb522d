//! (f) A node is cordoned and drained: its pods move.

use serde_json::json;
use windlass_pod::kinds::Pod;

use super::PATIENCE;
use crate::controllers::{self, Unmanaged};
use crate::demo::error::{Error, Result};
use crate::demo::show::Show;
use crate::demo::view;

pub(super) async fn drain(show: &mut Show) -> Result<()> {
    let step = show.reporter.part(5, "f", "a node is drained");
    let count = usize::try_from(show.cast.replicas).unwrap_or_default();
    let replicas = show.settled(count, PATIENCE).await?;
    let on = |name: &str| replicas.iter().filter(|pod| view::node(pod) == name).count();
    // Any but the one that only the client tolerates; the fuller it is, the more there is to see.
    let node = show.cluster.nodes.iter().map(|node| node.name.clone()).max_by_key(|name| on(name));
    let node = node.ok_or_else(|| Error::Unexpected {
        what: "the nodes",
        expected: "some".to_owned(),
        found: "none".to_owned(),
    })?;
    let moved = on(&node);
    controllers::drain(show.registry(), &node, Unmanaged::Refuse, PATIENCE).await?;
    let after = show.settled_if(count, PATIENCE, |pod: &Pod| view::node(pod) != node).await?;
    let nodes: std::collections::BTreeSet<&str> = after.iter().map(view::node).collect();
    step.done(
        &format!("{moved} pods left {node}; all are ready on {}", nodes.iter().copied().collect::<Vec<_>>().join(", ")),
        json!({ "node": node, "moved": moved, "now_on": nodes }),
    );
    Ok(())
}
