//! Making, finding and removing groups.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a failed expectation is a failed test")]

mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use support::{Actor, Scratch, cgroup_namespaces, fresh_path, has, only};
use trial::{Test, need};
use windlass_cgroups::{
    Anchor, Controller, Error, GroupPath, GroupType, Hierarchies, Holder, Home, Limit, Pids, Resources, StatSelection,
    TreeLimits, Version, WatchMany,
};

fn main() -> ExitCode {
    type Each = (&'static str, &'static str, fn(&Hierarchies));
    const PIDS: &[Controller] = &[Controller::Pids];
    let mut tests = vec![
        Test::new("controllers_are_where_the_kernel_says", controllers_are_where_the_kernel_says),
        Test::new("a_group_is_below_the_own_one", a_group_is_below_the_own_one).needs(need::root),
        Test::new("a_group_of_every_hierarchy_is_in_all_of_them", every)
            .needs(need::root)
            .needs(has(Version::V1, &[Controller::Pids])),
        Test::new("v1_cpusets_are_filled", v1_cpusets_are_filled)
            .needs(need::root)
            .needs(has(Version::V1, &[Controller::Cpuset])),
        Test::new("v2_processes_inside_keep_controllers_from_passing", v2_processes_inside)
            .needs(need::root)
            .needs(has(Version::V2, &[Controller::Hugetlb])),
        Test::new("v2_a_container_makes_room_for_groups", v2_makes_room)
            .needs(need::root)
            .needs(has(Version::V2, &[Controller::Hugetlb])),
        Test::new("v2_a_cgroup_namespace_is_a_root_of_its_own", v2_cgroup_namespace)
            .needs(need::root)
            .needs(has(Version::V2, &[Controller::Hugetlb]))
            .needs(cgroup_namespaces),
        Test::new("v2_a_delegated_group_is_the_users", v2_delegated)
            .needs(need::root)
            .needs(has(Version::V2, &[Controller::Hugetlb]))
            .needs(need::path("/sys/kernel/cgroup/delegate")),
        Test::new("v2_what_fails_passes_no_controller_on", v2_what_fails_passes_nothing_on)
            .needs(need::root)
            .needs(has(Version::V2, &[Controller::Hugetlb])),
        Test::new("a_process_that_one_hierarchy_refuses_is_told_of", refused_by_one_hierarchy)
            .needs(need::root)
            .needs(has(Version::V1, &[Controller::Cpu, Controller::Cpuset])),
        Test::new("v2_the_groups_below_are_bounded_and_counted", v2_tree)
            .needs(need::root)
            .needs(has(Version::V2, &[])),
        Test::new("v2_controllers_are_passed_on_top_down", v2_controllers_are_passed_on_top_down)
            .needs(need::root)
            .needs(has(Version::V2, &[Controller::Hugetlb])),
    ];
    let each: [Each; 10] = [
        ("v1_a_group_is_removed_by_its_name", "v2_a_group_is_removed_by_its_name", removed_by_name),
        ("v1_a_process_is_in_every_hierarchy", "v2_a_process_is_in_every_hierarchy", a_process_is_in_every_hierarchy),
        ("v1_an_existing_group_is_not_taken", "v2_an_existing_group_is_not_taken", an_existing_group_is_not_taken),
        ("v1_what_fails_leaves_nothing", "v2_what_fails_leaves_nothing", what_fails_leaves_nothing),
        ("v1_a_missing_group_is_an_error", "v2_a_missing_group_is_an_error", a_missing_group_is_an_error),
        ("v1_a_removed_group_is_gone", "v2_a_removed_group_is_gone", a_removed_group_is_gone),
        ("v1_threads_are_moved_one_by_one", "v2_threads_are_moved_one_by_one", threads_are_moved),
        ("v1_a_group_of_the_same_name_is_another", "v2_a_group_of_the_same_name_is_another", same_name_is_another),
        ("v1_remove_does_not_kill", "v2_remove_does_not_kill", remove_does_not_kill),
        ("v1_remove_waits_for_the_last_process", "v2_remove_waits_for_the_last_process", remove_waits),
    ];
    for (v1, v2, body) in each {
        for (version, name) in [(Version::V1, v1), (Version::V2, v2)] {
            let controllers = if version == Version::V1 { PIDS } else { &[] };
            let test = Test::new(name, move || body(&only(version)));
            tests.push(test.needs(need::root).needs(has(version, controllers)));
        }
    }
    support::main(tests)
}

