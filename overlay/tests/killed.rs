//! Killed at every system call of applying, committing and deleting: what opening the store again finds.
//!
//! Each test runs this program again under `strace`, which kills it before one of its calls. `cargo test` tries a sample
//! of the calls; `WINDLASS_KILL=all cargo test -p windlass-overlay --test killed` tries every one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use support::{Layer, Listing, archive, delete, directory, file, hard_link, layer_listing, scratch, symlink};
use trial::{Test, need};
use windlass_overlay::{ApplyOptions, Durability, IdMap, LayerId, LayerStore, StoreOptions};

/// Names what the killed process does.
const ROLE: &str = "WINDLASS_OVERLAY_KILLED";
const BEGIN: &str = "/windlass/killed/begin";
const END: &str = "/windlass/killed/end";

const ROLES: [(&str, Role); 5] =
    [("apply", apply), ("commit", commit), ("delete", remove), ("stack", stack), ("sync", settle)];

/// Prepares, marks the beginning, does what is tested, marks the end.
type Role = fn(&LayerStore);

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(ROLE) {
        let (_, body) = ROLES.iter().find(|(name, _)| *name == role).expect("the role is one of them");
        body(&open(&std::env::temp_dir()));
        return ExitCode::SUCCESS;
    }
    let test = |name: &'static str, role: &'static str| {
        Test::new(name, move || sweep(role)).needs(need::program("strace")).needs(tracing)
    };
    trial::main(vec![
        test("killed while a layer is applied", "apply"),
        test("killed while layers are committed together", "commit"),
        test("killed while a layer is removed", "delete"),
        test("killed while a snapshot is made and removed", "stack"),
        test("killed while a layer is brought to disk later", "sync"),
    ])
}

fn tracing() -> Result<(), String> {
    match Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("needs to trace: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("needs strace: {error}")),
    }
}

fn open(directory: &Path) -> LayerStore {
    LayerStore::open_with(&directory.join("store"), StoreOptions::default()).unwrap()
}

fn options() -> ApplyOptions {
    ApplyOptions { id_map: IdMap::CurrentUser, ..ApplyOptions::default() }
}

fn layers() -> [Layer; 3] {
    [
        vec![directory("d", 0o755), file("d/a", "one"), symlink("l", "d"), hard_link("h", "d/a")],
        vec![delete("d/a"), file("d/b", &"two".repeat(9000))],
        vec![file("e/f/g", "three"), delete("gone")],
    ]
}

fn ingest(store: &LayerStore, number: usize) -> LayerId {
    store.ingest(&archive(&layers()[number])[..], &options()).unwrap()
}

/// A call that nothing else makes, for the trace.
fn mark(path: &str) {
    assert!(std::fs::symlink_metadata(path).is_err());
}

fn apply(store: &LayerStore) {
    mark(BEGIN);
    ingest(store, 0);
    mark(END);
}

fn commit(store: &LayerStore) {
    let staged = layers().map(|layer| store.stage(&archive(&layer)[..], &options()).unwrap());
    mark(BEGIN);
    store.commit(staged.into(), Durability::Group).unwrap();
    mark(END);
}

fn remove(store: &LayerStore) {
    let id = ingest(store, 0);
    ingest(store, 1);
    mark(BEGIN);
    store.remove_layer(id).unwrap();
    mark(END);
}

fn stack(store: &LayerStore) {
    let ids = [ingest(store, 0), ingest(store, 1)];
    mark(BEGIN);
    store.snapshot("s", &ids).unwrap().remove().unwrap();
    mark(END);
}

fn settle(store: &LayerStore) {
    let staged = store.stage(&archive(&layers()[0])[..], &options()).unwrap();
    store.commit(vec![staged], Durability::None).unwrap();
    mark(BEGIN);
    assert_eq!(store.sync().unwrap(), 1);
    mark(END);
}

