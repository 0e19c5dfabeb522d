//! What the steps that make mounts keep between them.
//!
//! A container's default configuration takes some eighty descriptors to set up, each needed for one or two calls. They
//! stay open until some have come together and go by one call, at the latest before the root is turned.

use std::ffi::CStr;
use std::os::fd::RawFd;

use super::call::{self, Outcome, open_place};

/// How many descriptors may wait to be closed: far below what the smallest sensible limit of a process allows.
const WAITING_MAX: u32 = 32;
const NONE: RawFd = -1;

/// The tree of mounts that is being made.
pub(super) struct Tree<'a> {
    /// The root that mounts are made in; -1 before it is opened.
    pub(super) root: RawFd,
    /// What must stay open, sorted.
    kept: &'a [RawFd],
    /// Where something was made last, by its path.
    parent: Option<(&'a CStr, RawFd)>,
    /// A mount of an empty directory, of which others are copies.
    cover: RawFd,
    /// The same of the null device.
    null: RawFd,
    /// How many descriptors wait to be closed, and the highest of them.
    waiting: u32,
    highest: RawFd,
}

impl<'a> Tree<'a> {
    pub(super) fn new(kept: &'a [RawFd]) -> Self {
        Self { root: NONE, kept, parent: None, cover: NONE, null: NONE, waiting: 0, highest: NONE }
    }

    /// Leaves a descriptor that is needed no more to the next [`sweep`](Self::sweep).
    pub(super) fn leave(&mut self, descriptor: RawFd) {
        self.waiting = self.waiting.saturating_add(1);
        self.highest = self.highest.max(descriptor);
    }

    /// Closes what waits if that is much by now; to be called where no step holds a descriptor.
    pub(super) fn sweep_some(&mut self) -> Outcome<()> {
        if self.waiting < WAITING_MAX { Ok(()) } else { self.sweep() }
    }

    /// Closes all that waits to be closed, and what was remembered.
    pub(super) fn sweep(&mut self) -> Outcome<()> {
        if self.waiting > 0 {
            call::close_up_to(self.highest, self.kept, self.root)?;
        }
        (self.waiting, self.highest) = (0, NONE);
        (self.parent, self.cover, self.null) = (None, NONE, NONE);
        Ok(())
    }

    /// Closes the root, too: the tree is made.
    pub(super) fn finish(&mut self) -> Outcome<()> {
        self.leave(self.root);
        self.root = NONE;
        self.sweep()
    }

    /// The directory at `path` if that is where something was made last.
    pub(super) fn remembered(&self, path: &CStr) -> Option<RawFd> {
        self.parent.filter(|(known, _)| *known == path).map(|(_, descriptor)| descriptor)
    }

    /// Remembers what `path` leads to, until a mount may have changed that.
    pub(super) fn remember(&mut self, path: &'a CStr, descriptor: RawFd) {
        self.parent = Some((path, descriptor));
        self.leave(descriptor);
    }

    /// A path may lead elsewhere from here on.
    pub(super) fn forget(&mut self) {
        self.parent = None;
    }

    /// The mount that covers directories, once it was made.
    pub(super) fn cover(&self) -> Option<RawFd> {
        (self.cover != NONE).then_some(self.cover)
    }

    pub(super) fn remember_cover(&mut self, mount: RawFd) {
        self.cover = mount;
    }

    /// The mount that covers files, once it was made.
    pub(super) fn null(&self) -> Option<RawFd> {
        (self.null != NONE).then_some(self.null)
    }

    pub(super) fn remember_null(&mut self, mount: RawFd) {
        self.null = mount;
    }

    /// Opens a place below the root.
    pub(super) fn place(&self, path: &CStr, flags: i32, resolve: u64) -> Outcome<RawFd> {
        open_place(self.root, path, flags, resolve)
    }
}
