//! Pulling: documents first, then all blobs at once, each in one pass from the network to the disk.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::jobs;
use super::progress::Progress;
use super::session::{Client, Found};
use super::together::Table;
use crate::codec::LayerReader;
use crate::config::ImageConfig;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::layout::{Ingest, Layout};
use crate::manifest::Manifest;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::registry::Repository;

/// Each stream has two.
const BUFFER: usize = 128 << 10;
const INDEX_DEPTH: usize = 8;

/// Which images of an index are pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Platforms {
    /// The one that runs best on this platform; what is pulled is its manifest.
    One(Platform),
    /// Each of them; what is pulled is the index.
    All,
}

/// Takes layers as they arrive, uncompressed, such as into a store of unpacked layers.
pub trait LayerSink: Sync {
    /// Whether the layer of this `diff_id` is wanted.
    fn wants(&self, diff_id: &Digest) -> bool;

    /// Takes a layer's tar. The last read, which returns 0, comes only after the blob was verified; whatever was read
    /// before an error must be thrown away.
    ///
    /// # Errors
    /// Ends the pull.
    fn take(&self, diff_id: &Digest, tar: &mut dyn Read) -> io::Result<()>;
}

/// What to pull.
pub struct Pull<'a> {
    reference: &'a Reference,
    platforms: Platforms,
    progress: Option<&'a (dyn Fn(Progress<'_>) + Sync)>,
    sink: Option<&'a dyn LayerSink>,
}

impl std::fmt::Debug for Pull<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pull")
            .field("reference", &self.reference)
            .field("platforms", &self.platforms)
            .finish_non_exhaustive()
    }
}

impl<'a> Pull<'a> {
    /// The image of a reference, for the platform that this program runs on.
    pub fn new(reference: &'a Reference) -> Self {
        Self { reference, platforms: Platforms::One(Platform::host()), progress: None, sink: None }
    }

    /// What is pulled.
    pub fn reference(&self) -> &Reference {
        self.reference
    }

    /// For these platforms.
    #[must_use]
    pub fn platforms(mut self, platforms: Platforms) -> Self {
        self.platforms = platforms;
        self
    }

    /// Tells what happens, from several threads.
    #[must_use]
    pub fn progress(mut self, progress: &'a (dyn Fn(Progress<'_>) + Sync)) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Hands each layer over while it arrives; the layout gets it, too.
    #[must_use]
    pub fn sink(mut self, sink: &'a dyn LayerSink) -> Self {
        self.sink = Some(sink);
        self
    }

    fn tell(&self, progress: Progress<'_>) {
        if let Some(listener) = self.progress {
            listener(progress);
        }
    }
}

/// One blob to be fetched.
struct Job {
    blob: Descriptor,
    // The layer's uncompressed digest, where a sink wants it.
    sunk: Option<Digest>,
}

struct Puller<'p> {
    client: &'p Client,
    layout: &'p Layout,
    pull: &'p Pull<'p>,
    repository: Repository,
    table: Table,
}

impl Client {
    /// Pulls an image into a layout and names it there by the reference's canonical form.
    ///
    /// What is there already is not fetched again; what an earlier pull left unfinished is gone on with.
    ///
    /// # Errors
    /// Whatever is wrong with a document or a blob; [`Error::NotFound`] when there is no image for the platform. Nothing
    /// is named then.
    pub fn pull(&self, layout: &Layout, pull: &Pull<'_>) -> Result<Descriptor> {
        let _lease = layout.lease()?;
        let Found { repository, mut descriptor, mut raw } = self.manifest(pull.reference)?;
        let puller = Puller { client: self, layout, pull, repository, table: Table::default() };
        if let Platforms::One(platform) = &pull.platforms {
            for _ in 0..INDEX_DEPTH {
                if !descriptor.media_type.is_index() {
                    break;
                }
                let index = Index::parse_as(raw, &descriptor.media_type, &self.options.limits)?;
                let chosen = index
                    .select(platform)
                    .cloned()
                    .ok_or_else(|| Error::NotFound { object: format!("image for {platform} in {}", pull.reference) })?;
                raw = puller.document(&chosen)?;
                descriptor = chosen;
            }
        }
        let mut jobs = Vec::new();
        puller.plan(&descriptor, raw, 0, &mut jobs)?;
        let mut seen = BTreeSet::new();
        jobs.retain(|job| seen.insert(job.blob.digest));
        jobs::run(jobs, self.options.streams, |job, stopped| puller.fetch(&job, stopped))?;
        layout.tag(pull.reference.canonical(), &descriptor)?;
        Ok(descriptor)
    }
}

