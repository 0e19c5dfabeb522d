//! The directories of a store, and what is made or removed in them.

use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::layer_id::LayerId;
use crate::mount::mount_image;
use crate::options::{Emptying, ImageTier, StoreOptions};
use crate::path::SafePath;
use crate::record::{LayerRecord, SnapshotRecord, is_trusted};
use crate::sys::{self, Named as _, READ_DIRECTORY};
use crate::whiteout::XattrNamespace;

/// What a process that died had left, and opening the store removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Layers and snapshots that were not whole.
    pub unfinished: usize,
    /// Things that were not wholly removed.
    pub trash: usize,
    /// Layers and snapshots that nothing had brought to disk before the machine ended ([`crate::Durability::None`]).
    pub lost: usize,
}

/// The open directories of a store.
#[derive(Debug)]
pub(super) struct Rooms {
    pub(super) path: PathBuf,
    pub(super) layers: OwnedFd,
    pub(super) snapshots: OwnedFd,
    pub(super) chains: OwnedFd,
    ingest: OwnedFd,
    trash: OwnedFd,
    directory: OwnedFd,
    pub(super) namespace: XattrNamespace,
    /// Which boot of the machine this is.
    pub(super) boot: String,
    pub(super) images: Option<ImageTier>,
    /// How many things were made: the next one's number.
    made: AtomicU64,
    emptying: Emptying,
    emptiers: Mutex<Vec<JoinHandle<Result<()>>>>,
}

const NAMES: [&str; 5] = ["layers", "snapshots", "chains", "ingest", "trash"];
/// What the store knows of a layer or snapshot beside its files.
pub(super) const RECORD: &str = "record";
const FORMAT: &str = "format";
const FORMAT_NEW: &str = "format.new";
/// The boot in which the layers were last looked through for those that a crash of the machine took.
const BOOT: &str = "boot";
const BOOT_NEW: &str = "boot.new";

impl Rooms {
    /// Opens the rooms of a store, or makes them where there is nothing yet.
    pub(super) fn open(path: &Path, options: StoreOptions) -> Result<Self> {
        let directory = sys::open_directory(path)?;
        let names = sys::names(directory.as_fd(), path)?;
        let known = || NAMES.into_iter().chain([FORMAT, FORMAT_NEW, BOOT, BOOT_NEW]);
        let is_foreign = |name: &&[u8]| !known().any(|known| known.as_bytes() == *name);
        if let Some(foreign) = names.iter().map(AsRef::as_ref).find(is_foreign) {
            return Err(Error::Invalid {
                field: "store",
                value: path.join(String::from_utf8_lossy(foreign).as_ref()).display().to_string(),
                reason: "does not belong into a store",
            });
        }
        let [layers, snapshots, chains, ingest, trash] = NAMES.map(|name| room(directory.as_fd(), name));
        let namespace = namespace(directory.as_fd(), path)?;
        Ok(Self {
            path: path.to_owned(),
            layers: layers?,
            snapshots: snapshots?,
            chains: chains?,
            ingest: ingest?,
            trash: trash?,
            directory,
            namespace,
            boot: sys::boot()?,
            images: options.images,
            made: AtomicU64::new(0),
            emptying: options.emptying,
            emptiers: Mutex::default(),
        })
    }

