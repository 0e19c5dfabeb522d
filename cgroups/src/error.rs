//! What can go wrong, by what a caller can do about it.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use crate::controller::Controller;
use crate::path::ParseGroupPathError;
use crate::report::{Outcome, Reason, ReportItem};
use crate::value::OutOfRange;

/// What this crate's functions answer with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed in a way that has no variant of its own.
    #[error("cannot {op} {object}")]
    Sys {
        /// What was tried, as a verb.
        op: &'static str,
        /// On what: a path, a group or a process.
        object: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused a value; the settings written before it were put back.
    #[error("cannot write {write}")]
    Refused {
        /// Which write.
        write: Box<FailedWrite>,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel took a value and then marked it as void.
    #[error("the kernel answers {answer:?} to {write}")]
    Void {
        /// Which write.
        write: Box<FailedWrite>,
        /// What the file says now.
        answer: String,
    },
    /// A setting makes no sense by itself or beside another; nothing was written.
    #[error("{field} cannot be {value}: {reason}")]
    Invalid {
        /// The setting.
        field: Cow<'static, str>,
        /// Its value.
        value: String,
        /// Why not.
        reason: Cow<'static, str>,
    },
    /// A configuration asks for something that no group can have; see the feature `oci`.
    #[error("{field} cannot be honoured: {reason}")]
    NotHonoured {
        /// The field, as a path in the configuration.
        field: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// Strict application was asked for and the group cannot have these settings.
    #[error("the group cannot have: {}", list(settings))]
    Unsupported {
        /// The settings, each with its reason.
        settings: Vec<ReportItem>,
    },
    /// No cgroup hierarchy is mounted where this process can see it.
    #[error("no cgroup hierarchy is mounted here")]
    NoHierarchy,
    /// There is no such group.
    #[error("there is no group {group}")]
    NotFound {
        /// The group.
        group: String,
    },
    /// There is such a group already.
    #[error("there is a group {group} already")]
    Exists {
        /// The group.
        group: String,
    },
    /// The group that this handle stands for was removed; one of the same name may be there now, but is another.
    #[error("the group {group} was removed")]
    Gone {
        /// The group.
        group: String,
    },
    /// Controllers that the caller may not use, or that are not there.
    #[error("no {} in {stopped_at}: {reason}", names(controllers))]
    NotDelegated {
        /// Which controllers; none where not even a group can be made.
        controllers: Vec<Controller>,
        /// The group in which they are missing, or the file that could not be written.
        stopped_at: String,
        /// Why.
        reason: NotDelegated,
    },
    /// Something holds the group.
    #[error("{group} is busy: {holder}")]
    Busy {
        /// The group.
        group: String,
        /// What holds it.
        holder: Holder,
    },
    /// Something did not happen in the time given; what was begun was undone.
    #[error("{object} did not {op} within {after:?}")]
    TimedOut {
        /// What did not happen, as a verb.
        op: &'static str,
        /// To what.
        object: String,
        /// The time given.
        after: Duration,
    },
    /// Something failed, and what had been done until then could not all be undone.
    #[error("what was done before cannot be undone: {}", leftovers(left))]
    NotUndone {
        /// What is left as it was made or changed, and why.
        left: Vec<(String, io::Error)>,
        /// The first failure.
        #[source]
        first: Box<Error>,
    },
    /// A process was moved into the group in some hierarchies, and another of them refused it.
    #[error("process {pid} is in {} now, and was not moved to {}", moved.join(", "), kept_out.join(", "))]
    PartlyAdded {
        /// The process.
        pid: u32,
        /// The directories in which it is now.
        moved: Vec<String>,
        /// The directories to which it was not moved: there it is where it was before.
        kept_out: Vec<String>,
        /// Why the first of these refused it.
        #[source]
        first: Box<Error>,
    },
    /// systemd refused something, or a job of it failed.
    #[cfg(feature = "systemd")]
    #[error("systemd cannot {op} {unit}: {answer}: {message}")]
    Systemd {
        /// What was asked for, as a verb.
        op: &'static str,
        /// The unit.
        unit: Box<str>,
        /// The name of the error, or the result of the job.
        answer: Box<str>,
        /// What systemd says of it.
        message: Box<str>,
    },
    /// A kernel file does not read as documented.
    #[error("cannot understand {file}: {reason}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A text does not name a group.
    #[error(transparent)]
    Path(#[from] ParseGroupPathError),
    /// A number is outside the kernel's range.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
}

impl Error {
    /// The kernel's error number, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Sys { source, .. } | Self::Refused { source, .. } => source.raw_os_error(),
            Self::NotUndone { first, .. } | Self::PartlyAdded { first, .. } => first.errno(),
            _ => None,
        }
    }

    pub(crate) fn sys(op: &'static str, object: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Sys { op, object: object.into(), source: source.into() }
    }

    /// The error of a single file that the group cannot have.
    pub(crate) fn unsupported(
        setting: impl Into<Cow<'static, str>>,
        controller: Controller,
        file: impl Into<Cow<'static, str>>,
        reason: Reason,
    ) -> Self {
        let outcome = Outcome::Unsupported { controller, file: file.into(), reason };
        Self::Unsupported { settings: vec![ReportItem { setting: setting.into(), outcome }] }
    }

    /// This failure, together with what could not be undone after it.
    pub(crate) fn leaving(self, left: Vec<(String, io::Error)>) -> Self {
        if left.is_empty() { self } else { Self::NotUndone { left, first: Box::new(self) } }
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers pass temporaries")]
    pub(crate) fn invalid(
        field: impl Into<Cow<'static, str>>,
        value: impl ToString,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Invalid { field: field.into(), value: value.to_string(), reason: reason.into() }
    }
}

/// Why controllers cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotDelegated {
    /// The kernel has them in no hierarchy that is mounted here.
    NotMounted,
    /// The group above does not pass them on.
    NotAvailable,
    /// The caller may not write there.
    Permission,
}

impl std::fmt::Display for NotDelegated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotMounted => "no mounted hierarchy has it",
            Self::NotAvailable => "the group above does not pass it on",
            Self::Permission => "permission denied",
        })
    }
}

