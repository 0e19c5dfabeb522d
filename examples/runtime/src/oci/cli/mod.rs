//! The command line, word for word as engines write it for runc.
//!
//! The grammar is that of Go's flag package: one dash or two before any name, `--name value` and `--name=value`, switches
//! that take `=false`, and flags before the arguments only, so that those of a container's own program are left alone.

mod help;
mod parse;
mod table;

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use super::failure::{Failure, Result};

pub(super) use help::help;
pub(super) use table::{GLOBAL, VERBS, Verb};

/// A flag of the tool or of one of its verbs.
#[derive(Debug)]
pub(super) struct Flag {
    pub(super) long: &'static str,
    pub(super) short: Option<char>,
    /// What the value is called in the help; a switch has none.
    pub(super) value: Option<&'static str>,
    pub(super) help: &'static str,
}

/// A parsed part of the command line: flags, and the arguments behind them.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    flags: Vec<(&'static str, OsString)>,
    pub(super) arguments: Vec<OsString>,
}

impl Parsed {
    /// Parses `words` up to the end, or to the first that is no flag.
    pub(super) fn parse(flags: &'static [Flag], words: impl IntoIterator<Item = OsString>) -> Result<Self> {
        parse::parse(flags, words)
    }

    /// Whether a switch is on.
    pub(super) fn has(&self, switch: &str) -> bool {
        self.value(switch).is_some_and(|value| value == "true")
    }

    /// The last value of a flag, if it was given.
    pub(super) fn value(&self, flag: &str) -> Option<&OsString> {
        self.flags.iter().rev().find(|(name, _)| *name == flag).map(|(_, value)| value)
    }

    /// The value of a flag as a path; an empty one is none.
    pub(super) fn path(&self, flag: &str) -> Option<PathBuf> {
        self.value(flag).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// The value of a flag as text; an empty one is none.
    pub(super) fn text(&self, flag: &str) -> Result<Option<&str>> {
        let value = self.value(flag).filter(|value| !value.is_empty());
        value.map(|value| utf8(flag, value)).transpose()
    }

    /// Every value of a flag that may be given more than once, in order.
    pub(super) fn texts<'a>(&'a self, flag: &'a str) -> impl Iterator<Item = Result<&'a str>> {
        self.flags.iter().filter(move |(name, _)| *name == flag).map(move |(_, value)| utf8(flag, value))
    }

    /// The value of a flag as a number or another type.
    pub(super) fn parsed<T: FromStr>(&self, flag: &str) -> Result<Option<T>> {
        let wrong = |text: &str| Failure::new(format!("invalid value {text:?} for flag -{flag}"));
        self.text(flag)?.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }

    /// The only argument, which names a container.
    pub(super) fn id(&self) -> Result<&str> {
        match &self.arguments[..] {
            [id] => utf8("container id", id),
            [] => Err(Failure::new("a container id is required")),
            _ => Err(Failure::new(format!("one argument, the container id, is required: {:?}", self.arguments))),
        }
    }

    /// The first argument, which names a container, and those behind it.
    pub(super) fn id_and_rest(&self) -> Result<(&str, &[OsString])> {
        match self.arguments.split_first() {
            Some((id, rest)) => Ok((utf8("container id", id)?, rest)),
            None => Err(Failure::new("a container id is required")),
        }
    }
}

/// An argument as text.
pub(super) fn utf8<'a>(what: &str, text: &'a OsString) -> Result<&'a str> {
    text.to_str().ok_or_else(|| Failure::new(format!("{what}: {} is not UTF-8", text.display())))
}
