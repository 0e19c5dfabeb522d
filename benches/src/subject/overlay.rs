//! Layers and containers' root file systems.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};
use windlass_overlay::{ApplyOptions, Durability, LayerId, LayerStore, MountOptions, StoreOptions, Syncing};

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
