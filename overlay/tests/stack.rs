//! Layers on the real kernel against the model in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::ExitCode;

use support::{archive, assert_same, by_descriptor, check, delete, directory, file, hard_link, layers, listing};
use support::{scratch, symlink, tree};
use trial::{Test, need};
use windlass_overlay::{
    ApplyOptions, Copies, Devices, Durability, Error, Fault, Feature, ImageTier, Index, Inodes, Kind, LayerFormat,
    LayerId, LayerStore, Limit, LowerTier, MountOptions, Origin, RootKind, StoreOptions, Syncing, View, WhiteoutStyle,
    Whiteouts, apply,
};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("executed layers equal the model", executed).needs(need::root),
        Test::new("what the kernel shows equals the model", || shown(250, WhiteoutStyle::Device)).needs(need::root),
        Test::new("what the kernel shows of deletions as attributes equals the model", || {
            shown(30, WhiteoutStyle::Attribute);
        })
        .needs(need::root)
        .needs(by_attribute),
        Test::new("no device is in layers that delete by attribute", attributes).needs(need::root).needs(by_attribute),
        Test::new("five hundred and one layers are one image, and too many directories", too_many)
            .needs(need::root)
            .needs(many_files)
            .needs(images),
        Test::new("a snapshot's own changes become a layer", changes).needs(need::root),
        Test::new("the difference of two trees applied to one gives the other", differences).needs(need::root),
        Test::new("changes of parts are told by walking, and refused otherwise", parts).needs(need::root),
        Test::new("a root by overlay", || root(RootKind::Overlay)).needs(need::root),
        Test::new("a root that is copied", || root(RootKind::Copy)).needs(need::root),
        Test::new("a root by fuse-overlayfs", || root(RootKind::FuseOverlay)).needs(need::root).needs(fuse),
        Test::new("why a root is copied is said", copied_for_a_reason).needs(need::root),
        Test::new("an index keeps the names of a file together", indexed).needs(need::root),
        Test::new("owners as a user namespace maps them", idmapped).needs(need::root).needs(need::program("unshare")),
        Test::new("links and directories of lower layers", lower).needs(need::root),
        Test::new("a directory that came through a lower link keeps nothing of the one beneath", dressed)
            .needs(need::root),
        Test::new("what is written through a lower link and changed is refused", ambiguous).needs(need::root),
        Test::new("every way of naming lower directories", tiers).needs(need::root),
        Test::new("a mount is attached to nobody's tree", detached).needs(need::root),
        Test::new("an attached mount ends with its guard", attached).needs(need::root),
        Test::new("an upper directory on overlay is refused by name", on_overlay).needs(need::root),
        Test::new("a view cannot be written", view).needs(need::root),
        Test::new("origins", origins).needs(need::root),
    ])
}

fn options() -> ApplyOptions {
    ApplyOptions { devices: Devices::Create, ..ApplyOptions::default() }
}

fn store(directory: &std::path::Path) -> LayerStore {
    store_of(directory, LayerFormat::default())
}

fn store_of(directory: &std::path::Path, format: LayerFormat) -> LayerStore {
    let options = StoreOptions { durability: Durability::None, format, ..StoreOptions::default() };
    LayerStore::open_with(&directory.join("store"), options).unwrap()
}

fn ingest(store: &LayerStore, layers: &[support::Layer]) -> Vec<LayerId> {
    layers.iter().map(|layer| store.ingest(&archive(layer)[..], &options()).unwrap()).collect()
}

fn executed() {
    check(150, &layers(), |layers| {
        let directory = scratch();
        let root = directory.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let options = ApplyOptions { whiteouts: Whiteouts::Execute, ..options() };
        // The model's root has a fixed owner and time, which an executed layer leaves alone.
        let first = vec![directory_entry()];
        for layer in [vec![first], layers.clone()].concat() {
            apply(&archive(&layer)[..], &root, &options).unwrap();
        }
        assert_same(listing(&root), tree(&layers).unwrap().entries());
    });
}

