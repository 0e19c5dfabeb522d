//! Setting limits, checked by what the kernel's files say and by what processes can do.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a failed expectation is a failed test")]

mod support;

use std::process::ExitCode;
use std::time::Duration;

use support::{Scratch, disk, has, memory, mib, no_such_disk, only, two_cpus, v1_swap_accounting};
use trial::{Test, need};
use windlass_cgroups::{
    Bytes, Controller, CostControl, Cpu, CpuMax, CpuShares, Cpuset, DeviceNumber, Error, Hugetlb, Io, IoCost,
    IoCostModel, IoCostQos, IoMax, IoWeight, Limit, Memory, Outcome, Pids, Reason, Resources, Version,
};

fn main() -> ExitCode {
    type Body = fn();
    const REALTIME: &[Controller] = &[Controller::Cpu, Controller::Memory, Controller::Io];
    let v1 = Version::V1;
    let v2 = Version::V2;
    let tests: Vec<(&'static str, Version, &'static [Controller], Body)> = vec![
        ("v1_cpu", v1, &[Controller::Cpu], v1_cpu),
        ("v1_cpu_bandwidth_changes_under_a_limited_parent", v1, &[Controller::Cpu], v1_cpu_under_parent),
        ("v1_memory", v1, &[Controller::Memory], v1_memory),
        ("v1_pids_zero_forbids_every_fork", v1, &[Controller::Pids], v1_pids_zero),
        ("v1_io_weight_is_that_of_bfq", v1, &[Controller::Io], v1_io_weight),
        ("v1_realtime_and_oom_control", v1, REALTIME, v1_realtime_and_oom_control),
        ("v2_further_memory_settings", v2, &[Controller::Memory], v2_further_memory),
        ("v2_nice", v2, &[Controller::Cpu], v2_nice),
        ("v2_misc_and_rdma", v2, &[Controller::Misc, Controller::Rdma], v2_misc_and_rdma),
        ("v2_cpu", v2, &[Controller::Cpu], v2_cpu),
        ("v2_memory", v2, &[Controller::Memory], v2_memory),
        ("v2_pids_and_cpuset", v2, &[Controller::Pids, Controller::Cpuset], v2_pids_and_cpuset),
        ("v2_hugetlb_and_raw_keys", v2, &[Controller::Hugetlb], v2_hugetlb_and_raw_keys),
        ("v2_partitions", v2, &[Controller::Cpuset], v2_partitions),
        ("v1_cpuset_flags", v1, &[Controller::Cpuset], v1_cpuset_flags),
        ("v1_io_cost_is_that_of_v2", v1, &[Controller::Io], v1_io_cost),
    ];
    let mut tests: Vec<Test> = tests
        .into_iter()
        .map(|(name, version, controllers, body)| {
            Test::new(name, body).needs(need::root).needs(has(version, controllers))
        })
        .collect();
    tests.push(
        Test::new("v1_swap_has_four_cases", v1_swap)
            .needs(need::root)
            .needs(has(Version::V1, &[Controller::Memory]))
            .needs(v1_swap_accounting),
    );
    tests.push(
        Test::new("v1_io_throttle", v1_io_throttle)
            .needs(need::root)
            .needs(has(Version::V1, &[Controller::Io]))
            .needs(|| disk().map(|_| ())),
    );
    for (name, body) in [
        ("v2_io_cost_and_weights_by_device", v2_io_cost as Body),
        ("v2_io_latency_is_kept_or_unsupported", v2_io_latency),
    ] {
        let test = Test::new(name, body).needs(need::root).needs(has(Version::V2, &[Controller::Io]));
        tests.push(test.needs(|| disk().map(|_| ())));
    }
    tests.push(
        Test::new("v1_io_weights_by_device", v1_device_weights)
            .needs(need::root)
            .needs(has(Version::V1, &[Controller::Io]))
            .needs(|| disk().map(|_| ())),
    );
    tests.push(
        Test::new("v2_an_isolated_partition_has_its_own_cpus", v2_isolated_partition)
            .needs(need::root)
            .needs(has(Version::V2, &[Controller::Cpuset]))
            .needs(two_cpus),
    );
    tests.push(
        Test::new("v1_parent_cpuset_stays_above_its_children", v1_parent_cpuset)
            .needs(need::root)
            .needs(has(Version::V1, &[Controller::Cpuset]))
            .needs(two_cpus),
    );
    support::main(tests)
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn bandwidth(quota_ms: u64, period_ms: u64) -> Resources {
    let max = CpuMax::new(Limit::At(ms(quota_ms)), ms(period_ms)).unwrap();
    Resources { cpu: Cpu { max: Some(max), ..Cpu::default() }, ..Resources::default() }
}

fn v1_cpu() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Cpu]);
    let cpu = Cpu {
        weight: Some(CpuShares::new(512).unwrap().into()),
        max: Some(CpuMax::millicores(1500)),
        burst: Some(ms(20)),
        ..Cpu::default()
    };
    let report = scratch.apply(&Resources { cpu, ..Resources::default() }).unwrap();
    assert!(report.items.iter().all(|item| item.outcome == Outcome::Applied), "{report:?}");
    let file = |file| scratch.file(Controller::Cpu, file);
    assert_eq!(file("cpu.shares"), "512");
    assert_eq!((file("cpu.cfs_quota_us"), file("cpu.cfs_period_us")), ("150000".to_owned(), "100000".to_owned()));
    assert_eq!(file("cpu.cfs_burst_us"), "20000");
    let smaller = Cpu { max: Some(CpuMax::millicores(100)), burst: Some(ms(5)), ..Cpu::default() };
    scratch.apply(&Resources { cpu: smaller, ..Resources::default() }).unwrap();
    assert_eq!((file("cpu.cfs_quota_us"), file("cpu.cfs_burst_us")), ("10000".to_owned(), "5000".to_owned()));
    let lifted = Cpu { max: Some(CpuMax::UNLIMITED), idle: Some(true), ..Cpu::default() };
    scratch.apply(&Resources { cpu: lifted, ..Resources::default() }).unwrap();
    assert_eq!((file("cpu.cfs_quota_us"), file("cpu.idle")), ("-1".to_owned(), "1".to_owned()));
}