    /// Removes what nobody works on any more, and what did not survive a crash of the machine.
    pub(super) fn recover(&self) -> Result<Recovery> {
        let mut recovery = Recovery::default();
        // Whatever was renamed since this boot began is whole in memory.
        let looked_through = match read(self.directory.as_fd(), BOOT) {
            Err(Error::Sys { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            boot => Some(boot?),
        };
        if looked_through.as_deref() != Some(&self.boot) {
            recovery.lost = self.remove_lost()?;
            replace(self.directory.as_fd(), BOOT_NEW, BOOT, self.boot.as_bytes())?;
        }
        for name in sys::names(self.ingest.as_fd(), Path::new("ingest"))? {
            let name = child(&name);
            let Ok(directory) = sys::open_beneath(self.ingest.as_fd(), &name, READ_DIRECTORY) else {
                continue; // Finished since it was listed.
            };
            match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => continue,
                locked => locked.named("flock", name.as_path())?,
            }
            if !is_current(&self.ingest, &name, &directory)? {
                continue; // Finished since it was opened; the name may already be another's work.
            }
            self.discard(&self.ingest, &name)?;
            recovery.unfinished += 1;
        }
        for name in sys::names(self.trash.as_fd(), Path::new("trash"))? {
            sys::remove(self.trash.as_fd(), &child(&name))?;
            recovery.trash += 1;
        }
        Ok(recovery)
    }

    /// Removes layers and snapshots whose record is not whole or was written in another boot and never synced.
    fn remove_lost(&self) -> Result<usize> {
        let mut lost = 0;
        for (room, what) in [(&self.layers, "layers"), (&self.chains, "chains"), (&self.snapshots, "snapshots")] {
            for name in sys::names(room.as_fd(), Path::new(what))? {
                let name = child(&name);
                let locked = self.lock(room, &name, FlockOperation::NonBlockingLockExclusive)?;
                // Gone, or used by somebody who has looked through the store before.
                let Some(Ok(directory)) = locked else { continue };
                let text = match read_record(directory.as_fd()) {
                    // Not even text is left of it.
                    Err(Error::Sys { source, .. }) if source.kind() == std::io::ErrorKind::InvalidData => String::new(),
                    text => text?.unwrap_or_default(),
                };
                let is_whole = match what {
                    "layers" => is_trusted(&LayerRecord::parse(&text), &self.boot),
                    _ => SnapshotRecord::parse(&text).is_ok(),
                };
                if !is_whole {
                    self.discard(room, &name)?;
                    lost += 1;
                }
            }
        }
        Ok(lost)
    }

    /// A new directory in which something is made; nobody takes it for an orphan while it is open.
    pub(super) fn work(self: &Arc<Self>) -> Result<Work> {
        loop {
            let likely = self.made.fetch_add(1, Ordering::Relaxed);
            let (name, directory) = sys::unique_directory(self.ingest.as_fd(), likely, Path::new("ingest"))?;
            let object = self.path.join("ingest").join(name.as_path());
            rustix::fs::flock(&directory, FlockOperation::LockExclusive).named("flock", &object)?;
            // Between its making and its locking a recovery may have taken it.
            if is_current(&self.ingest, &name, &directory)? {
                return Ok(Work { rooms: self.clone(), name, path: object, directory });
            }
        }
    }

    /// Opens and locks what has a name in a room, and still has it once it is locked; `None` if nothing has.
    ///
    /// # Errors
    /// [`Errno::WOULDBLOCK`] inside for a lock that does not wait.
    pub(super) fn lock(
        &self,
        room: &OwnedFd,
        name: &SafePath,
        operation: FlockOperation,
    ) -> Result<Option<rustix::io::Result<OwnedFd>>> {
        loop {
            let directory = match sys::open_beneath(room.as_fd(), name, READ_DIRECTORY) {
                Err(Errno::NOENT) => return Ok(None),
                opened => opened.named("open", &self.path.join(name.as_path()))?,
            };
            match rustix::fs::flock(&directory, operation) {
                Err(Errno::WOULDBLOCK) => return Ok(Some(Err(Errno::WOULDBLOCK))),
                locked => locked.named("flock", &self.path.join(name.as_path()))?,
            }
            if is_current(room, name, &directory)? {
                return Ok(Some(Ok(directory)));
            }
        }
    }

    /// Renames something into the trash, from where on it is gone for all, and empties the trash of it.
    pub(super) fn discard(&self, room: &OwnedFd, name: &SafePath) -> Result<()> {
        match self.trash(room, name)? {
            Some(trashed) => self.empty(trashed),
            None => Ok(()),
        }
    }

    /// Renames something into the trash; `None` if it is gone already.
    pub(super) fn trash(&self, room: &OwnedFd, name: &SafePath) -> Result<Option<SafePath>> {
        let process = rustix::process::getpid().as_raw_nonzero();
        let mut number = 0_u64;
        loop {
            let trashed = child(format!("{process}-{number}").as_bytes());
            let flags = RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(room, name.as_path(), &self.trash, trashed.as_path(), flags) {
                Ok(()) => return Ok(Some(trashed)),
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::EXIST) => number += 1,
                Err(errno) => return Err(errno).named("rename into the trash", name.as_path()),
            }
        }
    }

    /// Empties the trash of one thing, now or in the background.
    pub(super) fn empty(&self, trashed: SafePath) -> Result<()> {
        if self.emptying == Emptying::Caller {
            return sys::remove(self.trash.as_fd(), &trashed);
        }
        let trash = self.trash.try_clone().named("dup", Path::new("trash"))?;
        let emptier = std::thread::Builder::new()
            .name("overlay-trash".to_owned())
            .spawn(move || sys::remove(trash.as_fd(), &trashed))
            .named("start a thread", Path::new("trash"))?;
        let mut emptiers = self.emptiers.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether those before could remove everything is known to the next recovery.
        emptiers.retain(|emptier| !emptier.is_finished());
        emptiers.push(emptier);
        Ok(())
    }

