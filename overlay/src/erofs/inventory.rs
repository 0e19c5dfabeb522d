//! What a layer, or a chain of layers, will show: every object with its names, before anything is written.
//!
//! The meaning of an archive is that of [`crate::apply()`] on disk; the property tests compare both with the model.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::entry::{DeviceKind, DeviceNumber, Entry, Kind, Timestamp};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::limits::Limit;
use crate::path::SafePath;
use crate::subtree::{Placed, remove_subtree};
use crate::unfinished::Unfinished;
use crate::whiteout::{XattrNamespace, is_overlay_xattr};

/// The place of an object in the inventory.
pub(super) type Number = usize;

const ROOT: Number = 0;

/// The name and value of an extended attribute.
pub(crate) type Attribute = (Box<[u8]>, Box<[u8]>);

/// Owner, mode, time and extended attributes of an object, as they will be in the image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Attributes {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Timestamp,
    pub(crate) xattrs: Vec<Attribute>,
}

/// A stretch of a file, in one of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where it is in the file.
    pub(crate) file: u64,
    /// Where it is in the image.
    pub(crate) image: u64,
    pub(crate) length: u64,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data {
    /// All in one stretch, from the start of a block on.
    Whole(u64),
    /// In pieces, with holes between them or off the blocks.
    Pieces(Vec<Piece>),
}

/// What an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Object {
    Directory(BTreeMap<Box<[u8]>, Number>),
    /// Its bytes are in the layer of this number, counted from the bottom.
    File {
        size: u64,
        data: Data,
        layer: usize,
    },
    Symlink(Box<[u8]>),
    Device(DeviceKind, DeviceNumber),
    Fifo,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) object: Object,
    pub(super) attributes: Attributes,
}

/// Where an entry goes.
#[derive(Debug, Clone)]
struct Place {
    parent: Number,
    name: Box<[u8]>,
    /// Without any symbolic link.
    path: SafePath,
}

/// A tree that layers are put into.
#[derive(Debug)]
pub(crate) struct Inventory {
    pub(super) nodes: Vec<Node>,
    /// `None` where deletions are executed.
    overlay: Option<XattrNamespace>,
    /// Owner of directories that no entry names.
    root_owner: (u32, u32),
    links_max: usize,
    recent: Option<(SafePath, Number, SafePath)>,
    /// What the current layer put there; only where deletions are executed.
    placed: Placed,
    /// Directories whose metadata is the current layer's.
    dressed: BTreeSet<SafePath>,
    unfinished: Unfinished,
    layer: usize,
}

impl Inventory {
    pub(crate) fn new(overlay: Option<XattrNamespace>, root_owner: (u32, u32), links_max: usize) -> Self {
        let mut unfinished = Unfinished::default();
        if overlay.is_some() {
            unfinished.parents.insert(SafePath::root());
        }
        let root = Node { object: Object::Directory(BTreeMap::new()), attributes: unnamed(root_owner) };
        Self {
            nodes: vec![root],
            overlay,
            root_owner,
            links_max,
            recent: None,
            placed: Placed::default(),
            dressed: BTreeSet::new(),
            unfinished,
            layer: 0,
        }
    }

    /// Goes on with the next layer of a chain.
    pub(crate) fn next_layer(&mut self) {
        self.recent = None;
        self.placed.clear();
        self.dressed.clear();
        self.layer += 1;
    }

    /// What stacking has to finish.
    pub(crate) fn take_unfinished(&mut self) -> Unfinished {
        std::mem::take(&mut self.unfinished)
    }

    /// Puts what an entry says, a hard link excepted.
    pub(crate) fn put(&mut self, entry: &Entry, attributes: Attributes, data: Data) -> Result<()> {
        let object = match &entry.kind {
            Kind::Directory => return self.directory(&entry.path, attributes),
            Kind::HardLink(_) => unreachable!("a hard link has a call of its own"),
            Kind::File { size } => Object::File { size: *size, data, layer: self.layer },
            Kind::Symlink(target) => Object::Symlink(target.clone()),
            Kind::Device(kind, number) => Object::Device(*kind, *number),
            Kind::Fifo => Object::Fifo,
        };
        let place = self.place(&entry.path)?;
        self.insert(&place, Node { object, attributes });
        Ok(())
    }

