//! The loop: changes in, decisions out.

use std::error::Error as _;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use kube::Client;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use windlass_scheduler_core::{Decision, Profile};

use crate::cluster::{Cluster, pod_of};
use crate::out::{Out, chain, notice};
use crate::watch::{Change, Watch};
use crate::write::{Answer, Carried, Writer};

/// Requests that are under way at the same time at most.
const WRITES_MAX: usize = 64;

/// What a run does.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How it decides, and whose pods: those whose `spec.schedulerName` is the profile's.
    pub profile: Profile,
    /// Decides and says so, but writes nothing to the cluster.
    pub dry_run: bool,
    /// Says what it decides as one JSON object a line.
    pub json: bool,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The profile is not one that pods can be scheduled by.
    #[error("the scheduler's profile cannot be used")]
    Profile(#[from] windlass_scheduler_core::Error),
    /// A task of this program failed, which is a fault of its own.
    #[error("a task ended without an answer")]
    Task(#[from] JoinError),
}

/// Schedules until `stop` is ready. What has been decided by then is still written.
///
/// # Errors
/// [`Error`]; what the API server refuses ends nothing: it is said aloud and tried again.
pub async fn run(client: Client, settings: Settings, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let out = Out::new(settings.json);
    let writer = Writer::new(client.clone(), &settings.profile.scheduler_name);
    let mut run = Run {
        cluster: Cluster::new(settings.profile)?,
        writer: (!settings.dry_run).then_some(writer),
        writes: JoinSet::new(),
        started: Instant::now(),
        out,
    };
    let mut watch = Watch::open(&client);
    let mut stop = pin!(stop);
    loop {
        let until = run.decide();
        tokio::select! {
            () = &mut stop => break,
            changes = watch.changed(), if run.has_room() => run.take(changes),
            Some(carried) = run.writes.join_next() => run.settle(&carried?),
            () = sleep(run.started, until) => {}
        }
    }
    while let Some(carried) = run.writes.join_next().await {
        run.settle(&carried?);
    }
    Ok(())
}

struct Run {
    cluster: Cluster,
    /// None in a dry run.
    writer: Option<Writer>,
    writes: JoinSet<Carried>,
    started: Instant,
    out: Out,
}

impl Run {
    fn has_room(&self) -> bool {
        self.writes.len() < WRITES_MAX
    }

    /// Starts to carry out every decision that there is; tells when to ask again at the latest.
    fn decide(&mut self) -> Option<Duration> {
        while self.has_room() {
            match self.cluster.scheduler()?.next(self.started.elapsed()) {
                Decision::Idle { until } => return until,
                decision => self.begin(decision),
            }
        }
        // The end of a write calls again.
        None
    }

    fn begin(&mut self, decision: Decision) {
        self.out.decision(&decision);
        let condition = pod_of(&decision).and_then(|pod| self.cluster.condition(pod)).cloned();
        match &self.writer {
            Some(writer) => drop(self.writes.spawn(writer.clone().carry_out(decision, condition))),
            // As if the cluster had taken it, so that the next pod finds the room taken.
            None => {
                if let Decision::Bind { pod, .. } = &decision {
                    self.cluster.confirm(pod);
                }
            }
        }
    }

    fn take(&mut self, changes: Vec<Change>) {
        let (troubles, changes): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| matches!(change, Change::Trouble(..)));
        for trouble in &troubles {
            if let Change::Trouble(topic, error) = trouble {
                // What it was doing is known.
                let cause = error.source().unwrap_or(error);
                notice(&format!("cannot watch {}: {}", topic.plural(), chain(cause)));
            }
        }
        for complaint in self.cluster.take(changes) {
            notice(&complaint.to_string());
            if let Some(writer) = &self.writer {
                self.writes.spawn(writer.clone().complain(complaint));
            }
        }
    }

    fn settle(&mut self, carried: &Carried) {
        for trouble in &carried.troubles {
            notice(&chain(trouble));
        }
        match &carried.answer {
            Answer::Bound(pod) => self.cluster.confirm(pod),
            Answer::Refused(pod) => self.cluster.refuse(pod),
            Answer::None => {}
        }
    }
}

async fn sleep(started: Instant, until: Option<Duration>) {
    match until {
        Some(until) => tokio::time::sleep_until(started + until).await,
        None => std::future::pending().await,
    }
}
