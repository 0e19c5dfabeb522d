//! The store: whole or not there, many users at once, and what dies half way.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Read;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use support::{Layer, archive, by_descriptor, delete, file, scratch};
use trial::{Test, need};
use windlass_overlay::{
    ApplyOptions, Durability, Error, Feature, IdMap, ImageTier, LayerFormat, LayerId, LayerStore, MountOptions,
    Recovery, References, StoreOptions, Support, WhiteoutStyle, Whiteouts, probe, whiteout::XattrNamespace,
};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("a layer that fails leaves nothing", failing),
        Test::new("a layer that is not the expected one leaves nothing", mismatch),
        Test::new("a layer that is there is not read again", known),
        Test::new("what a dead process left is removed", recovery),
        Test::new("what a living process makes is left alone", living),
        Test::new("directories of others are refused", foreign),
        Test::new("layers in use are not removed", busy),
        Test::new("many threads at once", concurrent),
        Test::new("a full disk leaves nothing", full).needs(need::root),
        Test::new("a tree of any depth is removed", deep).needs(need::root),
        Test::new("wrong keys are refused", keys),
        Test::new("another spelling of deletions is refused", spelling),
        Test::new("a snapshot that is committed is a layer", committed).needs(need::root),
        Test::new("a snapshot that is mounted is busy", mounted).needs(need::root),
        Test::new("a snapshot that cannot be a layer stays", uncommittable),
        Test::new("a probe says what works", probing).needs(need::root),
    ])
}

fn options() -> ApplyOptions {
    ApplyOptions { id_map: IdMap::CurrentUser, ..ApplyOptions::default() }
}

fn layer(name: &str) -> Vec<u8> {
    archive(&[file(name, "content"), delete("gone")])
}

/// Names inside the rooms where things are made and removed.
fn left(store: &Path) -> Vec<String> {
    let names = |room: &str| std::fs::read_dir(store.join(room)).unwrap().map(|entry| entry.unwrap().file_name());
    names("ingest").chain(names("trash")).map(|name| name.to_string_lossy().into_owned()).collect()
}

/// A stream that fails after some bytes.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(std::io::Error::other("the connection is gone")),
            count => Ok(count),
        }
    }
}

fn failing() {
    let directory = scratch();
    let at = directory.path().join("store");
    let store = LayerStore::open(&at).unwrap();
    let whole = layer("a");
    for length in [0, 100, 512, 600, whole.len() - 1] {
        let error = store.ingest(Failing(&whole[..length]), &options()).unwrap_err();
        assert!(matches!(error, Error::Read { .. }), "{error}");
        let error = store.ingest(&whole[..length.min(1500)], &options()).unwrap_err();
        assert!(matches!(error, Error::Archive { .. }), "{length}: {error}");
        assert_eq!(left(&at), Vec::<String>::new());
    }
    assert_eq!(store.layers().unwrap(), []);
}

fn mismatch() {
    let directory = scratch();
    let at = directory.path().join("store");
    let store = LayerStore::open(&at).unwrap();
    let expected = LayerId::from_bytes([7; 32]);
    let error = store.ingest(&layer("a")[..], &ApplyOptions { expect: Some(expected), ..options() }).unwrap_err();
    let Error::Mismatch { expected: named, found } = error else { panic!("{error}") };
    assert_eq!(named, expected);
    assert_eq!(store.layers().unwrap(), []);
    assert_eq!(left(&at), Vec::<String>::new());
    let expect = ApplyOptions { expect: Some(found), ..options() };
    assert_eq!(store.ingest(&layer("a")[..], &expect).unwrap(), found);
}

fn known() {
    let directory = scratch();
    let store = LayerStore::open(&directory.path().join("store")).unwrap();
    let id = store.ingest(&layer("a")[..], &options()).unwrap();
    assert_eq!(store.ingest(&layer("a")[..], &options()).unwrap(), id);
    assert_eq!(store.layers().unwrap(), [id]);
    let expect = ApplyOptions { expect: Some(id), ..options() };
    assert_eq!(store.ingest(Failing(b""), &expect).unwrap(), id);
    let record = store.layer(id).unwrap();
    assert_eq!((record.entries, record.bytes), (2, layer("a").len() as u64));
}

/// A stream whose reader dies.
struct Dying;

impl Read for Dying {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        std::panic::resume_unwind(Box::new("dead"));
    }
}

fn recovery() {
    let directory = scratch();
    let at = directory.path().join("store");
    let store = LayerStore::open(&at).unwrap();
    assert_eq!(store.recovery(), Recovery::default());
    let id = store.ingest(&layer("a")[..], &options()).unwrap();
    let died = std::panic::catch_unwind(AssertUnwindSafe(|| store.ingest(Dying, &options())));
    assert!(died.is_err());
    assert_eq!(left(&at).len(), 1);
    std::fs::create_dir_all(at.join("trash/1-1/deep/er")).unwrap();
    let again = LayerStore::open(&at).unwrap();
    assert_eq!(again.recovery(), Recovery { unfinished: 1, trash: 1, lost: 0 });
    assert_eq!(left(&at), Vec::<String>::new());
    assert_eq!(again.layers().unwrap(), [id]);
}