    fn directory(&mut self, path: &SafePath, mut attributes: Attributes) -> Result<()> {
        let (path, number) = if path.is_root() {
            (SafePath::root(), ROOT)
        } else {
            let place = self.locate(path)?;
            let found = self.found(&place);
            match found.filter(|found| self.is_directory(*found)) {
                Some(number) => (place.path, number),
                None => (place.path.clone(), self.make_directory(&place, found)),
            }
        };
        let own = std::mem::take(&mut self.nodes[number].attributes.xattrs);
        attributes.xattrs.extend(own.into_iter().filter(|(name, _)| is_overlay_xattr(name)));
        self.nodes[number].attributes = attributes;
        self.mark(&path);
        if self.unfinished.parents.remove(&path) && !path.is_root() {
            self.unfinished.passed.insert(path.clone());
        }
        self.dressed.insert(path);
        Ok(())
    }

    /// Gives an earlier file one more name, or notes that a lower layer must have it.
    pub(crate) fn hard_link(&mut self, path: &SafePath, target: &SafePath, offset: u64) -> Result<()> {
        let unlinkable = || Error::archive(offset, Fault::HardLink);
        if target.is_root() {
            return Err(unlinkable());
        }
        let from = self.locate(target)?;
        let to = self.locate(path)?;
        if from.path == to.path {
            return Err(unlinkable());
        }
        // Making the way to the second may have replaced the first.
        match self.find(&from.path) {
            Some(number) if self.is_directory(number) => return Err(unlinkable()),
            Some(number) if self.overlay.is_some() && self.is_whiteout(number) => return Err(unlinkable()),
            Some(_) => {}
            None if self.overlay.is_none() || self.is_hidden(&from.path) => {
                return Err(Error::LinkTarget { path: path.clone(), target: target.clone() });
            }
            None => {
                let target = self.unfinished.links.get(&from.path).cloned().unwrap_or(from.path);
                let place = self.place(path)?;
                self.unfinished.links.insert(place.path, target);
                return Ok(());
            }
        }
        let place = self.place(path)?;
        let number = self.find(&from.path).ok_or_else(unlinkable)?;
        self.name(&place, number);
        Ok(())
    }

