//! Reading statistics: each file is opened once and read with one system call.

use std::borrow::Cow;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::controller::{Controller, Version};
use crate::error::{Error, Result};
use crate::format::FormatError;
use crate::group::{Group, Held};
use crate::hierarchy::directory::Directory;
use crate::stat_file::{
    ESSENTIAL, Essential, FILES, HUGETLB_FILES, Parse, ParseSized, StatFile, StatKind, StatSelection,
};
use crate::stats::{Absence, Stats};
use crate::value::Bytes;
use crate::{v1, v2};

/// The statistics files of a group, open.
///
/// Reading is one `pread` a file, and allocates only when a file or a list grows beyond what it ever was.
#[derive(Debug)]
pub struct StatReader {
    group: String,
    sources: Vec<Source>,
    absent: Vec<(Controller, Absence)>,
    counted: StatSelection,
    io_is_v1: bool,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Source {
    fd: OwnedFd,
    directory: Held,
    version: Version,
    file: Cow<'static, str>,
    parse: SourceParse,
}

impl Source {
    fn path(&self) -> String {
        self.directory.file(&self.file)
    }
}

#[derive(Debug, Clone, Copy)]
enum SourceParse {
    Whole(Parse),
    Sized(Bytes, ParseSized),
}

impl Group {
    /// Opens the statistics files of the group for repeated reading.
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn reader(&self, selection: StatSelection) -> Result<StatReader> {
        let mut reader = StatReader {
            group: self.name(),
            sources: Vec::with_capacity(24),
            absent: Vec::new(),
            counted: StatSelection::NONE,
            io_is_v1: false,
            buffer: vec![0; 4096],
        };
        for StatFile(kind, version, file, parse) in FILES {
            if selection.contains(*kind) && self.may_have(*kind, *version) && !self.counted_elsewhere(*version, file) {
                let directory = self.hold(*version, file);
                reader.open(directory, *version, (*file).into(), SourceParse::Whole(*parse))?;
            }
        }
        if selection.contains(StatKind::Hugetlb) {
            self.open_hugetlb(&mut reader)?;
        }
        for Essential(kind, controller, files) in ESSENTIAL {
            let found = files.iter().any(|(version, file)| reader.has(*version, file));
            if found {
                reader.counted = reader.counted.with(*kind);
            } else if selection.contains(*kind) {
                reader.close(*kind);
                reader.absent.push((*controller, Absence::NotEnabled));
            }
        }
        let v1_io = FILES.iter().any(|StatFile(kind, version, file, _)| {
            (*kind, *version) == (StatKind::Io, Version::V1) && reader.has(*version, file)
        });
        reader.io_is_v1 = v1_io;
        // What was missing so far was missing because this kernel or group has none: a directory of which a file was
        // opened was there.
        let seen = |place| reader.sources.iter().any(|source| source.directory.is_at(place));
        let mut members = self.members().iter().enumerate();
        if members.any(|(place, member)| !seen(place) && member.directory.is_gone()) {
            return Err(Error::Gone { group: self.name() });
        }
        Ok(reader)
    }

    /// Reads everything once; for repeated reading a [`reader`](Self::reader) is many times cheaper.
    ///
    /// Errors: [`Error::Gone`] if the group was removed: never zeros.
    pub fn stats(&self) -> Result<Stats> {
        self.reader(StatSelection::ALL)?.read()
    }

    /// Processes of the group that the kernel killed for want of memory; `None` where it does not count them.
    ///
    /// Kernel: see [`MemoryStats::oom_kills`](crate::MemoryStats::oom_kills).
    pub fn oom_kills(&self) -> Result<Option<u64>> {
        self.check_there()?;
        let mut stats = Stats::default();
        let files: [(Version, &str, Parse); 2] = [
            (Version::V1, "memory.oom_control", v1::memory::oom_control),
            (Version::V2, "memory.events", v2::memory::events),
        ];
        for (version, file, parse) in files {
            let Some(directory) = self.directory_of(version, file) else { continue };
            let Some(content) = directory.read(file)? else { continue };
            parse(content.as_bytes(), &mut stats)
                .map_err(|FormatError(reason)| Error::Malformed { file: directory.file(file), reason })?;
        }
        Ok(stats.memory.and_then(|memory| memory.oom_kills))
    }

    /// Whether the files of a part can be in this version; the kernel is not asked about others.
    fn may_have(&self, kind: StatKind, version: Version) -> bool {
        match (kind.controller(), version) {
            // v2 counts pressure and CPU time in every group.
            (None | Some(Controller::Cpu), _) => true,
            (Some(controller), Version::V1) => self.member_of(controller.subsystems()[0]).is_some(),
            (Some(controller), Version::V2) => self.hierarchies().version_of(controller) == Some(Version::V2),
        }
    }

    /// v2 counts CPU time in every group; where v1's `cpuacct` does too, that one is more exact.
    fn counted_elsewhere(&self, version: Version, file: &str) -> bool {
        (version, file) == (Version::V2, "cpu.stat") && self.member_of("cpuacct").is_some()
    }

