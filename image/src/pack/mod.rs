//! Packing: an image from a program and exactly the shared libraries that it loads.
//!
//! The program goes into one layer and what it loads into another, so that a rebuilt program ships only its own
//! layer. Nothing is run to find the libraries: the ELF headers are read and the rules of the dynamic linker of the
//! GNU C library followed, as if `LD_LIBRARY_PATH` and `ld.so.preload` were not there. What those rules cannot see
//! comes back as [`Hint`]s.

mod extra;
mod host;
mod ld_cache;
mod packed;
mod place;
mod request;
mod resolve;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub use extra::Extra;
pub use packed::{Hint, Library, Packed, PackedLayer, Role};
pub use request::{PackRequest, Program};

use crate::config::{Contents, Execution, History, ImageConfig, rfc3339};
use crate::descriptor::Descriptor;
use crate::elf::Elf;
use crate::error::{Error, Result};
use crate::layer::Builder;
use crate::layout::Layout;
use crate::manifest::Manifest;
use crate::media_type::Codec;
use crate::platform::Platform;
use place::Placer;
use resolve::{Object, Resolved};

/// Packs a program into `layout` under the name `tag`.
///
/// # Errors
/// [`Error::NotElf`] for what is no ELF program (a script is refused with its `#!` line);
/// [`Error::LibraryNotFound`]; [`Error::Unsupported`] for a dynamic linker other than that of the GNU C library.
pub fn pack(request: &PackRequest, layout: &Layout, tag: impl AsRef<str>) -> Result<Packed> {
    let mtime = request.epoch.unwrap_or(0);
    let mut hints = Vec::new();
    let program = open_program(&request.program)?;
    let architecture = program.elf.machine.architecture().ok_or_else(|| Error::Unsupported {
        feature: format!("an ELF file for machine {}", program.elf.machine.number),
    })?;

    let mut includes = Vec::new();
    let mut included_files = Vec::new();
    for path in &request.includes {
        let mut skipped = Vec::new();
        let mut layer = Builder::new(mtime);
        included_files.extend(place::include(&mut layer, path, &mut skipped)?);
        hints.extend(skipped.into_iter().map(|path| Hint::SpecialFile { path }));
        includes.push((Role::Include(path.clone()), layer));
    }

    let mut code = Builder::new(mtime);
    let (command, program_place) = place_program(&mut code, &request.program, &program)?;
    let root = Object {
        name: command.clone().into_os_string(),
        host: program.host.clone(),
        image: program_place,
        found_by_cache_only: false,
        parent: None,
        elf: program.elf,
    };
    let dependencies = host::dependencies(root, &included_files)?;
    let mut layers = Vec::new();
    let mut libraries = Vec::new();
    if let Some(dependencies) = &dependencies {
        let mut layer = Builder::new(mtime);
        libraries = place_libraries(&mut layer, dependencies, &program.host)?;
        hints.extend(hints_of(&dependencies.resolved));
        layers.push((Role::Dependencies, layer));
    }
    layers.extend(includes);
    if let Some(extras) = extras(request, mtime)? {
        layers.push((Role::Extras, extras));
    }
    layers.push((Role::Code, code));
    hints.sort();
    hints.dedup();

    let _lease = layout.lease()?;
    let layers = write_layers(layout, layers, request.codec)?;
    let image = write_image(request, layout, &command, architecture, &layers)?;
    layout.tag(tag, &image)?;
    Ok(Packed { image, layers, libraries, hints })
}

fn extras(request: &PackRequest, mtime: u64) -> Result<Option<Builder>> {
    let mut layer = Builder::new(mtime);
    let mut extras = request.extras.clone();
    extras.dedup();
    for extra in extras {
        extra::add(&mut layer, extra, request.user.as_deref())?;
    }
    Ok((!layer.is_empty()).then_some(layer))
}

struct OpenProgram {
    file: File,
    /// Where the file really is, which is what `$ORIGIN` means.
    host: PathBuf,
    elf: Elf,
}

fn open_program(program: &Program) -> Result<OpenProgram> {
    let (file, host) = match program {
        Program::Path { path, .. } => {
            let host = fs::canonicalize(path).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Error::NotFound { object: format!("program {}", path.display()) },
                _ => Error::sys("resolve", path)(error),
            })?;
            (File::open(&host).map_err(Error::sys("open", &host))?, host)
        }
        Program::File { file, name } => {
            let link = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
            let host = fs::read_link(&link).map_err(Error::sys("read the link", &link))?;
            (file.try_clone().map_err(Error::sys("duplicate", name))?, host)
        }
    };
    if !file.metadata().map_err(Error::sys("examine", &host))?.is_file() {
        return Err(Error::NotRegularFile { path: host });
    }
    let elf = host::read_elf(&file).map_err(|reason| Error::NotElf { path: host.clone(), reason })?;
    Ok(OpenProgram { file, host, elf })
}

/// Puts the program into its layer; the path to run it by, and the place of its file.
fn place_program(code: &mut Builder, request: &Program, program: &OpenProgram) -> Result<(PathBuf, PathBuf)> {
    let mut placer = Placer::new(code);
    let name = match request {
        Program::Path { path, name: None } => {
            let path = std::path::absolute(path).map_err(Error::sys("resolve", path))?;
            let place = placer.mirror(&path)?;
            return Ok((path, place));
        }
        Program::Path { name: Some(name), .. } | Program::File { name, .. } => name,
    };
    if !name.is_absolute() {
        return Err(Error::Invalid {
            field: "name of the program in the image",
            value: name.display().to_string(),
            reason: "must be an absolute path",
        });
    }
    let file = program.file.try_clone().map_err(Error::sys("duplicate", name))?;
    let place = placer.relocate(name, &program.host, 0o755, file)?;
    Ok((name.clone(), place))
}

