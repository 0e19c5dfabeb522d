//! Carrying a plan out, and putting everything back when a write fails.

use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

use crate::bpf::DeviceProgram;
use crate::controller::{Controller, Version};
use crate::error::{Error, FailedWrite, Result, Rollback};
use crate::format::FormatError;
use crate::group::Group;
use crate::hierarchy::directory::{Directory, WriteFailure};
use crate::observed::{Home, Layout, Observed};
use crate::plan::Plan;
use crate::report::{Reason, Report};
use crate::resources::Resources;
use crate::setting::{Action, Check, Undo, Write};
use crate::value::{Bytes, Limit};
use crate::{sys, v1, v2};

impl Group {
    /// Sets what is asked for, or nothing.
    ///
    /// Errors: [`Error::Unsupported`] if the group cannot have one of the settings, [`Error::Invalid`] if they make
    /// no sense, [`Error::Refused`] if the kernel refuses a value, which names what was put back.
    pub fn apply(&self, resources: &Resources) -> Result<Report> {
        let plan = self.plan(resources)?;
        let report = plan.report();
        let settings: Vec<_> = report.unsupported().cloned().collect();
        if settings.is_empty() { self.execute(plan, OnMissing::Fail) } else { Err(Error::Unsupported { settings }) }
    }

    /// Sets what the group can have of what is asked for; the report lists what it cannot.
    ///
    /// Errors: as [`apply`](Self::apply) but for [`Error::Unsupported`]. A value that the kernel refuses is an error
    /// here too, and puts back what was written before it.
    pub fn apply_best_effort(&self, resources: &Resources) -> Result<Report> {
        self.execute(self.plan(resources)?, OnMissing::Report)
    }

    /// What [`apply`](Self::apply) would write now.
    pub fn plan(&self, resources: &Resources) -> Result<Plan> {
        let layout = self.layout()?;
        let observed = self.observe(resources, &layout)?;
        Plan::new(resources, &layout, &observed)
    }

    fn execute(&self, mut plan: Plan, on_missing: OnMissing) -> Result<Report> {
        let mut written: Vec<Written<'_>> = Vec::new();
        for setting in &mut plan.settings {
            let first = written.len();
            let failure = match &setting.action {
                Action::Write { writes, .. } => {
                    writes.iter().find_map(|write| self.execute_one(write, &mut written).err())
                }
                Action::Filter(program) => self.attach(program).err(),
                Action::Unsupported { .. } => None,
            };
            match failure {
                None => {}
                Some(Stopped::Unsupported { file, reason }) => {
                    let undo = roll_back(written.split_off(first));
                    let unsupported = Action::Unsupported { file: file.into(), reason };
                    setting.action = unsupported;
                    if on_missing == OnMissing::Fail || !undo.failed.is_empty() {
                        let settings = plan.report().unsupported().cloned().collect();
                        let mut left = undo.failed;
                        left.extend(roll_back(written).failed);
                        return Err(Error::Unsupported { settings }.leaving(left));
                    }
                }
                Some(Stopped::Failed(failure)) => return Err(failure.with_rollback(written)),
            }
        }
        Ok(plan.report())
    }

