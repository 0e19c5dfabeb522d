//! Which shared libraries a program loads, by the rules of the GNU C library's dynamic linker.
//!
//! Pure: how a path becomes an ELF file is the caller's, so the rules are tested without files.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::ld_cache::Entry;
use crate::elf::{self, Elf};
use crate::error::{Error, Result};

/// Where to look beside the directories that an object names.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// `ld.so.cache`.
    pub(super) cache: Vec<Entry>,
    /// The directories that the interpreter knows without a cache, in its order.
    pub(super) default_directories: Vec<PathBuf>,
}

/// An object of the process.
#[derive(Debug, Clone)]
pub(super) struct Object {
    /// The name by which it was asked for.
    pub(super) name: OsString,
    /// Where it was found.
    pub(super) host: PathBuf,
    /// Where its file must be in the image, so that the dynamic linker finds it there.
    pub(super) image: PathBuf,
    /// Whether only the cache led there: an image has none.
    pub(super) found_by_cache_only: bool,
    /// The object that asked for it; `None` for a root.
    pub(super) parent: Option<usize>,
    pub(super) elf: Elf,
}

/// A search directory whose meaning this crate does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnknownDirectory {
    pub(super) object: PathBuf,
    pub(super) directory: OsString,
}

#[derive(Debug)]
pub(super) struct Resolved {
    /// The roots, then the libraries in the order in which the dynamic linker finds them.
    pub(super) objects: Vec<Object>,
    pub(super) unknown_directories: Vec<UnknownDirectory>,
}

struct Candidate {
    host: PathBuf,
    image: PathBuf,
    found_by_cache_only: bool,
}

/// Finds the libraries of `roots` and theirs, breadth first; `open` reads an ELF file, `None` where there is none.
pub(super) fn resolve(
    roots: Vec<Object>,
    search: &Search,
    open: &impl Fn(&Path) -> Result<Option<Elf>>,
) -> Result<Resolved> {
    let mut names: HashSet<OsString> = roots.iter().filter_map(|root| root.elf.soname.clone()).collect();
    let mut resolved = Resolved { objects: roots, unknown_directories: Vec::new() };
    let mut position = 0;
    while position < resolved.objects.len() {
        for name in resolved.objects[position].elf.needed.clone() {
            if !names.contains(&name) {
                let object = find(&mut resolved, position, &name, search, open)?;
                names.extend(object.elf.soname.clone());
                names.insert(name);
                resolved.objects.push(object);
            }
        }
        position += 1;
    }
    resolved.unknown_directories.dedup();
    Ok(resolved)
}

fn find(
    resolved: &mut Resolved,
    needing: usize,
    name: &OsStr,
    search: &Search,
    open: &impl Fn(&Path) -> Result<Option<Elf>>,
) -> Result<Object> {
    let machine = resolved.objects[needing].elf.machine;
    for candidate in candidates(resolved, needing, name, search) {
        // The dynamic linker too passes over files of another machine.
        if let Some(elf) = open(&candidate.host)?.filter(|elf| elf.machine == machine) {
            let Candidate { host, image, found_by_cache_only } = candidate;
            return Ok(Object { name: name.to_owned(), host, image, found_by_cache_only, parent: Some(needing), elf });
        }
    }
    Err(Error::LibraryNotFound {
        library: name.to_string_lossy().into_owned(),
        needed_by: resolved.objects[needing].host.clone(),
    })
}

fn candidates(resolved: &mut Resolved, needing: usize, name: &OsStr, search: &Search) -> Vec<Candidate> {
    let mut found = Vec::new();
    if elf::is_path(name) {
        push_expanded(resolved, needing, name, None, &mut found);
        return found;
    }
    for (holder, directory) in named_directories(&resolved.objects, needing) {
        push_expanded(resolved, holder, &directory, Some(name), &mut found);
    }
    let is_default = |path: &Path| search.default_directories.iter().any(|default| path.parent() == Some(default));
    let without_defaults = resolved.objects[needing].elf.no_default_libraries;
    for entry in search.cache.iter().filter(|entry| entry.name == name) {
        let found_by_cache_only = !is_default(&entry.path);
        if found_by_cache_only || !without_defaults {
            let path = entry.path.clone();
            found.push(Candidate { host: path.clone(), image: path, found_by_cache_only });
        }
    }
    if !without_defaults {
        found.extend(search.default_directories.iter().map(|directory| {
            let path = directory.join(name);
            Candidate { host: path.clone(), image: path, found_by_cache_only: false }
        }));
    }
    found
}

