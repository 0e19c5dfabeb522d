//! One setting of a plan: what would be written where, and how it is undone.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::Deref;

use crate::bpf::DeviceProgram;
use crate::controller::{Controller, Version};
use crate::report::Reason;
use crate::text::Text;

/// A setting that was asked for and what it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its path in [`Resources`](crate::Resources), such as `memory.max`.
    pub name: Cow<'static, str>,
    /// Whose setting it is.
    pub controller: Controller,
    /// What it comes to.
    pub action: Action,
}

/// What a setting comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Writes, in this order.
    Write {
        /// The writes.
        writes: Writes,
        /// What was asked for and what it became, if these differ.
        conversion: Option<Conversion>,
    },
    /// A program that decides about devices, attached to the group of v2 in the place of the last one.
    Filter(DeviceProgram),
    /// Nothing, because the group cannot have it.
    Unsupported {
        /// The file that would hold it.
        file: Cow<'static, str>,
        /// Why not.
        reason: Reason,
    },
}

/// What was asked for and what it became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// What was asked for.
    pub from: String,
    /// What is written.
    pub to: String,
    /// Whether meaning is lost.
    pub lossy: bool,
}

/// The writes of a setting, of which most need one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writes(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    One(Write),
    Several(Vec<Write>),
}

impl Deref for Writes {
    type Target = [Write];

    fn deref(&self) -> &[Write] {
        match &self.0 {
            Form::One(write) => std::slice::from_ref(write),
            Form::Several(writes) => writes,
        }
    }
}

impl From<Write> for Writes {
    fn from(write: Write) -> Self {
        Self(Form::One(write))
    }
}

impl From<Vec<Write>> for Writes {
    fn from(writes: Vec<Write>) -> Self {
        Self(Form::Several(writes))
    }
}

/// One write to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The version of the hierarchy; which one of v1 follows from the file's first word.
    pub version: Version,
    /// The file.
    pub file: Cow<'static, str>,
    /// How to put the former state back.
    pub undo: Undo,
    /// What the file must say afterwards.
    pub check: Check,
    value: Text,
}

/// How to put the former state of a file back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Write what the file held.
    Whole,
    /// Write the line that the file held for a key, or another if it held none.
    Line {
        /// The first word of the line: a device number, or `default`.
        key: String,
        /// What to write where there was no line.
        absent: String,
    },
    /// Write the value that the file held for a key.
    Value {
        /// The first word of the line.
        key: &'static str,
    },
    /// Rebuild the list of `devices.list`.
    DeviceList,
    /// Nothing: an earlier write of the same setting undoes this one too.
    WithEarlier,
}

/// What a file must say after it took a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The kernel refuses a wrong value at once.
    None,
    /// The kernel takes a wrong value and marks it `invalid`.
    NotInvalid,
}

impl Setting {
    /// A setting of one plain write.
    pub(crate) fn write(
        name: impl Into<Cow<'static, str>>,
        controller: Controller,
        version: Version,
        file: impl Into<Cow<'static, str>>,
        value: impl Display,
    ) -> Self {
        Self::writes(name, controller, Write::new(version, file, value))
    }

    /// A setting of several writes.
    pub(crate) fn writes(
        name: impl Into<Cow<'static, str>>,
        controller: Controller,
        writes: impl Into<Writes>,
    ) -> Self {
        Self { name: name.into(), controller, action: Action::Write { writes: writes.into(), conversion: None } }
    }

    /// A setting that the group cannot have.
    pub(crate) fn unsupported(
        name: impl Into<Cow<'static, str>>,
        controller: Controller,
        file: impl Into<Cow<'static, str>>,
        reason: Reason,
    ) -> Self {
        Self { name: name.into(), controller, action: Action::Unsupported { file: file.into(), reason } }
    }

    /// The same setting, reported as converted.
    #[expect(clippy::needless_pass_by_value, reason = "callers pass temporaries")]
    pub(crate) fn converted(mut self, from: impl ToString, to: impl ToString, lossy: bool) -> Self {
        if let Action::Write { conversion, .. } = &mut self.action {
            *conversion = Some(Conversion { from: from.to_string(), to: to.to_string(), lossy });
        }
        self
    }
}

impl Write {
    /// A write that is undone by writing what the file held.
    pub(crate) fn new(version: Version, file: impl Into<Cow<'static, str>>, value: impl Display) -> Self {
        Self { version, file: file.into(), undo: Undo::Whole, check: Check::None, value: Text::of(value) }
    }

    /// The bytes.
    pub fn value(&self) -> &str {
        self.value.as_str()
    }

    /// The same write, after which the file is looked at.
    pub(crate) fn checked_by(self, check: Check) -> Self {
        Self { check, ..self }
    }

    /// The same write with another way back.
    pub(crate) fn undone_by(self, undo: Undo) -> Self {
        Self { undo, ..self }
    }
}