    /// Deletes what lower layers have at a path; what this layer has there stays.
    pub(crate) fn whiteout(&mut self, path: &SafePath) -> Result<()> {
        let place = self.locate(path)?;
        let found = self.found(&place);
        let Some(namespace) = self.overlay else {
            match found {
                Some(_) if !self.placed.contains(&place.path) => self.remove(&place),
                Some(number) if self.is_directory(number) => {
                    self.keep_only_placed(number, &place.path);
                    self.renew(number, &place.path);
                }
                Some(_) | None => {}
            }
            return Ok(());
        };
        match found {
            None if self.unfinished.links.contains_key(&place.path) => {}
            None => {
                self.unfinished.deleting.extend(place.path.parent());
                let object = Object::Device(DeviceKind::Character, DeviceNumber { major: 0, minor: 0 });
                self.insert(&place, Node { object, attributes: Attributes::default() });
            }
            Some(number) if self.is_directory(number) => {
                self.unfinished.pass(&place.path);
                self.set_opaque(number, namespace);
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Deletes all that lower layers have in a directory; what this layer has there stays.
    pub(crate) fn opaque(&mut self, path: &SafePath) -> Result<()> {
        let (number, path) = self.resolve(path)?;
        match self.overlay {
            None => self.keep_only_placed(number, &path),
            Some(_) if path.is_root() => self.unfinished.opaque_root = true,
            Some(namespace) => {
                // The directory itself is still lent its metadata; those beneath it are not.
                let is_lent = self.unfinished.parents.remove(&path);
                self.unfinished.pass(&path);
                if is_lent {
                    self.unfinished.parents.insert(path);
                }
                self.set_opaque(number, namespace);
            }
        }
        Ok(())
    }

    /// A directory that this layer uses and does not name is a new one once the lower layers' is deleted.
    fn renew(&mut self, number: Number, path: &SafePath) {
        if self.dressed.insert(path.clone()) {
            self.nodes[number].attributes = unnamed(self.root_owner);
        }
    }

    fn keep_only_placed(&mut self, number: Number, path: &SafePath) {
        let Object::Directory(children) = &self.nodes[number].object else { return };
        let children: Vec<(Box<[u8]>, Number)> = children.iter().map(|(name, child)| (name.clone(), *child)).collect();
        for (name, child) in children {
            let below = join(path, &name);
            if !self.placed.contains(&below) {
                self.remove(&Place { parent: number, name, path: below });
            } else if self.is_directory(child) {
                self.keep_only_placed(child, &below);
                self.renew(child, &below);
            }
        }
    }

    /// The place of a new object; what has its name is removed.
    fn place(&mut self, path: &SafePath) -> Result<Place> {
        let place = self.locate(path)?;
        let found = self.found(&place);
        self.vacate(&place, found);
        self.mark(&place.path);
        Ok(place)
    }

    fn locate(&mut self, path: &SafePath) -> Result<Place> {
        let parent = path.parent().expect("the root is dealt with before");
        let name = path.file_name().expect("a path with a parent has a name");
        let (number, parent) = self.resolve(&parent)?;
        Ok(Place { parent: number, name: name.into(), path: join(&parent, name) })
    }

    /// A directory by the path that the archive uses, symbolic links followed as inside a container.
    fn resolve(&mut self, path: &SafePath) -> Result<(Number, SafePath)> {
        if path.is_root() {
            return Ok((ROOT, SafePath::root()));
        }
        if let Some((recent, number, real)) = &self.recent
            && recent == path
        {
            return Ok((*number, real.clone()));
        }
        let (number, real) = self.walk(path)?;
        self.mark(&real);
        self.recent = Some((path.clone(), number, real.clone()));
        Ok((number, real))
    }

    fn walk(&mut self, path: &SafePath) -> Result<(Number, SafePath)> {
        let mut ahead: VecDeque<Box<[u8]>> = path.components().map(Into::into).collect();
        let (mut number, mut here) = (ROOT, SafePath::root());
        let mut followed = 0;
        while let Some(part) = ahead.pop_front() {
            match &*part {
                b"" | b"." => continue,
                b".." => {
                    if self.unfinished.parents.contains(&here) && !here.is_root() {
                        self.unfinished.passed.insert(here.clone());
                    }
                    here = here.parent().unwrap_or_default();
                    number = self.find(&here).expect("the directory above was just passed");
                    continue;
                }
                _ => {}
            }
            let below = here.join(&part).map_err(|_| invalid_link(path))?;
            let place = Place { parent: number, name: part, path: below };
            let found = self.found(&place);
            match found.map(|found| &self.nodes[found].object) {
                Some(Object::Directory(_)) => number = found.expect("it is there"),
                Some(Object::Symlink(target)) => {
                    followed += 1;
                    if followed > self.links_max {
                        return Err(Error::LimitExceeded { limit: Limit::LinksFollowed, max: self.links_max as u64 });
                    }
                    if target.starts_with(b"/") {
                        (number, here) = (ROOT, SafePath::root());
                    }
                    for part in target.split(|byte| *byte == b'/').rev() {
                        ahead.push_front(part.into());
                    }
                    continue;
                }
                _ => number = self.make_parent(&place, found),
            }
            here = place.path;
        }
        Ok((number, here))
    }

    /// Makes a directory that no entry named so far.
    fn make_parent(&mut self, place: &Place, found: Option<Number>) -> Number {
        let link = self.unfinished.links.get(&place.path).cloned();
        let replaces = found.is_some() || link.is_some();
        // A lower layer's file gives way to a directory; a symbolic link would have been followed.
        self.unfinished.passed.extend(link);
        let number = self.make_directory(place, found);
        self.dressed.insert(place.path.clone());
        self.mark(&place.path);
        if self.overlay.is_some() && !replaces && !self.is_hidden(&place.path) {
            self.unfinished.parents.insert(place.path.clone());
        }
        number
    }

    /// What replaces a deletion, or anything else, does not merge with the lower layers' directory.
    fn make_directory(&mut self, place: &Place, found: Option<Number>) -> Number {
        let replaces = self.vacate(place, found);
        let attributes = unnamed(self.root_owner);
        let number = self.insert(place, Node { object: Object::Directory(BTreeMap::new()), attributes });
        if let Some(namespace) = self.overlay.filter(|_| replaces) {
            self.set_opaque(number, namespace);
        }
        number
    }

    /// Removes what is at a place, a link to a lower layer included; says whether there was anything.
    fn vacate(&mut self, place: &Place, found: Option<Number>) -> bool {
        let is_linked = self.unfinished.links.remove(&place.path).is_some();
        if found.is_some() {
            self.remove(place);
        }
        is_linked || found.is_some()
    }

    fn insert(&mut self, place: &Place, node: Node) -> Number {
        self.nodes.push(node);
        let number = self.nodes.len() - 1;
        self.name(place, number);
        number
    }

    fn name(&mut self, place: &Place, number: Number) {
        if let Object::Directory(children) = &mut self.nodes[place.parent].object {
            children.insert(place.name.clone(), number);
        }
    }

    /// What loses its last name is no more reached, and so not in the image.
    fn remove(&mut self, place: &Place) {
        self.recent = None;
        remove_subtree(&mut self.dressed, &place.path);
        self.placed.forget(&place.path);
        self.unfinished.forget(&place.path);
        if let Object::Directory(children) = &mut self.nodes[place.parent].object {
            children.remove(&place.name);
        }
    }

    fn found(&self, place: &Place) -> Option<Number> {
        match &self.nodes[place.parent].object {
            Object::Directory(children) => children.get(&place.name).copied(),
            _ => None,
        }
    }

    /// What has a path, no symbolic link followed.
    fn find(&self, path: &SafePath) -> Option<Number> {
        path.components().try_fold(ROOT, |number, part| match &self.nodes[number].object {
            Object::Directory(children) => children.get(part).copied(),
            _ => None,
        })
    }

    fn is_directory(&self, number: Number) -> bool {
        matches!(self.nodes[number].object, Object::Directory(_))
    }

    fn is_whiteout(&self, number: Number) -> bool {
        matches!(self.nodes[number].object, Object::Device(kind, device) if crate::whiteout::is_whiteout_device(kind, device))
    }

    /// Whether a directory of this layer hides what lower layers have at a path.
    fn is_hidden(&self, path: &SafePath) -> bool {
        let Some(namespace) = self.overlay else { return false };
        if self.unfinished.opaque_root {
            return true;
        }
        let mut number = ROOT;
        for part in path.parent().unwrap_or_default().components() {
            let Object::Directory(children) = &self.nodes[number].object else { return false };
            let Some(child) = children.get(part) else { return false };
            number = *child;
            let xattrs = &self.nodes[number].attributes.xattrs;
            if xattrs.iter().any(|(name, _)| **name == *namespace.opaque().as_bytes()) {
                return true;
            }
        }
        false
    }

    fn set_opaque(&mut self, number: Number, namespace: XattrNamespace) {
        let name = namespace.opaque().as_bytes();
        let xattrs = &mut self.nodes[number].attributes.xattrs;
        if !xattrs.iter().any(|(known, _)| **known == *name) {
            xattrs.push((name.into(), b"y"[..].into()));
        }
    }

    /// Notes what this layer put somewhere.
    fn mark(&mut self, path: &SafePath) {
        if self.overlay.is_none() {
            self.placed.add(path);
        }
    }
}

fn join(path: &SafePath, name: &[u8]) -> SafePath {
    path.join(name).expect("a part of a path is a name")
}

/// The attributes of a directory that no entry names.
fn unnamed((uid, gid): (u32, u32)) -> Attributes {
    Attributes { mode: 0o755, uid, gid, ..Attributes::default() }
}

fn invalid_link(path: &SafePath) -> Error {
    Error::Invalid { field: "symbolic link", value: path.to_string(), reason: "a part of its target is no name" }
}
