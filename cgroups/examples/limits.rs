//! Runs a program in a group with limits, and prints what it used.
//!
//! Usage: `limits [--memory-mib N] [--millicores N] [--pids N] -- PROGRAM [ARGUMENT...]`, as root.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this program is for")]

use std::error::Error;
use std::io::Write as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use windlass_cgroups::{
    Bytes, Controller, Cpu, CpuMax, Group, GroupPath, Hierarchies, Home, Limit, Memory, Pids, Resources, Stats,
};

const USAGE: &str = "usage: limits [--memory-mib N] [--millicores N] [--pids N] -- PROGRAM [ARGUMENT...]";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                text.push_str(": ");
                text.push_str(&error.to_string());
                cause = error.source();
            }
            eprintln!("limits: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut resources = Resources::default();
    loop {
        let option = arguments.next().ok_or(USAGE)?;
        if option == "--" {
            break;
        }
        let value = arguments.next().ok_or(USAGE)?;
        match option.as_str() {
            "--memory-mib" => {
                let max = Some(Limit::At(Bytes::mib(value.parse()?)));
                resources.memory = Memory { max, ..Memory::default() };
            }
            "--millicores" => resources.cpu = Cpu { max: Some(CpuMax::millicores(value.parse()?)), ..Cpu::default() },
            "--pids" => resources.pids = Pids { max: Some(Limit::At(value.parse()?)) },
            _ => return Err(USAGE.into()),
        }
    }
    let program = arguments.next().ok_or(USAGE)?;
    let all = Hierarchies::discover()?;
    // What is counted but not limited need not be there.
    let wanted = [Controller::Cpu, Controller::Memory, Controller::Pids, Controller::Io];
    let controllers: Vec<Controller> =
        wanted.into_iter().filter(|controller| !matches!(all.home(*controller), Home::Absent(_))).collect();
    let group = all.create(&GroupPath::new(&format!("limits-{}", std::process::id()))?, &controllers)?;
    let result = run_in(&group, &resources, &program, arguments.collect());
    // Whatever happened, nothing is left behind.
    let removed = group.kill_and_wait(Duration::from_secs(5)).and_then(|()| group.remove());
    let code = result?;
    removed?;
    Ok(code)
}

fn run_in(
    group: &Group,
    resources: &Resources,
    program: &str,
    arguments: Vec<String>,
) -> Result<ExitCode, Box<dyn Error>> {
    print!("{}", group.plan(resources)?);
    group.apply(resources)?;
    // The shell waits in the group before it becomes the program, so nothing of the program runs outside.
    let mut child = Command::new("/bin/sh")
        .args(["-c", "read -r _ && exec \"$0\" \"$@\"", program])
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .spawn()?;
    group.add(child.id())?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(b"go\n")?;
    }
    let status = child.wait()?;
    println!("ended: {status}");
    print(&group.stats()?);
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(stats: &Stats) {
    let why = |controller| stats.why_absent(controller).map_or_else(String::new, |absence| absence.to_string());
    match &stats.cpu {
        Some(cpu) => println!("cpu:    {:?} ({:?} user, {:?} system)", cpu.usage, cpu.user, cpu.system),
        None => println!("cpu:    - ({})", why(Controller::Cpu)),
    }
    match &stats.memory {
        Some(memory) => {
            let peak = memory.peak.map_or_else(|| "-".to_owned(), |peak| format!("{peak:#}"));
            let kills = memory.oom_kills.map_or_else(|| "-".to_owned(), |kills| kills.to_string());
            println!("memory: {peak} at most, {kills} processes killed for want of it");
        }
        None => println!("memory: - ({})", why(Controller::Memory)),
    }
    match &stats.pids {
        Some(pids) => println!("pids:   {} at most", pids.peak.map_or_else(|| "-".to_owned(), |peak| peak.to_string())),
        None => println!("pids:   - ({})", why(Controller::Pids)),
    }
    match &stats.io {
        Some(io) => println!("io:     {:#} read, {:#} written", io.read_bytes(), io.write_bytes()),
        None => println!("io:     - ({})", why(Controller::Io)),
    }
}