impl Puller<'_> {
    /// Fetches a manifest or index that another document describes.
    fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        if self.layout.contains(descriptor)? {
            return self.layout.get(descriptor);
        }
        if let Some(data) = &descriptor.data {
            return Ok(data.clone());
        }
        let found = self.client.document(self.repository.clone(), &descriptor.digest.to_string())?;
        if found.descriptor.size != descriptor.size {
            let (expected, actual) = (descriptor.size, found.descriptor.size);
            return Err(Error::SizeMismatch { digest: descriptor.digest, expected, actual });
        }
        // Content-Type = mediaType = descriptor.
        if found.descriptor.media_type != descriptor.media_type {
            return Err(Error::protocol("calls a manifest otherwise than its descriptor"));
        }
        Ok(found.raw)
    }

    /// Stores documents, and lists the blobs below them.
    fn plan(&self, descriptor: &Descriptor, raw: Vec<u8>, depth: usize, jobs: &mut Vec<Job>) -> Result<()> {
        let limits = &self.client.options.limits;
        if depth >= INDEX_DEPTH {
            return Err(Error::LimitExceeded { limit: "nesting of indexes", max: INDEX_DEPTH as u64 });
        }
        if descriptor.media_type.is_index() {
            let index = Index::parse_as(raw, &descriptor.media_type, limits)?;
            for entry in index.manifests() {
                self.plan(entry, self.document(entry)?, depth + 1, jobs)?;
            }
            return self.store(descriptor, index.raw());
        }
        let manifest = Manifest::parse_as(raw, &descriptor.media_type, limits)?;
        let diff_ids = self.configuration(&manifest)?;
        let wanted = |position: usize| {
            let (sink, diff_id) = (self.pull.sink?, diff_ids.get(position)?);
            sink.wants(diff_id).then_some(*diff_id)
        };
        for (position, layer) in manifest.layers().iter().enumerate() {
            jobs.push(Job { blob: layer.clone(), sunk: wanted(position) });
        }
        self.store(descriptor, manifest.raw())
    }

    /// Fetches the configuration, and says what each layer is when it is unpacked.
    fn configuration(&self, manifest: &Manifest) -> Result<Vec<Digest>> {
        let descriptor = manifest.config();
        let job = Job { blob: descriptor.clone(), sunk: None };
        self.fetch(&job, &AtomicBool::new(false))?;
        if !descriptor.media_type.is_config() {
            return Ok(Vec::new());
        }
        let config = ImageConfig::parse(self.layout.get(descriptor)?, &self.client.options.limits)?;
        if let Platforms::One(platform) = &self.pull.platforms
            && config.platform().rank_on(platform).is_none()
        {
            let object = format!("image for {platform}: {} is for {}", self.pull.reference, config.platform());
            return Err(Error::NotFound { object });
        }
        Ok(config.diff_ids().to_vec())
    }

    fn store(&self, descriptor: &Descriptor, raw: &[u8]) -> Result<()> {
        if self.layout.contains(descriptor)? { Ok(()) } else { self.layout.ingest(descriptor, raw) }
    }

    fn fetch(&self, job: &Job, stopped: &AtomicBool) -> Result<()> {
        let blob = &job.blob;
        if self.layout.contains(blob)? {
            self.pull.tell(Progress::Exists { blob });
            return match (&job.sunk, self.pull.sink) {
                (Some(diff_id), Some(sink)) => sunk(sink, diff_id, &mut self.layout.layer(blob)?),
                _ => Ok(()),
            };
        }
        let mut ingest = self.layout.resume_ingest(blob)?;
        let resumed = ingest.offset() > 0;
        self.pull.tell(Progress::Begin { blob, offset: ingest.offset() });
        match self.fetch_into(job, ingest, stopped) {
            // The beginning may be what was wrong.
            Err(Error::DigestMismatch { .. }) if resumed => {
                ingest = self.layout.resume_ingest(blob)?;
                ingest.restart()?;
                self.pull.tell(Progress::Begin { blob, offset: 0 });
                self.fetch_into(job, ingest, stopped)?;
            }
            outcome => outcome?,
        }
        self.pull.tell(Progress::Done { digest: &blob.digest });
        Ok(())
    }

    fn fetch_into(&self, job: &Job, mut ingest: Ingest<'_>, stopped: &AtomicBool) -> Result<()> {
        let blob = &job.blob;
        if let Some(data) = &blob.data {
            ingest.restart()?;
            ingest.write_all(data).map_err(Error::sys("write", self.layout.path()))?;
        }
        let offset = ingest.offset();
        let written = (offset > 0 && job.sunk.is_some()).then(|| ingest.written()).transpose()?;
        let mut arriving =
            Arriving { puller: self, blob, reader: self.client.blob(&self.repository, blob, offset), ingest, stopped };
        if let (Some(diff_id), Some(sink)) = (&job.sunk, self.pull.sink) {
            let mut whole: Box<dyn Read + '_> = match written {
                Some(written) => Box::new(written.chain(&mut arriving)),
                None => Box::new(&mut arriving),
            };
            sunk(sink, diff_id, &mut LayerReader::new(&mut whole, blob, &self.client.options.limits)?)?;
            drop(whole);
            return arriving.ingest.finish_verified();
        }
        arriving.hashed(&self.table).map_err(|error| self.unread(blob, error))?;
        arriving.ingest.finish()
    }

    fn unread(&self, blob: &Descriptor, error: io::Error) -> Error {
        let host = self.repository.registry.authority();
        Error::unwrap_io(error)
            .unwrap_or_else(|source| Error::Network { host: format!("{host} for {}", blob.digest), source })
    }
}

