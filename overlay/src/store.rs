//! Layers and snapshots in one directory.
//!
//! | inside | holds |
//! |---|---|
//! | `format` | the version and the spelling of overlay's attributes; written last |
//! | `boot` | the boot in which layers that a crash of the machine took were last looked for |
//! | `layers/HEX/{tree,record}` | a layer by its digest; here means whole |
//! | `layers/HEX/{image,record}` | the same as an image |
//! | `chains/HEX/{image,record}` | the merged image of a chain of layers |
//! | `snapshots/KEY/...` | a snapshot by its key; here means whole |
//! | `ingest/PID-N` | what is being made, locked by its maker |
//! | `trash/PID-N` | what is being removed |
//!
//! Everything is made in `ingest` and renamed once it is whole, everything is removed by a rename to `trash` first. Locks
//! are `flock` on the directories themselves: shared on layers while a snapshot of them is made, exclusive on one that is
//! removed. So many processes use a store at once, and what a dead one left is found by its free lock.

mod chain;
mod commit;
mod committed;
mod finish;
mod rooms;

use std::fs::DirBuilder;
use std::io::{Read, Seek};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use self::rooms::{Rooms, Work};
use crate::apply::{Applied, Archive};
use crate::error::{Error, Result};
use crate::layer_id::LayerId;
use crate::options::{ApplyOptions, Durability, LayerFormat, StoreOptions, WhiteoutStyle};
use crate::path::SafePath;
use crate::record::{LayerRecord, Lower, SnapshotKind, SnapshotRecord};
use crate::scan::Usage;
use crate::snapshot::{Home, LOCKED, Snapshot, View};
use crate::sys::{self, Lease, Named as _};
use crate::whiteout::XattrNamespace;

pub use commit::Staged;
pub use committed::{Committed, References};
pub use rooms::Recovery;

/// Layers by their digest, and snapshots of stacks of them.
///
/// Cloning is cheap; clones and other processes may use the same directory at the same time.
///
/// ```no_run
/// use windlass_overlay::{ApplyOptions, LayerStore, MountOptions};
///
/// let store = LayerStore::open("/var/lib/windlass/layers".as_ref())?;
/// let base = store.ingest(std::fs::File::open("base.tar")?, &ApplyOptions::default())?;
/// let snapshot = store.snapshot("container-1", &[base])?;
/// let root = snapshot.mount(&MountOptions::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct LayerStore {
    rooms: Arc<Rooms>,
    options: StoreOptions,
    recovery: Recovery,
}

impl LayerStore {
    /// Opens a store, or makes one in a new or empty directory, with the default options.
    pub fn open(directory: &Path) -> Result<Self> {
        Self::open_with(directory, StoreOptions::default())
    }

