//! An ordinary user gets a user namespace of one id, in which everything else works as for root.

use windlass_namespaces::{Command, IdMapping, Namespace, Source};

use super::failure::Failure;
use super::foreground;
use super::identity::Identity;

/// The variable that marks the second run of this program, inside the user namespace.
const MARK: &str = "WINDLASS_ROOTLESS";

/// Whether this process lacks the rights to mount and must start itself again.
pub(super) fn is_needed() -> bool {
    !nix::unistd::geteuid().is_root()
}

/// Whether this process is the second run.
pub(super) fn is_inside() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Whether an ordinary user called, inside the namespace or outside.
pub(super) fn is_ordinary() -> bool {
    is_needed() || is_inside()
}

/// Runs this program again, with the same arguments, as root of a new user namespace.
pub(super) fn again() -> Result<u8, Failure> {
    let uid = IdMapping::new(0, nix::unistd::geteuid().as_raw(), 1).map_err(Failure::during("map the user"))?;
    let gid = IdMapping::new(0, nix::unistd::getegid().as_raw(), 1).map_err(Failure::during("map the group"))?;
    let mut command = myself();
    command.namespace(Namespace::User, Source::New).namespace(Namespace::Mount, Source::New);
    command.id_mappings(vec![uid], vec![gid]);
    foreground::run("windlass in a user namespace", &mut command)
}

/// Runs this program again in the user namespace of a process, to reach what belongs to that.
pub(super) fn again_beside(process: &Identity) -> Result<u8, Failure> {
    let mut command = myself();
    command.namespace(Namespace::User, Source::Join(process.open_proc("ns/user")?));
    foreground::run("windlass in the container's user namespace", &mut command)
}

fn myself() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args_os().skip(1)).env(MARK, "1");
    command
}
