//! The steps that run hooks.

use std::ffi::CString;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use super::c_string::c_string;
use crate::command::Command;
use crate::error::{Error, Result};
use crate::hook::{Hook, HookInput, HookPoint};

/// A hook, ready to run.
#[derive(Debug)]
pub(crate) struct HookStep {
    pub(crate) path: CString,
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Vec<CString>,
    pub(crate) input: HookInput,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) point: HookPoint,
    /// Its place among all hooks of the plan.
    pub(crate) index: usize,
}

/// Seconds and nanoseconds, as the kernel takes them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeout {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: i64,
}

impl fmt::Display for HookStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run hook {}", self.path.to_string_lossy())?;
        match self.timeout {
            Some(timeout) => write!(f, " for {} s at most", timeout.seconds),
            None => Ok(()),
        }
    }
}

/// The hooks of a point.
pub(super) fn steps(command: &Command, point: HookPoint) -> Result<Vec<HookStep>> {
    let here = command.hooks.list.iter().enumerate().filter(|(_, (at, ..))| *at == point);
    here.map(|(index, (_, hook, input))| step(point, hook, input, index)).collect()
}

fn step(point: HookPoint, hook: &Hook, input: &HookInput, index: usize) -> Result<HookStep> {
    if !hook.path.is_absolute() {
        return Err(Error::invalid("hook", hook.path.display().to_string(), "its path is not absolute"));
    }
    let path = c_string("hook", hook.path.as_os_str().as_bytes())?;
    let mut arguments =
        hook.args.iter().map(|argument| c_string("hook", argument.as_bytes())).collect::<Result<Vec<_>>>()?;
    if arguments.is_empty() {
        arguments.push(path.clone());
    }
    let pair = |(key, value): &(std::ffi::OsString, std::ffi::OsString)| {
        c_string("hook", &[key.as_bytes(), b"=", value.as_bytes()].concat())
    };
    let environment = hook.env.iter().map(pair).collect::<Result<_>>()?;
    let timeout = match hook.timeout {
        None => None,
        Some(timeout) if timeout.is_zero() => {
            return Err(Error::invalid("hook", "0", "a timeout is above zero"));
        }
        Some(timeout) => Some(Timeout {
            seconds: i64::try_from(timeout.as_secs())
                .map_err(|_| Error::invalid("hook", format!("{timeout:?}"), "is longer than the kernel counts"))?,
            nanoseconds: timeout.subsec_nanos().into(),
        }),
    };
    Ok(HookStep { path, arguments, environment, input: input.clone(), timeout, point, index })
}
