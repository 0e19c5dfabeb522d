//! Every commit of the store, told as it happens; and the table of pods, which follows from them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use windlass_pod::kinds::{EndpointSlice, Pod};

use super::error::Result;
use super::manifest::Cast;
use super::output::Reporter;
use super::{chain, view};
use crate::registry::journal::{Journal, Transition};
use crate::registry::{EventKind, Registry, Scope};

/// How often the table is drawn when nothing happens, so that its clock moves.
const TICK: std::time::Duration = std::time::Duration::from_millis(100);

/// Starts telling; it ends with the store. `answers` is the file in which the client counts.
pub(super) async fn follow(registry: &Registry, reporter: &Reporter, cast: &Cast, answers: PathBuf) -> Result<()> {
    let mut journal = Journal::open(registry).await?;
    let (registry, reporter, cast) = (registry.clone(), reporter.clone(), cast.clone());
    tokio::spawn(async move {
        loop {
            match tokio::time::timeout(TICK, journal.next()).await {
                Ok(Ok(transition)) => {
                    tell(&reporter, &transition);
                    if matches!(transition.kind.as_str(), "Pod" | "EndpointSlice") {
                        // A list that fails is the store's end, which the journal tells at its next turn.
                        let _ = show_pods(&registry, &reporter, &cast).await;
                    }
                }
                Ok(Err(crate::registry::Error::Store(crate::store::StoreError::Closed))) => return,
                Ok(Err(error)) => {
                    reporter.notice(&format!("transitions are not told any more: {}", chain(&error)));
                    return;
                }
                Err(_) => {
                    reporter.answers(count_lines(&answers));
                    reporter.paint();
                }
            }
        }
    });
    Ok(())
}

/// The lines of a file that may not be there yet.
fn count_lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

fn tell(reporter: &Reporter, transition: &Transition) {
    let what = match transition.event {
        EventKind::Created => "created",
        EventKind::Updated => "updated",
        EventKind::Deleted => "deleted",
    };
    let changes: Vec<Value> = transition
        .changes
        .iter()
        .map(|change| json!({ "field": change.field, "from": change.from, "to": change.to }))
        .collect();
    reporter.object(&json!({
        "event": "transition",
        "revision": transition.revision.0,
        "kind": transition.kind,
        "namespace": transition.key.namespace,
        "name": transition.key.name,
        "what": what,
        "changes": changes,
        "seconds": reporter.elapsed().as_secs_f64(),
    }));
    if transition.changes.is_empty() && transition.event == EventKind::Updated {
        return;
    }
    let changes: Vec<String> = transition.changes.iter().map(ToString::to_string).collect();
    let revision = transition.revision;
    reporter.line(&format!("    @{revision} {} {} {what} {}", transition.kind, transition.key, changes.join(", ")));
}

async fn show_pods(registry: &Registry, reporter: &Reporter, cast: &Cast) -> crate::registry::Result<()> {
    let (pods, _) = registry.list::<Pod>(Scope::All).await?;
    let (slices, _) = registry.list::<EndpointSlice>(Scope::All).await?;
    let endpoints = view::endpoints(&slices, &cast.service);
    reporter.service(format!("service {} at {} -> {}", cast.service, cast.address, endpoints.join(" ")));
    reporter.pods(pods.iter().map(view::row).collect());
    Ok(())
}
