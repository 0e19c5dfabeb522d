//! Freezing, killing and watching processes.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a failed expectation is a failed test")]

mod support;

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use support::{Actor, SOON, Scratch, eventually, has, only};
use trial::{Test, need};
use windlass_cgroups::{
    Bytes, Controller, Error, Event, Group, Hierarchies, Limit, Memory, Pids, PressureLevel, PressureScope, Resources,
    Version, Watch, WatchKey, WatchMany,
};

fn main() -> ExitCode {
    type Each = (&'static str, &'static str, fn(&Hierarchies, &[Controller]));
    const BOMB_V1: &[Controller] = &[Controller::Freezer, Controller::Pids];
    const V1: &[Controller] = &[Controller::Freezer, Controller::Cpu, Controller::Pids];
    let each: [Each; 5] = [
        ("v1_frozen_processes_do_not_run", "v2_frozen_processes_do_not_run", frozen_do_not_run),
        ("v1_kill_ends_everything_below", "v2_kill_ends_everything_below", kill_ends_everything),
        ("v1_kill_ends_frozen_groups_below", "v2_kill_ends_frozen_groups_below", kill_ends_frozen),
        ("v1_kill_does_not_wait_for_zombies", "v2_kill_does_not_wait_for_zombies", kill_and_zombies),
        ("v1_a_watch_ends_with_its_group", "v2_a_watch_ends_with_its_group", watch_ends),
    ];
    let mut tests = Vec::new();
    for (v1, v2, body) in each {
        tests.push(Test::new(v1, move || body(&only(Version::V1), V1)).needs(need::root).needs(has(Version::V1, V1)));
        tests.push(Test::new(v2, move || body(&only(Version::V2), &[])).needs(need::root).needs(has(Version::V2, &[])));
    }
    let root = |name, body: fn()| Test::new(name, body).needs(need::root);
    tests.extend([
        root("v1_kill_ends_a_fork_bomb", || kill_ends_a_bomb(&only(Version::V1), BOMB_V1))
            .needs(has(Version::V1, BOMB_V1)),
        root("v2_kill_ends_a_fork_bomb", || kill_ends_a_bomb(&only(Version::V2), &[Controller::Pids]))
            .needs(has(Version::V2, &[Controller::Pids])),
        root("kill_ends_a_fork_bomb_in_both_versions", || {
            kill_ends_a_bomb(&Hierarchies::discover().unwrap(), &[Controller::Pids]);
        })
        .needs(has(Version::V1, &[Controller::Pids]))
        .needs(has(Version::V2, &[])),
        root("kill_ends_what_is_in_v1_only", kill_ends_what_is_in_v1_only)
            .needs(has(Version::V1, &[Controller::Pids]))
            .needs(has(Version::V2, &[])),
        root("v1_an_oom_kill_is_told", || oom_kill_is_told(Version::V1)).needs(has(Version::V1, &[Controller::Memory])),
        root("v2_an_oom_kill_is_told", || oom_kill_is_told(Version::V2)).needs(has(Version::V2, &[Controller::Memory])),
        root("v2_an_oom_kill_ends_the_group", v2_oom_group).needs(has(Version::V2, &[Controller::Memory])),
        root("v1_pressure_on_memory_is_told", v1_memory_pressure).needs(has(Version::V1, &[Controller::Memory])),
        root("v2_one_descriptor_tells_of_many_groups", v2_watch_many).needs(has(Version::V2, &[])),
        root("v2_one_descriptor_tells_of_oom_kills", v2_watch_many_oom).needs(has(Version::V2, &[Controller::Memory])),
        root("v1_one_descriptor_tells_of_removals", v1_watch_many).needs(has(Version::V1, &[Controller::Pids])),
        root("v2_first_and_last_process_are_told", v2_populated).needs(has(Version::V2, &[])),
        root("v1_a_process_that_cannot_freeze_in_time", || freeze_in_no_time(Version::V1, &[Controller::Freezer]))
            .needs(has(Version::V1, &[Controller::Freezer])),
        root("v2_a_process_that_cannot_freeze_in_time", || freeze_in_no_time(Version::V2, &[]))
            .needs(has(Version::V2, &[])),
    ]);
    for (name, version, controllers) in [
        ("v1_what_does_not_freeze_keeps_nobody_frozen", Version::V1, V1),
        ("v2_what_does_not_freeze_keeps_nobody_frozen", Version::V2, &[]),
    ] {
        let test = Test::new(name, move || freeze_missed(version, controllers)).needs(need::root);
        tests.push(test.needs(has(version, controllers)).needs(need::program("python3")).needs(x86));
    }
    support::main(tests)
}

fn usage(group: &Group) -> Duration {
    group.stats().unwrap().cpu.unwrap().usage
}

