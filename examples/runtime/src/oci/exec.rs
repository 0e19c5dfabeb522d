//! `exec`: one more process in a container that runs.

use std::ffi::OsString;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use serde_json::{Value, json};
use windlass_cgroups::Version;
use windlass_namespaces::oci::{self, Config, ProcessConfig, Running};
use windlass_namespaces::{Child, Namespace};

use super::bundle::CONFIG;
use super::cli::{Parsed, utf8};
use super::console::{Receivers, Stay};
use super::create::{explain, hand_to_agent, write_pid};
use super::descriptors::Passed;
use super::failure::{Failure, Result};
use super::foreground::{Signals, attend};
use super::home::has_home;
use super::identity::Identity;
use super::log::Log;
use super::state::{State, Status};
use super::store::{Place, Store};
use super::{class, container, group, home, machine};

/// Runs a process in a container; returns its exit code, or 0 when it is left to itself.
pub(super) fn exec(store: &Store, log: &Log, given: &Parsed) -> Result<u8> {
    start(store, log, given).map_err(Failure::of_exec)
}

fn start(store: &Store, log: &Log, given: &Parsed) -> Result<u8> {
    let (id, words) = given.id_and_rest()?;
    let place = store.open(id)?;
    let state = container::read(&place)?;
    let init = standing(&place, &state, given)?;
    let text =
        place.content(CONFIG)?.ok_or_else(|| Failure::new(format!("container {id:?} is still being created")))?;
    let config = Config::parse(&text).map_err(Failure::during("the kept configuration"))?;
    let process = process(&text, given, words)?;
    let stay = if given.has("detach") { Stay::Detached } else { Stay::Attached };
    let receivers = Receivers::connect(given, process.process().terminal() == Some(true), stay)?;
    let program = process.process().args().iter().flatten().next().cloned().unwrap_or_default();

    let running =
        Running { config: &config, namespaces: namespaces(init, &config)?, modules: machine::security_modules() };
    let mut additional = oci::process(&process, running).map_err(Failure::during("process"))?;
    let command = &mut additional.command;
    if !has_home(process.process()) {
        let root = PathBuf::from(format!("/proc/{}/root", init.pid));
        command.env("HOME", home::of(&root, process.process().user().uid())?);
    }
    if process.process().terminal() != Some(true) {
        command.new_session();
    }
    for directory in directories(&place, &state, init, given)? {
        command.cgroup(directory);
    }
    Passed::new(given.parsed("preserve-fds")?.unwrap_or(0))?.give(command);
    let signals = if stay == Stay::Attached { Some(Signals::take()?) } else { None };
    let spawned = match &state.class {
        None => command.spawn(),
        Some(class) => command.spawn_paused(|paused| class::group(class).add(paused.pid())),
    };
    let mut child = spawned.map_err(|error| explain(&program, &error).after("exec failed"))?;
    for notice in additional.notices.iter().chain(child.notices()) {
        log.notice(format_args!("{notice}"));
    }
    let agreed = hand_to_agent(&mut child, additional.listener.as_ref(), &state, oci::Status::Running);
    match agreed.and_then(|()| settle(&mut child, &receivers, given)) {
        Err(error) => Err(error.and(end(&mut child))),
        Ok(terminal) => signals.map_or(Ok(0), |signals| attend(&mut child, &signals, terminal, None)),
    }
}

/// The first process of a container that another one may join.
fn standing(place: &Place, state: &State, given: &Parsed) -> Result<Identity> {
    match (container::status(place, state)?, state.init) {
        (Status::Paused, _) if !given.has("ignore-paused") => {
            Err(Failure::new("cannot exec in a paused container (use --ignore-paused to override)"))
        }
        (Status::Created | Status::Running | Status::Paused, Some(init)) => Ok(init),
        _ => Err(Failure::new("cannot exec in a stopped container")),
    }
}

/// What is left to do for the engine once the process runs.
fn settle(child: &mut Child, receivers: &Receivers, given: &Parsed) -> Result<Option<OwnedFd>> {
    let terminal = receivers.hand_over(child)?;
    if let Some(file) = given.path("pid-file") {
        write_pid(&file, child.pid().as_raw())?;
    }
    Ok(terminal)
}

fn end(child: &mut Child) -> Result<()> {
    let killed = child.kill(windlass_namespaces::Signal::KILL).and_then(|()| child.wait());
    killed.map(drop).map_err(Failure::during("end the process"))
}