fn directory_entry() -> (windlass_overlay::Change, std::sync::Arc<[u8]>) {
    use windlass_overlay::{Change, Entry, Metadata, SafePath};
    let metadata = Metadata { mode: 0o755, ..Metadata::default() };
    (Change::Put(Entry { path: SafePath::root(), kind: Kind::Directory, metadata }), std::sync::Arc::default())
}

fn shown(cases: u32, style: WhiteoutStyle) {
    let (refused, shown) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    check(cases, &layers(), |layers| {
        let directory = scratch();
        let store = store_of(directory.path(), LayerFormat::Dir(style));
        let view = match stacked(&store, &layers) {
            Ok(view) => view,
            Err(error) if is_refused(&error) => {
                return refused.set(refused.get() + 1);
            }
            Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
        };
        let mount = view.mount(&MountOptions::default()).unwrap();
        assert_same(listing(&by_descriptor(&mount)), tree(&layers).unwrap().entries());
        shown.set(shown.get() + 1);
    });
    let shown = shown.get();
    assert!(refused.get() < shown / 4, "{} stacks were refused, {shown} shown", refused.get());
}

/// Every way of deleting, without a device anywhere: in a lone layer, in one beneath another, in an opaque directory, through
/// a lower layer's link, and after the fact.
fn attributes() {
    let layers = [
        vec![directory("usr", 0o755), directory("usr/lib", 0o755), file("usr/lib/x", "1"), file("usr/lib/y", "1")],
        vec![symlink("lib", "usr/lib"), delete("a/never"), delete("never"), file("a/kept", "1"), file("b/c/d", "1")],
        vec![
            delete("lib/x"),
            file("lib/z", "1"),
            delete("b/c/d"),
            support::opaque("b/c"),
            delete("b/c/e"),
            delete("a/kept"),
        ],
        vec![file("a/kept", "again"), delete("b"), file("b/new", "1"), support::opaque("a")],
    ];
    let directory = scratch();
    let store = store_of(directory.path(), LayerFormat::Dir(WhiteoutStyle::Attribute));
    let ids = ingest(&store, &layers);
    for id in &ids {
        let tree = store.open_tree(*id).unwrap();
        for (entry, _) in listing(&by_descriptor(&tree)) {
            assert!(!matches!(entry.kind, Kind::Device(..)), "{}", entry.path);
        }
    }
    for count in 0..=layers.len() {
        let snapshot = store.snapshot(&format!("s{count}"), &ids[..count]).unwrap();
        let mount = snapshot.mount(&MountOptions::default()).unwrap();
        assert_same(listing(&by_descriptor(&mount)), tree(&layers[..count]).unwrap().entries());
        drop(mount);
        let at = directory.path().join(format!("copy{count}"));
        std::fs::create_dir(&at).unwrap();
        snapshot.root(&at, &[RootKind::Copy], &MountOptions::default()).unwrap();
        assert_same(listing(&at), tree(&layers[..count]).unwrap().entries());
        if count == layers.len() {
            let error = snapshot.root(&at, &[RootKind::FuseOverlay], &MountOptions::default()).unwrap_err();
            assert!(matches!(error, Error::Unsupported { feature: "deletions as attributes", .. }), "{error}");
        }
    }
}

/// Each of many images is a file, and a loop device where the kernel mounts no file.
fn many_files() -> Result<(), String> {
    let open = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if open.is_none_or(|open| open >= 4096) { Ok(()) } else { Err("needs 4096 open files".to_owned()) }
}

/// The kernel has one of these.
fn has(features: &[Feature]) -> Result<(), String> {
    let found = windlass_overlay::probe(scratch().path()).map_err(|error| error.to_string())?;
    let works = features.iter().any(|feature| found.supports(*feature));
    if works { Ok(()) } else { Err(format!("needs one of {features:?}: {found}")) }
}

fn images() -> Result<(), String> {
    has(&[ImageTier::File, ImageTier::Loop].map(Feature::Images))
}

fn by_attribute() -> Result<(), String> {
    has(&[Feature::AttributeWhiteout])
}

