//! The same API for a user without privileges.
//!
//! The test runs itself again as an unused user and group; what that run finds wrong is its failure.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitCode;

use support::{fresh, said, sleeper};
use trial::{Test, need::program, need::root};
use windlass_namespaces::net::NetNamespace;
use windlass_namespaces::{
    CapabilitySets, Command, Error, Gid, IdMapping, Mount, Namespace, Rootfs, Source, Stdio, Uid,
};

/// Ids that no account of a distribution has.
const NOBODY: u32 = 3_456_789;
const RANGE: u32 = 7_000_000;

/// The behaviours that the second run tries, by the name that it is called with.
const AS_USER: [(&str, fn()); 9] = [
    ("own_ids", own_ids),
    ("container", container),
    ("capabilities", capabilities),
    ("join", join),
    ("groups", groups),
    ("refusals", refusals),
    ("denied", denied),
    ("inside_denied", inside_denied),
    ("range", range),
];

fn main() -> ExitCode {
    if let Some(name) = std::env::args().nth(1)
        && let Some((_, body)) = AS_USER.iter().find(|(known, _)| *known == name)
    {
        body();
        return ExitCode::SUCCESS;
    }
    trial::main(vec![
        Test::new("a_user_maps_its_own_ids", || again("own_ids")).needs(root).needs(user_namespaces),
        Test::new("a_user_starts_a_container", || again("container")).needs(root).needs(user_namespaces),
        Test::new("a_user_drops_capabilities", || again("capabilities")).needs(root).needs(user_namespaces),
        Test::new("a_user_joins_its_container", || again("join")).needs(root).needs(user_namespaces),
        Test::new("a_user_keeps_its_groups", || again("groups")).needs(root).needs(user_namespaces),
        Test::new("no_groups_are_no_error_where_setgroups_is_denied", || again("denied"))
            .needs(root)
            .needs(user_namespaces),
        Test::new("what_a_user_may_not_is_refused", || again("refusals")).needs(root).needs(user_namespaces),
        Test::new("a_user_maps_a_granted_range", granted)
            .needs(root)
            .needs(user_namespaces)
            .needs(program("newuidmap")),
    ])
}

fn user_namespaces() -> Result<(), String> {
    let limit = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    if limit.trim().parse::<u64>().is_ok_and(|limit| limit > 0) { Ok(()) } else { Err("needs user namespaces".into()) }
}

/// A copy of this test that the user can reach, wherever the target directory is.
fn copy(folder: &Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("rootless");
    fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// Runs this program again as the user.
fn again(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(copy(folder.path()))
        .arg(name)
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {told}", output.status);
}

fn words(command: &mut Command) -> String {
    said(command).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn own_ids() {
    let script = "id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups";
    let expected = format!("0 0 0 {NOBODY} 1 0 {NOBODY} 1 deny");
    assert_eq!(words(&mut fresh(script, &[Namespace::User])), expected);
    let mapping = |inside| vec![IdMapping::new(inside, NOBODY, 1).unwrap()];
    let mut command = fresh(script, &[Namespace::User]);
    command.id_mappings(mapping(1000), mapping(100));
    assert_eq!(words(&mut command), format!("1000 100 1000 {NOBODY} 1 100 {NOBODY} 1 deny"));
}

/// A container of the host's programs in a directory of the user's.
fn contained(mut command: Command, root: &Path) -> Command {
    for name in ["bin", "lib", "lib64", "sbin"] {
        if !root.join(name).is_symlink() {
            std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name)).unwrap();
        }
    }
    command
        .rootfs(Rootfs::Path(root.into()))
        .mount(Mount::bind_recursive("/usr", "/usr").read_only())
        .mounts(Mount::defaults())
        .hostname("rootless")
        .oom_score_adj(700)
        .no_new_privileges();
    command
}

fn container() {
    let root = tempfile::tempdir().unwrap();
    let script = "hostname; cat /proc/self/oom_score_adj; echo $$; id -u; cat /proc/1/comm; tail -n +3 /proc/net/dev | cut -d: -f1; \
        stat -c %t:%T /dev/null; echo x > /dev/null; echo x > /file; stat -c %u /file; mkdir /sys/x || echo read-only";
    let mut command = contained(fresh(script, &Namespace::ALL), root.path());
    command.stderr(Stdio::Null);
    let text = words(&mut command);
    assert_eq!(text, "rootless 700 1 0 sh lo 1:3 0 read-only");
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(root.path().join("file")).unwrap());
    assert_eq!(owner, NOBODY);
}

fn capabilities() {
    let mut command = fresh("grep CapEff /proc/self/status | cut -f2", &[Namespace::User]);
    let mut child = command.capabilities(CapabilitySets::docker()).stdout(Stdio::Null).spawn().unwrap();
    assert!(child.notices().is_empty());
    assert!(child.wait().unwrap().success());
    command.stdout(Stdio::Inherit);
    assert_eq!(words(&mut command), "00000000a80425fb");
}

