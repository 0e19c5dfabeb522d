//! The objects of a kind as a list that keeps itself up to date.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{Error, EventKind, Key, Registry, Resource, Result, Revision, Scope, Watch};
use crate::store::StoreError;

/// What changed in a mirror.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta<R> {
    /// An object is there that was not.
    Added(Arc<R>),
    /// An object is another than it was.
    Updated {
        /// As it was.
        old: Arc<R>,
        /// As it is.
        new: Arc<R>,
    },
    /// An object is gone; as it was last.
    Deleted(Arc<R>),
}

impl<R> Delta<R> {
    /// The object as it is, or as it was last.
    pub fn object(&self) -> &Arc<R> {
        match self {
            Self::Added(object) | Self::Updated { new: object, .. } | Self::Deleted(object) => object,
        }
    }
}

/// All objects of a kind, kept up to date by a watch. When the watch is too late, it lists again and tells the
/// difference, so that only steps in between can be missed.
#[derive(Debug)]
pub struct Mirror<R> {
    registry: Registry,
    namespace: Option<String>,
    watch: Watch<R>,
    objects: BTreeMap<Key, Arc<R>>,
    /// What a new list brought and nobody has been told yet.
    deltas: VecDeque<Delta<R>>,
    revision: Revision,
}

impl<R: Resource> Mirror<R> {
    /// Lists the objects; the first deltas tell each of them.
    pub(super) async fn open(registry: Registry, scope: Scope<'_>) -> Result<Self> {
        let namespace = match scope {
            Scope::All => None,
            Scope::Namespace(namespace) => Some(namespace.to_owned()),
        };
        let watch = registry.watch(scope, Revision::ZERO);
        let (objects, deltas, revision) = (BTreeMap::new(), VecDeque::new(), Revision::ZERO);
        let mut mirror = Self { registry, namespace, watch, objects, deltas, revision };
        mirror.relist().await?;
        Ok(mirror)
    }

    /// Waits for the next change; the mirror has it then. Dropping the future before it is ready loses none.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Undecodable`].
    pub async fn changed(&mut self) -> Result<Delta<R>> {
        loop {
            if let Some(delta) = self.deltas.pop_front() {
                self.take_in(&delta);
                return Ok(delta);
            }
            match self.watch.next().await {
                Ok(event) => self.note(event.kind, event.object, event.revision),
                Err(Error::Store(StoreError::Compacted { .. })) => self.relist().await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes in all changes up to now, those that this process has written included.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Undecodable`].
    pub async fn catch_up(&mut self) -> Result<Vec<Delta<R>>> {
        let mut deltas = Vec::new();
        loop {
            while let Some(delta) = self.deltas.pop_front() {
                self.take_in(&delta);
                deltas.push(delta);
            }
            match self.watch.try_next() {
                Ok(Some(event)) => self.note(event.kind, event.object, event.revision),
                Ok(None) => return Ok(deltas),
                Err(Error::Store(StoreError::Compacted { .. })) => self.relist().await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// An object, if it is there.
    pub fn get(&self, key: &Key) -> Option<&Arc<R>> {
        self.objects.get(key)
    }

    /// All objects by their names.
    pub fn objects(&self) -> &BTreeMap<Key, Arc<R>> {
        &self.objects
    }

    /// All objects, by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<R>> {
        self.objects.values()
    }

    /// The last commit that the mirror has taken in.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    fn note(&mut self, kind: EventKind, object: R, revision: Revision) {
        self.revision = revision;
        let old = self.objects.get(&Key::of(&object)).cloned();
        let object = Arc::new(object);
        self.deltas.push_back(match (kind, old) {
            (EventKind::Deleted, _) => Delta::Deleted(object),
            (_, Some(old)) => Delta::Updated { old, new: object },
            (_, None) => Delta::Added(object),
        });
    }

    fn take_in(&mut self, delta: &Delta<R>) {
        match delta {
            Delta::Added(object) | Delta::Updated { new: object, .. } => {
                self.objects.insert(Key::of(&**object), Arc::clone(object));
            }
            Delta::Deleted(object) => {
                self.objects.remove(&Key::of(&**object));
            }
        }
    }

    async fn relist(&mut self) -> Result<()> {
        let scope = self.namespace.as_deref().map_or(Scope::All, Scope::Namespace);
        let (objects, revision) = self.registry.list::<R>(scope).await?;
        self.watch = self.registry.watch(scope, revision);
        self.revision = revision;
        let mut before = self.objects.clone();
        for object in objects {
            let old = before.remove(&Key::of(&object));
            let new = Arc::new(object);
            match old {
                None => self.deltas.push_back(Delta::Added(new)),
                Some(old) if old == new => {}
                Some(old) => self.deltas.push_back(Delta::Updated { old, new }),
            }
        }
        self.deltas.extend(before.into_values().map(Delta::Deleted));
        Ok(())
    }
}