/// What holds a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Processes in it or below it; a few of their ids as examples.
    Processes(Vec<i32>),
    /// Groups below it.
    Groups(Vec<String>),
    /// Processes in it, which keep a group of v2 from passing controllers on to groups below it.
    InternalProcesses(Vec<i32>),
    /// Controllers passed on to groups below it, which keep a group of v2 from holding processes.
    PassedOnControllers,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Processes(pids) => write!(f, "processes {pids:?}"),
            Self::Groups(groups) => write!(f, "groups below it: {}", groups.join(", ")),
            Self::InternalProcesses(pids) => {
                write!(f, "processes {pids:?} in it, so it cannot pass controllers on to groups below it")
            }
            Self::PassedOnControllers => {
                f.write_str("it passes controllers on to groups below it, so it cannot hold processes")
            }
        }
    }
}

/// A write that failed.
#[derive(Debug)]
pub struct FailedWrite {
    /// The group's directory.
    pub group: String,
    /// The file.
    pub file: String,
    /// The value.
    pub value: String,
    /// What became of the settings written before.
    pub rollback: Rollback,
}

impl std::fmt::Display for FailedWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} to {} of {}; {}", self.value, self.file, self.group, self.rollback)
    }
}

/// What became of the settings that were written before one failed.
#[derive(Debug, Default)]
pub struct Rollback {
    /// Files that hold their former values again.
    pub restored: Vec<String>,
    /// Files that could not be put back, and why.
    pub failed: Vec<(String, io::Error)>,
}

impl std::fmt::Display for Rollback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.restored.is_empty() && self.failed.is_empty() {
            return f.write_str("nothing else was changed");
        }
        if !self.restored.is_empty() {
            write!(f, "put back: {}", self.restored.join(", "))?;
        }
        let mut separator = if self.restored.is_empty() { "" } else { "; " };
        for (file, error) in &self.failed {
            write!(f, "{separator}could not put back {file}: {error}")?;
            separator = "; ";
        }
        Ok(())
    }
}

fn list(settings: &[ReportItem]) -> String {
    settings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn leftovers(left: &[(String, io::Error)]) -> String {
    left.iter().map(|(object, error)| format!("{object}: {error}")).collect::<Vec<_>>().join("; ")
}

fn names(controllers: &[Controller]) -> String {
    if controllers.is_empty() {
        return "group".to_owned();
    }
    let names: Vec<&str> = controllers.iter().map(|controller| controller.name()).collect();
    format!("controller {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_what_a_caller_can_act_on() {
        let refused = Error::Refused {
            write: Box::new(FailedWrite {
                group: "/sys/fs/cgroup/web".to_owned(),
                file: "io.max".to_owned(),
                value: "8:0 rbps=1".to_owned(),
                rollback: Rollback {
                    restored: vec!["memory.max".to_owned(), "pids.max".to_owned()],
                    failed: vec![("cpu.max".to_owned(), io::Error::from_raw_os_error(22))],
                },
            }),
            source: io::Error::from_raw_os_error(19),
        };
        assert_eq!(
            refused.to_string(),
            "cannot write \"8:0 rbps=1\" to io.max of /sys/fs/cgroup/web; put back: memory.max, pids.max; could not \
             put back cpu.max: Invalid argument (os error 22)"
        );
        assert_eq!(refused.errno(), Some(19));
        let not_delegated = |controllers| Error::NotDelegated {
            controllers,
            stopped_at: "/sys/fs/cgroup/user.slice".to_owned(),
            reason: NotDelegated::NotAvailable,
        };
        assert_eq!(
            not_delegated(vec![Controller::Cpu, Controller::Io]).to_string(),
            "no controller cpu, io in /sys/fs/cgroup/user.slice: the group above does not pass it on"
        );
        assert_eq!(
            not_delegated(vec![]).to_string(),
            "no group in /sys/fs/cgroup/user.slice: the group above does not pass it on"
        );
        let partly = Error::PartlyAdded {
            pid: 7,
            moved: vec!["/a/web".to_owned(), "/b/web".to_owned()],
            kept_out: vec!["/c/web".to_owned()],
            first: Box::new(Error::sys("write", "/c/web/cgroup.procs", io::Error::from_raw_os_error(28))),
        };
        assert_eq!(partly.to_string(), "process 7 is in /a/web, /b/web now, and was not moved to /c/web");
        assert_eq!(partly.errno(), Some(28));
        let left = Error::NoHierarchy.leaving(vec![("/a/web".to_owned(), io::Error::from_raw_os_error(16))]);
        assert_eq!(
            left.to_string(),
            "what was done before cannot be undone: /a/web: Device or resource busy (os error 16)"
        );
        assert!(matches!(Error::NoHierarchy.leaving(vec![]), Error::NoHierarchy));
        let busy = Error::Busy { group: "web".to_owned(), holder: Holder::InternalProcesses(vec![7]) };
        assert_eq!(
            busy.to_string(),
            "web is busy: processes [7] in it, so it cannot pass controllers on to groups below it"
        );
    }
}
