//! Groups and their statistics, against bare calls on the same files.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use windlass_cgroups::{
    Action, Bytes, Controller, Cpu, CpuMax, CpuShares, DeviceAccess, DeviceAction, DeviceFilter, DeviceKind,
    DeviceRule, Group, GroupPath, Hierarchies, Limit, Memory, Pids, Resources, StatSelection, Stats, Version,
};

use crate::measure::{Baseline, Contest, Skipped};

const CONTROLLERS: [Controller; 3] = [Controller::Cpu, Controller::Memory, Controller::Pids];
/// With these a group is in every hierarchy of v1 that the machine has, of which cpu is two.
const ALL: [Controller; 7] = [
    Controller::Cpu,
    Controller::Cpuset,
    Controller::Memory,
    Controller::Io,
    Controller::Devices,
    Controller::Freezer,
    Controller::Pids,
];
const SOON: Duration = Duration::from_secs(10);

/// A group of the bench that goes away with it.
pub(super) struct Temporary(pub(super) Group);

impl Temporary {
    pub(super) fn new(hierarchies: &Hierarchies, name: &str, controllers: &[Controller]) -> Result<Self, Skipped> {
        let path = GroupPath::new(&unique(name)).map_err(Skipped::because("name"))?;
        hierarchies.create(&path, controllers).map(Self).map_err(Skipped::because("create a group"))
    }
}

pub(super) fn unique(name: &str) -> String {
    format!("windlass-bench-{name}-{}", std::process::id())
}

fn discover() -> Result<Hierarchies, Skipped> {
    Hierarchies::discover().map_err(Skipped::because("find the hierarchies"))
}

/// The hierarchies of v1 alone, for peers that know no mixture.
pub(super) fn only_v1() -> Result<Hierarchies, Skipped> {
    discover()?.only(Version::V1).map_err(Skipped::because("find hierarchies of v1"))
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let ended = self.0.kill_and_wait(SOON).and_then(|()| self.0.remove());
        if let Err(error) = ended {
            // A bench that cannot clean up must not look well.
            panic!("a group is left behind: {error}");
        }
    }
}

/// A process to be moved about.
pub(super) struct Sleeper(pub(super) Child);

impl Sleeper {
    pub(super) fn new() -> Result<Self, Skipped> {
        let mut command = Command::new("sleep");
        command.arg("infinity").stdin(Stdio::null()).spawn().map(Self).map_err(Skipped::because("start sleep"))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("a child of this process can be ended");
    }
}

/// All statistics of a group from files kept open.
pub(super) fn stats() -> Result<Contest, Skipped> {
    stats_in(&discover()?, &CONTROLLERS)
}

/// The same of a group with these controllers in these hierarchies.
pub(super) fn stats_in(hierarchies: &Hierarchies, controllers: &[Controller]) -> Result<Contest, Skipped> {
    let group = Temporary::new(hierarchies, "stats", controllers)?;
    let mut reader = group.0.reader(StatSelection::ALL).map_err(Skipped::because("open the statistics"))?;
    let bare = bare_statistics(&group.0)?;
    let mut stats = Stats::default();
    Ok(Contest {
        calls: 200,
        rounds: 21,
        subject: Box::new(move || {
            black_box(&group.0);
            reader.read_into(black_box(&mut stats)).map_err(Skipped::because("read the statistics"))
        }),
        baseline: Baseline::Cpu(bare),
    })
}

/// All statistics of a group, as for one that is looked at once.
pub(super) fn once() -> Result<Contest, Skipped> {
    once_in(&discover()?, &CONTROLLERS)
}

/// The same of a group with these controllers in these hierarchies.
pub(super) fn once_in(hierarchies: &Hierarchies, controllers: &[Controller]) -> Result<Contest, Skipped> {
    let group = Temporary::new(hierarchies, "once", controllers)?;
    let bare = bare_statistics(&group.0)?;
    Ok(Contest {
        calls: 100,
        rounds: 21,
        subject: Box::new(move || group.0.stats().map(drop).map_err(Skipped::because("read the statistics"))),
        baseline: Baseline::Cpu(bare),
    })
}

