//! The service's address, called from everywhere: a client pod, a node, and a backend itself.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::PATIENCE;
use crate::demo::error::{Error, Result};
use crate::demo::show::{Look, Show};
use crate::demo::view;

/// The file in the data folder to which the client pod appends its answers.
pub(in crate::demo) const CLIENT_ANSWERS: &str = "answers";
/// The file to which a backend's own calls append theirs.
pub(in crate::demo) const BACKEND_ANSWERS: &str = "answers-backend";
/// Where the replicas see the data folder.
const DATA: &str = "/data";
/// How many calls a backend makes at most until it has heard from all.
const CALLS_MAX: usize = 200;

/// Calls from each place until all replicas have answered.
pub(super) async fn call(show: &mut Show) -> Result<()> {
    let count = usize::try_from(show.cast.replicas).unwrap_or_default();
    from_client(show, count).await?;
    from_node(show, count).await?;
    from_backend(show, count).await
}

async fn from_client(show: &Show, count: usize) -> Result<()> {
    let step = show.reporter.part(5, "client", "called from a client pod");
    let path = show.data.join(CLIENT_ANSWERS);
    let (calls, pods) = show
        .until("answers from every replica at the client pod", PATIENCE, async || {
            let text = match std::fs::read_to_string(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
                text => text.map_err(Error::io("read", &path))?,
            };
            let pods: BTreeSet<String> =
                text.lines().filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned).collect();
            let calls = text.lines().count();
            Ok(if pods.len() >= count {
                Look::Found((calls, pods))
            } else {
                Look::NotYet(format!("{calls} answers from {pods:?}"))
            })
        })
        .await?;
    step.done(
        &format!("{calls} answers from {} pods; it goes on calling", pods.len()),
        json!({ "answers": calls, "pods": pods }),
    );
    Ok(())
}

async fn from_node(show: &mut Show, count: usize) -> Result<()> {
    let step = show.reporter.part(5, "node", "called from a node");
    let calls = show.call_from_node("node-1", count, PATIENCE).await?;
    step.done(
        &format!("{calls} answers from {count} pods"),
        json!({ "answers": calls, "pods": count, "node": "node-1" }),
    );
    Ok(())
}

async fn from_backend(show: &Show, count: usize) -> Result<()> {
    let step = show.reporter.part(5, "backend", "called from a backend itself");
    let replicas = show.replicas().await?;
    let Some(backend) = replicas.first() else {
        return Err(Error::Unexpected { what: "the replicas", expected: "some".to_owned(), found: "none".to_owned() });
    };
    let answers = format!("{DATA}/{BACKEND_ANSWERS}");
    let line = [
        "/bin/mini-orchestrator",
        "call",
        "--service",
        &show.cast.address.to_string(),
        "--name",
        "backend",
        "--answers",
        &answers,
        "--every-ms",
        "1",
        "--until-pods",
        &count.to_string(),
        "--count",
        &CALLS_MAX.to_string(),
    ]
    .map(str::to_owned)
    .to_vec();
    let node = show.node(view::node(backend))?;
    let key = view::key(backend);
    let code = node.agent.exec(&key, &show.cast.container, line, Duration::from_secs(30)).await;
    let code = code.map_err(Error::agent(&node.name))?;
    if code != Some(0) {
        let found = code.map_or_else(|| "none in time".to_owned(), |code| code.to_string());
        return Err(Error::Unexpected {
            what: "the exit code of the calls inside a backend",
            expected: "0".to_owned(),
            found,
        });
    }
    let path = show.data.join(BACKEND_ANSWERS);
    let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    let own = text.lines().filter(|line| line.split_whitespace().nth(1) == Some(&key.name)).count();
    let calls = text.lines().count();
    step.done(
        &format!("{calls} answers from {count} pods, {own} of them its own"),
        json!({ "answers": calls, "pods": count, "own": own, "backend": key.name }),
    );
    Ok(())
}
