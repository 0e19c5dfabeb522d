//! A writer is killed at any moment, or its disk is full: every write that it was told of is there, and the order has no
//! hole.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use mini_orchestrator::store::{Expect, Fsync, Options, Revision, Store};
use tokio::runtime::Runtime;
use trial::{Test, need};

/// Names the file to which this program, started again by the test, writes until it is killed.
const WRITER: &str = "STORE_CRASH_WRITER";

/// Tells that program to flush now and then instead of at each commit.
const LAZY: &str = "STORE_CRASH_LAZY";

/// Names the folder with little room in which this program, started again by the test, fills a store.
const FILLER: &str = "STORE_CRASH_FILLER";

fn main() -> ExitCode {
    if let Some(path) = std::env::var_os(WRITER) {
        Runtime::new().unwrap().block_on(write_for_ever(path.as_ref()));
    }
    if let Some(folder) = std::env::var_os(FILLER) {
        Runtime::new().unwrap().block_on(fill(&Path::new(&folder).join("store")));
        return ExitCode::SUCCESS;
    }
    trial::main(vec![
        Test::new("acknowledged_writes_survive_a_kill", || kill_again_and_again(&[])),
        Test::new("without_a_flush_each_time_the_order_is_cut_at_its_end_only", || {
            kill_again_and_again(&[(LAZY, "yes")]);
        }),
        Test::new("a_full_disk_is_told_and_loses_nothing", a_full_disk_is_told_and_loses_nothing)
            .needs(need::root)
            .needs(need::program("unshare"))
            .needs(need::program("mount")),
    ])
}

async fn write_for_ever(path: &Path) {
    let lazy = Options { fsync: Fsync::Every(Duration::from_millis(1)), ..Options::default() };
    let options = if std::env::var_os(LAZY).is_some() { lazy } else { Options::default() };
    let store = Store::open(path, options).await.unwrap();
    for n in store.revision().0.. {
        let revision = store.put(&format!("/{}", n % 7), n.to_string().into_bytes(), Expect::Any).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "{revision}").unwrap();
        out.flush().unwrap();
    }
}

fn kill_again_and_again(more: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut head = 0;
    for round in 1..=5_u64 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(WRITER, &path).envs(more.iter().copied()).stdout(Stdio::piped());
        let mut writer = command.spawn().unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut lines = lines.map(|line| line.unwrap().parse::<u64>().unwrap());
        let mut acknowledged = lines.by_ref().take(usize::try_from(round * 9).unwrap()).last().unwrap();
        writer.kill().unwrap();
        // What it wrote between the last line that was read and the signal counts as well.
        acknowledged = lines.last().unwrap_or(acknowledged);
        writer.wait().unwrap();
        let before = head;
        head = Runtime::new().unwrap().block_on(check(&path));
        let least = if more.is_empty() { acknowledged } else { before };
        assert!((least..=acknowledged + 1).contains(&head), "head {head}, acknowledged {acknowledged}");
    }
    assert!(head >= 9, "{head}");
}

/// The events and the keys tell one order without holes; gives its length.
async fn check(path: &Path) -> u64 {
    let store = Store::open(path, Options::default()).await.unwrap();
    let head = store.revision().0;
    let mut watch = store.watch("/", Revision::ZERO);
    for expected in 1..=head {
        let event = watch.next().await.unwrap();
        assert_eq!((event.revision.0, &*event.value), (expected, (expected - 1).to_string().as_bytes()));
    }
    for (key, found) in store.list("/").await.unwrap().0 {
        assert!(found.revision.0 + 7 > head, "{key} was written last at {}", found.revision);
    }
    store.close().await.unwrap();
    head
}

fn a_full_disk_is_told_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // The file system lives in a mount namespace of its own, and ends with its last process.
    let script = "mount -t tmpfs -o size=4m none \"$STORE_CRASH_FILLER\" && exec \"$0\"";
    let filler = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(FILLER, folder.path())
        .output()
        .unwrap();
    assert!(filler.status.success(), "{}", String::from_utf8_lossy(&filler.stderr));
}

async fn fill(path: &Path) {
    let store = Store::open(path, Options::default()).await.unwrap();
    let mut acknowledged = 0_u64;
    let error = loop {
        match store.put(&format!("/{acknowledged}"), vec![7; 50_000], Expect::Absent).await {
            Ok(revision) => acknowledged = revision.0,
            Err(error) => break error,
        }
    };
    assert!(acknowledged > 10, "{acknowledged}");
    let causes: Vec<String> = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
        .map(ToString::to_string)
        .collect();
    assert!(causes.join(": ").contains("No space left on device"), "{causes:?}");
    assert_eq!(store.revision(), Revision(acknowledged), "what failed did not happen");
    assert!(store.put("/other", vec![7; 50_000], Expect::Any).await.is_err(), "still full");
    drop(store.close().await);

    let store = Store::open(path, Options::default()).await.unwrap();
    let (found, revision) = store.list("/").await.unwrap();
    assert_eq!((u64::try_from(found.len()).unwrap(), revision.0), (acknowledged, acknowledged));

    let room = Command::new("mount").args(["-o", "remount,size=8m"]).arg(path.parent().unwrap()).status().unwrap();
    assert!(room.success());
    assert_eq!(store.delete("/0", Expect::Any).await.unwrap(), Revision(acknowledged + 1));
}