/// The kernel stacks five hundred directories: more of them are refused by their number, and merged they are one.
fn too_many() {
    let layers: Vec<support::Layer> = (0..501)
        .map(|number| match number {
            0 => vec![directory_entry(), directory("d", 0o755)],
            500 => vec![delete("d/f7"), file("d/f8", "changed")],
            number => vec![directory("d", 0o755), file(&format!("d/f{number}"), "1")],
        })
        .collect();
    let directory = scratch();
    for (name, format) in [("trees", LayerFormat::default()), ("merged", LayerFormat::ErofsMerged)] {
        let store = store_of(&directory.path().join(name), format);
        let view = store.view("v", &ingest(&store, &layers)).unwrap();
        let mounted = view.mount(&MountOptions::default());
        if format == LayerFormat::ErofsMerged {
            let mount = mounted.unwrap();
            assert_same(listing(&by_descriptor(&mount)), tree(&layers).unwrap().entries());
        } else {
            let error = mounted.unwrap_err();
            assert!(matches!(error, Error::LimitExceeded { limit: Limit::LowerDirectories, max: 500 }), "{error}");
        }
    }
}

/// Whether a stack is one that layers refuse which were applied each by itself: none knows that what it uses as a
/// directory, or finds its own files below, is a symbolic link in a lower one.
fn is_refused(error: &Error) -> bool {
    matches!(error, Error::Ambiguous { .. } | Error::LinkTarget { .. } | Error::Archive { fault: Fault::HardLink, .. })
}

fn stacked(store: &LayerStore, layers: &[support::Layer]) -> windlass_overlay::Result<View> {
    let ids = layers.iter().map(|layer| store.ingest(&archive(layer)[..], &options()));
    store.view("v", &ids.collect::<Result<Vec<_>, _>>()?)
}

fn changes() {
    check(60, &(layers(), layers()), |(lower, upper)| {
        let directory = scratch();
        let store = store(directory.path());
        let ids = match stacked(&store, &lower) {
            Ok(view) => view.layers().to_vec(),
            Err(error) if is_refused(&error) => return,
            Err(error) => panic!("{error}"),
        };
        let snapshot = store.snapshot("s", &ids).unwrap();
        let mount = snapshot.mount(&MountOptions::default()).unwrap();
        // The second tree is made by changing what the kernel shows of the first one.
        let options = ApplyOptions { whiteouts: Whiteouts::Execute, ..options() };
        for layer in &upper {
            match apply(&archive(layer)[..], &by_descriptor(&mount), &options) {
                // The model made the second tree's links from nothing, here they meet the first tree.
                Ok(_) | Err(Error::LinkTarget { .. } | Error::Archive { .. } | Error::LimitExceeded { .. }) => {}
                Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
            }
        }
        let mut expected = listing(&by_descriptor(&mount));
        drop(mount);
        let layer = store.ingest(&snapshot.write_diff(Vec::new()).unwrap()[..], &self::options()).unwrap();
        let view = store.view("w", &[&ids[..], &[layer]].concat()).unwrap();
        let mount = view.mount(&MountOptions::default()).unwrap();
        let mut found = listing(&by_descriptor(&mount));
        // The root is the snapshot's own.
        found.remove(0);
        expected.remove(0);
        // A copy up breaks hard links: each name of the upper layer is a file of its own then.
        assert_same(found, expected);
    });
}

fn differences() {
    check(60, &(layers(), layers()), |(one, other)| {
        let directory = scratch();
        let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
        let options = ApplyOptions { whiteouts: Whiteouts::Execute, ..options() };
        for (root, layers) in [(&from, &one), (&to, &other)] {
            std::fs::create_dir(root).unwrap();
            for layer in layers {
                apply(&archive(layer)[..], root, &options).unwrap();
            }
        }
        let changes = windlass_overlay::diff_directories(&from, &to).unwrap();
        let layer = windlass_overlay::write_changes(&changes, &to, Vec::new()).unwrap();
        apply(&layer[..], &from, &options).unwrap();
        assert_same(listing(&from), listing(&to));
        assert_eq!(windlass_overlay::diff_directories(&from, &to).unwrap(), []);
    });
}

