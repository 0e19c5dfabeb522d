//! Accounting, checked against what processes did and what the kernel says of them elsewhere.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a failed expectation is a failed test")]

mod support;

use std::process::ExitCode;
use std::time::Duration;

use support::{Actor, Scratch, disk, has, only};
use trial::{Test, need};
use windlass_cgroups::{
    Absence, Bytes, Controller, Error, Hierarchies, Io, IoMax, Limit, Memory, PeakOf, PressureOn, Reclaimed, Resources,
    Stall, StatKind, StatSelection, Stats, Version,
};

fn main() -> ExitCode {
    let root = |name, body: fn()| Test::new(name, body).needs(need::root);
    support::main(vec![
        root("v1_cpu_time_is_that_of_the_process", || cpu_time(Version::V1))
            .needs(has(Version::V1, &[Controller::Cpu])),
        root("v2_cpu_time_is_that_of_the_process", || cpu_time(Version::V2)).needs(has(Version::V2, &[])),
        root("v1_memory_is_that_of_the_process", || memory(Version::V1)).needs(has(Version::V1, &[Controller::Memory])),
        root("v2_memory_is_that_of_the_process", || memory(Version::V2)).needs(has(Version::V2, &[Controller::Memory])),
        root("v1_tasks_are_counted", || tasks(Version::V1)).needs(has(Version::V1, &[Controller::Pids])),
        root("v2_tasks_are_counted", || tasks(Version::V2)).needs(has(Version::V2, &[Controller::Pids])),
        root("v1_io_is_none_until_a_rule_counts_it", v1_io)
            .needs(has(Version::V1, &[Controller::Io]))
            .needs(|| disk().map(|_| ())),
        root("v2_io_is_throttled_and_counted", v2_io)
            .needs(has(Version::V2, &[Controller::Io]))
            .needs(|| disk().map(|_| ())),
        root("v1_what_the_group_lacks_is_absent", v1_lacks).needs(has(Version::V1, &[Controller::Pids])),
        root("v2_throttling_is_counted", v2_throttling).needs(has(Version::V2, &[Controller::Cpu])),
        root("v2_pressure_is_read", v2_pressure).needs(has(Version::V2, &[])).needs(need::path("/proc/pressure/cpu")),
        root("v2_a_trigger_tells_of_pressure", v2_trigger)
            .needs(has(Version::V2, &[]))
            .needs(need::path("/proc/pressure/cpu")),
        root("v2_a_trigger_without_privilege_has_windows_of_two_seconds", v2_unprivileged_trigger)
            .needs(has(Version::V2, &[]))
            .needs(need::path("/sys/kernel/cgroup/delegate"))
            .needs(need::path("/proc/pressure/cpu")),
        root("v1_peaks_and_reclaim_are_those_of_v2", v1_peaks).needs(has(Version::V1, &[Controller::Memory])),
        root("v2_a_peak_starts_anew_for_one_handle", v2_peaks).needs(has(Version::V2, &[Controller::Memory])),
        root("v2_local_events_are_apart", v2_local_events).needs(has(Version::V2, &[Controller::Memory])),
        root("v1_memory_is_counted_by_node", || memory_by_node(Version::V1))
            .needs(has(Version::V1, &[Controller::Memory])),
        root("v2_memory_is_counted_by_node", || memory_by_node(Version::V2))
            .needs(has(Version::V2, &[Controller::Memory])),
        root("v2_misc_and_rdma_are_counted", v2_misc_and_rdma)
            .needs(has(Version::V2, &[Controller::Misc, Controller::Rdma])),
        root("v2_huge_pages_are_counted_by_node", v2_hugetlb_nodes).needs(has(Version::V2, &[Controller::Hugetlb])),
        root("a_group_in_both_versions_counts_once", both)
            .needs(has(Version::V1, &[Controller::Cpu]))
            .needs(has(Version::V2, &[])),
        root("a_reader_reads_what_is_selected", selection)
            .needs(has(Version::V1, &[Controller::Cpu, Controller::Pids])),
    ])
}

