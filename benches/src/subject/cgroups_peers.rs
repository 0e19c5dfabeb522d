//! The same against the crates `cgroups-rs` and `libcgroups`, which open every file anew.

use std::hint::black_box;
use std::path::PathBuf;

use cgroups_rs::CgroupPid;
use cgroups_rs::fs::{Cgroup, Subsystem, hierarchies};
use libcgroups::common::{AnyCgroupManager, CgroupConfig, CgroupManager as _, ControllerOpt, create_cgroup_manager};
use oci_spec::runtime::{LinuxCpuBuilder, LinuxMemoryBuilder, LinuxPidsBuilder, LinuxResources, LinuxResourcesBuilder};

use crate::measure::{Baseline, Contest, Run, Skipped};
use crate::subject::cgroups::{self, Sleeper, Temporary, only_v1, unique};

/// What all three count, of v1 alone: peers know no mixture, and of v2 this crate would read what they do not.
const CONTROLLERS: [windlass_cgroups::Controller; 4] = [
    windlass_cgroups::Controller::Cpu,
    windlass_cgroups::Controller::Memory,
    windlass_cgroups::Controller::Pids,
    windlass_cgroups::Controller::Io,
];

const HIERARCHIES: [&str; 8] = ["cpu", "cpuacct", "cpuset", "memory", "blkio", "devices", "freezer", "pids"];

pub(super) fn stats_of_cgroups_rs() -> Result<Contest, Skipped> {
    let ours = cgroups::stats_in(&only_v1()?, &CONTROLLERS)?;
    Ok(Contest { calls: 20, rounds: 15, baseline: Baseline::Cpu(read_by_cgroups_rs()?), ..ours })
}

pub(super) fn once_of_cgroups_rs() -> Result<Contest, Skipped> {
    let ours = cgroups::once_in(&only_v1()?, &CONTROLLERS)?;
    Ok(Contest { calls: 20, rounds: 15, baseline: Baseline::Cpu(read_by_cgroups_rs()?), ..ours })
}

pub(super) fn stats_of_libcgroups() -> Result<Contest, Skipped> {
    let group = Temporary::new(&only_v1()?, "libcgroups", &CONTROLLERS)?;
    let manager = manager(group.0.path().as_str())?;
    let read: Run = Box::new(move || {
        black_box(&group.0);
        manager.stats().map(|stats| drop(black_box(stats))).map_err(Skipped::because("libcgroups: stats"))
    });
    let ours = cgroups::stats_in(&only_v1()?, &CONTROLLERS)?;
    Ok(Contest { calls: 20, rounds: 15, baseline: Baseline::Cpu(read), ..ours })
}

fn read_by_cgroups_rs() -> Result<Run, Skipped> {
    let group = Temporary::new(&only_v1()?, "cgroups-rs", &CONTROLLERS)?;
    let name = group.0.path().as_str().to_owned();
    Ok(Box::new(move || {
        black_box(&group.0);
        let peer = Cgroup::load(hierarchies::auto(), &name);
        for subsystem in peer.subsystems() {
            match subsystem {
                Subsystem::Mem(memory) => _ = black_box((memory.memory_stat(), memory.memswap())),
                Subsystem::CpuAcct(cpuacct) => _ = black_box(cpuacct.cpuacct()),
                Subsystem::Cpu(cpu) => _ = black_box(cpu.cpu()),
                Subsystem::Pid(pids) => _ = black_box(pids.get_pid_current().map_err(Skipped::because("pids"))?),
                Subsystem::BlkIo(blkio) => _ = black_box(blkio.blkio()),
                _ => {}
            }
        }
        Ok(())
    }))
}

/// A life by `cgroups-rs` in the same hierarchies; unasked it would make one in systemd's too.
pub(super) fn lifecycle_of_cgroups_rs() -> Result<Contest, Skipped> {
    let sleeper = Sleeper::new()?;
    let away = Temporary::new(&only_v1()?, "rs-away", &every())?;
    let name = unique("rs-life");
    let mut resources = cgroups_rs::fs::Resources::default();
    resources.cpu.shares = Some(512);
    resources.cpu.quota = Some(50_000);
    resources.cpu.period = Some(100_000);
    resources.memory.memory_hard_limit = Some(64 << 20);
    resources.pid.maximum_number_of_processes = Some(cgroups_rs::fs::MaxValue::Value(64));
    let baseline: Run = Box::new(move || {
        let fail = || Skipped::because("cgroups-rs");
        let controllers = Some(HIERARCHIES.map(str::to_owned).to_vec());
        let group = Cgroup::new_with_specified_controllers(hierarchies::auto(), &name, controllers).map_err(fail())?;
        group.apply(&resources).map_err(fail())?;
        group.add_task_by_tgid(CgroupPid::from(u64::from(sleeper.0.id()))).map_err(fail())?;
        away.0.add(sleeper.0.id()).map_err(Skipped::because("move a process away"))?;
        group.delete().map_err(fail())
    });
    Ok(Contest { baseline: Baseline::Cpu(baseline), ..cgroups::lifecycle()? })
}

/// A life by `libcgroups`, which makes a group in every hierarchy that it knows.
pub(super) fn lifecycle_of_libcgroups() -> Result<Contest, Skipped> {
    let sleeper = Sleeper::new()?;
    let away = Temporary::new(&only_v1()?, "lib-away", &every())?;
    let name = unique("lib-life");
    let resources = resources()?;
    let baseline: Run = Box::new(move || {
        let fail = || Skipped::because("libcgroups");
        let group = manager(&name)?;
        let pid = i32::try_from(sleeper.0.id()).map_err(Skipped::because("a process id"))?;
        group.add_task(pid_of(pid)).map_err(fail())?;
        let options = ControllerOpt {
            resources: &resources,
            disable_oom_killer: false,
            oom_score_adj: None,
            freezer_state: None,
        };
        group.apply(&options).map_err(fail())?;
        away.0.add(sleeper.0.id()).map_err(Skipped::because("move a process away"))?;
        group.remove().map_err(fail())
    });
    Ok(Contest { baseline: Baseline::Cpu(baseline), ..cgroups::lifecycle()? })
}

fn every() -> Vec<windlass_cgroups::Controller> {
    use windlass_cgroups::Controller::{Cpuset, Devices, Freezer};
    CONTROLLERS.into_iter().chain([Cpuset, Devices, Freezer]).collect()
}

fn manager(name: &str) -> Result<AnyCgroupManager, Skipped> {
    let config = CgroupConfig {
        cgroup_path: PathBuf::from(format!("/{name}")),
        systemd_cgroup: false,
        container_name: name.to_owned(),
    };
    create_cgroup_manager(config).map_err(Skipped::because("libcgroups"))
}

fn pid_of(pid: i32) -> nix::unistd::Pid {
    nix::unistd::Pid::from_raw(pid)
}

fn resources() -> Result<LinuxResources, Skipped> {
    let fail = || Skipped::because("build the limits");
    let cpu = LinuxCpuBuilder::default().shares(512_u64).quota(50_000).period(100_000_u64).build().map_err(fail())?;
    let memory = LinuxMemoryBuilder::default().limit(64 << 20).build().map_err(fail())?;
    let pids = LinuxPidsBuilder::default().limit(64).build().map_err(fail())?;
    LinuxResourcesBuilder::default().cpu(cpu).memory(memory).pids(pids).build().map_err(fail())
}
