//! The command `windlass`: one module a verb, or a family of verbs that are one thing.
//!
//! A container is a folder (`containers`) with what was asked for and what became of it (`record`). What runs has a
//! process that stays with it (`monitor`), which alone starts it, writes its log, talks to callers over a socket and
//! records its end; every other verb reads the folder, asks the monitor, or acts on the container's processes, whose
//! numbers are believed with their start time only. There is no daemon: what a killed monitor leaves is found by whoever
//! looks next (`status`).

mod account;
mod archive;
mod attach;
mod build;
mod change;
mod cli;
mod clock;
mod containers;
mod control;
mod copy;
mod create;
mod diff;
mod exec;
mod exit;
mod failure;
mod foreground;
mod group;
mod history;
mod home;
mod identity;
mod images;
mod info;
mod inside;
mod inspect;
mod launch;
mod limits;
mod log;
mod logs;
mod monitor;
mod mounts;
mod network;
mod option;
mod out;
mod pack;
mod port;
mod protocol;
mod prune;
mod ps;
mod record;
mod registry;
mod relayer;
mod removal;
mod report;
mod request;
mod restart_policy;
mod rm;
mod rootless;
mod run;
mod seccomp;
mod socket;
mod start;
mod stats;
mod status;
mod stop;
mod streams;
mod top;
mod transfer;
mod tty;
mod unpack;
mod volume;
mod volumes;
mod xattr;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use cli::{Arguments, Verb};
use containers::Containers;
use failure::Failure;
use home::Home;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure::warn(&failure);
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<u8, Failure> {
    let root = match arguments.root {
        Some(root) => std::path::absolute(&root).map_err(Failure::during(root.display()))?,
        None => home::default_root()?,
    };
    match arguments.verb {
        Verb::Info { json } => info::info(&root, json),
        Verb::Pack(request) => pack::pack(&Home::open(&root)?, request),
        Verb::Images { json } => images::images(&Home::open(&root)?, json),
        Verb::Tag { image, names } => images::tag(&Home::open(&root)?, &image, &names),
        Verb::History { image, json } => history::history(&Home::open(&root)?, &image, json),
        Verb::Flatten(request) => relayer::flatten(&Home::open(&root)?, &request),
        Verb::Rebase(request) => relayer::rebase(&Home::open(&root)?, &request),
        Verb::Save(request) => archive::save(&Home::open(&root)?, &request),
        Verb::Load(request) => archive::load(&Home::open(&root)?, &request),
        Verb::Push(request) => registry::push(&Home::open(&root)?, &request),
        Verb::Login(request) => registry::login(&request),
        Verb::Logout(request) => registry::logout(&request),
        verb => match namespace(&verb, &Containers::open(&root)?)? {
            Place::Here => of_container(&root, verb),
            Place::Anew => rootless::again(),
            Place::Beside(process) => rootless::again_beside(&process),
        },
    }
}

/// Where a verb of an ordinary user can do its work.
enum Place {
    Here,
    /// In a user namespace of its own: it mounts, or removes what one made.
    Anew,
    /// In the container's user namespace.
    Beside(identity::Identity),
}

fn namespace(verb: &Verb, containers: &Containers) -> Result<Place, Failure> {
    if !rootless::is_needed() {
        return Ok(Place::Here);
    }
    Ok(match verb {
        Verb::Run(_)
        | Verb::Create(_)
        | Verb::Start(_)
        | Verb::Restart(_)
        | Verb::Rm(_)
        | Verb::Commit(_)
        | Verb::Prune(_)
        | Verb::Volume(_)
        | Verb::Build(_)
        | Verb::Pull(_)
        | Verb::Rmi { .. }
        | Verb::Gc { .. }
        | Verb::Diff { .. } => Place::Anew,
        Verb::Exec(request) => Place::Beside(exec::process(containers, &request.container)?.2),
        Verb::Cp(request) => copy::running_process(containers, request)?.map_or(Place::Anew, Place::Beside),
        _ => Place::Here,
    })
}

/// Verbs that make, run or look at containers.
fn of_container(root: &Path, verb: Verb) -> Result<u8, Failure> {
    let containers = &Containers::open(root)?;
    let home = || Home::open(root);
    match verb {
        Verb::Run(request) => run::run(&home()?, containers, &request),
        Verb::Create(request) => create::create(&home()?, containers, &request.options),
        Verb::Start(request) => run::start(&home()?, containers, &request),
        Verb::Stop(request) => stop::stop(containers, &request.containers, request.signal, request.timeout),
        Verb::Restart(request) => stop::restart(root, containers, &request.containers, request.timeout),
        Verb::Kill(request) => stop::kill(containers, &request.containers, request.signal),
        Verb::Rm(request) => rm::rm(&home()?, containers, &request),
        Verb::Wait { containers: names } => stop::wait(containers, &names),
        Verb::Pause { containers: names } => change::pause(containers, &names),
        Verb::Unpause { containers: names } => change::unpause(containers, &names),
        Verb::Update(request) => change::update(containers, &request),
        Verb::Rename { container, name } => change::rename(containers, &container, &name),
        Verb::Ps(request) => ps::ps(containers, &request),
        Verb::Port { container, json } => ps::port(containers, &container, json),
        Verb::Logs(request) => logs::logs(containers, &request),
        Verb::Attach(request) => attach::attach(containers, &request.container, !request.no_stdin),
        Verb::Exec(request) => exec::exec(containers, &request),
        Verb::Cp(request) => copy::copy(&home()?, containers, &request),
        Verb::Stats(request) => stats::stats(containers, &request),
        Verb::Top { container } => top::top(containers, &container),
        Verb::Inspect(request) => inspect::inspect(&home()?, containers, &request),
        Verb::Diff { container, json } => diff::diff(&home()?, containers, &container, json),
        Verb::Commit(request) => diff::commit(&home()?, containers, &request),
        Verb::Volume(request) => volume::volume(root, containers, &request),
        Verb::Prune(request) => prune::prune(&home()?, containers, &request),
        Verb::Rmi { images } => images::remove(&home()?, containers, &images),
        Verb::Gc { all, json } => images::gc(&home()?, all, json),
        Verb::Pull(request) => registry::pull(&home()?, &request),
        Verb::Build(request) => build::build(&home()?, containers, &request),
        Verb::Monitor { container } => monitor::run(&home()?, containers, &container),
        Verb::Info { .. }
        | Verb::Pack(_)
        | Verb::Images { .. }
        | Verb::Tag { .. }
        | Verb::History { .. }
        | Verb::Flatten(_)
        | Verb::Rebase(_)
        | Verb::Save(_)
        | Verb::Load(_)
        | Verb::Push(_)
        | Verb::Login(_)
        | Verb::Logout(_) => unreachable!("these need no container"),
    }
}