/// The CPU time of a process as `/proc/PID/stat` counts it, in hundredths of a second.
fn proc_cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = after_name[11].parse::<u64>().unwrap() + after_name[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn v2_trigger() {
    let scratch = Scratch::new(&only(Version::V2), &[]);
    let second = Duration::from_secs(1);
    let trigger = |threshold, window| scratch.pressure_trigger(PressureOn::Cpu, Stall::Some, threshold, window);
    for (threshold, window) in [(second, second / 4), (second, 11 * second), (Duration::ZERO, second)] {
        assert!(matches!(trigger(threshold, window), Err(Error::Invalid { .. })), "{threshold:?} {window:?}");
    }
    // What is taken also without CAP_SYS_RESOURCE, which root may lack in a container.
    let trigger = trigger(second / 10, 2 * second).unwrap();
    assert!(!trigger.wait(Duration::from_millis(50)).unwrap(), "nothing runs");
    // More than there are CPUs, so that some wait.
    let spinners = std::thread::available_parallelism().unwrap().get() * 2 + 1;
    let actors: Vec<Actor> = (0..spinners).map(|_| Actor::within(&scratch, "spin 600000")).collect();
    assert!(trigger.wait(support::SOON).unwrap(), "tasks wait for a CPU");
    scratch.kill_and_wait(support::SOON).unwrap();
    drop(actors);
    scratch.remove().unwrap();
    let ended = trigger.wait(support::SOON);
    assert!(matches!(ended, Err(Error::Gone { .. })), "{ended:?}");
}

fn v2_unprivileged_trigger() {
    const NOBODY: u32 = 65534;
    let scratch = Scratch::new(&only(Version::V2), &[]);
    scratch.delegate(NOBODY, NOBODY).unwrap();
    let mut actor = Actor::new_as(NOBODY, "trigger");
    scratch.add(actor.pid()).unwrap();
    actor.go();
    assert_eq!(actor.news(), Some(b'y'));
}

fn v1_peaks() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Memory]);
    assert!(scratch.peak_meter(PeakOf::Memory).unwrap().is_none());
    let error = scratch.reclaim(Bytes::mib(1)).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}

fn v2_peaks() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Memory]);
    let mut hog = Actor::within(&scratch, "hog 32");
    hog.news().unwrap();
    let meter = scratch.peak_meter(PeakOf::Memory).unwrap();
    scratch.kill_and_wait(support::SOON).unwrap();
    drop(hog);
    // What is left is page cache, of which the kernel reclaims what it can.
    let reclaimed = scratch.reclaim(Bytes::mib(32)).unwrap();
    assert_eq!(reclaimed, Reclaimed::Less);
    let peak = || scratch.stats().unwrap().memory.unwrap().peak.unwrap();
    assert!(peak() >= Bytes::mib(32));
    // Since 6.12.
    let Some(meter) = meter else { return };
    let other = scratch.peak_meter(PeakOf::Memory).unwrap().unwrap();
    meter.reset().unwrap();
    assert!(meter.read().unwrap() < Bytes::mib(32), "{}", meter.read().unwrap());
    assert!(other.read().unwrap() >= Bytes::mib(32) && peak() >= Bytes::mib(32));
    scratch.remove().unwrap();
    assert!(matches!(meter.read(), Err(Error::Gone { .. })));
    assert!(matches!(meter.reset(), Err(Error::Gone { .. })));
}

fn v2_local_events() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Memory]);
    let child = scratch.child("child").unwrap();
    let memory =
        Memory { max: Some(Limit::At(Bytes::mib(16))), swap: Some(Limit::At(Bytes::new(0))), ..Memory::default() };
    child.apply(&Resources { memory, ..Resources::default() }).unwrap();
    let mut hog = Actor::within(&child, "hog 64");
    assert_eq!(hog.news(), None, "it was killed");
    let memory = |group: &windlass_cgroups::Group| group.stats().unwrap().memory.unwrap();
    let local = |group| memory(group).local.unwrap();
    assert_eq!((memory(&scratch).oom_kills, local(&scratch).oom_kills), (Some(1), 0));
    assert_eq!((memory(&child).oom_kills, local(&child).oom_kills), (Some(1), 1));
    assert!(local(&child).max >= 1);
}

fn memory_by_node(version: Version) {
    let scratch = Scratch::new(&only(version), &[Controller::Memory]);
    let mut actor = Actor::within(&scratch, "hog 16");
    actor.news().unwrap();
    // The kernel adds up what it counted on each CPU from time to time.
    support::eventually("the nodes add up", || {
        let nodes = scratch.memory_by_node().unwrap();
        let anon: u64 = nodes.iter().map(|node| node.anon.get()).sum();
        anon >= Bytes::mib(16).get() && anon < Bytes::mib(64).get()
    });
    let memory = scratch.stats().unwrap().memory.unwrap();
    assert!(memory.active_anon.unwrap().get() + memory.inactive_anon.unwrap().get() >= Bytes::mib(16).get());
    assert_eq!(memory.file_dirty, Some(Bytes::new(0)));
    assert_eq!(memory.slab.is_some(), version == Version::V2);
}