fn parts() {
    let directory = scratch();
    let store = store(directory.path());
    let base = [vec![directory_entry(), file("d/a", "1"), file("d/b", "2")], vec![file("c", "3")]];
    let ids = ingest(&store, &base);
    let snapshot = store.snapshot("s", &ids).unwrap();
    let options = MountOptions { copies: Copies::Parts, ..MountOptions::default() };
    let mount = snapshot.mount(&options).unwrap();
    let root = by_descriptor(&mount);
    std::fs::rename(root.join("d"), root.join("e")).unwrap();
    std::os::unix::fs::chown(root.join("c"), Some(77), Some(77)).unwrap();
    let mut expected = listing(&root);
    drop(mount);
    // The upper directory holds a pointer and an owner: alone it says nothing of what they mean.
    assert!(matches!(snapshot.diff(), Err(Error::NotNative { .. })));
    let layer = snapshot.write_diff_by_walking(&options, Vec::new()).unwrap();
    let layer = store.ingest(&layer[..], &self::options()).unwrap();
    let view = store.view("v", &[&ids[..], &[layer]].concat()).unwrap();
    let mount = view.mount(&MountOptions::default()).unwrap();
    let mut found = listing(&by_descriptor(&mount));
    found.remove(0);
    expected.remove(0);
    assert_same(found, expected);
}

/// The program is there and the kernel has what it needs.
fn fuse() -> Result<(), String> {
    need::program("fuse-overlayfs")()?;
    if std::path::Path::new("/dev/fuse").exists() { Ok(()) } else { Err("needs /dev/fuse".to_owned()) }
}

/// Layers with something of every kind that one hides from another.
fn hiding() -> [support::Layer; 3] {
    [
        vec![
            directory_entry(),
            directory("d", 0o750),
            file("d/a", "1"),
            hard_link("d/b", "d/a"),
            directory("o", 0o755),
            file("o/hidden", "1"),
            directory("o/e", 0o755),
            file("o/e/hidden", "1"),
            file("deleted", "1"),
        ],
        vec![
            delete("deleted"),
            support::opaque("o"),
            directory("o", 0o700),
            directory("o/e", 0o711),
            file("o/e/f", "2"),
        ],
        vec![symlink("l", "d/a"), file("d/c", "3")],
    ]
}

fn root(kind: RootKind) {
    let layers = hiding();
    let directory = scratch();
    let store = store(directory.path());
    let snapshot = store.snapshot("s", &ingest(&store, &layers)).unwrap();
    let at = directory.path().join("at");
    std::fs::create_dir(&at).unwrap();
    let root = snapshot.root(&at, &[kind], &MountOptions::default()).unwrap();
    assert_eq!((root.kind(), root.refused(), root.path()), (kind, &[][..], &*at));
    assert!(snapshot.is_mounted().unwrap(), "nobody else writes to it meanwhile");
    let expected = tree(&layers).unwrap().entries();
    if kind == RootKind::FuseOverlay {
        // Times and numbers are that program's own matter.
        let names = |listing: support::Listing| -> Vec<_> {
            listing.into_iter().map(|(entry, content)| (entry.path.to_string(), content)).collect()
        };
        assert_eq!(names(listing(&at)).len(), names(expected).len());
    } else {
        assert_same(listing(&at), expected);
    }
    assert_eq!(snapshot.diff_of(&root).unwrap(), []);
    std::fs::write(at.join("d/c"), "changed").unwrap();
    std::fs::write(at.join("new"), "new").unwrap();
    std::fs::remove_file(at.join("o/e/f")).unwrap();
    let changed: Vec<String> =
        snapshot.diff_of(&root).unwrap().iter().map(|change| change.path().to_string()).collect();
    for path in ["d/c", "new", "o/e/f"] {
        assert!(changed.iter().any(|changed| changed == path), "{path} in {changed:?}");
    }
    root.end().unwrap();
    assert_eq!(std::fs::read_dir(&at).unwrap().count() > 0, kind == RootKind::Copy);
    snapshot.remove().unwrap();
}

