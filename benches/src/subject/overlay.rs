//! Layers and containers' root file systems.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};
use windlass_overlay::{ApplyOptions, Durability, LayerId, LayerStore, MountOptions, StoreOptions, Syncing};

use super::layers::Disk;
use crate::measure::{Baseline, Contest, Skipped};

/// Files of the sample layer.
const FILES: usize = 2000;
/// Layers below a container.
const LOWERS: usize = 10;

/// A layer of 2,000 files and 32 MiB unpacked with its digest computed, against `tar -xf`, which computes none.
pub(super) fn apply() -> Result<Contest, Skipped> {
    let folder = tempfile::tempdir_in("/var/tmp").map_err(Skipped::because("a temporary folder"))?;
    let archive = folder.path().join("layer.tar");
    write_archive(&archive).map_err(Skipped::because("write the sample"))?;
    let path = folder.path().to_owned();
    let their_archive = archive.clone();
    let theirs = path.join("theirs");
    Ok(Contest {
        calls: 1,
        rounds: 9,
        subject: Box::new(move || {
            let target = folder.path().join("ours");
            fs::create_dir(&target).map_err(Skipped::because("create the target"))?;
            let stream = fs::File::open(&archive).map_err(Skipped::because("open the sample"))?;
            windlass_overlay::apply(stream, &target, &ApplyOptions::default()).map_err(Skipped::because("apply"))?;
            fs::remove_dir_all(&target).map_err(Skipped::because("remove the target"))
        }),
        baseline: Baseline::Run(Box::new(move || {
            fs::create_dir(&theirs).map_err(Skipped::because("create the target"))?;
            let mut tar = Command::new("tar");
            tar.arg("-xf").arg(&their_archive).arg("-C").arg(&theirs).stdin(Stdio::null());
            let status = tar.status().map_err(Skipped::because("tar"))?;
            if !status.success() {
                return Err(Skipped(format!("tar: {status}")));
            }
            fs::remove_dir_all(&theirs).map_err(Skipped::because("remove the target"))
        })),
    })
}

fn write_archive(path: &Path) -> std::io::Result<()> {
    let mut builder = tar::Builder::new(fs::File::create(path)?);
    let content = vec![b'x'; 16 << 10];
    for number in 0..FILES {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, format!("d{}/f{number}", number % 40), &content[..])?;
    }
    builder.finish()
}

/// A container's writable layer made, mounted over ten layers, unmounted and deleted, against bare calls for the same.
pub(super) fn container() -> Result<Contest, Skipped> {
    let folder = tempfile::tempdir_in("/var/tmp").map_err(Skipped::because("a temporary folder"))?;
    let options = StoreOptions { durability: Durability::None, ..StoreOptions::default() };
    let store =
        LayerStore::open_with(&folder.path().join("store"), options).map_err(Skipped::because("open a store"))?;
    let layers: Vec<LayerId> = (0..LOWERS).map(|number| ingest(&store, number)).collect::<Result<_, _>>()?;
    let bare = BareMount::new(&folder.path().join("bare")).map_err(Skipped::because("bare directories"))?;
    let mount = MountOptions { syncing: Syncing::Volatile, ..MountOptions::default() };
    Ok(Contest {
        calls: 10,
        rounds: 21,
        subject: Box::new(move || {
            let snapshot = store.snapshot("bench", &layers).map_err(Skipped::because("make a snapshot"))?;
            drop(snapshot.mount(&mount).map_err(Skipped::because("mount"))?);
            snapshot.remove().map_err(Skipped::because("remove the snapshot"))
        }),
        baseline: Baseline::Run(Box::new(move || {
            let _kept = &folder; // the temporary folder lives as long as this side
            bare.run().map_err(Skipped::because("bare calls"))
        })),
    })
}

fn ingest(store: &LayerStore, number: usize) -> Result<LayerId, Skipped> {
    let because = Skipped::because::<std::io::Error>("write a layer");
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append_data(&mut header, format!("file{number}"), std::io::empty()).map_err(&because)?;
    let archive = builder.into_inner().map_err(&because)?;
    store.ingest(&archive[..], &ApplyOptions::default()).map_err(Skipped::because("ingest a layer"))
}

/// One layer of which changes are made, and how many.
const CHANGES: usize = 9200;
/// Bytes of each changed file: 124 MB of them.
const CHANGE: usize = 13_500;

/// A view over 100 lower directories mounted and unmounted, against bare calls on the same directories.
pub(super) fn lowers() -> Result<Contest, Skipped> {
    let folder = tempfile::tempdir_in("/var/tmp").map_err(Skipped::because("a temporary folder"))?;
    let options = StoreOptions { durability: Durability::None, ..StoreOptions::default() };
    let store =
        LayerStore::open_with(&folder.path().join("store"), options).map_err(Skipped::because("open a store"))?;
    let layers: Vec<LayerId> = (0..100).map(|number| ingest(&store, number)).collect::<Result<_, _>>()?;
    let view = store.view("bench", &layers).map_err(Skipped::because("make a view"))?;
    let trees: Vec<PathBuf> =
        layers.iter().rev().map(|layer| folder.path().join("store/layers").join(layer.hex()).join("tree")).collect();
    Ok(Contest {
        calls: 5,
        rounds: 9,
        subject: Box::new(move || view.mount(&MountOptions::default()).map(drop).map_err(Skipped::because("mount"))),
        baseline: Baseline::Run(Box::new(move || {
            let _kept = &folder; // the temporary folder lives as long as this side
            bare_view(&trees).map_err(Skipped::because("bare calls"))
        })),
    })
}