fn v2_misc_and_rdma() {
    let all = only(Version::V2);
    let scratch = Scratch::new(&all, &[Controller::Misc, Controller::Rdma]);
    let stats = scratch.stats().unwrap();
    let misc = stats.misc.unwrap();
    let capacity = all.misc_capacity().unwrap();
    assert_eq!(
        misc.iter().map(|entry| entry.resource.clone()).collect::<Vec<_>>(),
        capacity.into_keys().collect::<Vec<_>>()
    );
    assert!(misc.iter().all(|entry| entry.current == Some(0)), "{misc:?}");
    assert!(stats.rdma.unwrap().iter().all(|entry| entry.handles == Some(0)));
    assert_eq!(stats.dmem, None);
    assert!(all.dmem_capacity().unwrap().is_empty());
}

fn v2_hugetlb_nodes() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Hugetlb]);
    let sizes = scratch.hugetlb_by_node().unwrap();
    let counted = scratch.stats().unwrap().hugetlb.unwrap();
    assert_eq!(sizes.len(), counted.len());
    for (size, counted) in
        sizes.iter().map(|size| (size, counted.iter().find(|counted| counted.page_size == size.page_size).unwrap()))
    {
        assert_eq!(size.nodes.first(), Some(&(0, Bytes::new(0))), "{size:?}");
        assert_eq!(counted.reserved, Some(Bytes::new(0)));
    }
}

fn cpu_time(version: Version) {
    let all = only(version);
    let scratch = Scratch::new(&all, if version == Version::V1 { &[Controller::Cpu] } else { &[] });
    let mut actor = Actor::new("burn 300");
    let before = proc_cpu_time(actor.pid());
    scratch.add(actor.pid()).unwrap();
    actor.go();
    actor.news().unwrap();
    let cpu = scratch.stats().unwrap().cpu.unwrap();
    let counted = proc_cpu_time(actor.pid()).checked_sub(before).unwrap();
    // It may still have been starting when it came, and may already be ending.
    assert!(cpu.usage <= before + counted + Duration::from_millis(60), "{cpu:?} against {counted:?}");
    assert!(cpu.usage * 2 >= counted, "{cpu:?} against {counted:?}");
    assert!(cpu.usage >= Duration::from_millis(50), "{cpu:?}");
    // v1 samples where the time went, and is wrong by a few ticks.
    let sampling = Duration::from_millis(if version == Version::V1 { 100 } else { 1 });
    assert!(cpu.user + cpu.system <= cpu.usage + sampling, "{cpu:?}");
    match version {
        Version::V1 => {
            let per_cpu = cpu.per_cpu.unwrap();
            assert_eq!(per_cpu.iter().sum::<Duration>(), cpu.usage);
        }
        Version::V2 => assert_eq!(cpu.per_cpu, None),
    }
}

fn memory(version: Version) {
    let scratch = Scratch::new(&only(version), &[Controller::Memory]);
    let limit = Resources {
        memory: Memory { max: Some(Limit::At(Bytes::mib(256))), ..Memory::default() },
        ..Resources::default()
    };
    scratch.apply(&limit).unwrap();
    let mut actor = Actor::within(&scratch, "hog 48");
    actor.news().unwrap();
    let stats = scratch.stats().unwrap();
    let memory = stats.memory.unwrap();
    assert!(memory.current >= Bytes::mib(48) && memory.current < Bytes::mib(96), "{memory:?}");
    assert!(memory.anon.unwrap() >= Bytes::mib(48), "{memory:?}");
    assert!(memory.peak.unwrap() >= memory.anon.unwrap(), "{memory:?}");
    assert_eq!((memory.max, memory.oom_kills), (Some(Limit::At(Bytes::mib(256))), Some(0)));
    assert!(memory.page_faults.unwrap() > 0);
    assert_eq!(scratch.oom_kills().unwrap(), Some(0));
}

fn tasks(version: Version) {
    let scratch = Scratch::new(&only(version), &[Controller::Pids]);
    assert_eq!(scratch.stats().unwrap().pids.unwrap().current, 0);
    let _actors = [Actor::within(&scratch, "sleep"), Actor::within(&scratch, "sleep")];
    let pids = scratch.stats().unwrap().pids.unwrap();
    assert_eq!((pids.current, pids.max), (2, Some(Limit::Max)));
    assert_eq!(scratch.pids().unwrap().len(), 2);
}