fn copied_for_a_reason() {
    let directory = scratch();
    let store = store(directory.path());
    let layers: Vec<support::Layer> = (0..60).map(|number| vec![file(&format!("f{number}"), "1")]).collect();
    let snapshot = store.snapshot("s", &ingest(&store, &layers)).unwrap();
    let at = directory.path().join("at");
    std::fs::create_dir(&at).unwrap();
    // More paths than one string takes.
    let options = MountOptions { lowers: Some(LowerTier::OptionString), ..MountOptions::default() };
    let root = snapshot.root(&at, &[RootKind::Overlay, RootKind::Copy], &options).unwrap();
    assert_eq!(root.kind(), RootKind::Copy);
    assert!(
        matches!(root.refused(), [(RootKind::Overlay, reason)] if reason.contains("lower")),
        "{:?}",
        root.refused()
    );
    drop(root);
    let error = snapshot.root(&at, &[RootKind::Copy], &options).unwrap_err();
    assert!(matches!(error, Error::Invalid { reason: "is not empty", .. }), "{error}");
    assert!(matches!(snapshot.root(&at, &[], &options), Err(Error::Invalid { field: "ways", .. })));
}

fn indexed() {
    let directory = scratch();
    let store = store(directory.path());
    let ids = ingest(&store, &[vec![file("a", "1"), hard_link("b", "a"), file("c", "1")]]);
    for (index, shown) in [(Index::Off, "1"), (Index::On, "changed")] {
        let snapshot = store.snapshot(&format!("{index:?}"), &ids).unwrap();
        let options = MountOptions { index, inodes: Inodes::Auto, ..MountOptions::default() };
        let mount = snapshot.mount(&options).unwrap();
        std::fs::write(by_descriptor(&mount).join("a"), "changed").unwrap();
        assert_eq!(std::fs::read_to_string(by_descriptor(&mount).join("b")).unwrap(), shown, "{index:?}");
        drop(mount);
        let changed = |changes: Vec<windlass_overlay::Change>| -> Vec<String> {
            changes.iter().map(|change| change.path().to_string()).collect()
        };
        if index == Index::Off {
            assert_eq!(changed(snapshot.diff().unwrap()), ["a"]);
            continue;
        }
        // The upper directory alone says nothing of the other name.
        let refused = |error| matches!(error, Error::NotNative { attribute: "index", .. });
        assert!(refused(snapshot.diff().unwrap_err()));
        assert!(refused(snapshot.write_diff(Vec::new()).unwrap_err()));
        assert_eq!(changed(snapshot.diff_by_walking(&options).unwrap()), ["a", "b"]);
    }
}

/// A user namespace that maps its root to 100000, held by a process that sleeps.
struct Users(std::process::Child);

