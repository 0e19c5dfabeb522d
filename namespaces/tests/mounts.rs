//! Mounts with mapped owners, and file systems that begin with a copy.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::process::ExitCode;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use support::{contained, descriptors, said};
use trial::{Test, need::root};
use windlass_namespaces::{Command, Error, IdMapping, Mount, Namespace, Rootfs, Source};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("a_bind_shows_mapped_owners", mapped).needs(root).needs(mappable),
        Test::new("owners_are_mapped_for_a_user_namespace", mapped_for_users).needs(root).needs(mappable),
        Test::new("a_mapped_bind_can_be_made_again_and_leaves_nothing", again).needs(root).needs(mappable),
        Test::new("only_binds_have_owners_to_map", only_binds),
        Test::new("a_copy_keeps_what_was_there", copied).needs(root),
        Test::new("a_copy_can_be_read_only", read_only_copy).needs(root),
        Test::new("a_copy_that_does_not_fit_is_an_error", too_large).needs(root),
        Test::new("a_copy_follows_no_link", copied_links).needs(root),
        Test::new("many_mounts_are_each_where_they_belong", many).needs(root),
        Test::new("a_place_is_found_anew_after_a_mount_over_it", over_what_was_found).needs(root),
    ])
}

fn map(inside: u32, outside: u32) -> Vec<IdMapping> {
    vec![IdMapping::new(inside, outside, 10).unwrap()]
}

/// The file system of the temporary folder takes mapped mounts.
fn mappable() -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("/bin/true");
    command.namespace(Namespace::Mount, Source::New);
    command.mount(Mount::bind(folder.path(), "/mnt").id_map(map(0, 1), map(0, 1)));
    match command.spawn() {
        Err(error) => Err(format!("needs mounts with mapped ids: {error}")),
        Ok(mut child) => child.wait().map(drop).map_err(|error| error.to_string()),
    }
}

fn mapped() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(data.path().join("file"), "x").unwrap();
    chown(data.path(), Some(5003), Some(6003)).unwrap();
    chown(data.path().join("file"), Some(5004), Some(6005)).unwrap();
    let script = "stat -c %u:%g /data /data/file; touch /data/new; stat -c %u:%g /plain/file";
    let mut command = contained(script, folder.path());
    command.mount(Mount::bind(data.path(), "/data").id_map(map(5000, 0), map(6000, 0)));
    command.mount(Mount::bind(data.path(), "/plain"));
    let plan = command.plan().unwrap().to_string();
    let line = format!("bind {} with users 5000 0 10; groups 6000 0 10 on /data", data.path().display());
    assert!(plan.contains(&line), "{plan}");
    assert_eq!(said(&mut command), "3:3\n4:5\n5004:6005");
    let new = fs::metadata(data.path().join("new")).unwrap();
    assert_eq!((new.uid(), new.gid()), (5000, 6000));
}

fn mapped_for_users() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    chown(folder.path(), Some(100_000), Some(100_000)).unwrap();
    fs::write(data.path().join("file"), "x").unwrap();
    // Files of the host's root appear as those of the container's.
    let mut command = contained("stat -c %u:%g /data/file; touch /data/new", folder.path());
    let users = || vec![IdMapping::new(0, 100_000, 65_536).unwrap()];
    command.namespace(Namespace::User, Source::New).id_mappings(users(), users());
    // What is 0 on disk is 100000 in the mount, which is 0 inside.
    command.mount(Mount::bind_recursive(data.path(), "/data").id_map(users(), users()).id_map_below());
    assert_eq!(said(&mut command), "0:0");
    assert_eq!(fs::metadata(data.path().join("new")).unwrap().uid(), 0);
}

fn again() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = descriptors();
    let mut command = contained("stat -c %u /data", folder.path());
    command.mount(Mount::bind(data.path(), "/data").id_map(map(0, 7), map(0, 7)));
    for _ in 0..3 {
        assert_eq!(said(&mut command), "7");
    }
    drop(command);
    assert_eq!(descriptors(), before);
    let children = fs::read_to_string("/proc/thread-self/children").unwrap();
    assert_eq!(children, "");
}