/// Either order of quota and period is wrong for some change; the kernel is the judge.
fn v1_cpu_under_parent() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Cpu]);
    scratch.apply(&bandwidth(50, 100)).unwrap();
    let child = scratch.child("child").unwrap();
    for (quota, period) in [(50, 100), (5, 10), (250, 500), (10, 100), (100, 200), (5, 100), (50, 100)] {
        child.apply(&bandwidth(quota, period)).unwrap();
        assert_eq!(scratch.file(Controller::Cpu, "child/cpu.cfs_quota_us"), (quota * 1000).to_string());
        assert_eq!(scratch.file(Controller::Cpu, "child/cpu.cfs_period_us"), (period * 1000).to_string());
    }
    let error = child.apply(&bandwidth(60, 100)).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
}

fn v1_memory() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Memory]);
    let file = |file| scratch.file(Controller::Memory, file);
    let request = memory(Memory { max: Some(mib(64)), high: Some(mib(32)), swappiness: Some(7), ..Memory::default() });
    let report = scratch.apply(&request).unwrap();
    assert_eq!(report.get("memory.max"), Some(&Outcome::Applied));
    assert!(matches!(report.get("memory.high"), Some(Outcome::Converted { lossy: true, .. })), "{report:?}");
    assert_eq!(file("memory.limit_in_bytes"), (64 << 20).to_string());
    assert_eq!(file("memory.soft_limit_in_bytes"), (32 << 20).to_string());
    assert_eq!(file("memory.swappiness"), "7");
    assert_eq!(scratch.stats().unwrap().memory.unwrap().max, Some(mib(64)));
    scratch.apply(&memory(Memory { max: Some(Limit::Max), ..Memory::default() })).unwrap();
    assert_eq!(scratch.stats().unwrap().memory.unwrap().max, Some(Limit::Max));
}