/// Hands a layer over, and reads what the sink left of it: only the end says that it is the right one.
fn sunk<R: Read>(sink: &dyn LayerSink, diff_id: &Digest, layer: &mut LayerReader<R>) -> Result<()> {
    let taken = sink.take(diff_id, layer).and_then(|()| io::copy(layer, &mut io::sink()));
    taken.map(drop).map_err(Error::sys("unpack", diff_id.to_string()))
}

/// Content on its way: whoever reads it has it written, too.
struct Arriving<'p, 'l> {
    puller: &'p Puller<'p>,
    blob: &'p Descriptor,
    reader: super::blob::BlobReader<'p>,
    ingest: Ingest<'l>,
    stopped: &'p AtomicBool,
}

impl Arriving<'_, '_> {
    /// Writes all of it, and computes the digest together with other streams.
    fn hashed(&mut self, table: &Table) -> io::Result<()> {
        let lane = table.lane(self.ingest.lend_hasher(), vec![0; BUFFER]);
        let mut buffer = vec![0; BUFFER];
        loop {
            let mut filled = 0;
            let read = loop {
                match self.arrive(&mut buffer[filled..]) {
                    Ok(0) => break Ok(()),
                    Ok(count) => filled += count,
                    Err(error) => break Err(error),
                }
                if filled == BUFFER {
                    break Ok(());
                }
            };
            // What came before a failure is there for another attempt.
            self.ingest.store(&buffer[..filled])?;
            read?;
            if filled == 0 {
                break;
            }
            buffer = lane.add(buffer, filled);
        }
        self.ingest.give_back_hasher(lane.finish());
        Ok(())
    }

    fn arrive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(Error::Cancelled.into());
        }
        let count = self.reader.read(buffer)?;
        if count > 0 {
            self.puller.pull.tell(Progress::Moved { digest: &self.blob.digest, bytes: count as u64 });
        }
        Ok(count)
    }
}

/// What is read is written, too; whoever reads it verifies it.
impl Read for Arriving<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.arrive(buffer)?;
        self.ingest.store(&buffer[..count])?;
        Ok(count)
    }
}