    /// Opens a store and removes what a process that died left half made.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a directory that is neither empty nor a store, or that others may enter;
    /// [`Error::Unsupported`] where the caller may not write the attributes that the store was made with.
    pub fn open_with(directory: &Path, options: StoreOptions) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).named("create directory", directory)?;
        let rooms = Rooms::open(directory, options)?;
        let recovery = rooms.recover()?;
        Ok(Self { rooms: Arc::new(rooms), options, recovery })
    }

    /// What opening found and removed.
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// Removes what died half way since the store was opened, and says what that was.
    pub fn recover(&self) -> Result<Recovery> {
        self.rooms.recover()
    }

    /// Which of overlay's attributes the store's layers have, and so what can mount them.
    pub fn namespace(&self) -> XattrNamespace {
        self.rooms.namespace
    }

    /// Takes an uncompressed layer archive in, whole or not at all; one that is there already is no error.
    ///
    /// With [`ApplyOptions::expect`] a layer that is there already is not read again.
    ///
    /// # Errors
    /// Those of [`crate::apply`]; nothing of the layer remains then.
    pub fn ingest(&self, stream: impl Read, options: &ApplyOptions) -> Result<LayerId> {
        if let Some(expected) = options.expect
            && self.contains(expected)?
        {
            self.settle(expected, self.options.durability)?;
            return Ok(expected);
        }
        Ok(self.ingest_with_notices(stream, options)?.diff_id)
    }

    /// As [`LayerStore::ingest`], and tells what [`crate::apply`] tells; the archive is always read.
    pub fn ingest_with_notices(&self, stream: impl Read, options: &ApplyOptions) -> Result<Applied> {
        let staged = self.stage(stream, options)?;
        let applied = staged.applied().clone();
        self.commit(vec![staged], self.options.durability)?;
        Ok(applied)
    }

    /// Whether the layer is there.
    pub fn contains(&self, layer: LayerId) -> Result<bool> {
        match rustix::fs::statat(&self.rooms.layers, layer_name(layer).as_path(), rustix::fs::AtFlags::empty()) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno).named("stat", layer_name(layer).as_path()),
        }
    }

    /// All layers, in the order of their digests.
    pub fn layers(&self) -> Result<Vec<LayerId>> {
        let names = sys::names(self.rooms.layers.as_fd(), Path::new("layers"))?;
        names.iter().map(|name| layer_of(name)).collect()
    }

    /// What the store remembers of a layer.
    pub fn layer(&self, layer: LayerId) -> Result<LayerRecord> {
        let name = layer.to_string();
        let directory = open_named(&self.rooms.layers, &layer_name(layer), "layer", &name)?;
        let text = rooms::read_record(directory.as_fd())?.ok_or_else(|| not_found("layer", &name))?;
        LayerRecord::parse(&text)
    }

    /// The archive of a layer that is an image, byte for byte as it was taken in.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a layer that is a directory tree: its archive is not kept.
    pub fn archive(&self, layer: LayerId) -> Result<impl Read + Seek + use<>> {
        let (image, record) = self.image(layer)?;
        Ok(Archive::new(image, record.bytes))
    }

    /// Reads a layer that is an image to its end and compares it with its digest.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where something changed it, [`Error::Unsupported`] as [`LayerStore::archive`].
    pub fn verify(&self, layer: LayerId) -> Result<()> {
        let (image, record) = self.image(layer)?;
        let found = Archive::new(image, record.bytes).digest()?;
        if found == layer { Ok(()) } else { Err(Error::Mismatch { expected: layer, found }) }
    }

    fn image(&self, layer: LayerId) -> Result<(OwnedFd, LayerRecord)> {
        let record = self.layer(layer)?;
        if let LayerFormat::Dir(_) = record.format {
            return Err(Error::Unsupported {
                feature: "the archive of a layer",
                reason: format!("{layer} is a directory tree"),
            });
        }
        let directory = open_named(&self.rooms.layers, &layer_name(layer), "layer", &layer.to_string())?;
        Ok((rooms::open_image(directory.as_fd())?, record))
    }

    /// What a layer costs on disk: the files of its tree, or its image.
    pub fn usage(&self, layer: LayerId) -> Result<Usage> {
        let directory = open_named(&self.rooms.layers, &layer_name(layer), "layer", &layer.to_string())?;
        crate::scan::usage(directory.as_fd())
    }

    /// Opens the directory tree of a layer: its files, deletions in overlay's own spelling. An image is mounted for it.
    pub fn open_tree(&self, layer: LayerId) -> Result<OwnedFd> {
        self.rooms.open_lower(layer)
    }

    /// Removes a layer.
    ///
    /// # Errors
    /// [`Error::Busy`] while a snapshot is made of it or another call works on it; [`Error::NotFound`].
    pub fn remove_layer(&self, layer: LayerId) -> Result<()> {
        let busy = |by: String| Error::Busy { what: "layer", name: layer.to_string(), by };
        let name = layer_name(layer);
        let locked = self.rooms.lock(&self.rooms.layers, &name, FlockOperation::NonBlockingLockExclusive)?;
        // Kept to the end of the removal.
        let _locked = locked
            .ok_or_else(|| not_found("layer", &layer.to_string()))?
            .map_err(|_| busy("another call".to_owned()))?;
        for key in self.snapshots()? {
            match self.record_of(&key) {
                Ok(record) if record.layers.contains(&layer) => return Err(busy(format!("snapshot {key}"))),
                // Removed since it was listed.
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let Some(trashed) = self.rooms.trash(&self.rooms.layers, &name)? else { return Ok(()) };
        if self.options.durability != Durability::None {
            self.rooms.sync_trash(&self.rooms.layers)?;
        }
        self.discard_chains_of(layer)?;
        self.rooms.empty(trashed)
    }

    /// Removes every layer that neither is one of `roots` nor belongs to a snapshot, and says which.
    ///
    /// A layer that another process takes into a snapshot meanwhile stays.
    pub fn gc(&self, roots: &[LayerId]) -> Result<Vec<LayerId>> {
        let mut removed = Vec::new();
        for layer in self.layers()? {
            if roots.contains(&layer) {
                continue;
            }
            match self.remove_layer(layer) {
                Ok(()) => removed.push(layer),
                Err(Error::Busy { .. } | Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    /// Stacks layers, bottom first, under a writable layer of the snapshot's own.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a layer, [`Error::Exists`] for the key, and [`Error::LinkTarget`] where a layer needs
    /// a file that no layer beneath it has.
    pub fn snapshot(&self, key: &str, layers: &[LayerId]) -> Result<Snapshot> {
        self.stack(key, layers, SnapshotKind::Active)?;
        self.open_snapshot(key)
    }

    /// Stacks layers, bottom first, to be read only.
    pub fn view(&self, key: &str, layers: &[LayerId]) -> Result<View> {
        self.stack(key, layers, SnapshotKind::View)?;
        self.open_view(key)
    }

    /// The keys of all snapshots and views, sorted.
    pub fn snapshots(&self) -> Result<Vec<String>> {
        let names = sys::names(self.rooms.snapshots.as_fd(), Path::new("snapshots"))?;
        names
            .iter()
            .map(|name| {
                let text = String::from_utf8_lossy(name).into_owned();
                snapshot_name(&text).map(|_| text)
            })
            .collect()
    }

    /// Opens a snapshot that was made before.
    pub fn open_snapshot(&self, key: &str) -> Result<Snapshot> {
        self.home(key, SnapshotKind::Active).map(Snapshot::new)
    }

    /// Opens a view that was made before.
    pub fn open_view(&self, key: &str) -> Result<View> {
        self.home(key, SnapshotKind::View).map(View::new)
    }

    fn home(&self, key: &str, kind: SnapshotKind) -> Result<Home> {
        let record = self.record_of(key)?;
        if record.kind != kind {
            return Err(Error::Invalid {
                field: "snapshot",
                value: key.to_owned(),
                reason: match kind {
                    SnapshotKind::Active => "is a view",
                    SnapshotKind::View => "is no view",
                },
            });
        }
        let name = snapshot_name(key)?;
        let directory = open_named(&self.rooms.snapshots, &name, "snapshot", key)?;
        let rooms = self.rooms.clone();
        let discard = {
            let (rooms, name) = (rooms.clone(), name.clone());
            Box::new(move || rooms.discard(&rooms.snapshots, &name))
        };
        let remount: Box<dyn Fn(Lower) -> Result<OwnedFd> + Send + Sync> = {
            let directory = directory.try_clone().named("dup", name.as_path())?;
            let (layers, rooms) = (record.layers.clone(), rooms.clone());
            Box::new(move |lower| match lower {
                Lower::Chain(chain) => chain::mount_chain(&rooms, chain, &layers),
                Lower::Layer(layer) => rooms.mount_layer(layer),
                own => rooms::open_child(directory.as_fd(), &finish::own_name(own)),
            })
        };
        let lowers = record.lowers.iter().map(|lower| match lower {
            Lower::Layer(layer) => rooms.open_lower(*layer),
            Lower::Chain(_) => rooms::open_root(&remount(*lower)?),
            own => rooms::open_child(directory.as_fd(), &finish::own_name(*own)),
        });
        let lowers = lowers.collect::<Result<Vec<_>>>()?;
        let path = self.rooms.path.join("snapshots").join(key);
        let namespace = self.rooms.namespace;
        Ok(Home { key: key.to_owned(), path, directory, record, lowers, namespace, remount, discard })
    }

    fn record_of(&self, key: &str) -> Result<SnapshotRecord> {
        let directory = open_named(&self.rooms.snapshots, &snapshot_name(key)?, "snapshot", key)?;
        let text = rooms::read_record(directory.as_fd())?.ok_or_else(|| not_found("snapshot", key))?;
        SnapshotRecord::parse(&text)
    }

    /// Whether a snapshot that is made of a layer is mounted; `None` where it is not made of it.
    fn uses(&self, key: &str, layer: LayerId) -> Result<Option<bool>> {
        if !self.record_of(key)?.layers.contains(&layer) {
            return Ok(None);
        }
        let name = snapshot_name(key)?;
        let directory = open_named(&self.rooms.snapshots, &name, "snapshot", key)?;
        let is_mounted = Lease::is_taken(directory.as_fd(), &rooms::child(LOCKED));
        is_mounted.map(Some).named("lock", name.as_path())
    }

    fn stack(&self, key: &str, layers: &[LayerId], kind: SnapshotKind) -> Result<()> {
        let name = snapshot_name(key)?;
        // Kept open to the end: a layer with a shared lock is not removed.
        let mut locked = Vec::with_capacity(layers.len());
        for layer in layers {
            let missing = || not_found("layer", &layer.to_string());
            let directory = self
                .rooms
                .lock(&self.rooms.layers, &layer_name(*layer), FlockOperation::LockShared)?
                .ok_or_else(missing)?;
            let directory = directory.named("flock", layer_name(*layer).as_path())?;
            let record = LayerRecord::parse(&rooms::read_record(directory.as_fd())?.ok_or_else(missing)?)?;
            locked.push((directory, *layer, record));
        }
        let work = self.rooms.work()?;
        let made = self.fill_snapshot(&work, &locked, kind).and_then(|()| {
            if work.publish(&self.rooms.snapshots, &name)? {
                match self.options.durability {
                    Durability::None => Ok(()),
                    Durability::Layer | Durability::Group => {
                        rustix::fs::fsync(&self.rooms.snapshots).named("fsync", Path::new("snapshots"))
                    }
                }
            } else {
                Err(Error::Exists { what: "snapshot", name: key.to_owned() })
            }
        });
        made.map_err(|first| match work.discard() {
            Ok(()) => first,
            Err(cleanup) => Error::Cleanup { cleanup: Box::new(cleanup), first: Box::new(first) },
        })
    }

    fn fill_snapshot(&self, work: &Work, layers: &[(OwnedFd, LayerId, LayerRecord)], kind: SnapshotKind) -> Result<()> {
        let mut lowers = match self.options.format {
            LayerFormat::ErofsMerged if !layers.is_empty() => vec![Lower::Chain(self.chain(layers)?)],
            _ => finish::finish(&self.rooms, work, layers)?,
        };
        let top = match kind {
            SnapshotKind::Active => {
                work.directory("work")?;
                work.directory("upper")?
            }
            SnapshotKind::View => {
                lowers.insert(0, Lower::Top);
                work.directory(&finish::own_name(Lower::Top))?
            }
        };
        finish::dress_root(&self.rooms, top.as_fd(), layers)?;
        // The kernel stacks one directory under an upper one, and at least two without.
        if lowers.len() <= usize::from(kind == SnapshotKind::View) {
            work.directory(&finish::own_name(Lower::Base))?;
            lowers.push(Lower::Base);
        }
        let is_by_attribute = |(_, _, layer): &(OwnedFd, LayerId, LayerRecord)| {
            layer.format == LayerFormat::Dir(WhiteoutStyle::Attribute) && !layer.unfinished.deleting.is_empty()
        };
        let has_attributes = layers.iter().any(is_by_attribute);
        let ids = layers.iter().map(|(_, id, _)| *id).collect();
        let record = SnapshotRecord { kind, layers: ids, lowers, has_attributes };
        work.write(rooms::RECORD, record.print().as_bytes())?;
        if self.options.durability != Durability::None {
            // What finishes a layer has about as many entries as it at most.
            let is_finish = |lower: &Lower| matches!(lower, Lower::Finish(_));
            let entries = layers.iter().map(|(_, _, layer)| layer.entries).sum();
            let entries = if record.lowers.iter().any(is_finish) { entries } else { 0 };
            sys::sync_tree(work.descriptor(), entries, work.path())?;
        }
        Ok(())
    }
}

fn open_named(room: &OwnedFd, name: &SafePath, what: &'static str, text: &str) -> Result<OwnedFd> {
    match sys::open_beneath(room.as_fd(), name, sys::READ_DIRECTORY) {
        Err(Errno::NOENT) => Err(not_found(what, text)),
        opened => opened.named("open", name.as_path()),
    }
}

fn not_found(what: &'static str, name: &str) -> Error {
    Error::NotFound { what, name: name.to_owned() }
}

fn layer_name(layer: LayerId) -> SafePath {
    rooms::layer_name(layer)
}

fn layer_of(name: &[u8]) -> Result<LayerId> {
    let text = String::from_utf8_lossy(name);
    LayerId::from_hex(&text).map_err(|_| Error::Invalid {
        field: "layer",
        value: text.into_owned(),
        reason: "is in the store and is no layer",
    })
}

/// A key is the name of a directory: letters, digits, dots, dashes and underscores, no dot first.
fn snapshot_name(key: &str) -> Result<SafePath> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_name = !key.is_empty() && key.len() <= 200 && !key.starts_with('.') && key.bytes().all(is_plain);
    SafePath::parse(key.as_bytes()).ok().filter(|_| is_name).ok_or_else(|| Error::Invalid {
        field: "snapshot key",
        value: key.to_owned(),
        reason: "is not 1 to 200 letters, digits, dots, dashes or underscores without a dot first",
    })
}
