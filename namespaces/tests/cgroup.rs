//! Placement in control groups.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use support::{fresh, output, said, shell, unique};
use trial::{Test, need::root};
use windlass_namespaces::seccomp::Policy;
use windlass_namespaces::{CapabilitySet, CapabilitySets, Error, IdMapping, Mount, Namespace, Source};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("a_container_sees_its_groups_of_every_hierarchy", view).needs(root).needs(unified).needs(legacy),
        Test::new("CVE-2023-25809_groups_mounted_read_only_cannot_be_written", view_is_read_only)
            .needs(root)
            .needs(unified)
            .needs(legacy),
        Test::new("CVE-2022-0492_no_release_agent_can_be_set", release_agent).needs(root).needs(unified).needs(legacy),
        Test::new("a_cgroup2_group_takes_the_process_in_at_its_birth", version_two).needs(root).needs(unified),
        Test::new("v1_groups_hold_the_process_before_its_exec", version_one).needs(root).needs(legacy),
        Test::new("groups_of_many_hierarchies_go_together", together).needs(root).needs(unified).needs(legacy),
        Test::new("a_new_cgroup_namespace_begins_at_the_group", namespace).needs(root).needs(unified).needs(legacy),
        Test::new("a_process_that_joins_is_placed_too", joined).needs(root).needs(unified).needs(legacy),
        Test::new("what_is_no_group_is_refused", refused).needs(root),
        Test::new("two_groups_of_one_hierarchy_are_refused", twice).needs(root).needs(unified),
        Test::new("to_enter_v1_groups_waits_for_no_processor", soon).needs(root).needs(legacy),
        Test::new("a_group_that_takes_nobody_fails_the_start", full).needs(root).needs(legacy),
    ])
}

/// Mount points of the hierarchies: cgroup2, or those of v1 with controllers.
fn hierarchies(version: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("procfs");
    let found = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    found.filter(|fields| fields[2] == version).map(|fields| PathBuf::from(fields[1])).collect()
}

fn unified() -> Result<(), String> {
    if hierarchies("cgroup2").is_empty() { Err("needs a cgroup2 hierarchy".into()) } else { Ok(()) }
}

fn version_one_folder(controller: &str) -> Option<PathBuf> {
    hierarchies("cgroup").into_iter().find(|path| path.ends_with(controller))
}

fn legacy() -> Result<(), String> {
    let found = ["pids", "freezer"].iter().all(|name| version_one_folder(name).is_some());
    if found { Ok(()) } else { Err("needs the v1 hierarchies of pids and freezer".into()) }
}

/// A group that is removed when dropped; its processes must have ended.
struct Group(PathBuf);

impl Group {
    fn new(hierarchy: &Path) -> Self {
        let path = hierarchy.join(unique("ns-test-"));
        fs::create_dir(&path).expect("a new group");
        Self(path)
    }

    fn descriptor(&self) -> OwnedFd {
        fs::File::open(&self.0).expect("the group's directory").into()
    }

    fn name(&self) -> String {
        self.0.file_name().expect("a group has a name").to_string_lossy().into_owned()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What a test made inside and did not come to remove.
        for entry in fs::read_dir(&self.0).into_iter().flatten().filter_map(Result::ok) {
            if entry.path().is_dir() {
                drop(fs::remove_dir(entry.path()));
            }
        }
        // A group is busy until its last process has been buried.
        let until = Instant::now() + Duration::from_mins(1);
        while fs::remove_dir(&self.0).is_err() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!self.0.exists() || std::thread::panicking(), "{} is left", self.0.display());
    }
}

fn unified_group() -> Group {
    Group::new(&hierarchies("cgroup2")[0])
}

fn legacy_group(controller: &str) -> Group {
    Group::new(&version_one_folder(controller).expect("a v1 hierarchy"))
}

fn path_in(text: &str, hierarchy: &str) -> String {
    let line = text.lines().find(|line| line.split(':').nth(1) == Some(hierarchy)).expect(text);
    line.rsplit(':').next().unwrap_or_default().to_owned()
}

fn version_two() {
    let group = unified_group();
    let mut command = shell("cat /proc/self/cgroup");
    command.cgroup(group.descriptor());
    let plan = command.plan().unwrap().to_string();
    assert!(plan.contains("into cgroup"), "{plan}");
    assert!(path_in(&said(&mut command), "").ends_with(&group.name()));
}

fn version_one() {
    let group = legacy_group("pids");
    // No second process fits, and the shell fails with 2: were it placed later, its fork would be counted elsewhere.
    fs::write(group.0.join("pids.max"), "1").unwrap();
    let mut command = shell("cat /proc/self/cgroup & wait; true");
    command.cgroup(group.descriptor()).stderr(windlass_namespaces::Stdio::Null);
    assert_eq!(output(&mut command), (ExitStatus::from_raw(2 << 8), String::new()));
    fs::write(group.0.join("pids.max"), "2").unwrap();
    assert!(path_in(&said(&mut command), "pids").ends_with(&group.name()));
}

