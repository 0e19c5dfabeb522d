//! What the kernel or this crate refuses, and what is put back then.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a failed expectation is a failed test")]

mod support;

use std::process::ExitCode;
use std::time::Duration;

use support::{Actor, Scratch, disk, has, memory, mib, no_such_disk, only};
use trial::{Test, need};
use windlass_cgroups::{
    Bytes, Controller, Cpu, CpuMax, CpuShares, Cpuset, Dmem, Error, Home, Io, IoMax, Limit, Memory, Outcome, Pids,
    Reason, Resources, Version,
};

fn main() -> ExitCode {
    type Body = fn();
    const LIMITED: &[Controller] = &[Controller::Cpu, Controller::Memory, Controller::Pids, Controller::Io];
    let v1 = Version::V1;
    let v2 = Version::V2;
    let tests: [(&'static str, Version, &'static [Controller], Body); 12] = [
        ("v1_unset_is_left_alone", v1, &[Controller::Memory, Controller::Pids], v1_unset_is_left_alone),
        ("v1_strict_writes_nothing_of_an_unsupported_request", v1, &[Controller::Memory], v1_strict),
        ("v1_refused_values_are_put_back", v1, &[Controller::Pids, Controller::Io, Controller::Cpuset], v1_refused),
        ("v1_a_controller_that_was_not_asked_for", v1, &[Controller::Pids], v1_not_enabled),
        ("v1_what_this_kernel_lacks_is_unsupported", v1, &[Controller::Cpu, Controller::Io], || lacking(Version::V1)),
        ("v2_what_this_kernel_lacks_is_unsupported", v2, &[Controller::Cpu, Controller::Io], || lacking(Version::V2)),
        ("v2_refused_values_are_put_back", v2, &[Controller::Memory, Controller::Io], v2_refused),
        ("v2_empty_and_wrong_raw_keys_are_refused", v2, &[], v2_raw_keys_are_checked),
        ("v1_an_invalid_memory_limit_is_an_error", v1, &[Controller::Memory], v1_invalid_memory),
        ("v2_an_invalid_memory_limit_is_an_error", v2, &[Controller::Memory], v2_invalid_memory),
        ("v1_a_new_group_is_put_back_as_it_was_made", v1, LIMITED, || new_group_put_back(Version::V1)),
        ("v2_a_new_group_is_put_back_as_it_was_made", v2, LIMITED, || new_group_put_back(Version::V2)),
    ];
    let tests = tests.into_iter().map(|(name, version, controllers, body)| {
        Test::new(name, body).needs(need::root).needs(has(version, controllers))
    });
    let mut tests: Vec<Test> = tests.collect();
    for (name, version) in [("v1_refused_io_max_is_put_back", v1), ("v2_refused_io_max_is_put_back", v2)] {
        let test = Test::new(name, move || io_max_put_back(version)).needs(need::root);
        tests.push(test.needs(has(version, &[Controller::Io])).needs(|| disk().map(|_| ())));
    }
    support::main(tests)
}

fn v1_unset_is_left_alone() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Memory, Controller::Pids]);
    let pids = |max| Resources { pids: Pids { max }, ..Resources::default() };
    scratch.apply(&pids(Some(Limit::At(5)))).unwrap();
    scratch.apply(&memory(Memory { max: Some(mib(16)), ..Memory::default() })).unwrap();
    assert_eq!(scratch.apply(&Resources::default()).unwrap().items, []);
    assert_eq!(scratch.file(Controller::Pids, "pids.max"), "5");
    assert_eq!(scratch.file(Controller::Memory, "memory.limit_in_bytes"), (16 << 20).to_string());
}

fn v1_strict() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Memory]);
    let before = scratch.file(Controller::Memory, "memory.limit_in_bytes");
    let request = memory(Memory { max: Some(mib(16)), low: Some(mib(8)), ..Memory::default() });
    let error = scratch.apply(&request).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the group cannot have: memory.low: unsupported: memory.low of controller memory: only cgroup v2 has it"
    );
    assert_eq!(scratch.file(Controller::Memory, "memory.limit_in_bytes"), before);
    let report = scratch.apply_best_effort(&request).unwrap();
    assert_eq!(report.get("memory.max"), Some(&Outcome::Applied));
    assert!(matches!(report.get("memory.low"), Some(Outcome::Unsupported { reason: Reason::V2Only, .. })));
    assert_eq!(scratch.file(Controller::Memory, "memory.limit_in_bytes"), (16 << 20).to_string());
}

