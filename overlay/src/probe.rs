//! What overlay can do here, found out by doing it.

use std::fmt;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use crate::apply::apply_to_image;
use crate::error::{Error, Result};
use crate::mount::{Directories, Standing, mount, mount_image};
use crate::options::{ApplyOptions, ImageTier, LowerTier, MountOptions, Syncing, WhiteoutStyle};
use crate::path::SafePath;
use crate::sys::{self, Named as _, READ_DIRECTORY, Spelling};
use crate::tar::Writer;
use crate::whiteout::XattrNamespace;

/// What overlay can do on this kernel, as this user and on this file system.
///
/// Printing it gives a line for each feature, with the reason where one is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The kernel's release.
    pub kernel: String,
    /// Which of overlay's attributes this user may write here; `None` where neither.
    pub namespace: Option<XattrNamespace>,
    /// Every feature and whether it works.
    pub features: Vec<(Feature, Support)>,
}

/// One thing that may work or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// Writing a deletion as a character device 0:0.
    Whiteout,
    /// Understanding a deletion that is an attribute of an empty file.
    AttributeWhiteout,
    /// Mounting layers without a writable one.
    View,
    /// Mounting with a writable layer.
    Snapshot,
    /// Mounting with a writable layer that is never synced.
    Volatile,
    /// Naming lower directories in this way.
    Lowers(LowerTier),
    /// Layers that are EROFS images, brought to the kernel in this way.
    Images(ImageTier),
}

/// Whether something works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Support {
    /// It was tried and works.
    Works,
    /// It was tried and this is why not.
    Missing(String),
}

impl Probe {
    /// Whether a feature works.
    pub fn supports(&self, feature: Feature) -> bool {
        self.features.iter().any(|(probed, support)| *probed == feature && *support == Support::Works)
    }
}

/// Tries every feature in a directory of its own inside `directory`, which is removed again.
///
/// # Errors
/// [`Error::Sys`] where nothing can be made in `directory`; what is missing is no error.
pub fn probe(directory: &Path) -> Result<Probe> {
    let parent = sys::open_directory(directory)?;
    let (name, own) = sys::unique_directory(parent.as_fd(), 0, directory)?;
    let features = features(own.as_fd());
    let removed = sys::remove(parent.as_fd(), &name);
    let (namespace, features) = match (features, removed) {
        (Ok(features), Ok(())) => features,
        (Err(first), Err(cleanup)) => {
            return Err(Error::Cleanup { cleanup: Box::new(cleanup), first: Box::new(first) });
        }
        (Err(error), Ok(())) | (Ok(_), Err(error)) => return Err(error),
    };
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    Ok(Probe { kernel, namespace, features })
}

/// The attributes that may be written, and the features.
type Found = (Option<XattrNamespace>, Vec<(Feature, Support)>);

fn features(own: BorrowedFd<'_>) -> Result<Found> {
    for name in ["a", "b", "upper", "work"] {
        rustix::fs::mkdirat(own, name, Mode::RWXU).named("mkdirat", Path::new(name))?;
    }
    let whiteout = rustix::fs::mknodat(own, "a/gone", FileType::CharacterDevice, Mode::empty(), 0);
    let mut features = vec![(Feature::Whiteout, support(whiteout.named("mknodat", Path::new("a/gone"))))];
    let found = sys::native_namespace(own, Path::new("a probe's directory"));
    let by_attribute = match &found {
        Ok(namespace) => attribute_whiteout(own, *namespace),
        Err(error) => Err(Error::Unsupported { feature: "overlay's attributes", reason: error.to_string() }),
    };
    features.push((Feature::AttributeWhiteout, support(by_attribute)));
    let namespace = match &found {
        Ok(namespace) => *namespace,
        // Mounting does not depend on it.
        Err(_) => XattrNamespace::User,
    };
    let options = MountOptions::default();
    let volatile = MountOptions { syncing: Syncing::Volatile, ..options };
    let tiers = [LowerTier::OptionString, LowerTier::Path, LowerTier::Attached, LowerTier::Descriptor];
    let tiers = tiers.map(|tier| (Feature::Lowers(tier), MountOptions { lowers: Some(tier), ..options }));
    for (feature, options) in
        [(Feature::View, options), (Feature::Snapshot, options), (Feature::Volatile, volatile)].into_iter().chain(tiers)
    {
        let is_writable = matches!(feature, Feature::Snapshot | Feature::Volatile);
        let directories = |standing| {
            let mut detached = Vec::new();
            let mut here = own.try_clone_to_owned().named("dup", Path::new("."))?;
            if standing == Standing::Detached {
                detached.push(sys::clone_mount(own).named("open_tree", Path::new("."))?);
                here = open(detached[0].as_fd(), "")?;
            }
            let here = here.as_fd();
            let upper = if is_writable { Some((open(here, "upper")?, open(here, "work")?)) } else { None };
            let lowers = vec![open(here, "a")?, open(here, "b")?];
            Ok(Directories {
                lowers,
                detached,
                upper,
                denied: MountAttrFlags::empty(),
                object: "a probe's directory".into(),
            })
        };
        features.push((feature, support(mount(directories, namespace, options).map(drop))));
        if feature == Feature::Volatile {
            // The kernel leaves a mark that keeps the work directory from being used again.
            sys::remove(own, &child("work"))?;
            rustix::fs::mkdirat(own, "work", Mode::RWXU).named("mkdirat", Path::new("work"))?;
        }
    }
    features.extend(images(own)?);
    Ok((found.ok(), features))
}

