//! `save` and `load`: images as one file.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;
use windlass_image::archive::{self, Saved};
use windlass_image::{Image, Reference};

use super::cli::{Load, Save};
use super::failure::Failure;
use super::home::{self, Home};
use super::out;

const BUFFER: usize = 1 << 18;

/// Writes images as one archive; a file is there whole or not at all.
pub(super) fn save(home: &Home, request: &Save) -> Result<u8, Failure> {
    let images = wanted(home, &request.images)?;
    let saved: Vec<Saved<'_>> = images.iter().map(|(image, references)| Saved { image, references }).collect();
    match &request.output {
        None if io::stdout().is_terminal() => {
            Err(Failure::new("an archive is nothing for a terminal: give -o FILE, or redirect the output"))
        }
        None => write(home, &saved, io::stdout().lock(), Path::new("the standard output")),
        // What is a device or a pipe already is written to, not replaced.
        Some(path) if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) => {
            let file = File::options().write(true).open(path).map_err(Failure::during(path.display()))?;
            write(home, &saved, file, path)
        }
        Some(path) => {
            let unfinished = Unfinished::create(path)?;
            let file = unfinished.file.try_clone().map_err(Failure::during(path.display()))?;
            write(home, &saved, file, path)?;
            unfinished.publish(path)
        }
    }?;
    Ok(0)
}

/// Each image once, with the names under which it was asked for.
fn wanted(home: &Home, names: &[String]) -> Result<Vec<(Image, Vec<Reference>)>, Failure> {
    let mut images: Vec<(Image, Vec<Reference>)> = Vec::new();
    for text in names {
        let image = home.require(text)?.image;
        let name = home::name(text).ok().filter(|name| home.layout.resolve(name).is_ok());
        let reference = match name {
            Some(name) => Some(Reference::parse(&name).map_err(Failure::during(text))?),
            None => None,
        };
        match images.iter_mut().find(|(other, _)| other.digest() == image.digest()) {
            Some((_, references)) => references.extend(reference),
            None => images.push((image, reference.into_iter().collect())),
        }
    }
    Ok(images)
}

fn write(home: &Home, saved: &[Saved<'_>], out: impl io::Write, path: &Path) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(BUFFER, out);
    archive::save(&home.layout, saved, &mut out)
        .map_err(Failure::during(format_args!("save to {}", path.display())))?;
    out.flush().map_err(Failure::during(path.display()))
}

/// A file beside the one that it becomes; it goes when it does not.
struct Unfinished {
    file: File,
    path: Option<PathBuf>,
}

impl Unfinished {
    fn create(path: &Path) -> Result<Self, Failure> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let beside = PathBuf::from(name);
        let file = File::options().write(true).create_new(true).open(&beside);
        Ok(Self { file: file.map_err(Failure::during(beside.display()))?, path: Some(beside) })
    }

    fn publish(mut self, path: &Path) -> Result<(), Failure> {
        let beside = self.path.as_ref().expect("only this method takes the path, and it takes self");
        let published = self.file.sync_data().and_then(|()| fs::rename(beside, path));
        published.map_err(Failure::during(path.display()))?;
        self.path = None;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // The failure that led here is the one to report.
            let _ = fs::remove_file(path);
        }
    }
}

/// Stores the images of an archive, and tells their names.
pub(super) fn load(home: &Home, request: &Load) -> Result<u8, Failure> {
    let loaded = match &request.input {
        Some(path) => {
            let file = File::open(path).map_err(Failure::during(path.display()))?;
            archive::load(&home.layout, BufReader::with_capacity(BUFFER, file)).map_err(Failure::during(path.display()))
        }
        None if io::stdin().is_terminal() => {
            Err(Failure::new("no archive comes from a terminal: give -i FILE, or redirect the input"))
        }
        None => archive::load(&home.layout, BufReader::with_capacity(BUFFER, io::stdin().lock()))
            .map_err(Failure::during("the standard input")),
    }?;
    for image in loaded {
        let digest = image.descriptor.digest.to_string();
        let names: Vec<&str> = image.references.iter().map(Reference::familiar).collect();
        if request.json {
            out::line(&json!({"digest": digest, "names": names}).to_string())?;
        } else if names.is_empty() {
            out::line(&digest)?;
        } else {
            names.iter().try_for_each(|name| out::line(name))?;
        }
    }
    Ok(0)
}