fn living() {
    let directory = scratch();
    let at = directory.path().join("store");
    LayerStore::open(&at).unwrap();
    let made = at.join("ingest/1-1");
    std::fs::create_dir(&made).unwrap();
    let locked = std::fs::File::open(&made).unwrap();
    locked.lock().unwrap();
    assert_eq!(LayerStore::open(&at).unwrap().recovery(), Recovery::default());
    assert!(made.exists());
    locked.unlock().unwrap();
    assert_eq!(LayerStore::open(&at).unwrap().recovery(), Recovery { unfinished: 1, trash: 0, lost: 0 });
}

fn foreign() {
    let directory = scratch();
    std::fs::write(directory.path().join("mine"), "").unwrap();
    let error = LayerStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, Error::Invalid { field: "store", .. }), "{error}");
    let at = directory.path().join("store");
    LayerStore::open(&at).unwrap();
    for room in ["layers", "snapshots", "ingest", "trash"] {
        assert_eq!(std::fs::metadata(at.join(room)).unwrap().permissions().mode() & 0o7777, 0o700, "{room}");
    }
    std::fs::set_permissions(at.join("layers"), PermissionsExt::from_mode(0o755)).unwrap();
    let error = LayerStore::open(&at).unwrap_err();
    assert!(error.to_string().contains("open to others"), "{error}");
}

fn busy() {
    let directory = scratch();
    let store = LayerStore::open(&directory.path().join("store")).unwrap();
    let ids = ["a", "b", "c"].map(|name| store.ingest(&layer(name)[..], &options()).unwrap());
    let snapshot = store.snapshot("s", &ids[..1]).unwrap();
    assert!(matches!(store.snapshot("s", &ids[..1]), Err(Error::Exists { .. })));
    assert!(matches!(store.remove_layer(ids[0]), Err(Error::Busy { .. })));
    assert_eq!(store.gc(&ids[1..2]).unwrap(), [ids[2]]);
    assert!(matches!(store.snapshot("t", &ids), Err(Error::NotFound { what: "layer", .. })));
    snapshot.remove().unwrap();
    assert!(matches!(store.open_snapshot("s"), Err(Error::NotFound { what: "snapshot", .. })));
    store.remove_layer(ids[0]).unwrap();
    assert!(matches!(store.remove_layer(ids[0]), Err(Error::NotFound { .. })));
    assert_eq!(store.layers().unwrap(), [ids[1]]);
}

fn concurrent() {
    let directory = scratch();
    let at = directory.path().join("store");
    let options_of_store = StoreOptions { durability: Durability::None, ..StoreOptions::default() };
    LayerStore::open_with(&at, options_of_store).unwrap();
    let made = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (at, made) = (&at, &made);
            scope.spawn(move || {
                for round in 0..15 {
                    // Each opens the store anew, as another process would.
                    let store = LayerStore::open_with(at, options_of_store).unwrap();
                    let id = store.ingest(&layer(&format!("f{}", round % 4))[..], &options()).unwrap();
                    match store.snapshot(&format!("s-{thread}-{round}"), &[id]) {
                        Ok(snapshot) => {
                            made.fetch_add(1, Ordering::Relaxed);
                            assert_eq!(snapshot.layers(), [id]);
                            snapshot.remove().unwrap();
                        }
                        // Another thread's collection was between the two.
                        Err(Error::NotFound { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                    store.gc(&[]).unwrap();
                }
            });
        }
    });
    assert!(made.into_inner() > 0);
    let store = LayerStore::open(&at).unwrap();
    assert_eq!(store.recovery(), Recovery::default());
    store.gc(&[]).unwrap();
    assert_eq!(store.layers().unwrap(), []);
    assert_eq!(left(&at), Vec::<String>::new());
}

/// A small file system in memory that no path leads to.
fn small(size: &str) -> std::os::fd::OwnedFd {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    rustix::mount::fsconfig_set_string(&context, "size", size).unwrap();
    rustix::mount::fsconfig_create(&context).unwrap();
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap()
}