/// A controller that this machine has in the version.
fn some(all: &Hierarchies) -> Vec<Controller> {
    [Controller::Pids, Controller::Hugetlb]
        .into_iter()
        .filter(|controller| !matches!(all.home(*controller), Home::Absent(_)))
        .take(1)
        .collect()
}

fn controllers_are_where_the_kernel_says() {
    let all = Hierarchies::discover().unwrap();
    let kernel = std::fs::read_to_string("/proc/cgroups").unwrap();
    let unified = all.controllers().into_iter().find(|placement| placement.home == Home::V2).and_then(|it| it.base);
    let passed = unified.map(|base| std::fs::read_to_string(format!("{base}/cgroup.controllers")).unwrap());
    for placement in all.controllers() {
        let name = if placement.controller == Controller::Io { "blkio" } else { placement.controller.name() };
        let hierarchy = kernel.lines().find(|line| line.split('\t').next() == Some(name)).map(|line| {
            let id: u32 = line.split('\t').nth(1).unwrap().parse().unwrap();
            id
        });
        match placement.home {
            // Hierarchy 0 is the unified one.
            Home::V1 => assert!(hierarchy.is_some_and(|id| id != 0), "{placement:?}"),
            Home::V2 => {
                let built_in =
                    matches!(placement.controller, Controller::Freezer | Controller::Devices | Controller::PerfEvent);
                let listed = passed.as_ref().unwrap().split_whitespace().any(|it| it == placement.controller.name());
                assert!(built_in || listed, "{placement:?}");
            }
            Home::Absent(_) => assert_eq!(placement.base, None),
        }
    }
}

fn a_process_is_in_every_hierarchy(all: &Hierarchies) {
    let scratch = Scratch::new(all, &some(all));
    let actor = Actor::new("sleep");
    scratch.add(actor.pid()).unwrap();
    assert_eq!(scratch.pids().unwrap(), [i32::try_from(actor.pid()).unwrap()]);
    let membership = std::fs::read_to_string(format!("/proc/{}/cgroup", actor.pid())).unwrap();
    let inside = membership.lines().filter(|line| line.ends_with(&format!("/{}", scratch.path()))).count();
    assert_eq!(inside, scratch.descriptors().count(), "{membership}");
    assert!(inside >= 1);
}

fn an_existing_group_is_not_taken(all: &Hierarchies) {
    let scratch = Scratch::new(all, &some(all));
    let error = all.create(scratch.path(), &some(all)).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    assert!(!scratch.is_gone(), "the group that was there stays");
    let opened = all.open(scratch.path(), &some(all)).unwrap();
    assert_eq!(opened.descriptors().count(), scratch.descriptors().count());
    let error = scratch.child("..").unwrap_err();
    assert!(matches!(error, Error::Path(_)), "{error}");
}

fn what_fails_leaves_nothing(all: &Hierarchies) {
    let above = fresh_path();
    // A group cannot have the name of a kernel file; the group above it was made on the way.
    let error = all.create(&above.join("cgroup.procs").unwrap(), &some(all)).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    assert!(all.find(&above).unwrap().is_none());
    assert!(!all.groups().unwrap().contains(&above.to_string()));
}

fn a_missing_group_is_an_error(all: &Hierarchies) {
    let path = fresh_path();
    let error = all.open(&path, &some(all)).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert!(all.find(&path).unwrap().is_none());
    let below = path.join("a/b").unwrap();
    assert!(all.find(&below).unwrap().is_none());
}