fn v1_io() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Io]);
    let stats = scratch.stats().unwrap();
    assert_eq!((stats.io.as_ref(), stats.why_absent(Controller::Io)), (None, Some(Absence::NoThrottleRule)));
    let rule = IoMax { write_bytes: Some(Limit::At(Bytes::gib(64))), ..IoMax::new(disk().unwrap()) };
    scratch.apply(&Resources { io: Io { max: vec![rule], ..Io::default() }, ..Resources::default() }).unwrap();
    let path = std::env::current_dir().unwrap().join(format!("windlass-test-{}", std::process::id()));
    let mut actor = Actor::within(&scratch, &format!("write {}", path.display()));
    let news = actor.news();
    std::fs::remove_file(&path).unwrap();
    news.unwrap();
    let stats = scratch.stats().unwrap();
    let io = stats.io.unwrap();
    assert!(io.write_bytes() >= Bytes::mib(1), "{io:?}");
    assert_eq!(io.devices[0].device, disk().unwrap());
    assert!(io.devices[0].write_operations > 0);
}

fn v2_io() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Io]);
    assert_eq!(scratch.stats().unwrap().io.unwrap().devices, []);
    let rule = IoMax { write_bytes: Some(Limit::At(Bytes::mib(1))), ..IoMax::new(disk().unwrap()) };
    scratch.apply(&Resources { io: Io { max: vec![rule], ..Io::default() }, ..Resources::default() }).unwrap();
    let expected = format!("{} rbps=max wbps={} riops=max wiops=max", disk().unwrap(), 1 << 20);
    assert_eq!(scratch.file(Controller::Io, "io.max"), expected);
    let path = std::env::current_dir().unwrap().join(format!("windlass-test-{}", std::process::id()));
    let start = std::time::Instant::now();
    let mut actor = Actor::within(&scratch, &format!("write {}", path.display()));
    let news = actor.news();
    std::fs::remove_file(&path).unwrap();
    news.unwrap();
    assert!(start.elapsed() > Duration::from_millis(500), "a MiB at a MiB a second");
    let io = scratch.stats().unwrap().io.unwrap();
    assert!(io.write_bytes() >= Bytes::mib(1), "{io:?}");
    assert_eq!(io.devices[0].device, disk().unwrap());
}

fn v1_lacks() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Pids]);
    let stats = scratch.stats().unwrap();
    assert!(stats.pids.is_some());
    assert_eq!((stats.cpu.as_ref(), stats.memory.as_ref(), stats.io.as_ref()), (None, None, None));
    for controller in [Controller::Cpu, Controller::Memory, Controller::Io, Controller::Hugetlb] {
        assert_eq!(stats.why_absent(controller), Some(Absence::NotEnabled), "{controller}");
    }
    assert_eq!(stats.why_absent(Controller::Pids), None);
    assert_eq!(scratch.oom_kills().unwrap(), None);
}

fn v2_throttling() {
    use windlass_cgroups::{Cpu, CpuMax};
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Cpu]);
    let cpu = Cpu { max: Some(CpuMax::millicores(100)), ..Cpu::default() };
    scratch.apply(&Resources { cpu, ..Resources::default() }).unwrap();
    let mut actor = Actor::within(&scratch, "spin 500");
    actor.news().unwrap();
    let cpu = scratch.stats().unwrap().cpu.unwrap();
    assert!(cpu.throttled_periods.unwrap() >= 1, "{cpu:?}");
    assert!(cpu.throttled.unwrap() > Duration::ZERO, "{cpu:?}");
    // A tenth of each period, and what the kernel notices late.
    let periods = u32::try_from(cpu.periods.unwrap()).unwrap();
    assert!(cpu.usage < Duration::from_millis(20) * (periods + 5), "{cpu:?}");
}

fn v2_pressure() {
    let scratch = Scratch::new(&only(Version::V2), &[]);
    let pressure = scratch.stats().unwrap().pressure;
    assert!(pressure.cpu.is_some() && pressure.memory.is_some() && pressure.io.is_some(), "{pressure:?}");
}

fn both() {
    let all = Hierarchies::discover().unwrap();
    let scratch = Scratch::new(&all, &[Controller::Cpu]);
    assert_eq!(scratch.versions(), [Version::V1, Version::V2]);
    let mut actor = Actor::within(&scratch, "spin 200");
    actor.news().unwrap();
    let cpu = scratch.stats().unwrap().cpu.unwrap();
    assert!(cpu.usage <= Duration::from_millis(400), "{cpu:?}");
    assert!(cpu.periods.is_some());
}

fn selection() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Cpu, Controller::Pids]);
    let mut reader = scratch.reader(StatSelection::NONE.with(StatKind::Pids)).unwrap();
    let mut stats: Stats = scratch.stats().unwrap();
    assert!(stats.cpu.is_some());
    reader.read_into(&mut stats).unwrap();
    assert!(stats.pids.is_some());
    assert_eq!(stats.cpu, None, "what is not selected is not what was read before");
    assert_eq!(stats.why_absent(Controller::Cpu), None);
    assert!(reader.paths().all(|path| path.contains("/pids.")));
    assert!(reader.paths().count() >= 2);
}
