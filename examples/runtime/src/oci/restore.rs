//! `restore`: a container from the files of a checkpoint.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::process::{WaitId, WaitIdOptions, waitid};
use serde_json::Value;
use windlass_namespaces::oci;
use windlass_namespaces::{Command, Mount, Namespace, Signal, Source};

use super::bundle::Bundle;
use super::checkpoint::{SHARED, joined};
use super::cli::Parsed;
use super::console::Stay;
use super::create::{Begun, Request, begin, undo, write_pid};
use super::criu::{self, Criu, DESCRIPTORS};
use super::failure::{Failure, Result};
use super::foreground::{Attended, Signals, attend};
use super::group::Site;
use super::identity::{self, Identity};
use super::log::Log;
use super::state::State;
use super::store::{Place, Store};
use super::{class, delete};

/// The file to which criu writes the number of the first process.
const PID: &str = "criu.pid";

/// A process that criu made; it is this one's child.
#[derive(Debug)]
struct Restored {
    pid: u32,
    pidfd: OwnedFd,
}

/// Restores a container; returns its exit code, or 0 when it is left to itself.
pub(super) fn restore(store: &Store, log: &Log, global: &Parsed, request: &Request<'_>) -> Result<u8> {
    let bundle = Bundle::read(request.bundle.as_deref())?;
    if bundle.process().terminal() == Some(true) || request.given.path("console-socket").is_some() {
        return Err(Failure::new("restore: a terminal was another process's, and cannot be given to this one"));
    }
    let criu = Criu::new(global, request.given, "restore")?;
    let signals = if request.stay == Stay::Attached { Some(Signals::take()?) } else { None };
    let place = store.create(request.id.clone())?;
    let (state, site, mut restored) = match fill(&place, log, request, &bundle, criu) {
        Ok(filled) => filled,
        Err(error) => return Err(error.and(undo(&place, log))),
    };
    let Some(signals) = signals else { return Ok(0) };
    let ended = place.unlock().and_then(|()| attend(&mut restored, &signals, None, None));
    let removed = match place.lock() {
        // Somebody else has removed it meanwhile.
        Err(_) if store.find(place.id()).is_ok_and(|found| found.is_none()) => Ok(()),
        locked => locked.and_then(|()| delete::remove(&place, &state, site.as_ref(), log)),
    };
    match ended {
        Ok(code) => removed.map(|()| code),
        Err(error) => Err(error.and(removed)),
    }
}

fn fill(
    place: &Place,
    log: &Log,
    request: &Request<'_>,
    bundle: &Bundle,
    mut criu: Criu,
) -> Result<(State, Option<Site>, Restored)> {
    let Begun { mut state, group, placeholder, site } = begin(place, log, request, bundle)?;
    let config: Value = serde_json::from_slice(&bundle.text).map_err(Failure::during("the configuration"))?;
    criu.word("--restore-detached").word("--restore-sibling").pair("--pidfile", place.file(PID));
    criu.pair("--root", &state.rootfs);
    let outside = criu::outside(&config, std::path::Path::new("/"));
    criu.externals(outside.iter().map(|(target, source)| (target.as_str(), source.as_str())));
    if let Some(group) = &state.group {
        criu.pair("--cgroup-root", format!("/{}", group.path));
    }
    inherit_descriptors(&mut criu, request.given)?;

    let mut command = Command::new(&criu.program);
    // criu wants a mount of its own to be the root.
    command.namespace(Namespace::Mount, Source::New);
    command.mount(Mount::bind_recursive(&state.rootfs, &state.rootfs));
    for directory in group {
        command.cgroup(directory);
    }
    for (number, (kind, _, name)) in (3..).zip(SHARED) {
        if let Some(path) = joined(&config, kind) {
            command.inherit(File::open(path).map_err(Failure::during(path))?, number);
            criu.pair("--inherit-fd", format!("fd[{number}]:{name}"));
        }
    }
    command.args(&criu.arguments);
    let class = oci::class(&bundle.config, place.id().as_str()).map_err(Failure::during("the configuration"))?;
    let class = class.map(|class| class::make(place, &mut state, &class)).transpose()?;
    let spawned = match &class {
        None => command.spawn(),
        // What it starts is in its class.
        Some(class) => command.spawn_paused(|paused| class.add(paused.pid())),
    };
    let mut child = spawned.map_err(|error| criu.absent(&error))?;
    drop(placeholder);
    let status = child.wait().map_err(Failure::during("wait for criu"))?;
    if !status.success() {
        return Err(criu.failed("", status));
    }
    let init = first_process(place)?;
    let pidfd = init.open()?.ok_or_else(|| Failure::new("the restored process has ended"))?;
    state.init = Some(init);
    place.write(&state)?;
    if let Some(file) = &request.pid_file {
        write_pid(file, init.pid)?;
    }
    Ok((state, site, Restored { pid: init.pid, pidfd }))
}

/// Pipes that the standard descriptors were are replaced by the caller's standard descriptors.
fn inherit_descriptors(criu: &mut Criu, given: &Parsed) -> Result<()> {
    let path = criu::images(given)?.join(DESCRIPTORS);
    let text = std::fs::read(&path).map_err(Failure::during(path.display()))?;
    let descriptors: Vec<String> = serde_json::from_slice(&text).map_err(Failure::during(path.display()))?;
    for (number, target) in (0..3).zip(descriptors) {
        if target.starts_with("pipe:") {
            criu.pair("--inherit-fd", format!("fd[{number}]:{target}"));
        }
    }
    Ok(())
}

fn first_process(place: &Place) -> Result<Identity> {
    let text = place.content(PID)?.unwrap_or_default();
    place.drop_file(PID)?;
    let pid = String::from_utf8_lossy(&text).trim().parse().ok();
    let init = pid.map_or(Ok(None), Identity::of)?;
    init.ok_or_else(|| Failure::new("criu restored no process"))
}

impl AsFd for Restored {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Attended for Restored {
    fn number(&self) -> u32 {
        self.pid
    }

    fn send(&self, signal: Signal) -> Result<()> {
        identity::send(&self.pidfd, signal).map(drop)
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let status = rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(self.pidfd.as_fd()), options));
        let status = status.map_err(Failure::during("wait for the restored process"))?;
        Ok(status.map(|status| match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => ExitStatus::from_raw(code << 8),
            (None, signal) => ExitStatus::from_raw(signal.unwrap_or(libc::SIGKILL)),
        }))
    }
}