fn bare_view(trees: &[PathBuf]) -> std::io::Result<()> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for tree in trees {
        fsconfig_set_string(&context, "lowerdir+", tree)?;
    }
    fsconfig_create(&context)?;
    drop(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)?);
    Ok(())
}

/// A hundred layers of one small file, all on disk in the end, against the least that any store could do for each.
pub(super) fn tiny() -> Result<Contest, Skipped> {
    let disk = std::rc::Rc::new(Disk::new()?);
    let archives: Vec<Vec<u8>> = (0..100).map(tiny_archive).collect::<Result<_, _>>()?;
    let (ours, theirs) = (disk.path().join("store"), disk.path().join("bare"));
    let kept = std::rc::Rc::clone(&disk);
    Ok(Contest {
        calls: 1,
        rounds: 5,
        subject: Box::new(move || {
            let _kept = &kept; // the disk lives as long as both sides
            let store = LayerStore::open(&ours).map_err(Skipped::because("open a store"))?;
            let staged = archives.iter().map(|archive| store.stage(&archive[..], &ApplyOptions::default()));
            let staged = staged.collect::<Result<Vec<_>, _>>().map_err(Skipped::because("stage"))?;
            store.commit(staged, Durability::Group).map_err(Skipped::because("commit"))?;
            fs::remove_dir_all(&ours).map_err(Skipped::because("remove the store"))
        }),
        baseline: Baseline::Run(Box::new(move || {
            let _kept = &disk; // the disk lives as long as both sides
            for number in 0..100 {
                let folder = theirs.join(number.to_string());
                fs::create_dir_all(&folder).map_err(Skipped::because("bare calls"))?;
                let write = || {
                    let file = fs::File::create(folder.join("file"))?;
                    std::io::Write::write_all(&mut &file, b"tiny")?;
                    file.sync_all()
                };
                write().map_err(Skipped::because("bare calls"))?;
            }
            fs::remove_dir_all(&theirs).map_err(Skipped::because("bare calls"))
        })),
    })
}

fn tiny_archive(number: usize) -> Result<Vec<u8>, Skipped> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append_data(&mut header, format!("etc/file{number}"), &b"tiny"[..]).map_err(Skipped::because("tar"))?;
    builder.into_inner().map_err(Skipped::because("tar"))
}

/// What a container changed as a layer archive, against `tar -cf` of the same files.
pub(super) fn diff() -> Result<Contest, Skipped> {
    let folder = tempfile::tempdir_in("/var/tmp").map_err(Skipped::because("a temporary folder"))?;
    let options = StoreOptions { durability: Durability::None, ..StoreOptions::default() };
    let store =
        LayerStore::open_with(&folder.path().join("store"), options).map_err(Skipped::because("open a store"))?;
    let snapshot = store.snapshot("bench", &[]).map_err(Skipped::because("make a snapshot"))?;
    let upper = snapshot.path().join("upper");
    let content = vec![b'c'; CHANGE];
    for number in 0..CHANGES {
        let path = upper.join(format!("d{}/f{number}", number % 100));
        let written =
            fs::create_dir_all(upper.join(format!("d{}", number % 100))).and_then(|()| fs::write(path, &content));
        written.map_err(Skipped::because("write the changes"))?;
    }
    let [ours, theirs] = ["ours.tar", "theirs.tar"].map(|name| folder.path().join(name));
    Ok(Contest {
        calls: 1,
        rounds: 5,
        subject: Box::new(move || {
            let to = fs::File::create(&ours).map_err(Skipped::because("create the archive"))?;
            snapshot.write_diff(to).map(drop).map_err(Skipped::because("diff"))
        }),
        baseline: Baseline::Run(Box::new(move || {
            let _kept = &folder; // the temporary folder lives as long as this side
            let mut tar = Command::new("tar");
            let status = tar.arg("-cf").arg(&theirs).arg("-C").arg(&upper).arg(".").stdin(Stdio::null()).status();
            match status.map_err(Skipped::because("tar"))? {
                status if status.success() => Ok(()),
                status => Err(Skipped(format!("tar: {status}"))),
            }
        })),
    })
}

struct BareMount {
    folder: PathBuf,
    lowers: Vec<PathBuf>,
}

impl BareMount {
    fn new(folder: &Path) -> std::io::Result<Self> {
        let lowers: Vec<PathBuf> = (0..LOWERS).map(|number| folder.join(format!("lower{number}"))).collect();
        for lower in &lowers {
            fs::create_dir_all(lower)?;
        }
        Ok(Self { folder: folder.to_owned(), lowers })
    }

    fn run(&self) -> std::io::Result<()> {
        let (upper, work) = (self.folder.join("upper"), self.folder.join("work"));
        fs::create_dir(&upper)?;
        fs::create_dir(&work)?;
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        for lower in &self.lowers {
            fsconfig_set_string(&context, "lowerdir+", lower)?;
        }
        fsconfig_set_string(&context, "upperdir", &upper)?;
        fsconfig_set_string(&context, "workdir", &work)?;
        rustix::mount::fsconfig_set_flag(&context, "volatile")?;
        fsconfig_create(&context)?;
        drop(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?);
        fs::remove_dir_all(&upper)?;
        fs::remove_dir_all(&work)
    }
}
