//! Typed objects over the store: the only thing that scheduler, controllers, agents and proxies know of each other.
//!
//! Objects lie under the keys that Kubernetes uses, as the JSON of their wire kinds. Creating one applies its defaults,
//! judges it, and gives it uid, time and, if asked, a name; reading one fills in its `resourceVersion`. A writer changes
//! an object with a closure, which runs again when somebody else was faster.
//!
//! A task that needs to know what there is keeps a [`Mirror`]: a list that a watch keeps up to date.

mod codec;
mod error;
pub mod journal;
mod key;
mod mirror;
mod naming;
mod removal;
mod resource;
mod warning;
mod watch;
mod write;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinError;
use windlass_pod::Time;

pub use self::error::Error;
pub use self::key::{Key, Scope};
pub use self::mirror::{Delta, Mirror};
pub use self::removal::{Grace, Removal};
pub use self::resource::{Resource, WithStatus};
pub use self::watch::{Event, Watch};
pub use crate::store::{EventKind, Revision};

use crate::store::Store;

/// The result of the registry's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What objects are created with besides what the caller says: the time.
type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A handle on the objects of a cluster; clones share them.
#[derive(Clone)]
pub struct Registry {
    store: Store,
    clock: Clock,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Registry {
    /// The objects in a store, stamped with the time of this machine.
    pub fn new(store: Store) -> Self {
        // A clock before 1970 stamps 1970.
        Self::with_clock(store, || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }

    /// The objects in a store, stamped with the time since 1970 that `clock` tells.
    pub fn with_clock(store: Store, clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { store, clock: Arc::new(clock) }
    }

    /// The time with which an object would be stamped now, since 1970.
    pub fn now(&self) -> Duration {
        (self.clock)()
    }

    /// An object, if there is one of this name.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Undecodable`].
    pub async fn get<R: Resource>(&self, key: &Key) -> Result<Option<R>> {
        let path = key.path::<R>()?;
        let found = self.store.get(&path).await?;
        found.map(|found| codec::decode(&path, &found.value, found.revision)).transpose()
    }

    /// All objects of a kind, by namespace and name, and the revision at which exactly these were there.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Undecodable`].
    pub async fn list<R: Resource>(&self, scope: Scope<'_>) -> Result<(Vec<R>, Revision)> {
        let (found, revision) = self.store.list(&scope.prefix::<R>()).await?;
        let objects = found.iter().map(|(path, found)| codec::decode(path, &found.value, found.revision));
        Ok((objects.collect::<Result<_>>()?, revision))
    }

    /// Every change of the objects of a kind after a revision.
    pub fn watch<R: Resource>(&self, scope: Scope<'_>, after: Revision) -> Watch<R> {
        Watch::new(self.store.watch(&scope.prefix::<R>(), after))
    }

    /// A list of the objects of a kind that keeps itself up to date.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Undecodable`].
    pub async fn mirror<R: Resource>(&self, scope: Scope<'_>) -> Result<Mirror<R>> {
        Mirror::open(self.clone(), scope).await
    }

    fn time(&self) -> Time {
        Time::since_epoch(self.now())
    }
}

/// The answer of a task that uses the registry; a panic in it goes on in the caller.
pub(crate) fn joined<T>(answer: std::result::Result<Result<T>, JoinError>) -> Result<T> {
    match answer {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::Ended),
    }
}
