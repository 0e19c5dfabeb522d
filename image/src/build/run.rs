//! Builds from Dockerfiles: stage by stage, step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use super::cache::{Cache, Made};
use super::directory::Directory;
use super::draft::Draft;
use super::executor::{Below, Cause, Changes, Executor, Run};
use super::key::Key;
use crate::descriptor::Descriptor;
use crate::dockerfile::scope::{Given, Scope};
use crate::dockerfile::{Dockerfile, Ignore, Position, Stage, Word, stages};
use crate::error::{Error, Result};
use crate::layer::Builder;
use crate::layout::{Image, Layout};
use crate::media_type::Codec;
use crate::platform::Platform;
use crate::reference::Reference;

/// What to build.
#[derive(Debug)]
pub struct Request<'r> {
    /// How.
    pub file: &'r Dockerfile,
    /// The directory that `COPY` copies from.
    pub context: &'r Path,
    /// What of it does not exist.
    pub ignore: Ignore,
    /// Values of variables that `ARG` declares.
    pub arguments: BTreeMap<String, String>,
    /// The stage to make, by name or number; the last otherwise.
    pub target: Option<String>,
    /// What the image shall run on.
    pub platform: Platform,
    /// How layers are compressed.
    pub codec: Codec,
    /// When the image is made, in seconds since 1970; it has no date otherwise.
    pub created: Option<u64>,
    /// The modification time of what is copied, in seconds since 1970, whatever the context says.
    pub copied_mtime: u64,
    /// The latest modification time of what commands write, in seconds since 1970, so that building twice gives the same.
    pub epoch: Option<u64>,
    /// What earlier builds made, to be used again; what is made is added to it in any case.
    pub cache: &'r Cache,
    /// Whether layers of the cache are used.
    pub reuse: Reuse,
}

/// Whether layers of earlier builds are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// A step that would do the same again does not.
    Yes,
    /// Every command runs.
    No,
}

/// A step that begins, or whose outcome is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'p> {
    /// A step begins.
    Step {
        /// Its number, from 1 on.
        number: usize,
        /// How many there are, stages' beginnings included.
        total: usize,
        /// What it does.
        text: &'p str,
    },
    /// It was done before, and its layer is used.
    Cached,
}

/// An image that was built; it has no name yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Built {
    /// Of the manifest.
    pub image: Descriptor,
    /// Values that no `ARG` of the stages that were made asked for.
    pub unused_arguments: Vec<String>,
}

/// Builds an image and stores it in `layout`; hold a lease until it has a name.
///
/// Only stages that lead to the target are made. A command runs again when something that it can see has changed: see
/// [`Cache`].
///
/// # Errors
/// [`Error::Step`], with its place, for what fails in a step; [`Error::Dockerfile`] for words that cannot be expanded;
/// [`Error::NotFound`] for a target that is no stage.
pub fn build(
    request: &Request<'_>,
    layout: &Layout,
    executor: &mut dyn Executor,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Built> {
    let context = File::open(request.context).map_err(Error::sys("open", request.context))?;
    let context = Directory::new(context.into(), request.context.display().to_string());
    let mut given = Given { values: request.arguments.clone(), used: BTreeSet::new() };
    let mut globals = platform_arguments(&request.platform);
    globals.declare(&request.file.arguments, &mut given, None, &[], request.file.escape)?;
    let mut build = Build { request, layout, executor, progress, context, given, globals, done: BTreeMap::new() };
    let target = stages::target(request.file, request.target.as_deref()).ok_or_else(|| Error::NotFound {
        object: format!("stage {} in the Dockerfile", request.target.as_deref().unwrap_or_default()),
    })?;
    build.run(target)
}

fn platform_arguments(platform: &Platform) -> Scope {
    let host = Platform::host();
    let mut values = Vec::new();
    for (names, platform) in [
        (["TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT"], platform),
        (["BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT"], &host),
    ] {
        let variant = platform.variant.clone().unwrap_or_default();
        let texts = [platform.to_string(), platform.os.clone(), platform.architecture.clone(), variant];
        values.extend(names.into_iter().zip(texts));
    }
    Scope::with(values)
}

pub(super) struct Build<'b> {
    pub(super) request: &'b Request<'b>,
    pub(super) layout: &'b Layout,
    pub(super) executor: &'b mut dyn Executor,
    progress: &'b mut dyn FnMut(Progress<'_>),
    pub(super) context: Directory,
    pub(super) given: Given,
    pub(super) globals: Scope,
    /// Stages that are made.
    done: BTreeMap<usize, State>,
}

/// A stage while it is made.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) draft: Draft,
    pub(super) scope: Scope,
    pub(super) shell: Vec<String>,
    /// Whether this stage has said what the image's command is, or only its base.
    pub(super) has_command: bool,
}

