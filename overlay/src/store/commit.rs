//! Layers from a stream into the store: staged, brought to disk, renamed.
//!
//! The order is what a power cut tests: everything of a layer, its record last, is on disk before the rename that makes
//! it a layer, and the rename is on disk before the call returns. Nothing else decides whether a layer is there.

use std::io::Read;
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::FlockOperation;

use super::rooms::{self, Work};
use super::{LayerStore, layer_name};
use crate::apply::{Applied, apply_to, apply_to_image};
use crate::error::{Error, Result};
use crate::layer_id::LayerId;
use crate::options::{ApplyOptions, Durability, LayerFormat, WhiteoutStyle, Whiteouts};
use crate::record::LayerRecord;
use crate::sys::{self, Named as _, Spelling};

/// A layer that is written and checked, and not yet in its store; dropping it throws it away.
#[derive(Debug)]
#[must_use = "a layer is in the store once it is committed"]
pub struct Staged {
    /// `None` once it is committed.
    work: Option<Work>,
    applied: Applied,
    format: LayerFormat,
}

impl Staged {
    /// The layer.
    pub fn id(&self) -> LayerId {
        self.applied.diff_id
    }

    /// What [`crate::apply`] did.
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    fn work(&self) -> &Work {
        self.work.as_ref().expect("only committing takes it, and that takes the layer itself")
    }

    fn discard(&mut self) -> Result<()> {
        self.work.take().map_or(Ok(()), |work| work.discard())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            // What stays is an orphan without a lock: the next recovery removes it.
            drop(work.discard());
        }
    }
}

impl LayerStore {
    /// Writes an uncompressed layer archive beside the store's layers, where nobody sees it before it is committed.
    ///
    /// # Errors
    /// Those of [`crate::apply`]; nothing of the layer remains then.
    pub fn stage(&self, stream: impl Read, options: &ApplyOptions) -> Result<Staged> {
        let namespace = self.rooms.namespace;
        let style = match self.options.format {
            LayerFormat::Dir(style) => style,
            LayerFormat::ErofsTar | LayerFormat::ErofsMerged => WhiteoutStyle::Device,
        };
        if ![Whiteouts::Native, Whiteouts::Overlay(namespace, style)].contains(&options.whiteouts) {
            return Err(Error::Invalid {
                field: "whiteouts",
                value: format!("{:?}", options.whiteouts),
                reason: "a store writes deletions in one spelling, chosen when it was made",
            });
        }
        let work = self.rooms.work()?;
        let applied = match self.options.format {
            LayerFormat::Dir(_) => {
                let spelling = Some(Spelling { namespace, style });
                work.directory("tree").and_then(|tree| apply_to(stream, tree, spelling, options))
            }
            LayerFormat::ErofsTar | LayerFormat::ErofsMerged => {
                work.file("image").and_then(|image| apply_to_image(stream, image.as_fd(), namespace, options))
            }
        };
        match applied {
            Ok(applied) => Ok(Staged { work: Some(work), applied, format: self.options.format }),
            Err(first) => Err(match work.discard() {
                Ok(()) => first,
                Err(cleanup) => Error::Cleanup { cleanup: Box::new(cleanup), first: Box::new(first) },
            }),
        }
    }

    /// Makes staged layers the store's, each whole or not at all; one that is there already is no error.
    ///
    /// After it returned, [`Durability::Layer`] and [`Durability::Group`] survive a power cut. With
    /// [`Durability::Group`] all are brought to disk by one flush of the file system, which also writes what other
    /// programs have not written yet. After an error those before the failing one may be in the store.
    pub fn commit(&self, staged: Vec<Staged>, durability: Durability) -> Result<Vec<LayerId>> {
        let boot = (durability == Durability::None).then(|| self.rooms.boot.clone());
        for layer in &staged {
            let Applied { entries, bytes, unfinished, .. } = layer.applied();
            let (entries, bytes, unfinished) = (*entries, *bytes, unfinished.clone());
            let (format, objects) = match layer.format {
                format @ LayerFormat::Dir(_) => (format, entries),
                LayerFormat::ErofsTar | LayerFormat::ErofsMerged => (LayerFormat::ErofsTar, 1),
            };
            let record = LayerRecord { entries, bytes, unfinished, format, boot: boot.clone() };
            layer.work().write(rooms::RECORD, record.print().as_bytes())?;
            if durability == Durability::Layer {
                sys::sync_tree(layer.work().descriptor(), objects, layer.work().path())?;
            }
        }
        if durability == Durability::Group && !staged.is_empty() {
            rustix::fs::syncfs(&self.rooms.layers).named("syncfs", Path::new("layers"))?;
        }
        let mut ids = Vec::with_capacity(staged.len());
        for mut layer in staged {
            let id = layer.id();
            if layer.work().publish(&self.rooms.layers, &layer_name(id))? {
                layer.work = None;
            } else {
                // Another process was faster with the same layer, and may have cared less for it.
                layer.discard()?;
                self.settle(id, durability)?;
            }
            ids.push(id);
        }
        if durability != Durability::None {
            // A rename is on disk once its directory is.
            rustix::fs::fsync(&self.rooms.layers).named("fsync", Path::new("layers"))?;
        }
        Ok(ids)
    }

    /// Brings every layer to disk that was committed with [`Durability::None`]; says how many those were.
    pub fn sync(&self) -> Result<usize> {
        let mut settled = 0;
        for layer in self.layers()? {
            match self.settle(layer, Durability::Layer) {
                Ok(count) => settled += count,
                // Removed since it was listed.
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        rustix::fs::fsync(&self.rooms.layers).named("fsync", Path::new("layers"))?;
        Ok(settled)
    }

    /// Makes a layer of the store as durable as asked for, if it is less; counts what there was to do.
    pub(super) fn settle(&self, layer: LayerId, durability: Durability) -> Result<usize> {
        if durability == Durability::None || self.layer(layer)?.boot.is_none() {
            return Ok(0);
        }
        let name = layer_name(layer);
        let missing = || Error::NotFound { what: "layer", name: layer.to_string() };
        let locked = self.rooms.lock(&self.rooms.layers, &name, FlockOperation::LockExclusive)?.ok_or_else(missing)?;
        let directory = locked.named("flock", name.as_path())?;
        let mut record = LayerRecord::parse(&rooms::read_record(directory.as_fd())?.ok_or_else(missing)?)?;
        rustix::fs::syncfs(&directory).named("syncfs", name.as_path())?;
        record.boot = None;
        rooms::replace_durably(directory.as_fd(), "record.new", rooms::RECORD, record.print().as_bytes())?;
        rustix::fs::fsync(&self.rooms.layers).named("fsync", Path::new("layers"))?;
        Ok(1)
    }
}