fn frozen_do_not_run(all: &Hierarchies, controllers: &[Controller]) {
    let scratch = Scratch::new(all, controllers);
    let _actor = Actor::within(&scratch, "spin 600000");
    eventually("it runs", || usage(&scratch) > Duration::from_millis(20));
    assert!(!scratch.is_frozen().unwrap());
    scratch.freeze(SOON).unwrap();
    assert!(scratch.is_frozen().unwrap());
    let before = usage(&scratch);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(usage(&scratch), before);
    scratch.thaw().unwrap();
    eventually("it runs again", || usage(&scratch) > before + Duration::from_millis(20));
}

fn kill_ends_everything(all: &Hierarchies, controllers: &[Controller]) {
    let scratch = Scratch::new(all, controllers);
    let child = scratch.child("child").unwrap();
    let mut below = Actor::within(&child, "sleep");
    let other = Scratch::new(all, controllers);
    let mut outside = Actor::within(&other, "sleep");
    assert_eq!((scratch.pids().unwrap(), scratch.tree_pids().unwrap()), (Vec::new(), child.pids().unwrap()));
    let start = Instant::now();
    scratch.kill_and_wait(SOON).unwrap();
    assert!(start.elapsed() < SOON);
    assert_eq!(scratch.tree_pids().unwrap(), [0; 0]);
    assert_eq!(below.wait().signal(), Some(9));
    assert!(outside.is_running(), "a process of another group lives on");
    scratch.kill_and_wait(SOON).unwrap();
    scratch.remove_tree().unwrap();
    assert!(child.is_gone());
}

fn kill_ends_frozen(all: &Hierarchies, controllers: &[Controller]) {
    let scratch = Scratch::new(all, controllers);
    let child = scratch.child("child").unwrap();
    let mut actor = Actor::within(&child, "sleep");
    child.freeze(SOON).unwrap();
    scratch.freeze(SOON).unwrap();
    scratch.kill_and_wait(SOON).unwrap();
    assert_eq!(actor.wait().signal(), Some(9));
}

fn kill_and_zombies(all: &Hierarchies, controllers: &[Controller]) {
    let scratch = Scratch::new(all, controllers);
    let mut parent = Actor::within(&scratch, "parent");
    parent.news().unwrap();
    let mut actor = Actor::within(&scratch, "sleep");
    scratch.kill_and_wait(SOON).unwrap();
    // Neither was waited for yet.
    scratch.remove().unwrap();
    assert_eq!((parent.wait().signal(), actor.wait().signal()), (Some(9), Some(9)));
}

fn kill_ends_a_bomb(all: &Hierarchies, controllers: &[Controller]) {
    // Whether one multiplies in the very moment in which it is killed is chance: often enough, some do.
    for _ in 0..15 {
        let scratch = Scratch::new(all, controllers);
        scratch.apply(&Resources { pids: Pids { max: Some(Limit::At(60)) }, ..Resources::default() }).unwrap();
        let mut actor = Actor::within(&scratch, "bomb");
        actor.news().unwrap();
        eventually("it multiplies", || scratch.pids().unwrap().len() > 30);
        scratch.kill_and_wait(SOON).unwrap();
        assert_eq!(scratch.pids().unwrap(), [0; 0]);
        scratch.remove().unwrap();
    }
}

fn kill_ends_what_is_in_v1_only() {
    let all = Hierarchies::discover().unwrap();
    let scratch = Scratch::new(&all, &[Controller::Pids]);
    let mut actor = Actor::new("sleep");
    let procs = format!("{}/cgroup.procs", scratch.directory(Controller::Pids));
    std::fs::write(procs, actor.pid().to_string()).unwrap();
    scratch.kill_and_wait(SOON).unwrap();
    assert_eq!(actor.wait().signal(), Some(9));
}

/// Waits until the watch's descriptor is readable, as an event loop would.
fn next(watch: &mut Watch) -> Vec<Event> {
    let end = Instant::now() + SOON;
    loop {
        let left = end.checked_duration_since(Instant::now()).expect("an event comes soon");
        let timeout = Timespec::try_from(left).unwrap();
        poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&timeout)).unwrap();
        let events = watch.read().unwrap();
        if !events.is_empty() {
            return events;
        }
    }
}

fn is_readable(watch: &Watch) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&now)).unwrap() > 0
}

fn watch_ends(all: &Hierarchies, controllers: &[Controller]) {
    let scratch = Scratch::new(all, controllers);
    let mut watch = scratch.events().unwrap();
    assert!(!is_readable(&watch), "nothing happened");
    // What happens to a neighbour is not told.
    let other = Scratch::new(all, controllers);
    other.remove().unwrap();
    assert_eq!(watch.read().unwrap(), []);
    assert!(!is_readable(&watch));
    scratch.remove().unwrap();
    assert_eq!(next(&mut watch), [Event::Removed]);
    assert_eq!(watch.read().unwrap(), [], "it is told once");
}

