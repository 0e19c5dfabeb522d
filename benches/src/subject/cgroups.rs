//! Groups and their statistics.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use windlass_cgroups::{
    Action, Bytes, Controller, Cpu, CpuMax, Group, GroupPath, Hierarchies, Limit, Memory, Pids, Resources,
    StatSelection, Stats,
};

use crate::measure::{Baseline, Contest, Skipped};

const CONTROLLERS: [Controller; 3] = [Controller::Cpu, Controller::Memory, Controller::Pids];

/// A group of the bench that goes away with it.
struct Temporary(Group);

impl Temporary {
    fn new(hierarchies: &Hierarchies, name: &str) -> Result<Self, Skipped> {
        let path = GroupPath::new(&format!("windlass-bench-{name}-{}", std::process::id()))
            .map_err(Skipped::because("name"))?;
        hierarchies.create(&path, &CONTROLLERS).map(Self).map_err(Skipped::because("create a group"))
    }
}

fn discover() -> Result<Hierarchies, Skipped> {
    Hierarchies::discover().map_err(Skipped::because("find the hierarchies"))
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = self.0.remove() {
            // A bench that cannot clean up must not look well.
            panic!("a group is left behind: {error}");
        }
    }
}

/// All statistics of a group from files kept open, against bare `pread` of the same files.
pub(super) fn stats() -> Result<Contest, Skipped> {
    let group = Temporary::new(&discover()?, "stats")?;
    let mut reader = group.0.reader(StatSelection::ALL).map_err(Skipped::because("open the statistics"))?;
    let files: Vec<File> =
        reader.paths().map(File::open).collect::<Result<_, _>>().map_err(Skipped::because("open the statistics"))?;
    let mut stats = Stats::default();
    let mut buffer = vec![0; 4096];
    Ok(Contest {
        calls: 200,
        rounds: 21,
        subject: Box::new(move || {
            black_box(&group.0);
            reader.read_into(black_box(&mut stats)).map_err(Skipped::because("read the statistics"))
        }),
        baseline: Baseline::Run(Box::new(move || {
            for file in &files {
                black_box(file.read_at(&mut buffer, 0).map_err(Skipped::because("pread"))?);
            }
            Ok(())
        })),
    })
}

/// The same statistics, against the crate `cgroups-rs`, which opens every file anew.
#[cfg(feature = "peers")]
pub(super) fn stats_of_peer() -> Result<Contest, Skipped> {
    use cgroups_rs::fs::{Cgroup, hierarchies};

    let ours = stats()?;
    let group = Temporary::new(&discover()?, "peer")?;
    let name = group.0.path().as_str().to_owned();
    Ok(Contest {
        calls: 20,
        rounds: 15,
        subject: ours.subject,
        baseline: Baseline::Run(Box::new(move || {
            black_box(&group.0);
            let peer = Cgroup::load(hierarchies::auto(), &name);
            for subsystem in peer.subsystems() {
                use cgroups_rs::fs::Subsystem;
                match subsystem {
                    Subsystem::Mem(memory) => _ = black_box(memory.memory_stat()),
                    Subsystem::CpuAcct(cpuacct) => _ = black_box(cpuacct.cpuacct()),
                    Subsystem::Cpu(cpu) => _ = black_box(cpu.cpu()),
                    Subsystem::Pid(pids) => _ = black_box(pids.get_pid_current().map_err(Skipped::because("pids"))?),
                    Subsystem::BlkIo(blkio) => _ = black_box(blkio.blkio()),
                    _ => {}
                }
            }
            Ok(())
        })),
    })
}

/// The same statistics, against the crate `cgroups-rs`.
#[cfg(not(feature = "peers"))]
pub(super) fn stats_of_peer() -> Result<Contest, Skipped> {
    Err(Skipped::without_peers())
}

/// A group created, limited in cpu, memory and processes, and removed, against bare file calls for the same.
pub(super) fn lifecycle() -> Result<Contest, Skipped> {
    let hierarchies = discover()?;
    let model = Temporary::new(&hierarchies, "model")?;
    let resources = Resources {
        cpu: Cpu { max: Some(CpuMax::millicores(500)), ..Cpu::default() },
        memory: Memory { max: Some(Limit::At(Bytes::mib(64))), ..Memory::default() },
        pids: Pids { max: Some(Limit::At(64)) },
        ..Resources::default()
    };
    let writes = writes(&model.0, &resources)?;
    drop(model);
    Ok(Contest {
        calls: 10,
        rounds: 21,
        subject: Box::new(move || {
            let group = Temporary::new(&hierarchies, "life")?;
            group.0.apply(&resources).map(drop).map_err(Skipped::because("limit the group"))
        }),
        baseline: Baseline::Run(Box::new(move || bare(&writes).map_err(Skipped::because("bare calls")))),
    })
}

/// A directory to make and the files to write in it.
struct Bare {
    directory: PathBuf,
    files: Vec<(PathBuf, String)>,
}

/// What the plan for a group writes, for a group of another name beside it.
fn writes(group: &Group, resources: &Resources) -> Result<Vec<Bare>, Skipped> {
    let plan = group.plan(resources).map_err(Skipped::because("plan the limits"))?;
    let mut all = Vec::new();
    for descriptor in group.descriptors() {
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&descriptor));
        let model = fs::read_link(&link).map_err(Skipped::because(&link))?;
        let directory = model.with_file_name(format!("windlass-bench-bare-{}", std::process::id()));
        let writes = plan.settings.iter().filter_map(|setting| match &setting.action {
            Action::Write { writes, .. } => Some(writes),
            _ => None,
        });
        let here = writes.flatten().filter(|write| model.join(&*write.file).exists());
        let files = here.map(|write| (directory.join(&*write.file), write.value.clone())).collect();
        all.push(Bare { directory, files });
    }
    Ok(all)
}

fn bare(groups: &[Bare]) -> std::io::Result<()> {
    for group in groups {
        fs::create_dir(&group.directory)?;
        for (file, bytes) in &group.files {
            File::options().write(true).open(file)?.write_all(bytes.as_bytes())?;
        }
    }
    groups.iter().try_for_each(|group| fs::remove_dir(&group.directory))
}
