//! Which kernel files make up the statistics, and how each is read.

use crate::controller::{Controller, Version};
use crate::error::{Error, Result};
use crate::format::{self, FormatError};
use crate::stats::Stats;
use crate::value::Bytes;
use crate::{pids, scalars, v1, v2};

/// A part of [`Stats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatKind {
    /// [`Stats::cpu`].
    Cpu,
    /// [`Stats::memory`].
    Memory,
    /// [`Stats::pids`].
    Pids,
    /// [`Stats::io`].
    Io,
    /// [`Stats::hugetlb`].
    Hugetlb,
    /// [`Stats::pressure`].
    Pressure,
    /// [`Stats::rdma`].
    Rdma,
    /// [`Stats::misc`].
    Misc,
    /// [`Stats::dmem`].
    Dmem,
}

impl StatKind {
    /// Whose files these are; pressure is counted without a controller.
    pub(crate) const fn controller(self) -> Option<Controller> {
        Some(match self {
            Self::Cpu => Controller::Cpu,
            Self::Memory => Controller::Memory,
            Self::Pids => Controller::Pids,
            Self::Io => Controller::Io,
            Self::Hugetlb => Controller::Hugetlb,
            Self::Rdma => Controller::Rdma,
            Self::Misc => Controller::Misc,
            Self::Dmem => Controller::Dmem,
            Self::Pressure => return None,
        })
    }
}

/// Which parts of [`Stats`] a [`StatReader`](crate::StatReader) reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatSelection(u16);

impl StatSelection {
    /// No part.
    pub const NONE: Self = Self(0);
    /// Every part.
    pub const ALL: Self = Self(0b1_1111_1111);