fn v1_swap() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Memory]);
    let total = || scratch.file(Controller::Memory, "memory.memsw.limit_in_bytes");
    let unlimited = total();
    let swap = |max, swap| scratch.apply(&memory(Memory { max, swap, ..Memory::default() }));
    swap(Some(mib(64)), None).unwrap();
    assert_eq!(total(), unlimited, "unset swap is left alone");
    swap(Some(mib(64)), Some(Limit::At(Bytes::new(0)))).unwrap();
    assert_eq!(total(), (64 << 20).to_string(), "no swap");
    swap(Some(mib(128)), Some(mib(16))).unwrap();
    assert_eq!(total(), (144 << 20).to_string(), "the sum grows first");
    swap(None, Some(mib(8))).unwrap();
    assert_eq!(total(), (136 << 20).to_string(), "the limit on memory that is there counts");
    swap(Some(mib(32)), Some(mib(32))).unwrap();
    assert_eq!(total(), (64 << 20).to_string(), "the sum shrinks last");
    let error = swap(Some(mib(65)), None).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    assert_eq!(scratch.file(Controller::Memory, "memory.limit_in_bytes"), (32 << 20).to_string());
    swap(Some(mib(64)), Some(Limit::Max)).unwrap();
    assert_eq!(total(), unlimited);
}

fn v1_pids_zero() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Pids]);
    let set = |max| scratch.apply(&Resources { pids: Pids { max }, ..Resources::default() }).unwrap();
    set(Some(Limit::At(0)));
    assert_eq!(scratch.file(Controller::Pids, "pids.max"), "0");
    assert_eq!(scratch.stats().unwrap().pids.unwrap().max, Some(Limit::At(0)));
    set(None);
    assert_eq!(scratch.file(Controller::Pids, "pids.max"), "0");
    set(Some(Limit::Max));
    assert_eq!(scratch.file(Controller::Pids, "pids.max"), "max");
    assert_eq!(scratch.stats().unwrap().pids.unwrap().max, Some(Limit::Max));
}

fn v1_io_throttle() {
    let device = disk().unwrap();
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Io]);
    let set =
        |max: IoMax| scratch.apply(&Resources { io: Io { max: vec![max], ..Io::default() }, ..Resources::default() });
    set(IoMax { write_bytes: Some(mib(512)), read_operations: Some(Limit::At(9000)), ..IoMax::new(device) }).unwrap();
    assert_eq!(scratch.file(Controller::Io, "blkio.throttle.write_bps_device"), format!("{device} {}", 512 << 20));
    assert_eq!(scratch.file(Controller::Io, "blkio.throttle.read_iops_device"), format!("{device} 9000"));
    set(IoMax { write_bytes: Some(Limit::Max), ..IoMax::new(device) }).unwrap();
    assert_eq!(scratch.file(Controller::Io, "blkio.throttle.write_bps_device"), "");
    assert_eq!(scratch.file(Controller::Io, "blkio.throttle.read_iops_device"), format!("{device} 9000"));
    let error = set(IoMax { write_bytes: Some(Limit::At(Bytes::new(0))), ..IoMax::new(device) }).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
}

