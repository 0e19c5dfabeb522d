//! Start an isolated Linux process: namespaces, mounts, credentials, network.
//!
//! A [`Command`] is built like [`std::process::Command`], says beside the program which namespaces, root file system,
//! mounts, user, capabilities and control groups it gets, and gives a [`Child`] whose descriptor is a pidfd:
//!
//! ```
//! use windlass_namespaces::{CapabilitySets, Command, Mount, Namespace, Source};
//!
//! let mut command = Command::new("sh");
//! command.args(["-c", "test $$ = 1 && test $(hostname) = box"]);
//! for kind in [Namespace::User, Namespace::Mount, Namespace::Pid, Namespace::Net, Namespace::Uts] {
//!     command.namespace(kind, Source::New);
//! }
//! command.hostname("box").mount(Mount::proc("/proc")).capabilities(CapabilitySets::docker());
//! let status = command.spawn()?.wait()?;
//! assert!(status.success());
//! # Ok::<(), windlass_namespaces::Error>(())
//! ```
//!
//! It runs as root and, thanks to the user namespace, as anybody whom the kernel lets make one.
//!
//! # How data flows
//!
//! - Values: [`Namespace`] and [`Source`], [`IdMapping`], [`Mount`], [`Rootfs`], [`CapabilitySets`], [`Rlimit`],
//!   [`Scheduler`] and its like, [`Terminal`]; [`seccomp`] compiles a policy of system calls into a filter, [`landlock`]
//!   holds rules for files, ports and signals. [`account`] finds users by the names of a root file system, [`subid`] the
//!   ids that an ordinary user may map; [`resctrl`] makes classes of service of caches and memory.
//! - [`Command`] collects them; [`Command::plan`] checks them together and orders what has to be done into a [`Plan`]
//!   of steps, plain data that prints a line a step. Every string is already as the kernel takes it.
//! - [`Command::spawn`] makes the process with one `clone3`: into its new namespaces, with a pidfd, into its cgroup2
//!   group. The new process works through the steps with raw system calls alone (no allocation, no lock), so the caller
//!   may have any number of threads. Meanwhile the caller does its part, the id maps.
//!   A pid or user namespace that is joined takes an intermediate process, which is gone before `spawn` returns.
//! - What fails in the new process comes back over a socket as [`Error::Child`], with the step and the system call.
//!   `spawn` returns when the program runs, or when no process is left.
//! - With a [`Gate`] it returns when the process is prepared to the last; an [`Opener`], in whatever process, lets the
//!   program begin, and hears what failed behind the gate.
//! - [`Child::take_terminal`] gives the caller's end of a [`Terminal`], which [`pty`] resizes. With [`Init::Reaper`] a
//!   small program of this crate is the first process, and the child's status is the program's.
//! - [`Command::hook`] has the process run programs on its way, and [`Command::spawn_paused`] gives the caller a say once
//!   namespaces and mounts exist. A filter that asks a listener gives the caller [`Child::take_listener`].
//! - The feature `oci` turns runtime configurations into commands.
//! - [`enter::within`] runs code of the caller inside other namespaces; [`net`] makes network namespaces, devices,
//!   addresses and routes.
//!
//! # Hygiene
//!
//! The program gets three descriptors and those of [`Command::inherit`] and no other, default signal actions and an empty signal mask. Mounts inside never
//! reach the host's tree. All below the root file system is done by descriptor and resolved inside it, so that links of
//! a hostile image lead nowhere else. What is written below `/proc` goes through an instance of it that nobody else has
//! mounted, or is proven to have nothing mounted on its way. What the caller asked for and cannot give is an error or,
//! where it said so, a [`Notice`] of the [`Child`].
//!
//! # What it does not do
//!
//! It makes no image, layer or control group: it takes a mount descriptor or a path, and directory descriptors. It has
//! no default policy: nothing is isolated that was not asked for. It installs no signal handler, and reaps in the caller nothing but
//! its own: a child that nobody waits for stays a zombie. It runs no hook of the caller's: [`Command::spawn_paused`] is
//! where those belong. From OCI configurations (feature `oci`) come commands, not containers: limits, states and the order
//! of a container's life are a runtime's.
//!
//! # Kernel
//!
//! Linux 5.14 or newer, 64 bit: `clone3` into a cgroup, `close_range`, `openat2`, the mount calls by descriptor and
//! `mount_setattr`.

#![deny(unsafe_code)]

pub mod account;
mod capability;
mod child;
mod command;
pub mod enter;
mod error;
mod etc;
mod gate;
mod hook;
mod id;
mod kind;
pub mod landlock;
mod mount;
pub mod net;
mod number_set;
#[cfg(feature = "oci")]
pub mod oci;
mod opener;
mod plan;
pub mod pty;
pub mod resctrl;
mod rlimit;
mod rootfs;
mod scheduling;
pub mod seccomp;
mod signal;
mod spawn;
pub mod subid;
#[expect(unsafe_code, reason = "system calls between clone and exec, and those that no safe crate offers")]
mod sys;
mod sysctl;
mod terminal;

pub use capability::{Capability, CapabilitySet, CapabilitySets, ParseCapabilityError};
pub use child::{Child, Pid};
pub use command::{Command, Init, KillOnDrop, Stdio};
pub use error::{Error, Result};
pub use gate::Gate;
pub use hook::{Hook, HookInput, HookPoint};
pub use id::{Gid, HostGid, HostUid, IdMapping, ParseIdError, Uid};
pub use kind::{Namespace, Source};
pub use mount::{Device, DeviceKind, Mount, Propagation};
pub use number_set::{NumberSet, ParseNumberSetError};
pub use opener::Opener;
pub use plan::{Notice, Plan};
pub use rlimit::{Limit, Resource, Rlimit};
pub use rootfs::Rootfs;
pub use scheduling::{
    Clock, IoClass, IoPriority, MemoryPolicy, MemoryPolicyMode, ParseNameError, Personality, Scheduler,
    SchedulerPolicy, TimeOffset,
};
pub use signal::{ParseSignalError, Signal};
pub use spawn::Paused;
pub use terminal::{Terminal, WindowSize};