impl Users {
    fn new() -> Self {
        let users = Self(std::process::Command::new("unshare").args(["--user", "sleep", "600"]).spawn().unwrap());
        let own = std::fs::read_link("/proc/self/ns/user").unwrap();
        let process = format!("/proc/{}", users.0.id());
        for _ in 0..6000 {
            if std::fs::read_link(format!("{process}/ns/user")).unwrap() != own {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        for map in ["uid_map", "gid_map"] {
            std::fs::write(format!("{process}/{map}"), "0 100000 1000\n").unwrap();
        }
        users
    }

    fn open(&self) -> std::fs::File {
        std::fs::File::open(format!("/proc/{}/ns/user", self.0.id())).unwrap()
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn idmapped() {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;
    let directory = scratch();
    let store = store(directory.path());
    let ids = ingest(&store, &[vec![directory_entry(), file("a", "1")], vec![file("d/b", "2")]]);
    let view = store.view("v", &ids).unwrap();
    let users = Users::new();
    let namespace = users.open();
    for lowers in [None, Some(LowerTier::Attached)] {
        let options = MountOptions { lowers, ..MountOptions::default() };
        let mount = view.mount_idmapped(&options, namespace.as_fd()).unwrap();
        let root = by_descriptor(&mount);
        for name in [".", "a", "d", "d/b"] {
            assert_eq!(std::fs::metadata(root.join(name)).unwrap().uid(), 100_000, "{name}");
        }
    }
    // On disk the owners are those of the archive.
    let mount = view.mount(&MountOptions::default()).unwrap();
    assert_eq!(std::fs::metadata(by_descriptor(&mount).join("a")).unwrap().uid(), 0);
}

fn lower() {
    let layers = [
        vec![
            directory("usr", 0o711),
            directory("usr/lib", 0o750),
            symlink("lib", "usr/lib"),
            file("usr/lib/a", "first"),
            file("usr/lib/b", "second"),
        ],
        vec![
            file("lib/c", "through the link"),
            file("lib/sub/d", "deeper"),
            hard_link("linked", "usr/lib/a"),
            delete("lib/b"),
        ],
        vec![file("usr/lib/sub/e", "later")],
    ];
    let directory = scratch();
    let store = store(directory.path());
    let ids = ingest(&store, &layers);
    let view = store.view("v", &ids).unwrap();
    let mount = view.mount(&MountOptions::default()).unwrap();
    let root = by_descriptor(&mount);
    assert_eq!(std::fs::read_to_string(root.join("usr/lib/c")).unwrap(), "through the link");
    assert_eq!(std::fs::read_link(root.join("lib")).unwrap(), std::path::Path::new("usr/lib"));
    assert!(!root.join("usr/lib/b").exists());
    assert_same(listing(&root), tree(&layers).unwrap().entries());
    // A layer whose link leads nowhere is refused once it is stacked.
    let alone = store.ingest(&archive(&[hard_link("x", "nowhere")])[..], &options()).unwrap();
    let error = store.view("w", &[ids[0], alone]).unwrap_err();
    assert!(matches!(error, Error::LinkTarget { .. }), "{error}");
    assert_eq!(store.snapshots().unwrap(), ["v"]);
}

fn dressed() {
    let mut beneath = directory("usr/lib", 0o755);
    if let (windlass_overlay::Change::Put(entry), _) = &mut beneath {
        entry.metadata.xattrs.insert(b"trusted.x"[..].into(), b"1"[..].into());
    }
    let layers = [vec![symlink("link", "usr"), beneath], vec![directory("link/lib", 0o700)]];
    let directory = scratch();
    let store = store(directory.path());
    let view = store.view("v", &ingest(&store, &layers)).unwrap();
    let mount = view.mount(&MountOptions::default()).unwrap();
    assert_same(listing(&by_descriptor(&mount)), tree(&layers).unwrap().entries());
}

fn ambiguous() {
    let base = vec![directory("usr", 0o755), file("usr/old", ""), symlink("lib", "usr"), symlink("other", "usr")];
    for layer in [
        vec![file("lib/x", "1"), file("usr/x", "2")],
        vec![file("lib/x", "1"), directory("lib", 0o755)],
        vec![file("lib/x", "1"), delete("lib")],
        vec![file("lib/x", "1"), delete("usr")],
        vec![file("usr/old", "new"), hard_link("y", "lib/old")],
        vec![directory("other/x", 0o755), directory("lib/x", 0o700)],
    ] {
        let directory = scratch();
        let store = store(directory.path());
        let ids = ingest(&store, &[base.clone(), layer.clone()]);
        match store.view("v", &ids) {
            Err(Error::Ambiguous { .. }) => {}
            Err(error) => panic!("{layer:?}: {error}"),
            Ok(view) => {
                let mount = view.mount(&MountOptions::default()).unwrap();
                assert_same(listing(&by_descriptor(&mount)), tree(&[base.clone(), layer]).unwrap().entries());
            }
        }
    }
}

fn tiers() {
    let layers: Vec<_> =
        (0..20).map(|number| vec![file(&format!("f{number}"), "x"), file("top", &number.to_string())]).collect();
    let directory = scratch();
    let store = store(directory.path());
    let ids = ingest(&store, &layers);
    let expected = tree(&layers[..5]).unwrap().entries();
    for tier in [LowerTier::Descriptor, LowerTier::Path, LowerTier::OptionString] {
        let options = MountOptions { lowers: Some(tier), ..MountOptions::default() };
        let view = store.view("v", &ids[..5]).unwrap();
        let mount = match view.mount(&options) {
            Ok(mount) => mount,
            // An older kernel; the automatic choice below must do without.
            Err(Error::Mount { .. }) if tier != LowerTier::OptionString => {
                view.remove().unwrap();
                continue;
            }
            Err(error) => panic!("{tier:?}: {error}"),
        };
        assert_same(listing(&by_descriptor(&mount)), expected.clone());
        drop(mount);
        view.remove().unwrap();
    }
    let view = store.view("v", &ids).unwrap();
    let mount = view.mount(&MountOptions::default()).unwrap();
    assert_same(listing(&by_descriptor(&mount)), tree(&layers).unwrap().entries());
    let options = MountOptions { lowers: Some(LowerTier::OptionString), ..MountOptions::default() };
    let error = view.mount(&options).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { limit: Limit::LowerDirectories, max: 1..20 }), "{error}");
}

fn mounts() -> usize {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count()
}

fn detached() {
    let directory = scratch();
    let store = store(directory.path());
    let ids = ingest(&store, &[vec![file("a", "1")]]);
    let snapshot = store.snapshot("s", &ids).unwrap();
    let mount = snapshot.mount(&MountOptions { syncing: Syncing::Volatile, ..MountOptions::default() }).unwrap();
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!table.contains(directory.path().to_str().unwrap()), "{table}");
    let root = by_descriptor(&mount);
    std::fs::write(root.join("b"), "2").unwrap();
    std::fs::remove_file(root.join("a")).unwrap();
    let changes: Vec<String> = snapshot.diff().unwrap().iter().map(|change| format!("{change:?}")).collect();
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert_eq!(changes[0], "Delete(\"a\")");
    assert!(snapshot.usage().unwrap().inodes >= 3);
    drop(mount);
    snapshot.remove().unwrap();
}

fn attached() {
    let directory = scratch();
    let store = store(directory.path());
    let ids = ingest(&store, &[vec![file("a", "1")]]);
    let at = directory.path().join("at");
    std::fs::create_dir(&at).unwrap();
    let before = mounts();
    let view = store.view("v", &ids).unwrap();
    let guard = view.mount(&MountOptions::default()).unwrap().attach(&at).unwrap();
    assert_eq!(std::fs::read_to_string(at.join("a")).unwrap(), "1");
    assert_eq!(mounts(), before + 1);
    guard.unmount().unwrap();
    assert_eq!(mounts(), before);
    drop(view.mount(&MountOptions::default()).unwrap().attach(&at).unwrap());
    assert_eq!(mounts(), before);
    assert!(!at.join("a").exists());
}

fn on_overlay() {
    let directory = scratch();
    let outer = store(directory.path());
    let snapshot = outer.snapshot("s", &[]).unwrap();
    let mount = snapshot.mount(&MountOptions::default()).unwrap();
    // As in a container whose root is an overlay mount.
    let inner = LayerStore::open(&by_descriptor(&mount).join("store")).unwrap();
    let ids = ingest(&inner, &[vec![file("a", "1")]]);
    let error = inner.snapshot("s", &ids).unwrap().mount(&MountOptions::default()).unwrap_err();
    assert!(matches!(error, Error::UpperOnOverlay { .. }), "{error}");
}

fn view() {
    let directory = scratch();
    let store = store(directory.path());
    let ids = ingest(&store, &[vec![file("a", "1")]]);
    let view = store.view("v", &ids).unwrap();
    let mount = view.mount(&MountOptions::default()).unwrap();
    let error = std::fs::write(by_descriptor(&mount).join("a"), "2").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    assert!(matches!(store.open_snapshot("v"), Err(Error::Invalid { .. })));
}

fn origins() {
    let directory = scratch();
    let store = store(directory.path());
    let layers = [
        vec![support::directory("d", 0o700), file("d/a", "1"), file("d/b", "1")],
        vec![file("d/b", "2"), delete("d/a")],
    ];
    let ids = ingest(&store, &layers);
    let snapshot = store.snapshot("s", &ids).unwrap();
    let mount = snapshot.mount(&MountOptions::default()).unwrap();
    std::fs::write(by_descriptor(&mount).join("d/c"), "3").unwrap();
    let origin = |path: &str| snapshot.origin(&path.parse().unwrap()).unwrap();
    assert_eq!(origin("d/a"), None);
    assert_eq!(origin("d/b"), Some(Origin::Layer(ids[1])));
    assert_eq!(origin("d/c"), Some(Origin::Upper));
    assert_eq!(origin("none"), None);
}