fn removed_by_name(all: &Hierarchies) {
    let scratch = Scratch::new(all, &some(all));
    let child = scratch.child("child").unwrap();
    let busy = all.remove(scratch.path()).unwrap_err();
    assert!(matches!(&busy, Error::Busy { holder: Holder::Groups(groups), .. } if groups == &["child"]), "{busy}");
    let mut actor = Actor::within(&child, "sleep");
    let busy = all.remove(child.path()).unwrap_err();
    assert!(matches!(&busy, Error::Busy { holder: Holder::Processes(pids), .. } if pids.len() == 1), "{busy}");
    assert!(actor.is_running());
    child.kill_and_wait(support::SOON).unwrap();
    actor.wait();
    let (directories, path) = (child.descriptors().count(), child.path().clone());
    assert_eq!(child.into_descriptors().unwrap().len(), directories);
    for path in [&path, scratch.path(), scratch.path()] {
        all.remove(path).unwrap();
        assert!(all.find(path).unwrap().is_none(), "{path}");
    }
}

fn a_removed_group_is_gone(all: &Hierarchies) {
    let scratch = Scratch::new(all, &some(all));
    let child = scratch.child("child").unwrap();
    let mut reader = child.reader(StatSelection::ALL).unwrap();
    reader.read().unwrap();
    let error = scratch.remove().unwrap_err();
    assert!(matches!(&error, Error::Busy { holder: Holder::Groups(groups), .. } if groups == &["child"]), "{error}");
    assert_eq!(scratch.groups().unwrap(), ["child"]);
    child.remove().unwrap();
    assert_eq!(scratch.groups().unwrap(), [""; 0]);
    for error in [
        child.groups().err(),
        reader.read().err(),
        child.stats().err(),
        child.pids().err(),
        child.add(std::process::id()).err(),
        child.apply(&Resources::default()).err(),
        child.freeze(Duration::from_secs(1)).err(),
        child.oom_kills().err(),
        child.kill_and_wait(Duration::from_secs(1)).err(),
        child.events().err(),
        child.threads().err(),
        child.effective_cpus().err(),
        child.memory_by_node().err(),
        WatchMany::new().unwrap().add(&child).err(),
        child.remove().err(),
    ] {
        assert!(matches!(error, Some(Error::Gone { .. })), "{error:?}");
    }
    scratch.remove().unwrap();
    assert!(all.find(scratch.path()).unwrap().is_none());
}

fn same_name_is_another(all: &Hierarchies) {
    let scratch = Scratch::new(all, &some(all));
    let stale = all.open(scratch.path(), &some(all)).unwrap();
    stale.remove().unwrap();
    let new = all.create(scratch.path(), &some(all)).unwrap();
    let actor = Actor::new("sleep");
    new.add(actor.pid()).unwrap();
    let resources = Resources { pids: Pids { max: Some(Limit::At(7)) }, ..Resources::default() };
    // What the group could not have anyway is no answer either.
    let memory = windlass_cgroups::Memory { min: Some(Limit::Max), ..Default::default() };
    let nowhere = Resources { memory, ..Resources::default() };
    for error in [
        stale.stats().err(),
        stale.pids().err(),
        stale.oom_kills().err(),
        stale.apply(&resources).err(),
        stale.apply_best_effort(&resources).err(),
        stale.apply(&nowhere).err(),
        stale.add(std::process::id()).err(),
        stale.kill_and_wait(Duration::from_secs(1)).err(),
        stale.child("below").err(),
        stale.remove().err(),
        stale.remove_tree().err(),
    ] {
        assert!(matches!(error, Some(Error::Gone { .. })), "{error:?}");
    }
    assert!(!new.is_gone(), "the new group is not touched");
    assert_eq!(new.pids().unwrap(), [i32::try_from(actor.pid()).unwrap()]);
}

