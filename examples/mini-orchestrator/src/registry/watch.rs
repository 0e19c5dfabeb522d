//! Changes of the objects of one kind.

use std::marker::PhantomData;

use super::{EventKind, Resource, Result, Revision, codec};
use crate::store;

/// A change of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<R> {
    /// What happened to it.
    pub kind: EventKind,
    /// The object as it is now; as it was last for [`EventKind::Deleted`].
    pub object: R,
    /// The commit.
    pub revision: Revision,
}

/// Every change of the objects of one kind, once and in order.
#[derive(Debug)]
pub struct Watch<R> {
    events: store::Watch,
    kind: PhantomData<fn() -> R>,
}

impl<R: Resource> Watch<R> {
    pub(super) fn new(events: store::Watch) -> Self {
        Self { events, kind: PhantomData }
    }

    /// Waits for the next change. Dropping the future before it is ready loses none.
    ///
    /// # Errors
    /// [`Error::Store`](super::Error::Store), with [`Compacted`](store::StoreError::Compacted) when the next change is
    /// no longer kept; [`Error::Undecodable`](super::Error::Undecodable).
    pub async fn next(&mut self) -> Result<Event<R>> {
        let event = self.events.next().await?;
        decoded(&event)
    }

    /// The next change if it is there already. What this process has written is there.
    ///
    /// # Errors
    /// Those of [`next`](Self::next).
    pub fn try_next(&mut self) -> Result<Option<Event<R>>> {
        self.events.try_next()?.as_deref().map(decoded).transpose()
    }
}

fn decoded<R: Resource>(event: &store::Event) -> Result<Event<R>> {
    let object = codec::decode(&event.key, &event.value, event.revision)?;
    Ok(Event { kind: event.kind, object, revision: event.revision })
}
