//! An ordinary user gets a user namespace, in which everything works as for root: with the ids that the administrator
//! granted to the user, or with one.

use std::fs;
use std::path::Path;

use windlass_namespaces::account::Accounts;
use windlass_namespaces::{Command, HostUid, IdMapping, Namespace, Source, subid};

use super::failure::Failure;
use super::foreground;
use super::identity::Identity;

/// The variable that marks the second run of this program, inside the user namespace.
const MARK: &str = "WINDLASS_ROOTLESS";
/// What the variable says where the namespace has more ids than one.
const RANGES: &str = "ranges";
const ONE: &str = "one";

/// Whether this process lacks the rights to mount and must start itself again.
pub(super) fn is_needed() -> bool {
    !nix::unistd::geteuid().is_root()
}

/// Whether this process is the second run.
pub(super) fn is_inside() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Whether this process has but one id to give to files and programs.
pub(super) fn has_one_id() -> bool {
    is_inside() && std::env::var_os(MARK).is_none_or(|mark| mark != RANGES)
}

/// Whether an ordinary user called, inside the namespace or outside.
pub(super) fn is_ordinary() -> bool {
    is_needed() || is_inside()
}

/// Runs this program again, with the same arguments, as root of a new user namespace.
pub(super) fn again() -> Result<u8, Failure> {
    let (uids, gids) = ids()?;
    let mut command = myself(if uids.len() > 1 { RANGES } else { ONE });
    command.namespace(Namespace::User, Source::New).namespace(Namespace::Mount, Source::New);
    command.id_mappings(uids, gids);
    foreground::run("windlass in a user namespace", &mut command)
}

/// Runs this program again in the user namespace of a process, to reach what belongs to that.
pub(super) fn again_beside(process: &Identity) -> Result<u8, Failure> {
    let map = format!("/proc/{}/uid_map", process.pid);
    let lines = fs::read_to_string(&map).map_err(Failure::during(&map))?.lines().count();
    let mut command = myself(if lines > 1 { RANGES } else { ONE });
    command.namespace(Namespace::User, Source::Join(process.open_proc("ns/user")?));
    foreground::run("windlass in the container's user namespace", &mut command)
}

fn myself(mark: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args_os().skip(1)).env(MARK, mark);
    command
}

/// The users and groups of the namespace: 0 is the caller, and from 1 on come those that were granted, where there are
/// both, and the programs that give them.
fn ids() -> Result<(Vec<IdMapping>, Vec<IdMapping>), Failure> {
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let root = fs::File::open("/").map_err(Failure::during("open /"))?;
    let accounts = Accounts::read(&root).map_err(Failure::during("read the machine's accounts"))?;
    let name = accounts.name_of(uid.try_into().map_err(Failure::during("map the user"))?);
    let user: HostUid = uid.try_into().map_err(Failure::during("map the user"))?;
    let granted = |file: &str| subid::parse(&fs::read_to_string(file).unwrap_or_default());
    let (uids, gids) = (granted("/etc/subuid"), granted("/etc/subgid"));
    let uids: Vec<_> = subid::of(&uids, name, user).collect();
    let gids: Vec<_> = subid::of(&gids, name, user).collect();
    let helpers = ["newuidmap", "newgidmap"].iter().all(|helper| is_program(helper));
    let (uids, gids) = if helpers && !uids.is_empty() && !gids.is_empty() { (uids, gids) } else { Default::default() };
    let failed = || Failure::during("map the user's ids");
    Ok((subid::mappings(uid, uids).map_err(failed())?, subid::mappings(gid, gids).map_err(failed())?))
}

fn is_program(name: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').filter(|folder| !folder.is_empty()).any(|folder| Path::new(folder).join(name).is_file())
}
