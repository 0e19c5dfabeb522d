//! Carrying a plan out, and putting everything back when a write fails.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use crate::bpf::DeviceProgram;
use crate::controller::{Controller, Version};
use crate::error::{Error, FailedWrite, Result, Rollback};
use crate::format::FormatError;
use crate::group::Group;
use crate::group::rollback::{Former, Written, open_with_former, roll_back};
use crate::hierarchy::directory::WriteFailure;
use crate::observed::{Home, Layout, NEW_CPU_PERIOD, Observed, in_new_group};
use crate::plan::Plan;
use crate::report::{Reason, Report};
use crate::resources::Resources;
use crate::setting::{Action, Check, Setting, Undo, Write};
use crate::{sys, v1, v2};

impl Group {
    /// Sets what is asked for, or nothing.
    ///
    /// Errors: [`Error::Unsupported`] if the group cannot have one of the settings, [`Error::Invalid`] if they make
    /// no sense, [`Error::Refused`] if the kernel refuses a value, which names what was put back.
    pub fn apply(&self, resources: &Resources) -> Result<Report> {
        let known = self.known();
        let plan = self.plan_unchecked(resources, known)?;
        if plan.settings.iter().any(|setting| matches!(setting.action, Action::Unsupported { .. })) {
            self.check_there()?;
            return Err(Error::Unsupported { settings: plan.report().unsupported().cloned().collect() });
        }
        self.execute(plan, OnMissing::Fail, known).map_err(|error| self.explained(error, resources))
    }

    /// Sets what the group can have of what is asked for; the report lists what it cannot.
    ///
    /// Errors: as [`apply`](Self::apply) but for [`Error::Unsupported`]. A value that the kernel refuses is an error
    /// here too, and puts back what was written before it.
    pub fn apply_best_effort(&self, resources: &Resources) -> Result<Report> {
        let known = self.known();
        let plan = self.plan_unchecked(resources, known)?;
        self.execute(plan, OnMissing::Report, known).map_err(|error| self.explained(error, resources))
    }

    /// What [`apply`](Self::apply) would write now.
    pub fn plan(&self, resources: &Resources) -> Result<Plan> {
        self.check_there()?;
        self.plan_unchecked(resources, Known::Nothing)
    }

    /// The plan for a group of which its writes tell whether it is there.
    fn plan_unchecked(&self, resources: &Resources, known: Known) -> Result<Plan> {
        let layout = self.layout_for(|controller| resources.ask(controller))?;
        let observed = self.observe(resources, &layout, known)?;
        Plan::new(resources, &layout, &observed)
    }

    fn known(&self) -> Known {
        if self.take_new() { Known::New } else { Known::Changed }
    }

    /// What a plan that looks at everything finds wrong, where the kernel only said that it refuses.
    fn explained(&self, error: Error, resources: &Resources) -> Error {
        match error {
            Error::Refused { ref write, .. } if write.file == v1::memory::LIMIT && write.rollback.failed.is_empty() => {
                match self.plan(resources) {
                    Err(invalid @ Error::Invalid { .. }) => invalid,
                    _ => error,
                }
            }
            error => error,
        }
    }

