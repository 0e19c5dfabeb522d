//! The store against a plain map, its watches, its limits, and what a reopened file holds.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use mini_orchestrator::store::{EventKind, Expect, Fsync, Options, Revision, Store, StoreError, VALUE_BYTES_MAX};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::Runtime;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    (folder, path)
}

async fn open() -> (TempDir, Store) {
    let (folder, path) = place();
    (folder, Store::open(&path, Options::default()).await.unwrap())
}

#[tokio::test]
async fn each_write_is_one_revision_and_a_wrong_expectation_none() {
    let (_folder, store) = open().await;
    assert_eq!(store.put("/a", b"1".to_vec(), Expect::Absent).await.unwrap(), Revision(1));
    let again = store.put("/a", b"2".to_vec(), Expect::Absent).await.unwrap_err();
    assert_eq!(again.to_string(), "/a: expected Absent, found revision 1");
    assert_eq!(store.put("/a", b"2".to_vec(), Expect::Revision(Revision(1))).await.unwrap(), Revision(2));
    let stale = store.delete("/a", Expect::Revision(Revision(1))).await.unwrap_err();
    assert!(matches!(stale, StoreError::Conflict { found: Some(Revision(2)), .. }), "{stale}");
    assert_eq!(store.put("/a", b"3".to_vec(), Expect::Any).await.unwrap(), Revision(3));
    assert_eq!(store.delete("/a", Expect::Revision(Revision(3))).await.unwrap(), Revision(4));
    let gone = store.delete("/a", Expect::Any).await.unwrap_err();
    assert!(matches!(gone, StoreError::NotFound { .. }), "{gone}");
    assert_eq!(store.get("/a").await.unwrap(), None);
    assert_eq!(store.revision(), Revision(4));
}

#[tokio::test]
async fn a_list_holds_its_prefix_in_order_and_nothing_beside_it() {
    let (_folder, store) = open().await;
    for key in ["/pods/b", "/pods/a", "/pods", "/podsx", "/pods/é", "/q"] {
        store.put(key, Vec::new(), Expect::Absent).await.unwrap();
    }
    let (found, revision) = store.list("/pods/").await.unwrap();
    let keys: Vec<_> = found.iter().map(|(key, versioned)| (key.as_str(), versioned.revision.0)).collect();
    assert_eq!(keys, [("/pods/a", 2), ("/pods/b", 1), ("/pods/é", 5)]);
    assert_eq!(revision, Revision(6));
}

#[tokio::test]
async fn limits_are_told() {
    let (_folder, store) = open().await;
    let cases = [
        (String::new(), 0, "key of 0 bytes: the limit is 1024, and a key has at least one"),
        ("k".repeat(1025), 0, "key of 1025 bytes: the limit is 1024, and a key has at least one"),
        (
            "k".to_owned(),
            VALUE_BYTES_MAX + 1,
            "value of 1572865 bytes: the limit is 1572864, and a key has at least one",
        ),
    ];
    for (key, bytes, message) in cases {
        assert_eq!(store.put(&key, vec![0; bytes], Expect::Any).await.unwrap_err().to_string(), message);
    }
    assert_eq!(store.put(&"k".repeat(1024), vec![0; VALUE_BYTES_MAX], Expect::Any).await.unwrap(), Revision(1));
}