/// A bare `pread` of every file of a group's statistics.
fn bare_statistics(group: &Group) -> Result<crate::measure::Run, Skipped> {
    let reader = group.reader(StatSelection::ALL).map_err(Skipped::because("open the statistics"))?;
    let files: Vec<File> =
        reader.paths().map(File::open).collect::<Result<_, _>>().map_err(Skipped::because("open the statistics"))?;
    let mut buffer = vec![0; 4096];
    Ok(Box::new(move || {
        for file in &files {
            black_box(file.read_at(&mut buffer, 0).map_err(Skipped::because("pread"))?);
        }
        Ok(())
    }))
}

pub(super) fn four_limits() -> Resources {
    let shares = CpuShares::new(512).expect("it is in the range");
    Resources {
        cpu: Cpu { max: Some(CpuMax::millicores(500)), weight: Some(shares.into()), ..Cpu::default() },
        memory: Memory { max: Some(Limit::At(Bytes::mib(64))), ..Memory::default() },
        pids: Pids { max: Some(Limit::At(64)) },
        ..Resources::default()
    }
}

/// One life of a group: made, limited, with a process that comes and goes, and removed.
pub(super) fn live(
    hierarchies: &Hierarchies,
    controllers: &[Controller],
    resources: &Resources,
    pid: u32,
    away: &Group,
) -> Result<(), Skipped> {
    let path = GroupPath::new(&unique("life")).map_err(Skipped::because("name"))?;
    let group = hierarchies.create(&path, controllers).map_err(Skipped::because("create a group"))?;
    group.apply(resources).map_err(Skipped::because("limit the group"))?;
    group.add(pid).map_err(Skipped::because("add a process"))?;
    away.add(pid).map_err(Skipped::because("move a process away"))?;
    group.remove().map_err(Skipped::because("remove the group"))
}

/// The life of a group in all hierarchies of v1.
pub(super) fn lifecycle() -> Result<Contest, Skipped> {
    lives(&only_v1()?, &ALL)
}

/// The life of a group in the hierarchies that its limits need, against bare calls in all of v1.
pub(super) fn needed() -> Result<Contest, Skipped> {
    lives(&discover()?, &CONTROLLERS)
}

fn lives(hierarchies: &Hierarchies, controllers: &'static [Controller]) -> Result<Contest, Skipped> {
    let hierarchies = hierarchies.clone();
    let resources = four_limits();
    let away = Temporary::new(&hierarchies, "away", controllers)?;
    let everywhere = only_v1()?;
    let bare_away = Temporary::new(&everywhere, "bare-away", &ALL)?;
    let model = Temporary::new(&everywhere, "model", &ALL)?;
    let bare = Bare::new(&model.0, &bare_away.0, &resources)?;
    drop(model);
    let sleeper = Sleeper::new()?;
    let bare_sleeper = Sleeper::new()?;
    Ok(Contest {
        calls: 5,
        rounds: 21,
        subject: Box::new(move || live(&hierarchies, controllers, &resources, sleeper.0.id(), &away.0)),
        baseline: Baseline::Cpu(Box::new(move || {
            black_box(&bare_away.0);
            bare.live(bare_sleeper.0.id()).map_err(Skipped::because("bare calls"))
        })),
    })
}

/// What a plan for a group writes, for a group of another name beside it.
struct Bare(Vec<BareGroup>);

struct BareGroup {
    directory: PathBuf,
    away: PathBuf,
    cpuset: bool,
    files: Vec<(PathBuf, String)>,
}

