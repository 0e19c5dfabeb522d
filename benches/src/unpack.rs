//! The whole way of an image's layers onto disk, as a process of its own: its memory is measured, and the programs that
//! it is compared with are processes too.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use clap::{Args, ValueEnum};
use windlass_image::{Descriptor, Digest, LayerReader, Limits, MediaType};
use windlass_overlay::{ApplyOptions, Durability, LayerFormat, LayerStore, StoreOptions};

/// What becomes of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A directory tree
    Dir,
    /// An EROFS image over the archive
    Erofs,
}

/// Layers into a store, digest and `diff_id` verified, as many at the same time as there are processors.
#[derive(Debug, Args)]
pub struct Unpack {
    /// The store
    #[arg(long)]
    store: PathBuf,
    /// What layers become
    #[arg(long, value_enum, default_value = "dir")]
    format: Format,
    /// Return only when a power cut does no harm
    #[arg(long)]
    durable: bool,
    /// Compressed layers with the digest of each archive: FILE=HEX
    layers: Vec<String>,
}

impl Unpack {
    /// Takes the layers in, and prints the peak of this process's memory.
    ///
    /// # Errors
    /// What failed.
    pub fn run(self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let format = match self.format {
            Format::Dir => LayerFormat::default(),
            Format::Erofs => LayerFormat::ErofsTar,
        };
        let options = StoreOptions { durability: Durability::None, format, ..StoreOptions::default() };
        let store = LayerStore::open_with(&self.store, options)?;
        let staged = stage_all(&store, &self.layers)?;
        store.commit(staged, if self.durable { Durability::Group } else { Durability::None })?;
        let status = std::fs::read_to_string("/proc/self/status")?;
        let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
        writeln!(std::io::stdout(), "{peak}")?;
        Ok(())
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The largest first, so that no processor is left alone with one that was begun late.
fn stage_all(store: &LayerStore, layers: &[String]) -> Result<Vec<windlass_overlay::Staged>, Failure> {
    let size = |layer: &&String| {
        let path = layer.split_once('=').map_or("", |(path, _)| path);
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    };
    let mut waiting: Vec<&String> = layers.iter().collect();
    waiting.sort_by_key(size);
    let waiting = Mutex::new(waiting);
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..std::thread::available_parallelism()?.get())
            .map(|_| scope.spawn(|| std::iter::from_fn(next).map(|layer| stage(store, layer)).collect::<Vec<_>>()))
            .collect();
        let joined = workers.into_iter().flat_map(|worker| match worker.join() {
            Ok(staged) => staged,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    })
}

fn stage(store: &LayerStore, layer: &str) -> Result<windlass_overlay::Staged, Failure> {
    let (path, diff_id) = layer.split_once('=').ok_or("a layer is FILE=HEX")?;
    let is_zstd = Path::new(path).extension().is_some_and(|extension| extension == "zst");
    let media_type = if is_zstd { MediaType::LAYER_ZSTD } else { MediaType::LAYER_GZIP };
    // The digest of the blob is known from a manifest in life; here it is beside it.
    let blob = std::fs::read_to_string(format!("{path}.sha256"))?;
    let size = std::fs::metadata(path)?.len();
    let descriptor = Descriptor::new(media_type, Digest::parse(&format!("sha256:{}", blob.trim()))?, size);
    let stream = LayerReader::new(File::open(path)?, &descriptor, &Limits::default())?;
    let expect = Some(format!("sha256:{diff_id}").parse()?);
    Ok(store.stage(stream, &ApplyOptions { expect, ..ApplyOptions::default() })?)
}