fn v1_io_weight() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Io]);
    let weight = |weight| {
        let weight = Some(IoWeight::new(weight).unwrap());
        scratch.apply_best_effort(&Resources { io: Io { weight, ..Io::default() }, ..Resources::default() }).unwrap()
    };
    let (moderate, great) = (weight(200), weight(5000));
    let file = format!("{}/blkio.bfq.weight", scratch.directory(Controller::Io));
    if let Ok(content) = std::fs::read_to_string(file) {
        assert_eq!(content.trim(), "1000");
        assert!(matches!(moderate.get("io.weight"), Some(Outcome::Converted { lossy: false, .. })));
        assert!(matches!(great.get("io.weight"), Some(Outcome::Converted { lossy: true, .. })));
    } else {
        let unsupported = great.get("io.weight");
        assert!(matches!(unsupported, Some(Outcome::Unsupported { reason: Reason::Kernel, .. })), "{great:?}");
    }
}

fn v1_parent_cpuset() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Cpuset]);
    let before = scratch.file(Controller::Cpuset, "cpuset.cpus");
    scratch.child("child").unwrap();
    let cpus: windlass_cgroups::CpuSet = before.parse().unwrap();
    let first = cpus.iter().next().unwrap();
    let smaller = Cpuset { cpus: Some([first].into_iter().collect()), ..Cpuset::default() };
    let error = scratch.apply(&Resources { cpuset: smaller.clone(), ..Resources::default() }).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(scratch.file(Controller::Cpuset, "cpuset.cpus"), before);
    let child = scratch.all.find(&scratch.path().join("child").unwrap()).unwrap().unwrap();
    child.apply(&Resources { cpuset: smaller.clone(), ..Resources::default() }).unwrap();
    scratch.apply(&Resources { cpuset: smaller, ..Resources::default() }).unwrap();
    assert_eq!(scratch.file(Controller::Cpuset, "cpuset.cpus"), first.to_string());
}

fn v2_cpu() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Cpu]);
    let file = |file| scratch.file(Controller::Cpu, file);
    let cpu = Cpu {
        weight: Some(CpuShares::new(1024).unwrap().into()),
        max: Some(CpuMax::millicores(1500)),
        burst: Some(ms(20)),
        ..Cpu::default()
    };
    let report = scratch.apply(&Resources { cpu, ..Resources::default() }).unwrap();
    assert!(matches!(report.get("cpu.weight"), Some(Outcome::Converted { lossy: false, .. })), "{report:?}");
    assert_eq!((file("cpu.weight"), file("cpu.max")), ("100".to_owned(), "150000 100000".to_owned()));
    assert_eq!(file("cpu.max.burst"), "20000");
    let smaller = Cpu { max: Some(CpuMax::millicores(100)), burst: Some(ms(5)), ..Cpu::default() };
    scratch.apply(&Resources { cpu: smaller, ..Resources::default() }).unwrap();
    assert_eq!((file("cpu.max"), file("cpu.max.burst")), ("10000 100000".to_owned(), "5000".to_owned()));
    let idle = Cpu { idle: Some(true), ..Cpu::default() };
    scratch.apply(&Resources { cpu: idle, ..Resources::default() }).unwrap();
    assert_eq!(file("cpu.idle"), "1");
    let awake = Cpu { idle: Some(false), weight: Some(CpuShares::new(2048).unwrap().into()), ..Cpu::default() };
    scratch.apply(&Resources { cpu: awake, ..Resources::default() }).unwrap();
    assert_eq!((file("cpu.idle"), file("cpu.weight")), ("0".to_owned(), "174".to_owned()));
}

fn v2_memory() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Memory]);
    let file = |file| scratch.file(Controller::Memory, file);
    let request = Memory {
        max: Some(mib(64)),
        high: Some(mib(48)),
        low: Some(mib(8)),
        min: Some(mib(4)),
        oom_group: Some(true),
        ..Memory::default()
    };
    let swap = file("memory.swap.max");
    scratch.apply(&memory(request)).unwrap();
    assert_eq!((file("memory.max"), file("memory.high")), ((64 << 20).to_string(), (48 << 20).to_string()));
    assert_eq!((file("memory.low"), file("memory.min")), ((8 << 20).to_string(), (4 << 20).to_string()));
    assert_eq!((file("memory.oom.group"), file("memory.swap.max")), ("1".to_owned(), swap));
    for (swap, content) in
        [(Limit::At(Bytes::new(0)), "0".to_owned()), (mib(64), (64 << 20).to_string()), (Limit::Max, "max".to_owned())]
    {
        scratch.apply(&memory(Memory { swap: Some(swap), ..Memory::default() })).unwrap();
        assert_eq!(file("memory.swap.max"), content);
        assert_eq!(scratch.stats().unwrap().memory.unwrap().swap_max, Some(swap));
    }
    let error = scratch.apply(&memory(Memory { swappiness: Some(1), ..Memory::default() })).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}