    fn execute_one<'a>(&'a self, write: &Write, written: &mut Vec<Written<'a>>) -> Result<(), Stopped> {
        let unsupported = |reason| Err(Stopped::Unsupported { file: write.file.to_string(), reason });
        let Some(directory) = self.directory_of(write.version, &write.file) else {
            return unsupported(Reason::NotEnabled);
        };
        let former = match former(directory, write) {
            Ok(former) => former,
            Err(error) => return Err(Stopped::Failed(Failure::Other(error))),
        };
        let failed = |answer| {
            let write = FailedWrite {
                group: directory.path().to_owned(),
                file: write.file.to_string(),
                value: write.value.clone(),
                rollback: Rollback::default(),
            };
            Stopped::Failed(Failure::Value(Box::new(write), answer))
        };
        match directory.write(&write.file, &write.value) {
            Ok(()) => {}
            Err(WriteFailure::Gone) => return Err(Stopped::Failed(Failure::Other(directory.gone()))),
            Err(WriteFailure::NoFile) => return unsupported(Reason::Kernel),
            Err(WriteFailure::NotPermitted) => return unsupported(Reason::NotDelegated),
            Err(WriteFailure::Refused(source)) => return Err(failed(Answer::Errno(source))),
        }
        written.push(Written { directory, file: write.file.to_string(), former });
        if write.check == Check::NotInvalid {
            let now = directory.read_always(&write.file).map_err(|error| Stopped::Failed(Failure::Other(error)))?;
            if now.contains("invalid") {
                return Err(failed(Answer::Content(now.trim().to_owned())));
            }
        }
        Ok(())
    }

    /// Loads a device program and puts it in the place of the one that was attached before, in one step.
    fn attach(&self, program: &DeviceProgram) -> Result<(), Stopped> {
        let Some(member) = self.member_v2() else {
            return Err(Stopped::Unsupported { file: "device program".to_owned(), reason: Reason::NotEnabled });
        };
        let directory = &member.directory;
        let replace = || {
            let loaded = sys::load(&program.instructions)?;
            let former = sys::attached(directory.as_fd())?;
            sys::attach(directory.as_fd(), &loaded, former.first())?;
            former.iter().skip(1).try_for_each(|program| sys::detach(directory.as_fd(), program))
        };
        let source = match replace() {
            Ok(()) => return Ok(()),
            Err(source) => source,
        };
        let reason = match rustix::io::Errno::from_io_error(&source) {
            Some(rustix::io::Errno::PERM) => Reason::NotDelegated,
            Some(rustix::io::Errno::NOSYS) => Reason::Kernel,
            _ if directory.is_gone() => return Err(Stopped::Failed(Failure::Other(directory.gone()))),
            _ => {
                let failure = Error::sys("attach a device program to", directory.path(), source);
                return Err(Stopped::Failed(Failure::Other(failure)));
            }
        };
        Err(Stopped::Unsupported { file: "device program".to_owned(), reason })
    }

    /// Reads the values that decide the order of writes, and only those.
    fn observe(&self, resources: &Resources, layout: &Layout) -> Result<Observed> {
        let mut observed = Observed::default();
        let cpu = &resources.cpu;
        match layout.home(Controller::Cpu) {
            Home::V1 if cpu.max.is_some() || cpu.burst.is_some() => {
                let quota = self.observe_file(Version::V1, "cpu.cfs_quota_us", v1::cpu::quota)?;
                let period = self.observe_file(Version::V1, "cpu.cfs_period_us", micros)?;
                observed.cpu_max = quota.zip(period);
                observed.cpu_burst = self.observe_file(Version::V1, "cpu.cfs_burst_us", micros)?;
            }
            Home::V2 if cpu.burst.is_some() => {
                observed.cpu_max = self.observe_file(Version::V2, "cpu.max", v2::cpu::max)?;
                observed.cpu_burst = self.observe_file(Version::V2, "cpu.max.burst", micros)?;
            }
            _ => {}
        }
        let memory = &resources.memory;
        if layout.home(Controller::Memory) == Home::V1 && (memory.max.is_some() || memory.swap.is_some()) {
            let limit = v1::memory::limit;
            observed.memory_limit = self.observe_file::<Limit<Bytes>>(Version::V1, v1::memory::LIMIT, limit)?;
            observed.memory_and_swap_limit = self.observe_file(Version::V1, v1::memory::LIMIT_WITH_SWAP, limit)?;
        }
        if resources.io.weight.is_some() {
            let candidates: &[(Version, &'static str)] = match layout.home(Controller::Io) {
                Home::V1 => &[(Version::V1, v1::io::WEIGHT_BFQ)],
                Home::V2 => &[(Version::V2, v2::io::WEIGHT), (Version::V2, v2::io::WEIGHT_BFQ)],
                Home::Absent(_) => &[],
            };
            for (version, file) in candidates {
                let directory = self.directory_of(*version, file);
                if observed.io_weight_file.is_none()
                    && directory.map(|it| it.open(file)).transpose()?.flatten().is_some()
                {
                    observed.io_weight_file = Some(file);
                }
            }
        }
        Ok(observed)
    }

    fn observe_file<T>(
        &self,
        version: Version,
        file: &str,
        parse: impl Fn(&[u8]) -> Result<T, FormatError>,
    ) -> Result<Option<T>> {
        let Some(directory) = self.directory_of(version, file) else { return Ok(None) };
        let Some(content) = directory.read(file)? else { return Ok(None) };
        match parse(content.as_bytes()) {
            Ok(value) => Ok(Some(value)),
            Err(FormatError(reason)) => Err(Error::Malformed { file: directory.file(file), reason }),
        }
    }
}

