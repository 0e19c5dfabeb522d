//! What shall be started, and in which isolation: a builder like [`std::process::Command`].

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::capability::CapabilitySets;
use crate::gate::Gate;
use crate::id::{Gid, IdMapping, Uid};
use crate::kind::{Namespace, Source};
use crate::mount::{Mount, Propagation};
use crate::rlimit::Rlimit;
use crate::rootfs::Rootfs;
use crate::seccomp::CompiledFilter;

mod hook;
mod process;

pub(crate) use hook::Hooks;
pub use process::Init;
use process::Process;

/// Where a standard descriptor of the process leads.
#[derive(Debug, Default)]
pub enum Stdio {
    /// Where the caller's does.
    #[default]
    Inherit,
    /// To the null device.
    Null,
    /// To this open file, pipe, socket or terminal.
    Fd(OwnedFd),
}

impl<T: Into<OwnedFd>> From<T> for Stdio {
    fn from(descriptor: T) -> Self {
        Self::Fd(descriptor.into())
    }
}

/// What becomes of the process when its [`Child`](crate::Child) is dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KillOnDrop {
    /// It is killed and waited for, two seconds at most: the first process of a pid namespace ends only when all others
    /// in it have been reaped, and those that joined it are the caller's to reap.
    Yes,
    /// It runs on; like a [`std::process::Child`] it stays a zombie after its end until the caller ends.
    #[default]
    No,
}

/// The root file system of a command, and what became of it.
#[derive(Debug, Default)]
pub(crate) enum Root {
    #[default]
    None,
    Given(Rootfs),
    /// A detached mount that an earlier spawn attached.
    Spent,
}

/// Where the process waits before its program, and what became of that.
#[derive(Debug, Default)]
pub(crate) enum Wait {
    #[default]
    None,
    At(Gate),
    /// A gate at which the process of an earlier spawn waits.
    Spent,
}

/// A change of the caller's environment, in the order given.
#[derive(Debug)]
pub(crate) enum EnvChange {
    Clear,
    Set(OsString, OsString),
    Remove(OsString),
}

/// What shall be started, and in which isolation.
///
/// Everything not said is as the caller's: namespaces, user, environment, working directory, limits. Descriptors other
/// than the three standard ones never reach the program.
#[derive(Debug)]
pub struct Command {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<EnvChange>,
    pub(crate) current_dir: Option<PathBuf>,
    pub(crate) namespaces: Vec<(Namespace, Source)>,
    pub(crate) uid_mappings: Vec<IdMapping>,
    pub(crate) gid_mappings: Vec<IdMapping>,
    pub(crate) root: Root,
    pub(crate) root_is_read_only: bool,
    pub(crate) propagation: Propagation,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) hostname: Option<OsString>,
    pub(crate) user: Option<(Uid, Gid, Vec<Gid>)>,
    pub(crate) umask: Option<u32>,
    pub(crate) capabilities: Option<CapabilitySets>,
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp: Option<CompiledFilter>,
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) new_session: bool,
    pub(crate) cgroups: Vec<OwnedFd>,
    pub(crate) stdio: [Stdio; 3],
    pub(crate) kill_on_drop: KillOnDrop,
    pub(crate) wait: Wait,
    pub(crate) process: Process,
    pub(crate) hooks: Hooks,
}

