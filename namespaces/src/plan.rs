//! A command compiled into ordered steps: plain data that can be printed, and that the new process runs without
//! allocating.

use std::ffi::OsString;
use std::fmt;
use std::os::fd::RawFd;
use std::path::PathBuf;

use crate::capability::CapabilitySet;
use crate::id::IdMapping;
use crate::kind::Namespace;

pub(crate) mod attribute;
mod c_string;
pub(crate) mod cgroup_view;
mod compile;
mod credential;
mod filesystem;
pub(crate) mod hook;
pub(crate) mod landlock;
mod program;
pub(crate) mod step;
pub(crate) mod terminal;

pub(crate) use compile::compile;
use landlock::Denied;
use step::{IdMap, Step};

/// What a command asked for and the caller could not give; the command was run without it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// These capabilities were asked for, and the caller does not hold them.
    CapabilitiesDropped(CapabilitySet),
    /// A session keyring was asked for, and the kernel has none or a filter forbids them.
    NoKeyrings,
    /// These names are no capabilities; see the feature `oci`.
    CapabilitiesUnknown(Vec<String>),
    /// No architecture of the filter has system calls of these names; see the feature `oci`.
    SystemCallsUnknown(Vec<String>),
    /// The filter says nothing of these architectures, whose programs do not run here; see the feature `oci`.
    ArchitecturesForeign(Vec<String>),
    /// Landlock was asked for more than the kernel knows; the program is confined by the rest.
    Landlock(crate::landlock::Unsupported),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Landlock(unsupported) => unsupported.fmt(f),
            Self::NoKeyrings => f.write_str("the kernel gives no keyrings here: the session keyring is the caller's"),
            Self::CapabilitiesDropped(set) => {
                f.write_str("capabilities that the caller does not hold were left out:")?;
                set.iter().try_for_each(|capability| write!(f, " {capability}"))
            }
            Self::CapabilitiesUnknown(names) => write!(f, "no capabilities, left out: {}", names.join(" ")),
            Self::SystemCallsUnknown(names) => write!(f, "no system calls, left out: {}", names.join(" ")),
            Self::ArchitecturesForeign(names) => write!(f, "architectures of other machines: {}", names.join(" ")),
        }
    }
}

/// The version of a hierarchy of control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CgroupVersion {
    One,
    Two,
}

/// What a plan depends on beside the command.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) effective: CapabilitySet,
    /// What a child can be given: permitted and bounding.
    pub(crate) held: CapabilitySet,
    pub(crate) umask: u32,
    /// Signals that the caller ignores, as the mask of `/proc/PID/status`.
    pub(crate) ignored_signals: u64,
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Of the caller's user namespace, if the command mounts anything.
    pub(crate) gid_mappings: Vec<IdMapping>,
    /// Whether the caller's user namespace denies `setgroups`, if the command sets ids or has to do with user namespaces.
    pub(crate) setgroups_is_denied: bool,
    /// Whether the kernel lets the caller use keyrings.
    pub(crate) has_keyrings: bool,
    /// The version of Landlock's interface; 0 where there is none.
    pub(crate) landlock_abi: u32,
    /// The caller's hierarchies of control groups, where the command wants to see them.
    pub(crate) hierarchies: Vec<cgroup_view::Hierarchy>,
    /// Of the command's groups, in their order.
    pub(crate) cgroups: Vec<CgroupVersion>,
    /// Where the caller sees procfs and sysfs, if the command keeps the caller's tree.
    pub(crate) kernel_mounts: Vec<PathBuf>,
}

impl Facts {
    /// Root of the first user namespace without capabilities, who ignores SIGPIPE.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self {
            uid: 0,
            gid: 0,
            effective: CapabilitySet::EMPTY,
            held: CapabilitySet::EMPTY,
            umask: 0o22,
            ignored_signals: 1 << 12,
            environment: Vec::new(),
            gid_mappings: vec![IdMapping::new(0, 0, u32::MAX).expect("every id is mapped")],
            setgroups_is_denied: false,
            has_keyrings: true,
            landlock_abi: 0,
            hierarchies: Vec::new(),
            cgroups: Vec::new(),
            kernel_mounts: Vec::new(),
        }
    }

    /// Whether no id of the caller stands for another one.
    pub(crate) fn is_in_first_user_namespace(&self) -> bool {
        matches!(&self.gid_mappings[..], [all] if all.inside() == 0 && all.outside() == 0 && all.count() == u32::MAX)
    }
}

/// What the caller does once the new process exists.
#[derive(Debug)]
pub(crate) enum ParentStep {
    MapIds { uid: IdMap, gid: IdMap },
    ReleaseMapped,
    MoveDevice { name: String, inside: String },
    ReleaseDevices,
}

/// Everything that [`Command::spawn`](crate::Command::spawn) will do, in order.
///
/// `Display` prints a line a step; descriptors appear by number.
#[derive(Debug)]
pub struct Plan {
    /// Steps of an intermediate process; empty when one clone suffices.
    pub(crate) stage: Vec<Step>,
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) cgroup: Option<RawFd>,
    pub(crate) parent: Vec<ParentStep>,
    pub(crate) child: Vec<Step>,
    /// Descriptors that the steps use, sorted.
    pub(crate) descriptors: Vec<RawFd>,
    pub(crate) notices: Vec<Notice>,
    /// What the program is denied by Landlock.
    pub(crate) denied: Option<Denied>,
}

impl Plan {
    /// What was asked for and will not be given.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    pub(crate) fn flags(&self) -> u64 {
        self.namespaces.iter().fold(0, |flags, kind| flags | u64::from(kind.flag()))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(denied) = &self.denied {
            writeln!(f, "caller: make a ruleset of Landlock over {denied}")?;
        }
        for step in &self.stage {
            writeln!(f, "stage: {step}")?;
        }
        f.write_str(if self.stage.is_empty() { "caller: clone3" } else { "stage: clone3 of a sibling" })?;
        if !self.namespaces.is_empty() {
            f.write_str(" with new")?;
            self.namespaces.iter().try_for_each(|kind| write!(f, " {kind}"))?;
        }
        match self.cgroup {
            Some(descriptor) => writeln!(f, " into cgroup {descriptor}")?,
            None => writeln!(f)?,
        }
        for step in &self.parent {
            writeln!(f, "caller: {step}")?;
        }
        for step in &self.child {
            writeln!(f, "process: {step}")?;
        }
        self.notices.iter().try_for_each(|notice| writeln!(f, "notice: {notice}"))
    }
}

impl fmt::Display for ParentStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MapIds { uid, gid } => write!(f, "map users {uid}; groups {gid}"),
            Self::MoveDevice { name, inside } => write!(f, "move network device {name} to the process as {inside}"),
            Self::ReleaseDevices => f.write_str("tell the process that its network devices are there"),
            Self::ReleaseMapped => f.write_str("tell the process that its ids are mapped"),
        }
    }
}
