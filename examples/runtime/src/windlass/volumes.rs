//! Volumes: directories below `ROOT/volumes` that outlive their containers.

use std::fs::{self, DirBuilder, File};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::clock::Time;
use super::containers::{read, replace};
use super::failure::Failure;
use super::{inside, transfer};

const DATA: &str = "_data";
const RECORD: &str = "volume.json";

/// What is written down of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Volume {
    pub(super) name: String,
    pub(super) created: Time,
    /// Nobody named it: it goes with its container when that goes with its volumes.
    pub(super) anonymous: bool,
}

/// The folder of all volumes.
#[derive(Debug, Clone)]
pub(super) struct Volumes {
    path: PathBuf,
}

impl Volumes {
    pub(super) fn open(root: &Path) -> Self {
        Self { path: root.join("volumes") }
    }

    /// The directory that containers see.
    pub(super) fn data(&self, name: &str) -> Result<PathBuf, Failure> {
        let data = self.path.join(name).join(DATA);
        if data.is_dir() { Ok(data) } else { Err(Failure::new(format!("volume {name}: its directory is gone"))) }
    }

    /// Whether there is one of this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.path.join(name).join(RECORD).exists()
    }

    /// Makes a volume with what `root` has at `target`, as its first content.
    pub(super) fn create(
        &self,
        name: &str,
        anonymous: bool,
        from: Option<(BorrowedFd<'_>, &Path)>,
    ) -> Result<(), Failure> {
        let doing = || format!("create the volume {name}");
        let folder = self.path.join(name);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path).map_err(Failure::during(doing()))?;
        // What an interrupted creation left has no record and is nobody's.
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(Failure::during(doing()))?;
        }
        DirBuilder::new().mode(0o700).create(&folder).map_err(Failure::during(doing()))?;
        let data = folder.join(DATA);
        DirBuilder::new().mode(0o755).create(&data).map_err(Failure::during(doing()))?;
        if let Some((root, target)) = from {
            fill(root, target, &data)?;
        }
        let volume = Volume { name: name.to_owned(), created: Time::now(), anonymous };
        replace(&folder.join(RECORD), &volume)
    }

    pub(super) fn list(&self) -> Result<Vec<Volume>, Failure> {
        let doing = || format!("list {}", self.path.display());
        let mut found = Vec::new();
        if !self.path.exists() {
            return Ok(found);
        }
        for entry in fs::read_dir(&self.path).map_err(Failure::during(doing()))? {
            let entry = entry.map_err(Failure::during(doing()))?;
            found.extend(read::<Volume>(&entry.path().join(RECORD))?);
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// Removes a volume with its content, the record first.
    pub(super) fn remove(&self, name: &str) -> Result<(), Failure> {
        let doing = || format!("remove the volume {name}");
        let folder = self.path.join(name);
        fs::remove_file(folder.join(RECORD)).map_err(Failure::during(doing()))?;
        fs::remove_dir_all(&folder).map_err(Failure::during(doing()))
    }
}

/// Copies a directory of the image; what is there and is no directory, or is not there, gives an empty volume.
fn fill(root: BorrowedFd<'_>, target: &Path, data: &Path) -> Result<(), Failure> {
    let Ok(from) = inside::open(root, target, OFlags::RDONLY | OFlags::DIRECTORY) else { return Ok(()) };
    let to = File::open(data).map_err(Failure::during(data.display()))?;
    let doing = || format!("copy the image's {} into its volume", target.display());
    transfer::copy_contents(from.as_fd(), to.as_fd())
        .map_err(|failure| Failure::new(format!("{}: {failure}", doing())))?;
    let of = rustix::fs::fstat(&from).map_err(Failure::during(doing()))?;
    let ids = (rustix::fs::Uid::from_raw(of.st_uid), rustix::fs::Gid::from_raw(of.st_gid));
    rustix::fs::fchown(&to, Some(ids.0), Some(ids.1)).map_err(Failure::during(doing()))?;
    rustix::fs::fchmod(&to, rustix::fs::Mode::from_raw_mode(of.st_mode & 0o7777)).map_err(Failure::during(doing()))
}
