//! A plain model of a root file system and of what applying a layer means.
//!
//! It holds everything in memory and does one thing after the other, so that it is easy to see that it is right. The
//! parts that work on disk are tested against it; it shares with them only the values and the spelling of deletions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::diff::Change;
use crate::entry::{Entry, Kind, Metadata};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::limits::{Limit, Limits};
use crate::path::SafePath;
use crate::whiteout::{self, Marker};

/// A whole tree of files in memory.
///
/// ```
/// use windlass_overlay::{Change, Entry, Kind, Metadata, Tree};
///
/// let file = Entry { path: "etc/motd".parse()?, kind: Kind::File { size: 2 }, metadata: Metadata::default() };
/// let mut tree = Tree::new();
/// tree.apply([(Change::Put(file), b"hi"[..].into())])?;
/// assert_eq!(tree.content(&"etc/motd".parse()?), Some(&b"hi"[..]));
/// tree.apply([(Change::Delete("etc".parse()?), [][..].into())])?;
/// assert_eq!(tree.content(&"etc/motd".parse()?), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tree {
    /// Every path but the root, with the number of what it names.
    names: BTreeMap<SafePath, usize>,
    objects: BTreeMap<usize, Object>,
    root: Metadata,
    next: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Object {
    kind: Kind,
    metadata: Metadata,
    content: Arc<[u8]>,
}

/// What the layer being applied has done so far.
#[derive(Debug, Default)]
struct Layer {
    /// Paths that it put there, and all directories above those.
    touched: BTreeSet<SafePath>,
    /// Directories that an entry named.
    named: BTreeSet<SafePath>,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        self.entries() == other.entries()
    }
}

impl Eq for Tree {}

impl Tree {
    /// An empty root.
    pub fn new() -> Self {
        Self { names: BTreeMap::new(), objects: BTreeMap::new(), root: unnamed(), next: 0 }
    }

    /// Everything, by path, the root first; a later name of a file is a hard link to its first one.
    pub fn entries(&self) -> Vec<(Entry, Arc<[u8]>)> {
        let mut first_names = BTreeMap::new();
        let root = Entry { path: SafePath::root(), kind: Kind::Directory, metadata: self.root.clone() };
        let mut entries = vec![(root, Arc::default())];
        for (path, number) in &self.names {
            let Object { kind, metadata, content } = &self.objects[number];
            let (kind, content) = match first_names.get(number) {
                Some(first) => (Kind::HardLink(SafePath::clone(first)), Arc::default()),
                None => (kind.clone(), content.clone()),
            };
            first_names.entry(*number).or_insert_with(|| path.clone());
            entries.push((Entry { path: path.clone(), kind, metadata: metadata.clone() }, content));
        }
        entries
    }

    /// The bytes of a file; `None` for anything else.
    pub fn content(&self, path: &SafePath) -> Option<&[u8]> {
        let object = &self.objects[self.names.get(path)?];
        matches!(object.kind, Kind::File { .. }).then_some(&*object.content)
    }

    /// Applies one layer as its archive spells it: deletions are files called `.wh.NAME`.
    ///
    /// # Errors
    /// [`Error::Archive`] at offset 0 for a wrong whiteout or link, [`Error::LinkTarget`], [`Error::LimitExceeded`] for
    /// symbolic links in a circle; the tree then holds a part of the layer.
    pub fn apply_archive(&mut self, layer: impl IntoIterator<Item = (Entry, Arc<[u8]>)>) -> Result<()> {
        let changes = layer.into_iter().filter_map(|(entry, content)| {
            match whiteout::marker(&entry).map_err(|fault| Error::archive(0, fault)) {
                Ok(None) => Some(Ok((Change::Put(entry), content))),
                Ok(Some(Marker::Whiteout(path))) => Some(Ok((Change::Delete(path), content))),
                Ok(Some(Marker::Opaque(path))) => Some(Ok((Change::Opaque(path), content))),
                Ok(Some(Marker::AufsPrivate)) => None,
                Err(error) => Some(Err(error)),
            }
        });
        let mut layer = Layer::default();
        for change in changes {
            let (change, content) = change?;
            self.change(&mut layer, change, content)?;
        }
        Ok(())
    }

    /// Applies one layer; errors as [`Tree::apply_archive`].
    pub fn apply(&mut self, layer: impl IntoIterator<Item = (Change, Arc<[u8]>)>) -> Result<()> {
        let mut state = Layer::default();
        for (change, content) in layer {
            self.change(&mut state, change, content)?;
        }
        Ok(())
    }

