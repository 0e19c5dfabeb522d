//! The steps that set what a process has beside its namespaces, its tree and its user.

use std::ffi::CString;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use super::c_string::c_string;
use super::{Facts, Notice};
use crate::command::Command;
use crate::error::{Error, Result};
use crate::kind::Namespace;
use crate::number_set::NumberSet;
use crate::scheduling::{IoPriority, MemoryPolicy, MemoryPolicyMode, Personality, Scheduler};
use crate::sysctl;

/// Which procfs a file of the kernel is written through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Procfs {
    /// An instance that nothing else sees; where the kernel refuses one, the caller's.
    PrivateOrCaller,
    /// An instance that nothing else sees: the tree around is a container's.
    Private,
}

#[derive(Debug)]
pub(crate) enum Attribute {
    Domainname(CString),
    /// A file below procfs, and what is written to it.
    Sysctl {
        procfs: Procfs,
        path: CString,
        value: CString,
    },
    TimeOffsets {
        procfs: Procfs,
        lines: CString,
    },
    Scheduler(Scheduler),
    IoPriority(IoPriority),
    Personality(Personality),
    CpuAffinity(NumberSet),
    SessionKeyring(CString),
    MemoryPolicy(MemoryPolicy),
    /// What a security module calls the program from its exec on, and the file of the process that it is told by.
    Label {
        path: CString,
        label: CString,
    },
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domainname(name) => write!(f, "set domainname {}", name.to_string_lossy()),
            Self::Sysctl { path, value, .. } => {
                write!(f, "write {:?} to {} of a procfs", value.to_string_lossy(), path.to_string_lossy())
            }
            Self::TimeOffsets { lines, .. } => {
                write!(
                    f,
                    "unshare the time namespace with offsets {}",
                    lines.to_string_lossy().trim().replace('\n', ", ")
                )
            }
            Self::Scheduler(Scheduler { policy, nice, priority, flags, runtime, deadline, period }) => {
                write!(f, "schedule by {policy} nice {nice} priority {priority} flags {flags:#x}")?;
                write!(f, " runtime {runtime:?} deadline {deadline:?} period {period:?}")
            }
            Self::IoPriority(priority) => write!(f, "set I/O priority {priority}"),
            Self::Personality(personality) => write!(f, "set personality {:#x}", personality.bits()),
            Self::CpuAffinity(cpus) => write!(f, "run on cpus {cpus}"),
            Self::SessionKeyring(name) => write!(f, "begin session keyring {:?}", name.to_string_lossy()),
            Self::MemoryPolicy(MemoryPolicy { mode, nodes, flags }) => {
                write!(f, "take memory by {mode} of nodes {nodes} flags {flags:#x}")
            }
            Self::Label { path, label } => {
                write!(f, "write {:?} to {} of a procfs", label.to_string_lossy(), path.to_string_lossy())
            }
        }
    }
}

/// What is set before the process enters anything.
pub(super) fn first(command: &Command) -> Result<Option<Attribute>> {
    command.process.initial_cpus.as_ref().map(|cpus| affinity("initial_cpu_affinity", cpus)).transpose()
}

/// What belongs to the namespaces.
pub(super) fn of_namespaces(command: &Command) -> Result<Vec<Attribute>> {
    let mut attributes = Vec::new();
    let procfs = if command.is_joined(Namespace::Mount) { Procfs::Private } else { Procfs::PrivateOrCaller };
    if !command.process.time_offsets.is_empty() {
        attributes.push(Attribute::TimeOffsets { procfs, lines: time_offsets(command)? });
    }
    if let Some(name) = &command.process.domainname {
        if !command.is_new(Namespace::Uts) {
            return Err(Error::invalid("domainname", name.to_string_lossy(), "needs a new uts namespace"));
        }
        attributes.push(Attribute::Domainname(c_string("domainname", name.as_bytes())?));
    }
    for (name, value) in &command.process.sysctls {
        let path = sysctl::path(name).ok_or_else(|| Error::invalid("sysctl", name, "is not the name of a setting"))?;
        let owner =
            sysctl::owner(&path).ok_or_else(|| Error::invalid("sysctl", name, "is a setting of the whole machine"))?;
        if command.source(owner).is_none() {
            return Err(Error::invalid(
                "sysctl",
                name,
                "belongs to a namespace that the process shares with the caller",
            ));
        }
        let path = c_string("sysctl", format!("sys/{path}").as_bytes())?;
        attributes.push(Attribute::Sysctl { procfs, path, value: c_string("sysctl", value.as_bytes())? });
    }
    Ok(attributes)
}

