//! `process`: the program and what surrounds it.

use std::ffi::OsString;
use std::path::PathBuf;

use oci_spec::runtime::{Capabilities, LinuxCapabilities, PosixRlimit, Process};

use super::{SecurityModules, not_honoured};
use crate::capability::{Capability, CapabilitySet, CapabilitySets};
use crate::command::Command;
use crate::error::{Error, Result};
use crate::id::{Gid, Uid};
use crate::plan::Notice;
use crate::rlimit::{Limit, Resource, Rlimit};
use crate::terminal::{Terminal, WindowSize};

/// What Go's runtimes set where the configuration says nothing.
const UMASK: u32 = 0o022;

/// Signals that a program of runc's ignores when the caller does: hang-up and interrupt, as `nohup` wants it, and two
/// that C libraries use and it leaves alone (32, 34). All others have their default action.
const KEEPS_IGNORED: u64 = (1 << 0) | (1 << 1) | (1 << 31) | (1 << 33);

/// The command of a process, without its surroundings.
pub(super) fn command(process: &Process, modules: SecurityModules, notices: &mut Vec<Notice>) -> Result<Command> {
    let args = process.args().as_deref().unwrap_or_default();
    let (program, arguments) =
        args.split_first().ok_or_else(|| Error::invalid("process.args", "", "needs a program"))?;
    if program.is_empty() {
        return Err(Error::invalid("process.args", "", "needs the name of a program"));
    }
    let mut command = Command::new(PathBuf::from(program));
    command.args(arguments).env_clear();
    command.process.keeps_ignored = KEEPS_IGNORED;
    for text in process.env().iter().flatten() {
        let (key, value) = variable(text)?;
        command.env(key, value);
    }
    if !process.cwd().is_absolute() {
        return Err(Error::invalid("process.cwd", process.cwd().display().to_string(), "is not absolute"));
    }
    command.current_dir(process.cwd());
    identity(&mut command, process)?;
    command.capabilities(capabilities(process.capabilities().as_ref(), notices));
    rlimits(&mut command, process.rlimits().as_deref().unwrap_or_default())?;
    if process.no_new_privileges() == Some(true) {
        command.no_new_privileges();
    }
    if let Some(value) = process.oom_score_adj() {
        command.oom_score_adj(value);
    }
    terminal(&mut command, process)?;
    labels(&mut command, process, modules)?;
    if process.command_line().is_some() {
        return not_honoured("process.commandLine", "it belongs to another platform");
    }
    Ok(command)
}

fn labels(command: &mut Command, process: &Process, modules: SecurityModules) -> Result<()> {
    // A process that nobody confines is unconfined.
    let profile = process.apparmor_profile().as_deref().filter(|name| !matches!(*name, "" | "unconfined"));
    match profile {
        None => {}
        Some(profile) if modules.apparmor => {
            command.apparmor_profile(profile);
        }
        Some(_) => return not_honoured("process.apparmorProfile", "the kernel has no AppArmor"),
    }
    match process.selinux_label().as_deref() {
        None | Some("") => {}
        Some(label) if modules.selinux => {
            command.selinux_label(label);
        }
        Some(_) => return not_honoured("process.selinuxLabel", "the kernel has no SELinux"),
    }
    Ok(())
}

/// A variable as `environ` has it.
pub(super) fn variable(text: &str) -> Result<(OsString, OsString)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err(Error::invalid("env", text, "is no variable with a name and a value")),
    }
}

fn identity(command: &mut Command, process: &Process) -> Result<()> {
    let user = process.user();
    if user.username().as_ref().is_some_and(|name| !name.is_empty()) {
        return not_honoured("process.user.username", "it belongs to another platform");
    }
    let groups = user.additional_gids().iter().flatten().map(|group| Gid::try_from(*group));
    command.user(Uid::try_from(user.uid())?, Gid::try_from(user.gid())?, groups.collect::<Result<_>>()?);
    command.umask(user.umask().unwrap_or(UMASK));
    Ok(())
}

/// No capability without the field. What a set cannot have is left out, as the specification wishes.
fn capabilities(spec: Option<&LinuxCapabilities>, notices: &mut Vec<Notice>) -> CapabilitySets {
    let Some(spec) = spec else { return CapabilitySets::none() };
    let set = |names: &Option<Capabilities>| -> CapabilitySet {
        let names = names.iter().flatten();
        names.filter_map(|name| name.to_string().parse::<Capability>().ok()).collect()
    };
    let asked = CapabilitySets {
        bounding: set(spec.bounding()),
        effective: set(spec.effective()),
        permitted: set(spec.permitted()),
        inheritable: set(spec.inheritable()),
        ambient: set(spec.ambient()),
    };
    let inheritable = asked.inheritable.intersection(asked.bounding);
    let given = CapabilitySets {
        effective: asked.effective.intersection(asked.permitted),
        inheritable,
        ambient: asked.ambient.intersection(asked.permitted).intersection(inheritable),
        ..asked
    };
    let lost = [
        asked.effective.difference(given.effective),
        asked.inheritable.difference(given.inheritable),
        asked.ambient.difference(given.ambient),
    ];
    let lost = lost.into_iter().fold(CapabilitySet::EMPTY, CapabilitySet::union);
    if !lost.is_empty() {
        notices.push(Notice::CapabilitiesDropped(lost));
    }
    given
}

fn rlimits(command: &mut Command, limits: &[PosixRlimit]) -> Result<()> {
    let mut seen = Vec::new();
    for limit in limits {
        let name = limit.typ().to_string();
        let resource = Resource::ALL.iter().copied().find(|resource| resource.to_string() == name);
        let resource = resource.expect("both name the resources of getrlimit(2)");
        if seen.contains(&resource) {
            return Err(Error::invalid("process.rlimits", name, "is given twice"));
        }
        seen.push(resource);
        let side = |value| if value == u64::MAX { Limit::Max } else { Limit::At(value) };
        if limit.soft() > limit.hard() {
            return Err(Error::invalid("process.rlimits", name, "has a soft limit above the hard one"));
        }
        command.rlimit(Rlimit { resource, soft: side(limit.soft()), hard: side(limit.hard()) });
    }
    Ok(())
}

fn terminal(command: &mut Command, process: &Process) -> Result<()> {
    if process.terminal() != Some(true) {
        // Without a terminal its size says nothing.
        return Ok(());
    }
    let characters = |number: u64| {
        u16::try_from(number)
            .map_err(|_| Error::invalid("process.consoleSize", number.to_string(), "is more than a terminal shows"))
    };
    let size = process.console_size().map(|size| {
        Ok::<_, Error>(WindowSize { columns: characters(size.width())?, rows: characters(size.height())? })
    });
    command.terminal(Terminal { size: size.transpose()? });
    Ok(())
}
