//! What operations cost: calls of the kernel, as strace counts them, and allocations.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

mod support;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Stdio};

use support::{Actor, Scratch, fresh_path, has, only};
use trial::{Test, need};
use windlass_cgroups::{
    Bytes, Controller, Cpu, CpuMax, CpuShares, Hierarchies, Limit, Memory, Pids, Resources, StatSelection, Stats,
    Version,
};

/// With these a group is in each hierarchy of v1 that a machine usually has.
const ALL: [Controller; 7] = [
    Controller::Cpu,
    Controller::Cpuset,
    Controller::Memory,
    Controller::Io,
    Controller::Devices,
    Controller::Freezer,
    Controller::Pids,
];

fn main() -> ExitCode {
    match std::env::var(COUNTED) {
        // A process that is counted starts others, which are not.
        Ok(role) if std::env::var(support::ROLE).is_err() => {
            count(&role);
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let v1 = |name, body: fn()| Test::new(name, body).needs(need::root).needs(has(Version::V1, &ALL));
    let v2 = |name, body: fn()| Test::new(name, body).needs(need::root).needs(has(Version::V2, &[]));
    support::main(vec![
        v1("v1_a_life_takes_few_calls", lifecycle_calls).needs(need::program("strace")),
        v1("v1_a_life_takes_few_allocations", lifecycle_allocations),
        v1("v1_a_reading_is_a_call_for_each_file", || reading(Version::V1)).needs(need::program("strace")),
        v2("v2_a_reading_is_a_call_for_each_file", || reading(Version::V2)).needs(need::program("strace")),
        v1("v1_one_look_is_three_calls_for_each_file", || look(Version::V1)).needs(need::program("strace")),
        v2("v2_one_look_is_three_calls_for_each_file", || look(Version::V2)).needs(need::program("strace")),
        v2("v2_a_kill_neither_sleeps_nor_tries", kill_calls).needs(need::program("strace")),
    ])
}

const COUNTED: &str = "WINDLASS_CGROUPS_COUNTED";

fn four_limits() -> Resources {
    Resources {
        cpu: Cpu {
            max: Some(CpuMax::millicores(500)),
            weight: Some(CpuShares::new(512).unwrap().into()),
            ..Cpu::default()
        },
        memory: Memory { max: Some(Limit::At(Bytes::mib(64))), ..Memory::default() },
        pids: Pids { max: Some(Limit::At(64)) },
        ..Resources::default()
    }
}

/// A group made and limited, to which a process comes, and removed after the process has gone elsewhere.
fn life(all: &Hierarchies, mut counted: impl FnMut(&mut dyn FnMut())) {
    let away = Scratch::new(all, &ALL);
    let actor = Actor::new("sleep");
    let (path, resources, mut group) = (fresh_path(), four_limits(), None);
    counted(&mut || {
        let made = all.create(&path, &ALL).unwrap();
        made.apply(&resources).unwrap();
        made.add(actor.pid()).unwrap();
        group = Some(made);
    });
    away.add(actor.pid()).unwrap();
    let group = group.unwrap();
    counted(&mut || group.remove().unwrap());
}

/// What this program does when it runs under strace, between two marks.
fn count(role: &str) {
    // The standard library tries once how the kernel answers this call.
    std::fs::metadata("/").unwrap();
    let mark = || drop(std::fs::metadata("/windlass-mark"));
    let (role, argument) = role.split_once(' ').unwrap_or((role, ""));
    match role {
        "life" => {
            life(&only(Version::V1), |body| {
                mark();
                body();
                mark();
            });
        }
        "read" => {
            let version = if argument == "v1" { Version::V1 } else { Version::V2 };
            let scratch = Scratch::new(&only(version), if version == Version::V1 { &ALL } else { &[] });
            let mut reader = scratch.reader(StatSelection::ALL).unwrap();
            let mut stats = Stats::default();
            reader.read_into(&mut stats).unwrap();
            let allocations = allocation_counter::measure(|| reader.read_into(&mut stats).unwrap());
            println!("{} {}", reader.paths().count(), allocations.count_total);
            mark();
            reader.read_into(&mut stats).unwrap();
            mark();
        }
        "look" => {
            let version = if argument == "v1" { Version::V1 } else { Version::V2 };
            let scratch = Scratch::new(&only(version), if version == Version::V1 { &ALL } else { &[] });
            println!("{}", scratch.reader(StatSelection::ALL).unwrap().paths().count());
            mark();
            scratch.stats().unwrap();
            mark();
        }
        "kill" => {
            let scratch = Scratch::new(&only(Version::V2), &[]);
            let mut actor = Actor::within(&scratch, "sleep");
            actor.news().unwrap();
            mark();
            scratch.kill_and_wait(support::SOON).unwrap();
            scratch.remove().unwrap();
            mark();
            actor.wait();
        }
        other => panic!("no role {other}"),
    }
}

/// The calls between the marks, by name, with those that failed as `NAME=ERRNO`; and what the program printed.
fn calls(role: &str) -> (BTreeMap<String, usize>, String) {
    let trace = std::env::temp_dir().join(format!("windlass-trace-{}-{}", std::process::id(), role.replace(' ', "-")));
    let output = Command::new("strace")
        .args(["-f", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .env(COUNTED, role)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(&trace).unwrap();
    std::fs::remove_file(&trace).unwrap();
    let mut calls = BTreeMap::new();
    let mut counted = false;
    let main = text.split_whitespace().next().unwrap();
    for line in text.lines() {
        let Some(line) = line.strip_prefix(main).map(str::trim_start) else { continue };
        if line.contains("/windlass-mark") {
            counted = !counted;
            continue;
        }
        let Some((name, rest)) = line.split_once('(').filter(|_| counted) else { continue };
        // The rest of a call that another thread interrupted; and what the standard library asks of a descriptor that
        // it closes, in builds for debugging alone.
        if name.contains('<') || (cfg!(debug_assertions) && name == "fcntl") {
            continue;
        }
        *calls.entry(name.to_owned()).or_default() += 1;
        if let Some(errno) = rest.rsplit_once("= -1 ").and_then(|(_, errno)| errno.split(' ').next()) {
            *calls.entry(format!("{name}={errno}")).or_default() += 1;
        }
    }
    (calls, String::from_utf8(output.stdout).unwrap())
}

fn total(calls: &BTreeMap<String, usize>) -> usize {
    calls.iter().filter(|(name, _)| !name.contains('=')).map(|(_, count)| count).sum()
}

fn lifecycle_calls() {
    let (calls, _) = calls("life");
    eprintln!("{} calls: {calls:?}", total(&calls));
    // Bare calls for the same are 64. The rest opens the directories, and tells at the end whether they are still those.
    assert!(total(&calls) <= 80, "{} calls: {calls:?}", total(&calls));
}

fn lifecycle_allocations() {
    let mut count = 0;
    life(&only(Version::V1), |body| count += allocation_counter::measure(body).count_total);
    eprintln!("{count} allocations");
    // None for a hierarchy or for a file: the group with its directories, the plan, its report, what would be put back.
    assert!(count <= 10, "{count} allocations");
}

fn reading(version: Version) {
    let (calls, printed) = calls(&format!("read {version}"));
    let (files, allocations) = printed.trim().split_once(' ').unwrap();
    eprintln!("{files} files: {calls:?}");
    assert_eq!(calls.iter().collect::<Vec<_>>(), [(&"pread64".to_owned(), &files.parse::<usize>().unwrap())]);
    assert_eq!(allocations, "0");
}

/// Beside the files there may be some that the kernel lacks, and directories of which no file was opened.
fn look(version: Version) {
    let (calls, printed) = calls(&format!("look {version}"));
    let files: usize = printed.trim().parse().unwrap();
    eprintln!("{files} files: {calls:?}");
    assert_eq!((calls["pread64"], calls["close"]), (files, files), "{calls:?}");
    let missing = calls.get("openat2=ENOENT").copied().unwrap_or_default();
    assert_eq!(calls["openat2"], files + missing, "{calls:?}");
    assert!(missing <= 6, "{calls:?}");
    // v1 in all hierarchies has three without statistics: cpuset, devices and freezer.
    assert!(total(&calls) - calls["pread64"] - calls["close"] - calls["openat2"] <= 3, "{calls:?}");
}

fn kill_calls() {
    let (calls, _) = calls("kill");
    eprintln!("{} calls: {calls:?}", total(&calls));
    let failed: Vec<_> = calls.keys().filter(|name| name.contains('=')).collect();
    assert!(failed.is_empty(), "{calls:?}");
    assert!(!calls.keys().any(|name| name.contains("sleep")), "{calls:?}");
    assert_eq!((calls["unlinkat"], calls["write"]), (1, 1), "{calls:?}");
}
