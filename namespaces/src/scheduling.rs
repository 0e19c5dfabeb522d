//! How the kernel schedules a process: its CPU time, its reads and writes, its memory.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::number_set::NumberSet;

/// A text that is none of the kernel's names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}")]
pub struct ParseNameError {
    text: String,
    what: &'static str,
}

macro_rules! names {
    ($(#[$doc:meta])* $name:ident, $what:literal, $($(#[$variant_doc:meta])* $variant:ident = $number:literal $text:literal),* $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),*
        }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The kernel's number.
            pub(crate) const fn number(self) -> u32 {
                match self {
                    $(Self::$variant => $number),*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text),*
                })
            }
        }

        impl FromStr for $name {
            type Err = ParseNameError;

            fn from_str(text: &str) -> std::result::Result<Self, ParseNameError> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(ParseNameError { text: text.to_owned(), what: $what }),
                }
            }
        }
    };
}

names!(
    /// A scheduling policy.
    ///
    /// Source: `sched(7)`.
    SchedulerPolicy, "a scheduling policy",
    /// Time shared by the nice values.
    Other = 0 "SCHED_OTHER",
    /// Real time: runs until it blocks.
    Fifo = 1 "SCHED_FIFO",
    /// Real time with slices.
    RoundRobin = 2 "SCHED_RR",
    /// Time shared, taken for work that never waits.
    Batch = 3 "SCHED_BATCH",
    /// Reserved by the kernel, which refuses it.
    Iso = 4 "SCHED_ISO",
    /// Only when nothing else runs.
    Idle = 5 "SCHED_IDLE",
    /// So much time in each period.
    Deadline = 6 "SCHED_DEADLINE",
);

names!(
    /// A class of priorities of reads and writes.
    ///
    /// Source: `ioprio_set(2)`.
    IoClass, "a class of I/O priorities",
    /// Before all others.
    RealTime = 1 "IOPRIO_CLASS_RT",
    /// The usual one.
    BestEffort = 2 "IOPRIO_CLASS_BE",
    /// Only when nobody else wants the device.
    Idle = 3 "IOPRIO_CLASS_IDLE",
);

names!(
    /// Where a process's memory comes from.
    ///
    /// Source: `set_mempolicy(2)`.
    MemoryPolicyMode, "a memory policy",
    /// From the node that the process runs on.
    Default = 0 "MPOL_DEFAULT",
    /// From this node, and from others when it is full.
    Preferred = 1 "MPOL_PREFERRED",
    /// From these nodes only.
    Bind = 2 "MPOL_BIND",
    /// From these nodes in turn.
    Interleave = 3 "MPOL_INTERLEAVE",
    /// From the node that the allocating CPU belongs to.
    Local = 4 "MPOL_LOCAL",
    /// From these nodes, and from others when they are full.
    PreferredMany = 5 "MPOL_PREFERRED_MANY",
    /// From these nodes in turn, by their weights.
    WeightedInterleave = 6 "MPOL_WEIGHTED_INTERLEAVE",
);

/// How the kernel gives CPU time to the process.
///
/// Kernel: `sched_setattr(2)`, which refuses combinations that make no sense; real-time policies need `CAP_SYS_NICE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheduler {
    /// The policy.
    pub policy: SchedulerPolicy,
    /// Units: -20 (most time) to 19; for [`SchedulerPolicy::Other`] and [`SchedulerPolicy::Batch`]; others keep the caller's.
    pub nice: i32,
    /// Units: 1 to 99 (first); for [`SchedulerPolicy::Fifo`] and [`SchedulerPolicy::RoundRobin`].
    pub priority: u32,
    /// `SCHED_FLAG_*`, such as [`Scheduler::RESET_ON_FORK`].
    pub flags: u64,
    /// The time in each period; for [`SchedulerPolicy::Deadline`].
    pub runtime: Duration,
    /// By when it must have had it.
    pub deadline: Duration,
    /// How long a period is.
    pub period: Duration,
}

impl Scheduler {
    /// Children begin with the usual policy.
    pub const RESET_ON_FORK: u64 = 0x01;
    /// Takes what other deadline processes leave.
    pub const RECLAIM: u64 = 0x02;
    /// Is told by `SIGXCPU` when its time is up.
    pub const DEADLINE_OVERRUN: u64 = 0x04;
    /// The policy stays as it is.
    pub const KEEP_POLICY: u64 = 0x08;
    /// The parameters stay as they are.
    pub const KEEP_PARAMETERS: u64 = 0x10;
    /// A lower bound of the utilisation is set.
    pub const UTILIZATION_CLAMP_MIN: u64 = 0x20;
    /// An upper bound of the utilisation is set.
    pub const UTILIZATION_CLAMP_MAX: u64 = 0x40;

