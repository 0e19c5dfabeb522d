//! What became of each setting that was asked for.

use std::borrow::Cow;

use crate::controller::Controller;

/// The answer to [`Group::apply`](crate::Group::apply): one entry for each setting, in the order of writing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The entries.
    pub items: Vec<ReportItem>,
}

impl Report {
    /// The settings that this group cannot have.
    pub fn unsupported(&self) -> impl Iterator<Item = &ReportItem> {
        self.items.iter().filter(|item| matches!(item.outcome, Outcome::Unsupported { .. }))
    }

    /// What became of a setting, named as in [`ReportItem::setting`].
    pub fn get(&self, setting: &str) -> Option<&Outcome> {
        self.items.iter().find(|item| item.setting == setting).map(|item| &item.outcome)
    }
}

/// What became of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportItem {
    /// The setting by its path in [`Resources`](crate::Resources), such as `memory.max`.
    pub setting: Cow<'static, str>,
    /// What became of it.
    pub outcome: Outcome,
}

impl std::fmt::Display for ReportItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.setting, self.outcome)
    }
}

/// What became of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Written as it was asked for.
    Applied,
    /// Written as something else that means the same, or nearly.
    Converted {
        /// What was asked for.
        from: String,
        /// What was written.
        to: String,
        /// Whether meaning was lost.
        lossy: bool,
    },
    /// Not written.
    Unsupported {
        /// Whose setting it is.
        controller: Controller,
        /// The file that would hold it.
        file: Cow<'static, str>,
        /// Why not.
        reason: Reason,
    },
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Applied => f.write_str("applied"),
            Self::Converted { from, to, lossy } => {
                write!(f, "{from} became {to}{}", if *lossy { ", with loss" } else { "" })
            }
            Self::Unsupported { controller, file, reason } => {
                write!(f, "unsupported: {file} of controller {controller}: {reason}")
            }
        }
    }
}

/// Why a group cannot have a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// This kernel has no such controller or file.
    Kernel,
    /// The controller is mounted in no hierarchy, or the group was made without it.
    NotEnabled,
    /// The controller or the file is not delegated to the caller.
    NotDelegated,
    /// Only v1 has it, and the controller is in v2 here.
    V1Only,
    /// Only v2 has it, and the controller is in v1 here.
    V2Only,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kernel => "this kernel has none",
            Self::NotEnabled => "the controller is not enabled for the group",
            Self::NotDelegated => "it is not delegated to the caller",
            Self::V1Only => "only cgroup v1 has it",
            Self::V2Only => "only cgroup v2 has it",
        })
    }
}