fn v1_realtime_and_oom_control() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Cpu, Controller::Memory, Controller::Io]);
    let waits = |wait| memory(Memory { oom_kill_disable: Some(wait), ..Memory::default() });
    let control = || scratch.file(Controller::Memory, "memory.oom_control");
    scratch.apply(&waits(true)).unwrap();
    assert!(control().starts_with("oom_kill_disable 1\n"));
    let io = Io { max: vec![no_such_disk()], ..Io::default() };
    let error = scratch.apply(&Resources { io, ..waits(false) }).unwrap_err();
    assert!(error.to_string().ends_with("put back: memory.oom_control"), "{error}");
    assert!(control().starts_with("oom_kill_disable 1\n"));
    let realtime = |runtime, period| {
        let cpu = Cpu { realtime_runtime: Some(runtime), realtime_period: Some(period), ..Cpu::default() };
        scratch.apply_best_effort(&Resources { cpu, ..Resources::default() }).unwrap()
    };
    // No runtime: the groups above have none to give by default.
    for period in [ms(500), ms(2000), ms(100)] {
        let report = realtime(Limit::At(ms(0)), period);
        let file = format!("{}/cpu.rt_period_us", scratch.directory(Controller::Cpu));
        match std::fs::read_to_string(file) {
            Ok(content) => assert_eq!(content.trim(), period.as_micros().to_string()),
            Err(_) => assert_eq!(report.unsupported().count(), 2, "{report:?}"),
        }
    }
}

fn v2_further_memory() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Memory]);
    let request = Memory {
        swap_high: Some(mib(32)),
        zswap_max: Some(mib(16)),
        zswap_writeback: Some(false),
        ..Memory::default()
    };
    let report = scratch.apply_best_effort(&memory(request)).unwrap();
    let files = [
        ("memory.swap_high", "memory.swap.high", (32 << 20).to_string()),
        ("memory.zswap_max", "memory.zswap.max", (16 << 20).to_string()),
        ("memory.zswap_writeback", "memory.zswap.writeback", "0".to_owned()),
    ];
    for (setting, file, value) in files {
        let there = std::fs::exists(format!("{}/{file}", scratch.directory(Controller::Memory))).unwrap();
        match report.get(setting) {
            Some(Outcome::Applied) => assert_eq!(scratch.file(Controller::Memory, file), value),
            Some(Outcome::Unsupported { reason: Reason::Kernel, .. }) => assert!(!there, "{file}"),
            other => panic!("{setting}: {other:?}"),
        }
    }
}

fn v2_nice() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Cpu]);
    let cpu = Cpu { nice: Some(-7), ..Cpu::default() };
    scratch.apply(&Resources { cpu, ..Resources::default() }).unwrap();
    assert_eq!(scratch.file(Controller::Cpu, "cpu.weight.nice"), "-7");
}

fn v2_misc_and_rdma() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Misc, Controller::Rdma]);
    let refused = |request: Resources, file: &str| {
        let error = scratch.apply(&request).unwrap_err();
        let Error::Refused { write, .. } = &error else { panic!("{error:?}") };
        assert_eq!((write.file.as_str(), error.errno()), (file, Some(22)), "{error}");
    };
    let misc = [("no_such_resource".to_owned(), Limit::At(1))].into();
    refused(Resources { misc, ..Resources::default() }, "misc.max");
    let rdma = vec![windlass_cgroups::Rdma {
        device: "no_such_device".to_owned(),
        handles: Some(Limit::At(1)),
        objects: None,
    }];
    let error = scratch.apply(&Resources { rdma, ..Resources::default() }).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
}