    /// This policy, and nothing else unusual.
    pub const fn new(policy: SchedulerPolicy) -> Self {
        let zero = Duration::ZERO;
        Self { policy, nice: 0, priority: 0, flags: 0, runtime: zero, deadline: zero, period: zero }
    }
}

/// Which reads and writes the kernel does first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoPriority {
    class: IoClass,
    level: u8,
}

impl IoPriority {
    /// Units: levels 0 (first) to 7 within a class.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a level above 7.
    pub fn new(class: IoClass, level: u8) -> Result<Self> {
        if level > 7 {
            return Err(Error::invalid("io_priority", level.to_string(), "is between 0 and 7"));
        }
        Ok(Self { class, level })
    }

    /// Class and level as one number.
    pub(crate) const fn number(self) -> u32 {
        self.class.number() << 13 | self.level as u32
    }
}

impl fmt::Display for IoPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} level {}", self.class, self.level)
    }
}

/// Which memory nodes the process's memory comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPolicy {
    /// How the nodes are used.
    pub mode: MemoryPolicyMode,
    /// The nodes; empty for the modes that take none.
    pub nodes: NumberSet,
    /// `MPOL_F_*`, such as [`MemoryPolicy::STATIC_NODES`].
    pub flags: u32,
}

impl MemoryPolicy {
    /// The nodes are as they are when the process moves to other ones.
    pub const STATIC_NODES: u32 = 1 << 15;
    /// The nodes are counted within those that the process may use.
    pub const RELATIVE_NODES: u32 = 1 << 14;
    /// Pages move to the node that uses them.
    pub const NUMA_BALANCING: u32 = 1 << 13;
}

/// How the kernel presents itself to the process.
///
/// Source: `personality(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Personality(u32);

impl Personality {
    /// The machine as it is.
    pub const LINUX: Self = Self(0);
    /// The machine's 32-bit form, as `uname -m` tells it.
    pub const LINUX32: Self = Self(8);
    /// `ADDR_NO_RANDOMIZE`: addresses are the same in every run.
    pub const NO_RANDOMIZE: u32 = 0x004_0000;

    /// Any number that the kernel takes, except the one that only asks.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits == u32::MAX { None } else { Some(Self(bits)) }
    }

    /// The number.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// A clock of a time namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// `CLOCK_MONOTONIC`.
    Monotonic,
    /// `CLOCK_BOOTTIME`, which counts suspended time.
    Boottime,
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Monotonic => "monotonic",
            Self::Boottime => "boottime",
        })
    }
}

/// How far a clock of a new time namespace differs from the one outside.
///
/// Units: seconds and the nanoseconds that are added to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOffset {
    /// The clock.
    pub clock: Clock,
    /// Whole seconds, back in time when negative.
    pub seconds: i64,
    /// Nanoseconds, fewer than a second.
    pub nanoseconds: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for policy in SchedulerPolicy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(*policy));
        }
        for mode in MemoryPolicyMode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(*mode));
        }
        for class in IoClass::ALL {
            assert_eq!(class.to_string().parse(), Ok(*class));
        }
        let error = "SCHED_x".parse::<SchedulerPolicy>().unwrap_err();
        assert_eq!(error.to_string(), "\"SCHED_x\" is not a scheduling policy");
    }

    #[test]
    fn numbers_are_the_kernels() {
        let policies = [libc::SCHED_OTHER, libc::SCHED_FIFO, libc::SCHED_RR, libc::SCHED_BATCH, 4, libc::SCHED_IDLE];
        for (policy, number) in SchedulerPolicy::ALL.iter().zip(policies) {
            assert_eq!(i64::from(policy.number()), i64::from(number), "{policy}");
        }
        let modes = [libc::MPOL_DEFAULT, libc::MPOL_PREFERRED, libc::MPOL_BIND, libc::MPOL_INTERLEAVE];
        for (mode, number) in MemoryPolicyMode::ALL.iter().zip(modes) {
            assert_eq!(i64::from(mode.number()), i64::from(number), "{mode}");
        }
        assert_eq!(IoPriority::new(IoClass::BestEffort, 5).unwrap().number(), 2 << 13 | 5);
        assert!(IoPriority::new(IoClass::Idle, 8).is_err());
        assert_eq!(Personality::from_bits(u32::MAX), None);
    }
}