    /// This and one more part.
    #[must_use]
    pub const fn with(self, kind: StatKind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Whether a part is selected.
    pub const fn contains(self, kind: StatKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }
}

/// Reads a file into the statistics.
pub(crate) type Parse = fn(&[u8], &mut Stats) -> format::Result<()>;
/// Reads a file of one page size into the statistics.
pub(crate) type ParseSized = fn(&[u8], Bytes, &mut Stats) -> format::Result<()>;

/// A file of statistics: whose it is, its version and name, and how to read it.
pub(crate) struct StatFile(pub(crate) StatKind, pub(crate) Version, pub(crate) &'static str, pub(crate) Parse);

/// Every file but those of a page size, in the order of reading.
pub(crate) const FILES: &[StatFile] = &[
    StatFile(StatKind::Cpu, Version::V1, "cpuacct.usage_percpu", v1::cpu::usage_percpu),
    StatFile(StatKind::Cpu, Version::V1, "cpuacct.usage_all", v1::cpu::usage_all),
    StatFile(StatKind::Cpu, Version::V1, "cpu.stat", v1::cpu::stat),
    StatFile(StatKind::Cpu, Version::V1, "cpu.stat.local", v1::cpu::stat_local),
    StatFile(StatKind::Cpu, Version::V2, "cpu.stat", v2::cpu::stat),
    StatFile(StatKind::Cpu, Version::V2, "cpu.stat.local", v2::cpu::stat_local),
    StatFile(StatKind::Memory, Version::V1, "memory.usage_in_bytes", v2::memory::current),
    StatFile(StatKind::Memory, Version::V1, "memory.max_usage_in_bytes", v2::memory::peak),
    StatFile(StatKind::Memory, Version::V1, "memory.limit_in_bytes", v1::memory::max),
    StatFile(StatKind::Memory, Version::V1, "memory.failcnt", v1::memory::failures),
    StatFile(StatKind::Memory, Version::V1, "memory.memsw.failcnt", v1::memory::swap_failures),
    StatFile(StatKind::Memory, Version::V1, "memory.kmem.usage_in_bytes", v1::memory::kernel),
    StatFile(StatKind::Memory, Version::V1, "memory.oom_control", v1::memory::oom_control),
    StatFile(StatKind::Memory, Version::V1, "memory.stat", v1::memory::stat),
    StatFile(StatKind::Memory, Version::V2, "memory.current", v2::memory::current),
    StatFile(StatKind::Memory, Version::V2, "memory.peak", v2::memory::peak),
    StatFile(StatKind::Memory, Version::V2, "memory.max", v2::memory::max),
    StatFile(StatKind::Memory, Version::V2, "memory.swap.current", v2::memory::swap_current),
    StatFile(StatKind::Memory, Version::V2, "memory.swap.max", v2::memory::swap_max),
    StatFile(StatKind::Memory, Version::V2, "memory.swap.peak", v2::memory::swap_peak),
    StatFile(StatKind::Memory, Version::V2, "memory.zswap.current", v2::memory::zswap_current),
    StatFile(StatKind::Memory, Version::V2, "memory.events", v2::memory::events),
    StatFile(StatKind::Memory, Version::V2, "memory.events.local", v2::memory::events_local),
    StatFile(StatKind::Memory, Version::V2, "memory.stat", v2::memory::stat),
    StatFile(StatKind::Memory, Version::V2, "memory.swap.events", v2::memory::swap_events),
    StatFile(StatKind::Pids, Version::V1, "pids.current", pids::current),
    StatFile(StatKind::Pids, Version::V1, "pids.max", pids::max),
    StatFile(StatKind::Pids, Version::V1, "pids.peak", pids::peak),
    StatFile(StatKind::Pids, Version::V1, "pids.events", pids::events),
    StatFile(StatKind::Pids, Version::V2, "pids.current", pids::current),
    StatFile(StatKind::Pids, Version::V2, "pids.max", pids::max),
    StatFile(StatKind::Pids, Version::V2, "pids.peak", pids::peak),
    StatFile(StatKind::Pids, Version::V2, "pids.events", pids::events),
    StatFile(StatKind::Pids, Version::V2, "pids.events.local", pids::events_local),
    StatFile(StatKind::Io, Version::V1, "blkio.throttle.io_service_bytes_recursive", v1::io::service_bytes),
    StatFile(StatKind::Io, Version::V1, "blkio.throttle.io_serviced_recursive", v1::io::serviced),
    StatFile(StatKind::Io, Version::V2, "io.stat", v2::io::stat),
    StatFile(StatKind::Pressure, Version::V2, "cpu.pressure", v2::pressure::cpu),
    StatFile(StatKind::Pressure, Version::V2, "memory.pressure", v2::pressure::memory),
    StatFile(StatKind::Pressure, Version::V2, "io.pressure", v2::pressure::io),
    StatFile(StatKind::Pressure, Version::V2, "irq.pressure", v2::pressure::irq),
    StatFile(StatKind::Rdma, Version::V1, "rdma.current", scalars::rdma_current),
    StatFile(StatKind::Rdma, Version::V1, "rdma.max", scalars::rdma_max),
    StatFile(StatKind::Misc, Version::V1, "misc.current", scalars::misc_current),
    StatFile(StatKind::Misc, Version::V1, "misc.peak", scalars::misc_peak),
    StatFile(StatKind::Misc, Version::V1, "misc.max", scalars::misc_max),
    StatFile(StatKind::Misc, Version::V1, "misc.events", scalars::misc_events),
    StatFile(StatKind::Misc, Version::V1, "misc.events.local", scalars::misc_events_local),
    StatFile(StatKind::Rdma, Version::V2, "rdma.current", scalars::rdma_current),
    StatFile(StatKind::Rdma, Version::V2, "rdma.max", scalars::rdma_max),
    StatFile(StatKind::Misc, Version::V2, "misc.current", scalars::misc_current),
    StatFile(StatKind::Misc, Version::V2, "misc.peak", scalars::misc_peak),
    StatFile(StatKind::Misc, Version::V2, "misc.max", scalars::misc_max),
    StatFile(StatKind::Misc, Version::V2, "misc.events", scalars::misc_events),
    StatFile(StatKind::Misc, Version::V2, "misc.events.local", scalars::misc_events_local),
    StatFile(StatKind::Dmem, Version::V1, "dmem.current", scalars::dmem_current),
    StatFile(StatKind::Dmem, Version::V2, "dmem.current", scalars::dmem_current),
    StatFile(StatKind::Dmem, Version::V1, "dmem.max", scalars::dmem_max),
    StatFile(StatKind::Dmem, Version::V2, "dmem.max", scalars::dmem_max),
    StatFile(StatKind::Dmem, Version::V1, "dmem.low", scalars::dmem_low),
    StatFile(StatKind::Dmem, Version::V2, "dmem.low", scalars::dmem_low),
    StatFile(StatKind::Dmem, Version::V1, "dmem.min", scalars::dmem_min),
    StatFile(StatKind::Dmem, Version::V2, "dmem.min", scalars::dmem_min),
];

/// Files of one page size, by the rest of their names.
pub(crate) const HUGETLB_FILES: &[(Version, &str, ParseSized)] = &[
    (Version::V1, "usage_in_bytes", v2::hugetlb::current),
    (Version::V1, "limit_in_bytes", v1::hugetlb::max),
    (Version::V1, "failcnt", v1::hugetlb::failures),
    (Version::V1, "max_usage_in_bytes", v1::hugetlb::peak),
    (Version::V1, "rsvd.usage_in_bytes", v2::hugetlb::reserved),
    (Version::V1, "rsvd.limit_in_bytes", v1::hugetlb::reserved_max),
    (Version::V1, "rsvd.max_usage_in_bytes", v1::hugetlb::reserved_peak),
    (Version::V1, "rsvd.failcnt", v1::hugetlb::reserved_failures),
    (Version::V2, "current", v2::hugetlb::current),
    (Version::V2, "max", v2::hugetlb::max),
    (Version::V2, "events", v2::hugetlb::events),
    (Version::V2, "events.local", v2::hugetlb::events_local),
    (Version::V2, "rsvd.current", v2::hugetlb::reserved),
    (Version::V2, "rsvd.max", v2::hugetlb::reserved_max),
];

/// A part, its controller, and the file of each version that makes it count.
pub(crate) struct Essential(pub(crate) StatKind, pub(crate) Controller, pub(crate) [(Version, &'static str); 2]);

/// The files without which a part of the statistics would claim a zero that nobody counted.
pub(crate) const ESSENTIAL: &[Essential] = &[
    Essential(StatKind::Cpu, Controller::Cpu, [(Version::V1, "cpuacct.usage_percpu"), (Version::V2, "cpu.stat")]),
    Essential(
        StatKind::Memory,
        Controller::Memory,
        [(Version::V1, "memory.usage_in_bytes"), (Version::V2, "memory.current")],
    ),
    Essential(StatKind::Pids, Controller::Pids, [(Version::V1, "pids.current"), (Version::V2, "pids.current")]),
    Essential(
        StatKind::Io,
        Controller::Io,
        [(Version::V1, "blkio.throttle.io_service_bytes_recursive"), (Version::V2, "io.stat")],
    ),
    Essential(StatKind::Rdma, Controller::Rdma, [(Version::V1, "rdma.current"), (Version::V2, "rdma.current")]),
    Essential(StatKind::Misc, Controller::Misc, [(Version::V1, "misc.current"), (Version::V2, "misc.current")]),
    Essential(StatKind::Dmem, Controller::Dmem, [(Version::V1, "dmem.current"), (Version::V2, "dmem.current")]),
];

impl Stats {
    /// Takes in the content of one kernel file that came from elsewhere, such as a report; `false` if it is no file of
    /// statistics.
    ///
    /// Errors: [`Error::Malformed`] if it is not as documented.
    pub fn take_in(&mut self, version: Version, file: &str, content: &[u8]) -> Result<bool> {
        let plain = FILES.iter().find(|found| (found.1, found.2) == (version, file));
        let sized = v2::hugetlb::size_of_file(file).and_then(|(page_size, rest)| {
            let found = HUGETLB_FILES.iter().find(|(found, name, _)| (*found, *name) == (version, rest));
            found.map(|(_, _, parse)| (page_size, parse))
        });
        let parsed = match (plain, sized) {
            (Some(StatFile(_, _, _, parse)), _) => parse(content, self),
            (None, Some((page_size, parse))) => parse(content, page_size, self),
            (None, None) => return Ok(false),
        };
        match parsed {
            Ok(()) => Ok(true),
            Err(FormatError(reason)) => Err(Error::Malformed { file: file.to_owned(), reason }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn files_are_taken_in_by_their_names() {
        let mut stats = Stats::default();
        assert!(matches!(stats.take_in(Version::V2, "pids.current", b"3\n"), Ok(true)));
        assert!(matches!(stats.take_in(Version::V2, "hugetlb.2MB.current", b"0\n"), Ok(true)));
        assert!(matches!(stats.take_in(Version::V1, "memory.current", b"3\n"), Ok(false)));
        assert!(matches!(stats.take_in(Version::V2, "memory.current", b"many\n"), Err(Error::Malformed { .. })));
        assert_eq!(stats.pids.map(|pids| pids.current), Some(3));
        assert_eq!(stats.hugetlb.map(|sizes| sizes.len()), Some(1));
    }

    proptest! {
        #[test]
        fn no_content_makes_a_reader_panic(content in "[a-z0-9:=. \n]{0,80}") {
            for StatFile(_, version, file, _) in FILES {
                // Whether it is understood does not matter here.
                drop(Stats::default().take_in(*version, file, content.as_bytes()));
            }
        }
    }
}