fn together() {
    let groups = [unified_group(), legacy_group("pids"), legacy_group("freezer")];
    let mut command = fresh("cat /proc/self/cgroup", &[Namespace::Mount, Namespace::Pid, Namespace::Net]);
    command.mount(Mount::proc("/proc"));
    for group in &groups {
        command.cgroup(group.descriptor());
    }
    let text = said(&mut command);
    for (group, hierarchy) in groups.iter().zip(["", "pids", "freezer"]) {
        assert!(path_in(&text, hierarchy).ends_with(&group.name()), "{text}");
    }
}

fn namespace() {
    let groups = [unified_group(), legacy_group("pids")];
    fs::create_dir(groups[1].0.join("below")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let script =
        format!("cat /proc/self/cgroup; cd {}; ls -d one/below; cat two/cgroup.procs", folder.path().display());
    let mut command = fresh(&script, &[Namespace::Mount, Namespace::Cgroup]);
    command
        .mount(Mount::tmpfs(folder.path()))
        .mount(Mount::cgroup(folder.path().join("one"), &["pids"]).read_only())
        .mount(Mount::cgroup2(folder.path().join("two")).read_only());
    for group in &groups {
        command.cgroup(group.descriptor());
    }
    let text = said(&mut command);
    assert_eq!((path_in(&text, "").as_str(), path_in(&text, "pids").as_str()), ("/", "/"));
    assert!(text.contains("one/below\n"), "{text}");
    // The shell and `cat`, and none of the host's.
    assert_eq!(text.lines().rev().take_while(|line| line.parse::<u32>().is_ok()).count(), 2, "{text}");
    fs::remove_dir(groups[1].0.join("below")).unwrap();
}

/// What a script says in a container that sees its groups at `/sys/fs/cgroup`.
fn in_view(script: &str, groups: &[Group], view: Mount, anew: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = support::contained(script, folder.path());
    command.mount(view).stderr(windlass_namespaces::Stdio::Null).capabilities(CapabilitySets::docker());
    if anew {
        command.namespace(Namespace::Cgroup, Source::New);
    }
    for group in groups {
        command.cgroup(group.descriptor());
    }
    said(&mut command)
}

fn view() {
    let groups = [unified_group(), legacy_group("pids"), legacy_group("freezer")];
    let names: Vec<PathBuf> = hierarchies("cgroup").into_iter().chain(hierarchies("cgroup2")).collect();
    let mut names: Vec<&str> = names.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    names.sort_unstable();
    names.dedup();
    fs::create_dir(groups[1].0.join("below")).unwrap();
    for anew in [true, false] {
        let script = "cd /sys/fs/cgroup; ls; ls -d pids/below; wc -l < pids/cgroup.procs; wc -l < unified/cgroup.procs; \
            mkdir pids/made && rmdir pids/made && echo writable";
        let text = in_view(script, &groups, Mount::cgroups("/sys/fs/cgroup"), anew);
        let expected: Vec<&str> = names.iter().copied().chain(["pids/below", "2", "2", "writable"]).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{anew}");
    }
    fs::remove_dir(groups[1].0.join("below")).unwrap();
}

/// Writing to the files of control groups reaches the host's: in the days of the vulnerability they were writable although
/// they were mounted read-only, in rootless containers at first.
fn view_is_read_only() {
    let groups = [unified_group(), legacy_group("pids")];
    for anew in [true, false] {
        let script = "cd /sys/fs/cgroup; for d in . */; do mkdir $d/made && echo made $d; done; \
            for f in */cgroup.procs; do echo $$ > $f && echo wrote $f; done; echo 1 > pids/pids.max && echo limited; \
            mount -o remount,rw pids && echo remounted; umount pids && echo unmounted; echo end";
        let text = in_view(script, &groups, Mount::cgroups("/sys/fs/cgroup").read_only(), anew);
        assert_eq!(text, "end", "{anew}");
        let script = "mkdir /c/made && echo made; echo $$ > /c/cgroup.procs && echo wrote; echo end";
        for view in [Mount::cgroup2("/c").read_only(), Mount::cgroup("/c", &["pids"]).read_only()] {
            assert_eq!(in_view(script, &groups, view, true), "end");
        }
    }
    // For the root of a user namespace, to whom the groups belong.
    for group in &groups {
        std::os::unix::fs::chown(&group.0, Some(100_000), Some(100_000)).unwrap();
        std::os::unix::fs::chown(group.0.join("cgroup.procs"), Some(100_000), Some(100_000)).unwrap();
    }
    for anew in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(folder.path(), Some(100_000), Some(100_000)).unwrap();
        let script = "cd /sys/fs/cgroup; test -e pids/cgroup.procs || echo absent; mkdir pids/made && echo made; \
            echo $$ > pids/cgroup.procs && echo wrote; mkdir unified/made && echo made; echo end";
        let mut command = support::contained(script, folder.path());
        let map = || vec![IdMapping::new(0, 100_000, 1000).unwrap()];
        command.namespace(Namespace::User, Source::New).id_mappings(map(), map());
        if anew {
            command.namespace(Namespace::Cgroup, Source::New);
        }
        for group in &groups {
            command.cgroup(group.descriptor());
        }
        command.mount(Mount::cgroups("/sys/fs/cgroup").read_only()).stderr(windlass_namespaces::Stdio::Null);
        assert_eq!(said(&mut command), "end", "{anew}");
    }
    for group in &groups {
        assert!(!group.0.join("made").exists());
    }
}