    /// Returns once the rename into the trash is on disk: before that, nothing of what was renamed may go.
    pub(super) fn sync_trash(&self, room: &OwnedFd) -> Result<()> {
        rustix::fs::fsync(room).named("fsync", Path::new("layers"))?;
        rustix::fs::fsync(&self.trash).named("fsync", Path::new("trash"))
    }

    /// Opens the tree of a layer as a lower directory; that of an image is mounted for it.
    pub(super) fn open_lower(&self, layer: LayerId) -> Result<OwnedFd> {
        let path = layer_name(layer).join(b"tree").expect("four letters are a name");
        match sys::open_beneath(self.layers.as_fd(), &path, READ_DIRECTORY) {
            Err(Errno::NOENT) => {}
            opened => return opened.named("open", path.as_path()),
        }
        open_root(&self.mount_layer(layer)?)
    }

    /// Mounts a layer that is an image.
    pub(super) fn mount_layer(&self, layer: LayerId) -> Result<OwnedFd> {
        let name = layer_name(layer);
        match sys::open_beneath(self.layers.as_fd(), &name, READ_DIRECTORY) {
            Err(Errno::NOENT) => Err(Error::NotFound { what: "layer", name: layer.to_string() }),
            directory => {
                let image = open_image(directory.named("open", name.as_path())?.as_fd())?;
                mount_image(image.as_fd(), &[], self.images)
            }
        }
    }
}

impl Drop for Rooms {
    fn drop(&mut self) {
        for emptier in self.emptiers.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // What it could not remove is still in the trash, and the next recovery meets the same refusal.
            drop(emptier.join());
        }
    }
}

/// Something that is being made.
#[derive(Debug)]
pub(super) struct Work {
    rooms: Arc<Rooms>,
    name: SafePath,
    path: PathBuf,
    /// Holds the lock.
    directory: OwnedFd,
}

impl Work {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Makes a directory of mode 0700 in it.
    pub(super) fn directory(&self, name: &str) -> Result<OwnedFd> {
        let object = self.path.join(name);
        rustix::fs::mkdirat(&self.directory, name, Mode::RWXU).named("mkdirat", &object)?;
        open_child(self.directory.as_fd(), name)
    }

    /// Makes an empty file of mode 0600 in it.
    pub(super) fn file(&self, name: &str) -> Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::openat(&self.directory, name, flags, mode).named("create", &self.path.join(name))
    }

    /// Writes a file of mode 0600 in it.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        write(self.directory.as_fd(), name, content)
    }

    /// Renames it to where it belongs; `false` if the name is taken there.
    pub(super) fn publish(&self, room: &OwnedFd, name: &SafePath) -> Result<bool> {
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&self.rooms.ingest, self.name.as_path(), room, name.as_path(), flags) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(errno).named("rename", &self.path),
        }
    }

    /// Throws it away.
    pub(super) fn discard(&self) -> Result<()> {
        self.rooms.discard(&self.rooms.ingest, &self.name)
    }
}

pub(super) fn layer_name(layer: LayerId) -> SafePath {
    SafePath::parse(layer.hex().as_bytes()).expect("hexadecimal digits are a name")
}

/// The root directory of a mount, to be read.
pub(super) fn open_root(mount: &OwnedFd) -> Result<OwnedFd> {
    let root = SafePath::root();
    sys::open_beneath(mount.as_fd(), &root, READ_DIRECTORY).named("open", root.as_path())
}

/// Opens the image of a layer or chain by its directory.
pub(super) fn open_image(directory: BorrowedFd<'_>) -> Result<OwnedFd> {
    sys::open_beneath(directory, &child(b"image"), OFlags::RDONLY | OFlags::NOFOLLOW).named("open", Path::new("image"))
}

pub(super) fn open_child(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    sys::open_beneath(directory, &child(name.as_bytes()), READ_DIRECTORY).named("open", Path::new(name))
}

