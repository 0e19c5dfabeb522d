//! Whole runtimes: `windlass-oci` beside crun, runc and the floor, each as a program that is started.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use windlass_namespaces::oci;

use crate::floor::Floor;
use crate::measure::{Sample, Skipped};

/// Debian's.
pub(super) const CRUN: &str = "/usr/bin/crun";
const RUNC: &str = "/usr/sbin/runc";

/// What the virtual machine measures.
pub(super) const IN_GUEST: [&str; 7] =
    ["lifecycle-crun", "lifecycle-floor", "create", "start", "exec", "delete", "state"];

/// Runs of the line that counts hangs.
const RUNS: u32 = 1_000;

/// What measures one call of a side and gives the figure, in the line's unit.
type Side = Box<dyn FnMut() -> Result<f64, Skipped>>;

/// What a runtime is compared with.
enum Against {
    /// Something that runs in turns with it.
    Side(Side),
    /// A figure in the line's unit.
    Figure(f64),
}

/// Two sides, ready to run.
pub(super) struct Duel {
    /// Rounds whose median counts, after one that does not; none measures once.
    rounds: usize,
    ours: Side,
    against: Against,
}

impl Duel {
    /// The median figure of each side.
    pub(super) fn run(mut self) -> Result<Sample, Skipped> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=self.rounds {
            let value = (self.ours)()?;
            let other = match &mut self.against {
                Against::Side(side) => side()?,
                Against::Figure(figure) => *figure,
            };
            if round > 0 || self.rounds == 0 {
                ours.push(value);
                theirs.push(other);
            }
        }
        let median = |figures: &mut Vec<f64>| {
            figures.sort_unstable_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        Ok(Sample { value: median(&mut ours), baseline: median(&mut theirs) })
    }
}

/// What a call took, in microseconds.
fn timed(body: impl FnOnce() -> Result<(), Skipped>) -> Result<f64, Skipped> {
    let start = Instant::now();
    body()?;
    Ok(start.elapsed().as_secs_f64() * 1e6)
}

/// A program, its state folder and the bundle that all share.
#[derive(Clone)]
struct Runtime {
    program: PathBuf,
    state: PathBuf,
    bundle: Rc<TempDir>,
}

impl Runtime {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.state).args(arguments).current_dir(self.bundle.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn call(&self, arguments: &[&str]) -> Result<(), Skipped> {
        succeed(&mut self.command(arguments))
    }

    /// What a call took, in microseconds.
    fn timed(&self, arguments: &[&str]) -> Result<f64, Skipped> {
        timed(|| self.call(arguments))
    }

    /// Waits until the program of a container has ended.
    fn ended(&self) -> Result<(), Skipped> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            let output = self.command(&["state", ID]).stdout(Stdio::piped()).output();
            let output = output.map_err(Skipped::because("state"))?;
            if String::from_utf8_lossy(&output.stdout).contains("stopped") {
                return Ok(());
            }
        }
        Err(Skipped(format!("{}: the container does not end", self.program.display())))
    }

    /// A container that stays until the runtime's last copy goes.
    fn staying(&self) -> Result<Staying, Skipped> {
        self.call(&["run", "--detach", "--bundle", "staying", ID])?;
        Ok(Staying(self.clone()))
    }
}

/// Its container goes with it.
struct Staying(Runtime);

impl Drop for Staying {
    fn drop(&mut self) {
        _ = self.0.call(&["delete", "--force", ID]); // the measurement is over
    }
}

/// The container's name, of which each runtime has one at a time.
const ID: &str = "windlass-bench";

fn succeed(command: &mut Command) -> Result<(), Skipped> {
    let name = command.get_program().display().to_string();
    match command.status().map_err(Skipped::because(&name))? {
        status if status.success() => Ok(()),
        status => Err(Skipped(format!("{name} {}: {status}", command.get_args().nth(2).unwrap_or_default().display()))),
    }
}

fn specification() -> Value {
    serde_json::from_str(include_str!("../../data/container.json")).expect("the file is JSON")
}

/// A folder with the bundle: its program ends at once, that of the bundle `staying` stays.
fn bundle() -> Result<Rc<TempDir>, Skipped> {
    let folder = tempfile::tempdir().map_err(Skipped::because("a bundle"))?;
    let write = |folder: &Path, specification: &Value| -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("config.json"), specification.to_string())
    };
    let rootfs = folder.path().join("rootfs");
    let filled = || -> std::io::Result<()> {
        for name in ["bin", "dev", "proc", "sys"] {
            std::fs::create_dir_all(rootfs.join(name))?;
        }
        std::fs::copy("/bin/busybox", rootfs.join("bin/busybox"))?;
        for name in ["true", "sleep"] {
            std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(name))?;
        }
        let mut staying = specification();
        staying["process"]["args"] = json!(["/bin/sleep", "600"]);
        staying["root"]["path"] = json!(rootfs);
        write(&folder.path().join("staying"), &staying)?;
        write(folder.path(), &specification())
    };
    filled().map_err(Skipped::because("a bundle"))?;
    Ok(Rc::new(folder))
}

