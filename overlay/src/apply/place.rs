//! Where an entry goes: a name in an open directory.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::path::SafePath;

/// Where an entry goes: nothing has its name any more.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) parent: Rc<OwnedFd>,
    /// The last part of `path`.
    pub(super) name: SafePath,
    /// The path without any symbolic link.
    pub(super) path: SafePath,
}