impl Bare {
    fn new(model: &Group, away: &Group, resources: &Resources) -> Result<Self, Skipped> {
        let plan = model.plan(resources).map_err(Skipped::because("plan the limits"))?;
        let mut all = Vec::new();
        for (descriptor, away) in model.descriptors().zip(away.descriptors()) {
            let path = |descriptor: std::os::fd::BorrowedFd<'_>| {
                fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd())).map_err(Skipped::because("readlink"))
            };
            let model = path(descriptor)?;
            let directory = model.with_file_name(unique("bare"));
            let writes = plan.settings.iter().flat_map(|setting| match &setting.action {
                Action::Write { writes, .. } => writes.iter().as_slice(),
                _ => &[],
            });
            let here = writes.filter(|write| model.join(&*write.file).exists());
            let files = here.map(|write| (directory.join(&*write.file), write.value().to_owned())).collect();
            let cpuset = model.join("cpuset.cpus").exists();
            all.push(BareGroup { directory, away: path(away)?, cpuset, files });
        }
        Ok(Self(all))
    }

    fn live(&self, pid: u32) -> std::io::Result<()> {
        let pid = pid.to_string();
        for group in &self.0 {
            fs::create_dir(&group.directory)?;
            if group.cpuset {
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    let above = group.directory.with_file_name(file);
                    write(&group.directory.join(file), &fs::read(above)?)?;
                }
            }
            for (file, value) in &group.files {
                write(file, value.as_bytes())?;
            }
        }
        for group in &self.0 {
            write(&group.directory.join("cgroup.procs"), pid.as_bytes())?;
        }
        for group in &self.0 {
            write(&group.away.join("cgroup.procs"), pid.as_bytes())?;
        }
        self.0.iter().try_for_each(|group| fs::remove_dir(&group.directory))
    }
}

fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    File::options().write(true).open(file)?.write_all(bytes)
}

/// A device filter as containers have it: compiled, loaded and put in the place of the last.
pub(super) fn filter() -> Result<Contest, Skipped> {
    let hierarchies = discover()?.only(Version::V2).map_err(Skipped::because("find v2"))?;
    let group = Temporary::new(&hierarchies, "filter", &[])?;
    let allow = |major, minor| DeviceRule {
        action: DeviceAction::Allow,
        kind: DeviceKind::Character,
        major: Some(major),
        minor,
        access: DeviceAccess::ALL,
    };
    let mut rules: Vec<DeviceRule> = [3, 5, 7, 8, 9].map(|minor| allow(1, Some(minor))).into();
    rules.extend([allow(5, Some(0)), allow(5, Some(2)), allow(136, None)]);
    let devices = Some(DeviceFilter { default: DeviceAction::Deny, rules });
    let resources = Resources { devices, ..Resources::default() };
    Ok(Contest {
        calls: 20,
        rounds: 21,
        subject: Box::new(move || group.0.apply(&resources).map(drop).map_err(Skipped::because("attach a filter"))),
        baseline: Baseline::Figure(200.0),
    })
}

/// From the order to kill until the group is removed; the kernel's part is the same on both sides.
pub(super) fn kill() -> Result<Contest, Skipped> {
    let hierarchies = discover()?.only(Version::V2).map_err(Skipped::because("find v2"))?;
    let base = hierarchies
        .controllers()
        .into_iter()
        .find_map(|placement| (placement.controller == Controller::Freezer).then_some(placement.base).flatten());
    let directory = Path::new(&base.ok_or(Skipped("v2 has no base".into()))?).join(unique("bare-kill"));
    Ok(Contest {
        calls: 5,
        rounds: 21,
        subject: Box::new(move || {
            let path = GroupPath::new(&unique("kill")).map_err(Skipped::because("name"))?;
            let group = hierarchies.create(&path, &[]).map_err(Skipped::because("create a group"))?;
            let sleeper = Sleeper::new()?;
            group.add(sleeper.0.id()).map_err(Skipped::because("add a process"))?;
            group.kill_and_wait(SOON).map_err(Skipped::because("kill"))?;
            group.remove().map_err(Skipped::because("remove the group"))
        }),
        baseline: Baseline::Run(Box::new(move || bare_kill(&directory))),
    })
}

fn bare_kill(directory: &Path) -> Result<(), Skipped> {
    let fail = || Skipped::because::<std::io::Error>("bare calls");
    fs::create_dir(directory).map_err(fail())?;
    let sleeper = Sleeper::new()?;
    write(&directory.join("cgroup.procs"), sleeper.0.id().to_string().as_bytes()).map_err(fail())?;
    let events = File::open(directory.join("cgroup.events")).map_err(fail())?;
    let mut buffer = [0; 128];
    write(&directory.join("cgroup.kill"), b"1").map_err(fail())?;
    loop {
        let read = events.read_at(&mut buffer, 0).map_err(fail())?;
        if buffer[..read].starts_with(b"populated 0") {
            break;
        }
        poll(&mut [PollFd::new(&events, PollFlags::PRI)], None).map_err(Skipped::because("poll"))?;
    }
    fs::remove_dir(directory).map_err(fail())
}