/// The directories that objects name, each with the object whose place `$ORIGIN` is.
///
/// `DT_RPATH` counts from the object up through those that loaded it, unless the object has `DT_RUNPATH`, which
/// counts for itself alone.
fn named_directories(objects: &[Object], needing: usize) -> Vec<(usize, OsString)> {
    let own = &objects[needing];
    if !own.elf.runpath.is_empty() {
        return own.elf.runpath.iter().map(|directory| (needing, directory.clone())).collect();
    }
    let mut directories = Vec::new();
    let mut holder = Some(needing);
    while let Some(position) = holder {
        directories.extend(objects[position].elf.rpath.iter().map(|directory| (position, directory.clone())));
        holder = objects[position].parent;
    }
    directories
}

fn push_expanded(
    resolved: &mut Resolved,
    holder: usize,
    directory: &OsStr,
    name: Option<&OsStr>,
    found: &mut Vec<Candidate>,
) {
    let object = &resolved.objects[holder];
    let with_name = |directory: PathBuf| match name {
        Some(name) => lexical(&directory.join(name)),
        None => lexical(&directory),
    };
    match (expand(directory, &object.host), expand(directory, &object.image)) {
        (Some(host), Some(image)) if host.is_absolute() => {
            found.push(Candidate { host: with_name(host), image: with_name(image), found_by_cache_only: false });
        }
        _ => {
            let unknown = UnknownDirectory { object: object.host.clone(), directory: directory.to_owned() };
            resolved.unknown_directories.push(unknown);
        }
    }
}

/// Replaces `$ORIGIN`; `None` where a token remains whose value only the dynamic linker knows.
fn expand(text: &OsStr, object: &Path) -> Option<PathBuf> {
    let origin = object.parent()?.as_os_str().as_bytes();
    let mut expanded = Vec::new();
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        expanded.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let token = [b"$ORIGIN".as_slice(), b"${ORIGIN}"].into_iter().find(|token| rest.starts_with(token))?;
        expanded.extend_from_slice(origin);
        rest = &rest[token.len()..];
    }
    expanded.extend_from_slice(rest);
    Some(PathBuf::from(OsString::from_vec(expanded)))
}

