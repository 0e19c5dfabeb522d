//! Starting processes.

use windlass_namespaces::{Command, Namespace, Source};

use crate::measure::{Baseline, Contest, Skipped};

const PROGRAM: &str = "/bin/true";

/// A process in six new namespaces, against `unshare` of util-linux.
pub(super) fn spawn() -> Result<Contest, Skipped> {
    let run = || {
        let mut command = Command::new(PROGRAM);
        let kinds =
            [Namespace::Mount, Namespace::Pid, Namespace::Net, Namespace::Ipc, Namespace::Uts, Namespace::Cgroup];
        for kind in kinds {
            command.namespace(kind, Source::New);
        }
        let status = command.spawn().and_then(|mut child| child.wait()).map_err(Skipped::because("spawn"))?;
        if status.success() { Ok(()) } else { Err(Skipped(format!("{PROGRAM}: {status}"))) }
    };
    run()?;
    Ok(Contest {
        calls: 5,
        rounds: 21,
        subject: Box::new(run),
        baseline: Baseline::Run(Box::new(|| {
            outside(&["unshare", "--mount", "--pid", "--fork", "--net", "--ipc", "--uts", "--cgroup", PROGRAM])
        })),
    })
}

/// A process without isolation, against the standard library.
pub(super) fn plain() -> Result<Contest, Skipped> {
    Ok(Contest {
        calls: 20,
        rounds: 21,
        subject: Box::new(|| {
            let status = Command::new(PROGRAM).spawn().and_then(|mut child| child.wait());
            status.map(drop).map_err(Skipped::because("spawn"))
        }),
        baseline: Baseline::Run(Box::new(|| outside(&[PROGRAM]))),
    })
}

fn outside(arguments: &[&str]) -> Result<(), Skipped> {
    let status = std::process::Command::new(arguments[0]).args(&arguments[1..]).status();
    match status.map_err(Skipped::because(arguments[0]))? {
        status if status.success() => Ok(()),
        status => Err(Skipped(format!("{}: {status}", arguments[0]))),
    }
}