fn v2_pids_and_cpuset() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Pids, Controller::Cpuset]);
    let request = Resources {
        pids: Pids { max: Some(Limit::At(0)) },
        cpuset: Cpuset { cpus: Some("0".parse().unwrap()), mems: Some("0".parse().unwrap()), ..Cpuset::default() },
        ..Resources::default()
    };
    scratch.apply(&request).unwrap();
    assert_eq!(scratch.file(Controller::Pids, "pids.max"), "0");
    assert_eq!(scratch.file(Controller::Cpuset, "cpuset.cpus"), "0");
    let inherit = Cpuset { cpus: Some("".parse().unwrap()), ..Cpuset::default() };
    scratch.apply(&Resources { cpuset: inherit, ..Resources::default() }).unwrap();
    assert_eq!(scratch.file(Controller::Cpuset, "cpuset.cpus"), "");
}

fn v2_hugetlb_and_raw_keys() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Hugetlb]);
    let page_size = Bytes::mib(2);
    let hugetlb = Hugetlb { page_size, max: Some(mib(6)), reserved_max: Some(mib(4)) };
    scratch.apply(&Resources { hugetlb: vec![hugetlb], ..Resources::default() }).unwrap();
    assert_eq!(scratch.file(Controller::Hugetlb, "hugetlb.2MB.max"), (6 << 20).to_string());
    assert_eq!(scratch.file(Controller::Hugetlb, "hugetlb.2MB.rsvd.max"), (4 << 20).to_string());
    let sizes = scratch.stats().unwrap().hugetlb.unwrap();
    let stats = sizes.iter().find(|stats| stats.page_size == page_size).unwrap();
    assert_eq!((stats.max, stats.current), (Some(mib(6)), Bytes::new(0)));
    let raw = |key: &str, value: &str| {
        let unified = [(key.to_owned(), value.to_owned())].into();
        scratch.apply(&Resources { unified, ..Resources::default() })
    };
    raw("hugetlb.2MB.max", "max").unwrap();
    assert_eq!(scratch.file(Controller::Hugetlb, "hugetlb.2MB.max"), "max");
    let error = raw("hugetlb.2MB.max", "many").unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    let error = raw("hugetlb.3MB.max", "max").unwrap_err();
    let Error::Unsupported { settings } = &error else { panic!("{error}") };
    assert!(matches!(settings[0].outcome, Outcome::Unsupported { reason: Reason::Kernel, .. }), "{error}");
}

fn v1_cpuset_flags() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Cpuset]);
    let child = scratch.child("child").unwrap();
    let flags = Cpuset {
        mem_hardwall: Some(true),
        memory_migrate: Some(true),
        load_balance: Some(false),
        relax_domain_level: Some(1),
        memory_spread_page: Some(true),
        ..Cpuset::default()
    };
    child.apply(&Resources { cpuset: flags, ..Resources::default() }).unwrap();
    for (file, value) in [
        ("mem_hardwall", "1"),
        ("memory_migrate", "1"),
        ("sched_load_balance", "0"),
        ("sched_relax_domain_level", "1"),
        ("memory_spread_page", "1"),
    ] {
        assert_eq!(scratch.file(Controller::Cpuset, &format!("child/cpuset.{file}")), value, "{file}");
    }
    // Below a group that shares its own, none can have CPUs or memory nodes for itself.
    for exclusive in [
        Cpuset { cpu_exclusive: Some(true), ..Cpuset::default() },
        Cpuset { mem_exclusive: Some(true), memory_migrate: Some(false), ..Cpuset::default() },
    ] {
        let error = child.apply(&Resources { cpuset: exclusive, ..Resources::default() }).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        assert_eq!(scratch.file(Controller::Cpuset, "child/cpuset.memory_migrate"), "1", "put back");
    }
    let level = Cpuset { relax_domain_level: Some(6), ..Cpuset::default() };
    let error = child.apply(&Resources { cpuset: level, ..Resources::default() }).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
}

