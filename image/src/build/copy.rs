//! `COPY` and `WORKDIR`: a layer of what they add, as the root file system below makes of it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::directory::{Directory, Found, Identity, Kind};
use crate::dockerfile::{Ignore, Pattern};
use crate::error::{Error, Result};
use crate::layer::{Builder, Metadata, Source};

/// What shall be copied.
#[derive(Debug)]
pub(super) struct Copy<'c> {
    pub(super) from: &'c Directory,
    /// What of `from` does not exist.
    pub(super) ignore: Option<&'c Ignore>,
    pub(super) to: &'c Directory,
    pub(super) sources: &'c [String],
    /// Absolute.
    pub(super) target: &'c str,
    /// Instead of each source's own; parents that are made are root's otherwise.
    pub(super) owner: Option<(u64, u64)>,
    /// Instead of each source's own.
    pub(super) mode: Option<u32>,
}

#[derive(Debug)]
enum Item<'c> {
    /// A directory, and the one whose attributes it has.
    Directory(Metadata, Option<(&'c Directory, PathBuf)>),
    /// A file, by which it is told from others, and where it is.
    File(Metadata, Option<Identity>, PathBuf),
    Symlink(PathBuf, (u64, u64)),
}

/// The layer that a copy makes.
///
/// # Errors
/// A source that matches nothing, and one that is neither file, directory nor link.
pub(super) fn layer(copy: &Copy<'_>, mtime: u64) -> Result<Builder> {
    let found = sources(copy)?;
    let names_directory = copy.target.ends_with('/') || copy.target.ends_with("/.");
    if found.len() > 1 && !names_directory {
        return Err(invalid(copy.target, "must end with a slash, because there are several sources"));
    }
    let target = copy.to.resolve(Path::new(copy.target))?;
    let existing = copy.to.examine(&target)?;
    let is_directory = names_directory || existing.is_some_and(|found| found.kind == Kind::Directory);
    let mut layer = Layer { copy, items: BTreeMap::new() };
    for path in found {
        let real = copy.from.resolve(&path)?;
        let what = copy.from.examine(&real)?.ok_or_else(|| missing(&path))?;
        match what.kind {
            Kind::Directory if existing.is_some_and(|found| found.kind != Kind::Directory) => {
                return Err(invalid(copy.target, "is no directory, and a directory is copied to it"));
            }
            Kind::Directory => layer.contents(&path, &real, &target)?,
            _ if is_directory => {
                let name = path.file_name().ok_or_else(|| invalid(copy.target, "needs a source with a name"))?;
                layer.object(&real, what, &target.join(name))?;
            }
            _ => layer.object(&real, what, &target)?,
        }
    }
    layer.build(mtime)
}

/// The layer that makes a directory; `None` where it is already.
pub(super) fn directory(to: &Directory, path: &str, mtime: u64) -> Result<Option<Builder>> {
    let path = to.resolve(Path::new(path))?;
    match to.examine(&path)? {
        Some(found) if found.kind == Kind::Directory => Ok(None),
        Some(_) => Err(invalid(&path.display().to_string(), "is no directory")),
        None => {
            let copy = Copy { from: to, ignore: None, to, sources: &[], target: "/", owner: None, mode: None };
            let mut layer = Layer { copy: &copy, items: BTreeMap::new() };
            layer.parents(&path.join("."))?;
            layer.new_directory(&path)?;
            layer.build(mtime).map(Some)
        }
    }
}

fn invalid(value: &str, reason: &'static str) -> Error {
    Error::Invalid { field: "target", value: value.to_owned(), reason }
}

fn missing(path: &Path) -> Error {
    Error::NotFound { object: format!("source {}", path.display()) }
}

/// Every path that the sources stand for, in order.
fn sources(copy: &Copy<'_>) -> Result<Vec<PathBuf>> {
    let is_there = |path: &Path| copy.ignore.is_none_or(|ignore| !ignore.ignores(&path.to_string_lossy()));
    let mut found = Vec::new();
    for text in copy.sources {
        let cleaned = clean(text);
        let pattern = Pattern::parse(&cleaned).map_err(|_| {
            let reason = "is no pattern";
            Error::Invalid { field: "source", value: text.clone(), reason }
        })?;
        let before = found.len();
        if let Some(plain) = pattern.plain() {
            let path = PathBuf::from(plain);
            let there = copy.from.examine(&copy.from.resolve(&path)?)?;
            let is_directory = there.is_some_and(|found| found.kind == Kind::Directory);
            // An ignored directory may hold what is not ignored.
            let may_hold = is_directory && copy.ignore.is_some_and(Ignore::has_exceptions);
            if there.is_some() && (path.as_os_str().is_empty() || is_there(&path) || may_hold) {
                found.push(path);
            }
        } else {
            matching(copy.from, &pattern, &mut found)?;
            found.retain(|path| is_there(path));
        }
        if found.len() == before {
            return Err(Error::NotFound { object: format!("source {text}") });
        }
    }
    Ok(found)
}

fn matching(from: &Directory, pattern: &Pattern, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut ahead = vec![PathBuf::new()];
    while let Some(directory) = ahead.pop() {
        let depth = directory.components().count() + 1;
        for name in from.list(&directory)? {
            let path = directory.join(name);
            let text = path.to_string_lossy();
            let names: Vec<&str> = text.split('/').collect();
            if depth == pattern.len() && pattern.matches(&names) {
                found.push(path);
            } else if depth < pattern.len() && from.examine(&path)?.is_some_and(|it| it.kind == Kind::Directory) {
                ahead.push(path);
            }
        }
    }
    found.sort();
    Ok(())
}

/// Without what would climb out, which stops at the top.
fn clean(text: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in text.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join("/")
}

struct Layer<'c> {
    copy: &'c Copy<'c>,
    items: BTreeMap<PathBuf, Item<'c>>,
}