fn v1_refused() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Pids, Controller::Io, Controller::Cpuset]);
    let cpus = scratch.file(Controller::Cpuset, "cpuset.cpus");
    let request = Resources {
        cpuset: Cpuset { cpus: Some("0".parse().unwrap()), ..Cpuset::default() },
        pids: Pids { max: Some(Limit::At(9)) },
        io: Io { max: vec![no_such_disk()], ..Io::default() },
        ..Resources::default()
    };
    for apply in [windlass_cgroups::Group::apply, windlass_cgroups::Group::apply_best_effort] {
        let error = apply(&scratch, &request).unwrap_err();
        let Error::Refused { write, .. } = &error else { panic!("{error:?}") };
        assert_eq!(write.file, "blkio.throttle.read_bps_device");
        assert_eq!(write.rollback.restored, ["pids.max", "cpuset.cpus"]);
        assert!(write.rollback.failed.is_empty(), "{error}");
        assert_eq!(error.errno(), Some(19), "ENODEV: {error:?}");
        assert_eq!(scratch.file(Controller::Pids, "pids.max"), "max");
        assert_eq!(scratch.file(Controller::Cpuset, "cpuset.cpus"), cpus);
    }
    let nowhere = Cpuset { cpus: Some("9999".parse().unwrap()), ..Cpuset::default() };
    let error = scratch.apply(&Resources { cpuset: nowhere, ..Resources::default() }).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
}

/// What was set before comes back, and so does that nothing was set.
fn io_max_put_back(version: Version) {
    let device = disk().unwrap();
    let scratch = Scratch::new(&only(version), &[Controller::Io]);
    let rules = || match version {
        Version::V1 => ["blkio.throttle.read_bps_device", "blkio.throttle.write_iops_device"]
            .map(|file| scratch.file(Controller::Io, file))
            .join("; "),
        Version::V2 => scratch.file(Controller::Io, "io.max"),
    };
    let rule = |read: u64, write| IoMax {
        read_bytes: Some(mib(read)),
        write_operations: Some(Limit::At(write)),
        ..IoMax::new(device)
    };
    let io = |max| Resources { io: Io { max, ..Io::default() }, ..Resources::default() };
    let refused = |before: &str| {
        let error = scratch.apply(&io(vec![rule(7, 700), no_such_disk()])).unwrap_err();
        let Error::Refused { write, .. } = &error else { panic!("{error:?}") };
        assert!(!write.rollback.restored.is_empty() && write.rollback.failed.is_empty(), "{error}");
        assert_eq!(rules(), before);
    };
    refused(&rules());
    scratch.apply(&io(vec![rule(3, 300)])).unwrap();
    let before = rules();
    assert!(before.contains(&(3 << 20).to_string()), "{before}");
    refused(&before);
}

fn v1_not_enabled() {
    let all = only(Version::V1);
    let scratch = Scratch::new(&all, &[Controller::Pids]);
    let error = scratch.apply(&memory(Memory { max: Some(mib(8)), ..Memory::default() })).unwrap_err();
    let Error::Unsupported { settings } = &error else { panic!("{error}") };
    assert!(matches!(settings[0].outcome, Outcome::Unsupported { reason: Reason::NotEnabled, .. }), "{error}");
}

/// What the kernel was built without is told as such, strictly or not, and what it has is set.
fn lacking(version: Version) {
    let scratch = Scratch::new(&only(version), &[Controller::Cpu, Controller::Io]);
    let half = windlass_cgroups::CpuUtilization::new(5000).unwrap();
    let cpu = Cpu { uclamp_max: Some(half), ..Cpu::default() };
    let io = Io { priority: Some(windlass_cgroups::IoPriority::Idle), ..Io::default() };
    let dmem = Dmem { region: "no/such".to_owned(), max: Some(mib(1)), low: None, min: None };
    match scratch.apply(&Resources { dmem: vec![dmem], ..Resources::default() }) {
        Err(Error::Unsupported { settings }) => {
            let reason = if scratch.all.home(Controller::Dmem) == Home::Absent(Reason::Kernel) {
                Reason::Kernel
            } else {
                Reason::NotEnabled
            };
            let [item] = &settings[..] else { panic!("{settings:?}") };
            assert!(matches!(item.outcome, Outcome::Unsupported { reason: found, .. } if found == reason), "{item}");
        }
        other => panic!("{other:?}"),
    }
    let prio_class = if version == Version::V1 { "blkio.prio.class" } else { "io.prio.class" };
    let requests = [
        (Controller::Cpu, "cpu.uclamp.max", "50.00", Resources { cpu, ..Resources::default() }),
        (Controller::Io, prio_class, "idle", Resources { io, ..Resources::default() }),
    ];
    for (controller, file, value, request) in requests {
        let path = format!("{}/{file}", scratch.directory(controller));
        match (std::fs::exists(path).unwrap(), scratch.apply(&request)) {
            (true, result) => {
                assert_eq!(result.unwrap().items.len(), 1);
                assert_eq!(scratch.file(controller, file), value);
            }
            (false, Err(Error::Unsupported { settings })) => assert!(
                matches!(&settings[..], [item] if matches!(item.outcome, Outcome::Unsupported { reason: Reason::Kernel, .. })),
                "{settings:?}"
            ),
            (false, other) => panic!("{file}: {other:?}"),
        }
    }
}

