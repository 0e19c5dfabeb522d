//! One run of one container: a writable file system, a group, a process.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use windlass_cgroups::{Group, Resources};
use windlass_namespaces::{
    CapabilitySets, Child, Command, KillOnDrop, Mount, Namespace, Rootfs, Signal, Source, Stdio,
};
use windlass_pod::kinds::{Container, Pod};

use super::environment::{Facts, environment};
use super::error::{Error, Result};
use super::group::{PodGroup, remove_part};
use super::place::Place;
use super::program;
use super::root::RootFileSystem;
use super::sandbox::Sandbox;
use super::start::{place_in, spawn};
use super::volume::Volumes;

/// What a run is made from.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) place: &'a Place,
    pub(super) pod: &'a Pod,
    pub(super) container: &'a Container,
    /// How many runs there were before.
    pub(super) attempt: u32,
    pub(super) sandbox: &'a Sandbox,
    pub(super) group: Option<&'a PodGroup>,
    pub(super) limits: Resources,
    pub(super) oom_score_adj: i32,
    pub(super) volumes: &'a Volumes,
    pub(super) facts: Facts<'a>,
    /// The pod's folder.
    pub(super) folder: &'a Path,
}

/// A run that has begun.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) child: Child,
    pub(super) attempt: u32,
    /// The image's digest.
    pub(super) image: String,
    /// What asks it to end.
    pub(super) stop_signal: Signal,
    root: RootFileSystem,
    group: Option<Group>,
    environment: BTreeMap<String, String>,
    name: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) signal: Option<i32>,
    pub(super) out_of_memory: bool,
}

impl Run {
    /// Starts it.
    pub(super) fn start(request: &Request<'_>) -> Result<Self> {
        let name = request.container.name.clone().unwrap_or_default();
        let uid = request.pod.metadata.uid.as_deref().unwrap_or_default();
        let image = request.place.image(request.container.image.as_deref().unwrap_or_default())?;
        let execution = image.config.execution();
        let variables: Vec<_> = execution.env.iter().filter_map(|pair| pair.split_once('=')).collect();
        let variables: Vec<_> = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let environment = environment(request.container, &variables, request.facts)?;
        let mut command = program::command(&request.pod.spec, request.container, execution, &environment)?;
        let stop_signal = program::stop_signal(request.container, execution)?;
        // After the checks that need nothing, so that a pod that can never start leaves nothing to remove.
        let key = format!("{uid}-{name}-{}", request.attempt);
        let (root, mount) = RootFileSystem::create(request.place, &image, &key)?;
        let started = isolate(&mut command, request, mount, &name).and_then(|()| {
            let part = format!("{name}-{}", request.attempt);
            let group = request.group.map(|group| group.part(&part, &request.limits)).transpose()?;
            match spawn(command, group.as_ref(), &name) {
                Ok(child) => Ok((child, group)),
                Err(error) => {
                    // The first failure is told; the pod's groups are removed as a tree.
                    let _ = group.map(|group| remove_part(&group, &name));
                    Err(error)
                }
            }
        });
        match started {
            Ok((child, group)) => {
                let (attempt, image) = (request.attempt, image.digest.clone());
                Ok(Self { child, attempt, image, stop_signal, root, group, environment, name })
            }
            Err(error) => {
                // As above.
                let _ = root.remove();
                Err(error)
            }
        }
    }

    /// Takes the exit status of a process that has ended, and removes what was the run's own.
    pub(super) fn finish(mut self) -> Result<Ended> {
        let status = self.child.wait().map_err(Error::process("wait for", &self.name))?;
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        let kills = self.group.as_ref().map(Group::oom_kills).transpose().map_err(Error::cgroup("read", &self.name))?;
        let out_of_memory = signal == Some(9) && kills.flatten().unwrap_or(0) > 0;
        let code = status.code().unwrap_or_else(|| 128 + signal.unwrap_or(0));
        if let Some(group) = &self.group {
            remove_part(group, &self.name)?;
        }
        self.root.remove()?;
        Ok(Ended { code, signal, out_of_memory })
    }

    /// The command of a program that runs inside, as a probe or an operator does.
    pub(super) fn inside(&self, line: &[String], sandbox: &Sandbox) -> Result<Command> {
        let mut words = line.iter();
        let program = words.next().ok_or_else(|| Error::NoCommand { container: self.name.clone() })?;
        let mut command = Command::new(program);
        command.args(words).env_clear().envs(self.environment.iter()).current_dir("/").new_session();
        program::run_as_root(&mut command);
        sandbox.join(&mut command)?;
        for kind in [Namespace::Mount, Namespace::Pid, Namespace::Cgroup] {
            let own = self.child.namespace(kind).map_err(Error::process("enter", &self.name))?;
            command.namespace(kind, Source::Join(own));
        }
        command.capabilities(CapabilitySets::root(program::CAPABILITIES)).kill_on_drop(KillOnDrop::Yes);
        command.seccomp(program::default_filter(program::CAPABILITIES)?);
        command.stdin(Stdio::Null).stdout(Stdio::Null).stderr(Stdio::Null);
        if let Some(group) = &self.group {
            place_in(&mut command, group)?;
        }
        Ok(command)
    }
}

/// Everything of the command that keeps it apart from the rest of the machine, and what it may reach of it.
fn isolate(command: &mut Command, request: &Request<'_>, root: OwnedFd, name: &str) -> Result<()> {
    request.sandbox.join(command)?;
    command.namespace(Namespace::Mount, Source::New).namespace(Namespace::Cgroup, Source::New);
    command.rootfs(Rootfs::Detached(root)).mounts(Mount::defaults());
    command.mounts(request.volumes.mounts(request.container, &request.place.host)?);
    // Less willingness than this process's own needs a power that not even every root has.
    command.oom_score_adj(request.oom_score_adj.max(own_oom_score_adj()));
    let (log, path) = open_log(request.folder, name, request.attempt)?;
    let errors = log.try_clone().map_err(Error::io("open", &path))?;
    command.stdin(Stdio::Null).stdout(log).stderr(errors);
    Ok(())
}

/// How willingly the kernel kills this process, which is the least that it can give to others; 0 when it cannot tell.
fn own_oom_score_adj() -> i32 {
    let text = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    text.trim().parse().unwrap_or_default()
}

/// What the program prints, a file a run.
fn open_log(folder: &Path, name: &str, attempt: u32) -> Result<(File, PathBuf)> {
    let path = folder.join(format!("{name}-{attempt}.log"));
    let file = File::create(&path).map_err(Error::io("create", &path))?;
    Ok((file, path))
}
