//! `create`: all of a container but the beginning of its program.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use oci_spec::runtime::Hooks;
use serde_json::value::RawValue;
use windlass_namespaces::oci::{self, Options};
use windlass_namespaces::{Child, Command, Gate, Opener};

use super::bundle::{Bundle, CONFIG};
use super::cli::Parsed;
use super::console::{Receivers, Stay};
use super::container::GATE;
use super::descriptors::Passed;
use super::failure::{Failure, Result};
use super::group::{Made, Maker, Rights, Site, Wanted};
use super::home::has_home;
use super::hooks::{self, Point};
use super::id::ContainerId;
use super::identity::Identity;
use super::log::Log;
use super::notify::Manager;
use super::scope::Placeholder;
use super::state::{LateHooks, State, Status};
use super::store::{Place, Store};
use super::{class, delete, home, machine};
use crate::timestamp::Timestamp;

/// What the command line says of a container to be made.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) given: &'a Parsed,
    pub(super) id: ContainerId,
    pub(super) bundle: Option<PathBuf>,
    pub(super) pid_file: Option<PathBuf>,
    /// How many descriptors the program gets beside the standard ones.
    pub(super) preserve: u32,
    pub(super) keyring: Keyring,
    pub(super) root: Root,
    pub(super) maker: Maker,
    pub(super) rights: Rights,
    pub(super) stay: Stay,
}

/// How the container's root becomes that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// The old one is left.
    Pivoted,
    /// The old one stays beneath: for callers on the first RAM disk.
    Moved,
}

/// Where it is there, `/dev/core` leads to it.
const KCORE: &str = "/proc/kcore";

/// What keys of the caller's session the container sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyring {
    /// None: it has a session of its own.
    New,
    Callers,
}

/// Gives the descriptor of a filter that asks to the agent that answers.
pub(super) fn hand_to_agent(
    child: &mut Child,
    listener: Option<&oci::Listener>,
    state: &State,
    status: oci::Status,
) -> Result<()> {
    let (Some(listener), Some(descriptor)) = (listener, child.take_listener()) else { return Ok(()) };
    let told = oci::State {
        oci_version: state.oci_version.clone(),
        id: state.id.clone(),
        status,
        pid: state.init.map(|init| init.pid),
        bundle: state.bundle.clone(),
        annotations: state.annotations.clone(),
    };
    let doing = || Failure::during(format!("linux.seccomp.listenerPath {}", listener.path.display()));
    listener.send(descriptor.as_fd(), child.pid().as_raw(), &told).map_err(doing())
}

/// The name of a container's session keyring; processes that join it share the container's.
pub(super) fn keyring_name(id: &ContainerId) -> String {
    format!("_ses.{id}")
}

/// Who opens the gate that the container waits at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doorman {
    /// Another run of this program.
    Anybody,
    /// This one.
    Creator,
}

/// A container that stands at its gate.
#[derive(Debug)]
pub(super) struct Created {
    pub(super) place: Place,
    pub(super) state: State,
    pub(super) child: Child,
    /// The caller's end of its terminal, when nobody else got it.
    pub(super) terminal: Option<OwnedFd>,
    /// For the creator as the doorman.
    pub(super) opener: Option<Opener>,
    pub(super) site: Option<Site>,
}

pub(super) fn create(store: &Store, log: &Log, request: &Request<'_>, doorman: Doorman) -> Result<Created> {
    let bundle = Bundle::read(request.bundle.as_deref())?;
    let terminal = bundle.process().terminal() == Some(true);
    let receivers = Receivers::connect(request.given, terminal, request.stay)?;
    let place = store.create(request.id.clone())?;
    match fill(&place, log, request, &bundle, &receivers, doorman) {
        Ok((state, child, terminal, opener, site)) => Ok(Created { place, state, child, terminal, opener, site }),
        Err(error) => Err(error.and(undo(&place, log))),
    }
}

/// Removes what a creation that failed has made so far.
pub(super) fn undo(place: &Place, log: &Log) -> Result<()> {
    match place.read()? {
        Some(state) => delete::remove(place, &state, Site::of(state.group.as_ref())?.as_ref(), log),
        None => place.remove(),
    }
}

type Filled = (State, Child, Option<OwnedFd>, Option<Opener>, Option<Site>);