fn threads_are_moved(all: &Hierarchies) {
    // Not every controller can be in a threaded group.
    let is_v1 = all.only(Version::V1).is_ok();
    let scratch = Scratch::new(all, if is_v1 { &[Controller::Pids] } else { &[] });
    let below = scratch.child("below").unwrap();
    let other = scratch.child("other").unwrap();
    let mut actor = Actor::within(&scratch, "threads");
    actor.news().unwrap();
    let pid = i32::try_from(actor.pid()).unwrap();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let tids: Vec<u32> = tasks.map(|task| task.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    let tid = *tids.iter().find(|tid| **tid != actor.pid()).unwrap();
    if !is_v1 {
        assert_eq!(below.group_type().unwrap(), Some(GroupType::Domain));
        let error = below.add_thread(tid).unwrap_err();
        assert_eq!(error.errno(), Some(95), "EOPNOTSUPP: {error:?}");
    }
    below.make_threaded().unwrap();
    below.add_thread(tid).unwrap();
    assert_eq!(below.threads().unwrap(), [i32::try_from(tid).unwrap()]);
    assert_eq!(scratch.threads().unwrap(), [pid]);
    if is_v1 {
        assert_eq!(below.group_type().unwrap(), None);
    } else {
        assert_eq!(below.group_type().unwrap(), Some(GroupType::Threaded));
        assert_eq!(scratch.group_type().unwrap(), Some(GroupType::ThreadedDomain));
        assert_eq!(other.group_type().unwrap(), Some(GroupType::InvalidDomain));
    }
    let ended = below.add_thread(u32::MAX >> 1).unwrap_err();
    assert_eq!(ended.errno(), Some(3), "ESRCH: {ended:?}");
    scratch.kill_and_wait(support::SOON).unwrap();
}

fn v2_tree() {
    let scratch = Scratch::new(&only(Version::V2), &[]);
    let limits = TreeLimits { depth: Some(Limit::At(1)), descendants: Some(Limit::At(2)) };
    scratch.limit_tree(limits).unwrap();
    let child = scratch.child("a").unwrap();
    let error = child.child("deeper").unwrap_err();
    assert_eq!(error.errno(), Some(11), "EAGAIN: {error:?}");
    let second = scratch.child("b").unwrap();
    assert!(scratch.child("c").is_err());
    let tree = scratch.tree().unwrap().unwrap();
    assert_eq!((tree.descendants, tree.max_descendants, tree.max_depth), (2, limits.descendants, limits.depth));
    scratch.limit_tree(TreeLimits { descendants: Some(Limit::Max), ..TreeLimits::default() }).unwrap();
    let tree = scratch.tree().unwrap().unwrap();
    assert_eq!((tree.max_descendants, tree.max_depth), (Some(Limit::Max), limits.depth));
    // Since 6.18.
    if let Some(frozen) = tree.frozen {
        assert_eq!(frozen, Duration::ZERO);
        scratch.freeze(support::SOON).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert!(scratch.tree().unwrap().unwrap().frozen.unwrap() >= Duration::from_millis(20));
        scratch.thaw().unwrap();
    }
    let counts = |file| scratch.file(Controller::Freezer, file);
    if scratch.count_pressure(false).is_ok() {
        assert_eq!(counts("cgroup.pressure"), "0");
        scratch.count_pressure(true).unwrap();
        assert_eq!(counts("cgroup.pressure"), "1");
    }
    second.remove().unwrap();
    assert!(matches!(second.tree(), Err(Error::Gone { .. })));
    assert!(matches!(second.limit_tree(limits), Err(Error::Gone { .. })));
}

fn remove_does_not_kill(all: &Hierarchies) {
    let scratch = Scratch::new(all, &some(all));
    let mut actor = Actor::within(&scratch, "sleep");
    let error = scratch.remove_within(Duration::from_millis(50)).unwrap_err();
    let pid = i32::try_from(actor.pid()).unwrap();
    assert!(matches!(&error, Error::Busy { holder: Holder::Processes(pids), .. } if pids == &[pid]), "{error}");
    assert!(actor.is_running());
    assert!(!scratch.is_gone());
}

fn remove_waits(all: &Hierarchies) {
    let scratch = Scratch::new(all, &some(all));
    let start = Instant::now();
    let _actor = Actor::within(&scratch, "nap 200");
    scratch.remove().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert!(scratch.is_gone());
}

fn v1_cpusets_are_filled() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Cpuset]);
    let child = scratch.child("a").unwrap();
    let parent = std::fs::read_to_string(format!("{}/../cpuset.cpus", scratch.directory(Controller::Cpuset))).unwrap();
    assert_eq!(scratch.file(Controller::Cpuset, "a/cpuset.cpus"), parent.trim());
    let actor = Actor::new("sleep");
    child.add(actor.pid()).unwrap();
    child.kill_and_wait(support::SOON).unwrap();
    child.remove().unwrap();
}