/// What belongs to the program.
pub(super) fn of_program(command: &Command, facts: &Facts, notices: &mut Vec<Notice>) -> Result<Vec<Attribute>> {
    let process = &command.process;
    let mut attributes = Vec::new();
    if let Some(scheduler) = process.scheduler {
        if !(-20..=19).contains(&scheduler.nice) {
            return Err(Error::invalid("scheduler", scheduler.nice.to_string(), "nice is between -20 and 19"));
        }
        attributes.push(Attribute::Scheduler(scheduler));
    }
    attributes.extend(process.io_priority.map(Attribute::IoPriority));
    attributes.extend(process.personality.map(Attribute::Personality));
    if let Some(name) = &process.session_keyring {
        if facts.has_keyrings {
            attributes.push(Attribute::SessionKeyring(c_string("session_keyring", name.as_bytes())?));
        } else {
            notices.push(Notice::NoKeyrings);
        }
    }
    if let Some(policy) = &process.memory_policy {
        let takes_none = matches!(policy.mode, MemoryPolicyMode::Default | MemoryPolicyMode::Local);
        if takes_none && !policy.nodes.is_empty() {
            return Err(Error::invalid("memory_policy", policy.nodes.to_string(), "this mode takes no nodes"));
        }
        attributes.push(Attribute::MemoryPolicy(policy.clone()));
    }
    attributes.extend(process.cpus.as_ref().map(|cpus| affinity("cpu_affinity", cpus)).transpose()?);
    Ok(attributes)
}

/// What security modules are told right before the program: a hook that runs until then is not to be taken for it.
pub(super) fn labels(command: &Command) -> Result<Vec<Attribute>> {
    let process = &command.process;
    let profile = process.apparmor_profile.as_ref().map(|profile| ("apparmor_profile", profile, "apparmor/", "exec "));
    let label = process.selinux_label.as_ref().map(|label| ("selinux_label", label, "", ""));
    let one = |(field, name, module, word): (&'static str, &String, &str, &str)| {
        if name.is_empty() {
            return Err(Error::invalid(field, "", "is empty"));
        }
        let path = c_string(field, format!("self/attr/{module}exec").as_bytes())?;
        Ok(Attribute::Label { path, label: c_string(field, format!("{word}{name}").as_bytes())? })
    };
    profile.into_iter().chain(label).map(one).collect()
}

fn affinity(field: &'static str, cpus: &NumberSet) -> Result<Attribute> {
    if cpus.is_empty() {
        return Err(Error::invalid(field, "", "a process runs somewhere"));
    }
    Ok(Attribute::CpuAffinity(cpus.clone()))
}