/// A v1 hierarchy's `release_agent` is run by the kernel as the host's root: a container that writes it, or mounts a
/// hierarchy of its own to write it there, is out.
fn release_agent() {
    let groups = [legacy_group("pids"), unified_group()];
    let script = "echo /bin/true > /sys/fs/cgroup/pids/release_agent && echo wrote; \
        mkdir /tmp/c; mount -t cgroup -o pids c /tmp/c && echo mounted; \
        unshare -UrmC sh -c 'mount -t cgroup -o pids c /tmp/c && echo /bin/true > /tmp/c/release_agent' && echo out; echo end";
    let before: Vec<String> = agents();
    for anew in [true, false] {
        for view in [Mount::cgroups("/sys/fs/cgroup"), Mount::cgroups("/sys/fs/cgroup").read_only()] {
            let folder = tempfile::tempdir().unwrap();
            let mut command = support::contained(script, folder.path());
            command.mount(view).mount(Mount::tmpfs("/tmp")).stderr(windlass_namespaces::Stdio::Null);
            command.capabilities(CapabilitySets::docker()).no_new_privileges();
            let docker = Policy::container(CapabilitySet::DOCKER).compile().unwrap();
            command.seccomp(docker);
            if anew {
                command.namespace(Namespace::Cgroup, Source::New);
            }
            for group in &groups {
                command.cgroup(group.descriptor());
            }
            assert_eq!(said(&mut command), "end");
        }
    }
    assert_eq!(agents(), before);
}

fn agents() -> Vec<String> {
    let files = hierarchies("cgroup").into_iter().map(|path| path.join("release_agent"));
    files.map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
}

fn joined() {
    let groups = [unified_group(), legacy_group("pids")];
    let own = fs::File::open("/proc/self/ns/pid").unwrap();
    let mut command = shell("cat /proc/self/cgroup");
    command.namespace(Namespace::Pid, Source::Join(own.into()));
    for group in &groups {
        command.cgroup(group.descriptor());
    }
    let text = said(&mut command);
    for (group, hierarchy) in groups.iter().zip(["", "pids"]) {
        assert!(path_in(&text, hierarchy).ends_with(&group.name()), "{text}");
    }
}

/// What a write to `cgroup.procs` does on a quiet machine: it waits for all CPUs, some 10 ms. The quickest of some starts
/// tells, beside those of processes that enter nothing.
fn soon() {
    let groups = [legacy_group("pids"), legacy_group("freezer")];
    let start = |groups: &[Group]| {
        let begin = Instant::now();
        let mut command = shell("true");
        for group in groups {
            command.cgroup(group.descriptor());
        }
        assert!(command.spawn().unwrap().wait().unwrap().success());
        begin.elapsed()
    };
    let (mut inside, mut beside) = (Duration::MAX, Duration::MAX);
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(20));
        inside = inside.min(start(&groups));
        beside = beside.min(start(&[]));
        if inside < beside + Duration::from_millis(6) {
            return;
        }
    }
    panic!("{inside:?} to start in two groups, {beside:?} in none");
}

fn refused() {
    let folder = fs::File::open("/tmp").unwrap();
    let result = shell("true").cgroup(folder.into()).spawn();
    assert!(matches!(result, Err(Error::Invalid { field: "cgroup", .. })), "{result:?}");
}

fn twice() {
    let group = unified_group();
    let result = shell("true").cgroup(group.descriptor()).cgroup(group.descriptor()).spawn();
    assert!(matches!(result, Err(Error::Invalid { field: "cgroup", .. })), "{result:?}");
}

fn full() {
    // A group that is gone: its file cannot be opened, and the process must end.
    let group = legacy_group("freezer");
    let descriptor = group.descriptor();
    let number = descriptor.as_raw_fd();
    drop(group);
    match shell("true").cgroup(descriptor).spawn() {
        Err(Error::Child { step, op: "openat", source }) => {
            assert_eq!(step, format!("enter cgroup {number}"));
            assert_eq!(source.raw_os_error(), Some(libc::ENOENT));
        }
        other => panic!("{other:?}"),
    }
    let children = fs::read_to_string("/proc/thread-self/children").unwrap();
    assert_eq!(children, "");
}
