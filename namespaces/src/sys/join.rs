//! Entering the namespaces of others.

use std::os::fd::RawFd;

use super::call::{Outcome, close, open, setns};
use crate::kind::Namespace;
use crate::plan::step::Joined;

/// Joins what it has the right to first, then the user namespace, then what belongs to that.
pub(super) fn join(namespaces: &[(Namespace, Joined)]) -> Outcome<()> {
    const COUNT: usize = Namespace::ALL.len();
    // Opened before the tree of mounts changes.
    let mut descriptors: [RawFd; COUNT] = [-1; COUNT];
    for ((_, joined), descriptor) in namespaces.iter().zip(&mut descriptors) {
        *descriptor = match joined {
            Joined::Descriptor(descriptor) => *descriptor,
            Joined::Path(path) => open(libc::AT_FDCWD, path, libc::O_RDONLY | libc::O_NONBLOCK, 0)?,
        };
    }
    let each = || namespaces.iter().zip(descriptors).map(|((kind, _), descriptor)| (*kind, descriptor));
    let mut done = [false; COUNT];
    let joins_user = each().any(|(kind, _)| kind == Namespace::User);
    if joins_user {
        for ((kind, descriptor), done) in each().zip(&mut done) {
            if kind != Namespace::User {
                *done = setns(descriptor, kind.flag()).is_ok();
            }
        }
    }
    // Stable order: the user namespace first, all that is left after it.
    for is_user in [true, false] {
        for ((kind, descriptor), done) in each().zip(&mut done) {
            if !*done && (kind == Namespace::User) == is_user {
                setns(descriptor, kind.flag())?;
                *done = true;
            }
        }
    }
    for ((_, joined), descriptor) in namespaces.iter().zip(descriptors) {
        if matches!(joined, Joined::Path(_)) {
            close(descriptor)?;
        }
    }
    Ok(())
}