    fn open_hugetlb(&self, reader: &mut StatReader) -> Result<()> {
        for version in [Version::V1, Version::V2] {
            let Some(directory) = self.hold(version, "hugetlb") else { continue };
            if !self.may_have(StatKind::Hugetlb, version) {
                continue;
            }
            for page_size in self.page_sizes(&directory)? {
                let size = v2::hugetlb::size_name(page_size);
                let before = reader.sources.len();
                for (_, rest, parse) in HUGETLB_FILES.iter().filter(|(found, ..)| *found == version) {
                    let file = format!("hugetlb.{size}.{rest}");
                    reader.open(
                        Some(directory.clone()),
                        version,
                        file.into(),
                        SourceParse::Sized(page_size, *parse),
                    )?;
                    // A group has the files of all page sizes, the first of which every kernel has, or of none.
                    if reader.sources.len() == before {
                        break;
                    }
                }
            }
        }
        if reader.sources.iter().any(|source| matches!(source.parse, SourceParse::Sized(..))) {
            reader.counted = reader.counted.with(StatKind::Hugetlb);
        } else {
            reader.absent.push((Controller::Hugetlb, Absence::NotEnabled));
        }
        Ok(())
    }
}

impl Group {
    /// The sizes of huge pages that there are, or if the kernel's list is not to be seen those that a group counts.
    fn page_sizes(&self, directory: &Directory) -> Result<Vec<Bytes>> {
        let known = self.hierarchies().page_sizes();
        if !known.is_empty() {
            return Ok(known.to_vec());
        }
        let files = directory.files()?;
        let mut sizes: Vec<Bytes> =
            files.iter().filter_map(|file| v2::hugetlb::size_of_file(file)).map(|(page_size, _)| page_size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        Ok(sizes)
    }
}

impl StatReader {
    /// Reads into a new [`Stats`].
    pub fn read(&mut self) -> Result<Stats> {
        let mut stats = Stats::default();
        self.read_into(&mut stats)?;
        Ok(stats)
    }

    /// Reads into `stats`, using again the memory that its lists have.
    ///
    /// Errors: [`Error::Gone`] if the group was removed, [`Error::Malformed`] for a file that is not as documented.
    pub fn read_into(&mut self, stats: &mut Stats) -> Result<()> {
        stats.clear();
        for source in &self.sources {
            let length = read_whole(source, &mut self.buffer, &self.group)?;
            let content = &self.buffer[..length];
            let parsed = match source.parse {
                SourceParse::Whole(parse) => parse(content, stats),
                SourceParse::Sized(page_size, parse) => parse(content, page_size, stats),
            };
            parsed.map_err(|FormatError(reason)| Error::Malformed { file: source.path(), reason })?;
        }
        stats.absent.extend_from_slice(&self.absent);
        // Lists that this reader does not fill were kept for their memory; they may not look like zeros.
        if !self.counted.contains(StatKind::Cpu) {
            stats.cpu = None;
        }
        stats.drop_unseen();
        if !self.counted.contains(StatKind::Rdma) {
            stats.rdma = None;
        }
        if !self.counted.contains(StatKind::Misc) {
            stats.misc = None;
        }
        if !self.counted.contains(StatKind::Dmem) {
            stats.dmem = None;
        }
        if !self.counted.contains(StatKind::Io) {
            stats.io = None;
        }
        if !self.counted.contains(StatKind::Hugetlb) {
            stats.hugetlb = None;
        }
        if self.io_is_v1 && stats.io.as_ref().is_some_and(|io| io.devices.is_empty()) {
            stats.io = None;
            stats.absent.push((Controller::Io, Absence::NoThrottleRule));
        }
        Ok(())
    }

    /// The files that each reading reads, in order.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.sources.iter().map(Source::path)
    }

    fn open(
        &mut self,
        directory: Option<Held>,
        version: Version,
        file: Cow<'static, str>,
        parse: SourceParse,
    ) -> Result<()> {
        let Some(directory) = directory else { return Ok(()) };
        if let Some(fd) = directory.open_unchecked(&file)? {
            self.sources.push(Source { fd, directory, version, file, parse });
        }
        Ok(())
    }

    fn has(&self, version: Version, file: &str) -> bool {
        self.sources.iter().any(|source| source.version == version && source.file == file)
    }

    /// Drops the files of a part that is not counted as a whole.
    fn close(&mut self, kind: StatKind) {
        let names: Vec<&str> = FILES.iter().filter(|file| file.0 == kind).map(|file| file.2).collect();
        self.sources.retain(|source| !names.contains(&&*source.file));
    }
}

fn read_whole(source: &Source, buffer: &mut Vec<u8>, group: &str) -> Result<usize> {
    let fail = |error| match error {
        Errno::NODEV => Error::Gone { group: group.to_owned() },
        error => Error::sys("read", source.path(), error),
    };
    loop {
        let length = match rustix::io::pread(&source.fd, &mut *buffer, 0) {
            Ok(length) => length,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(fail(error)),
        };
        // These files are written in one piece, so one that leaves room in the buffer was read to its end.
        if length < buffer.len() {
            return Ok(length);
        }
        // From the start again: what comes later may be of a later state.
        buffer.resize(buffer.len() * 2, 0);
    }
}