    fn execute(&self, mut plan: Plan, on_missing: OnMissing, known: Known) -> Result<Report> {
        let mut written: Vec<Written<'_>> = Vec::new();
        let steps = |setting: &Setting| match &setting.action {
            Action::Write { writes, .. } => writes.len(),
            Action::Filter(_) => 1,
            Action::Unsupported { .. } => 0,
        };
        let mut ahead: usize = plan.settings.iter().map(steps).sum();
        if ahead == 0 {
            self.check_there()?;
        }
        for setting in &mut plan.settings {
            let first = written.len();
            ahead -= steps(setting);
            let failure = match &setting.action {
                Action::Write { writes, .. } => self.execute_all(writes, ahead, known, &mut written).err(),
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

    /// Does the writes of a setting, after which `ahead` others follow.
    fn execute_all<'a>(
        &'a self,
        writes: &[Write],
        ahead: usize,
        known: Known,
        written: &mut Vec<Written<'a>>,
    ) -> Result<(), Stopped> {
        let mut open: Option<(&str, OwnedFd)> = None;
        for (at, write) in writes.iter().enumerate() {
            // After the last write nothing can fail for which it had to be put back.
            let last = ahead == 0 && at + 1 == writes.len() && write.check == Check::None;
            let new = || in_new_group(write.version, &write.file).filter(|_| write.undo == Undo::Whole);
            let keep = match known {
                _ if last || write.undo == Undo::WithEarlier => Keep::Nothing,
                Known::New => new().map_or(Keep::Former, Keep::Value),
                Known::Changed | Known::Nothing => Keep::Former,
            };
            // A list takes one line at a time, and of all of them through one descriptor.
            let again = open.take().filter(|(file, _)| *file == write.file && matches!(keep, Keep::Nothing));
            let fd = self.execute_one(write, keep, again.map(|(_, fd)| fd), written)?;
            open = Some((&*write.file, fd));
        }
        Ok(())
    }

    fn execute_one<'a>(
        &'a self,
        write: &Write,
        keep: Keep,
        open: Option<OwnedFd>,
        written: &mut Vec<Written<'a>>,
    ) -> Result<OwnedFd, Stopped> {
        let unsupported = |reason| Err(Stopped::Unsupported { file: write.file.to_string(), reason });
        let Some(directory) = self.directory_of(write.version, &write.file) else {
            return unsupported(Reason::NotEnabled);
        };
        let failed = |answer| {
            let write = FailedWrite {
                group: directory.path(),
                file: write.file.to_string(),
                value: write.value().to_owned(),
                rollback: Rollback::default(),
            };
            Stopped::Failed(Failure::Value(Box::new(write), answer))
        };
        let other = |error| Stopped::Failed(Failure::Other(error));
        let opened = match (keep, open) {
            (Keep::Nothing, Some(fd)) => Ok(Ok((fd, None))),
            (Keep::Nothing, None) => directory.open_to_write(&write.file).map(|fd| Ok((fd, None))),
            (Keep::Value(value), _) => {
                directory.open_to_write(&write.file).map(|fd| Ok((fd, Some(Former::Value(value.into())))))
            }
            (Keep::Former, _) => open_with_former(directory, write),
        };
        let done = match opened {
            Ok(opened) => {
                let (fd, former) = opened.map_err(other)?;
                directory.write_to(&fd, write.value()).map(|()| (fd, former))
            }
            Err(failure) => Err(failure),
        };
        let fd = match done {
            Ok((fd, former)) => {
                written.extend(former.map(|former| Written { directory, file: write.file.clone(), former }));
                fd
            }
            Err(WriteFailure::Gone) => return Err(other(directory.gone())),
            Err(WriteFailure::NoFile) => return unsupported(Reason::Kernel),
            Err(WriteFailure::NotPermitted) => return unsupported(Reason::NotDelegated),
            Err(WriteFailure::Refused(source)) => return Err(failed(Answer::Errno(source))),
        };
        if write.check == Check::NotInvalid {
            let now = directory.read_always(&write.file).map_err(other)?;
            if now.contains("invalid") {
                return Err(failed(Answer::Content(now.trim().to_owned())));
            }
        }
        Ok(fd)
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
            _ if directory.is_gone() => return Err(Stopped::Failed(Failure::Other(directory.gone()))),
            Some(rustix::io::Errno::PERM) => Reason::NotDelegated,
            Some(rustix::io::Errno::NOSYS) => Reason::Kernel,
            _ => {
                let failure = Error::sys("attach a device program to", directory.path(), source);
                return Err(Stopped::Failed(Failure::Other(failure)));
            }
        };
        Err(Stopped::Unsupported { file: "device program".to_owned(), reason })
    }

    /// Reads the values that decide the order of writes, and only those.
    fn observe(&self, resources: &Resources, layout: &Layout, known: Known) -> Result<Observed> {
        let mut observed = Observed::default();
        let cpu = &resources.cpu;
        match layout.home(Controller::Cpu) {
            Home::V1 => {
                if known == Known::New {
                    observed.cpu_period = Some(NEW_CPU_PERIOD);
                } else if cpu.max.is_some() {
                    observed.cpu_period = self.observe_file(Version::V1, "cpu.cfs_period_us", micros)?;
                }
                if cpu.realtime_period.is_some() {
                    observed.realtime_period = self.observe_file(Version::V1, v1::cpu::RT_PERIOD, micros)?;
                }
                if cpu.burst.is_some() {
                    observed.cpu_burst = self.observe_file(Version::V1, "cpu.cfs_burst_us", micros)?;
                }
            }
            Home::V2 if cpu.burst.is_some() => {
                observed.cpu_burst = self.observe_file(Version::V2, "cpu.max.burst", micros)?;
            }
            _ => {}
        }
        let memory = &resources.memory;
        if layout.home(Controller::Memory) == Home::V1 && (memory.max.is_some() || memory.swap.is_some()) {
            let limit = v1::memory::limit;
            if memory.swap.is_some() {
                observed.memory_limit = self.observe_file(Version::V1, v1::memory::LIMIT, limit)?;
            }
            // Of memory alone the kernel itself says whether it is above the sum.
            if memory.swap.is_some() || known == Known::Nothing {
                observed.memory_and_swap_limit = self.observe_file(Version::V1, v1::memory::LIMIT_WITH_SWAP, limit)?;
            }
        }
        if resources.io.weight.is_some() || !resources.io.device_weights.is_empty() {
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

/// What is known of a group before anything of it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// It is as the kernel made it.
    New,
    /// Nothing, and what the kernel would refuse need not be found out before.
    Changed,
    /// Nothing, and all that matters is to be found out.
    Nothing,
}

/// What is kept of a file for a failure of a later write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// What it holds, which is read.
    Former,
    /// This, which it is known to hold.
    Value(&'static str),
    Nothing,
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
