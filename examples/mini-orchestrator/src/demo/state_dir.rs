//! Where a run keeps its files, and how a later run knows that an earlier one is dead.
//!
//! `BASE/demo/RUN-ID` belongs to one run, which holds a lock on the folder itself for as long as it lives: the kernel
//! drops the lock with the process, however it ends. Whoever holds the lock of a run folder may remove it. Creating a
//! folder and looking for dead ones both happen under the lock of `BASE/demo`, so that no folder is seen between its
//! creation and its locking.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::error::{Error, Result};

/// The folder below the base that holds the runs.
const RUNS: &str = "demo";

/// A run's folder and the lock that says that it lives.
#[derive(Debug)]
pub(super) struct RunDir {
    base: PathBuf,
    path: PathBuf,
    id: String,
    /// Held, never read: the lock ends with it.
    _lock: Flock<File>,
}

impl RunDir {
    /// Makes a new folder (mode 0700) below `base` and locks it.
    pub(super) fn create(base: &Path) -> Result<Self> {
        let runs = base.join(RUNS);
        let _creation = lock_runs(&runs)?;
        let id = new_id();
        let path = runs.join(&id);
        DirBuilder::new().mode(0o700).create(&path).map_err(Error::io("create", &path))?;
        let lock = open_locked(&path, FlockArg::LockExclusiveNonblock)?
            .ok_or_else(|| Error::io("lock", &path)(io::ErrorKind::WouldBlock.into()))?;
        Ok(Self { base: base.to_owned(), path, id, _lock: lock })
    }

    /// The folders below `base` whose runs are dead, each locked now.
    pub(super) fn dead(base: &Path) -> Result<Vec<Self>> {
        let runs = base.join(RUNS);
        if !runs.try_exists().map_err(Error::io("look for", &runs))? {
            return Ok(Vec::new());
        }
        let _search = lock_runs(&runs)?;
        let mut dead = Vec::new();
        for entry in fs::read_dir(&runs).map_err(Error::io("list", &runs))? {
            let entry = entry.map_err(Error::io("list", &runs))?;
            let path = entry.path();
            let (Ok(id), true) = (entry.file_name().into_string(), path.is_dir()) else { continue };
            if let Some(lock) = open_locked(&path, FlockArg::LockExclusiveNonblock)? {
                dead.push(Self { base: base.to_owned(), path, id, _lock: lock });
            }
        }
        dead.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(dead)
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The run's name, which also names its cgroups.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Removes the folder with all in it, and the folders above it that are empty then, up to and with the base.
    pub(super) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.path).map_err(Error::io("remove", &self.path))?;
        let runs = self.base.join(RUNS);
        let _removal = lock_runs(&runs)?;
        for folder in [runs.as_path(), self.base.as_path()] {
            match fs::remove_dir(folder) {
                Ok(()) => {}
                // Another run, or somebody else's file, is in it.
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::io("remove", folder)(source)),
            }
        }
        Ok(())
    }
}

/// The base folder when the command line names none.
pub(super) fn default_base(root: bool) -> Result<PathBuf> {
    if root {
        return Ok(PathBuf::from("/var/lib/windlass"));
    }
    let data = std::env::var_os("XDG_DATA_HOME").filter(|path| Path::new(path).is_absolute()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").filter(|path| !path.is_empty());
    data.or_else(|| home().map(|home| Path::new(&home).join(".local/share")))
        .map(|data| data.join("windlass"))
        .ok_or(Error::NoStateDir)
}

/// Takes the lock of the folder of all runs, which is made where it is missing.
fn lock_runs(runs: &Path) -> Result<Flock<File>> {
    loop {
        DirBuilder::new().recursive(true).mode(0o700).create(runs).map_err(Error::io("create", runs))?;
        match open_locked(runs, FlockArg::LockExclusive) {
            Ok(Some(lock)) => return Ok(lock),
            // A run that ended has just removed the folder; the next turn makes a new one.
            Ok(None) => {}
            Err(error) => return Err(error),
        }
    }
}

/// `None` when another process holds the lock, or the folder is no longer the one at this path.
fn open_locked(path: &Path, how: FlockArg) -> Result<Option<Flock<File>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::io("open", path)(source)),
    };
    let lock = match Flock::lock(file, how) {
        Ok(lock) => lock,
        Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
        Err((_, errno)) => return Err(Error::io("lock", path)(errno.into())),
    };
    let held = lock.metadata().map_err(Error::io("look at", path))?;
    match fs::metadata(path) {
        Ok(there) if (there.dev(), there.ino()) == (held.dev(), held.ino()) => Ok(Some(lock)),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::io("look at", path)(source)),
    }
}

/// Unique but for two processes of equal number, in different pid namespaces, in the same nanosecond; then creating the
/// folder fails.
fn new_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}-{:x}", std::process::id(), now.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_run_is_not_dead_and_a_dropped_one_is() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().join("base");
        assert!(RunDir::dead(&base).unwrap().is_empty());
        assert!(!base.exists(), "looking must not create");
        let first = RunDir::create(&base).unwrap();
        let second = RunDir::create(&base).unwrap();
        assert_eq!(fs::metadata(first.path()).unwrap().mode() & 0o7777, 0o700);
        assert!(RunDir::dead(&base).unwrap().is_empty());
        let id = first.id().to_owned();
        drop(first);
        let dead = RunDir::dead(&base).unwrap();
        assert_eq!(dead.iter().map(RunDir::id).collect::<Vec<_>>(), [id]);
        for run in dead {
            fs::write(run.path().join("file"), "x").unwrap();
            run.remove().unwrap();
        }
        assert!(base.join(RUNS).exists(), "a living run is left in it");
        second.remove().unwrap();
        assert!(!base.exists());
    }

    #[test]
    fn a_base_with_other_files_stays() {
        let temporary = tempfile::tempdir().unwrap();
        fs::write(temporary.path().join("mine"), "x").unwrap();
        RunDir::create(temporary.path()).unwrap().remove().unwrap();
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);
    }
}
