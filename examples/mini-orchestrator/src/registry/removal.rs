//! Removing objects, and pods with the time that they need.

use windlass_pod::kinds::Pod;
use windlass_pod::{Kind as _, Time};

use super::{Error, Key, Registry, Resource, Result, codec};
use crate::store::{Expect, StoreError};

/// How often a removal is tried while others change the object.
const TRIES: u32 = 64;

/// The time that a pod gets to end when its spec says nothing.
const GRACE_SECONDS: i64 = 30;

/// How long a pod may take to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grace {
    /// What its spec says.
    Default,
    /// This many seconds; none: it is removed at once, whether its processes have ended or not.
    Seconds(u32),
}

/// What became of a pod that was to be removed.
#[derive(Debug, Clone, PartialEq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// Its node knows, stops it, and removes it then.
    Ending(Box<Pod>),
}

impl Registry {
    /// Removes an object at once; with a uid only if it is that one.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Replaced`], [`Error::Contended`], [`Error::Store`], [`Error::Undecodable`].
    pub async fn delete<R: Resource>(&self, key: &Key, uid: Option<&str>) -> Result<()> {
        for _ in 0..TRIES {
            let found = self.get::<R>(key).await?.ok_or_else(|| Error::NotFound { kind: R::KIND, key: key.clone() })?;
            check_uid(key, &found, uid)?;
            if self.try_remove(key, &found).await? {
                return Ok(());
            }
        }
        Err(Error::Contended { kind: R::KIND, key: key.clone(), tries: TRIES })
    }

    /// Removes a pod; with a uid only if it is that one. One that runs on a node is marked, with the time until which
    /// it may take to end, and its node removes it; a later call can shorten that time, not extend it. One that no node
    /// has, that has ended, or that gets no time is removed at once.
    ///
    /// # Errors
    /// Those of [`delete`](Self::delete).
    pub async fn delete_pod(&self, key: &Key, grace: Grace, uid: Option<&str>) -> Result<Removal> {
        let now = self.time();
        for _ in 0..TRIES {
            let found =
                self.get::<Pod>(key).await?.ok_or_else(|| Error::NotFound { kind: Pod::KIND, key: key.clone() })?;
            check_uid(key, &found, uid)?;
            let seconds = seconds_to_end(&found, grace);
            if seconds == 0 {
                if self.try_remove(key, &found).await? {
                    return Ok(Removal::Removed);
                }
            } else if let Some(pod) = self.try_replace(key, &found, marked(&found, now, seconds)).await? {
                return Ok(Removal::Ending(Box::new(pod)));
            }
        }
        Err(Error::Contended { kind: Pod::KIND, key: key.clone(), tries: TRIES })
    }

    /// Removes the object if it is still as it was read.
    async fn try_remove<R: Resource>(&self, key: &Key, found: &R) -> Result<bool> {
        let expect = codec::revision(found).map_or(Expect::Any, Expect::Revision);
        match self.store.delete(&key.path::<R>()?, expect).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn check_uid<R: Resource>(key: &Key, object: &R, uid: Option<&str>) -> Result<()> {
    let found = object.metadata().uid.as_deref().unwrap_or_default();
    match uid {
        Some(expected) if expected != found => Err(Error::Replaced {
            kind: R::KIND,
            key: key.clone(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn seconds_to_end(pod: &Pod, grace: Grace) -> i64 {
    let is_on_a_node = pod.spec.node_name.as_deref().is_some_and(|node| !node.is_empty());
    let has_ended = matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed"));
    match grace {
        _ if !is_on_a_node || has_ended => 0,
        Grace::Seconds(seconds) => i64::from(seconds),
        Grace::Default => pod.spec.termination_grace_period_seconds.unwrap_or(GRACE_SECONDS).max(0),
    }
}

/// The pod with the mark of its end, unless it bears one that is as early.
fn marked(pod: &Pod, now: Time, seconds: i64) -> Pod {
    let metadata = &pod.metadata;
    let is_as_early = metadata.deletion_grace_period_seconds.is_some_and(|before| before <= seconds);
    let mut pod = pod.clone();
    if metadata.deletion_timestamp.is_none() || !is_as_early {
        pod.metadata.deletion_timestamp = Some(Time::from_unix_seconds(now.unix_seconds() + seconds));
        pod.metadata.deletion_grace_period_seconds = Some(seconds);
    }
    pod
}