fn only_binds() {
    let mut command = Command::new("/bin/true");
    command.namespace(Namespace::Mount, Source::New).mount(Mount::tmpfs("/mnt").id_map(map(0, 1), map(0, 1)));
    assert!(matches!(command.plan(), Err(Error::Invalid { field: "mount", .. })));
    let mut command = Command::new("/bin/true");
    command.namespace(Namespace::Mount, Source::New).mount(Mount::bind("/usr", "/mnt").copy_up());
    assert!(matches!(command.plan(), Err(Error::Invalid { field: "mount", .. })));
    let mut command = Command::new("/bin/true");
    command.namespace(Namespace::Mount, Source::New).mount(Mount::bind("/usr", "/mnt").id_map(Vec::new(), map(0, 1)));
    assert!(matches!(command.plan(), Err(Error::Invalid { field: "mount", .. })));
}

/// More than there may be descriptors that wait to be closed, in two directories that take turns.
fn many() {
    let folder = tempfile::tempdir().unwrap();
    let count = 60;
    let script = "for n in /odd/* /even/*; do cat $n/name; done | sort -n | tr '\\n' ' '; ls /hidden /covered | wc -l";
    let mut command = contained(script, folder.path());
    let sources = tempfile::tempdir().unwrap();
    for number in 0..count {
        let source = sources.path().join(number.to_string());
        fs::create_dir(&source).unwrap();
        fs::write(source.join("name"), format!("{number}\n")).unwrap();
        let parent = if number % 2 == 0 { "/even" } else { "/odd" };
        command.mount(Mount::bind(&source, Path::new(parent).join(number.to_string())));
    }
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("secret"), "x").unwrap();
    for target in ["/hidden", "/covered"] {
        command.mount(Mount::bind(data.path(), target));
    }
    command.mount(Mount::masked("/hidden")).mount(Mount::masked("/covered"));
    let numbers: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    // Two headings and a blank line.
    assert_eq!(said(&mut command), format!("{} 3", numbers.join(" ")));
}

/// What a path led to before a mount over it, or over what a link on the way leads to, gets nothing any more.
fn over_what_was_found() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(folder.path().join("real")).unwrap();
    symlink("real", folder.path().join("link")).unwrap();
    let mut command = contained("ls /real; ls /link", folder.path());
    command.mount(Mount::symlink("x", "/link/before"));
    command.mount(Mount::bind(data.path(), "/real"));
    command.mount(Mount::symlink("x", "/link/after")).mount(Mount::tmpfs("/link/within"));
    assert_eq!(said(&mut command), "after\nwithin\nafter\nwithin");
    assert!(data.path().join("within").is_dir() && !data.path().join("before").exists());
}

