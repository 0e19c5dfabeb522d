//! The steps of a new process, each ready to run.

use std::ffi::CString;
use std::fmt;
use std::os::fd::RawFd;

use super::hook::HookStep;
use crate::gate::GateKind;
use crate::id::IdMapping;
use crate::kind::Namespace;
use crate::mount::{Attributes, Contents, DeviceKind, Reach};
use crate::rlimit::Rlimit;
use crate::seccomp::CompiledFilter;

use super::attribute::Attribute;
use super::landlock::LandlockRule;
use super::terminal::TerminalStep;

/// How the ids of a user namespace are mapped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IdMap {
    /// Written to the map file.
    Write(Vec<IdMapping>),
    /// Written after `setgroups` was denied for the namespace.
    DenySetgroupsAndWrite(Vec<IdMapping>),
    /// By the set-uid helper program.
    Helper(Vec<IdMapping>),
}

/// A path inside the root, whole and split at its last component.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) path: CString,
    pub(crate) parent: CString,
    pub(crate) name: CString,
}

/// Whether a symbolic link on the way to a target is followed inside the root, or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    Follow,
    Refuse,
}

/// What is known of what is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Directory,
    /// To be looked at.
    Unknown,
}

#[derive(Debug)]
pub(crate) enum MountSource {
    Bind {
        path: CString,
        recursive: bool,
        shape: Shape,
    },
    /// A bind with mapped owners, which the caller made.
    Mapped {
        path: CString,
        recursive: bool,
        told: String,
        descriptor: Option<RawFd>,
    },
    Detached(RawFd),
    Filesystem {
        name: CString,
        options: Vec<(CString, Option<CString>)>,
    },
}

impl MountSource {
    /// Whether it is a directory without a look at it.
    pub(crate) fn is_known_directory(&self) -> bool {
        matches!(self, Self::Filesystem { .. } | Self::Bind { shape: Shape::Directory, .. })
    }
}

#[derive(Debug)]
pub(crate) struct MountStep {
    pub(crate) source: MountSource,
    pub(crate) target: Target,
    pub(crate) links: Links,
    /// Of this mount alone.
    pub(crate) own: Attributes,
    /// Of it with all below.
    pub(crate) below: Attributes,
    /// `MS_*`, 0 to leave it.
    pub(crate) propagation: u64,
    pub(crate) propagation_reach: Reach,
    pub(crate) contents: Contents,
}

#[derive(Debug)]
pub(crate) struct DeviceStep {
    pub(crate) target: Target,
    pub(crate) kind: DeviceKind,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) mode: u32,
    pub(crate) owner: Option<(u32, u32)>,
}

#[derive(Debug)]
pub(crate) enum RootSource {
    /// The root that the process has; nothing is pivoted.
    Own,
    Detached(RawFd),
    Path(CString),
}

/// What supplementary groups the program gets.
#[derive(Debug)]
pub(crate) enum Groups {
    /// The caller's.
    Keep,
    Set(Vec<u32>),
    /// None where the joined user namespace allows to drop them.
    Drop,
}

/// What names a namespace that is joined.
#[derive(Debug)]
pub(crate) enum Joined {
    Descriptor(RawFd),
    /// A path of the caller's tree, opened as the process joins.
    Path(CString),
}

impl fmt::Display for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Descriptor(descriptor) => descriptor.fmt(f),
            Self::Path(path) => f.write_str(&text(path)),
        }
    }
}

#[derive(Debug)]
pub(crate) struct CapabilityStep {
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
}

/// What a process leaves behind as it pivots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Old {
    /// Mounts that are its own.
    Private,
    /// Mounts that are others' as well.
    Shared,
}

/// Whether a working directory must be proven to lie inside the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verify {
    Inside,
    No,
}

#[derive(Debug)]
pub(crate) struct Program {
    /// Paths to try in turn.
    pub(crate) candidates: Vec<CString>,
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Vec<CString>,
}