fn v2_processes_inside() {
    let all = only(Version::V2);
    let scratch = Scratch::new(&all, &[Controller::Hugetlb]);
    let actor = Actor::new("sleep");
    scratch.add(actor.pid()).unwrap();
    let error = scratch.child("below").unwrap_err();
    let pid = i32::try_from(actor.pid()).unwrap();
    assert!(matches!(&error, Error::Busy { holder: Holder::InternalProcesses(pids), .. } if pids == &[pid]), "{error}");
    assert!(all.find(&scratch.path().join("below").unwrap()).unwrap().is_none());
}

fn v2_controllers_are_passed_on_top_down() {
    let all = only(Version::V2);
    let scratch = Scratch::new(&all, &[]);
    let path: GroupPath = scratch.path().join("a/b").unwrap();
    let group = all.create(&path, &[Controller::Hugetlb]).unwrap();
    assert_eq!(group.layout().unwrap().home(Controller::Hugetlb), Home::V2);
    let error = scratch.add(std::process::id()).unwrap_err();
    assert!(matches!(error, Error::Busy { holder: Holder::PassedOnControllers, .. }), "{error}");
}

fn v2_what_fails_passes_nothing_on() {
    let all = only(Version::V2);
    let scratch = Scratch::new(&all, &[]);
    let passed_on = || scratch.file(Controller::Freezer, "cgroup.subtree_control");
    let wrong = scratch.path().join("a/cgroup.procs").unwrap();
    let error = all.create(&wrong, &[Controller::Hugetlb]).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    assert_eq!(passed_on(), "", "it passed nothing on before");
    let other = all.create(&scratch.path().join("other").unwrap(), &[]).unwrap();
    all.create(&wrong, &[Controller::Hugetlb]).unwrap_err();
    assert_eq!(passed_on(), "hugetlb", "another group may have come to use it");
    other.remove().unwrap();
    all.create(&wrong, &[Controller::Hugetlb]).unwrap_err();
    assert_eq!(passed_on(), "hugetlb", "that is how it was found");
}

/// A cpuset of v1 without memory nodes takes no process.
fn refused_by_one_hierarchy() {
    let all = only(Version::V1);
    let scratch = Scratch::new(&all, &[Controller::Cpu, Controller::Cpuset]);
    let directory = scratch.directory(Controller::Cpuset);
    std::fs::write(format!("{directory}/cpuset.mems"), "\n").unwrap();
    let actor = Actor::new("sleep");
    let error = scratch.add(actor.pid()).unwrap_err();
    assert_eq!(error.errno(), Some(28), "ENOSPC: {error:?}");
    let membership = std::fs::read_to_string(format!("/proc/{}/cgroup", actor.pid())).unwrap();
    let inside = membership.lines().filter(|line| line.ends_with(&format!("/{}", scratch.path()))).count();
    match error {
        Error::PartlyAdded { pid, moved, kept_out, .. } => {
            assert_eq!((pid, moved.len()), (actor.pid(), inside));
            assert_eq!(kept_out[0], directory);
            assert_eq!(moved.len() + kept_out.len(), scratch.descriptors().count());
        }
        error => assert_eq!((inside, matches!(error, Error::Sys { .. })), (0, true), "{error:?}"),
    }
}

