//! What people should know of an object: Kubernetes' events.

use windlass_pod::kinds::{Event, EventSource, ObjectMeta, ObjectReference};
use windlass_pod::{Object, Time};

use super::{Error, Key, Registry, Result};

/// The namespace of events about objects that have none.
const CLUSTER: &str = "default";

impl Registry {
    /// Records that a part of the cluster could not do something about an object. The same warning again counts up in
    /// the event that is there.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Contended`], [`Error::Undecodable`].
    pub async fn warn(&self, about: &Object, component: &str, reason: &str, message: &str) -> Result<()> {
        let event = warning(about, component, reason, message, self.time());
        let key = Key::of(&event);
        loop {
            match self.create(event.clone()).await {
                Err(Error::AlreadyExists { .. }) => {}
                result => return result.map(drop),
            }
            let count_up = |found: &mut Event| {
                found.count = Some(found.count.unwrap_or(0).saturating_add(1));
                found.last_timestamp = event.last_timestamp;
            };
            match self.update(&key, count_up).await {
                Err(Error::NotFound { .. }) => {}
                result => return result.map(drop),
            }
        }
    }
}

fn warning(about: &Object, component: &str, reason: &str, message: &str, now: Time) -> Event {
    let metadata = about.metadata();
    let name = metadata.name.clone().unwrap_or_default();
    let uid = metadata.uid.clone().unwrap_or_default();
    let digest = digest(&[&uid, component, reason, message]);
    let namespace = metadata.namespace.clone().unwrap_or_else(|| CLUSTER.to_owned());
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{digest:016x}")),
            namespace: Some(namespace),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some(about.api_version().to_owned()),
            kind: Some(about.kind().to_owned()),
            name: Some(name),
            namespace: metadata.namespace.clone(),
            uid: Some(uid),
            ..ObjectReference::default()
        },
        type_: Some("Warning".to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        source: EventSource { component: Some(component.to_owned()), ..EventSource::default() },
        reporting_component: Some(component.to_owned()),
        first_timestamp: Some(now),
        last_timestamp: Some(now),
        count: Some(1),
        ..Event::default()
    }
}

/// FNV-1a over the parts, each ended by a zero: the same warning has the same name.
fn digest(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
