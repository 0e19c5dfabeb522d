//! The task that gives pods their nodes: the cluster's changes into `windlass_scheduler_core`, its decisions back.
//!
//! A decision counts in the scheduler at once and is written beside the next ones; what the registry says to the write
//! is the decision's commit or rollback.

mod carry;
mod condition;
mod feed;

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use windlass_scheduler_core::{Decision, Profile, Scheduler};

use self::carry::{Carried, carry_out};
use self::feed::Feed;
use crate::registry::{self, Registry, joined};

/// What this task calls itself in the events that it records.
const COMPONENT: &str = "scheduler";

/// Decisions that are being written at the same time at most.
const WRITES_MAX: usize = 64;

/// Why the scheduler ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The profile is not one that pods can be scheduled by.
    #[error("the scheduler's profile cannot be used")]
    Profile(#[source] windlass_scheduler_core::Error),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

/// Schedules until `stop` becomes true or its sender is gone. What has been decided by then is still written.
///
/// # Errors
/// [`Error`]; a failure about one pod or node is recorded at it and ends nothing.
pub async fn run(registry: Registry, profile: Profile, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
    let mut core = Scheduler::new(profile).map_err(Error::Profile)?;
    let mut feed = Feed::open(registry.clone()).await?;
    let mut writes = JoinSet::new();
    let started = Instant::now();
    while !*stop.borrow() {
        feed.catch_up(&mut core).await?;
        let until = decide(&mut core, started, &registry, &mut writes);
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            changed = feed.changed() => changed?,
            Some(carried) = writes.join_next() => settle(&mut core, joined(carried)?),
            () = sleep(started, until) => {}
        }
    }
    while let Some(carried) = writes.join_next().await {
        settle(&mut core, joined(carried)?);
    }
    Ok(())
}

/// Starts to write every decision that there is; tells when to ask again at the latest.
fn decide(
    core: &mut Scheduler,
    started: Instant,
    registry: &Registry,
    writes: &mut JoinSet<registry::Result<Carried>>,
) -> Option<Duration> {
    while writes.len() < WRITES_MAX {
        match core.next(started.elapsed()) {
            Decision::Idle { until } => return until,
            decision => drop(writes.spawn(carry_out(registry.clone(), decision))),
        }
    }
    // The end of a write calls again.
    None
}

/// Tells the scheduler how a decision went.
fn settle(core: &mut Scheduler, carried: Carried) {
    // An error says that it knows better already: the pod is gone, or was shown on its node.
    match carried {
        Carried::Bound(pod) => drop(core.commit(&pod)),
        Carried::Refused(pod) => drop(core.rollback(&pod)),
        Carried::Told => {}
    }
}

async fn sleep(started: Instant, until: Option<Duration>) {
    match until {
        Some(until) => tokio::time::sleep_until(started + until).await,
        None => std::future::pending().await,
    }
}