fn micros(content: &[u8]) -> Result<Duration, FormatError> {
    crate::format::micros(crate::format::single(content))
}

/// What a setting that turns out to be missing on this kernel does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnMissing {
    Fail,
    Report,
}

/// A write that happened, and the writes that undo it.
struct Written<'a> {
    directory: &'a Directory,
    file: String,
    former: Former,
}

/// The former state of a file.
enum Former {
    /// These writes bring it back.
    Writes(Vec<(String, String)>),
    /// It cannot be written back.
    Unwritable,
    /// A filter of devices that allowed by default, maybe with exceptions, which the kernel does not show: everything
    /// is denied in its place, because a filter that is put back without its exceptions is open.
    HiddenExceptions,
}

enum Stopped {
    Unsupported { file: String, reason: Reason },
    Failed(Failure),
}

enum Failure {
    Value(Box<FailedWrite>, Answer),
    Other(Error),
}

enum Answer {
    Errno(io::Error),
    Content(String),
}

impl Failure {
    fn with_rollback(self, written: Vec<Written<'_>>) -> Error {
        match self {
            // Of a group that is gone nothing is left.
            Self::Other(error @ Error::Gone { .. }) => error,
            Self::Other(error) => error.leaving(roll_back(written).failed),
            Self::Value(mut write, answer) => {
                write.rollback = roll_back(written);
                match answer {
                    Answer::Errno(source) => Error::Refused { write, source },
                    Answer::Content(answer) => Error::Void { write, answer },
                }
            }
        }
    }
}

/// What has to be written to have a file as it is now.
fn former(directory: &Directory, write: &Write) -> Result<Former> {
    let file = write.file.to_string();
    let source = match &write.undo {
        Undo::WithEarlier => return Ok(Former::Writes(Vec::new())),
        Undo::DeviceList => v1::devices::LIST,
        Undo::Whole | Undo::Line { .. } => &file,
    };
    let content = match directory.read(source) {
        Ok(Some(content)) => content,
        // Some files can only be written, and a missing one is told by the write itself.
        Ok(None) | Err(Error::Sys { .. }) => return Ok(Former::Unwritable),
        Err(error) => return Err(error),
    };
    let restored = match &write.undo {
        Undo::DeviceList => {
            return Ok(match v1::devices::restore(&content) {
                Some(writes) => {
                    Former::Writes(writes.into_iter().map(|(file, value)| (file.to_owned(), value)).collect())
                }
                None => Former::HiddenExceptions,
            });
        }
        Undo::Line { key, absent } => {
            let line = content.lines().find(|line| line.split(' ').next() == Some(key));
            line.unwrap_or(absent).to_owned()
        }
        Undo::Whole | Undo::WithEarlier => {
            let mut lines = content.lines();
            let line = lines.next().unwrap_or("");
            if lines.next().is_some() {
                return Ok(Former::Unwritable);
            }
            // An invalid partition reads as `root invalid (reason)`; it is set by the first word.
            let line = if write.check == Check::NotInvalid { line.split(' ').next().unwrap_or(line) } else { line };
            if line.is_empty() { "\n".to_owned() } else { line.to_owned() }
        }
    };
    Ok(Former::Writes(vec![(file, restored)]))
}

fn roll_back(written: Vec<Written<'_>>) -> Rollback {
    let mut rollback = Rollback::default();
    for Written { directory, file, former } in written.into_iter().rev() {
        let result = match &former {
            Former::Writes(writes) if writes.is_empty() => continue,
            Former::Writes(writes) => writes.iter().try_for_each(|(file, value)| write_back(directory, file, value)),
            Former::Unwritable => Err(io::ErrorKind::Unsupported.into()),
            Former::HiddenExceptions => write_back(directory, v1::devices::DENY, "a").and_then(|()| {
                let reason = "the kernel does not show what it denied before, so everything is denied now";
                Err(io::Error::new(io::ErrorKind::Unsupported, reason))
            }),
        };
        match result {
            Ok(()) => rollback.restored.push(file),
            Err(source) => rollback.failed.push((file, source)),
        }
    }
    rollback
}

fn write_back(directory: &Directory, file: &str, value: &str) -> io::Result<()> {
    directory.write(file, value).map_err(|failure| match failure {
        WriteFailure::Refused(source) => source,
        WriteFailure::Gone | WriteFailure::NoFile => io::ErrorKind::NotFound.into(),
        WriteFailure::NotPermitted => io::ErrorKind::PermissionDenied.into(),
    })
}