/// Deletes a file by an attribute and looks whether a mount shows it.
fn attribute_whiteout(own: BorrowedFd<'_>, namespace: XattrNamespace) -> Result<()> {
    let name = child("deleted");
    let object = name.as_path();
    let (top, beneath) = (open(own, "a")?, open(own, "b")?);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&beneath, object, flags, Mode::RUSR).named("create", object)?;
    let spelling = Spelling { namespace, style: WhiteoutStyle::Attribute };
    spelling.delete(top.as_fd(), top.as_fd(), &name, object)?;
    let shared = |directory: &OwnedFd| directory.try_clone().named("dup", object);
    let directories = |_| {
        let lowers = vec![shared(&top)?, shared(&beneath)?];
        let denied = MountAttrFlags::empty();
        Ok(Directories { lowers, detached: Vec::new(), upper: None, denied, object: "a probe's directory".into() })
    };
    let mounted = OwnedFd::from(mount(directories, namespace, MountOptions::default())?);
    match rustix::fs::statat(&mounted, object, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno).named("stat", object),
        Ok(_) => Err(Error::Unsupported {
            feature: "deletions as attributes",
            reason: "the kernel shows the file that is deleted".to_owned(),
        }),
    }
}

/// Makes the image of an empty layer and mounts it in each way.
fn images(own: BorrowedFd<'_>) -> Result<[(Feature, Support); 2]> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let image = rustix::fs::openat(own, "image", flags, Mode::RUSR | Mode::WUSR).named("create", Path::new("image"))?;
    let archive = Writer::new(Vec::new()).finish()?;
    apply_to_image(&archive[..], image.as_fd(), XattrNamespace::User, &ApplyOptions::default())?;
    Ok([ImageTier::File, ImageTier::Loop].map(|tier| {
        let mounted = mount_image(image.as_fd(), &[], Some(tier));
        (Feature::Images(tier), support(mounted.map(drop)))
    }))
}

fn open(own: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    sys::open_beneath(own, &child(name), READ_DIRECTORY).named("open", Path::new(name))
}

fn child(name: &str) -> SafePath {
    SafePath::parse(name.as_bytes()).expect("letters are a name")
}

fn support(tried: Result<()>) -> Support {
    match tried {
        Ok(()) => Support::Works,
        Err(error) => {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            Support::Missing(format!("{error}{source}"))
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attributes = match self.namespace {
            Some(XattrNamespace::Trusted) => "trusted.overlay",
            Some(XattrNamespace::User) => "user.overlay",
            None => "none",
        };
        writeln!(f, "kernel {}, attributes {attributes}", self.kernel)?;
        for (feature, support) in &self.features {
            match support {
                Support::Works => writeln!(f, "{feature}: works")?,
                Support::Missing(reason) => writeln!(f, "{feature}: missing: {reason}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whiteout => "deletions as devices",
            Self::AttributeWhiteout => "deletions as attributes",
            Self::View => "read-only mounts",
            Self::Snapshot => "writable mounts",
            Self::Volatile => "volatile mounts",
            Self::Lowers(LowerTier::OptionString) => "lower directories in one string",
            Self::Lowers(LowerTier::Path) => "lower directories by path",
            Self::Lowers(LowerTier::Attached) => "lower directories in a namespace of a thread",
            Self::Lowers(LowerTier::Descriptor) => "lower directories by descriptor",
            Self::Images(ImageTier::File) => "images by file",
            Self::Images(ImageTier::Loop) => "images by loop device",
        })
    }
}