/// Prepares a line of runtimes whose programs are in this folder.
pub(super) fn prepare(line: &str, programs: &Path) -> Result<Duel, Skipped> {
    let bundle = bundle()?;
    let runtime = |program: &Path, state: &str| Runtime {
        program: program.to_owned(),
        state: bundle.path().join(state),
        bundle: Rc::clone(&bundle),
    };
    let ours = runtime(&programs.join("windlass-oci"), "state-windlass");
    let crun = runtime(Path::new(CRUN), "state-crun");
    let contest = |rounds, ours, theirs| Duel { rounds, ours, against: Against::Side(theirs) };
    let against = |ours, figure, rounds| Duel { rounds, ours, against: Against::Figure(figure) };
    match line {
        "lifecycle-crun" => Ok(contest(41, lifecycle(&ours), lifecycle(&crun))),
        "lifecycle-runc" => Ok(contest(21, lifecycle(&ours), lifecycle(&runtime(Path::new(RUNC), "state-runc")))),
        "lifecycle-floor" => Ok(contest(41, lifecycle(&ours), bare(&programs.join("floor"), &bundle))),
        "create" => Ok(contest(31, create(&ours), create(&crun))),
        "start" => Ok(contest(31, start(&ours), start(&crun))),
        "delete" => Ok(contest(31, delete(&ours), delete(&crun))),
        "state" => Ok(contest(41, beside(&ours, &["state", ID])?, beside(&crun, &["state", ID])?)),
        "exec" => {
            let exec = ["exec", ID, "/bin/true"];
            Ok(contest(31, beside(&ours, &exec)?, beside(&crun, &exec)?))
        }
        "seccomp" => Ok(against(surcharge(&ours)?, 300.0, 41)),
        "calls" => Ok(against(calls(&ours), 250.0, 1)),
        "memory" => Ok(against(memory(&ours), 3_072.0, 5)),
        "hangs" => Ok(against(completed(&ours), f64::from(RUNS), 0)),
        "library" => library(&bundle),
        _ => Err(Skipped(format!("no line {line}"))),
    }
}

fn lifecycle(runtime: &Runtime) -> Side {
    let runtime = runtime.clone();
    Box::new(move || runtime.timed(&["run", ID]))
}

fn bare(program: &Path, bundle: &Rc<TempDir>) -> Side {
    let (program, bundle) = (program.to_owned(), Rc::clone(bundle));
    Box::new(move || {
        let mut command = Command::new(&program);
        command.arg(bundle.path().join("rootfs")).args(["/bin/true", "windlass-bench-floor"]);
        timed(|| succeed(&mut command))
    })
}

fn create(runtime: &Runtime) -> Side {
    let runtime = runtime.clone();
    Box::new(move || {
        let taken = runtime.timed(&["create", ID])?;
        runtime.call(&["delete", "--force", ID])?;
        Ok(taken)
    })
}

fn start(runtime: &Runtime) -> Side {
    let runtime = runtime.clone();
    Box::new(move || {
        runtime.call(&["create", ID])?;
        let taken = runtime.timed(&["start", ID])?;
        runtime.ended()?;
        runtime.call(&["delete", ID])?;
        Ok(taken)
    })
}

fn delete(runtime: &Runtime) -> Side {
    let runtime = runtime.clone();
    Box::new(move || {
        runtime.call(&["run", "--detach", ID])?;
        runtime.ended()?;
        runtime.timed(&["delete", ID])
    })
}

/// A call beside a container that stays.
fn beside(runtime: &Runtime, arguments: &[&'static str]) -> Result<Side, Skipped> {
    let staying = runtime.staying()?;
    let arguments = arguments.to_vec();
    Ok(Box::new(move || staying.0.timed(&arguments)))
}

/// What the policy that podman applies adds to a run.
fn surcharge(runtime: &Runtime) -> Result<Side, Skipped> {
    const POLICY: &str = "/usr/share/containers/seccomp.json";
    let text = std::fs::read_to_string(POLICY).map_err(Skipped::because(POLICY))?;
    let policy: Value = serde_json::from_str(&text).map_err(Skipped::because(POLICY))?;
    let rules = policy["syscalls"].as_array().into_iter().flatten();
    // The rules that hold whatever the capabilities are.
    let empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
    // Or that hold on this architecture.
    let ours = |value: &Value| value["arches"].as_array().is_some_and(|arches| arches.contains(&json!("amd64")));
    let rules: Vec<Value> = rules
        .filter(|rule| (empty(&rule["includes"]) || ours(&rule["includes"])) && empty(&rule["excludes"]))
        .map(|rule| {
            let mut rule = rule.clone();
            let fields = rule.as_object_mut().expect("a rule is an object");
            fields.retain(|name, value| {
                ["names", "action", "args", "errnoRet"].contains(&name.as_str()) && !value.is_null()
            });
            rule
        })
        .collect();
    let mut specification = specification();
    specification["linux"]["seccomp"] = json!({
        "defaultAction": policy["defaultAction"],
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    });
    specification["root"]["path"] = json!(runtime.bundle.path().join("rootfs"));
    let folder = runtime.bundle.path().join("filtered");
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join("config.json"), specification.to_string()));
    written.map_err(Skipped::because("a bundle"))?;
    let runtime = runtime.clone();
    Ok(Box::new(move || {
        let plain = runtime.timed(&["run", ID])?;
        Ok(runtime.timed(&["run", "--bundle", "filtered", ID])? - plain)
    }))
}

