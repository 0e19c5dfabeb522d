//! An image's way between a registry, a layout and an archive, as processes of their own.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write as _};
use std::path::PathBuf;

use clap::Args;
use windlass_image::archive::{Saved, save};
use windlass_image::client::{Client, LayerSink, Options, Pull};
use windlass_image::codec::verify_diff_id;
use windlass_image::layout::Durability;
use windlass_image::{Digest, Layout, Reference};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Pulls an image over HTTP in the clear into a new layout, and prints the peak of this process's memory.
#[derive(Debug, Args)]
pub struct Fetch {
    /// Also decompresses layers on their way, and checks the digests of their archives
    #[arg(long)]
    verify: bool,
    /// Blobs at once
    #[arg(long, default_value_t = 8)]
    streams: usize,
    /// The image
    image: String,
    /// The layout
    layout: PathBuf,
}

struct Verified;

impl LayerSink for Verified {
    fn wants(&self, _: &Digest) -> bool {
        true
    }

    fn take(&self, diff_id: &Digest, tar: &mut dyn Read) -> io::Result<()> {
        verify_diff_id(tar, diff_id).map(drop).map_err(io::Error::other)
    }
}

impl Fetch {
    /// Does it.
    ///
    /// # Errors
    /// What failed.
    pub fn run(self) -> Result<(), Failure> {
        let reference: Reference = self.image.parse()?;
        let mut options = Options::default();
        options.plain_hosts = vec![reference.registry().to_owned()];
        options.streams = self.streams;
        let layout = Layout::create(&self.layout)?.with_durability(Durability::Lazy);
        let pull = Pull::new(&reference);
        let pull = if self.verify { pull.sink(&Verified) } else { pull };
        Client::new(options)?.pull(&layout, &pull)?;
        let status = std::fs::read_to_string("/proc/self/status")?;
        let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
        writeln!(io::stdout(), "{peak}")?;
        Ok(())
    }
}

/// Writes the image `bench` of a layout as an archive.
#[derive(Debug, Args)]
pub struct Save {
    /// The layout
    layout: PathBuf,
    /// The archive
    archive: PathBuf,
}

impl Save {
    /// Does it.
    ///
    /// # Errors
    /// What failed.
    pub fn run(self) -> Result<(), Failure> {
        let layout = Layout::open(&self.layout)?;
        let image = layout.resolve("bench")?;
        let references = ["bench:1".parse()?];
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&self.archive)?);
        save(&layout, &[Saved { image: &image, references: &references }], &mut out)?;
        Ok(out.flush()?)
    }
}