fn full() {
    let disk = small("2m");
    let at = by_descriptor(&disk).join("store");
    let store = LayerStore::open(&at).unwrap();
    let used = || {
        let found = rustix::fs::fstatvfs(&disk).unwrap();
        found.f_blocks - found.f_bfree
    };
    let before = used();
    let huge: Layer = (0..8).map(|number| file(&format!("f{number}"), &"x".repeat(500_000))).collect();
    let error = store.ingest(&archive(&huge)[..], &options()).unwrap_err();
    assert_eq!(error.errno(), Some(rustix::io::Errno::NOSPC.raw_os_error()), "{error}");
    assert_eq!(left(&at), Vec::<String>::new());
    assert_eq!(store.layers().unwrap(), []);
    assert!(used() <= before + 1, "{before} blocks before, {} after", used());
    store.ingest(&layer("small")[..], &options()).unwrap();
}

fn deep() {
    let directory = scratch();
    let at = directory.path().join("store");
    let store = LayerStore::open(&at).unwrap();
    let snapshot = store.snapshot("s", &[]).unwrap();
    let mount = snapshot.mount(&MountOptions::default()).unwrap();
    // As a container can: one step at a time, far beyond what a path can name.
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut here = rustix::fs::open(by_descriptor(&mount), flags, Mode::empty()).unwrap();
    for _ in 0..3000 {
        rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
        rustix::fs::mkdirat(&here, "e", Mode::empty()).unwrap();
        here = rustix::fs::openat(&here, "d", flags, Mode::empty()).unwrap();
    }
    assert!(here.as_raw_fd() > 0);
    drop((here, mount));
    assert!(matches!(snapshot.diff(), Err(Error::LimitExceeded { .. })));
    snapshot.remove().unwrap();
    assert_eq!(left(&at), Vec::<String>::new());
}

fn keys() {
    let directory = scratch();
    let store = LayerStore::open(&directory.path().join("store")).unwrap();
    for key in ["", ".", "..", "../x", "a/b", ".hidden", "a b", "\u{e9}", &"k".repeat(201)] {
        let error = store.snapshot(key, &[]).unwrap_err();
        assert!(matches!(error, Error::Invalid { field: "snapshot key", .. }), "{key}: {error}");
    }
    store.snapshot("default_pod-1.x", &[]).unwrap();
    assert_eq!(store.snapshots().unwrap(), ["default_pod-1.x"]);
}

fn spelling() {
    let directory = scratch();
    let store = LayerStore::open(&directory.path().join("store")).unwrap();
    let other = match store.namespace() {
        XattrNamespace::Trusted => XattrNamespace::User,
        XattrNamespace::User => XattrNamespace::Trusted,
    };
    for whiteouts in [
        Whiteouts::Execute,
        Whiteouts::Overlay(other, WhiteoutStyle::Device),
        Whiteouts::Overlay(store.namespace(), WhiteoutStyle::Attribute),
    ] {
        let error = store.ingest(&layer("a")[..], &ApplyOptions { whiteouts, ..options() }).unwrap_err();
        assert!(matches!(error, Error::Invalid { field: "whiteouts", .. }), "{error}");
    }
}

fn committed() {
    let directory = scratch();
    let store = LayerStore::open(&directory.path().join("store")).unwrap();
    let base = store.ingest(&archive(&[file("a", "1"), file("b", "1")])[..], &ApplyOptions::default()).unwrap();
    let snapshot = store.snapshot("s", &[base]).unwrap();
    let mount = snapshot.mount(&MountOptions::default()).unwrap();
    let big = vec![b'x'; 3 << 20];
    std::fs::write(by_descriptor(&mount).join("c"), &big).unwrap();
    std::fs::remove_file(by_descriptor(&mount).join("a")).unwrap();
    let error = store.commit_snapshot(store.open_snapshot("s").unwrap(), &ApplyOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Busy { what: "snapshot", .. }), "{error}");
    drop(mount);
    let committed = store.commit_snapshot(snapshot, &ApplyOptions::default()).unwrap();
    assert_eq!(committed.layers(), [base, committed.layer()]);
    assert!(store.snapshots().unwrap().is_empty(), "the snapshot is a layer now");
    let next = committed.snapshot("next").unwrap();
    let view = committed.view("view").unwrap();
    let [next_mount, view_mount] =
        [next.mount(&MountOptions::default()).unwrap(), view.mount(&MountOptions::default()).unwrap()];
    for mount in [&next_mount, &view_mount] {
        let names = std::fs::read_dir(by_descriptor(mount)).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["b", "c"]);
        assert!(std::fs::read(by_descriptor(mount).join("c")).unwrap() == big);
    }
    assert_eq!(store.references(base).unwrap(), References { snapshots: 2, mounted: 2 });
    drop(view_mount);
    assert_eq!(store.references(committed.layer()).unwrap(), References { snapshots: 2, mounted: 1 });
    drop(next_mount);
    next.remove().unwrap();
    assert_eq!(store.references(base).unwrap(), References { snapshots: 1, mounted: 0 });
    assert!(store.gc(committed.layers()).unwrap().is_empty());
}

