//! Creating and changing objects.

use windlass_pod::Object;

use super::{Error, Key, Registry, Resource, Result, WithStatus, codec, naming};
use crate::store::{Expect, StoreError};

/// How often a change is tried while others are faster.
const TRIES: u32 = 64;

/// How often a generated name that is taken is replaced by another.
const NAMES: u32 = 8;

/// The namespace of an object that names none.
const DEFAULT_NAMESPACE: &str = "default";

impl Registry {
    /// Puts a new object in place: with its defaults, judged, and with uid, time of creation and, if it has none but
    /// `generateName`, a name of its own. Returns it as it is in the store.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::Invalid`], [`Error::Name`], [`Error::Unsupported`], [`Error::Store`].
    pub async fn create<R: Resource>(&self, object: R) -> Result<R> {
        let prefix = object.metadata().generate_name.clone().filter(|_| object.name().is_empty());
        let Some(prefix) = prefix else {
            return self.create_named(object).await;
        };
        for tried in 1.. {
            let mut named = object.clone();
            named.metadata_mut().name = Some(naming::generated(&prefix, random()?));
            match self.create_named(named).await {
                Err(Error::AlreadyExists { .. }) if tried < NAMES => {}
                result => return result,
            }
        }
        unreachable!("the last try returns")
    }