#[tokio::test]
async fn a_watch_tells_every_change_of_its_prefix_with_the_last_value_of_a_deleted_key() {
    let (_folder, store) = open().await;
    let start = store.put("/b", b"0".to_vec(), Expect::Any).await.unwrap();
    store.put("/a/x", b"1".to_vec(), Expect::Any).await.unwrap();
    let mut watch = store.watch("/a/", start);
    store.put("/b", b"2".to_vec(), Expect::Any).await.unwrap();
    store.put("/a/x", b"3".to_vec(), Expect::Any).await.unwrap();
    store.delete("/a/x", Expect::Any).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        let event = watch.next().await.unwrap();
        told.push((event.kind, event.key.clone(), event.value.to_vec(), event.revision.0));
    }
    let expected = [
        (EventKind::Created, "/a/x".to_owned(), b"1".to_vec(), 2),
        (EventKind::Updated, "/a/x".to_owned(), b"3".to_vec(), 4),
        (EventKind::Deleted, "/a/x".to_owned(), b"3".to_vec(), 5),
    ];
    assert_eq!(told, expected);
    let nothing = tokio::time::timeout(Duration::from_millis(20), watch.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_and_a_slow_watch_make_one_order_without_gaps() {
    let (_folder, store) = open().await;
    let mut watch = store.watch("/w/", Revision::ZERO);
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..40 {
                    store.put(&format!("/w/{writer}"), vec![n], Expect::Any).await.unwrap();
                }
            })
        })
        .collect();
    let mut last = [None; 16];
    for expected in 1..=640 {
        let event = watch.next().await.unwrap();
        assert_eq!(event.revision, Revision(expected));
        let writer: usize = event.key["/w/".len()..].parse().unwrap();
        assert_eq!(event.value[0], last[writer].map_or(0, |last: u8| last + 1), "the order of one writer");
        last[writer] = Some(event.value[0]);
        if expected % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writers_that_expect_the_same_revision_one_wins() {
    let (_folder, store) = open().await;
    let start = store.put("/n", b"0".to_vec(), Expect::Any).await.unwrap();
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.put("/n", b"1".to_vec(), Expect::Revision(start)).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for one in tries {
        won += u32::from(one.await.unwrap());
    }
    assert_eq!(won, 1);
    assert_eq!(store.revision(), Revision(2));
}

#[tokio::test]
async fn a_watch_from_before_the_kept_events_is_told_so_also_after_reopening() {
    let (_folder, path) = place();
    let options = Options { events_max: 3, ..Options::default() };
    let store = Store::open(&path, options).await.unwrap();
    for n in 0..10 {
        store.put("/k", vec![n], Expect::Any).await.unwrap();
    }
    for reopened in [false, true] {
        let store = if reopened {
            store.close().await.unwrap();
            Store::open(&path, options).await.unwrap()
        } else {
            store.clone()
        };
        let late = store.watch("/", Revision(6)).next().await.unwrap_err();
        assert_eq!(late.to_string(), "events after revision 6 are gone up to revision 7");
        let mut watch = store.watch("/", Revision(7));
        for n in 7..10 {
            assert_eq!(&*watch.next().await.unwrap().value, [n]);
        }
    }
}

#[tokio::test]
async fn closing_ends_handles_and_watches_and_frees_the_file() {
    let (_folder, path) = place();
    let store = Store::open(&path, Options::default()).await.unwrap();
    let other = Store::open(&path, Options::default()).await.unwrap_err();
    assert!(matches!(other, StoreError::Storage { op: "open", .. }), "{other:?}");
    let clone = store.clone();
    let mut watch = store.watch("", Revision::ZERO);
    store.put("/a", Vec::new(), Expect::Any).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(watch.next().await.unwrap().revision, Revision(1));
    assert!(matches!(watch.next().await, Err(StoreError::Closed)));
    assert!(matches!(clone.get("/a").await, Err(StoreError::Closed)));
    assert!(matches!(clone.put("/a", Vec::new(), Expect::Any).await, Err(StoreError::Closed)));
    assert!(matches!(clone.close().await, Err(StoreError::Closed)));
    let again = Store::open(&path, Options::default()).await.unwrap();
    assert_eq!(again.put("/b", Vec::new(), Expect::Absent).await.unwrap(), Revision(2));
}

#[tokio::test]
async fn a_bad_place_names_it() {
    let error = Store::open("/proc/no-such/store".as_ref(), Options::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot open /proc/no-such/store");
    let (_folder, path) = place();
    std::fs::write(&path, vec![7; 8192]).unwrap();
    assert!(Store::open(&path, Options::default()).await.is_err(), "a file of something else is refused");
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8, Expected),
    Delete(u8, Expected),
    Reopen,
}

#[derive(Debug, Clone, Copy)]
enum Expected {
    Any,
    Absent,
    Current,
    Stale,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let expected =
        || prop_oneof![Just(Expected::Any), Just(Expected::Absent), Just(Expected::Current), Just(Expected::Stale)];
    let step = prop_oneof![
        10 => (0..5_u8, any::<u8>(), expected()).prop_map(|(key, value, expect)| Step::Put(key, value, expect)),
        5 => (0..5_u8, expected()).prop_map(|(key, expect)| Step::Delete(key, expect)),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..60)
}

/// What the store must hold: the plainest thing that can.
#[derive(Default)]
struct Model {
    current: BTreeMap<String, (u8, u64)>,
    head: u64,
}

impl Model {
    fn expect(&self, key: &str, expected: Expected) -> (Expect, bool) {
        let at = self.current.get(key).map(|(_, revision)| *revision);
        match expected {
            Expected::Any => (Expect::Any, true),
            Expected::Absent => (Expect::Absent, at.is_none()),
            Expected::Current => (Expect::Revision(Revision(at.unwrap_or(u64::MAX))), at.is_some()),
            Expected::Stale => (Expect::Revision(Revision(at.unwrap_or(0) + 1000)), false),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_store_is_a_map_with_one_order(steps in steps(), every in any::<bool>()) {
        let fsync = if every { Fsync::Every(Duration::from_millis(1)) } else { Fsync::EachCommit };
        let options = Options { fsync, ..Options::default() };
        Runtime::new().unwrap().block_on(compare(steps, options));
    }
}

async fn compare(steps: Vec<Step>, options: Options) {
    let (_folder, path) = place();
    let mut store = Store::open(&path, options).await.unwrap();
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Put(key, value, expected) => {
                let key = format!("/{key}");
                let (expect, accepted) = model.expect(&key, expected);
                let answer = store.put(&key, vec![value], expect).await;
                assert_eq!(answer.is_ok(), accepted, "{answer:?}");
                if accepted {
                    model.head += 1;
                    assert_eq!(answer.unwrap().0, model.head);
                    model.current.insert(key, (value, model.head));
                }
            }
            Step::Delete(key, expected) => {
                let key = format!("/{key}");
                let (expect, accepted) = model.expect(&key, expected);
                let accepted = accepted && model.current.contains_key(&key);
                assert_eq!(store.delete(&key, expect).await.is_ok(), accepted);
                if accepted {
                    model.head += 1;
                    model.current.remove(&key);
                }
            }
            Step::Reopen => {
                store.close().await.unwrap();
                store = Store::open(&path, options).await.unwrap();
            }
        }
    }
    let (found, revision) = store.list("/").await.unwrap();
    let found: BTreeMap<_, _> =
        found.into_iter().map(|(key, found)| (key, (found.value[0], found.revision.0))).collect();
    assert_eq!((found, revision.0), (model.current.clone(), model.head));

    let mut replayed = BTreeMap::new();
    let mut watch = store.watch("/", Revision::ZERO);
    for expected in 1..=model.head {
        let event = watch.next().await.unwrap();
        assert_eq!(event.revision.0, expected);
        let before = match event.kind {
            EventKind::Deleted => replayed.remove(&event.key),
            _ => replayed.insert(event.key.clone(), (event.value[0], expected)),
        };
        assert_eq!(before.is_none(), event.kind == EventKind::Created);
    }
    assert_eq!(replayed, model.current, "the events lead to the state");
}
