//! What is inside the image stays; what is given from outside changes under running pods.

use std::time::{Duration, Instant};

use serde_json::json;
use windlass_pod::kinds::{ConfigMap, Pod};

use crate::demo::error::{Error, Result};
use crate::demo::show::{Look, Show};
use crate::demo::view;
use crate::responder::Answer;

/// What the configuration becomes.
pub(super) const GREETING: &str = "hello from the second configuration";
pub(super) const MODE: &str = "second";
/// How long a running pod may take to see a change in a file.
const FOLLOWS: Duration = Duration::from_secs(2);

/// Changes the ConfigMap: every running pod must see it in the file, and none in its environment.
pub(super) async fn configure(show: &mut Show) -> Result<()> {
    let step = show.reporter.part(5, "config", "configured anew while running");
    let replicas = show.replicas().await?;
    let before = answers(show, &replicas).await?;
    let changed = show
        .registry()
        .update(&show.cast.config, |map: &mut ConfigMap| {
            map.data.insert("greeting".to_owned(), GREETING.to_owned());
            map.data.insert("mode".to_owned(), MODE.to_owned());
        })
        .await?;
    let start = Instant::now();
    let after = show
        .until("the new greeting in every running pod", FOLLOWS, async || {
            let after = answers(show, &replicas).await?;
            let seen = after.iter().filter(|answer| answer.greeting == GREETING).count();
            Ok(if seen == after.len() {
                Look::Found(after)
            } else {
                Look::NotYet(format!("{seen} of {}", after.len()))
            })
        })
        .await?;
    let took = start.elapsed();
    // The environment of a running process is its own: only a restart brings the new mode.
    for (old, new) in before.iter().zip(&after) {
        if old.mode != new.mode {
            return Err(Error::Unexpected {
                what: "the mode of a running pod",
                expected: old.mode.clone(),
                found: new.mode.clone(),
            });
        }
    }
    step.done(
        &format!("seen in the file by {} pods after {} ms, in no environment yet", after.len(), took.as_millis()),
        json!({ "pods": after.len(), "file_seconds": took.as_secs_f64(), "revision": changed.metadata.resource_version }),
    );
    Ok(())
}

async fn answers(show: &Show, pods: &[Pod]) -> Result<Vec<Answer>> {
    let mut answers = Vec::new();
    for pod in pods {
        answers.push(answer(show, pod).await?);
    }
    Ok(answers)
}

/// What one pod says of itself, without a record.
pub(super) async fn answer(show: &Show, pod: &Pod) -> Result<Answer> {
    let response = show.ask(pod, "GET", "/whoami").await?;
    Answer::parse(&response.body).ok_or_else(|| Error::Unexpected {
        what: "a pod's answer",
        expected: "pod, greeting and mode".to_owned(),
        found: format!("{} {} from {}", response.status, response.body.trim(), view::key(pod)),
    })
}