impl Layer<'_> {
    /// What a directory holds goes into another, whose own owner and mode stay.
    fn contents(&mut self, named: &Path, from: &Path, to: &Path) -> Result<()> {
        self.parents(&to.join("."))?;
        self.new_directory(to)?;
        // The context calls it by another name than a link's target has.
        let mut ahead = vec![(named.to_owned(), from.to_owned(), to.to_owned())];
        while let Some((named, from, to)) = ahead.pop() {
            for name in self.copy.from.list(&from)? {
                let (named, from, to) = (named.join(&name), from.join(&name), to.join(&name));
                let ignored = self.copy.ignore.is_some_and(|ignore| ignore.ignores(&named.to_string_lossy()));
                // What went away meanwhile was never there.
                let Some(what) = self.copy.from.examine(&from)? else { continue };
                let is_directory = what.kind == Kind::Directory;
                if ignored && !(is_directory && self.copy.ignore.is_some_and(Ignore::has_exceptions)) {
                    continue;
                }
                if !is_directory {
                    self.object(&from, what, &to)?;
                    continue;
                }
                // A link to a directory in the image stays one: `/lib` of a merged `/usr`.
                let to = if self.copy.to.examine(&to)?.is_some_and(|it| it.kind == Kind::Symlink) {
                    self.copy.to.resolve(&to)?
                } else {
                    to
                };
                if !ignored {
                    self.parents(&to)?;
                    let item = Item::Directory(self.metadata(what), Some((self.copy.from, from.clone())));
                    self.items.insert(to.clone(), item);
                }
                ahead.push((named, from, to));
            }
        }
        Ok(())
    }

    fn object(&mut self, from: &Path, what: Found, to: &Path) -> Result<()> {
        self.parents(to)?;
        let item = match what.kind {
            Kind::File => Item::File(self.metadata(what), what.identity, from.to_owned()),
            Kind::Symlink => {
                let Metadata { uid, gid, .. } = self.metadata(what);
                Item::Symlink(self.copy.from.read_link(from)?, (uid, gid))
            }
            Kind::Directory => Item::Directory(self.metadata(what), Some((self.copy.from, from.to_owned()))),
            Kind::Special => return Err(Error::NotRegularFile { path: from.to_owned() }),
        };
        self.items.insert(to.to_owned(), item);
        Ok(())
    }

    fn metadata(&self, what: Found) -> Metadata {
        let (uid, gid) = self.copy.owner.unwrap_or((what.uid, what.gid));
        Metadata { mode: self.copy.mode.unwrap_or(what.mode), uid, gid }
    }

    /// Directories above a path: those of the image as they are there.
    fn parents(&mut self, path: &Path) -> Result<()> {
        let above: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
        for directory in above.into_iter().filter(|path| !path.as_os_str().is_empty()) {
            self.new_directory(&directory)?;
        }
        Ok(())
    }

    fn new_directory(&mut self, path: &Path) -> Result<()> {
        if path.as_os_str().is_empty() || matches!(self.items.get(path), Some(Item::Directory(..))) {
            return Ok(());
        }
        let (uid, gid) = self.copy.owner.unwrap_or((0, 0));
        let item = match self.copy.to.examine(path)? {
            Some(found) if found.kind == Kind::Directory => {
                let metadata = Metadata { mode: found.mode, uid: found.uid, gid: found.gid };
                Item::Directory(metadata, Some((self.copy.to, path.to_owned())))
            }
            Some(_) => return Err(invalid(&path.display().to_string(), "is no directory")),
            None => Item::Directory(Metadata { mode: 0o755, uid, gid }, None),
        };
        self.items.insert(path.to_owned(), item);
        Ok(())
    }

    fn build(self, mtime: u64) -> Result<Builder> {
        let mut layer = Builder::new(mtime);
        // Names of one file that are copied together stay names of one file.
        let mut first: HashMap<Identity, PathBuf> = HashMap::new();
        for (path, item) in self.items {
            match item {
                Item::Directory(metadata, from) => {
                    layer.directory(&path, metadata)?;
                    if let Some((directory, from)) = from {
                        attributes(&mut layer, &path, directory, &from)?;
                    }
                }
                Item::File(metadata, identity, from) => {
                    if let Some(known) = identity.and_then(|identity| first.get(&identity)) {
                        layer.hard_link(&path, known)?;
                        continue;
                    }
                    let source = Source::Beneath { root: self.copy.from.descriptor(), path: from.clone() };
                    layer.file(&path, metadata, source)?;
                    attributes(&mut layer, &path, self.copy.from, &from)?;
                    if let Some(identity) = identity {
                        first.insert(identity, path);
                    }
                }
                Item::Symlink(target, owner) => layer.symlink_of(path, target, owner)?,
            }
        }
        Ok(layer)
    }
}

