//! What an ordinary user can do in a user and mount namespace of its own.
//!
//! Each test runs this program again, as an ordinary user where the tests are root's, inside `unshare`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::{Command, ExitCode};

use support::{archive, by_descriptor, check, delete, directory, file, layers, listing, scratch, symlink};
use trial::{Test, need};
use windlass_overlay::{
    ApplyOptions, Change, Devices, Error, Feature, IdMap, Kind, LayerStore, MountOptions, Whiteouts, apply, probe,
    whiteout::XattrNamespace,
};

/// Names the body to run; its value is the name of a test.
const ROLE: &str = "WINDLASS_OVERLAY_ROLE";

const BODIES: [(&str, fn()); 4] = [
    ("layers and their deletions without root", stacked),
    ("a snapshot's changes without root", changes),
    ("what the kernel shows equals an executed tree", shown),
    ("a store of root's is refused by name", of_root),
];

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(ROLE) {
        let (_, body) = BODIES.iter().find(|(name, _)| *name == role).expect("the role is a test");
        body();
        return ExitCode::SUCCESS;
    }
    let test = |(name, _): (&'static str, fn())| {
        Test::new(name, move || inside(name))
            .needs(need::program("unshare"))
            .needs(need::program("setpriv"))
            .needs(namespaces)
    };
    // A store of root's takes root to make.
    let [stacked, changes, shown, of_root] = BODIES.map(test);
    trial::main(vec![stacked, changes, shown, of_root.needs(need::root)])
}

/// Runs a program as an ordinary user in new user and mount namespaces.
fn unshared(program: &std::path::Path) -> Command {
    let mut command = if need::root().is_ok() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "unshare"]);
        command
    } else {
        Command::new("unshare")
    };
    command.args(["--user", "--map-root-user", "--mount"]).arg(program);
    command
}

fn namespaces() -> Result<(), String> {
    match unshared("true".as_ref()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(format!("needs user namespaces for ordinary users: {message}"))
        }
        Err(error) => Err(format!("needs user namespaces for ordinary users: {error}")),
    }
}

fn inside(name: &str) {
    // The other user need not reach the folder that this program is built in.
    let directory = scratch();
    let program = directory.path().join("rootless");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(directory.path(), open).unwrap();
    LayerStore::open(&directory.path().join("of-root")).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path().join("of-root"), open).unwrap();
    let output = unshared(&program).env(ROLE, name).env("TMPDIR", directory.path()).output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{errors}", output.status);
}

fn options() -> ApplyOptions {
    ApplyOptions { id_map: IdMap::CurrentUser, devices: Devices::Skip, ..ApplyOptions::default() }
}

fn stacked() {
    let scratch = scratch();
    let found = probe(scratch.path()).unwrap();
    assert_eq!(found.namespace, Some(XattrNamespace::User));
    for feature in [Feature::Whiteout, Feature::View, Feature::Snapshot] {
        assert!(found.supports(feature), "{found}");
    }
    let store = LayerStore::open(&scratch.path().join("store")).unwrap();
    assert_eq!(store.namespace(), XattrNamespace::User);
    let layers = [
        vec![directory("d", 0o555), file("d/a", "1"), file("d/b", "1"), directory("e", 0o755), file("e/c", "1")],
        vec![delete("d/a"), (Change::Opaque("e".parse().unwrap()), [][..].into()), symlink("l", "d"), file("l/x", "2")],
    ];
    let ids = layers.map(|layer| store.ingest(&archive(&layer)[..], &options()).unwrap());
    let view = store.view("v", &ids).unwrap();
    let mount = view.mount(&MountOptions::default()).unwrap();
    let names: Vec<String> = listing(&by_descriptor(&mount)).iter().map(|(entry, _)| entry.path.to_string()).collect();
    assert_eq!(names, [".", "d", "d/b", "d/x", "e", "l"]);
}

fn changes() {
    let scratch = scratch();
    let store = LayerStore::open(&scratch.path().join("store")).unwrap();
    let id = store.ingest(&archive(&[file("d/a", "1"), file("b", "1")])[..], &options()).unwrap();
    let snapshot = store.snapshot("s", &[id]).unwrap();
    let mount = snapshot.mount(&MountOptions::default()).unwrap();
    let root = by_descriptor(&mount);
    std::fs::remove_file(root.join("b")).unwrap();
    std::fs::remove_dir_all(root.join("d")).unwrap();
    std::fs::create_dir(root.join("d")).unwrap();
    std::fs::write(root.join("d/c"), "2").unwrap();
    let changes: Vec<String> = snapshot
        .diff()
        .unwrap()
        .iter()
        .map(|change| match change {
            Change::Put(entry) => format!("{} {}", entry.kind.name(), entry.path),
            Change::Delete(path) => format!("delete {path}"),
            Change::Opaque(path) => format!("opaque {path}"),
        })
        .collect();
    assert_eq!(changes, ["delete b", "directory d", "opaque d", "file d/c"]);
    drop(mount);
    let layer = store.ingest(&snapshot.write_diff(Vec::new()).unwrap()[..], &options()).unwrap();
    let view = store.view("v", &[id, layer]).unwrap();
    let mount = view.mount(&MountOptions::default()).unwrap();
    assert!(!by_descriptor(&mount).join("b").exists());
    assert_eq!(std::fs::read_dir(by_descriptor(&mount).join("d")).unwrap().count(), 1);
    drop(mount);
    snapshot.remove().unwrap();
}

fn shown() {
    let compared = std::cell::Cell::new(0);
    check(60, &layers(), |layers| {
        let scratch = scratch();
        let store = LayerStore::open(&scratch.path().join("store")).unwrap();
        let root = scratch.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let mut ids = Vec::new();
        for layer in &layers {
            let archive = archive(&plain(layer));
            // A device that was left out is no target for a link.
            let Ok(applied) = apply(&archive[..], &root, &ApplyOptions { whiteouts: Whiteouts::Execute, ..options() })
            else {
                return;
            };
            let Ok(id) = store.ingest(&archive[..], &options()) else { return };
            assert_eq!(id, applied.diff_id);
            ids.push(id);
        }
        match store.view("v", &ids) {
            Ok(view) => {
                let mount = view.mount(&MountOptions::default()).unwrap();
                let (mut found, mut expected) = (listing(&by_descriptor(&mount)), listing(&root));
                // An executed layer leaves the root alone.
                found.remove(0);
                expected.remove(0);
                support::assert_same(found, expected);
                compared.set(compared.get() + 1);
            }
            Err(Error::Ambiguous { .. } | Error::LinkTarget { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    });
    assert!(compared.get() > 10, "only {} stacks were compared", compared.get());
}

/// Without the attributes that only root may write.
fn plain(layer: &support::Layer) -> support::Layer {
    let strip = |change: &Change| match change {
        Change::Put(entry) => {
            let mut entry = entry.clone();
            entry.metadata.xattrs.clear();
            if let Kind::Directory = entry.kind {
                entry.metadata.xattrs.insert(b"user.x"[..].into(), b"y"[..].into());
            }
            Change::Put(entry)
        }
        change => change.clone(),
    };
    layer.iter().map(|(change, content)| (strip(change), content.clone())).collect()
}

fn of_root() {
    let of_root = std::env::temp_dir().join("of-root");
    let error = LayerStore::open(&of_root).unwrap_err();
    // Either the rooms of another user are closed, or they are seen to be another's.
    let is_refused = matches!(error, Error::Sys { .. } | Error::Invalid { field: "store", .. });
    assert!(is_refused, "{error}");
    assert_eq!(std::fs::read_dir(&of_root).unwrap().count(), 7);
}
