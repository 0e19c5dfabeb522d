use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::entry::{DeviceKind, DeviceNumber, Timestamp};

/// Few names, so that layers meet each other's.
fn path() -> impl Strategy<Value = SafePath> {
    vec("[abc]", 1..4).prop_map(|parts| parts.join("/").parse().expect("letters make a path"))
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let xattrs = btree_map(Just(b"user.x"[..].into()), vec(any::<u8>(), 0..3).prop_map(Into::into), 0..2);
    (0..0o7777_u32, 0..3_u32, 0..3_i64, xattrs).prop_map(|(mode, uid, seconds, xattrs)| {
        let mtime = Timestamp { seconds, nanoseconds: 0 };
        Metadata { mode, uid, gid: uid, mtime, xattrs }
    })
}

fn change() -> impl Strategy<Value = (Change, Arc<[u8]>)> {
    let target = prop_oneof![Just("/a"), Just("b/c"), Just("../a"), Just("."), Just("c/../b")];
    (0..12, path(), path(), metadata(), vec(any::<u8>(), 0..3), target).prop_map(
        |(which, path, other, metadata, content, target)| {
            let kind = match which {
                0 => return (Change::Delete(path), Arc::default()),
                1 => return (Change::Opaque(path), Arc::default()),
                2..=4 => Kind::Directory,
                5 => Kind::Symlink(target.as_bytes().into()),
                6 | 7 => Kind::HardLink(other),
                8 => Kind::Fifo,
                9 => Kind::Device(DeviceKind::Character, DeviceNumber { major: 1, minor: 3 }),
                _ => Kind::File { size: content.len() as u64 },
            };
            let content = if matches!(kind, Kind::File { .. }) { content } else { Vec::new() };
            (Change::Put(Entry { path, kind, metadata }), content.into())
        },
    )
}

fn grown(layers: Vec<Vec<(Change, Arc<[u8]>)>>) -> Tree {
    let mut tree = Tree::new();
    for layer in layers {
        for change in layer {
            // Each alone: one that fails changes nothing that matters here.
            drop(tree.apply([change]));
        }
    }
    tree
}

proptest! {
    #[test]
    fn applying_a_diff_gives_the_other(
        a in vec(vec(change(), 0..12), 1..3), b in vec(vec(change(), 0..12), 1..3), more in vec(change(), 0..6),
    ) {
        let lower = grown(a.clone());
        for upper in [grown(b), grown([a, vec![more]].concat())] {
            let mut applied = lower.clone();
            applied.apply(diff(&lower, &upper)).unwrap();
            prop_assert_eq!(applied.entries(), upper.entries());
            prop_assert!(diff(&upper, &upper).is_empty());
        }
    }
}

fn file(path: &str) -> (Change, Arc<[u8]>) {
    let entry = Entry { path: path.parse().unwrap(), kind: Kind::File { size: 0 }, metadata: Metadata::default() };
    (Change::Put(entry), Arc::default())
}

fn other(path: &str, kind: Kind) -> (Change, Arc<[u8]>) {
    (Change::Put(Entry { path: path.parse().unwrap(), kind, metadata: Metadata::default() }), Arc::default())
}

fn delete(path: &str) -> (Change, Arc<[u8]>) {
    (Change::Delete(path.parse().unwrap()), Arc::default())
}

fn opaque(path: &str) -> (Change, Arc<[u8]>) {
    (Change::Opaque(path.parse().unwrap()), Arc::default())
}

type Changes<'a> = &'a [(Change, Arc<[u8]>)];

fn after(layers: &[Changes<'_>]) -> String {
    let mut tree = Tree::new();
    for layer in layers {
        tree.apply(layer.iter().cloned()).unwrap();
    }
    let names: Vec<String> = tree.names.keys().map(ToString::to_string).collect();
    names.join(" ")
}

#[test]
fn what_layers_mean() {
    let base = [file("a/x"), file("a/y"), file("b")];
    assert_eq!(after(&[&base, &[delete("a/x")]]), "a a/y b");
    assert_eq!(after(&[&base, &[delete("a")]]), "b");
    assert_eq!(after(&[&base, &[opaque("a")]]), "a b");
    // A layer deletes only what is beneath it, in whichever order it says so.
    assert_eq!(after(&[&base, &[file("a/z"), delete("a")]]), "a a/z b");
    assert_eq!(after(&[&base, &[delete("a"), file("a/z")]]), "a a/z b");
    assert_eq!(after(&[&base, &[file("a/z"), opaque("a")]]), "a a/z b");
    // What replaces a directory takes all beneath it away.
    assert_eq!(after(&[&base, &[file("a")]]), "a b");
    assert_eq!(after(&[&base, &[file("a"), other("a", Kind::Directory)]]), "a b");
    assert_eq!(after(&[&base, &[other("a", Kind::Directory)]]), "a a/x a/y b");
    // Symbolic links lead to the root of the tree at most.
    let link = |target: &str| [other("l", Kind::Symlink(target.as_bytes().into()))];
    assert_eq!(after(&[&base, &link("a"), &[file("l/z")]]), "a a/x a/y a/z b l");
    assert_eq!(after(&[&link("../../../c"), &[file("l/z")]]), "c c/z l");
    assert_eq!(after(&[&link("/c"), &[other("l", Kind::Directory), file("l/z")]]), "l l/z");
}

#[test]
fn links_in_a_circle_end() {
    let circle = [other("l", Kind::Symlink(b"l"[..].into())), file("l/z")];
    let error = Tree::new().apply(circle).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { limit: Limit::LinksFollowed, .. }), "{error}");
}

#[test]
fn hard_links_need_a_file() {
    let link = |path: &str, target: &str| other(path, Kind::HardLink(target.parse().unwrap()));
    let base = [file("a/x"), link("l", "a/x")];
    assert_eq!(after(&[&base, &[delete("a")]]), "l");
    for wrong in [link("l", "a"), link("l", "l"), link("m", "none")] {
        let mut tree = Tree::new();
        tree.apply(base[..1].iter().cloned()).unwrap();
        assert!(tree.apply([wrong.clone()]).is_err(), "{wrong:?}");
    }
}
