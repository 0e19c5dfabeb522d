//! Another process changes directories of a tree while it is read, copied or written: what lies outside is neither shown
//! nor touched.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

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

    /// Does something so many times while `a` and `a/b` of a directory are exchanged with a link to the outside, as often at
    /// least; before each time, while nothing is exchanged, the directory is prepared. Whatever was done, the canary is as
    /// it was.
    fn race(&self, swapped: &Path, times: u64, mut prepare: impl FnMut(), mut act: impl FnMut()) {
        let (stop, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
        let turn = AtomicU8::new(RESTS);
        let wait_for = |state| {
            while turn.load(Ordering::Acquire) != state {
                std::thread::yield_now();
            }
        };
        let panicked = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (root, cage) = (File::open(swapped).unwrap(), File::open(self.directory.path()).unwrap());
                while !stop.load(Ordering::Relaxed) {
                    if turn.load(Ordering::Acquire) != EXCHANGES {
                        turn.store(RESTS, Ordering::Release);
                        std::thread::yield_now();
                        continue;
                    }
                    for name in ["a", "a/b"] {
                        // What acts may be replacing one of them: then there is nothing to exchange.
                        if rustix::fs::renameat_with(&root, name, &cage, "evil", RenameFlags::EXCHANGE).is_ok() {
                            swaps.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let mut acted = 0;
                while acted < times || swaps.load(Ordering::Relaxed) < times {
                    self.lay_out(swapped);
                    prepare();
                    turn.store(EXCHANGES, Ordering::Release);
                    act();
                    acted += 1;
                    turn.store(SHOULD_REST, Ordering::Release);
                    wait_for(RESTS);
                }
            }));
            stop.store(true, Ordering::Relaxed);
            result
        });
        if let Err(panicked) = panicked {
            std::panic::resume_unwind(panicked);
        }
        assert!(listing(&self.path("outside")) == self.before, "the canary was touched");
    }

    /// The link lies ready, and none is in the directory.
    fn lay_out(&self, swapped: &Path) {
        let evil = self.path("evil");
        for path in [&evil, &swapped.join("a"), &swapped.join("a/b")] {
            if path.is_symlink() {
                std::fs::remove_file(path).unwrap();
            }
        }
        if evil.exists() {
            std::fs::remove_dir_all(&evil).unwrap();
        }
        std::os::unix::fs::symlink(self.path("outside"), &evil).unwrap();
    }
}

/// What the thread that exchanges does, or is asked to.
const RESTS: u8 = 0;
const SHOULD_REST: u8 = 1;
const EXCHANGES: u8 = 2;

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

/// A snapshot of no layer.
fn snapshot(cage: &Cage) -> (LayerStore, Snapshot) {
    let of_store = StoreOptions { durability: Durability::None, ..StoreOptions::default() };
    let store = LayerStore::open_with(&cage.path("store"), of_store).unwrap();
    let snapshot = store.snapshot("s", &[]).unwrap();
    (store, snapshot)
}

/// Writes the tree into a directory.
fn fill(directory: &Path) {
    let options = ApplyOptions { whiteouts: Whiteouts::Execute, ..options() };
    apply(&archive(&tree())[..], directory, &options).unwrap();
}

fn applied() {
    let cage = Cage::new();
    let target = cage.path("target");
    std::fs::create_dir(&target).unwrap();
    let layer = archive(&tree());
    let options = ApplyOptions { whiteouts: Whiteouts::Execute, ..options() };
    let prepare = || std::fs::create_dir_all(target.join("a/b")).unwrap();
    // It may fail, as whatever it stands on moves away; where it wrote is what counts.
    cage.race(&target, 60, prepare, || drop(apply(&layer[..], &target, &options)));
}

fn copied_from() {
    let cage = Cage::new();
    let (_store, snapshot) = snapshot(&cage);
    let (to, upper) = (cage.path("to"), snapshot.path().join("upper"));
    let prepare = || {
        fill(&upper);
        std::fs::create_dir(&to).unwrap();
    };
    cage.race(&upper, 60, prepare, || {
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
    fill(&snapshot.path().join("upper"));
    let to = cage.path("to");
    std::fs::create_dir(&to).unwrap();
    let prepare = || {
        // A copy wants an empty directory.
        if to.join("a").exists() {
            std::fs::remove_dir_all(to.join("a")).unwrap();
        }
    };
    cage.race(&to, 60, prepare, || drop(snapshot.root(&to, &[RootKind::Copy], &MountOptions::default())));
}

fn archived() {
    let cage = Cage::new();
    let (_store, snapshot) = snapshot(&cage);
    let upper = snapshot.path().join("upper");
    cage.race(
        &upper,
        200,
        || fill(&upper),
        || {
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
        },
    );
}

fn removed() {
    let cage = Cage::new();
    let target = cage.path("target");
    std::fs::create_dir(&target).unwrap();
    let gone = archive(&[support::delete("a")]);
    let options = ApplyOptions { whiteouts: Whiteouts::Execute, ..options() };
    // Little is there, so that what is looked at is mostly what is exchanged.
    let prepare = || std::fs::create_dir_all(target.join("a/b")).unwrap();
    cage.race(&target, 300, prepare, || drop(apply(&gone[..], &target, &options)));
}