fn v2_makes_room() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Hugetlb]);
    let mut actor = Actor::within(&scratch, "delegated hugetlb");
    assert_eq!(actor.news(), Some(b'y'));
    assert_eq!(scratch.pids().unwrap(), [0; 0], "the process is in a leaf now");
}

fn v2_cgroup_namespace() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Hugetlb]);
    let mount_point = std::env::temp_dir().join(scratch.path().as_str());
    std::fs::create_dir(&mount_point).unwrap();
    let mut actor = Actor::within(&scratch, &format!("contain {}", mount_point.display()));
    let news = actor.news();
    let found = scratch.all.find(&scratch.path().join("self").unwrap()).map(|group| group.is_some());
    scratch.kill_and_wait(support::SOON).unwrap();
    std::fs::remove_dir(&mount_point).unwrap();
    assert_eq!(news, Some(b'y'));
    assert!(found.unwrap(), "the group was made below the root of the namespace");
}

fn v2_delegated() {
    const NOBODY: u32 = 65534;
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Hugetlb]);
    let refused = |role| {
        let mut actor = Actor::new_as(NOBODY, role);
        scratch.add(actor.pid()).unwrap();
        actor.go();
        actor.news()
    };
    assert_eq!(refused("refused"), Some(b'y'));
    scratch.delegate(NOBODY, NOBODY).unwrap();
    let mut actor = Actor::new_as(NOBODY, "delegated hugetlb");
    scratch.add(actor.pid()).unwrap();
    actor.go();
    assert_eq!(actor.news(), Some(b'y'));
    let limit = format!("{}/hugetlb.2MB.max", scratch.directory(Controller::Hugetlb));
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(limit).unwrap()), 0, "its limits are not");
}

/// A process whose own group is known makes a group below it.
fn a_group_is_below_the_own_one() {
    let all = Hierarchies::discover().unwrap();
    let own = Hierarchies::discover_at(Anchor::OwnGroup).unwrap();
    let membership = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    for (placement, own) in all.controllers().iter().zip(own.controllers()) {
        let (Some(base), Some(own_base)) = (&placement.base, &own.base) else { continue };
        let name = if placement.controller == Controller::Io { "blkio" } else { placement.controller.name() };
        let path = membership
            .lines()
            .find(|line| match placement.home {
                Home::V1 => line.split(':').nth(1).unwrap().split(',').any(|it| it == name),
                _ => line.starts_with("0::"),
            })
            .and_then(|line| line.splitn(3, ':').nth(2))
            .unwrap();
        assert_eq!(format!("{base}{path}").trim_end_matches('/'), own_base.trim_end_matches('/'));
    }
}

fn every() {
    let all = Hierarchies::discover_every().unwrap();
    let scratch = Scratch::new(&all, &[]);
    let actor = Actor::within(&scratch, "sleep");
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", actor.pid())).unwrap();
    let name = scratch.path().as_str().to_owned();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    // Each hierarchy that is mounted, named ones included.
    let mounted = mounts.lines().filter(|line| matches!(line.split(' ').nth(2), Some("cgroup" | "cgroup2"))).count();
    assert_eq!(text.lines().filter(|line| line.ends_with(&format!("/{name}"))).count(), mounted, "{text}");
    assert_eq!(scratch.tree_pids().unwrap(), [i32::try_from(actor.pid()).unwrap()]);
    assert!(scratch.group.file(Version::V1, "pids.max").unwrap().is_some());
    assert!(scratch.group.file(Version::V1, "no.such").unwrap().is_none());
}