/// System calls of a run, of all its processes.
fn calls(runtime: &Runtime) -> Side {
    let runtime = runtime.clone();
    Box::new(move || {
        let trace = runtime.bundle.path().join("trace");
        let run = runtime.command(&["run", ID]);
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o"]).arg(&trace).arg(run.get_program()).args(run.get_args());
        succeed(strace.current_dir(runtime.bundle.path()).stdin(Stdio::null()))?;
        let trace = std::fs::read_to_string(trace).map_err(Skipped::because("the trace"))?;
        let made = trace.lines().filter(|line| !line.contains(" resumed>") && line.contains('(')).count();
        Ok(f64::from(u32::try_from(made).map_err(Skipped::because("the trace"))?))
    })
}

/// The most memory that the runtime held while its container runs, in KiB.
fn memory(runtime: &Runtime) -> Side {
    let runtime = runtime.clone();
    Box::new(move || {
        let _staying = Staying(runtime.clone());
        let mut child =
            runtime.command(&["run", "--bundle", "staying", ID]).spawn().map_err(Skipped::because("run"))?;
        let start = Instant::now();
        // It is at its most when the container runs and the runtime waits.
        while start.elapsed() < Duration::from_secs(10) {
            let output = runtime.command(&["state", ID]).stdout(Stdio::piped()).stderr(Stdio::null()).output();
            if output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("running")) {
                break;
            }
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let peak = status.ok().and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmHWM:"))?.to_owned();
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        });
        // Its end by a signal lets the runtime clean up by itself.
        runtime.call(&["kill", ID, "KILL"])?;
        child.wait().map_err(Skipped::because("run"))?;
        peak.ok_or_else(|| Skipped("the runtime was gone before it was measured".to_owned()))
    })
}

/// How many of many runs come to their end in time.
fn completed(runtime: &Runtime) -> Side {
    let runtime = runtime.clone();
    Box::new(move || {
        let mut ended = 0;
        for _ in 0..RUNS {
            let run = runtime.command(&["run", ID]);
            let mut limited = Command::new("timeout");
            limited.args(["--kill-after=1", "10"]).arg(run.get_program()).args(run.get_args());
            limited.current_dir(runtime.bundle.path()).stdin(Stdio::null()).stdout(Stdio::null());
            if limited.status().map_err(Skipped::because("timeout"))?.success() {
                ended += 1;
            }
        }
        Ok(f64::from(ended))
    })
}

/// The library's spawn in groups that are there, against bare calls in the same groups.
fn library(bundle: &Rc<TempDir>) -> Result<Duel, Skipped> {
    let floor = Floor::new(&bundle.path().join("rootfs"), "/bin/true", "windlass-bench-library");
    let floor = Rc::new(floor.map_err(Skipped::because("the groups of the floor"))?);
    let (bundle, bare) = (Rc::clone(bundle), Rc::clone(&floor));
    let text = specification().to_string();
    let spawn = move || {
        let config = oci::Config::parse(text.as_bytes()).map_err(Skipped::because("config.json"))?;
        let container = oci::container(&config, bundle.path(), &oci::Options::new(ID));
        let mut command = container.map_err(Skipped::because("config.json"))?.command;
        for group in floor.groups() {
            command.cgroup(File::open(group).map_err(Skipped::because("a group"))?.into());
        }
        let status = command.spawn().and_then(|mut child| child.wait()).map_err(Skipped::because("spawn"))?;
        if status.success() { Ok(()) } else { Err(Skipped(format!("the program: {status}"))) }
    };
    let calls = move || match bare.run().map_err(Skipped::because("the floor"))? {
        0 => Ok(()),
        status => Err(Skipped(format!("the floor: wait status {status:#x}"))),
    };
    Ok(Duel {
        rounds: 61,
        ours: Box::new(move || timed(&spawn)),
        against: Against::Side(Box::new(move || timed(&calls))),
    })
}
