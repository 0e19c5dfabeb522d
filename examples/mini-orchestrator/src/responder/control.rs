//! Orders to misbehave, so that the demo can show what an orchestrator does about it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use crate::http::Response;

/// The most memory that `fill-memory` takes where no limit stops it.
const FILL_BYTES_MAX: usize = 512 * 1024 * 1024;
/// How much it takes at a time.
const FILL_BYTES_STEP: usize = 1024 * 1024;
const PAGE: usize = 4096;

/// Which misbehaviour is on.
#[derive(Debug, Default)]
pub(super) struct Control {
    hung: Mutex<bool>,
    changed: Condvar,
    not_ready: AtomicBool,
}

impl Control {
    /// Carries out `POST /control/ORDER`.
    pub(super) fn obey(&self, method: &str, order: &str) -> Response {
        if method != "POST" {
            return Response::status(405, "an order is a POST\n");
        }
        match order {
            "hang" => self.set_hung(true),
            "not-ready" => self.not_ready.store(true, Ordering::Release),
            "ready" => self.not_ready.store(false, Ordering::Release),
            "fill-memory" => return fill_memory(),
            _ => return Response::status(404, "orders: hang, not-ready, ready, fill-memory\n"),
        }
        Response::ok(format!("{order}\n"))
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.not_ready.load(Ordering::Acquire)
    }

    /// Holds the caller for as long as the process pretends to hang.
    pub(super) fn wait_while_hung(&self) {
        let hung = self.hung.lock().unwrap_or_else(PoisonError::into_inner);
        // The guard has nothing to say once the wait is over.
        drop(self.changed.wait_while(hung, |hung| *hung).unwrap_or_else(PoisonError::into_inner));
    }

    /// A process that is told to stop answers what it holds.
    pub(super) fn begin_stop(&self) {
        self.set_hung(false);
    }

    fn set_hung(&self, value: bool) {
        *self.hung.lock().unwrap_or_else(PoisonError::into_inner) = value;
        self.changed.notify_all();
    }
}

/// Takes memory and touches every page of it until the kernel ends the process or the bound is reached.
fn fill_memory() -> Response {
    let mut held: Vec<Vec<u8>> = Vec::new();
    while held.len() * FILL_BYTES_STEP < FILL_BYTES_MAX {
        let mut piece = vec![0; FILL_BYTES_STEP];
        for page in piece.chunks_mut(PAGE) {
            page[0] = 1;
        }
        held.push(std::hint::black_box(piece));
    }
    Response::status(503, "no limit stopped me; the memory is free again\n")
}
