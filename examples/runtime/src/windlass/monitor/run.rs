//! One run of the container's first process.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Instant;

use windlass_cgroups::Group;
use windlass_namespaces::{Child, Command, Gate, KillOnDrop, Namespace, Opener, Rootfs, Source};
use windlass_overlay::MountOptions;

use crate::windlass::containers::Container;
use crate::windlass::failure::Failure;
use crate::windlass::home::Home;
use crate::windlass::identity::Identity;
use crate::windlass::record::Config;
use crate::windlass::streams::{self, Streams, Wants};
use crate::windlass::volumes::Volumes;
use crate::windlass::{account, group, launch, network};

#[derive(Debug)]
pub(super) struct Run {
    pub(super) child: Child,
    pub(super) identity: Identity,
    pub(super) io: Streams,
    pub(super) group: Option<Group>,
    pub(super) started: Instant,
    pub(super) has_ended: bool,
    /// What lets the program begin.
    opener: Option<Opener>,
    /// What was asked for and could not be given.
    pub(super) warnings: Vec<String>,
}

impl Run {
    pub(super) fn start(
        home: &Home,
        container: &Container,
        config: &Config,
        volumes: &Volumes,
        network: Option<BorrowedFd<'_>>,
    ) -> Result<Self, Failure> {
        let snapshot = home.layers.open_snapshot(&config.id).map_err(Failure::during("open the container's layers"))?;
        let rootfs = snapshot.mount(&MountOptions::default()).map_err(Failure::during("mount the root file system"))?;
        let account = account::look_up(rootfs.as_fd(), config.user.as_deref())?;
        let mut command = launch::first(container, config, volumes, &account)?;
        command.rootfs(Rootfs::Detached(rootfs.into())).kill_on_drop(KillOnDrop::Yes);
        if let Some(namespace) = network {
            command.namespace(Namespace::Net, Source::Join(network::descriptor(namespace)?));
        }
        // A monitor that is killed before it has written the process down takes it along: the gate closes with it.
        let (gate, opener) = Gate::pair().map_err(Failure::during("make a gate"))?;
        command.gate(gate);
        let group = group::create(config)?;
        match Self::spawn(&mut command, config, group.as_ref()) {
            Ok((child, io)) => {
                let warnings = child.notices().iter().map(ToString::to_string).collect();
                let identity = Identity::of(child.pid().as_raw());
                // A process that has ended already is still this one's child, and keeps its number.
                let identity = identity.unwrap_or_else(|| Identity::ended(child.pid().as_raw()));
                Ok(Self {
                    child,
                    identity,
                    io,
                    group,
                    started: Instant::now(),
                    has_ended: false,
                    opener: Some(opener),
                    warnings,
                })
            }
            Err(failure) => match group.as_ref().map_or(Ok(()), group::remove) {
                Ok(()) => Err(failure),
                Err(second) => Err(Failure::told(failure.code, format!("{failure}; and then: {second}"))),
            },
        }
    }

    fn spawn(command: &mut Command, config: &Config, group: Option<&Group>) -> Result<(Child, Streams), Failure> {
        launch::enter_group(command, group)?;
        let wants = Wants { terminal: config.terminal, stdin: config.stdin };
        streams::start(command, &config.command[0], wants)
    }

    /// Lets the program begin.
    pub(super) fn begin(&mut self, program: &str) -> Result<(), Failure> {
        match self.opener.take().map_or(Ok(()), Opener::open) {
            Ok(()) => Ok(()),
            Err(error) => {
                let failure = Failure::to_start(program, &error);
                match self.end() {
                    Ok(_) => Err(failure),
                    Err(second) => Err(Failure::told(failure.code, format!("{failure}; and then: {second}"))),
                }
            }
        }
    }

    /// Removes the group, with what is left in it; whether the kernel killed for want of memory.
    pub(super) fn end(&mut self) -> Result<bool, Failure> {
        let Some(group) = self.group.take() else { return Ok(false) };
        let oom_killed = group.oom_kills().ok().flatten().is_some_and(|kills| kills > 0);
        group::remove(&group)?;
        Ok(oom_killed)
    }
}
