//! The directory of all states, and the one of each container in it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, RawMode, flock, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::failure::{Failure, Result};
use super::id::ContainerId;
use super::state::State;

const STATE: &str = "state.json";
const NEW_STATE: &str = ".state.json";
const PRIVATE: RawMode = 0o700;
const SHOWN: RawMode = 0o755;

/// The directory of all states.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
}

/// The state directory of one container, held open; whoever holds it locked is alone in changing the container.
#[derive(Debug)]
pub(super) struct Place {
    id: ContainerId,
    parent: OwnedFd,
    directory: OwnedFd,
    path: PathBuf,
}

impl Store {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Makes the place of a new container, locked.
    pub(super) fn create(&self, id: ContainerId) -> Result<Place> {
        let parent = match open_directory(CWD, &self.path) {
            Err(Errno::NOENT) => {
                self.make().map_err(Failure::during(format_args!("make {}", self.path.display())))?;
                open_directory(CWD, &self.path)
            }
            opened => opened,
        };
        let parent = parent.map_err(self.doing("open"))?;
        match mkdirat(&parent, id.as_str(), Mode::from_raw_mode(PRIVATE)) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(Failure::new(format!("container with id {id} already exists"))),
            Err(error) => return Err(self.doing("make a directory in")(error)),
        }
        let directory = open_directory(&parent, id.as_str()).map_err(self.doing("open a directory in"))?;
        let place = Place { path: self.path.join(id.as_str()), id, parent, directory };
        place.lock()?;
        Ok(place)
    }

    fn make(&self) -> std::io::Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(PRIVATE).create(&self.path)
    }

    /// Opens the place of a container; `None` if there is no such container.
    pub(super) fn find(&self, id: &ContainerId) -> Result<Option<Place>> {
        let parent = match open_directory(CWD, &self.path) {
            Ok(parent) => parent,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.doing("open")(error)),
        };
        match open_directory(&parent, id.as_str()) {
            Ok(directory) => Ok(Some(Place { path: self.path.join(id.as_str()), id: id.clone(), parent, directory })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.doing("open a directory in")(error)),
        }
    }

    /// Opens the place of a container.
    pub(super) fn open(&self, id: &str) -> Result<Place> {
        self.find(&id.parse()?)?.ok_or_else(|| Failure::no_container(id))
    }

    /// Every container, in the order of their ids.
    pub(super) fn all(&self) -> Result<Vec<ContainerId>> {
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.doing("list")(error)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(self.doing("list"))?.file_name();
            // What is no id is not this runtime's.
            ids.extend(name.to_str().and_then(|name| name.parse::<ContainerId>().ok()));
        }
        ids.sort();
        Ok(ids)
    }

    fn doing<E: std::error::Error>(&self, what: &str) -> impl FnOnce(E) -> Failure {
        Failure::during(format!("{what} {}", self.path.display()))
    }
}

impl Place {
    pub(super) fn id(&self) -> &ContainerId {
        &self.id
    }

    /// The path of a file of the container.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Waits until nobody else changes the container, and keeps others from it until this is dropped.
    ///
    /// The lock is on the directory, so that it goes with it: who waited while the container was removed learns that
    /// there is none any more.
    pub(super) fn lock(&self) -> Result<()> {
        let doing = |what: &'static str| Failure::during(format!("{what} {}", self.path.display()));
        rustix::io::retry_on_intr(|| flock(&self.directory, FlockOperation::LockExclusive)).map_err(doing("lock"))?;
        let links = rustix::fs::fstat(&self.directory).map_err(doing("look at"))?.st_nlink;
        if links == 0 { Err(Failure::no_container(self.id.as_str())) } else { Ok(()) }
    }

    /// Lets others change the container again.
    pub(super) fn unlock(&self) -> Result<()> {
        let doing = Failure::during(format!("unlock {}", self.path.display()));
        flock(&self.directory, FlockOperation::Unlock).map_err(doing)
    }

    /// The container's state; `None` while it is being created, or if its creation was cut off.
    pub(super) fn read(&self) -> Result<Option<State>> {
        let Some(text) = self.content(STATE)? else { return Ok(None) };
        let state = serde_json::from_slice(&text);
        state.map(Some).map_err(Failure::during(self.file(STATE).display()))
    }