/// A tree of every kind of entry, below `folder/tree`.
fn tree(folder: &Path) {
    let path = |name: &str| folder.join("tree").join(name);
    fs::create_dir_all(path("sub/deeper")).unwrap();
    fs::write(path("file"), vec![b'x'; 100_000]).unwrap();
    fs::set_permissions(path("file"), PermissionsExt::from_mode(0o4750)).unwrap();
    chown(path("file"), Some(11), Some(12)).unwrap();
    fs::set_permissions(path("file"), PermissionsExt::from_mode(0o4750)).unwrap();
    fs::write(path("sub/deeper/last"), "end").unwrap();
    fs::set_permissions(path("sub"), PermissionsExt::from_mode(0o1771)).unwrap();
    symlink("../anywhere", path("sub/link")).unwrap();
    lchown(path("sub/link"), Some(13), Some(14)).unwrap();
    mknodat(CWD, path("null"), FileType::CharacterDevice, Mode::from_raw_mode(0o640), makedev(1, 3)).unwrap();
    mknodat(CWD, path("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    fs::set_permissions(folder.join("tree"), PermissionsExt::from_mode(0o2755)).unwrap();
}

fn in_copy(folder: &Path, script: &str, mount: Mount) -> Command {
    support::links(folder);
    let mut command = support::fresh(script, &[Namespace::Mount]);
    command.rootfs(Rootfs::Path(folder.into())).mount(support::host_programs()).mount(mount).env_clear();
    command
}

fn copied() {
    let folder = tempfile::tempdir().unwrap();
    tree(folder.path());
    let look = "cd /tree; stat -f -c %T .; stat -c %a .; find . -printf '%p %y %m %U:%G %s %l\\n' | grep -v '^. ' | sort; \
        stat -c %t:%T null; cat sub/deeper/last";
    let mut copy = in_copy(folder.path(), look, Mount::tmpfs("/tree").copy_up());
    let text = said(&mut copy);
    let expected = "tmpfs\n2755\n\
        ./file f 4750 11:12 100000 \n\
        ./null c 640 0:0 0 \n\
        ./pipe p 600 0:0 0 \n\
        ./sub d 1771 0:0 SIZE \n\
        ./sub/deeper d 755 0:0 SIZE \n\
        ./sub/deeper/last f 644 0:0 3 \n\
        ./sub/link l 777 13:14 11 ../anywhere\n\
        1:3\nend";
    let sizes = |text: &str| {
        let line = |line: &str| {
            if line.contains(" d ") { line.split(' ').take(4).collect::<Vec<_>>().join(" ") } else { line.into() }
        };
        text.lines().map(line).collect::<Vec<String>>().join("\n")
    };
    assert_eq!(sizes(&text), sizes(expected));
    // What is written goes into memory.
    said(&mut in_copy(folder.path(), "echo y > /tree/file; rm -r /tree/sub", Mount::tmpfs("/tree").copy_up()));
    assert_eq!(fs::read(folder.path().join("tree/file")).unwrap().len(), 100_000);
}

fn read_only_copy() {
    let folder = tempfile::tempdir().unwrap();
    tree(folder.path());
    let script = "cat /tree/sub/deeper/last; echo x > /tree/x || echo refused";
    let mut command = in_copy(folder.path(), script, Mount::tmpfs("/tree").copy_up().read_only().no_exec());
    command.stderr(windlass_namespaces::Stdio::Null);
    assert_eq!(said(&mut command), "endrefused");
    let plan = command.plan().unwrap().to_string();
    assert!(plan.contains("mount tmpfs on /tree with a copy of what is there, attributes 0x8"), "{plan}");
    assert!(plan.contains("make the mount at /tree read-only\n"), "{plan}");
}

fn too_large() {
    let folder = tempfile::tempdir().unwrap();
    tree(folder.path());
    match in_copy(folder.path(), "true", Mount::tmpfs("/tree").option("size", "8k").copy_up()).spawn() {
        Err(Error::Child { op: "write", source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::ENOSPC)),
        other => panic!("{other:?}"),
    }
    let mut path = folder.path().join("deep");
    (0..80).for_each(|_| path.push("d"));
    fs::create_dir_all(&path).unwrap();
    match in_copy(folder.path(), "true", Mount::tmpfs("/deep").copy_up()).spawn() {
        Err(Error::Child { op: "getdents64", source, .. }) => {
            assert_eq!(source.raw_os_error(), Some(libc::ENAMETOOLONG));
        }
        other => panic!("{other:?}"),
    }
}

fn copied_links() {
    // A target that is a link to a directory outside leads to one inside, and what is there is copied.
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("canary"), "host").unwrap();
    symlink(outside.path(), folder.path().join("data")).unwrap();
    let inner = folder.path().join(outside.path().strip_prefix("/").unwrap());
    fs::create_dir_all(&inner).unwrap();
    symlink(outside.path().join("canary"), inner.join("link")).unwrap();
    let mut command = in_copy(folder.path(), "ls -A /data/; test -L /data/link", Mount::tmpfs("/data").copy_up());
    assert_eq!(said(&mut command), "link");
}