/// Whether a name still names the directory that is open.
fn is_current(room: &OwnedFd, name: &SafePath, directory: &OwnedFd) -> Result<bool> {
    let opened = rustix::fs::fstat(directory).named("stat", name.as_path())?;
    match rustix::fs::statat(room, name.as_path(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(found.st_ino == opened.st_ino),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno).named("stat", name.as_path()),
    }
}

/// Reads the record of a layer or snapshot; `None` if that was removed since it was opened.
pub(super) fn read_record(directory: BorrowedFd<'_>) -> Result<Option<String>> {
    match read(directory, RECORD) {
        Err(Error::Sys { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some),
    }
}

fn read(directory: BorrowedFd<'_>, name: &str) -> Result<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW;
    let file = sys::open_beneath(directory, &child(name.as_bytes()), flags).named("open", Path::new(name))?;
    std::io::read_to_string(std::fs::File::from(file)).named("read", Path::new(name))
}

/// Replaces a file at once; whoever reads it sees all of the old or all of the new.
pub(super) fn replace(directory: BorrowedFd<'_>, new: &str, name: &str, content: &[u8]) -> Result<()> {
    write(directory, new, content)?;
    rustix::fs::renameat(directory, new, directory, name).named("rename", Path::new(name))
}

/// As [`replace`], and on disk before it returns.
pub(super) fn replace_durably(directory: BorrowedFd<'_>, new: &str, name: &str, content: &[u8]) -> Result<()> {
    write(directory, new, content)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW;
    let file = sys::open_beneath(directory, &child(new.as_bytes()), flags).named("open", Path::new(new))?;
    rustix::fs::fsync(&file).named("fsync", Path::new(new))?;
    rustix::fs::renameat(directory, new, directory, name).named("rename", Path::new(name))?;
    rustix::fs::fsync(directory).named("fsync", Path::new(name))
}

fn write(directory: BorrowedFd<'_>, name: &str, content: &[u8]) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = rustix::fs::openat(directory, name, flags, mode).named("create", Path::new(name))?;
    let mut file = std::fs::File::from(file);
    file.write_all(content).named("write", Path::new(name))
}

pub(super) fn child(name: &[u8]) -> SafePath {
    SafePath::parse(name).expect("names of the store and of the kernel are single names")
}

/// Opens one of the rooms, which nobody but its owner may enter: layers hold set-id programs of any owner.
fn room(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let object = Path::new(name);
    match rustix::fs::mkdirat(directory, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno).named("mkdirat", object),
    }
    let opened = open_child(directory, name)?;
    let stat = rustix::fs::fstat(&opened).named("stat", object)?;
    if stat.st_mode & 0o077 != 0 || stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Error::Invalid {
            field: "store",
            value: name.to_owned(),
            reason: "is open to others or belongs to another user",
        });
    }
    Ok(opened)
}

/// The spelling of overlay's attributes: what the store says, or what this user may write if it is new.
fn namespace(directory: BorrowedFd<'_>, path: &Path) -> Result<XattrNamespace> {
    let text = match rustix::fs::statat(directory, FORMAT, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => read(directory, FORMAT)?,
        Err(Errno::NOENT) => {
            let text = match sys::native_namespace(directory, path)? {
                XattrNamespace::Trusted => TRUSTED,
                XattrNamespace::User => USER,
            };
            // Without it no later layer would be found, however durable: once for a store, whatever its durability.
            replace_durably(directory, FORMAT_NEW, FORMAT, text.as_bytes())?;
            sync_parent(path)?;
            text.to_owned()
        }
        Err(errno) => return Err(errno).named("stat", path),
    };
    match text.as_str() {
        USER => Ok(XattrNamespace::User),
        TRUSTED if sys::native_namespace(directory, path)? == XattrNamespace::Trusted => Ok(XattrNamespace::Trusted),
        TRUSTED => Err(Error::Unsupported {
            feature: "trusted extended attributes",
            reason: format!("{} was made by root, and this user may not write them", path.display()),
        }),
        _ => Err(Error::Invalid { field: "store format", value: text, reason: "is none that is known" }),
    }
}

/// Brings the name of a new store to disk.
fn sync_parent(path: &Path) -> Result<()> {
    let parent = sys::open_directory(&path.join(".."))?;
    match rustix::fs::fsync(&parent) {
        // Some file systems that others provide have no such call.
        Err(Errno::INVAL | Errno::ACCESS) => Ok(()),
        synced => synced.named("fsync", path),
    }
}

const TRUSTED: &str = "windlass-overlay 1\nattributes trusted\n";
const USER: &str = "windlass-overlay 1\nattributes user\n";