fn place_libraries(layer: &mut Builder, dependencies: &host::Dependencies, program: &Path) -> Result<Vec<Library>> {
    let mut placer = Placer::new(layer);
    let mut libraries = Vec::new();
    let length = |path: &Path| -> Result<u64> { Ok(fs::metadata(path).map_err(Error::sys("examine", path))?.len()) };
    if let Some(interpreter) = &dependencies.interpreter {
        placer.mirror(interpreter)?;
        libraries.push(Library {
            name: interpreter.clone().into_os_string(),
            host_path: interpreter.clone(),
            image_path: interpreter.clone(),
            needed_by: program.to_path_buf(),
            bytes: length(interpreter)?,
        });
    }
    for object in dependencies.libraries() {
        if object.host == object.image {
            placer.mirror(&object.host)?;
        } else {
            let file = File::open(&object.host).map_err(Error::sys("open", &object.host))?;
            let mode = file.metadata().map_err(Error::sys("examine", &object.host))?.mode() & 0o777;
            placer.relocate(&object.image, &object.host, mode, file)?;
        }
        if let (true, Some(directory)) = (object.found_by_cache_only, &dependencies.library_directory) {
            // The image has no cache, so the library needs a name where the interpreter looks without one.
            let name = placer.behind_merged(&directory.join(&object.name))?;
            placer.layer.symlink(name, &object.image)?;
        }
        let needed_by = object.parent.map_or(program, |parent| &dependencies.resolved.objects[parent].host);
        libraries.push(Library {
            name: object.name.clone(),
            host_path: object.host.clone(),
            image_path: object.image.clone(),
            needed_by: needed_by.to_path_buf(),
            bytes: length(&object.host)?,
        });
    }
    Ok(libraries)
}

fn hints_of(resolved: &Resolved) -> Vec<Hint> {
    let unknown = resolved
        .unknown_directories
        .iter()
        .map(|unknown| Hint::UnknownDirectory { object: unknown.object.clone(), directory: unknown.directory.clone() });
    let imported = resolved.objects.iter().flat_map(|object| {
        let path = &object.host;
        object.elf.imports.iter().map(move |symbol| match *symbol {
            "dlopen" | "dlmopen" => Hint::LoadsAtRunTime { object: path.clone(), symbol },
            "iconv_open" => Hint::CharacterSets { object: path.clone() },
            symbol => Hint::NameService { object: path.clone(), symbol },
        })
    });
    let filters = resolved.objects.iter().flat_map(|object| {
        let path = &object.host;
        object.elf.filters.iter().map(move |library| Hint::Filter { object: path.clone(), library: library.clone() })
    });
    unknown.chain(filters).chain(imported).collect()
}

fn write_layers(layout: &Layout, layers: Vec<(Role, Builder)>, codec: Codec) -> Result<Vec<PackedLayer>> {
    let written = layers.into_iter().map(|(role, builder)| {
        let layer = layout.put_layer(&builder, codec)?;
        Ok(PackedLayer { role, descriptor: layer.descriptor, diff_id: layer.diff_id, bytes: layer.bytes })
    });
    written.collect()
}

fn write_image(
    request: &PackRequest,
    layout: &Layout,
    command: &Path,
    architecture: &str,
    layers: &[PackedLayer],
) -> Result<Descriptor> {
    let created = request.epoch.map(rfc3339);
    let entrypoint = command.to_str().ok_or_else(|| Error::Invalid {
        field: "name of the program in the image",
        value: command.display().to_string(),
        reason: "must be UTF-8, as JSON is",
    })?;
    let platform = Platform::linux(architecture);
    let history = layers.iter().map(|layer| History {
        created: created.clone(),
        created_by: Some(match &layer.role {
            Role::Dependencies => "windlass pack: dependencies".into(),
            Role::Include(path) => format!("windlass pack: include {}", path.display()),
            Role::Extras => "windlass pack: extras".into(),
            Role::Code => "windlass pack: code".into(),
        }),
        ..History::default()
    });
    let config = ImageConfig::build(&Contents {
        platform: platform.clone(),
        created: created.clone(),
        execution: Execution {
            user: request.user.clone(),
            env: request.env.clone(),
            entrypoint: vec![entrypoint.to_owned()],
            cmd: request.args.clone(),
            working_dir: request.working_dir.clone(),
            labels: request.labels.clone(),
            ..Execution::default()
        },
        diff_ids: layers.iter().map(|layer| layer.diff_id).collect(),
        history: history.collect(),
        ..Contents::default()
    })?;
    let config_descriptor = config.descriptor();
    layout.put_blob(config_descriptor.media_type.clone(), config.raw())?;
    let blobs: Vec<_> = layers.iter().map(|layer| layer.descriptor.clone()).collect();
    let manifest = Manifest::build(&config_descriptor, &blobs, &BTreeMap::new())?;
    let mut descriptor = layout.put_blob(manifest.media_type().clone(), manifest.raw())?;
    descriptor.platform = Some(platform);
    Ok(descriptor)
}