    /// The content of a file of the container, if it is there.
    pub(super) fn content(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let file = match openat(&self.directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.doing("open", name)(error)),
        };
        let mut text = Vec::with_capacity(8 << 10);
        File::from(file).read_to_end(&mut text).map_err(self.doing("read", name))?;
        Ok(Some(text))
    }

    /// Writes the container's state: whoever reads sees the one before or this one.
    pub(super) fn write(&self, state: &State) -> Result<()> {
        let text = serde_json::to_vec(state).map_err(self.doing("encode", STATE))?;
        self.keep(NEW_STATE, &text)?;
        renameat(&self.directory, NEW_STATE, &self.directory, STATE).map_err(self.doing("rename", NEW_STATE))
    }

    /// Writes a file of the container.
    pub(super) fn keep(&self, name: &str, content: &[u8]) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = openat(&self.directory, name, flags, Mode::RUSR | Mode::WUSR).map_err(self.doing("create", name))?;
        File::from(file).write_all(content).map_err(self.doing("write", name))
    }

    /// Whether a file of the container is there.
    pub(super) fn has(&self, name: &str) -> Result<bool> {
        match rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.doing("look at", name)(error)),
        }
    }

    /// Removes a file of the container, if it is there.
    pub(super) fn drop_file(&self, name: &str) -> Result<()> {
        match unlinkat(&self.directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.doing("remove", name)(error)),
        }
    }

    /// Makes a folder in the place that anybody may look into who is shown it.
    pub(super) fn make_folder(&self, name: &str) -> Result<()> {
        mkdirat(&self.directory, name, Mode::from_raw_mode(SHOWN)).map_err(self.doing("make", name))
    }

    /// Removes the place with all its files, and the folders of files in it.
    pub(super) fn remove(&self) -> Result<()> {
        for name in names(&self.directory).map_err(self.doing("list", ""))? {
            let path = OsStr::from_bytes(&name);
            let removed = match unlinkat(&self.directory, path, AtFlags::empty()) {
                Err(Errno::ISDIR) => remove_folder(&self.directory, path),
                removed => removed,
            };
            removed.map_err(self.doing("remove", &String::from_utf8_lossy(&name)))?;
        }
        let removed = unlinkat(&self.parent, self.id.as_str(), AtFlags::REMOVEDIR);
        removed.map_err(Failure::during(format_args!("remove {}", self.path.display())))
    }

    fn doing<E: std::error::Error>(&self, what: &str, name: &str) -> impl FnOnce(E) -> Failure {
        Failure::during(format!("{what} {}", self.file(name).display()))
    }
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

fn open_directory(parent: impl AsFd, path: impl AsRef<Path>) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(parent, path.as_ref(), flags, Mode::empty())
}

fn remove_folder(parent: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
    let folder = open_directory(parent, name)?;
    for name in names(&folder)? {
        unlinkat(&folder, OsStr::from_bytes(&name), AtFlags::empty())?;
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

fn names(directory: &OwnedFd) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ContainerId {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_is_made_once_and_goes_with_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("a/b"));
        assert!(store.find(&id("x")).unwrap().is_none() && store.all().unwrap().is_empty());
        let place = store.create(id("x")).unwrap();
        let again = store.create(id("x")).unwrap_err();
        assert!(again.to_string().contains("already exists"), "{again}");
        assert!(place.read().unwrap().is_none());
        place.keep("file", b"content").unwrap();
        place.make_folder("folder").unwrap();
        place.keep("folder/file", b"").unwrap();
        assert_eq!(place.content("file").unwrap().unwrap(), b"content");
        assert_eq!(store.all().unwrap(), [id("x")]);
        place.remove().unwrap();
        assert!(store.find(&id("x")).unwrap().is_none());
        let error = store.open("x").unwrap_err().to_string();
        assert_eq!(error, "container \"x\" does not exist");
    }

    #[test]
    fn who_waited_for_a_removed_container_learns_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        let first = store.create(id("x")).unwrap();
        let second = store.find(&id("x")).unwrap().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| second.lock());
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!waiting.is_finished());
            first.remove().unwrap();
            drop(first);
            assert!(waiting.join().unwrap().unwrap_err().to_string().contains("does not exist"));
        });
    }

    #[test]
    fn only_the_owner_may_look() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("root"));
        drop(store.create(id("x")).unwrap());
        for path in ["root", "root/x"] {
            let mode = std::fs::metadata(folder.path().join(path)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, PRIVATE, "{path}");
        }
    }
}
