//! `create`, and the first half of `run`: a container's folder, layers, volumes and mount points.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use windlass_overlay::{LayerId, MountOptions, Snapshot};

use super::cli::Options;
use super::containers::{Container, Containers};
use super::failure::Failure;
use super::home::Home;
use super::mounts::{Mounted, Source};
use super::network::files;
use super::record::Config;
use super::unpack::unpack;
use super::volumes::Volumes;
use super::{inside, out, registry, removal, request};

pub(super) fn create(home: &Home, containers: &Containers, options: &Options) -> Result<u8, Failure> {
    let (container, _) = make(home, containers, options)?;
    out::line(&container.id)?;
    Ok(0)
}

/// Makes a container; when that fails nothing of it is left.
pub(super) fn make(home: &Home, containers: &Containers, options: &Options) -> Result<(Container, Config), Failure> {
    let how = registry::Needed { policy: options.pull, fetching: &options.fetching, quiet: options.quiet };
    let image = registry::needed(home, &options.image, how)?;
    let layers = unpack(home, image.layers())?;
    of_layers(home, containers, &layers, |id| request::config(options, &image, id, containers))
}

/// Makes a container over these layers; when that fails nothing of it is left.
pub(super) fn of_layers(
    home: &Home,
    containers: &Containers,
    layers: &[LayerId],
    config: impl FnOnce(&str) -> Result<Config, Failure>,
) -> Result<(Container, Config), Failure> {
    let names = containers.lock()?;
    let id = new_id()?;
    let mut config = config(&id)?;
    if let Some((_, other)) = containers.list()?.iter().find(|(_, other)| other.name == config.name) {
        return Err(Failure::new(format!(
            "the name {} is taken by container {}: remove or rename it",
            config.name, other.id
        )));
    }
    let container = containers.create(&id)?;
    let claim = container.claim()?;
    let volumes = Volumes::open(&home.root);
    let made = fill(home, &container, &mut config, &volumes, layers);
    drop(names);
    let undone = match &made {
        Ok(()) => Ok(()),
        Err(_) => removal::remove_claimed(home, &volumes, &container, removal::Volumes::Kept),
    };
    drop(claim);
    match (made, undone) {
        (Ok(()), _) => Ok((container, config)),
        (Err(failure), Ok(())) => Err(failure),
        (Err(failure), Err(second)) => Err(Failure::new(format!("{failure}; and then: {second}"))),
    }
}

fn fill(
    home: &Home,
    container: &Container,
    config: &mut Config,
    volumes: &Volumes,
    layers: &[LayerId],
) -> Result<(), Failure> {
    let snapshot = home.layers.snapshot(&config.id, layers).map_err(Failure::during("stack the image's layers"))?;
    {
        let root = snapshot.mount(&MountOptions::default()).map_err(Failure::during("mount the root file system"))?;
        for mounted in &mut config.mounts {
            provide_volume(mounted, volumes, root.as_fd())?;
        }
        make_mount_points(root.as_fd(), config)?;
    }
    config.baseline = changes(&snapshot)?;
    container.write_config(config)
}

/// What a writable layer holds, each change in a form to compare.
pub(super) fn changes(snapshot: &Snapshot) -> Result<Vec<String>, Failure> {
    let changes = snapshot.diff().map_err(Failure::during("read the writable layer"))?;
    Ok(changes.iter().map(|change| format!("{change:?}")).collect())
}

/// Makes the volume that a mount names, where there is none yet, with what the image has at its place.
fn provide_volume(mounted: &mut Mounted, volumes: &Volumes, root: BorrowedFd<'_>) -> Result<(), Failure> {
    let content = Some((root, mounted.target.as_path()));
    match &mounted.source {
        Source::Bind(_) | Source::Tmpfs(_) => Ok(()),
        Source::Volume(name) if volumes.contains(name) => Ok(()),
        Source::Volume(name) => volumes.create(name, false, content),
        Source::Anonymous => {
            let name = format!("{}{}", new_id()?, new_id()?);
            volumes.create(&name, true, content)?;
            mounted.source = Source::Volume(name);
            Ok(())
        }
    }
}

/// Directories that every container needs.
const DIRECTORIES: [&str; 4] = ["/proc", "/sys", "/dev", "/etc"];

/// Makes what is mounted over now, so that later changes are the container's own.
fn make_mount_points(root: BorrowedFd<'_>, config: &Config) -> Result<(), Failure> {
    let directory = |path: &Path| {
        inside::make_directory(root, path).map_err(Failure::during(format_args!("create {} inside", path.display())))
    };
    let file = |path: &Path| {
        inside::make_file(root, path).map_err(Failure::during(format_args!("create {} inside", path.display())))
    };
    for path in DIRECTORIES {
        directory(Path::new(path))?;
    }
    for (_, target) in files::FILES {
        file(Path::new(target))?;
    }
    // Below these are mounts of the container's own, which are made anew each time.
    let is_covered = |path: &Path| ["/proc", "/sys", "/dev"].iter().any(|above| path.starts_with(above));
    for mounted in config.mounts.iter().filter(|mounted| !is_covered(&mounted.target)) {
        let covered_by_other = config
            .mounts
            .iter()
            .any(|other| other.target != mounted.target && mounted.target.starts_with(&other.target));
        let is_file = matches!(&mounted.source, Source::Bind(path) if path.exists() && !path.is_dir());
        match (covered_by_other, is_file) {
            (true, _) => {}
            (false, true) => file(&mounted.target)?,
            (false, false) => drop(directory(&mounted.target)?),
        }
    }
    if let Some(path) = config.working_dir.as_deref().filter(|path| !is_covered(path)) {
        directory(path)?;
    }
    Ok(())
}

/// Twelve random digits.
pub(super) fn new_id() -> Result<String, Failure> {
    let mut bytes = [0; 8];
    let path = "/dev/urandom";
    File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).map_err(Failure::during(path))?;
    Ok(format!("{:012x}", u64::from_ne_bytes(bytes) >> 16))
}
