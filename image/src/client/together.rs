//! Digests of blobs that come at the same time, computed together by whoever has the next piece.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::digest::Hasher;

/// Pieces that are worked on at once; each is of another blob.
const GROUP: usize = 4;

/// Where pieces wait for others. No stream waits for another's network: one that comes back for its piece works on it,
/// with whatever else waits.
#[derive(Default)]
pub(super) struct Table {
    waiting: Mutex<Vec<Piece>>,
}

/// A part of a blob, and the digest of all that was before it.
struct Piece {
    hasher: Hasher,
    buffer: Vec<u8>,
    filled: usize,
    owner: Arc<Shelf>,
}

/// Where a stream finds its piece when it was worked on.
#[derive(Default)]
struct Shelf {
    done: Mutex<Option<(Hasher, Vec<u8>)>>,
    changed: Condvar,
}

/// One blob's digest.
pub(super) struct Lane<'t> {
    table: &'t Table,
    shelf: Arc<Shelf>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    /// Goes on with a digest; `spare` comes back for the first piece.
    pub(super) fn lane(&self, hasher: Hasher, spare: Vec<u8>) -> Lane<'_> {
        let shelf = Shelf { done: Mutex::new(Some((hasher, spare))), changed: Condvar::new() };
        Lane { table: self, shelf: Arc::new(shelf) }
    }
}

impl Lane<'_> {
    /// Takes the next piece of the blob, the beginning of a buffer, and gives another buffer.
    pub(super) fn add(&self, buffer: Vec<u8>, filled: usize) -> Vec<u8> {
        let (hasher, spare) = self.take_back();
        let mut waiting = lock(&self.table.waiting);
        waiting.push(Piece { hasher, buffer, filled, owner: Arc::clone(&self.shelf) });
        let group = if waiting.len() >= GROUP { std::mem::take(&mut *waiting) } else { Vec::new() };
        drop(waiting);
        work(group);
        spare
    }

    /// The digest of all pieces.
    pub(super) fn finish(self) -> Hasher {
        self.take_back().0
    }

    fn take_back(&self) -> (Hasher, Vec<u8>) {
        let mut waiting = lock(&self.table.waiting);
        if self.is_alone(&waiting) {
            drop(waiting);
            // Others may be about to bring theirs: this thread has had the processor for a piece's time.
            std::thread::yield_now();
            waiting = lock(&self.table.waiting);
        }
        let is_there = waiting.iter().any(|piece| self.owns(piece));
        let group = if is_there { std::mem::take(&mut *waiting) } else { Vec::new() };
        drop(waiting);
        work(group);
        let done = self.shelf.changed.wait_while(lock(&self.shelf.done), |done| done.is_none());
        done.unwrap_or_else(PoisonError::into_inner).take().expect("it was waited for")
    }

    fn owns(&self, piece: &Piece) -> bool {
        Arc::ptr_eq(&piece.owner, &self.shelf)
    }

    fn is_alone(&self, waiting: &[Piece]) -> bool {
        matches!(waiting, [piece] if self.owns(piece))
    }
}

fn work(mut group: Vec<Piece>) {
    let mut pieces: Vec<(&mut Hasher, &[u8])> =
        group.iter_mut().map(|piece| (&mut piece.hasher, &piece.buffer[..piece.filled])).collect();
    Hasher::update_together(&mut pieces);
    for Piece { hasher, buffer, owner, .. } in group {
        *lock(&owner.done) = Some((hasher, buffer));
        owner.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Algorithm, Digest};

    #[test]
    fn every_stream_gets_its_own_digest() {
        let contents: Vec<Vec<u8>> = (0..9_u8)
            .map(|seed| (0..=u8::MAX).cycle().map(|byte| byte ^ seed).take(usize::from(seed) * 3001).collect())
            .collect();
        let table = Table::default();
        std::thread::scope(|scope| {
            for content in &contents {
                let table = &table;
                scope.spawn(move || {
                    let lane = table.lane(Hasher::new(Algorithm::Sha256), vec![0; 1000]);
                    let mut buffer = vec![0; 1000];
                    for piece in content.chunks(1000) {
                        buffer[..piece.len()].copy_from_slice(piece);
                        buffer = lane.add(buffer, piece.len());
                    }
                    assert_eq!(lane.finish().finish(), Digest::of(content));
                });
            }
        });
        assert!(lock(&table.waiting).is_empty());
    }
}