impl Build<'_> {
    fn run(&mut self, target: usize) -> Result<Built> {
        let file = self.request.file;
        let bases: Vec<String> = file.stages[..=target]
            .iter()
            .map(|stage| self.globals.expand(&stage.from, &[], file.escape))
            .collect::<Result<_, _>>()?;
        let needed = stages::needed(file, target, |number| file.stage(&bases[number], number));
        let total = needed.iter().map(|number| file.stages[*number].steps.len() + 1).sum();
        let mut number = 0;
        for stage_number in needed {
            let stage = &file.stages[stage_number];
            number += 1;
            let name = stage.name.as_ref().map_or_else(String::new, |name| format!(" AS {name}"));
            (self.progress)(Progress::Step { number, total, text: &format!("FROM {}{name}", bases[stage_number]) });
            let mut state = self.begin(stage, stage_number, &bases[stage_number])?;
            for step in &stage.steps {
                number += 1;
                (self.progress)(Progress::Step { number, total, text: &step.text });
                self.step(&mut state, stage_number, step).map_err(in_step(step.position, &step.text))?;
            }
            self.done.insert(stage_number, state);
        }
        let image = self.done[&target].draft.store(self.layout)?;
        let unused = |name: &&String| !self.given.used.contains(*name);
        let unused_arguments = self.given.values.keys().filter(unused).cloned().collect();
        Ok(Built { image, unused_arguments })
    }

    /// What a stage begins with.
    fn begin(&mut self, stage: &Stage, number: usize, base: &str) -> Result<State> {
        if let Some(earlier) = self.request.file.stage(base, number) {
            let mut state = self.done[&earlier].clone();
            state.has_command = false;
            return Ok(state);
        }
        let position = stage.from.position;
        let platform = match &stage.platform {
            Some(word) => self.platform(word)?,
            None => self.request.platform.clone(),
        };
        let mut draft = if base == "scratch" {
            Draft::scratch(platform)
        } else {
            let image = self.image(base, &platform).map_err(in_step(position, &format!("FROM {base}")))?;
            Draft::of(&image)
        };
        if let Some(seconds) = self.request.created {
            draft = draft.at(seconds);
        }
        let shell = vec!["/bin/sh".to_owned(), "-c".to_owned()];
        Ok(State { draft, scope: Scope::default(), shell, has_command: false })
    }

    fn platform(&self, word: &Word) -> Result<Platform> {
        let text = self.globals.expand(word, &[], self.request.file.escape)?;
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant.to_owned())),
            _ => {
                let reason = "must be OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT";
                return Err(Error::Invalid { field: "platform", value: text, reason });
            }
        };
        Ok(Platform { os: os.to_owned(), variant, ..Platform::linux(architecture) })
    }

    pub(super) fn image(&mut self, name: &str, platform: &Platform) -> Result<Image> {
        let reference = Reference::parse(name)?;
        self.executor.image(&reference, platform).map_err(failed)
    }

    /// The root file system of an earlier stage, or of an image.
    pub(super) fn other_root(&mut self, name: &str, before: usize) -> Result<Directory> {
        let layers: Vec<Below> = if let Some(stage) = self.request.file.stage(name, before) {
            below(&self.done[&stage].draft)
        } else {
            let image = self.image(name, &self.request.platform)?;
            image.layers().map(|(blob, diff_id)| (blob.clone(), *diff_id)).collect()
        };
        self.open(&layers, name)
    }

    pub(super) fn own_root(&mut self, draft: &Draft) -> Result<Directory> {
        self.open(&below(draft), "the image")
    }

    fn open(&mut self, layers: &[Below], name: &str) -> Result<Directory> {
        Ok(Directory::new(self.executor.open(layers).map_err(failed)?, name))
    }

    /// Adds a layer of files, compressed unless that was done before.
    pub(super) fn add_files(&mut self, draft: &mut Draft, files: &Builder, text: &str) -> Result<()> {
        let codec = self.request.codec;
        let plain = files.write(std::io::sink(), Codec::None)?;
        let key = Key::of_files(&plain.diff_id, codec);
        if let Some(Made::Layer(layer)) = self.cached(&key)? {
            draft.append(&layer, text);
            return Ok(());
        }
        let layer = self.layout.put_layer(files, codec)?;
        if layer.diff_id == plain.diff_id {
            self.request.cache.put(&key, &Made::Layer(Box::new(layer.clone())))?;
        }
        draft.append(&layer, text);
        Ok(())
    }

    /// Runs a command, unless that was done before.
    pub(super) fn add_changes(&mut self, draft: &mut Draft, run: &Run, text: &str) -> Result<()> {
        let codec = self.request.codec;
        let key = Key::of_run(run, &self.request.platform, codec);
        let made = if let Some(made) = self.cached(&key)? {
            made
        } else {
            let mut layer = self.layout.layer_writer(codec)?;
            let made = match self.executor.run(run, &mut layer).map_err(failed)? {
                Changes::None => Made::Nothing,
                Changes::Some => Made::Layer(Box::new(layer.finish()?)),
            };
            self.request.cache.put(&key, &made)?;
            made
        };
        match made {
            Made::Nothing => draft.note(text),
            Made::Layer(layer) => draft.append(&layer, text),
        }
        Ok(())
    }

    fn cached(&mut self, key: &Key) -> Result<Option<Made>> {
        if self.request.reuse == Reuse::No {
            return Ok(None);
        }
        let made = self.request.cache.get(self.layout, key)?;
        if made.is_some() {
            (self.progress)(Progress::Cached);
        }
        Ok(made)
    }
}

pub(super) fn below(draft: &Draft) -> Vec<Below> {
    draft.layers().map(|(blob, diff_id)| (blob.clone(), *diff_id)).collect()
}

fn failed(source: Cause) -> Error {
    // The executor's own call of this crate.
    match source.downcast::<Error>() {
        Ok(own) => *own,
        Err(source) => Error::Executor { source },
    }
}

/// Names the place of what fails, unless it has a place of its own.
fn in_step(position: Position, text: &str) -> impl FnOnce(Error) -> Error {
    let step = text.to_owned();
    move |error| match error {
        Error::Dockerfile(_) | Error::Step { .. } => error,
        source => Error::Step { position, step, source: Box::new(source) },
    }
}