fn fill(
    place: &Place,
    log: &Log,
    request: &Request<'_>,
    bundle: &Bundle,
    receivers: &Receivers,
    doorman: Doorman,
) -> Result<Filled> {
    let Begun { mut state, group, placeholder, site } = begin(place, log, request, bundle)?;
    let mut options = Options::new(place.id().as_str());
    options.has_kcore = Path::new(KCORE).exists();
    options.modules = machine::security_modules();
    options.keeps_old_root = request.root == Root::Moved;
    let container = oci::container(&bundle.config, &bundle.path, &options);
    let container = container.map_err(Failure::during("the configuration"))?;
    let mut command = container.command;
    if bundle.process().terminal() != Some(true) {
        // What is typed at the caller's terminal is not the container's to forge.
        command.new_session();
    }
    Passed::new(request.preserve)?.give(&mut command);
    if !has_home(bundle.process()) {
        command.env("HOME", home::of(&bundle.rootfs(), bundle.process().user().uid())?);
    }
    if Manager::of_caller()?.is_some() {
        Manager::prepare(place, &mut command)?;
    }
    if request.keyring == Keyring::New {
        command.session_keyring(keyring_name(place.id()));
    }
    for directory in group {
        command.cgroup(directory);
    }
    let (gate, opener) = match doorman {
        Doorman::Anybody => (Gate::bind(place.file(GATE)).map_err(Failure::during("make the gate"))?, None),
        Doorman::Creator => {
            let (gate, opener) = Gate::pair().map_err(Failure::during("make the gate"))?;
            (gate, Some(opener))
        }
    };
    command.gate(gate);
    if log.tells_all() {
        let plan = command.plan().map_err(Failure::during("the configuration"))?.to_string();
        plan.lines().for_each(|step| log.debug(format_args!("{step}")));
    }
    let class = container.class.as_ref().map(|class| class::make(place, &mut state, class)).transpose()?;
    let mut child = spawn(&mut command, place, bundle, &mut state, doorman)?;
    drop(placeholder);
    if let Some(class) = class {
        class.add(child.pid()).map_err(Failure::during("enter the class of service"))?;
    }
    for notice in container.notices.iter().chain(child.notices()) {
        log.notice(format_args!("{notice}"));
    }
    hand_to_agent(&mut child, container.listener.as_ref(), &state, oci::Status::Creating)?;
    let terminal = receivers.hand_over(&mut child)?;
    if let Some(file) = &request.pid_file {
        write_pid(file, child.pid().as_raw())?;
    }
    Ok((state, child, terminal, opener, site))
}

/// A container of which there is all but the process.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) state: State,
    /// The directories of its group.
    pub(super) group: Vec<OwnedFd>,
    /// To be let go of once the process is in the group.
    pub(super) placeholder: Option<Placeholder>,
    pub(super) site: Option<Site>,
}

/// Writes down what is known of a container, and makes its group.
pub(super) fn begin(place: &Place, log: &Log, request: &Request<'_>, bundle: &Bundle) -> Result<Begun> {
    let mut state = first_state(request, bundle)?;
    let mut wanted = Wanted::new(bundle.spec(), place.id(), request.maker, request.rights)?;
    if let Some(wanted) = &wanted {
        wanted.clear()?;
        state.group = Some(wanted.state());
    }
    // From here on whoever deletes the container knows what there may be of it.
    place.write(&state)?;
    place.keep(CONFIG, &bundle.text)?;
    let made = wanted.as_mut().map_or(Ok(None), |wanted| wanted.make(log))?;
    let group = made.as_ref().and(wanted.as_ref()).map(Wanted::state);
    if group != state.group {
        state.group = group;
        place.write(&state)?;
    }
    let site = made.is_some().then_some(wanted).flatten().map(Wanted::site);
    let (group, placeholder) = match made {
        None => (Vec::new(), None),
        Some(Made { group, placeholder }) => {
            (group.into_descriptors().map_err(Failure::during("enter the group"))?, placeholder)
        }
    };
    Ok(Begun { state, group, placeholder, site })
}

/// Starts the container's process, up to its gate.
fn spawn(command: &mut Command, place: &Place, bundle: &Bundle, state: &mut State, doorman: Doorman) -> Result<Child> {
    if doorman == Doorman::Creator && !has_early_hooks(bundle) {
        // At a gate of which this process has the only key the other one ends as soon as this one does: there is no
        // moment at which it has to be known before it gets there.
        let child = command.spawn().map_err(|error| start_failure(bundle, &error))?;
        state.init = Identity::of(child.pid().as_raw())?;
        place.write(state)?;
        return Ok(child);
    }
    let started = command.spawn_paused(|paused| {
        // Whoever deletes the container knows its process before that stops to depend on this one.
        state.init = Identity::of(paused.pid().as_raw())?;
        place.write(state)?;
        run_hooks(bundle, state)
    });
    started.map_err(|error: NotStarted| error.explain(bundle))
}