fn v2_refused() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Memory, Controller::Io]);
    let request = Resources {
        memory: Memory { max: Some(mib(64)), ..Memory::default() },
        io: Io { max: vec![no_such_disk()], ..Io::default() },
        ..Resources::default()
    };
    let error = scratch.apply(&request).unwrap_err();
    let Error::Refused { write, .. } = &error else { panic!("{error:?}") };
    assert_eq!((write.file.as_str(), error.errno()), ("io.max", Some(19)), "{error}");
    assert_eq!(write.rollback.restored, ["memory.max"]);
    assert_eq!(scratch.file(Controller::Memory, "memory.max"), "max");
}

fn v2_raw_keys_are_checked() {
    let scratch = Scratch::new(&only(Version::V2), &[]);
    for (key, value) in [
        ("memory.max", ""),
        ("memory.max", " "),
        ("memory.max", "1\n2"),
        ("cgroup.procs", "1"),
        ("cgroup.subtree_control", "+memory"),
        ("memory", "1"),
        ("memory.", "1"),
        ("../memory.max", "1"),
        ("memory.max/../cgroup.procs", "1"),
        ("memory.current", "1"),
        ("memory.reclaim", "1M"),
        ("memory.pressure", "some 100000 2000000"),
        ("io.cost.qos", "8:0 enable=1"),
        ("nothing.max", "1"),
    ] {
        let unified = [(key.to_owned(), value.to_owned())].into();
        let error = scratch.apply(&Resources { unified, ..Resources::default() }).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{key} {value:?}: {error}");
    }
}

/// The limit is below what is in use, and there is nothing that could be reclaimed.
fn v1_invalid_memory() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Memory]);
    let mut hog = Actor::within(&scratch, "hog 16");
    hog.news().unwrap();
    // Without this the kernel might swap it out.
    scratch.apply(&memory(Memory { swappiness: Some(0), ..Memory::default() })).unwrap();
    let before = scratch.file(Controller::Memory, "memory.limit_in_bytes");
    let error = scratch.apply(&memory(Memory { max: Some(mib(1)), ..Memory::default() })).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }) && error.errno() == Some(16), "EBUSY: {error:?}");
    assert_eq!(scratch.file(Controller::Memory, "memory.limit_in_bytes"), before);
}

fn v2_invalid_memory() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Memory]);
    for value in ["many", "-1", "1 2"] {
        let unified = [("memory.max".to_owned(), value.to_owned())].into();
        let error = scratch.apply(&Resources { unified, ..Resources::default() }).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }) && error.errno() == Some(22), "{value}: {error:?}");
        assert_eq!(scratch.file(Controller::Memory, "memory.max"), "max");
    }
}

/// Every setting whose first value is known beforehand, beside a twin that nothing is asked of.
fn new_group_put_back(version: Version) {
    let controllers = [Controller::Cpu, Controller::Memory, Controller::Pids, Controller::Io];
    let all = only(version);
    let (scratch, twin) = (Scratch::new(&all, &controllers), Scratch::new(&all, &controllers));
    let request = Resources {
        cpu: Cpu {
            weight: Some(CpuShares::new(512).unwrap().into()),
            max: Some(CpuMax::new(Limit::At(Duration::from_millis(20)), Duration::from_millis(50)).unwrap()),
            ..Cpu::default()
        },
        memory: match version {
            Version::V1 => Memory { max: Some(mib(64)), ..Memory::default() },
            Version::V2 => Memory {
                max: Some(mib(64)),
                high: Some(mib(48)),
                swap: Some(Limit::At(Bytes::new(0))),
                oom_group: Some(true),
                ..Memory::default()
            },
        },
        pids: Pids { max: Some(Limit::At(9)) },
        io: Io { max: vec![no_such_disk()], ..Io::default() },
        ..Resources::default()
    };
    let error = scratch.apply(&request).unwrap_err();
    let Error::Refused { write, .. } = &error else { panic!("{error:?}") };
    assert!(write.rollback.failed.is_empty(), "{error}");
    let expected = if version == Version::V1 { 5 } else { 7 };
    assert_eq!(write.rollback.restored.len(), expected, "{error}");
    for file in &write.rollback.restored {
        let holds = |group: &Scratch| group.group.file(version, file).unwrap().unwrap();
        assert_eq!(holds(&scratch), holds(&twin), "{file}");
    }
}
