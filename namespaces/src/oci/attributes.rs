//! How the kernel treats the process: its clocks, CPUs, memory, reads and writes, and what it presents itself as.

use std::str::FromStr;
use std::time::Duration;

use oci_spec::runtime::{
    IOPriorityClass, Linux, LinuxPersonalityDomain, LinuxSchedulerFlag, MemoryPolicyFlagType, Process,
    Scheduler as Entry,
};

use super::not_honoured;
use crate::command::Command;
use crate::error::{Error, Result};
use crate::number_set::NumberSet;
use crate::scheduling::{
    Clock, IoClass, IoPriority, MemoryPolicy, MemoryPolicyMode, Personality, Scheduler, SchedulerPolicy, TimeOffset,
};

/// Whether a process is the first of its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    First,
    Additional,
}

/// Attributes in `process`.
pub(super) fn of_process(command: &mut Command, process: &Process, part: Part) -> Result<()> {
    if let Some(entry) = process.scheduler() {
        command.scheduler(scheduler(entry)?);
    }
    if let Some(entry) = process.io_priority() {
        let class = match entry.class() {
            IOPriorityClass::IoprioClassRt => IoClass::RealTime,
            IOPriorityClass::IoprioClassBe => IoClass::BestEffort,
            IOPriorityClass::IoprioClassIdle => IoClass::Idle,
        };
        let level = u8::try_from(entry.priority()).unwrap_or(u8::MAX);
        command.io_priority(IoPriority::new(class, level)?);
    }
    // The first process has the CPUs of its group.
    if let (Some(affinity), Part::Additional) = (process.exec_cpu_affinity(), part) {
        if let Some(cpus) = numbers("process.execCPUAffinity.initial", affinity.initial().as_deref())? {
            command.initial_cpu_affinity(cpus);
        }
        if let Some(cpus) = numbers("process.execCPUAffinity.final", affinity.cpu_affinity_final().as_deref())? {
            command.cpu_affinity(cpus);
        }
    }
    Ok(())
}

/// Attributes in `linux`.
pub(super) fn of_linux(command: &mut Command, linux: &Linux) -> Result<()> {
    let mut offsets: Vec<_> = linux.time_offsets().iter().flatten().collect();
    offsets.sort_by_key(|(clock, _)| *clock);
    for (name, offset) in offsets {
        let clock = match name.as_str() {
            "monotonic" => Clock::Monotonic,
            "boottime" => Clock::Boottime,
            other => return Err(Error::invalid("linux.timeOffsets", other, "is no clock of a time namespace")),
        };
        let (seconds, nanoseconds) = (offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0));
        command.time_offset(TimeOffset { clock, seconds, nanoseconds });
    }
    if let Some(entry) = linux.personality() {
        if entry.flags().as_ref().is_some_and(|flags| !flags.is_empty()) {
            return not_honoured("linux.personality.flags", "the specification knows no flag yet");
        }
        command.personality(match entry.domain() {
            LinuxPersonalityDomain::PerLinux => Personality::LINUX,
            LinuxPersonalityDomain::PerLinux32 => Personality::LINUX32,
        });
    }
    if let Some(entry) = linux.memory_policy() {
        let mode = MemoryPolicyMode::from_str(&entry.mode().to_string());
        let mode = mode.expect("both name the modes of set_mempolicy(2)");
        let nodes = numbers("linux.memoryPolicy.nodes", entry.nodes().as_deref())?.unwrap_or_default();
        let flag = |flags, flag: &MemoryPolicyFlagType| {
            flags
                | match flag {
                    MemoryPolicyFlagType::MpolFNumaBalancing => MemoryPolicy::NUMA_BALANCING,
                    MemoryPolicyFlagType::MpolFRelativeNodes => MemoryPolicy::RELATIVE_NODES,
                    MemoryPolicyFlagType::MpolFStaticNodes => MemoryPolicy::STATIC_NODES,
                }
        };
        let flags = entry.flags().iter().flatten().fold(0, flag);
        command.memory_policy(MemoryPolicy { mode, nodes, flags });
    }
    let mut settings: Vec<_> = linux.sysctl().iter().flatten().collect();
    settings.sort();
    for (name, value) in settings {
        command.sysctl(name, value);
    }
    Ok(())
}

fn numbers(field: &'static str, text: Option<&str>) -> Result<Option<NumberSet>> {
    match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => {
            text.parse().map(Some).map_err(|_| Error::invalid(field, text, "is no list of numbers such as 0-3,7"))
        }
    }
}

fn scheduler(entry: &Entry) -> Result<Scheduler> {
    let policy = SchedulerPolicy::from_str(&entry.policy().to_string());
    let policy = policy.expect("both name the policies of sched(7)");
    let flag = |flags, flag: &LinuxSchedulerFlag| {
        flags
            | match flag {
                LinuxSchedulerFlag::SchedResetOnFork => Scheduler::RESET_ON_FORK,
                LinuxSchedulerFlag::SchedFlagReclaim => Scheduler::RECLAIM,
                LinuxSchedulerFlag::SchedFlagDLOverrun => Scheduler::DEADLINE_OVERRUN,
                LinuxSchedulerFlag::SchedFlagKeepPolicy => Scheduler::KEEP_POLICY,
                LinuxSchedulerFlag::SchedFlagKeepParams => Scheduler::KEEP_PARAMETERS,
                LinuxSchedulerFlag::SchedFlagUtilClampMin => Scheduler::UTILIZATION_CLAMP_MIN,
                LinuxSchedulerFlag::SchedFlagUtilClampMax => Scheduler::UTILIZATION_CLAMP_MAX,
            }
    };
    let priority = entry.priority().unwrap_or(0);
    let priority = u32::try_from(priority)
        .map_err(|_| Error::invalid("process.scheduler.priority", priority.to_string(), "is below zero"))?;
    let time = |nanoseconds: &Option<u64>| Duration::from_nanos(nanoseconds.unwrap_or(0));
    Ok(Scheduler {
        nice: entry.nice().unwrap_or(0),
        priority,
        flags: entry.flags().iter().flatten().fold(0, flag),
        runtime: time(entry.runtime()),
        deadline: time(entry.deadline()),
        period: time(entry.period()),
        ..Scheduler::new(policy)
    })
}
