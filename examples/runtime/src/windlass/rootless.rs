//! An ordinary user gets a user namespace of one id, in which everything else works as for root.

use windlass_namespaces::{Command, IdMapping, Namespace, Source};

use super::cli::Run;
use super::failure::Failure;
use super::foreground;

/// The variable that marks the second run of this program, inside the user namespace.
pub(super) const MARK: &str = "WINDLASS_ROOTLESS";

/// Whether this process lacks the rights to mount and must start itself again.
pub(super) fn is_needed() -> bool {
    !nix::unistd::geteuid().is_root()
}

/// Whether this process is the second run.
pub(super) fn is_inside() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Runs this program again, with the same arguments, as root of a new user namespace.
pub(super) fn again(request: &Run) -> Result<u8, Failure> {
    if let Some(first) = super::limits::resources(request)?.1.first() {
        // Delegated groups exist, but the process would have to be started inside one; say so instead of ignoring it.
        return Err(Failure::new(format!("a limit on {first} needs root: this user has no cgroup of its own")));
    }
    let uid = IdMapping::new(0, nix::unistd::geteuid().as_raw(), 1).map_err(Failure::during("map the user"))?;
    let gid = IdMapping::new(0, nix::unistd::getegid().as_raw(), 1).map_err(Failure::during("map the group"))?;
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args_os().skip(1)).env(MARK, "1");
    command.namespace(Namespace::User, Source::New).namespace(Namespace::Mount, Source::New);
    command.id_mappings(vec![uid], vec![gid]);
    foreground::run("windlass in a user namespace", &mut command)
}
