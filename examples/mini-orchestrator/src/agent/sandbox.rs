//! What the containers of a pod share: network, ipc and host name, held by a process that only waits.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use windlass_cgroups::Resources;
use windlass_namespaces::{
    CapabilitySet, CapabilitySets, Child, Command, Mount, Namespace, Rootfs, Signal, Source, Stdio,
};
use windlass_pod::kinds::Pod;

use super::environment::hostname;
use super::error::{Error, Result};
use super::group::PodGroup;
use super::place::Place;
use super::program::default_filter;
use super::root::RootFileSystem;
use super::start::spawn;
use crate::net::PodNetwork;

/// How long the waiting process may take to end when told to.
const STOP: Duration = Duration::from_millis(500);
const PAUSE: &str = "pause";

/// The shared part of a running pod.
#[derive(Debug)]
pub(super) struct Sandbox {
    pause: Child,
    root: RootFileSystem,
    network: PodNetwork,
    shares_processes: bool,
}

impl Sandbox {
    /// Connects the pod and starts the process that holds its namespaces.
    pub(super) fn create(place: &Place, pod: &Pod, folder: &Path, group: Option<&PodGroup>) -> Result<Self> {
        let network = place.network.connect().map_err(Error::Network)?;
        match start(place, pod, folder, group, &network) {
            Ok((pause, root)) => {
                let shares_processes = pod.spec.share_process_namespace == Some(true);
                Ok(Self { pause, root, network, shares_processes })
            }
            Err(error) => {
                // What stopped the pod is the first failure; the device goes with the namespace in any case.
                let _ = place.network.disconnect(network);
                Err(error)
            }
        }
    }

    /// The pod's network.
    pub(super) fn network(&self) -> &PodNetwork {
        &self.network
    }

    /// Lets a command run in what the pod shares; everything else it gets for itself.
    pub(super) fn join(&self, command: &mut Command) -> Result<()> {
        let network = self.network.descriptor().map_err(Error::io("open", Path::new("the pod's network")))?;
        command.namespace(Namespace::Net, Source::Join(network));
        for kind in [Namespace::Ipc, Namespace::Uts] {
            command.namespace(kind, Source::Join(self.namespace(kind)?));
        }
        let processes = if self.shares_processes { Source::Join(self.namespace(Namespace::Pid)?) } else { Source::New };
        command.namespace(Namespace::Pid, processes);
        Ok(())
    }

    /// Ends the process, and with it what it holds; a pod whose containers have ended is gone then.
    pub(super) fn remove(mut self, place: &Place) -> Result<()> {
        let stopped = stop(&mut self.pause);
        let disconnected = place.network.disconnect(self.network).map_err(Error::Network);
        let removed = self.root.remove();
        stopped.and(disconnected).and(removed)
    }

    fn namespace(&self, kind: Namespace) -> Result<OwnedFd> {
        self.pause.namespace(kind).map_err(Error::process("enter", PAUSE))
    }
}

fn start(
    place: &Place,
    pod: &Pod,
    folder: &Path,
    group: Option<&PodGroup>,
    network: &PodNetwork,
) -> Result<(Child, RootFileSystem)> {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let image = place.image(&place.pause_image)?;
    let (root, mount) = RootFileSystem::create(place, &image, &format!("{uid}-{PAUSE}"))?;
    let started = || {
        let part = group.map(|group| group.part(PAUSE, &Resources::default())).transpose()?;
        let command = command(pod, folder, network, mount, &image.config.execution().entrypoint)?;
        spawn(command, part.as_ref(), PAUSE)
    };
    match started() {
        Ok(child) => Ok((child, root)),
        Err(error) => {
            // As above: the first failure is told.
            let _ = root.remove();
            Err(error)
        }
    }
}

fn command(pod: &Pod, folder: &Path, network: &PodNetwork, root: OwnedFd, program: &[String]) -> Result<Command> {
    let path = folder.join("pause.log");
    let log = File::create(&path).map_err(Error::io("create", &path))?;
    let network = network.descriptor().map_err(Error::io("open", Path::new("the pod's network")))?;
    let program = program.first().ok_or_else(|| Error::NoCommand { container: PAUSE.to_owned() })?;
    let mut command = Command::new(program);
    command.arg(PAUSE).env_clear().current_dir("/").new_session().no_new_privileges();
    command.capabilities(CapabilitySets::none()).seccomp(default_filter(CapabilitySet::EMPTY)?);
    for kind in [Namespace::Mount, Namespace::Pid, Namespace::Ipc, Namespace::Uts, Namespace::Cgroup] {
        command.namespace(kind, Source::New);
    }
    command.namespace(Namespace::Net, Source::Join(network)).hostname(hostname(pod));
    command.rootfs(Rootfs::Detached(root)).read_only_rootfs().mounts(Mount::defaults());
    command.stdin(Stdio::Null).stderr(log.try_clone().map_err(Error::io("open", &path))?).stdout(log);
    Ok(command)
}

/// Asks the waiting process to end, and makes it.
fn stop(pause: &mut Child) -> Result<()> {
    let failed = |source| Error::process("stop", PAUSE)(source);
    pause.kill(Signal::TERM).map_err(failed)?;
    if pause.wait_timeout(STOP).map_err(failed)?.is_none() {
        pause.kill(Signal::KILL).map_err(failed)?;
        pause.wait().map_err(failed)?;
    }
    Ok(())
}
