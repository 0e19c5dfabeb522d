//! Resource limits of a process.

use std::fmt;

/// A resource that the kernel limits for each process.
///
/// Source: `getrlimit(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "RLIMIT_NOFILE")]
pub enum Resource {
    /// Seconds of processor time.
    Cpu,
    /// Bytes of a file that is written.
    Fsize,
    /// Bytes of data segment.
    Data,
    /// Bytes of the first thread's stack.
    Stack,
    /// Bytes of a core dump.
    Core,
    /// Bytes of resident memory; without effect since Linux 2.4.30.
    Rss,
    /// Processes of the real user.
    Nproc,
    /// One more than the highest descriptor.
    Nofile,
    /// Bytes of locked memory.
    Memlock,
    /// Bytes of address space.
    As,
    /// File locks; without effect since Linux 2.4.25.
    Locks,
    /// Queued signals of the real user.
    Sigpending,
    /// Bytes in POSIX message queues of the real user.
    Msgqueue,
    /// Ceiling of the nice value, as 20 minus nice.
    Nice,
    /// Ceiling of the real-time priority.
    Rtprio,
    /// Microseconds of real-time running without a blocking call.
    Rttime,
}

impl Resource {
    /// Every resource, by number.
    pub const ALL: [Self; 16] = [
        Self::Cpu,
        Self::Fsize,
        Self::Data,
        Self::Stack,
        Self::Core,
        Self::Rss,
        Self::Nproc,
        Self::Nofile,
        Self::Memlock,
        Self::As,
        Self::Locks,
        Self::Sigpending,
        Self::Msgqueue,
        Self::Nice,
        Self::Rtprio,
        Self::Rttime,
    ];

    pub(crate) const fn number(self) -> u32 {
        // The variants stand in the kernel's order, from 0.
        self as u32
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RLIMIT_")?;
        f.write_str(&format!("{self:?}").to_ascii_uppercase())
    }
}

/// One side of a resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// This many of the resource's unit.
    At(u64),
    /// No limit.
    #[doc(alias = "RLIM_INFINITY")]
    Max,
}

impl Limit {
    pub(crate) const fn as_raw(self) -> u64 {
        match self {
            Self::At(value) => value,
            Self::Max => u64::MAX,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(value) => value.fmt(f),
            Self::Max => f.write_str("max"),
        }
    }
}

/// A resource's limits.
///
/// Kernel: raising `hard` above the caller's needs `CAP_SYS_RESOURCE` in the initial user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimit {
    /// What is limited.
    pub resource: Resource,
    /// What counts.
    pub soft: Limit,
    /// How far the process itself may raise `soft`.
    pub hard: Limit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_kernels() {
        assert_eq!(Resource::Nofile.to_string(), "RLIMIT_NOFILE");
        assert_eq!((Resource::Cpu.number(), Resource::Nofile.number(), Resource::Rttime.number()), (0, 7, 15));
        assert_eq!((Limit::At(5).to_string(), Limit::Max.as_raw()), ("5".to_owned(), u64::MAX));
    }
}