/// The process: as `--process` says, or the container's own with what the command line changes.
fn process(config: &[u8], given: &Parsed, words: &[OsString]) -> Result<ProcessConfig> {
    if let Some(file) = given.path("process") {
        let text = std::fs::read(&file).map_err(Failure::during(file.display()))?;
        return ProcessConfig::parse(&text).map_err(Failure::during(file.display()));
    }
    let mut config: Value = serde_json::from_slice(config).map_err(Failure::during("the kept configuration"))?;
    let mut process = config["process"].take();
    change(&mut process, given, words)?;
    let text = serde_json::to_vec(&process).map_err(Failure::during("process"))?;
    ProcessConfig::parse(&text).map_err(Failure::during("process"))
}

fn change(process: &mut Value, given: &Parsed, words: &[OsString]) -> Result<()> {
    if words.is_empty() {
        return Err(Failure::new("process args cannot be empty"));
    }
    let words = words.iter().map(|word| utf8("argument", word)).collect::<Result<Vec<_>>>()?;
    process["args"] = json!(words);
    process["terminal"] = given.has("tty").into();
    for (flag, field) in [("cwd", "cwd"), ("apparmor", "apparmorProfile"), ("process-label", "selinuxLabel")] {
        if let Some(text) = given.text(flag)? {
            process[field] = text.into();
        }
    }
    if given.has("no-new-privs") {
        process["noNewPrivileges"] = true.into();
    }
    append(&mut process["env"], given.texts("env"))?;
    for capability in given.texts("cap") {
        let capability = capability?;
        for set in ["bounding", "effective", "permitted"] {
            append(&mut process["capabilities"][set], [Ok(capability)])?;
        }
    }
    if let Some(user) = given.text("user")? {
        let (uid, gid) = user.split_once(':').map_or((user, None), |(uid, gid)| (uid, Some(gid)));
        process["user"]["uid"] = number("user", uid)?;
        if let Some(gid) = gid {
            process["user"]["gid"] = number("group", gid)?;
        }
    }
    for gid in given.texts("additional-gids") {
        let gid = number("additional group", gid?)?;
        match &mut process["user"]["additionalGids"] {
            Value::Array(gids) => gids.push(gid),
            none => *none = json!([gid]),
        }
    }
    Ok(())
}

fn append<'a>(list: &mut Value, texts: impl IntoIterator<Item = Result<&'a str>>) -> Result<()> {
    for text in texts {
        match &mut *list {
            Value::Array(list) => list.push(text?.into()),
            none => *none = json!([text?]),
        }
    }
    Ok(())
}

/// An id is a decimal number below the one that the kernel reads as "unchanged", and never a name.
fn number(what: &str, text: &str) -> Result<Value> {
    let parsed = text.parse::<windlass_namespaces::Uid>();
    parsed.map(|id| id.as_raw().into()).map_err(|error| Failure::new(format!("{what} {text:?}: {error}")))
}

/// The namespaces of the container's first process, of the kinds in which it lives apart.
fn namespaces(init: Identity, config: &Config) -> Result<Vec<(Namespace, OwnedFd)>> {
    let mut opened = Vec::new();
    for kind in Running::kinds(config) {
        let path = format!("/proc/{}/ns/{}", init.pid, kind.file_name());
        let file = std::fs::File::open(&path).map_err(Failure::during(path))?;
        opened.push((kind, OwnedFd::from(file)));
    }
    // Asked afterwards: what was opened was that process's.
    if init.is_alive()? { Ok(opened) } else { Err(Failure::new("cannot exec in a stopped container")) }
}

/// The directories of the group that the process belongs in.
fn directories(place: &Place, state: &State, init: Identity, given: &Parsed) -> Result<Vec<OwnedFd>> {
    let below = given.path("cgroup");
    let Some(mut at) = state.group.clone() else {
        return match below {
            None => Ok(Vec::new()),
            Some(_) => Err(Failure::new(format!("container {} has no control group", place.id()))),
        };
    };
    if let Some(below) = &below {
        at.path = format!("{}/{}", at.path, below.strip_prefix("/").unwrap_or(below).display());
    }
    let group = group::open(place.id(), Some(&at))?;
    let doing = || Failure::during("enter the group");
    // Kernel: a group of v2 that passes controllers on takes no process. The container has moved its own below, then,
    // and the new one goes where its first one is.
    let passed_on = group.file(Version::V2, "cgroup.subtree_control").map_err(doing())?;
    if below.is_some() || passed_on.is_none_or(|controllers| controllers.trim().is_empty()) {
        return group.into_descriptors().map_err(doing());
    }
    let of_init = group::unified_of(init)?;
    let unified = group.unified().map(|directory| directory.as_raw_fd());
    let others = group.descriptors().filter(|directory| Some(directory.as_raw_fd()) != unified);
    let all = others.chain(of_init.unified()).map(|directory| directory.try_clone_to_owned());
    all.collect::<std::io::Result<_>>().map_err(Failure::during("enter the group"))
}