    fn change(&mut self, layer: &mut Layer, change: Change, content: Arc<[u8]>) -> Result<()> {
        match change {
            Change::Put(entry) => self.put(layer, entry, content),
            Change::Delete(path) => {
                let path = self.place(layer, &path)?;
                self.delete(layer, &path);
                Ok(())
            }
            Change::Opaque(path) => {
                let path = self.resolve(layer, &path)?;
                self.keep_touched(layer, &path);
                Ok(())
            }
        }
    }

    fn put(&mut self, layer: &mut Layer, entry: Entry, content: Arc<[u8]>) -> Result<()> {
        if entry.path.is_root() {
            if entry.kind != Kind::Directory {
                return Err(Error::archive(0, Fault::Root));
            }
            self.root = entry.metadata;
            return Ok(());
        }
        if let Kind::HardLink(target) = &entry.kind {
            return self.link(layer, &entry.path, target);
        }
        let path = self.place(layer, &entry.path)?;
        let object = Object { kind: entry.kind, metadata: entry.metadata, content };
        if object.kind == Kind::Directory {
            layer.named.insert(path.clone());
            if let Some(existing) = self.directory(&path) {
                existing.metadata = object.metadata;
                touch(layer, &path);
                return Ok(());
            }
        }
        let is_directory = object.kind == Kind::Directory;
        self.remove(layer, &path);
        if is_directory {
            layer.named.insert(path.clone());
        }
        self.insert(layer, path, object);
        Ok(())
    }

    fn link(&mut self, layer: &mut Layer, path: &SafePath, target: &SafePath) -> Result<()> {
        let unlinkable = || Error::archive(0, Fault::HardLink);
        if target.is_root() {
            return Err(unlinkable());
        }
        let from = self.place(layer, target)?;
        let to = self.place(layer, path)?;
        let missing = || Error::LinkTarget { path: path.clone(), target: target.clone() };
        let number = *self.names.get(&from).ok_or_else(missing)?;
        if self.objects[&number].kind == Kind::Directory || from.starts_with(&to) {
            return Err(unlinkable());
        }
        self.remove(layer, &to);
        self.names.insert(to.clone(), number);
        touch(layer, &to);
        Ok(())
    }

    /// What this layer put there stays; all else at the path goes.
    fn delete(&mut self, layer: &mut Layer, path: &SafePath) {
        if !layer.touched.contains(path) {
            self.remove(layer, path);
            return;
        }
        if self.directory(path).is_some() {
            self.keep_touched(layer, path);
            self.renew(layer, path);
        }
    }

    fn keep_touched(&mut self, layer: &mut Layer, directory: &SafePath) {
        let gone =
            |path: &&SafePath| path.starts_with(directory) && *path != directory && !layer.touched.contains(*path);
        let gone: Vec<SafePath> = self.names.keys().filter(gone).cloned().collect();
        for path in gone {
            self.remove(layer, &path);
        }
        let kept = |path: &&SafePath| path.starts_with(directory) && *path != directory;
        let kept: Vec<SafePath> = self.names.keys().filter(kept).cloned().collect();
        for path in kept {
            self.renew(layer, &path);
        }
    }

    /// A directory that this layer uses and does not name is a new one once the lower layers' is deleted.
    fn renew(&mut self, layer: &Layer, path: &SafePath) {
        if let Some(directory) = self.directory(path).filter(|_| !layer.named.contains(path)) {
            directory.metadata = unnamed();
        }
    }

    /// The path that a name really has: symbolic links above it followed, directories above it made.
    fn place(&mut self, layer: &mut Layer, path: &SafePath) -> Result<SafePath> {
        let parent = path.parent().expect("the root is dealt with before");
        let name = path.file_name().expect("a path with a parent has a name");
        Ok(self.resolve(layer, &parent)?.join(name).expect("a part of a path is a name"))
    }