fn attributes(layer: &mut Builder, path: &Path, directory: &Directory, from: &Path) -> Result<()> {
    let found = directory.attributes(from)?;
    if found.is_empty() { Ok(()) } else { layer.extended_attributes(path, found) }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;
    use crate::media_type::Codec;

    struct Case {
        folder: tempfile::TempDir,
        from: Directory,
        to: Directory,
        owner: (u64, u64),
    }

    impl Case {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (from, to) = (folder.path().join("from"), folder.path().join("to"));
            fs::create_dir_all(from.join("d/e")).unwrap();
            fs::create_dir_all(to.join("usr/lib")).unwrap();
            fs::create_dir(to.join("tmp")).unwrap();
            for name in ["a", "b.c", "d/x", "d/e/y.c"] {
                fs::write(from.join(name), name).unwrap();
                fs::set_permissions(from.join(name), Permissions::from_mode(0o640)).unwrap();
            }
            symlink("a", from.join("link")).unwrap();
            symlink("../a", from.join("d/up")).unwrap();
            symlink("usr/lib", to.join("lib")).unwrap();
            fs::set_permissions(to.join("tmp"), Permissions::from_mode(0o1777)).unwrap();
            let status = fs::metadata(&to).unwrap();
            let owner = (status.uid().into(), status.gid().into());
            let open = |path: &Path| Directory::new(File::open(path).unwrap().into(), path.display().to_string());
            Self { from: open(&from), to: open(&to), folder, owner }
        }

        fn copy(&self, ignore: &str, sources: &[&str], target: &str) -> Result<Vec<String>> {
            let ignore = Ignore::parse(ignore).unwrap();
            let sources: Vec<String> = sources.iter().map(|source| (*source).to_owned()).collect();
            let (from, to, owner) = (&self.from, &self.to, Some(self.owner));
            let copy = Copy { from, ignore: Some(&ignore), to, sources: &sources, target, owner, mode: None };
            layer(&copy, 7).map(|layer| lines(&layer))
        }
    }

    fn lines(layer: &Builder) -> Vec<String> {
        let mut blob = Vec::new();
        layer.write(&mut blob, Codec::None).unwrap();
        let mut archive = tar::Archive::new(&blob[..]);
        let line = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let entry = entry.unwrap();
            let header = entry.header();
            let link = entry.link_name().unwrap().map_or(String::new(), |link| format!(" -> {}", link.display()));
            format!("{:o} {}{link}", header.mode().unwrap(), entry.path().unwrap().display())
        };
        archive.entries().unwrap().map(line).collect()
    }

    #[test]
    fn files_go_where_a_shell_would_put_them() {
        let case = Case::new();
        let copy = |sources: &[&str], target: &str| case.copy("", sources, target).unwrap();
        assert_eq!(copy(&["a"], "/n"), ["640 n"]);
        assert_eq!(copy(&["/a"], "/new/"), ["755 new/", "640 new/a"]);
        assert_eq!(copy(&["a"], "/tmp"), ["1777 tmp/", "640 tmp/a"]);
        assert_eq!(copy(&["../../a"], "/lib/n"), ["755 usr/", "755 usr/lib/", "640 usr/lib/n"]);
        assert_eq!(copy(&["link"], "/n"), ["640 n"]);
        assert_eq!(copy(&["*.c", "a"], "/"), ["640 a", "640 b.c"]);
        assert_eq!(copy(&["d"], "/q"), ["755 q/", "755 q/e/", "640 q/e/y.c", "777 q/up -> ../a", "640 q/x"]);
        assert_eq!(copy(&["d/*"], "/"), ["777 a", "640 x", "640 y.c"].map(|line| line.replace("777 a", "640 up")));
    }

    #[test]
    fn a_link_to_a_directory_of_the_image_stays() {
        let case = Case::new();
        fs::create_dir_all(case.folder.path().join("from/t/lib")).unwrap();
        fs::write(case.folder.path().join("from/t/lib/so"), "").unwrap();
        let lines = case.copy("", &["t"], "/").unwrap();
        assert_eq!(lines.iter().filter(|line| line.contains("lib")).count(), 2, "{lines:?}");
        assert!(lines.iter().any(|line| line.ends_with(" usr/lib/so")), "{lines:?}");
    }

    #[test]
    fn what_is_ignored_is_not_there() {
        let case = Case::new();
        let lines = case.copy("**/*.c\nd\n!d/x\n", &["."], "/o").unwrap();
        let paths: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').nth(1)).collect();
        assert_eq!(paths, ["o/", "o/a", "o/d/", "o/d/x", "o/link"]);
        for (sources, target, reason) in [
            (&["absent"][..], "/n", "source absent not found"),
            (&["b.c"], "/n", "source b.c not found"),
            (&["*.none"], "/n", "source *.none not found"),
            (&["[a"], "/n", "is no pattern"),
            (&["a", "link"], "/n", "must end with a slash"),
            (&["a"], "/tmp/../lib/", ""),
        ] {
            match case.copy("b.c", sources, target) {
                Ok(_) => assert!(reason.is_empty(), "{sources:?}"),
                Err(error) => assert!(!reason.is_empty() && error.to_string().contains(reason), "{error}"),
            }
        }
    }

    #[test]
    fn names_of_one_file_stay_that() {
        let case = Case::new();
        let from = case.folder.path().join("from");
        fs::hard_link(from.join("a"), from.join("d/z")).unwrap();
        fs::hard_link(from.join("a"), from.join("d/0")).unwrap();
        let lines = case.copy("", &["d"], "/q").unwrap();
        assert_eq!(lines[1..], ["640 q/0", "755 q/e/", "640 q/e/y.c", "777 q/up -> ../a", "640 q/x", "640 q/z -> q/0"]);
        // Alone, each is a file.
        assert_eq!(case.copy("", &["d/z"], "/n").unwrap(), ["640 n"]);
    }

    #[test]
    fn attributes_go_along_unless_they_are_this_machines() {
        let case = Case::new();
        let from = case.folder.path().join("from");
        let set = |path: &str, name: &str| {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(from.join(path), name, b"\0v", flags).is_ok()
        };
        // What a file system for temporary files takes depends on the kernel and on the user.
        let names: Vec<&str> = ["user.k", "trusted.k"].into_iter().filter(|name| set("d/x", name)).collect();
        set("d/x", "trusted.overlay.opaque");
        set("d", "user.overlay.opaque");
        let kept = case.from.attributes(Path::new("d/x")).unwrap();
        assert_eq!(kept.keys().map(|name| std::str::from_utf8(name).unwrap()).collect::<Vec<_>>(), {
            let mut names = names.clone();
            names.sort_unstable();
            names
        });
        assert!(case.from.attributes(Path::new("d")).unwrap().is_empty());
        let sources = ["d".to_owned()];
        let copy = Copy {
            from: &case.from,
            ignore: None,
            to: &case.to,
            sources: &sources,
            target: "/q",
            owner: None,
            mode: None,
        };
        let mut blob = Vec::new();
        layer(&copy, 7).unwrap().write(&mut blob, Codec::None).unwrap();
        let mut archive = tar::Archive::new(&blob[..]);
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            for extension in entry.pax_extensions().unwrap().into_iter().flatten() {
                let extension = extension.unwrap();
                assert_eq!((path.as_str(), extension.value_bytes()), ("q/x", &b"\0v"[..]));
                found.push(extension.key().unwrap().to_owned());
            }
        }
        found.sort();
        assert_eq!(
            found,
            kept.keys().map(|name| format!("SCHILY.xattr.{}", std::str::from_utf8(name).unwrap())).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_directory_is_made_once() {
        let case = Case::new();
        let made = directory(&case.to, "/tmp/w/x", 0).unwrap().unwrap();
        assert_eq!(lines(&made), ["1777 tmp/", "755 tmp/w/", "755 tmp/w/x/"]);
        assert!(directory(&case.to, "/lib", 0).unwrap().is_none());
    }
}