/// Whether somebody is to look at the container before its root is turned.
fn has_early_hooks(bundle: &Bundle) -> bool {
    let Some(hooks) = bundle.spec().hooks() else { return false };
    [hooks.prestart(), hooks.create_runtime(), hooks.create_container()]
        .into_iter()
        .any(|hooks| hooks.as_ref().is_some_and(|hooks| !hooks.is_empty()))
}

fn first_state(request: &Request<'_>, bundle: &Bundle) -> Result<State> {
    let annotations = bundle.spec().annotations().iter().flatten();
    Ok(State {
        oci_version: bundle.spec().version().clone(),
        id: request.id.to_string(),
        bundle: bundle.path.clone(),
        rootfs: bundle.rootfs(),
        created: Timestamp::from(SystemTime::now()).to_string(),
        owner: rustix::process::geteuid().as_raw(),
        annotations: annotations.map(|(key, value)| (key.clone(), value.clone())).collect(),
        init: None,
        group: None,
        class: None,
        hooks: late_hooks(bundle.spec().hooks().as_ref())?,
    })
}

fn late_hooks(hooks: Option<&Hooks>) -> Result<Option<LateHooks>> {
    let Some(hooks) = hooks else { return Ok(None) };
    let raw = |hooks: &Option<Vec<oci_spec::runtime::Hook>>| -> Result<Option<Box<RawValue>>> {
        let hooks = hooks.as_ref().filter(|hooks| !hooks.is_empty());
        hooks.map(serde_json::value::to_raw_value).transpose().map_err(Failure::during("keep the hooks"))
    };
    let late = LateHooks { poststart: raw(hooks.poststart())?, poststop: raw(hooks.poststop())? };
    Ok((late.poststart.is_some() || late.poststop.is_some()).then_some(late))
}

fn run_hooks(bundle: &Bundle, state: &State) -> std::result::Result<(), NotStarted> {
    let Some(configured) = bundle.spec().hooks() else { return Ok(()) };
    let prestart = configured.prestart();
    for (point, hooks) in [(Point::Prestart, prestart), (Point::CreateRuntime, configured.create_runtime())] {
        hooks::run(point, hooks.as_deref().unwrap_or_default(), state, Status::Creating)?;
    }
    Ok(())
}

/// Writes a number so that who reads the file sees all of it or no file.
pub(super) fn write_pid(file: &Path, pid: u32) -> Result<()> {
    let doing = || Failure::during(format!("pid file {}", file.display()));
    let name = file.file_name().ok_or_else(|| Failure::new(format!("pid file {}: names no file", file.display())))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    let new = file.with_file_name(hidden);
    std::fs::write(&new, pid.to_string()).map_err(doing())?;
    std::fs::rename(&new, file).map_err(doing())
}

/// Why a container's process was not started.
enum NotStarted {
    Start(windlass_namespaces::Error),
    Own(Failure),
}

impl From<windlass_namespaces::Error> for NotStarted {
    fn from(error: windlass_namespaces::Error) -> Self {
        Self::Start(error)
    }
}

impl From<Failure> for NotStarted {
    fn from(failure: Failure) -> Self {
        Self::Own(failure)
    }
}

impl NotStarted {
    fn explain(self, bundle: &Bundle) -> Failure {
        match self {
            Self::Start(error) => start_failure(bundle, &error),
            Self::Own(failure) => failure,
        }
    }
}

/// Why a program was not started, in the words by which engines tell a wrong command from a broken runtime.
pub(super) fn start_failure(bundle: &Bundle, error: &windlass_namespaces::Error) -> Failure {
    let program = bundle.process().args().iter().flatten().next().map(String::as_str).unwrap_or_default();
    explain(program, error)
}

/// The same, of the program alone.
pub(super) fn explain(program: &str, error: &windlass_namespaces::Error) -> Failure {
    let told = crate::cause::chain(error);
    let is_program = matches!(error, windlass_namespaces::Error::Child { step, .. }
        if step == "find the program" || step.starts_with("execute "));
    let reason = match error.errno() {
        Some(libc::ENOENT) if is_program && !program.contains('/') => "executable file not found in $PATH",
        Some(libc::ENOENT) if is_program => "no such file or directory",
        Some(libc::EACCES) if is_program => "permission denied",
        _ => return Failure::new(format!("unable to start container process: {told}")),
    };
    Failure::new(format!("unable to start container process: exec: {program:?}: {reason}"))
}
