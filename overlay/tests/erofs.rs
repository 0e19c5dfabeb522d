//! Layers as EROFS images: the kernel shows what the model shows, and the archive comes back.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use support::{archive, assert_same, by_descriptor, check, delete, directory, file, gnu_tar, hard_link, layers};
use support::{listing, put, scratch, symlink, tree};
use trial::{Test, need};
use windlass_overlay::{
    ApplyOptions, Devices, Durability, Error, Fault, ImageTier, Kind, LayerFormat, LayerId, LayerStore, LowerTier,
    MountOptions, StoreOptions, Whiteouts, apply,
};

fn main() -> ExitCode {
    let test = |name, body: fn()| Test::new(name, body).needs(need::root).needs(erofs);
    trial::main(vec![
        test("the kernel shows images as the model does", shown),
        test("the kernel shows merged images as the model does", merged),
        test("files of every size are the archive's", contents),
        test("the archive comes back byte for byte", returned),
        test("sparse files and files off the blocks", sparse).needs(gnu_tar),
        test("images by file", || tier(ImageTier::File)).needs(file_backed),
        test("images by loop device", || tier(ImageTier::Loop)),
        test("an image without its superblock is none", unfinished),
        test("links and directories of lower layers", lower),
        test("a chain's image goes with its layers", chains),
        test("trees and images in one stack", mixed),
        test("what others' tools read", others).needs(need::program("bsdtar")),
    ])
}

/// The kernel mounts an image; a module that is not loaded is named.
fn erofs() -> Result<(), String> {
    let directory = scratch();
    let store = store(directory.path(), LayerFormat::ErofsTar);
    let layer = store.ingest(&archive(&[file("a", "1")])[..], &ApplyOptions::default()).unwrap();
    match store.open_tree(layer) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("needs EROFS: {error}")),
    }
}

/// The kernel mounts an image without a block device: one that is configured so, from 6.12 on.
fn file_backed() -> Result<(), String> {
    let directory = scratch();
    let store = tiered(directory.path(), ImageTier::File);
    let layer = store.ingest(&archive(&[file("a", "1")])[..], &ApplyOptions::default()).unwrap();
    store.open_tree(layer).map(drop).map_err(|error| format!("needs EROFS images backed by files: {error}"))
}

fn tiered(directory: &Path, tier: ImageTier) -> LayerStore {
    let options = StoreOptions {
        durability: Durability::None,
        format: LayerFormat::ErofsTar,
        images: Some(tier),
        ..StoreOptions::default()
    };
    LayerStore::open_with(&directory.join("store"), options).unwrap()
}

fn store(directory: &Path, format: LayerFormat) -> LayerStore {
    let options = StoreOptions { durability: Durability::None, format, ..StoreOptions::default() };
    LayerStore::open_with(&directory.join("store"), options).unwrap()
}

fn options() -> ApplyOptions {
    ApplyOptions { devices: Devices::Create, ..ApplyOptions::default() }
}

fn ingest(store: &LayerStore, layers: &[support::Layer]) -> windlass_overlay::Result<Vec<LayerId>> {
    layers.iter().map(|layer| store.ingest(&archive(layer)[..], &options())).collect()
}

fn shown() {
    let shown = std::cell::Cell::new(0);
    check(40, &layers(), |layers| {
        let directory = scratch();
        let store = store(directory.path(), LayerFormat::ErofsTar);
        let view = match ingest(&store, &layers).and_then(|ids| store.view("v", &ids)) {
            Ok(view) => view,
            Err(Error::Ambiguous { .. } | Error::Archive { fault: Fault::HardLink, .. }) => return,
            Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
        };
        let mount = view.mount(&MountOptions::default()).unwrap();
        assert_same(listing(&by_descriptor(&mount)), tree(&layers).unwrap().entries());
        shown.set(shown.get() + 1);
    });
    assert!(shown.get() > 20, "only {} stacks were shown", shown.get());
}

fn merged() {
    check(40, &layers(), |layers| {
        let directory = scratch();
        let store = store(directory.path(), LayerFormat::ErofsMerged);
        let ids = match ingest(&store, &layers) {
            Ok(ids) => ids,
            Err(Error::Archive { fault: Fault::HardLink, .. }) => return,
            Err(error) => panic!("{error}"),
        };
        // A chain is one tree: there is nothing that its layers could not tell.
        let view = store.view("v", &ids).unwrap();
        let mount = view.mount(&MountOptions::default()).unwrap();
        assert_same(listing(&by_descriptor(&mount)), tree(&layers).unwrap().entries());
    });
}