fn v1_io_cost() {
    let all = only(Version::V1);
    assert_eq!(all.io_cost().unwrap(), []);
    let qos = IoCostQos { enable: Some(true), ..IoCostQos::default() };
    let cost = IoCost { device: DeviceNumber { major: 8, minor: 0 }, qos: Some(qos), model: None };
    let error = all.set_io_cost(&cost).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
}

fn v2_io_cost() {
    let device = disk().unwrap();
    let all = only(Version::V2);
    let scratch = Scratch::new(&all, &[Controller::Io]);
    let qos = IoCostQos {
        enable: Some(true),
        control: Some(CostControl::User),
        read_percentile: Some(9050),
        read_latency: Some(ms(5)),
        scale_max: Some(15_000),
        ..IoCostQos::default()
    };
    let model = IoCostModel { read_bytes: Some(123_456_789), ..IoCostModel::default() };
    all.set_io_cost(&IoCost { device, qos: Some(qos), model: Some(model) }).unwrap();
    let now = all.io_cost().unwrap().into_iter().find(|cost| cost.device == device).unwrap();
    let (now_qos, now_model) = (now.qos.unwrap(), now.model.unwrap());
    assert_eq!((now_qos.enable, now_qos.read_percentile, now_qos.scale_max), (Some(true), Some(9050), Some(15_000)));
    assert_eq!((now_qos.read_latency, now_model.control), (Some(ms(5)), Some(CostControl::User)));
    let rate = now_model.read_bytes.unwrap();
    assert!(rate.abs_diff(123_456_789) < 1_000_000, "the kernel rounds: {rate}");

    let io = |io| scratch.apply(&Resources { io, ..Resources::default() });
    let weight = |weight| Some(IoWeight::new(weight).unwrap());
    io(Io { weight: weight(300), device_weights: vec![(device, weight(77))], ..Io::default() }).unwrap();
    assert_eq!(scratch.file(Controller::Io, "io.weight"), format!("default 300\n{device} 77"));
    io(Io { device_weights: vec![(device, None)], ..Io::default() }).unwrap();
    assert_eq!(scratch.file(Controller::Io, "io.weight"), "default 300");
    let error = io(Io { device_weights: vec![(device, weight(9))], max: vec![no_such_disk()], ..Io::default() });
    assert!(matches!(error, Err(Error::Refused { .. })), "{error:?}");
    assert_eq!(scratch.file(Controller::Io, "io.weight"), "default 300", "put back");

    // A device that is not there is refused, and a refused second line takes the first back.
    let nowhere = IoCost { device: no_such_disk().device, qos: Some(qos), model: None };
    let error = all.set_io_cost(&nowhere).unwrap_err();
    assert_eq!(error.errno(), Some(19), "ENODEV: {error:?}");
    let off = IoCostQos { enable: Some(false), control: Some(CostControl::Auto), ..IoCostQos::default() };
    let auto = IoCostModel { control: Some(CostControl::Auto), ..IoCostModel::default() };
    all.set_io_cost(&IoCost { device, qos: Some(off), model: Some(auto) }).unwrap();
    let now = all.io_cost().unwrap().into_iter().find(|cost| cost.device == device).unwrap();
    assert_eq!(now.qos.unwrap().enable, Some(false));
}

