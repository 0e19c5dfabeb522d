//! Several blobs at once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

/// Does each job on one of `threads` threads; after a failure none is begun, and `stopped` tells those that run.
///
/// # Errors
/// The first failure.
pub(super) fn run<T: Send>(
    jobs: Vec<T>,
    threads: usize,
    work: impl Fn(T, &AtomicBool) -> Result<()> + Sync,
) -> Result<()> {
    let stopped = AtomicBool::new(false);
    let threads = threads.clamp(1, jobs.len().max(1));
    let queue = Mutex::new(VecDeque::from(jobs));
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let worker = || {
        while !stopped.load(Ordering::Acquire) {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(job) = next else { return };
            if let Err(error) = work(job, &stopped) {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                stopped.store(true, Ordering::Release);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(worker);
        }
        worker();
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn every_job_is_done_once() {
        let sum = AtomicU32::new(0);
        run((1..=100).collect(), 7, |job, _| {
            sum.fetch_add(job, Ordering::Relaxed);
            Ok(())
        })
        .unwrap();
        assert_eq!(sum.into_inner(), 5050);
        run(Vec::<u32>::new(), 3, |_, _| Err(Error::Cancelled)).unwrap();
    }

    #[test]
    fn the_first_failure_ends_it() {
        let begun = AtomicU32::new(0);
        let outcome = run((0..1000).collect::<Vec<u32>>(), 1, |job, _| {
            begun.fetch_add(1, Ordering::Relaxed);
            if job == 3 { Err(Error::protocol("failed")) } else { Ok(()) }
        });
        assert!(matches!(outcome, Err(Error::Protocol { .. })));
        assert_eq!(begun.into_inner(), 4);
    }
}
