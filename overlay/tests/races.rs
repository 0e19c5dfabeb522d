//! Another process changes directories of a tree while it is read, copied or written: what lies outside is neither shown
//! nor touched.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::RenameFlags;
use support::{Layer, Listing, archive, file, listing, scratch};
use trial::{Test, need};
use windlass_overlay::{
    ApplyOptions, Durability, Entry, IdMap, Kind, LayerStore, Limits, MountOptions, RootKind, Snapshot, StoreOptions,
    Whiteouts, apply, tar,
};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("directories swapped while a layer is applied", applied).needs(need::root),
        Test::new("directories swapped where a tree is copied from", copied_from).needs(need::root),
        Test::new("directories swapped where a tree is copied to", copied_to).needs(need::root),
        Test::new("directories swapped while changes become an archive", archived).needs(need::root),
        Test::new("directories swapped while a tree is removed", removed).needs(need::root),
    ])
}

/// What must neither be read nor change.
const SECRET: &str = "alive";
/// Files of each directory that is swapped.
const FILES: usize = 20;

/// A folder with a canary, and the place for the tree whose directories are swapped.
struct Cage {
    directory: tempfile::TempDir,
    before: Listing,
}

impl Cage {
    fn new() -> Self {
        let directory = scratch();
        let outside = directory.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        // By the names that the tree has, so that whoever follows a link finds something; and no directory, which the
        // exchange itself would take away through a link.
        for number in 0..FILES {
            std::fs::write(outside.join(format!("f{number}")), SECRET).unwrap();
        }
        Self { before: listing(&outside), directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Does something so many times while `a` and `a/b` of a directory are exchanged with links to the outside, as often at
    /// least; whatever it did, the canary is as it was.
    fn race(&self, swapped: &Path, times: u64, mut act: impl FnMut()) {
        let link = swapped.join("evil");
        std::os::unix::fs::symlink(self.path("outside"), &link).unwrap();
        let (stop, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
        let mut acted = 0;
        let panicked = std::thread::scope(|scope| {
            scope.spawn(|| {
                let root = std::fs::File::open(swapped).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    for name in ["a", "a/b"] {
                        // What acts may be replacing one of them: then there is nothing to exchange.
                        if rustix::fs::renameat_with(&root, name, &root, "evil", RenameFlags::EXCHANGE).is_ok() {
                            swaps.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let deadline = std::time::Instant::now() + std::time::Duration::from_mins(2);
                while (acted < times || swaps.load(Ordering::Relaxed) < times) && std::time::Instant::now() < deadline {
                    act();
                    acted += 1;
                }
            }));
            stop.store(true, Ordering::Relaxed);
            result
        });
        if let Err(panicked) = panicked {
            std::panic::resume_unwind(panicked);
        }
        assert!(acted >= times && swaps.into_inner() >= times, "the race did not happen");
        assert!(listing(&self.path("outside")) == self.before, "the canary was touched");
    }
}

/// Files in `a` and in `a/b`.
fn tree() -> Layer {
    ["a", "a/b"]
        .iter()
        .flat_map(|directory| (0..FILES).map(move |number| file(&format!("{directory}/f{number}"), "inside")))
        .collect()
}

fn options() -> ApplyOptions {
    ApplyOptions { id_map: IdMap::CurrentUser, ..ApplyOptions::default() }
}

/// A snapshot of no layer, with the tree in its writable directory.
fn snapshot(cage: &Cage) -> (LayerStore, Snapshot) {
    let of_store = StoreOptions { durability: Durability::None, ..StoreOptions::default() };
    let store = LayerStore::open_with(&cage.path("store"), of_store).unwrap();
    let snapshot = store.snapshot("s", &[]).unwrap();
    let options = ApplyOptions { whiteouts: Whiteouts::Execute, ..options() };
    apply(&archive(&tree())[..], &snapshot.path().join("upper"), &options).unwrap();
    (store, snapshot)
}

fn applied() {
    let cage = Cage::new();
    let target = cage.path("target");
    std::fs::create_dir_all(target.join("a/b")).unwrap();
    let layer = archive(&tree());
    let options = ApplyOptions { whiteouts: Whiteouts::Execute, ..options() };
    // It may fail, as whatever it stands on moves away; where it wrote is what counts.
    cage.race(&target, 30, || drop(apply(&layer[..], &target, &options)));
}

fn copied_from() {
    let cage = Cage::new();
    let (_store, snapshot) = snapshot(&cage);
    let to = cage.path("to");
    cage.race(&snapshot.path().join("upper"), 40, || {
        std::fs::create_dir(&to).unwrap();
        drop(snapshot.root(&to, &[RootKind::Copy], &MountOptions::default()));
        for (entry, content) in listing(&to) {
            assert!(*content != *SECRET.as_bytes(), "{} was read outside", entry.path);
        }
        std::fs::remove_dir_all(&to).unwrap();
    });
}

fn copied_to() {
    let cage = Cage::new();
    let (_store, snapshot) = snapshot(&cage);
    let to = cage.path("to");
    std::fs::create_dir(&to).unwrap();
    cage.race(&to, 40, || {
        // A copy wants an empty directory: what exchanges puts its own there again.
        for entry in std::fs::read_dir(&to).unwrap() {
            let path = entry.unwrap().path();
            drop(std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path)));
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // As soon as the copy has begun.
                for _ in 0..100_000 {
                    if to.join("a").exists() {
                        drop(std::os::unix::fs::symlink(cage.path("outside"), to.join("evil")));
                        break;
                    }
                    std::thread::yield_now();
                }
            });
            drop(snapshot.root(&to, &[RootKind::Copy], &MountOptions::default()));
        });
    });
}

fn archived() {
    let cage = Cage::new();
    let (_store, snapshot) = snapshot(&cage);
    cage.race(&snapshot.path().join("upper"), 400, || {
        // An archive that was broken off has what was written into it until then.
        let mut written = Vec::new();
        drop(snapshot.write_diff(&mut written));
        written.resize(written.len().next_multiple_of(512) + 1024, 0);
        let mut reader = tar::Reader::new(&written[..], Limits::default());
        while let Ok(Some(Entry { path, kind, .. })) = reader.next_entry() {
            let mut content = [0; 64];
            if let (Kind::File { .. }, Ok(Some(chunk))) = (kind, reader.read_chunk(&mut content)) {
                assert!(content[..chunk.length] != *SECRET.as_bytes(), "{path} was read outside");
            }
        }
    });
}

fn removed() {
    let cage = Cage::new();
    let target = cage.path("target");
    std::fs::create_dir_all(target.join("a/b")).unwrap();
    let layer = archive(&tree());
    let gone = archive(&[support::delete("a"), file("a/b/f0", "")]);
    let options = ApplyOptions { whiteouts: Whiteouts::Execute, ..options() };
    cage.race(&target, 30, || {
        drop(apply(&layer[..], &target, &options));
        drop(apply(&gone[..], &target, &options));
        // Where the exchange left a link for good, there is nothing to exchange any more.
        if !target.join("evil").is_symlink() && !target.join("a").is_symlink() {
            drop(std::os::unix::fs::symlink(cage.path("outside"), target.join("evil")));
        }
    });
}
