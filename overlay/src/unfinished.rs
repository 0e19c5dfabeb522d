//! What a layer alone cannot tell, because it depends on the layers beneath it.

use std::collections::{BTreeMap, BTreeSet};

use crate::path::SafePath;
use crate::subtree::{remove_subtree, take_subtree};

/// What a layer leaves to the layers beneath it, once it is stacked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unfinished {
    /// Directories that the layer uses and does not name: a directory beneath lends its owner, mode and time, and where
    /// there is a symbolic link beneath, what the layer has here belongs where the link leads.
    pub parents: BTreeSet<SafePath>,
    /// What the layer used as a directory before it named, replaced or deleted it. A symbolic link beneath would have led
    /// what was used elsewhere: no part of this layer knows where to any more.
    pub passed: BTreeSet<SafePath>,
    /// Directories in which the layer deletes something. Where a directory is in no lower layer, the kernel lists what is
    /// deleted in it.
    pub deleting: BTreeSet<SafePath>,
    /// Hard links to files that the layer does not have, and those files.
    pub links: BTreeMap<SafePath, SafePath>,
    /// Whether nothing beneath this layer is seen. Overlay has no such mark for the root of a layer.
    pub opaque_root: bool,
}

impl Unfinished {
    /// Notes that what lay at or beneath a path was used, and is not any more.
    pub(crate) fn pass(&mut self, path: &SafePath) {
        self.passed.extend(take_subtree(&mut self.parents, path));
    }

    /// Forgets what lies at or beneath a path, because something else takes its place.
    pub(crate) fn forget(&mut self, path: &SafePath) {
        self.pass(path);
        remove_subtree(&mut self.deleting, path);
        remove_subtree(&mut self.links, path);
    }
}
