//! Putting files of this machine into layers, with the symbolic links that lead to them.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::layer::{Builder, Metadata, Source};

/// As many as the kernel follows.
const LINKS_MAX: usize = 40;

/// The directories that a merged `/usr` replaces by symbolic links.
const MERGED: [&str; 7] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32"];

/// Which files are in a layer already, so that several names of one file do not clash.
#[derive(Debug)]
pub(super) struct Placer<'b> {
    pub(super) layer: &'b mut Builder,
    /// Each file's place in the image, and where it came from.
    placed: BTreeMap<PathBuf, PathBuf>,
}

impl<'b> Placer<'b> {
    pub(super) fn new(layer: &'b mut Builder) -> Self {
        Self { layer, placed: BTreeMap::new() }
    }

    /// Adds the file behind `path` under its own name, and every symbolic link on the way to it: `/lib64/ld.so` of a
    /// merged `/usr` becomes `lib64 -> usr/lib64` and the file in `usr/lib64`.
    pub(super) fn mirror(&mut self, path: &Path) -> Result<PathBuf> {
        let real = self.links(path)?;
        let file = File::open(&real).map_err(Error::sys("open", &real))?;
        let mode = file.metadata().map_err(Error::sys("examine", &real))?.mode() & 0o777;
        self.file(&real, &real, mode, file)?;
        Ok(real)
    }

    /// Adds a file at another place than where it is on this machine.
    pub(super) fn relocate(&mut self, image: &Path, host: &Path, mode: u32, file: File) -> Result<PathBuf> {
        let place = self.behind_merged(image)?;
        self.file(&place, host, mode, file)?;
        Ok(place)
    }

    /// Adds the symbolic links on the way to `path` and says where they lead.
    pub(super) fn links(&mut self, path: &Path) -> Result<PathBuf> {
        let names = |path: &Path| path.components().map(|name| name.as_os_str().to_owned()).collect::<Vec<OsString>>();
        let mut left: VecDeque<OsString> = names(path).into();
        let mut current = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            match Path::new(&name).components().next() {
                Some(Component::ParentDir) => {
                    current.pop();
                    continue;
                }
                Some(Component::RootDir) => {
                    current = PathBuf::from("/");
                    continue;
                }
                Some(Component::Normal(_)) => {}
                _ => continue,
            }
            let next = current.join(&name);
            let metadata = fs::symlink_metadata(&next).map_err(Error::sys("examine", &next))?;
            if !metadata.is_symlink() {
                current = next;
                continue;
            }
            links += 1;
            if links > LINKS_MAX {
                return Err(Error::LimitExceeded { limit: "chain of symbolic links", max: LINKS_MAX as u64 });
            }
            let target = fs::read_link(&next).map_err(Error::sys("read the link", &next))?;
            self.layer.symlink(&next, &target)?;
            for part in names(&target).into_iter().rev() {
                left.push_front(part);
            }
        }
        Ok(current)
    }

    /// Where a path of the image is, when its first directory is a link into `usr` on this machine and so in every
    /// layer that has libraries of this machine.
    pub(super) fn behind_merged(&mut self, image: &Path) -> Result<PathBuf> {
        let mut components = image.components().skip_while(|component| *component == Component::RootDir);
        let Some(first) = components.next().filter(|first| MERGED.iter().any(|name| first.as_os_str() == *name)) else {
            return Ok(image.to_path_buf());
        };
        let top = Path::new("/").join(first);
        match fs::read_link(&top) {
            Ok(target) if target.is_relative() && target.starts_with("usr") => {
                self.layer.symlink(&top, &target)?;
                Ok(Path::new("/").join(target).join(components.collect::<PathBuf>()))
            }
            Ok(_) => Ok(image.to_path_buf()),
            // Not there, or a directory.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
                Ok(image.to_path_buf())
            }
            Err(error) => Err(Error::sys("read the link", &top)(error)),
        }
    }

    fn file(&mut self, place: &Path, host: &Path, mode: u32, file: File) -> Result<()> {
        // One file under several names is placed once; two files for one place are the layer's error.
        if self.placed.get(place).is_some_and(|other| other == host) {
            return Ok(());
        }
        self.layer.file(place, Metadata::root(mode), Source::File(file))?;
        self.placed.insert(place.to_path_buf(), host.to_path_buf());
        Ok(())
    }
}

/// Adds a file or a whole directory of this machine under its own name; what is neither file, directory nor symbolic
/// link is passed to `skipped`.
pub(super) fn include(layer: &mut Builder, path: &Path, skipped: &mut Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    if !path.is_absolute() {
        let reason = "must be an absolute path";
        return Err(Error::Invalid { field: "included path", value: path.display().to_string(), reason });
    }
    let mut placer = Placer::new(layer);
    let mut files = Vec::new();
    let mut left = vec![placer.links(path)?];
    while let Some(current) = left.pop() {
        let metadata = fs::symlink_metadata(&current).map_err(Error::sys("examine", &current))?;
        let owner =
            Metadata { mode: metadata.mode() & 0o7777, uid: u64::from(metadata.uid()), gid: u64::from(metadata.gid()) };
        if metadata.is_dir() {
            if current != Path::new("/") {
                placer.layer.directory(&current, owner)?;
            }
            for entry in fs::read_dir(&current).map_err(Error::sys("list", &current))? {
                left.push(entry.map_err(Error::sys("list", &current))?.path());
            }
        } else if metadata.is_symlink() {
            let target = fs::read_link(&current).map_err(Error::sys("read the link", &current))?;
            placer.layer.symlink(&current, target)?;
        } else if metadata.is_file() {
            placer.layer.file(&current, owner, Source::Path(current.clone()))?;
            files.push(current);
        } else {
            skipped.push(current);
        }
    }
    files.sort();
    Ok(files)
}