/// One step of a new process.
#[derive(Debug)]
pub(crate) enum Step {
    Umask(u32),
    DefaultSignals(u64),
    OomScoreAdj(CString),
    /// A group of a v1 hierarchy, by its directory.
    EnterCgroup(RawFd),
    NotDumpable,
    Join(Vec<(Namespace, Joined)>),
    AwaitMapped,
    AwaitDevices,
    AssumeIds {
        uid: u32,
        gid: u32,
    },
    NewSession,
    LoopbackUp,
    Hostname(CString),
    Attribute(Attribute),
    Inherit {
        from: RawFd,
        number: RawFd,
    },
    Init {
        foreground: bool,
    },
    Propagation(u64),
    /// The mount that holds this path, so that what is mounted there travels nowhere.
    PrivateParent(CString),
    /// Of the root, before or behind the pivot.
    RootPropagation {
        flag: u64,
        reach: Reach,
    },
    /// A directory inside the root, where it is missing.
    MakeDirectory(CString),
    /// A mount inside the root, once nothing is made in it any more.
    Seal(CString),
    /// The mount that is at this place.
    Remount {
        path: CString,
        options: Vec<(CString, Option<CString>)>,
        attributes: Attributes,
    },
    /// A mount of the old tree that shows what the kernel shows.
    Hide(CString),
    /// Instead of a pivot: the old tree stays beneath.
    MoveRoot,
    /// Tells the caller that the mounts are made, and waits until it has done what it wants.
    Pause,
    Hook(HookStep),
    OpenRoot(RootSource),
    Mount(MountStep),
    Device(DeviceStep),
    Symlink {
        contents: CString,
        target: Target,
    },
    Mask(CString),
    ReadOnlyPath(CString),
    NewCgroupNamespace,
    Terminal(TerminalStep),
    ReadOnlyRoot,
    /// What the old root takes part in is left first where it is shared.
    Pivot(Old),
    Stdio {
        descriptor: RawFd,
        from: RawFd,
    },
    Null {
        descriptor: RawFd,
    },
    Rlimit(Rlimit),
    DropBounding {
        keep: u64,
    },
    KeepCapabilities,
    Groups(Groups),
    Ids {
        uid: u32,
        gid: u32,
    },
    Capabilities(CapabilityStep),
    Ambient(u64),
    NoNewPrivileges,
    CurrentDir {
        path: CString,
        verify: Verify,
    },
    /// All other descriptors close with the exec, and the caller learns that it is next.
    Announce,
    /// Proves that the program can be executed, as far as that can be known.
    Find,
    /// As `Announce`, and then waits to be let through; what fails behind it is told there.
    Gate {
        descriptor: RawFd,
        kind: GateKind,
    },
    Allow(LandlockRule),
    /// By Landlock.
    Confine,
    Seccomp(CompiledFilter),
    /// Installs a filter that asks a listener, and goes on once the caller has the descriptor of that.
    Listen(CompiledFilter),
    /// Lets the caller look into the process.
    Dumpable,
    Exec(Program),
}

fn text(path: &CString) -> std::borrow::Cow<'_, str> {
    path.to_string_lossy()
}

fn fmt_option(f: &mut fmt::Formatter<'_>, key: &CString, value: Option<&CString>) -> fmt::Result {
    write!(f, " {}", text(key))?;
    value.map_or(Ok(()), |value| write!(f, "={}", text(value)))
}

impl fmt::Display for IdMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (how, mappings) = match self {
            Self::Write(mappings) => ("", mappings),
            Self::DenySetgroupsAndWrite(mappings) => ("without setgroups: ", mappings),
            Self::Helper(mappings) => ("by the set-uid helper: ", mappings),
        };
        let lines: Vec<String> = mappings.iter().map(ToString::to_string).collect();
        write!(f, "{how}{}", lines.join(", "))
    }
}

impl fmt::Display for MountStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            MountSource::Bind { path, recursive: false, .. } => write!(f, "bind {}", text(path))?,
            MountSource::Bind { path, recursive: true, .. } => write!(f, "bind recursively {}", text(path))?,
            MountSource::Mapped { path, recursive, told, .. } => {
                let how = if *recursive { " recursively" } else { "" };
                write!(f, "bind{how} {} with {told}", text(path))?;
            }
            MountSource::Detached(descriptor) => write!(f, "attach mount {descriptor}")?,
            MountSource::Filesystem { name, options } => {
                write!(f, "mount {}", text(name))?;
                options.iter().try_for_each(|(key, value)| fmt_option(f, key, value.as_ref()))?;
            }
        }
        write!(f, " on {}", text(&self.target.path))?;
        f.write_str(match self.contents {
            Contents::None => "",
            Contents::PermissionsOfTarget => " with the permissions of what is there",
            Contents::OfTarget => " with a copy of what is there",
        })?;
        for (change, whose) in [(self.own, "attributes"), (self.below, "attributes below")] {
            if change.set != 0 {
                write!(f, ", {whose} {:#x}", change.set)?;
            }
            if change.clear != 0 {
                write!(f, ", {whose} without {:#x}", change.clear)?;
            }
        }
        if self.propagation != 0 {
            write!(f, ", propagation {:#x}", self.propagation)?;
        }
        Ok(())
    }
}

