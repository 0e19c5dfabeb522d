//! Commands of a build: each is a container over the layers so far, which goes when the command has ended.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use windlass_image::build::{Below, Cause, Changes, Executor, Run};
use windlass_image::{Image, Platform, Reference};
use windlass_overlay::{Change, MountOptions, Timestamp};

use super::views;
use crate::windlass::clock::Time;
use crate::windlass::containers::{Container, Containers, Held};
use crate::windlass::failure::Failure;
use crate::windlass::home::Home;
use crate::windlass::record::{Config, Limits, LogLimits, NetworkMode, Security};
use crate::windlass::registry::{self, Needed};
use crate::windlass::restart_policy::RestartPolicy;
use crate::windlass::run::attended;
use crate::windlass::volumes::Volumes;
use crate::windlass::{create, removal, unpack};

/// How long a monitor may take to end after its container has.
const MONITOR_PATIENCE: Duration = Duration::from_secs(30);

/// Runs commands as containers.
pub(super) struct Runner<'r> {
    home: &'r Home,
    containers: &'r Containers,
    network: NetworkMode,
    needed: Needed<'r>,
    /// What names of images have led to.
    images: Vec<(String, Image)>,
    /// What a command that failed exited with.
    code: Option<u8>,
}

impl<'r> Runner<'r> {
    pub(super) fn new(home: &'r Home, containers: &'r Containers, network: NetworkMode, needed: Needed<'r>) -> Self {
        Self { home, containers, network, needed, images: Vec::new(), code: None }
    }

    /// What windlass exits with when the build fails: as the command did, where one did.
    pub(super) fn code(&self) -> u8 {
        self.code.unwrap_or(Failure::new("").code)
    }

    fn config(&self, run: &Run, id: &str) -> Result<Config, Failure> {
        let pair = |entry: &String| match entry.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (entry.clone(), String::new()),
        };
        let config = Config {
            id: id.to_owned(),
            name: format!("build-{id}"),
            created: Time::now(),
            image: "a build's".to_owned(),
            image_digest: String::new(),
            command: run.command.clone(),
            env: run.env.iter().map(pair).collect(),
            user: run.user.clone(),
            working_dir: Some(PathBuf::from(&run.working_dir)),
            // The same in each build, as what is built may hold it.
            hostname: "build".to_owned(),
            terminal: false,
            stdin: false,
            mounts: Vec::new(),
            read_only: false,
            network: self.network.clone(),
            ports: Vec::new(),
            limits: Limits::default(),
            devices: Vec::new(),
            security: Security::default(),
            ulimits: Vec::new(),
            init: false,
            restart: RestartPolicy::No,
            stop_signal: "TERM".to_owned(),
            stop_timeout_seconds: 10,
            labels: std::collections::BTreeMap::new(),
            remove: false,
            log: LogLimits::default(),
            baseline: Vec::new(),
        };
        crate::windlass::network::check(&config)?;
        Ok(config)
    }

    fn run_in(
        &mut self,
        run: &Run,
        container: &Container,
        config: &Config,
        out: &mut dyn Write,
    ) -> Result<Changes, Failure> {
        let code = attended(self.home, container, config).inspect_err(|failure| self.code = Some(failure.code))?;
        let _claim = claim(container)?;
        if code != 0 {
            self.code = Some(code);
            return Err(Failure::new(format!("{} exited with {code}", run.command.join(" "))));
        }
        write_changes(self.home, config, run.epoch, out)
    }
}

impl Executor for Runner<'_> {
    fn image(&mut self, reference: &Reference, platform: &Platform) -> Result<Image, Cause> {
        // A name that several stages use leads to one image.
        if let Some((_, image)) = self.images.iter().find(|(name, _)| name == reference.canonical()) {
            return Ok(image.clone());
        }
        let image = registry::needed(self.home, reference.canonical(), self.needed)?;
        if image.config.platform().rank_on(platform).is_none() {
            let (familiar, other) = (reference.familiar(), image.config.platform());
            return Err(Box::new(Failure::new(format!("the image {familiar} is for {other}, not for {platform}"))));
        }
        self.images.push((reference.canonical().to_owned(), image.clone()));
        Ok(image)
    }

    fn open(&mut self, layers: &[Below]) -> Result<OwnedFd, Cause> {
        if layers.is_empty() {
            let empty = self.home.root.join("build/empty");
            std::fs::create_dir_all(&empty)?;
            return Ok(File::open(empty)?.into());
        }
        let layers = unpack::unpack(self.home, layers.iter().map(|(blob, diff_id)| (blob, diff_id)))?;
        let view = self.home.layers.view(&views::key()?, &layers)?;
        let mounted = view.mount(&MountOptions::default());
        // The mount needs the layers only.
        view.remove()?;
        Ok(mounted?.into())
    }

    fn run(&mut self, run: &Run, changes: &mut dyn Write) -> Result<Changes, Cause> {
        if run.layers.is_empty() {
            return Err(Box::new(Failure::new("nothing can run in an empty image")));
        }
        let layers = unpack::unpack(self.home, run.layers.iter().map(|(blob, diff_id)| (blob, diff_id)))?;
        let (container, config) = create::of_layers(self.home, self.containers, &layers, |id| self.config(run, id))?;
        let done = self.run_in(run, &container, &config, changes);
        let removed = remove(self.home, &container);
        match (done, removed) {
            (Ok(changes), Ok(())) => Ok(changes),
            (Err(failure), Ok(())) | (Ok(_), Err(failure)) => Err(Box::new(failure)),
            (Err(failure), Err(second)) => Err(Box::new(Failure::new(format!("{failure}; and then: {second}")))),
        }
    }
}

/// The right to the container, which its monitor has until it ends.
fn claim(container: &Container) -> Result<Held, Failure> {
    let until = Instant::now() + MONITOR_PATIENCE;
    loop {
        if let Some(held) = container.claim()? {
            return Ok(held);
        }
        if Instant::now() >= until {
            return Err(Failure::new(format!("the monitor of container {} does not end", container.id)));
        }
    }
}

fn remove(home: &Home, container: &Container) -> Result<(), Failure> {
    let _claim = claim(container)?;
    removal::remove_claimed(home, &Volumes::open(&home.root), container, removal::Volumes::Anonymous)?;
    crate::windlass::network::bridge::collect_as_root()
}

/// What the command wrote, without what was there for its mounts.
fn write_changes(home: &Home, config: &Config, epoch: Option<u64>, out: &mut dyn Write) -> Result<Changes, Failure> {
    let snapshot = home.layers.open_snapshot(&config.id).map_err(Failure::during("open the container's layers"))?;
    let mut changes = crate::windlass::diff::changes(&snapshot, config)?;
    if changes.is_empty() {
        return Ok(Changes::None);
    }
    let epoch = epoch.and_then(|seconds| i64::try_from(seconds).ok());
    for change in &mut changes {
        if let (Change::Put(entry), Some(seconds)) = (change, epoch) {
            let latest = Timestamp { seconds, nanoseconds: 0 };
            entry.metadata.mtime = entry.metadata.mtime.min(latest);
        }
    }
    snapshot.write_changes(&changes, out).map_err(Failure::during("read the writable layer"))?;
    Ok(Changes::Some)
}