fn limited(version: Version) -> Scratch {
    let scratch = Scratch::new(&only(version), &[Controller::Memory]);
    let memory = Memory { max: Some(Limit::At(Bytes::mib(24))), ..Memory::default() };
    scratch.apply(&Resources { memory, ..Resources::default() }).unwrap();
    scratch
}

fn oom_kill_is_told(version: Version) {
    let scratch = limited(version);
    let mut watch = scratch.events().unwrap();
    let mut actor = Actor::within(&scratch, "hog 64");
    assert_eq!(actor.wait().signal(), Some(9));
    let mut told = Vec::new();
    while !told.contains(&Event::OomKilled(1)) {
        told.extend(next(&mut watch));
    }
    assert_eq!(scratch.oom_kills().unwrap(), Some(1));
    assert_eq!(scratch.stats().unwrap().memory.unwrap().oom_kills, Some(1));
    if version == Version::V1 {
        assert!(told.contains(&Event::OutOfMemory), "{told:?}");
    }
}

fn v2_oom_group() {
    let scratch = limited(Version::V2);
    let memory = Memory { oom_group: Some(true), ..Memory::default() };
    scratch.apply(&Resources { memory, ..Resources::default() }).unwrap();
    let mut bystander = Actor::within(&scratch, "sleep");
    bystander.news().unwrap();
    let mut actor = Actor::within(&scratch, "hog 64");
    assert_eq!((actor.wait().signal(), bystander.wait().signal()), (Some(9), Some(9)));
    let memory = scratch.stats().unwrap().memory.unwrap();
    assert_eq!(memory.oom_group_kills, Some(1));
    // Some kernels count the victim once more when its group follows it.
    assert!(memory.oom_kills.unwrap() >= 2, "{memory:?}");
}

fn v2_populated() {
    let scratch = Scratch::new(&only(Version::V2), &[]);
    let mut watch = scratch.events().unwrap();
    let mut actor = Actor::within(&scratch, "sleep");
    assert_eq!(next(&mut watch), [Event::Populated(true)]);
    scratch.freeze(SOON).unwrap();
    assert_eq!(next(&mut watch), [Event::Frozen(true)]);
    scratch.kill_and_wait(SOON).unwrap();
    actor.wait();
    let mut told = next(&mut watch);
    while !told.contains(&Event::Populated(false)) {
        told.extend(next(&mut watch));
    }
    scratch.remove().unwrap();
    assert_eq!(next(&mut watch), [Event::Removed]);
}

fn v1_memory_pressure() {
    let scratch = limited(Version::V1);
    let told = scratch.memory_pressure_v1(PressureLevel::Low, PressureScope::Hierarchy).unwrap();
    assert!(!told.wait(Duration::from_millis(20)).unwrap());
    let _writer = Actor::within(&scratch, "hog 64");
    assert!(told.wait(SOON).unwrap());
    scratch.kill_and_wait(SOON).unwrap();
    scratch.remove().unwrap();
    assert!(matches!(told.wait(SOON), Err(Error::Gone { .. })));
    assert!(matches!(told.read(), Err(Error::Gone { .. })));
}

/// Waits for the events of many groups.
fn next_of_many(watch: &mut WatchMany) -> Vec<(WatchKey, Event)> {
    let end = Instant::now() + SOON;
    loop {
        let left = end.checked_duration_since(Instant::now()).expect("an event comes soon");
        let timeout = Timespec::try_from(left).unwrap();
        poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&timeout)).unwrap();
        let events = watch.read().unwrap();
        if !events.is_empty() {
            return events;
        }
    }
}

fn v2_watch_many() {
    let all = only(Version::V2);
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let groups: Vec<Scratch> = (0..20).map(|_| Scratch::new(&all, &[])).collect();
    let before = descriptors();
    let mut watch = WatchMany::new().unwrap();
    let keys: Vec<WatchKey> = groups.iter().map(|group| watch.add(group).unwrap()).collect();
    assert_eq!((descriptors(), watch.len()), (before + 1, 20), "one descriptor for all");
    assert_eq!(watch.read().unwrap(), []);
    let mut actor = Actor::within(&groups[7], "sleep");
    assert_eq!(next_of_many(&mut watch), [(keys[7], Event::Populated(true))]);
    groups[3].freeze(SOON).unwrap();
    assert_eq!(next_of_many(&mut watch), [(keys[3], Event::Frozen(true))]);
    groups[7].kill_and_wait(SOON).unwrap();
    actor.wait();
    assert_eq!(next_of_many(&mut watch), [(keys[7], Event::Populated(false))]);
    groups[5].remove().unwrap();
    assert_eq!(next_of_many(&mut watch), [(keys[5], Event::Removed)]);
    assert_eq!(watch.len(), 19);
    watch.remove(keys[3]);
    groups[3].thaw().unwrap();
    assert_eq!(watch.read().unwrap(), [], "it is not watched any more");
    // A group of the same name is another, of which nothing is told.
    let again = all.create(groups[5].path(), &[]).unwrap();
    again.freeze(SOON).unwrap();
    assert_eq!(watch.read().unwrap(), []);
    assert!(matches!(watch.add(&groups[5]), Err(Error::Gone { .. })));
    assert_eq!(watch.len(), 18);
}