/// This program in its role, under `strace` with these arguments.
fn traced(role: &str, directory: &Path, arguments: &[String]) -> std::process::ExitStatus {
    let output = Command::new("strace")
        .arg("-f")
        .args(arguments)
        .arg(std::env::current_exe().unwrap())
        .env(ROLE, role)
        .env("TMPDIR", directory)
        .output()
        .unwrap();
    let failed = output.status.code().is_some_and(|code| code != 0);
    assert!(!failed, "{arguments:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    output.status
}

/// Every call between the marks, with how many of its name the process had made then.
fn calls(role: &str) -> Vec<(String, usize)> {
    let directory = scratch();
    let log = directory.path().join("trace");
    let status = traced(role, directory.path(), &["-o".to_owned(), log.display().to_string()]);
    assert!(status.success());
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut calls = Vec::new();
    let mut is_inside = false;
    for line in std::fs::read_to_string(&log).unwrap().lines() {
        // A process number, then the call; what else is there tells of signals and ends.
        let Some((name, _)) = line.split_once(' ').and_then(|(_, call)| call.trim_start().split_once('(')) else {
            continue;
        };
        if !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            continue;
        }
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        is_inside = (is_inside || line.contains(BEGIN)) && !line.contains(END);
        if is_inside && !line.contains(BEGIN) {
            calls.push((name.to_owned(), *count));
        }
    }
    assert!(calls.len() > 10, "{role}: only {} calls were traced", calls.len());
    calls
}

/// The files of each layer as they are when nothing is killed.
fn whole() -> BTreeMap<LayerId, Listing> {
    let directory = scratch();
    let store = open(directory.path());
    let ids = [0, 1, 2].map(|number| ingest(&store, number));
    ids.map(|id| (id, layer_listing(&store, id))).into()
}

fn sweep(role: &str) {
    let calls = calls(role);
    let whole = whole();
    let is_complete = std::env::var("WINDLASS_KILL").is_ok_and(|wanted| wanted == "all");
    // Another offset for each role, so that the sample is not always the first call.
    let step = if is_complete { 1 } else { calls.len().div_ceil(5) };
    let mut killed = 0;
    for (name, count) in calls.iter().skip((step - 1) / 2).step_by(step) {
        let directory = scratch();
        let inject = format!("inject={name}:signal=KILL:when={count}");
        let arguments = ["--seccomp-bpf".to_owned(), "-o".to_owned(), "/dev/null".to_owned(), "-e".to_owned(), inject];
        // Allocation may take one call more or less than it took the first time.
        killed += usize::from(traced(role, directory.path(), &arguments).signal() == Some(9));
        recovered(directory.path(), &whole, &format!("{role} at {name} {count}"));
    }
    let tried = calls.len().div_ceil(step);
    let line = format!("{role}: {} calls, killed at {killed}\n", calls.len());
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).unwrap();
    assert!(killed * 10 >= tried * 9, "{role}: only {killed} of {tried} runs were killed");
}

/// Opening the store leaves whole layers and nothing else, and the store can be used.
fn recovered(directory: &Path, whole: &BTreeMap<LayerId, Listing>, when: &str) {
    let store = open(directory);
    for room in ["ingest", "trash"] {
        let left = std::fs::read_dir(directory.join("store").join(room)).unwrap().count();
        assert_eq!(left, 0, "{when}: {left} things are left in {room}");
    }
    for id in store.layers().unwrap() {
        let found = layer_listing(&store, id);
        assert_eq!(Some(&found), whole.get(&id), "{when}: {id} is not whole");
        store.layer(id).unwrap();
    }
    for key in store.snapshots().unwrap() {
        store.open_snapshot(&key).unwrap().remove().unwrap();
    }
    for number in 0..3 {
        ingest(&store, number);
    }
    assert_eq!(store.sync().unwrap(), 0, "{when}: taking a layer in again makes it durable");
    assert_eq!(store.gc(&[]).unwrap().len(), 3, "{when}");
    assert_eq!(open(directory).recovery(), windlass_overlay::Recovery::default(), "{when}");
}