fn mounted() {
    let directory = scratch();
    let store = LayerStore::open(&directory.path().join("store")).unwrap();
    let base = store.ingest(&archive(&[file("a", "1")])[..], &ApplyOptions::default()).unwrap();
    let snapshot = store.snapshot("s", &[base]).unwrap();
    assert!(!snapshot.is_mounted().unwrap());
    let mount = snapshot.mount(&MountOptions::default()).unwrap();
    assert!(snapshot.is_mounted().unwrap());
    // Another process, and whoever opens it anew, sees the same.
    let other = LayerStore::open(&directory.path().join("store")).unwrap();
    let again = other.open_snapshot("s").unwrap();
    assert!(again.is_mounted().unwrap());
    let busy = |error| matches!(error, Error::Busy { what: "snapshot", .. });
    assert!(busy(again.mount(&MountOptions::default()).unwrap_err()));
    assert!(busy(again.diff_by_walking(&MountOptions::default()).unwrap_err()));
    assert!(busy(again.remove().unwrap_err()));
    let at = directory.path().join("at");
    std::fs::create_dir(&at).unwrap();
    let guard = mount.attach(&at).unwrap();
    assert!(snapshot.is_mounted().unwrap());
    guard.unmount().unwrap();
    assert!(!snapshot.is_mounted().unwrap());
    let view = store.view("v", &[base]).unwrap();
    let mounts = [(); 2].map(|()| view.mount(&MountOptions::default()).unwrap());
    assert!(view.is_mounted().unwrap());
    drop(mounts);
    assert!(!view.is_mounted().unwrap());
    snapshot.remove().unwrap();
}

/// A name that an archive would spell as a deletion.
fn uncommittable() {
    let directory = scratch();
    let options = ApplyOptions { id_map: IdMap::CurrentUser, ..ApplyOptions::default() };
    let store = LayerStore::open(&directory.path().join("store")).unwrap();
    let snapshot = store.snapshot("s", &[]).unwrap();
    std::fs::write(snapshot.path().join("upper/.wh.a"), "").unwrap();
    let error = store.commit_snapshot(snapshot, &options).unwrap_err();
    assert!(matches!(error, Error::Unrepresentable { .. }), "{error}");
    assert_eq!(store.snapshots().unwrap(), ["s"]);
    assert!(store.layers().unwrap().is_empty());
    assert_eq!(std::fs::read_dir(directory.path().join("store/ingest")).unwrap().count(), 0);
    // And one that the options refuse: the archive is whole, the layer is not wanted.
    std::fs::remove_file(store.open_snapshot("s").unwrap().path().join("upper/.wh.a")).unwrap();
    std::fs::write(store.open_snapshot("s").unwrap().path().join("upper/a"), vec![b'x'; 1 << 20]).unwrap();
    let limits = windlass_overlay::Limits { file_bytes: 1000, ..windlass_overlay::Limits::default() };
    let refusing = ApplyOptions { limits, ..options.clone() };
    let error = store.commit_snapshot(store.open_snapshot("s").unwrap(), &refusing).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { .. }), "{error}");
    assert!(store.commit_snapshot(store.open_snapshot("s").unwrap(), &options).is_ok());
}

fn probing() {
    let directory = scratch();
    let found = probe(directory.path()).unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "the probe leaves nothing");
    assert_eq!(found.namespace, Some(XattrNamespace::Trusted));
    for feature in [Feature::Whiteout, Feature::AttributeWhiteout, Feature::View, Feature::Snapshot, Feature::Volatile]
    {
        assert!(found.supports(feature), "{found}");
    }
    assert_eq!(found.to_string().lines().count(), 1 + found.features.len());
    for tier in [ImageTier::File, ImageTier::Loop] {
        let tried = found.features.iter().find(|(feature, _)| *feature == Feature::Images(tier));
        // What the probe says is what a store meets.
        let options = StoreOptions { format: LayerFormat::ErofsTar, images: Some(tier), ..StoreOptions::default() };
        let store = LayerStore::open_with(&directory.path().join(format!("{tier:?}")), options).unwrap();
        let layer = store.ingest(&archive(&[file("a", "1")])[..], &ApplyOptions::default()).unwrap();
        let works = store.open_tree(layer).is_ok();
        assert_eq!(works, tried.is_some_and(|(_, support)| *support == Support::Works), "{found}");
    }
    // On overlay itself a writable mount is missing, and the reason says so.
    let store = LayerStore::open(&directory.path().join("store")).unwrap();
    let mount = store.snapshot("s", &[]).unwrap().mount(&MountOptions::default()).unwrap();
    let inside = probe(&by_descriptor(&mount)).unwrap();
    assert!(!inside.supports(Feature::Snapshot));
    assert!(inside.to_string().contains("is on an overlay mount itself"), "{inside}");
}