impl Command {
    /// A command that runs `program`: a path inside the root file system, or a bare name, which is looked for in the
    /// `PATH` of the environment that the program gets.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            current_dir: None,
            namespaces: Vec::new(),
            uid_mappings: Vec::new(),
            gid_mappings: Vec::new(),
            root: Root::None,
            root_is_read_only: false,
            propagation: Propagation::Private,
            mounts: Vec::new(),
            hostname: None,
            user: None,
            umask: None,
            capabilities: None,
            no_new_privileges: false,
            seccomp: None,
            rlimits: Vec::new(),
            oom_score_adj: None,
            new_session: false,
            cgroups: Vec::new(),
            stdio: [Stdio::Inherit, Stdio::Inherit, Stdio::Inherit],
            kill_on_drop: KillOnDrop::No,
            wait: Wait::None,
            process: Process::default(),
            hooks: Hooks::default(),
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl Into<OsString>) -> &mut Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    pub fn args<T: Into<OsString>>(&mut self, arguments: impl IntoIterator<Item = T>) -> &mut Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the environment.
    pub fn env(&mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> &mut Self {
        self.environment.push(EnvChange::Set(key.into(), value.into()));
        self
    }

    /// Sets variables of the environment.
    pub fn envs<K: Into<OsString>, V: Into<OsString>>(
        &mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> &mut Self {
        self.environment.extend(variables.into_iter().map(|(key, value)| EnvChange::Set(key.into(), value.into())));
        self
    }

    /// Removes a variable of the environment.
    pub fn env_remove(&mut self, key: impl Into<OsString>) -> &mut Self {
        self.environment.push(EnvChange::Remove(key.into()));
        self
    }

    /// Begins the environment anew, without the caller's variables and those set so far.
    pub fn env_clear(&mut self) -> &mut Self {
        self.environment.push(EnvChange::Clear);
        self
    }

    /// The working directory, inside the root file system. Not given, it is `/` with a root file system of its own or a
    /// joined mount namespace, and the caller's otherwise.
    pub fn current_dir(&mut self, directory: impl Into<PathBuf>) -> &mut Self {
        self.current_dir = Some(directory.into());
        self
    }

    /// Takes a kind of namespace from elsewhere than the caller.
    ///
    /// A new network namespace has its loopback device up.
    pub fn namespace(&mut self, kind: Namespace, source: Source) -> &mut Self {
        self.namespaces.retain(|(known, _)| *known != kind);
        self.namespaces.push((kind, source));
        self
    }

    /// The users and groups of a new user namespace.
    ///
    /// Kernel: without `CAP_SETUID` and `CAP_SETGID` only the caller's own ids can be mapped, one each; a longer list
    /// goes through the set-uid programs `newuidmap` and `newgidmap`, which allow what `/etc/subuid` and `/etc/subgid`
    /// grant. Where the kernel's rule applies, `setgroups` is denied in the namespace.
    pub fn id_mappings(&mut self, uid: Vec<IdMapping>, gid: Vec<IdMapping>) -> &mut Self {
        self.uid_mappings = uid;
        self.gid_mappings = gid;
        self
    }

    /// The root file system; needs a new mount namespace.
    pub fn rootfs(&mut self, rootfs: Rootfs) -> &mut Self {
        self.root = Root::Given(rootfs);
        self
    }

    /// The root file system itself cannot be written; mounts on it keep their own attributes.
    pub fn read_only_rootfs(&mut self) -> &mut Self {
        self.root_is_read_only = true;
        self
    }

    /// How mounts travel between the new mount namespace and the one it was copied from; private when not given.
    ///
    /// A root file system of its own is apart from that: its mounts reach nobody outside, but for binds of trees that are
    /// shared themselves. With [`Propagation::Shared`] it begins a group of its own, with [`Propagation::Unbindable`] it
    /// is that, and the mounts around it are private.
    pub fn propagation(&mut self, propagation: Propagation) -> &mut Self {
        self.propagation = propagation;
        self
    }

    /// Adds a mount; needs a new mount namespace.
    pub fn mount(&mut self, mount: Mount) -> &mut Self {
        self.mounts.push(mount);
        self
    }

    /// Adds mounts, see [`Mount::defaults`].
    pub fn mounts(&mut self, mounts: impl IntoIterator<Item = Mount>) -> &mut Self {
        self.mounts.extend(mounts);
        self
    }

    /// The host name; needs a new or joined uts namespace.
    pub fn hostname(&mut self, name: impl Into<OsString>) -> &mut Self {
        self.hostname = Some(name.into());
        self
    }

    /// The user, the group and the supplementary groups, as seen inside the user namespace.
    ///
    /// Not given, a process in a new user namespace gets the first mapped ids, one in a joined user namespace ids 0,
    /// and any other the caller's.
    pub fn user(&mut self, uid: Uid, gid: Gid, groups: Vec<Gid>) -> &mut Self {
        self.user = Some((uid, gid, groups));
        self
    }

    /// The permission bits that new files lack; the caller's when not given.
    pub fn umask(&mut self, bits: u32) -> &mut Self {
        self.umask = Some(bits);
        self
    }

    /// The capability sets of the program; see [`CapabilitySets::docker`].
    ///
    /// A capability that the caller lacks cannot be given: it is left out, and told as a
    /// [`Notice`](crate::Notice) of the [`Child`](crate::Child).
    pub fn capabilities(&mut self, sets: CapabilitySets) -> &mut Self {
        self.capabilities = Some(sets);
        self
    }

    /// Neither the program nor any that it starts can gain privileges by set-user-id bits or file capabilities.
    #[doc(alias = "PR_SET_NO_NEW_PRIVS")]
    pub fn no_new_privileges(&mut self) -> &mut Self {
        self.no_new_privileges = true;
        self
    }

    /// Filters the system calls of the program and of all that descend from it; see
    /// [`Policy::container`](crate::seccomp::Policy::container).
    ///
    /// The filter is installed last of all: only `execve` is left to pass it, and `write` and `exit_group` where that
    /// fails. One that forbids `write` keeps that failure from being told: the child then ends with code 125.
    ///
    /// Kernel: takes [`no_new_privileges`](Self::no_new_privileges) or `CAP_SYS_ADMIN` over the user namespace. With
    /// [`capabilities`](Self::capabilities) given that one is kept until the filter is in, and goes with the exec.
    pub fn seccomp(&mut self, filter: CompiledFilter) -> &mut Self {
        self.seccomp = Some(filter);
        self
    }

    /// Sets a resource limit.
    pub fn rlimit(&mut self, rlimit: Rlimit) -> &mut Self {
        self.rlimits.retain(|known| known.resource != rlimit.resource);
        self.rlimits.push(rlimit);
        self
    }

    /// How willingly the kernel kills the process when memory is short.
    ///
    /// Units: -1000 (never) to 1000 (first).
    ///
    /// Kernel: lowering it needs `CAP_SYS_RESOURCE` in the initial user namespace.
    pub fn oom_score_adj(&mut self, value: i32) -> &mut Self {
        self.oom_score_adj = Some(value);
        self
    }

    /// Makes the process the leader of a new session, without a controlling terminal.
    #[doc(alias = "setsid")]
    pub fn new_session(&mut self) -> &mut Self {
        self.new_session = true;
        self
    }

    /// Places the process into a control group before its program begins; once for each hierarchy.
    ///
    /// The descriptor is of the group's directory. A cgroup2 group takes the process in as it is created
    /// (`CLONE_INTO_CGROUP`). A v1 group the process enters itself as its first step: a single thread that moves itself
    /// through `tasks` waits for nobody, while a write of its number to `cgroup.procs` waits some 10 ms for every CPU.
    pub fn cgroup(&mut self, directory: OwnedFd) -> &mut Self {
        self.cgroups.push(directory);
        self
    }

    /// Where descriptor 0 leads.
    pub fn stdin(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.stdio[0] = stdio.into();
        self
    }

    /// Where descriptor 1 leads.
    pub fn stdout(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.stdio[1] = stdio.into();
        self
    }

    /// Where descriptor 2 leads.
    pub fn stderr(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.stdio[2] = stdio.into();
        self
    }

    /// What becomes of the process when its [`Child`](crate::Child) is dropped.
    pub fn kill_on_drop(&mut self, choice: KillOnDrop) -> &mut Self {
        self.kill_on_drop = choice;
        self
    }

    /// Lets the process wait, prepared to the last, until the gate is opened; only then its program begins.
    ///
    /// [`spawn`](Self::spawn) returns when it stands there, and fails where the program does not exist or must not be
    /// executed. A gate serves one spawn.
    pub fn gate(&mut self, gate: Gate) -> &mut Self {
        self.wait = Wait::At(gate);
        self
    }

    /// The source of a kind of namespace; `None` when inherited.
    pub(crate) fn source(&self, kind: Namespace) -> Option<&Source> {
        self.namespaces.iter().find(|(known, _)| *known == kind).map(|(_, source)| source)
    }

    pub(crate) fn is_new(&self, kind: Namespace) -> bool {
        matches!(self.source(kind), Some(Source::New))
    }

    pub(crate) fn is_joined(&self, kind: Namespace) -> bool {
        matches!(self.source(kind), Some(Source::Join(_) | Source::Path(_)))
    }
}