/// The lines of `/proc/self/timens_offsets`.
fn time_offsets(command: &Command) -> Result<CString> {
    if !command.is_new(Namespace::Time) {
        return Err(Error::invalid("time_offset", "time namespace", "needs a new one"));
    }
    let mut lines = Vec::new();
    for offset in &command.process.time_offsets {
        if offset.nanoseconds >= 1_000_000_000 {
            return Err(Error::invalid("time_offset", offset.nanoseconds.to_string(), "is not less than a second"));
        }
        lines.push(format!("{} {} {}\n", offset.clock, offset.seconds, offset.nanoseconds));
    }
    c_string("time_offset", lines.concat().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Source;
    use crate::scheduling::{Clock, IoClass, SchedulerPolicy, TimeOffset};

    fn lines(attributes: &[Attribute]) -> Vec<String> {
        attributes.iter().map(ToString::to_string).collect()
    }

    fn anew(kinds: &[Namespace]) -> Command {
        let mut command = Command::new("/x");
        for kind in kinds {
            command.namespace(*kind, Source::New);
        }
        command
    }

    #[test]
    fn settings_of_namespaces_are_printed_and_belong_to_one() {
        let mut command = anew(&[Namespace::Net, Namespace::Uts, Namespace::Time]);
        command.domainname("d").sysctl("net.ipv4.ip_forward", "1");
        command.time_offset(TimeOffset { clock: Clock::Monotonic, seconds: -5, nanoseconds: 7 });
        command.time_offset(TimeOffset { clock: Clock::Boottime, seconds: 3, nanoseconds: 0 });
        let expected = [
            "unshare the time namespace with offsets monotonic -5 7, boottime 3 0",
            "set domainname d",
            "write \"1\" to sys/net/ipv4/ip_forward of a procfs",
        ];
        assert_eq!(lines(&of_namespaces(&command).unwrap()), expected);
        for (kinds, name) in [
            (&[][..], "net.ipv4.ip_forward"),
            (&[Namespace::Net], "kernel.shmmax"),
            (&[Namespace::Ipc], "kernel.core_pattern"),
            (&[Namespace::Net], "net/../kernel/core_pattern"),
        ] {
            let mut command = anew(kinds);
            command.sysctl(name, "1");
            assert!(matches!(of_namespaces(&command), Err(Error::Invalid { field: "sysctl", .. })), "{name}");
        }
        let mut command = anew(&[]);
        command.domainname("d");
        assert!(of_namespaces(&command).is_err());
        let mut command = anew(&[]);
        command.time_offset(TimeOffset { clock: Clock::Boottime, seconds: 3, nanoseconds: 0 });
        assert!(of_namespaces(&command).is_err());
    }

    #[test]
    fn what_the_program_gets_is_printed() {
        let mut command = anew(&[]);
        let nodes: NumberSet = "0-1".parse().unwrap();
        let mode = MemoryPolicyMode::Bind;
        command
            .scheduler(Scheduler { nice: 5, ..Scheduler::new(SchedulerPolicy::Batch) })
            .io_priority(IoPriority::new(IoClass::Idle, 0).unwrap())
            .personality(Personality::LINUX32)
            .session_keyring("s")
            .memory_policy(MemoryPolicy { mode, nodes: nodes.clone(), flags: MemoryPolicy::STATIC_NODES })
            .initial_cpu_affinity("0".parse().unwrap())
            .cpu_affinity(nodes);
        let expected = [
            "schedule by SCHED_BATCH nice 5 priority 0 flags 0x0 runtime 0ns deadline 0ns period 0ns",
            "set I/O priority IOPRIO_CLASS_IDLE level 0",
            "set personality 0x8",
            "begin session keyring \"s\"",
            "take memory by MPOL_BIND of nodes 0-1 flags 0x8000",
            "run on cpus 0-1",
        ];
        let mut notices = Vec::new();
        let mut facts = Facts::for_tests();
        assert_eq!(lines(&of_program(&command, &facts, &mut notices).unwrap()), expected);
        assert_eq!(first(&command).unwrap().unwrap().to_string(), "run on cpus 0");
        assert!(notices.is_empty());
        facts.has_keyrings = false;
        assert_eq!(of_program(&command, &facts, &mut notices).unwrap().len(), expected.len() - 1);
        assert_eq!(notices, [Notice::NoKeyrings]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let facts = Facts::for_tests();
        let refused = |change: &dyn Fn(&mut Command)| {
            let mut command = anew(&[]);
            change(&mut command);
            of_program(&command, &facts, &mut Vec::new()).is_err()
        };
        assert!(refused(&|command| {
            command.cpu_affinity(NumberSet::default());
        }));
        assert!(refused(&|command| {
            command.scheduler(Scheduler { nice: 20, ..Scheduler::new(SchedulerPolicy::Other) });
        }));
        assert!(refused(&|command| {
            let mode = MemoryPolicyMode::Local;
            command.memory_policy(MemoryPolicy { mode, nodes: "0".parse().unwrap(), flags: 0 });
        }));
    }
}