fn v2_io_latency() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Io]);
    let io = Io { latency: vec![(disk().unwrap(), ms(50))], ..Io::default() };
    let there = std::fs::exists(format!("{}/io.latency", scratch.directory(Controller::Io))).unwrap();
    match scratch.apply(&Resources { io, ..Resources::default() }) {
        Ok(_) => assert!(there && scratch.file(Controller::Io, "io.latency").ends_with("target=50000")),
        Err(Error::Unsupported { settings }) => {
            assert!(!there);
            let [item] = &settings[..] else { panic!("{settings:?}") };
            assert!(matches!(item.outcome, Outcome::Unsupported { reason: Reason::Kernel, .. }), "{item}");
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// Weights are the scheduler's: a disk with another one than BFQ refuses them, and says so.
fn v1_device_weights() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Io]);
    let device = disk().unwrap();
    let io = Io { device_weights: vec![(device, Some(IoWeight::new(70).unwrap()))], ..Io::default() };
    let there = std::fs::exists(format!("{}/blkio.bfq.weight_device", scratch.directory(Controller::Io))).unwrap();
    match scratch.apply(&Resources { io, ..Resources::default() }) {
        Ok(report) => {
            assert!(matches!(report.items[0].outcome, Outcome::Converted { lossy: false, .. }), "{report:?}");
            assert!(scratch.file(Controller::Io, "blkio.bfq.weight_device").ends_with(&format!("{device} 70")));
        }
        Err(Error::Refused { write, source }) => {
            assert!(there && source.raw_os_error() == Some(95), "EOPNOTSUPP: {source}");
            assert_eq!(write.value, format!("{device} 70"));
        }
        Err(Error::Unsupported { .. }) => assert!(!there),
        Err(error) => panic!("{error:?}"),
    }
}

fn v2_isolated_partition() {
    use windlass_cgroups::{CpuSet, CpusetPartition};
    let all = only(Version::V2);
    let scratch = Scratch::new(&all, &[Controller::Cpuset]);
    let everything = scratch.effective_cpus().unwrap().unwrap();
    let last = everything.iter().last().unwrap();
    let set = || Some([last].into_iter().collect::<CpuSet>());
    for partition in [CpusetPartition::Root, CpusetPartition::Isolated] {
        let cpuset = Cpuset { cpus: set(), exclusive: set(), partition: Some(partition), ..Cpuset::default() };
        let report = scratch.apply_best_effort(&Resources { cpuset, ..Resources::default() }).unwrap();
        assert_eq!(report.get("cpuset.partition"), Some(&Outcome::Applied), "{report:?}");
        assert_eq!(scratch.effective_cpus().unwrap(), set());
        if report.get("cpuset.exclusive") == Some(&Outcome::Applied) {
            assert_eq!(scratch.exclusive_cpus().unwrap(), set());
            let isolated = all.isolated_cpus().unwrap().unwrap();
            assert_eq!(isolated.iter().any(|cpu| cpu == last), partition == CpusetPartition::Isolated, "{isolated}");
        }
        // The others have one less.
        let other = Scratch::new(&all, &[Controller::Cpuset]);
        assert!(other.effective_cpus().unwrap().unwrap().iter().all(|cpu| cpu != last));
    }
    let member = Cpuset { partition: Some(CpusetPartition::Member), cpus: set(), ..Cpuset::default() };
    scratch.apply(&Resources { cpuset: member, ..Resources::default() }).unwrap();
    assert_eq!(scratch.file(Controller::Cpuset, "cpuset.cpus.partition"), "member");
}

fn v2_partitions() {
    use windlass_cgroups::CpusetPartition;
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Cpuset]);
    // A root partition needs CPUs of its own, and takes none from a group that has them all.
    let request = Cpuset { partition: Some(CpusetPartition::Root), ..Cpuset::default() };
    let error = scratch.apply(&Resources { cpuset: request, ..Resources::default() }).unwrap_err();
    assert!(matches!(error, Error::Void { .. } | Error::Refused { .. }), "{error}");
    assert_eq!(scratch.file(Controller::Cpuset, "cpuset.cpus.partition"), "member");
}
