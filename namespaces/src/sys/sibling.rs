//! Where the kernel writes which process an intermediate one made.

use std::sync::atomic::{AtomicI32, Ordering};
use std::{io, ptr};

/// A word of memory that the caller shares with an intermediate process. The kernel writes the number of the process that
/// it makes before that process can run, so that whatever kills the intermediate one, the caller knows whom it left.
#[derive(Debug)]
pub(crate) struct SharedWord {
    word: *const AtomicI32,
}

const LENGTH: usize = size_of::<AtomicI32>();

impl SharedWord {
    pub(crate) fn new() -> io::Result<Self> {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at a place that the kernel chooses.
        let word = unsafe { libc::mmap(ptr::null_mut(), LENGTH, protection, flags, -1, 0) };
        if word == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { word: word.cast_const().cast() })
    }

    /// Tells the other process.
    pub(crate) fn set(&self, value: i32) {
        // SAFETY: as in `get`.
        unsafe { &*self.word }.store(value, Ordering::Release);
    }

    pub(super) fn address(&self) -> *const AtomicI32 {
        self.word
    }

    /// The process that was made, if one was.
    pub(crate) fn get(&self) -> Option<i32> {
        // SAFETY: the mapping is live until the drop, zeroed at first, and aligned to a page.
        let pid = unsafe { &*self.word }.load(Ordering::Acquire);
        (pid != 0).then_some(pid)
    }
}

impl Drop for SharedWord {
    fn drop(&mut self) {
        // SAFETY: unmaps what `new` mapped, and nothing refers to any more. It fails for a bad address only.
        unsafe { libc::munmap(self.word.cast_mut().cast(), LENGTH) };
    }
}
