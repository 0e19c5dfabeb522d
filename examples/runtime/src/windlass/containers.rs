//! Where containers are written down: `ROOT/containers/ID`, a folder each.
//!
//! In it are `config.json`, `state.json`, the log, the monitor's socket and the files that the container sees as
//! `/etc/hosts` and the like. Documents are replaced by a rename, under a lock on the folder. The file `monitor.lock` is
//! locked by whoever may run, change or remove the container as a whole: its monitor as long as it lives, so that the
//! kernel says whether there is one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::record::{Config, State};

const CONFIG: &str = "config.json";
const STATE: &str = "state.json";
const MONITOR_LOCK: &str = "monitor.lock";
const CLAIM_PATIENCE: Duration = Duration::from_millis(300);

/// The folder of all containers.
#[derive(Debug, Clone)]
pub(super) struct Containers {
    path: PathBuf,
}

/// The folder of one.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) path: PathBuf,
}

/// Held while something is done; the kernel lets go of it with its holder.
#[derive(Debug)]
pub(super) struct Held {
    _lock: Flock<File>,
}

impl Containers {
    pub(super) fn open(root: &Path) -> Result<Self, Failure> {
        let path = root.join("containers");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(Failure::during(format_args!("create {} (another place: --root DIR)", path.display())))?;
        Ok(Self { path })
    }

    /// Held while names and addresses are given out.
    pub(super) fn lock(&self) -> Result<Held, Failure> {
        wait_for(&self.path.join("lock"), FlockArg::LockExclusive)
    }

    /// All that are whole, by the time of their making.
    pub(super) fn list(&self) -> Result<Vec<(Container, Config)>, Failure> {
        let mut found = Vec::new();
        for container in self.folders()? {
            match container.config() {
                Ok(Some(config)) => found.push((container, config)),
                // Not made yet, or just removed.
                Ok(None) => {}
                Err(failure) => super::failure::warn(&failure),
            }
        }
        found.sort_by(|(_, one), (_, other)| (one.created, &one.id).cmp(&(other.created, &other.id)));
        Ok(found)
    }

    /// Every folder, also of a container whose making was cut short.
    pub(super) fn folders(&self) -> Result<Vec<Container>, Failure> {
        let doing = || format!("list {}", self.path.display());
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(Failure::during(doing()))? {
            let entry = entry.map_err(Failure::during(doing()))?;
            let is_folder = entry.file_type().map_err(Failure::during(doing()))?.is_dir();
            if let (true, Ok(id)) = (is_folder, entry.file_name().into_string()) {
                found.push(Container { id, path: entry.path() });
            }
        }
        Ok(found)
    }

    /// The one with this name, this id or, if there is only one, an id that begins so.
    pub(super) fn find(&self, text: &str) -> Result<(Container, Config), Failure> {
        let mut all = self.list()?;
        let exact = |(container, config): &(Container, Config)| config.name == text || container.id == text;
        if let Some(at) = all.iter().position(exact) {
            return Ok(all.swap_remove(at));
        }
        all.retain(|(container, _)| !text.is_empty() && container.id.starts_with(text));
        match all.len() {
            1 => Ok(all.swap_remove(0)),
            0 => Err(Failure::new(format!("there is no container {text} (`windlass ps -a` lists them)"))),
            count => {
                Err(Failure::new(format!("{count} containers have an id that begins with {text}: give more of it")))
            }
        }
    }

    /// A new folder; the container is there once its configuration is written.
    pub(super) fn create(&self, id: &str) -> Result<Container, Failure> {
        let path = self.path.join(id);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(Failure::during(format_args!("create {}", path.display())))?;
        Ok(Container { id: id.to_owned(), path })
    }
}

impl Container {
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// `None` while it is being made, or when it was removed.
    pub(super) fn config(&self) -> Result<Option<Config>, Failure> {
        read(&self.file(CONFIG))
    }

    pub(super) fn state(&self) -> Result<State, Failure> {
        Ok(read(&self.file(STATE))?.unwrap_or_else(State::created))
    }

    pub(super) fn write_config(&self, config: &Config) -> Result<(), Failure> {
        replace(&self.file(CONFIG), config)
    }

    /// Changes the configuration; `None` when the container was removed.
    pub(super) fn change_config(&self, change: impl FnOnce(&mut Config)) -> Result<Option<Config>, Failure> {
        let _held = self.lock()?;
        let Some(mut config) = self.config()? else { return Ok(None) };
        change(&mut config);
        self.write_config(&config)?;
        Ok(Some(config))
    }

    /// Changes the state, and tells what it is then.
    pub(super) fn change_state(&self, change: impl FnOnce(&mut State)) -> Result<State, Failure> {
        let _held = self.lock()?;
        let mut state = self.state()?;
        change(&mut state);
        replace(&self.file(STATE), &state)?;
        Ok(state)
    }

    fn lock(&self) -> Result<Held, Failure> {
        wait_for(&self.file("lock"), FlockArg::LockExclusive)
    }

    /// The right to run or remove the container; `None` while its monitor, or another verb, has it.
    pub(super) fn claim(&self) -> Result<Option<Held>, Failure> {
        let until = Instant::now() + CLAIM_PATIENCE;
        loop {
            let held = lock_file(&self.file(MONITOR_LOCK), FlockArg::LockExclusiveNonblock)?;
            // Who waits for the end of the container has a share of the lock for a moment.
            if held.is_some() || Instant::now() >= until {
                return Ok(held);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Takes the folder away, the configuration first: without it there is no container.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        let doing = || format!("remove {}", self.path.display());
        match fs::remove_file(self.file(CONFIG)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Failure::during(doing())(error)),
            _ => {}
        }
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::during(doing())(error)),
            _ => Ok(()),
        }
    }
}

fn wait_for(path: &Path, how: FlockArg) -> Result<Held, Failure> {
    let held = lock_file(path, how)?;
    held.ok_or_else(|| Failure::during(format_args!("lock {}", path.display()))(Errno::EWOULDBLOCK))
}

fn lock_file(path: &Path, how: FlockArg) -> Result<Option<Held>, Failure> {
    let doing = || format!("lock {}", path.display());
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(Failure::during(doing()))?;
    match Flock::lock(file, how) {
        Ok(lock) => Ok(Some(Held { _lock: lock })),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(Failure::during(doing())(errno)),
    }
}

/// Reads a document; `None` when it is not there.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(Failure::during(path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::during(path.display())(error)),
    }
}

/// Puts a document in the place of the former one; whoever reads sees one or the other, also after a crash.
pub(super) fn replace(path: &Path, document: &impl Serialize) -> Result<(), Failure> {
    let doing = || format!("write {}", path.display());
    let mut bytes = serde_json::to_vec(document).map_err(Failure::during(doing()))?;
    bytes.push(b'\n');
    let new = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        fs::rename(&new, path)
    };
    write().map_err(Failure::during(doing()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_replaced_and_claims_exclude() {
        let folder = tempfile::tempdir().unwrap();
        let containers = Containers::open(folder.path()).unwrap();
        let container = containers.create("0123").unwrap();
        assert!(containers.list().unwrap().is_empty(), "without a configuration there is no container");
        let state = container.change_state(|state| state.exit_code = Some(3)).unwrap();
        assert_eq!(container.state().unwrap(), state);
        let claim = container.claim().unwrap().unwrap();
        assert!(container.claim().unwrap().is_none());
        drop(claim);
        container.remove().unwrap();
        assert!(containers.folders().unwrap().is_empty());
    }
}