fn v2_watch_many_oom() {
    let scratch = limited(Version::V2);
    let mut watch = WatchMany::new().unwrap();
    let key = watch.add(&scratch).unwrap();
    let mut actor = Actor::within(&scratch, "hog 64");
    assert_eq!(actor.wait().signal(), Some(9));
    let mut told = Vec::new();
    while !told.contains(&(key, Event::OomKilled(1))) {
        told.extend(next_of_many(&mut watch));
    }
}

fn v1_watch_many() {
    let all = only(Version::V1);
    let groups = [Scratch::new(&all, &[Controller::Pids]), Scratch::new(&all, &[Controller::Pids])];
    let mut watch = WatchMany::new().unwrap();
    let keys = groups.each_ref().map(|group| watch.add(group).unwrap());
    groups[1].remove().unwrap();
    assert_eq!(next_of_many(&mut watch), [(keys[1], Event::Removed)]);
    assert!(!watch.is_empty());
}

fn freeze_in_no_time(version: Version, controllers: &[Controller]) {
    let scratch = Scratch::new(&only(version), controllers);
    let _actors = [Actor::within(&scratch, "spin 600000"), Actor::within(&scratch, "spin 600000")];
    for _ in 0..20 {
        // They may have frozen before anybody looked; if not they are thawed again.
        match scratch.freeze(Duration::ZERO) {
            Ok(()) => assert!(scratch.is_frozen().unwrap()),
            Err(Error::TimedOut { .. }) => {
                let file = if version == Version::V1 { "freezer.state" } else { "cgroup.freeze" };
                let asked = scratch.file(Controller::Freezer, file);
                assert!(asked == "THAWED" || asked == "0", "{asked}");
            }
            Err(error) => panic!("{error}"),
        }
        scratch.thaw().unwrap();
    }
}

/// The number of the call below is that of this processor.
fn x86() -> Result<(), String> {
    if cfg!(target_arch = "x86_64") { Ok(()) } else { Err("needs the number of userfaultfd".to_owned()) }
}

/// A process that stands in a system call until it is killed: the kernel reads a page there which nobody provides.
const STUCK: &str = "
import ctypes, fcntl, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
sys.stdin.read(1)
faults = libc.syscall(323, os.O_CLOEXEC)
fcntl.ioctl(faults, 0xc018aa3f, bytearray(struct.pack('QQQ', 0xaa, 0, 0)))
page = libc.mmap(None, ctypes.c_size_t(4096), 3, 0x22, -1, ctypes.c_long(0))
fcntl.ioctl(faults, 0xc020aa00, bytearray(struct.pack('QQQQ', page, 4096, 1, 0)))
reader, writer = os.pipe()
os.write(1, b'.')
libc.write(writer, ctypes.c_void_p(page), 1)
os.write(1, b'!')
";

fn freeze_missed(version: Version, controllers: &[Controller]) {
    let scratch = Scratch::new(&only(version), controllers);
    let spinning = Actor::within(&scratch, "spin 600000");
    let mut stuck = Actor::of(std::process::Command::new("python3").args(["-c", STUCK]));
    scratch.add(stuck.pid()).unwrap();
    stuck.go();
    assert_eq!(stuck.news(), Some(b'.'));
    let call = format!("/proc/{}/syscall", stuck.pid());
    eventually("it is in its call", || std::fs::read_to_string(&call).is_ok_and(|call| call.starts_with("1 ")));
    let missed = scratch.freeze(Duration::from_millis(300));
    assert!(matches!(missed, Err(Error::TimedOut { .. })), "{missed:?}");
    // Who could be frozen is not left so. Its own time counts: what is stuck may go round in its call.
    let used = || -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/schedstat", spinning.pid())).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    let before = used();
    eventually("the other runs", || used() > before + 20_000_000);
    assert!(!scratch.is_frozen().unwrap());
    scratch.kill_and_wait(SOON).unwrap();
    assert_eq!(stuck.wait().signal(), Some(9));
}