/// The path without `.` and `..`: an object's place is taken from the text, where the kernel would follow links.
fn lexical(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                result.pop();
            }
            other => result.push(other),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::elf::Machine;

    const MACHINE: Machine = Machine { number: 62, is_64: true, little_endian: true };

    fn elf(needed: &[&str]) -> Elf {
        Elf {
            machine: MACHINE,
            interpreter: None,
            soname: None,
            needed: needed.iter().map(OsString::from).collect(),
            filters: Vec::new(),
            rpath: Vec::new(),
            runpath: Vec::new(),
            no_default_libraries: false,
            imports: Vec::new(),
        }
    }

    fn with_runpath(needed: &[&str], runpath: &str) -> Elf {
        Elf { runpath: vec![runpath.into()], ..elf(needed) }
    }

    fn with_rpath(needed: &[&str], rpath: &str) -> Elf {
        Elf { rpath: vec![rpath.into()], ..elf(needed) }
    }

    fn program(host: &str, image: &str, elf: Elf) -> Object {
        Object {
            name: host.into(),
            host: host.into(),
            image: image.into(),
            found_by_cache_only: false,
            parent: None,
            elf,
        }
    }

    fn search() -> Search {
        let entry = |name: &str, path: &str| Entry { name: name.into(), path: path.into() };
        Search {
            cache: vec![entry("libc.so.6", "/lib/m/libc.so.6"), entry("libq.so.1", "/opt/q/libq.so.1")],
            default_directories: vec!["/lib/m".into(), "/usr/lib/m".into()],
        }
    }

    fn run(root: Object, files: &[(&str, Elf)]) -> Result<Vec<(String, String, bool)>> {
        let files: BTreeMap<PathBuf, Elf> = files.iter().map(|(path, elf)| (path.into(), elf.clone())).collect();
        let resolved = resolve(vec![root], &search(), &|path| Ok(files.get(path).cloned()))?;
        let text = |path: &Path| path.display().to_string();
        let libraries = resolved.objects.iter().skip(1);
        Ok(libraries.map(|object| (text(&object.host), text(&object.image), object.found_by_cache_only)).collect())
    }

    fn same(path: &str) -> (String, String, bool) {
        (path.into(), path.into(), false)
    }

    #[test]
    fn breadth_first_and_each_name_once() {
        let files = [
            ("/lib/m/libc.so.6", elf(&[])),
            ("/usr/lib/m/liba.so", elf(&["libc.so.6", "libb.so"])),
            ("/lib/m/libb.so", elf(&["liba.so"])),
        ];
        let found = run(program("/bin/p", "/bin/p", elf(&["liba.so", "libc.so.6"])), &files).unwrap();
        assert_eq!(found, [same("/usr/lib/m/liba.so"), same("/lib/m/libc.so.6"), same("/lib/m/libb.so")]);
    }

    #[test]
    fn origin_follows_the_program_into_the_image() {
        let files = [("/build/lib/liba.so", elf(&["libb.so"])), ("/lib/m/libb.so", elf(&[]))];
        for directory in ["$ORIGIN/../lib", "${ORIGIN}/../lib"] {
            let root = program("/build/bin/p", "/app/bin/p", with_runpath(&["liba.so"], directory));
            let found = run(root, &files).unwrap();
            assert_eq!(found[0], ("/build/lib/liba.so".into(), "/app/lib/liba.so".into(), false));
            assert_eq!(found[1], same("/lib/m/libb.so"));
        }
    }

    #[test]
    fn runpath_counts_for_its_own_object_and_rpath_for_those_below() {
        let files = [("/x/liba.so", elf(&["libb.so"])), ("/x/libb.so", elf(&[]))];
        let found = run(program("/bin/p", "/bin/p", with_rpath(&["liba.so"], "/x")), &files).unwrap();
        assert_eq!(found, [same("/x/liba.so"), same("/x/libb.so")]);
        let error = run(program("/bin/p", "/bin/p", with_runpath(&["liba.so"], "/x")), &files).unwrap_err();
        assert_eq!(error.to_string(), "library libb.so needed by /x/liba.so not found");
    }

    #[test]
    fn files_of_another_machine_are_passed_over() {
        let other = Elf { machine: Machine { number: 3, ..MACHINE }, ..elf(&[]) };
        let files = [("/x/liba.so", other), ("/usr/lib/m/liba.so", elf(&[]))];
        let found = run(program("/bin/p", "/bin/p", with_runpath(&["liba.so"], "/x")), &files).unwrap();
        assert_eq!(found, [same("/usr/lib/m/liba.so")]);
    }

    #[test]
    fn a_name_already_loaded_under_its_soname_is_not_searched() {
        let files = [("/lib/m/libreal.so.2", Elf { soname: Some("libalias.so".into()), ..elf(&["libalias.so"]) })];
        let found = run(program("/bin/p", "/bin/p", elf(&["libreal.so.2", "libalias.so"])), &files).unwrap();
        assert_eq!(found, [same("/lib/m/libreal.so.2")]);
    }

    #[test]
    fn only_the_cache_knows_some_directories() {
        let files = [("/opt/q/libq.so.1", elf(&[]))];
        let found = run(program("/bin/p", "/bin/p", elf(&["libq.so.1"])), &files).unwrap();
        assert_eq!(found, [("/opt/q/libq.so.1".into(), "/opt/q/libq.so.1".into(), true)]);
    }

    #[test]
    fn nodeflib_leaves_out_the_defaults_and_a_path_is_taken_as_it_is() {
        let files = [("/lib/m/libc.so.6", elf(&[])), ("/opt/z.so", elf(&[]))];
        let strict = Elf { no_default_libraries: true, ..elf(&["libc.so.6"]) };
        assert!(run(program("/bin/p", "/bin/p", strict), &files).is_err());
        let found = run(program("/opt/bin/p", "/opt/bin/p", elf(&["$ORIGIN/../z.so"])), &files).unwrap();
        assert_eq!(found, [same("/opt/z.so")]);
    }

    #[test]
    fn directories_that_cannot_be_known_are_reported() {
        let files: BTreeMap<PathBuf, Elf> = [("/lib/m/liba.so".into(), elf(&[]))].into();
        let root = program("/bin/p", "/bin/p", with_runpath(&["liba.so"], "/x/$LIB"));
        let resolved = resolve(vec![root], &search(), &|path| Ok(files.get(path).cloned())).unwrap();
        assert_eq!(resolved.unknown_directories.len(), 1);
        assert_eq!(resolved.unknown_directories[0].directory, "/x/$LIB");
    }
}