    async fn create_named<R: Resource>(&self, object: R) -> Result<R> {
        let mut object = defaulted(object);
        let metadata = object.metadata_mut();
        metadata.uid = Some(naming::uid(random()?));
        metadata.creation_timestamp = Some(self.time());
        metadata.deletion_timestamp = None;
        metadata.deletion_grace_period_seconds = None;
        metadata.generation = Some(1);
        metadata.resource_version = None;
        let key = Key::of(&object);
        let path = key.path::<R>()?;
        if !object.metadata().finalizers.is_empty() {
            return Err(Error::Unsupported { kind: R::KIND, key, field: "metadata.finalizers" });
        }
        judge(&key, &object)?;
        match self.store.put(&path, codec::encode(object.clone()), Expect::Absent).await {
            Ok(revision) => {
                object.metadata_mut().resource_version = Some(revision.to_string());
                Ok(object)
            }
            Err(StoreError::Conflict { .. }) => Err(Error::AlreadyExists { kind: R::KIND, key }),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes an object; `change` runs again on the newer object when another writer was faster. What it does to name,
    /// namespace, uid and time of creation is undone. Nothing is written when nothing changed. Returns the object as it
    /// is in the store.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::Contended`], [`Error::Store`], [`Error::Undecodable`].
    pub async fn update<R: Resource>(&self, key: &Key, mut change: impl FnMut(&mut R)) -> Result<R> {
        self.change(key, |before: &R| {
            let mut after = before.clone();
            change(&mut after);
            keep_identity(before, &mut after);
            if after == *before {
                return Ok(after);
            }
            let mut after = defaulted(after);
            if !after.wants_same(before) {
                after.metadata_mut().generation = Some(before.metadata().generation.unwrap_or(0) + 1);
            }
            judge(key, &after)?;
            Ok(after)
        })
        .await
    }

    /// Changes how an object is, as [`update`](Self::update) changes the whole.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Contended`], [`Error::Store`], [`Error::Undecodable`].
    pub async fn update_status<R: WithStatus>(&self, key: &Key, mut change: impl FnMut(&mut R::Status)) -> Result<R> {
        self.change(key, |before: &R| {
            let mut after = before.clone();
            change(after.status_mut());
            Ok(after)
        })
        .await
    }

    /// Puts what a manifest says in place, whether there is an object of its name or not; keeps the state of one that
    /// is there, and what the cluster itself filled in. Returns it as it is in the store.
    ///
    /// # Errors
    /// Those of [`create`](Self::create) and [`update`](Self::update).
    pub async fn apply<R: Resource>(&self, manifest: R) -> Result<R> {
        let manifest = defaulted(manifest);
        let key = Key::of(&manifest);
        if self.get::<R>(&key).await?.is_none() {
            match self.create(manifest.clone()).await {
                Err(Error::AlreadyExists { .. }) => {}
                result => return result,
            }
        }
        self.update(&key, |object: &mut R| {
            let wanted = manifest.metadata();
            object.metadata_mut().labels.clone_from(&wanted.labels);
            object.metadata_mut().annotations.clone_from(&wanted.annotations);
            object.take_over(manifest.clone());
        })
        .await
    }

    /// [`apply`](Self::apply) for an object of any kind that the registry holds.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another kind; those of [`apply`](Self::apply).
    pub async fn apply_object(&self, object: Object) -> Result<Object> {
        Ok(match object {
            Object::Pod(pod) => self.apply(*pod).await?.into_object(),
            Object::ReplicationController(controller) => self.apply(*controller).await?.into_object(),
            Object::Service(service) => self.apply(*service).await?.into_object(),
            Object::EndpointSlice(slice) => self.apply(*slice).await?.into_object(),
            Object::ConfigMap(map) => self.apply(*map).await?.into_object(),
            Object::Node(node) => self.apply(*node).await?.into_object(),
            Object::Namespace(namespace) => self.apply(*namespace).await?.into_object(),
            other => {
                let key = Key::new(
                    other.metadata().namespace.clone().unwrap_or_default(),
                    other.metadata().name.clone().unwrap_or_default(),
                );
                return Err(Error::Unsupported { kind: other.kind(), key, field: "kind" });
            }
        })
    }

    /// Reads, changes and writes until nobody was faster.
    async fn change<R: Resource>(&self, key: &Key, mut change: impl FnMut(&R) -> Result<R>) -> Result<R> {
        for _ in 0..TRIES {
            let before =
                self.get::<R>(key).await?.ok_or_else(|| Error::NotFound { kind: R::KIND, key: key.clone() })?;
            let after = change(&before)?;
            if let Some(written) = self.try_replace(key, &before, after).await? {
                return Ok(written);
            }
        }
        Err(Error::Contended { kind: R::KIND, key: key.clone(), tries: TRIES })
    }

    /// Writes `after` in the place of `before`, or nothing if both are the same; returns it as it is in the store, or
    /// `None` when the object is no longer as it was read.
    pub(super) async fn try_replace<R: Resource>(&self, key: &Key, before: &R, mut after: R) -> Result<Option<R>> {
        if after == *before {
            return Ok(Some(after));
        }
        let expect = codec::revision(before).map_or(Expect::Absent, Expect::Revision);
        match self.store.put(&key.path::<R>()?, codec::encode(after.clone()), expect).await {
            Ok(revision) => {
                after.metadata_mut().resource_version = Some(revision.to_string());
                Ok(Some(after))
            }
            Err(StoreError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The object with its namespace and every default of its kind.
fn defaulted<R: Resource>(mut object: R) -> R {
    if R::IS_NAMESPACED && object.namespace().is_empty() {
        object.metadata_mut().namespace = Some(DEFAULT_NAMESPACE.to_owned());
    }
    let mut object = object.into_object();
    windlass_pod::defaults::apply(&mut object);
    R::from_object(object).expect("defaults leave an object its kind")
}

/// Refuses an object with everything that is wrong with it.
fn judge<R: Resource>(key: &Key, object: &R) -> Result<()> {
    let violations = windlass_pod::validate(&object.clone().into_object());
    if violations.is_empty() { Ok(()) } else { Err(Error::Invalid { kind: R::KIND, key: key.clone(), violations }) }
}

fn keep_identity<R: Resource>(before: &R, after: &mut R) {
    let (from, to) = (before.metadata(), after.metadata_mut());
    to.name.clone_from(&from.name);
    to.namespace.clone_from(&from.namespace);
    to.uid.clone_from(&from.uid);
    to.creation_timestamp = from.creation_timestamp;
    to.generation = from.generation;
    to.resource_version.clone_from(&from.resource_version);
}

/// Random bytes, or the store's failure to have any.
fn random() -> Result<[u8; 16]> {
    naming::random().map_err(|source| Error::Random { source })
}