fn join() {
    let root = tempfile::tempdir().unwrap();
    let container = contained(sleeper(&Namespace::ALL), root.path()).spawn().unwrap();
    let mut command = Command::new("sh");
    command.arg("-c").arg("hostname; cat /proc/1/comm; id -u; pwd");
    for kind in Namespace::ALL {
        command.namespace(kind, Source::Join(container.namespace(kind).unwrap()));
    }
    assert_eq!(words(&mut command), "rootless sleep 0 /");
    // A new container in the network of the first, whose user namespace it shares.
    let mut command = Command::new("/bin/readlink");
    command.arg("/proc/self/ns/net");
    for kind in [Namespace::User, Namespace::Net] {
        command.namespace(kind, Source::Join(container.namespace(kind).unwrap()));
    }
    command.namespace(Namespace::Mount, Source::New).namespace(Namespace::Pid, Source::New);
    command.mount(Mount::proc("/proc"));
    assert_eq!(words(&mut command), support::link(&container.pid().to_string(), Namespace::Net));
}

fn groups() {
    let mut command = fresh("true", &[Namespace::User]);
    command.user(Uid::ROOT, Gid::ROOT, vec![Gid::new(5).unwrap()]);
    assert!(matches!(command.spawn(), Err(Error::Invalid { field: "user", .. })));
    command.user(Uid::ROOT, Gid::ROOT, Vec::new());
    assert!(command.spawn().unwrap().wait().unwrap().success());
}

fn denied() {
    // A namespace in which setgroups is denied, and in it a caller that asks for no groups.
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("inside_denied").namespace(Namespace::User, Source::New);
    assert!(command.spawn().unwrap().wait().unwrap().success());
}

fn inside_denied() {
    assert_eq!(fs::read_to_string("/proc/self/setgroups").unwrap(), "deny\n");
    let mut command = fresh("id -u; id -g", &[]);
    command.user(Uid::ROOT, Gid::ROOT, Vec::new());
    assert_eq!(words(&mut command), "0 0");
    command = fresh("cat /proc/self/setgroups; id -u", &[Namespace::User]);
    command.user(Uid::ROOT, Gid::ROOT, Vec::new());
    assert_eq!(words(&mut command), "deny 0");
    command.user(Uid::ROOT, Gid::ROOT, vec![Gid::ROOT]);
    assert!(matches!(command.spawn(), Err(Error::Invalid { field: "user", .. })));
}

fn refusals() {
    match fresh("true", &[Namespace::Mount]).spawn() {
        Err(Error::Sys { op: "clone3", object, source }) => {
            assert_eq!((object.as_str(), source.raw_os_error()), ("with new mnt", Some(libc::EPERM)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(NetNamespace::create().unwrap_err().errno(), Some(libc::EPERM));
    let mut command = fresh("true", &[]);
    match command.user(Uid::ROOT, Gid::ROOT, Vec::new()).spawn() {
        Err(Error::Child { op: "setgroups", source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::EPERM)),
        other => panic!("{other:?}"),
    }
    let net = fs::File::open("/proc/self/ns/net").unwrap();
    command = fresh("true", &[]);
    match command.namespace(Namespace::Net, Source::Join(net.into())).spawn() {
        Err(Error::Child { op: "setns", source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::EPERM)),
        other => panic!("{other:?}"),
    }
}

/// Runs the program as the user where the account databases grant it a range of ids.
fn granted() {
    let folder = tempfile::tempdir().unwrap();
    let own = copy(folder.path());
    let grant = format!("tester:{RANGE}:65536\n");
    for (name, text) in
        [("passwd", format!("tester:x:{NOBODY}:{NOBODY}::/:/bin/sh\n")), ("subuid", grant.clone()), ("subgid", grant)]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut command = Command::new(&own);
    command.arg("range").namespace(Namespace::Mount, Source::New).current_dir("/");
    for name in ["passwd", "subuid", "subgid"] {
        command.mount(Mount::bind(folder.path().join(name), Path::new("/etc").join(name)).read_only());
    }
    let id = NOBODY;
    command.user(Uid::new(id).unwrap(), Gid::new(id).unwrap(), Vec::new());
    assert!(command.spawn().unwrap().wait().unwrap().success());
}

fn range() {
    let mapping = |outside| vec![IdMapping::new(0, outside, 1).unwrap(), IdMapping::new(1, RANGE, 65_536).unwrap()];
    let mut command = fresh("cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g; id -G", &[Namespace::User]);
    command.id_mappings(mapping(NOBODY), mapping(NOBODY));
    command.user(Uid::new(77).unwrap(), Gid::new(88).unwrap(), vec![Gid::new(99).unwrap()]);
    let maps = format!("0 {NOBODY} 1 1 {RANGE} 65536");
    assert_eq!(words(&mut command), format!("{maps} {maps} 77 88 88 99"));
    // What the databases do not grant.
    let mut command = fresh("true", &[Namespace::User]);
    let all = || vec![IdMapping::new(0, RANGE, 65_537).unwrap()];
    command.id_mappings(all(), all());
    match command.spawn() {
        Err(Error::Helper { program, output }) => {
            assert_eq!(program, "newgidmap");
            assert!(output.contains("not allowed"), "{output}");
        }
        other => panic!("{other:?}"),
    }
}
