//! Runs code of the caller inside other namespaces.

use std::os::fd::BorrowedFd;
use std::panic::resume_unwind;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{Error, Result};
use crate::kind::Namespace;
use crate::sys;

/// Runs `work` on a thread of its own inside these namespaces and returns what it returns.
///
/// Descriptors that it opens stay what they are: a socket opened inside a network namespace belongs to it for good.
/// The thread is gone afterwards; the caller's threads never change namespaces. A panic of `work` goes on in the
/// caller.
///
/// # Errors
/// [`Error::Invalid`] for user, pid and time namespaces, which the kernel does not let a thread of a many-threaded
/// process enter; [`Error::Sys`] when one cannot be entered.
///
/// # Kernel
/// `setns(2)`: `CAP_SYS_ADMIN` over the namespace and in the caller's user namespace; for a mount namespace
/// `CAP_SYS_CHROOT` as well.
pub fn within<T: Send>(namespaces: &[(Namespace, BorrowedFd<'_>)], work: impl FnOnce() -> T + Send) -> Result<T> {
    on_thread(|| {
        for (kind, descriptor) in namespaces {
            join(*kind, *descriptor)?;
        }
        Ok(work())
    })
}

fn join(kind: Namespace, descriptor: BorrowedFd<'_>) -> Result<()> {
    let link = match kind {
        Namespace::Net => LinkNameSpaceType::Network,
        Namespace::Ipc => LinkNameSpaceType::InterProcessCommunication,
        Namespace::Uts => LinkNameSpaceType::HostNameAndNISDomainName,
        Namespace::Cgroup => LinkNameSpaceType::ControlGroup,
        Namespace::Mount => {
            return sys::join_mount(descriptor).map_err(|source| Error::sys("setns", "mount namespace", source));
        }
        Namespace::User | Namespace::Pid | Namespace::Time => {
            return Err(Error::invalid("within", kind.to_string(), "a thread cannot enter this kind of namespace"));
        }
    };
    move_into_link_name_space(descriptor, Some(link))
        .map_err(|errno| Error::sys("setns", format!("{kind} namespace"), errno))
}

/// Runs `work` on a thread of its own, whose namespaces it may change.
pub(crate) fn on_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("namespaces".to_owned())
            .spawn_scoped(scope, work)
            .map_err(|source| Error::sys("clone", "thread", source))?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}
