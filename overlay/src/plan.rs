//! The steps of an overlay mount, as data.

use std::fmt;

use crate::error::{Error, Result};
use crate::limits::Limit;
use crate::options::{Copies, Index, Inodes, LowerTier, MountOptions, Syncing};
use crate::whiteout::XattrNamespace;

/// One setting of a new mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A setting without a value.
    Flag(&'static str),
    /// A setting with a fixed value.
    Text(&'static str, &'static str),
    /// A directory by its descriptor.
    Descriptor(&'static str, Directory),
    /// A directory by the path of its descriptor.
    Path(&'static str, Directory),
    /// So many lower directories in one string of paths, topmost first.
    Paths(&'static str, usize),
}

/// A directory of the mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directory {
    /// A lower one, counted from the topmost.
    Lower(usize),
    /// Where changes go.
    Upper,
    /// What the kernel needs beside it.
    Work,
}

/// Whether changes have a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// There is an upper directory.
    ReadWrite,
    /// There is none.
    ReadOnly,
}

/// The kernel's own bound (`OVL_MAX_STACK`).
const LOWERS_MAX: usize = 500;

/// The settings of a mount, in order.
///
/// What would make the upper directory depend on the lower ones (`redirect_dir`, `metacopy`) is off unless asked for, so
/// that it alone tells what changed. With `userxattr` the kernel has both off and refuses to be told so.
///
/// # Errors
/// [`Error::LimitExceeded`] for more lower directories than the kernel stacks.
pub fn plan(
    lowers: usize,
    access: Access,
    namespace: XattrNamespace,
    options: &MountOptions,
    tier: LowerTier,
) -> Result<Vec<Step>> {
    if lowers > LOWERS_MAX {
        return Err(Error::LimitExceeded { limit: Limit::LowerDirectories, max: LOWERS_MAX as u64 });
    }
    let mut steps = match tier {
        LowerTier::Descriptor => {
            (0..lowers).map(|index| Step::Descriptor("lowerdir+", Directory::Lower(index))).collect()
        }
        LowerTier::Path | LowerTier::Attached => {
            (0..lowers).map(|index| Step::Path("lowerdir+", Directory::Lower(index))).collect()
        }
        LowerTier::OptionString => vec![Step::Paths("lowerdir", lowers)],
    };
    if access == Access::ReadWrite {
        for (key, directory) in [("upperdir", Directory::Upper), ("workdir", Directory::Work)] {
            steps.push(match tier {
                LowerTier::Descriptor => Step::Descriptor(key, directory),
                LowerTier::Path | LowerTier::Attached | LowerTier::OptionString => Step::Path(key, directory),
            });
        }
        if options.syncing == Syncing::Volatile {
            steps.push(Step::Flag("volatile"));
        }
    }
    match (namespace, options.copies) {
        (XattrNamespace::User, Copies::Whole) => steps.push(Step::Flag("userxattr")),
        (XattrNamespace::User, Copies::Parts) => {
            return Err(Error::Invalid {
                field: "copies",
                value: "Parts".to_owned(),
                reason: "the kernel excludes metacopy and redirect_dir with user attributes",
            });
        }
        (XattrNamespace::Trusted, Copies::Whole) => {
            steps.extend([Step::Text("redirect_dir", "nofollow"), Step::Text("metacopy", "off")]);
        }
        (XattrNamespace::Trusted, Copies::Parts) => {
            steps.extend([Step::Text("redirect_dir", "on"), Step::Text("metacopy", "on")]);
        }
    }
    let index = access == Access::ReadWrite && options.index == Index::On;
    steps.push(Step::Text("index", if index { "on" } else { "off" }));
    match options.inodes {
        Inodes::Kernel => {}
        Inodes::Plain => steps.push(Step::Text("xino", "off")),
        Inodes::Auto => steps.push(Step::Text("xino", "auto")),
        Inodes::Extended => steps.push(Step::Text("xino", "on")),
    }
    Ok(steps)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(key) => f.write_str(key),
            Self::Text(key, value) => write!(f, "{key}={value}"),
            Self::Descriptor(key, directory) => write!(f, "{key}=descriptor of {directory}"),
            Self::Path(key, directory) => write!(f, "{key}=path of {directory}"),
            Self::Paths(key, count) => write!(f, "{key}=paths of {count} lower directories"),
        }
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lower(index) => write!(f, "lower directory {index}"),
            Self::Upper => f.write_str("the upper directory"),
            Self::Work => f.write_str("the work directory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(access: Access, namespace: XattrNamespace, syncing: Syncing, tier: LowerTier) -> String {
        let options = MountOptions { syncing, ..MountOptions::default() };
        let steps = plan(2, access, namespace, &options, tier).unwrap();
        steps.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn plans() {
        assert_eq!(
            text(Access::ReadWrite, XattrNamespace::Trusted, Syncing::Volatile, LowerTier::Descriptor),
            "lowerdir+=descriptor of lower directory 0\nlowerdir+=descriptor of lower directory 1\n\
             upperdir=descriptor of the upper directory\nworkdir=descriptor of the work directory\nvolatile\n\
             redirect_dir=nofollow\nmetacopy=off\nindex=off"
        );
        assert_eq!(
            text(Access::ReadWrite, XattrNamespace::User, Syncing::Normal, LowerTier::Path),
            "lowerdir+=path of lower directory 0\nlowerdir+=path of lower directory 1\n\
             upperdir=path of the upper directory\nworkdir=path of the work directory\nuserxattr\nindex=off"
        );
        assert_eq!(
            text(Access::ReadOnly, XattrNamespace::User, Syncing::Volatile, LowerTier::OptionString),
            "lowerdir=paths of 2 lower directories\nuserxattr\nindex=off"
        );
    }

    #[test]
    fn an_index_is_of_a_writable_layer() {
        let options = MountOptions { index: Index::On, inodes: Inodes::Extended, ..MountOptions::default() };
        let last_two = |access| {
            let steps = plan(1, access, XattrNamespace::Trusted, &options, LowerTier::Descriptor).unwrap();
            steps[steps.len() - 2..].iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(last_two(Access::ReadWrite), "index=on xino=on");
        assert_eq!(last_two(Access::ReadOnly), "index=off xino=on");
        let xino = |inodes| {
            let options = MountOptions { inodes, ..MountOptions::default() };
            let steps = plan(1, Access::ReadOnly, XattrNamespace::User, &options, LowerTier::Descriptor).unwrap();
            steps.last().map(ToString::to_string).unwrap()
        };
        let every = [Inodes::Kernel, Inodes::Plain, Inodes::Auto].map(xino);
        assert_eq!(every, ["index=off", "xino=off", "xino=auto"]);
    }

    #[test]
    fn parts_are_copied_by_trusted_attributes_only() {
        let options = MountOptions { copies: Copies::Parts, ..MountOptions::default() };
        let plan = |namespace| plan(1, Access::ReadWrite, namespace, &options, LowerTier::Descriptor);
        assert!(plan(XattrNamespace::Trusted).unwrap().contains(&Step::Text("metacopy", "on")));
        assert!(matches!(plan(XattrNamespace::User), Err(Error::Invalid { field: "copies", .. })));
    }

    #[test]
    fn the_kernel_stacks_five_hundred() {
        let plan = |lowers| {
            plan(lowers, Access::ReadOnly, XattrNamespace::User, &MountOptions::default(), LowerTier::Descriptor)
        };
        assert!(plan(500).is_ok());
        assert!(matches!(plan(501), Err(Error::LimitExceeded { limit: Limit::LowerDirectories, max: 500 })));
    }
}
