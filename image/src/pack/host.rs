//! This machine's ELF files, cache and library directories, for the pure rules in `resolve`.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use object::ReadCache;

use super::ld_cache;
use super::resolve::{Object, Resolved, Search, resolve};
use crate::elf::{self, Elf, Machine};
use crate::error::{Error, Result};

const CACHE: &str = "/etc/ld.so.cache";

/// What a dynamic program needs beside itself.
#[derive(Debug)]
pub(super) struct Dependencies {
    pub(super) interpreter: Option<PathBuf>,
    /// The directory of the C library, in which the interpreter looks without a cache.
    pub(super) library_directory: Option<PathBuf>,
    pub(super) resolved: Resolved,
    roots: usize,
    /// Its place among the objects, when a library names it too.
    loaded_interpreter: Option<usize>,
}

impl Dependencies {
    pub(super) fn libraries(&self) -> impl Iterator<Item = &Object> {
        let objects = self.resolved.objects.iter().enumerate().skip(self.roots);
        objects.filter(|(position, _)| Some(*position) != self.loaded_interpreter).map(|(_, object)| object)
    }
}

/// Finds what `program` and the ELF files among `included` load; `None` for a static program that comes alone.
pub(super) fn dependencies(program: Object, included: &[PathBuf]) -> Result<Option<Dependencies>> {
    let machine = program.elf.machine;
    let interpreter = program.elf.interpreter.clone();
    if let Some(path) = &interpreter {
        check_interpreter(path)?;
    }
    if interpreter.is_none() {
        if program.elf.needed.is_empty() {
            // What cannot load libraries has none, whatever is included.
            return Ok(None);
        }
        return Err(Error::NotElf {
            path: program.host,
            reason: "it is a shared library without an interpreter".into(),
        });
    }
    let mut roots = vec![program];
    for path in included {
        roots.extend(included_object(path, machine)?);
    }
    let library_directory = match &interpreter {
        Some(path) => fs::canonicalize(path).map_err(Error::sys("resolve", path))?.parent().map(Path::to_path_buf),
        None => None,
    };
    let search = Search {
        cache: read_cache()?,
        default_directories: default_directories(machine, library_directory.as_deref()),
    };
    let count = roots.len();
    let resolved = resolve(roots, &search, &|path| open_elf(path))?;
    // The interpreter is a library of many programs too; it is placed by its path.
    let real_interpreter = interpreter.as_ref().and_then(|path| fs::canonicalize(path).ok());
    let loaded_interpreter =
        resolved.objects.iter().position(|object| fs::canonicalize(&object.host).ok() == real_interpreter);
    Ok(Some(Dependencies { interpreter, library_directory, resolved, roots: count, loaded_interpreter }))
}

fn included_object(path: &Path, machine: Machine) -> Result<Option<Object>> {
    let Some(elf) = open_elf(path)?.filter(|elf| elf.machine == machine) else { return Ok(None) };
    Ok(Some(Object {
        name: path.as_os_str().to_owned(),
        host: path.to_path_buf(),
        image: path.to_path_buf(),
        found_by_cache_only: false,
        // Whatever loads it, the program's own search directories count.
        parent: Some(0),
        elf,
    }))
}

fn check_interpreter(path: &Path) -> Result<()> {
    if !path.is_absolute() {
        return Err(Error::Unsupported { feature: format!("the relative dynamic linker {}", path.display()) });
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with("ld-linux") || name.starts_with("ld64.so") || name == "ld.so.1" {
        return Ok(());
    }
    Err(Error::Unsupported { feature: format!("packing a program of the dynamic linker {}", path.display()) })
}

fn read_cache() -> Result<Vec<ld_cache::Entry>> {
    match fs::read(CACHE) {
        Ok(bytes) => Ok(ld_cache::parse(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::sys("read", CACHE)(error)),
    }
}

/// Debian builds its dynamic linker for a directory of the architecture, others for `lib64` or `lib`; which one it
/// is shows in where the linker itself lies.
fn default_directories(machine: Machine, library_directory: Option<&Path>) -> Vec<PathBuf> {
    let name = library_directory.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let names = if name.contains("-linux-gnu") {
        vec![format!("/lib/{name}"), format!("/usr/lib/{name}"), "/lib".into(), "/usr/lib".into()]
    } else if machine.is_64 {
        vec!["/lib64".into(), "/usr/lib64".into()]
    } else {
        vec!["/lib".into(), "/usr/lib".into()]
    };
    names.into_iter().map(PathBuf::from).collect()
}

/// Reads an ELF file; `None` for what is not there or is something else.
fn open_elf(path: &Path) -> Result<Option<Elf>> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(Error::sys("examine", path)(error)),
    }
    let file = File::open(path).map_err(Error::sys("open", path))?;
    Ok(read_elf(&file).ok())
}

/// Reads the parts that say what a file loads, without moving its position.
pub(super) fn read_elf(file: &File) -> std::result::Result<Elf, String> {
    let cache = ReadCache::new(Positioned { file, at: 0 });
    elf::parse(&cache)
}

/// A file with a position of its own.
struct Positioned<'f> {
    file: &'f File,
    at: u64,
}

impl Read for Positioned<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Positioned<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let from = |base: u64, offset: i64| {
            base.checked_add_signed(offset).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
        };
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(offset) => from(self.at, offset)?,
            SeekFrom::End(offset) => from(self.file.metadata()?.len(), offset)?,
        };
        Ok(self.at)
    }
}