fn contents() {
    let sizes = [0, 1, 511, 512, 513, 4095, 4096, 4097, 100_000, 1_000_001];
    let layer: support::Layer = sizes
        .iter()
        .map(|size| file(&format!("d/f{size}"), &"0123456789abcdef".repeat(size / 16 + 1)[..*size]))
        .chain((0..2000).map(|number| file(&format!("many/{number:0>20}"), "x")))
        .collect();
    for format in [LayerFormat::ErofsTar, LayerFormat::ErofsMerged] {
        let directory = scratch();
        let store = store(directory.path(), format);
        let ids = ingest(&store, std::slice::from_ref(&layer)).unwrap();
        let snapshot = store.snapshot("s", &ids).unwrap();
        let mount = snapshot.mount(&MountOptions::default()).unwrap();
        assert_same(listing(&by_descriptor(&mount)), tree(std::slice::from_ref(&layer)).unwrap().entries());
        std::fs::write(by_descriptor(&mount).join("d/f513"), "written").unwrap();
        assert_eq!(std::fs::read_to_string(by_descriptor(&mount).join("d/f513")).unwrap(), "written");
        drop(mount);
        assert_eq!(snapshot.diff().unwrap().len(), 2);
    }
}

fn returned() {
    let directory = scratch();
    let store = store(directory.path(), LayerFormat::ErofsTar);
    let mut bytes = archive(&[file("a", &"content".repeat(1000)), delete("b"), put("p", Kind::Fifo, 0o600)]);
    // Writers fill the last record up with zeros, as many as they like.
    bytes.resize(bytes.len() + 700, 0);
    let layer = store.ingest(&bytes[..], &options()).unwrap();
    let mut found = Vec::new();
    store.archive(layer).unwrap().read_to_end(&mut found).unwrap();
    assert!(found == bytes, "{} bytes against {}", found.len(), bytes.len());
    store.verify(layer).unwrap();
    let image = directory.path().join("store/layers").join(layer.hex()).join("image");
    assert_eq!(std::fs::read_dir(image.parent().unwrap()).unwrap().count(), 2, "one image and its record");
    let file = std::fs::File::options().write(true).open(image).unwrap();
    file.write_all_at(b"X", 4096 + 700).unwrap();
    assert!(matches!(store.verify(layer), Err(Error::Mismatch { .. })));
}

fn sparse() {
    let directory = scratch();
    let root = directory.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let holes = std::fs::File::create(root.join("holes")).unwrap();
    for place in [0, 70_000, 900_000] {
        holes.write_all_at(b"some data", place).unwrap();
    }
    holes.set_len(1 << 30).unwrap();
    for version in ["0.0", "0.1", "1.0"] {
        let to = directory.path().join("archive");
        let made = Command::new("tar")
            .args(["-S", "--format=posix", &format!("--sparse-version={version}"), "-cf"])
            .args([&to, Path::new("-C"), &root, Path::new("holes")])
            .status();
        assert!(made.unwrap().success());
        for format in [LayerFormat::ErofsTar, LayerFormat::ErofsMerged] {
            let directory = scratch();
            let store = store(directory.path(), format);
            let layer = store.ingest(std::fs::File::open(&to).unwrap(), &options()).unwrap();
            let view = store.view("v", &[layer]).unwrap();
            let mount = view.mount(&MountOptions::default()).unwrap();
            let found = std::fs::File::open(by_descriptor(&mount).join("holes")).unwrap();
            assert_eq!(found.metadata().unwrap().len(), 1 << 30);
            for place in [0, 70_000, 900_000] {
                let mut bytes = [0; 10];
                found.read_exact_at(&mut bytes, place).unwrap();
                assert_eq!(&bytes, b"some data\0", "{version} at {place}");
            }
            let image = std::fs::metadata(directory.path().join("store/layers").join(layer.hex()).join("image"));
            assert!(std::os::unix::fs::MetadataExt::blocks(&image.unwrap()) < 2000, "holes cost nothing");
        }
    }
}

fn tier(images: ImageTier) {
    let layer = vec![file("a", "1"), directory("d", 0o700)];
    let directory = scratch();
    let store = tiered(directory.path(), images);
    let ids = ingest(&store, std::slice::from_ref(&layer)).unwrap();
    for lowers in [None, Some(LowerTier::Attached)] {
        let view = store.view("v", &ids).unwrap();
        let mount = view.mount(&MountOptions { lowers, ..MountOptions::default() }).unwrap();
        assert_same(listing(&by_descriptor(&mount)), tree(std::slice::from_ref(&layer)).unwrap().entries());
        // Once more, while the other is there.
        drop(view.mount(&MountOptions { lowers, ..MountOptions::default() }).unwrap());
        drop(mount);
        view.remove().unwrap();
    }
}

