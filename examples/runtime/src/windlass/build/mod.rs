//! `build`: images from Dockerfiles.

mod executor;
pub(super) mod views;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use windlass_image::build::{Cache, Progress, Request, Reuse};
use windlass_image::dockerfile::{Dockerfile, Ignore};
use windlass_image::{Codec, Platform};

use super::cli::Build;
use super::clock::Time;
use super::containers::Containers;
use super::failure::{Failure, warn};
use super::home::{self, Home};
use super::images;
use super::registry::Needed;
use crate::cause::chain;
use executor::Runner;

/// What is copied is as old as the oldest that zip archives can say, where nothing else was asked for: the same files
/// give the same layer.
const COPIED_MTIME: u64 = 315_532_800;

/// Builds an image, and prints its id.
pub(super) fn build(home: &Home, containers: &Containers, request: &Build) -> Result<u8, Failure> {
    // All names are read before anything is made.
    let names: Vec<String> = request.tag.iter().map(|name| home::name(name)).collect::<Result<_, _>>()?;
    let path = request.file.clone().unwrap_or_else(|| request.context.join("Dockerfile"));
    let text = fs::read_to_string(&path).map_err(Failure::during(path.display()))?;
    let file = Dockerfile::parse(&text).map_err(Failure::during(path.display()))?;
    let cache = Cache::open(home.cache()).map_err(Failure::during("open the cache of builds"))?;
    let made = Request {
        file: &file,
        context: &request.context,
        ignore: ignore(&path, &request.context)?,
        arguments: arguments(&request.arguments)?,
        target: request.target.clone(),
        platform: Platform::host(),
        codec: Codec::Gzip,
        created: Some(request.source_date_epoch.unwrap_or_else(|| Time::now().seconds())),
        copied_mtime: request.source_date_epoch.unwrap_or(COPIED_MTIME),
        epoch: request.source_date_epoch,
        cache: &cache,
        reuse: if request.no_cache { Reuse::No } else { Reuse::Yes },
    };
    views::prune(home)?;
    let lease = home.layout.lease().map_err(Failure::during("hold the images"))?;
    let needed = Needed { policy: request.pull, fetching: &request.fetching, quiet: request.quiet || request.json };
    let mut runner = Runner::new(home, containers, request.network.clone(), needed);
    let mut tell = |progress: Progress<'_>| match progress {
        _ if request.quiet => {}
        Progress::Step { number, total, text } => report(&format!("step {number}/{total}: {text}")),
        Progress::Cached => report("  (cached)"),
        _ => {}
    };
    let built = windlass_image::build::build(&made, &home.layout, &mut runner, &mut tell);
    let built =
        built.map_err(|error| Failure::told(runner.code(), format!("{}: {}", path.display(), chain(&error))))?;
    for name in &built.unused_arguments {
        warn(&format_args!("--build-arg {name}: no ARG asks for it"));
    }
    images::name_and_tell(home, &built.image, &made.platform, &names, request.json)?;
    drop(lease);
    Ok(0)
}

/// A line for a person, beside what commands of the build write.
fn report(text: &str) {
    use std::io::Write as _;
    _ = writeln!(io::stderr(), "{text}"); // who closed it wants to hear nothing
}

/// `NAME=VALUE`, or `NAME` for this process's own value.
fn arguments(given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut found = BTreeMap::new();
    for text in given {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => match std::env::var(text) {
                Ok(value) => (text.as_str(), value),
                Err(_) => {
                    return Err(Failure::new(format!("--build-arg {text}: give {text}=VALUE, or set the variable")));
                }
            },
        };
        found.insert(name.to_owned(), value);
    }
    Ok(found)
}

/// The patterns beside the Dockerfile, or those of the context.
fn ignore(file: &Path, context: &Path) -> Result<Ignore, Failure> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".dockerignore");
    for path in [PathBuf::from(beside), context.join(".dockerignore")] {
        match fs::read_to_string(&path) {
            Ok(text) => return Ignore::parse(&text).map_err(Failure::during(path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::during(path.display())(error)),
        }
    }
    Ok(Ignore::default())
}