impl fmt::Display for DeviceStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "make device {}", text(&self.target.path))?;
        self.owner.map_or(Ok(()), |(uid, gid)| write!(f, " of user {uid} and group {gid}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Umask(bits) => write!(f, "set umask {bits:03o}"),
            Self::DefaultSignals(mask) => write!(f, "stop ignoring signals {mask:#x}"),
            Self::OomScoreAdj(value) => write!(f, "set oom_score_adj {}", text(value)),
            Self::EnterCgroup(descriptor) => write!(f, "enter cgroup {descriptor}"),
            Self::NotDumpable => f.write_str("become undumpable"),
            Self::Join(namespaces) => {
                f.write_str("join namespaces")?;
                namespaces.iter().try_for_each(|(kind, joined)| write!(f, " {kind}:{joined}"))
            }
            Self::AwaitDevices => f.write_str("await the network devices"),
            Self::AwaitMapped => f.write_str("await the mapping of ids"),
            Self::AssumeIds { uid, gid } => write!(f, "assume uid {uid} gid {gid}"),
            Self::NewSession => f.write_str("begin a session"),
            Self::LoopbackUp => f.write_str("bring the loopback device up"),
            Self::Hostname(name) => write!(f, "set hostname {}", text(name)),
            Self::Attribute(attribute) => attribute.fmt(f),
            Self::Pause => f.write_str("await the caller"),
            Self::Hook(hook) => hook.fmt(f),
            Self::Propagation(flag) => write!(f, "set propagation {flag:#x} on every mount"),
            Self::PrivateParent(path) => write!(f, "keep to itself what is mounted at {}", text(path)),
            Self::RootPropagation { flag, .. } => write!(f, "set propagation {flag:#x} on the root"),
            Self::Remount { path, options, attributes } => {
                write!(f, "change the mount at {} to attributes {:#x}", text(path), attributes.set)?;
                options.iter().try_for_each(|(key, value)| fmt_option(f, key, value.as_ref()))
            }
            Self::Hide(path) => write!(f, "hide {} of the caller", text(path)),
            Self::MoveRoot => f.write_str("move the root over the old one"),
            Self::MakeDirectory(path) => write!(f, "make directory {} where it is missing", text(path)),
            Self::Seal(path) => write!(f, "make the mount at {} read-only", text(path)),
            Self::OpenRoot(RootSource::Own) => f.write_str("open the root"),
            Self::OpenRoot(RootSource::Detached(descriptor)) => write!(f, "attach root mount {descriptor}"),
            Self::OpenRoot(RootSource::Path(path)) => write!(f, "attach root {}", text(path)),
            Self::Mount(mount) => mount.fmt(f),
            Self::Device(device) => device.fmt(f),
            Self::Symlink { contents, target } => write!(f, "link {} to {}", text(&target.path), text(contents)),
            Self::Mask(path) => write!(f, "mask {}", text(path)),
            Self::ReadOnlyPath(path) => write!(f, "make read-only {}", text(path)),
            Self::NewCgroupNamespace => f.write_str("unshare the cgroup namespace"),
            Self::Terminal(terminal) => terminal.fmt(f),
            Self::ReadOnlyRoot => f.write_str("make the root read-only"),
            Self::Pivot(_) => f.write_str("pivot to the root and leave the old one"),
            _ => self.fmt_process(f),
        }
    }
}

impl Step {
    /// The steps that turn the prepared process into the program.
    fn fmt_process(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inherit { from, number } => write!(f, "give descriptor {from} as {number}"),
            Self::Init { foreground: false } => f.write_str("leave a reaper as the first process"),
            Self::Init { foreground: true } => {
                f.write_str("leave a reaper as the first process, and the terminal to the program")
            }
            Self::Stdio { descriptor, from } => write!(f, "lead descriptor {descriptor} to {from}"),
            Self::Null { descriptor } => write!(f, "lead descriptor {descriptor} to the null device"),
            Self::Rlimit(Rlimit { resource, soft, hard }) => write!(f, "set {resource} {soft} of {hard}"),
            Self::DropBounding { keep } => write!(f, "bound capabilities to {keep:016x}"),
            Self::KeepCapabilities => f.write_str("keep capabilities through the change of user"),
            Self::Groups(Groups::Keep) => f.write_str("keep supplementary groups"),
            Self::Groups(Groups::Set(groups)) => write!(f, "set supplementary groups {groups:?}"),
            Self::Groups(Groups::Drop) => f.write_str("drop supplementary groups where allowed"),
            Self::Ids { uid, gid } => write!(f, "set uid {uid} gid {gid}"),
            Self::Capabilities(CapabilityStep { effective, permitted, inheritable }) => {
                write!(f, "set capabilities effective {effective:016x} permitted {permitted:016x} ")?;
                write!(f, "inheritable {inheritable:016x}")
            }
            Self::Ambient(set) => write!(f, "set ambient capabilities {set:016x}"),
            Self::NoNewPrivileges => f.write_str("forbid new privileges"),
            Self::CurrentDir { path, .. } => write!(f, "change directory to {}", text(path)),
            Self::Announce => f.write_str("leave the other descriptors to the exec and announce it"),
            Self::Find => f.write_str("find the program"),
            Self::Gate { descriptor, kind: GateKind::Named } => write!(f, "wait at gate {descriptor} for a visitor"),
            Self::Gate { descriptor, kind: GateKind::Paired } => write!(f, "wait at gate {descriptor}"),
            Self::Allow(rule) => write!(f, "{rule}"),
            Self::Confine => f.write_str("confine by Landlock"),
            Self::Dumpable => f.write_str("become dumpable"),
            Self::Listen(filter) => {
                write!(f, "filter system calls by {} instructions and a listener", filter.instructions().len())
            }
            Self::Seccomp(filter) => write!(f, "filter system calls by {} instructions", filter.instructions().len()),
            Self::Exec(program) => {
                let name = program.candidates.first().map(text).unwrap_or_default();
                let more = program.candidates.len().saturating_sub(1);
                write!(f, "execute {name}")?;
                if more > 0 { write!(f, " or {more} more places in PATH") } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }
}
