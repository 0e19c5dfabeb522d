//! Why an isolated process could not be started, reached or connected.

use std::io;
use std::process::ExitStatus;

use crate::signal::Signal;

/// Why an operation of this crate failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call of the calling process failed.
    #[error("{op} {object} failed")]
    Sys {
        /// The system call or file operation.
        op: &'static str,
        /// What it was applied to: a path, a descriptor, a process.
        object: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A step between the clone and the exec failed inside the new process, which is gone.
    #[error("in the new process: {step}: {op} failed")]
    Child {
        /// The step, as [`Plan`](crate::Plan) prints it.
        step: String,
        /// The system call.
        op: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A hook failed, and with it the new process, which is gone.
    #[error("{hook} {}{}{output}", status.map_or_else(|| "took too long and was killed".to_owned(), |status| format!("failed: {status}")), if output.is_empty() { "" } else { ": " })]
    Hook {
        /// The hook, as [`Plan`](crate::Plan) prints it.
        hook: String,
        /// Its end; `None` when its time was over.
        status: Option<ExitStatus>,
        /// The end of what it wrote.
        output: String,
    },
    /// The new process ended before its program began, and said nothing: something killed it.
    #[error("the new process was ended{} before its program began", signal.map(|signal| format!(" by {signal}")).unwrap_or_default())]
    Killed {
        /// What ended it.
        signal: Option<Signal>,
    },
    /// A value, or a combination of values, cannot be honoured.
    #[error("{field}: {value}: {reason}")]
    Invalid {
        /// The method or part of [`Command`](crate::Command) at fault.
        field: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A configuration asks for something that cannot be given; see the feature `oci`.
    #[error("{field} cannot be honoured: {reason}")]
    NotHonoured {
        /// The field, as a path in the configuration.
        field: String,
        /// Why not.
        reason: &'static str,
    },
    /// The kernel cannot do what was asked for, and a part of it was not wanted.
    #[error("unsupported: {feature}")]
    Unsupported {
        /// What it lacks.
        feature: String,
    },
    /// The kernel refused a netlink request.
    #[error("netlink {op} {object} was refused{}", explanation.as_deref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Netlink {
        /// The request.
        op: &'static str,
        /// What it was about.
        object: String,
        /// The kernel's own words (extended acknowledgement), where it gave some.
        explanation: Option<String>,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel sent a netlink message that does not keep the format.
    #[error("malformed netlink message: {reason}")]
    Malformed {
        /// What does not fit.
        reason: &'static str,
    },
    /// A set-uid helper program refused.
    #[error("{program} refused: {output}")]
    Helper {
        /// The program.
        program: String,
        /// What it wrote to its standard error.
        output: String,
    },
    /// A second failure happened while cleaning up after the first.
    #[error("{first}; and cleaning up failed as well")]
    CleanUp {
        /// What went wrong at first.
        first: Box<Error>,
        /// What went wrong while cleaning up.
        source: Box<Error>,
    },
}

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The kernel's error number, where a system call or a netlink request failed.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Sys { source, .. } | Self::Child { source, .. } | Self::Netlink { source, .. } => {
                source.raw_os_error()
            }
            Self::CleanUp { first, .. } => first.errno(),
            Self::Hook { .. }
            | Self::Killed { .. }
            | Self::Invalid { .. }
            | Self::NotHonoured { .. }
            | Self::Unsupported { .. }
            | Self::Malformed { .. }
            | Self::Helper { .. } => None,
        }
    }

    pub(crate) fn sys(op: &'static str, object: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Sys { op, object: object.into(), source: source.into() }
    }

    pub(crate) fn invalid(field: &'static str, value: impl Into<String>, reason: &'static str) -> Self {
        Self::Invalid { field, value: value.into(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_does_not_repeat_its_source() {
        let source = || io::Error::from_raw_os_error(libc::EPERM);
        let errors = [
            Error::sys("open", "/x", source()),
            Error::Child { step: "mount proc on /proc".into(), op: "fsmount", source: source() },
            Error::Netlink { op: "new link", object: "a".into(), explanation: Some("why".into()), source: source() },
        ];
        for error in errors {
            let told = std::error::Error::source(&error).expect("a system error has a source").to_string();
            assert!(!error.to_string().contains(&told), "{error}");
            assert_eq!(error.errno(), Some(libc::EPERM));
        }
    }
}