fn unfinished() {
    let directory = scratch();
    let store = store(directory.path(), LayerFormat::ErofsTar);
    let ids = ingest(&store, &[vec![file("a", "1")]]).unwrap();
    let image = directory.path().join("store/layers").join(ids[0].hex()).join("image");
    let file = std::fs::File::options().read(true).write(true).open(image).unwrap();
    let mut superblock = [0; 128];
    file.read_exact_at(&mut superblock, 1024).unwrap();
    for (wrong, why) in [([0; 128], "nothing"), ([superblock[0]; 128], "nonsense")] {
        file.write_all_at(&wrong, 1024).unwrap();
        assert!(store.open_tree(ids[0]).is_err(), "{why} was mounted");
    }
    let mut flipped = superblock;
    flipped[36] ^= 1;
    file.write_all_at(&flipped, 1024).unwrap();
    assert!(store.open_tree(ids[0]).is_err(), "the checksum covers the superblock");
    file.write_all_at(&superblock, 1024).unwrap();
    store.open_tree(ids[0]).unwrap();
}

fn lower() {
    let layers = [
        vec![directory("usr", 0o711), directory("usr/lib", 0o750), symlink("lib", "usr/lib"), file("usr/lib/a", "1")],
        vec![file("lib/c", "2"), hard_link("linked", "usr/lib/a"), hard_link("again", "usr/lib/a")],
    ];
    for format in [LayerFormat::ErofsTar, LayerFormat::ErofsMerged] {
        let directory = scratch();
        let store = store(directory.path(), format);
        let ids = ingest(&store, &layers).unwrap();
        let view = store.view("v", &ids).unwrap();
        let mount = view.mount(&MountOptions::default()).unwrap();
        let root = by_descriptor(&mount);
        assert_eq!(std::fs::read_to_string(root.join("usr/lib/c")).unwrap(), "2");
        assert_eq!(std::fs::read_to_string(root.join("again")).unwrap(), "1");
        if format == LayerFormat::ErofsMerged {
            assert_same(listing(&root), tree(&layers).unwrap().entries());
        }
    }
}

fn chains() {
    let directory = scratch();
    let store = store(directory.path(), LayerFormat::ErofsMerged);
    let ids = ingest(&store, &[vec![file("a", "1")], vec![file("b", "2"), delete("a")]]).unwrap();
    let chains = || std::fs::read_dir(directory.path().join("store/chains")).unwrap().count();
    let first = store.view("v", &ids).unwrap();
    let second = store.snapshot("s", &ids).unwrap();
    assert_eq!(chains(), 1, "both have the same");
    assert!(matches!(store.remove_layer(ids[0]), Err(Error::Busy { .. })));
    first.remove().unwrap();
    second.remove().unwrap();
    assert_eq!(store.gc(&[]).unwrap().len(), 2);
    assert_eq!(chains(), 0);
}

fn mixed() {
    let layers = [vec![file("d/a", "1"), file("d/b", "1")], vec![delete("d/a"), file("c", "2")]];
    let directory = scratch();
    let lower = store(directory.path(), LayerFormat::default()).ingest(&archive(&layers[0])[..], &options()).unwrap();
    let store = store(directory.path(), LayerFormat::ErofsTar);
    let upper = store.ingest(&archive(&layers[1])[..], &options()).unwrap();
    let view = store.view("v", &[lower, upper]).unwrap();
    let mount = view.mount(&MountOptions::default()).unwrap();
    assert_same(listing(&by_descriptor(&mount)), tree(&layers).unwrap().entries());
}

/// An archive that nobody here wrote.
fn others() {
    let directory = scratch();
    let root = directory.path().join("root");
    for number in 0..300 {
        let path = root.join(format!("d{}/{}", number % 7, "n".repeat(number % 200 + 1)));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, vec![b'x'; number * 31]).unwrap();
        if number % 9 == 0 {
            std::fs::hard_link(&path, root.join(format!("hard{number}"))).unwrap();
        }
    }
    let to = directory.path().join("archive");
    let made = Command::new("bsdtar").args([Path::new("-cf"), &to, Path::new("-C"), &root, Path::new(".")]).status();
    assert!(made.unwrap().success());
    let store = store(directory.path(), LayerFormat::ErofsMerged);
    let layer = store.ingest(std::fs::File::open(&to).unwrap(), &options()).unwrap();
    let view = store.view("v", &[layer]).unwrap();
    let mount = view.mount(&MountOptions::default()).unwrap();
    let plain = directory.path().join("plain");
    std::fs::create_dir(&plain).unwrap();
    let execute = ApplyOptions { whiteouts: Whiteouts::Execute, ..options() };
    apply(std::fs::File::open(&to).unwrap(), &plain, &execute).unwrap();
    assert_same(listing(&by_descriptor(&mount)), listing(&plain));
}