    /// Follows symbolic links as inside a container; what is missing, or is no directory, becomes one.
    fn resolve(&mut self, layer: &mut Layer, path: &SafePath) -> Result<SafePath> {
        let mut ahead: VecDeque<Box<[u8]>> = path.components().map(Into::into).collect();
        let mut here = SafePath::root();
        let mut followed = 0;
        let links_max = Limits::default().links_followed;
        while let Some(part) = ahead.pop_front() {
            match &*part {
                b"" | b"." => continue,
                b".." => {
                    here = here.parent().unwrap_or_default();
                    continue;
                }
                _ => {}
            }
            let below = here.join(&part).map_err(|error| Error::archive(0, Fault::Path(error)))?;
            let kind = self.names.get(&below).map(|number| self.objects[number].kind.clone());
            match kind {
                Some(Kind::Directory) => here = below,
                Some(Kind::Symlink(target)) => {
                    followed += 1;
                    if followed > links_max {
                        return Err(Error::LimitExceeded { limit: Limit::LinksFollowed, max: links_max as u64 });
                    }
                    if target.starts_with(b"/") {
                        here = SafePath::root();
                    }
                    for part in target.split(|byte| *byte == b'/').rev() {
                        ahead.push_front(part.into());
                    }
                }
                _ => {
                    self.remove(layer, &below);
                    let directory = Object { kind: Kind::Directory, metadata: unnamed(), content: Arc::default() };
                    self.insert(layer, below.clone(), directory);
                    here = below;
                }
            }
        }
        touch(layer, &here);
        Ok(here)
    }

    fn directory(&mut self, path: &SafePath) -> Option<&mut Object> {
        let number = self.names.get(path)?;
        self.objects.get_mut(number).filter(|object| object.kind == Kind::Directory)
    }

    fn insert(&mut self, layer: &mut Layer, path: SafePath, object: Object) {
        touch(layer, &path);
        self.objects.insert(self.next, object);
        self.names.insert(path, self.next);
        self.next += 1;
    }

    fn remove(&mut self, layer: &mut Layer, path: &SafePath) {
        self.names.retain(|name, _| !name.starts_with(path));
        layer.touched.retain(|name| !name.starts_with(path));
        layer.named.retain(|name| !name.starts_with(path));
    }

    /// Every path, with all paths of the same file.
    fn groups(&self) -> BTreeMap<&SafePath, Vec<&SafePath>> {
        let mut by_number: BTreeMap<usize, Vec<&SafePath>> = BTreeMap::new();
        for (path, number) in &self.names {
            by_number.entry(*number).or_default().push(path);
        }
        self.names.iter().map(|(path, number)| (path, by_number[number].clone())).collect()
    }
}

fn touch(layer: &mut Layer, path: &SafePath) {
    let mut path = Some(path.clone());
    while let Some(here) = path.filter(|path| !path.is_root()) {
        path = here.parent();
        layer.touched.insert(here);
    }
}

/// The metadata of a directory that no entry names.
fn unnamed() -> Metadata {
    Metadata { mode: 0o755, ..Metadata::default() }
}

/// The layer that makes `lower` into `upper`: applying it to `lower` gives `upper`.
///
/// The order is by path. A file whose metadata, content or set of names changed is put whole, with all its names.
pub fn diff(lower: &Tree, upper: &Tree) -> Vec<(Change, Arc<[u8]>)> {
    let mut changes = Vec::new();
    if lower.root != upper.root {
        let root = Entry { path: SafePath::root(), kind: Kind::Directory, metadata: upper.root.clone() };
        changes.push((Change::Put(root), Arc::default()));
    }
    let object = |tree: &Tree, path: &SafePath| tree.names.get(path).map(|number| tree.objects[number].clone());
    let is_directory = |object: &Option<Object>| object.as_ref().is_some_and(|object| object.kind == Kind::Directory);
    let (lower_groups, upper_groups) = (lower.groups(), upper.groups());
    let paths: BTreeSet<&SafePath> = lower.names.keys().chain(upper.names.keys()).collect();
    for path in paths {
        let (before, after) = (object(lower, path), object(upper, path));
        let Some(after) = after else {
            let parent = path.parent().filter(|parent| !parent.is_root());
            let stays = parent.is_none_or(|parent| is_directory(&object(upper, &parent)));
            if stays {
                changes.push((Change::Delete(path.clone()), Arc::default()));
            }
            continue;
        };
        let names = &upper_groups[path];
        if before.as_ref() == Some(&after) && (after.kind == Kind::Directory || lower_groups.get(path) == Some(names)) {
            continue;
        }
        let is_first = names[0] == path;
        let kind = if is_first { after.kind } else { Kind::HardLink(names[0].clone()) };
        let content = if is_first { after.content } else { Arc::default() };
        changes.push((Change::Put(Entry { path: path.clone(), kind, metadata: after.metadata }), content));
    }
    changes
}

#[cfg(test)]
mod tests;
