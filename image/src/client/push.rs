//! Pushing: blobs that the registry lacks, then the documents from the leaves up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::jobs;
use super::progress::Progress;
use super::session::Client;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::layout::Layout;
use crate::manifest::Manifest;
use crate::media_type::MediaType;
use crate::reference::Reference;
use crate::registry::{Call, Method, Repository, Upload, Uploaded, described, referrers_tag};

const INDEX_DEPTH: usize = 8;

/// What to push.
pub struct Push<'a> {
    reference: &'a Reference,
    image: &'a Descriptor,
    mount_from: Option<&'a str>,
    progress: Option<&'a (dyn Fn(Progress<'_>) + Sync)>,
}

impl std::fmt::Debug for Push<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Push").field("reference", &self.reference).field("image", &self.image).finish_non_exhaustive()
    }
}

impl<'a> Push<'a> {
    /// The image or index behind a descriptor, to where a reference names.
    pub fn new(reference: &'a Reference, image: &'a Descriptor) -> Self {
        Self { reference, image, mount_from: None, progress: None }
    }

    /// Mounts blobs from another repository of the registry. Without it, repositories that images of the layout were
    /// named after are tried.
    #[must_use]
    pub fn mount_from(mut self, repository: &'a str) -> Self {
        self.mount_from = Some(repository);
        self
    }

    /// Tells what happens, from several threads.
    #[must_use]
    pub fn progress(mut self, progress: &'a (dyn Fn(Progress<'_>) + Sync)) -> Self {
        self.progress = Some(progress);
        self
    }
}

/// What a push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Pushed {
    /// Blobs that were sent.
    pub sent: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that the registry took from another repository.
    pub mounted: u64,
    /// Blobs that were there.
    pub existed: u64,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    bytes: AtomicU64,
    mounted: AtomicU64,
    existed: AtomicU64,
}

/// What is below an image, in the order in which the registry must have it.
#[derive(Default)]
struct Contents {
    blobs: Vec<Descriptor>,
    documents: Vec<(Descriptor, Vec<u8>, Option<Descriptor>)>,
    seen: BTreeSet<Digest>,
}

impl Client {
    /// Pushes an image of a layout; only what the registry lacks is sent.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a blob that the layout lacks, such as of an index of which one platform was pulled.
    pub fn push(&self, layout: &Layout, push: &Push<'_>) -> Result<Pushed> {
        let _lease = layout.lease()?;
        let repository = self.target(push.reference)?;
        let mut contents = Contents::default();
        contents.add(layout, push.image, 0)?;
        let places = match push.mount_from {
            Some(_) => BTreeMap::new(),
            None => places(layout, push.reference)?,
        };
        let counts = Counts::default();
        let Contents { blobs, documents, .. } = contents;
        jobs::run(blobs, self.options.streams, |blob, stopped| {
            let from = push.mount_from.or_else(|| places.get(&blob.digest).map(String::as_str));
            self.bring(layout, &repository, &blob, from, push, stopped, &counts)
        })?;
        for (descriptor, raw, subject) in &documents {
            let is_top = descriptor.digest == push.image.digest;
            let tag = push.reference.tag().filter(|_| is_top);
            self.put_document(&repository, descriptor, raw, tag, subject.as_ref())?;
        }
        if let Some(digest) = push.reference.digest()
            && *digest != push.image.digest
        {
            return Err(Error::DigestMismatch { expected: Box::new(*digest), actual: Box::new(push.image.digest) });
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Ok(Pushed {
            sent: count(&counts.sent),
            bytes: count(&counts.bytes),
            mounted: count(&counts.mounted),
            existed: count(&counts.existed),
        })
    }

    #[expect(clippy::too_many_arguments, reason = "each is of one blob of one push")]
    fn bring(
        &self,
        layout: &Layout,
        repository: &Repository,
        blob: &Descriptor,
        from: Option<&str>,
        push: &Push<'_>,
        stopped: &AtomicBool,
        counts: &Counts,
    ) -> Result<()> {
        let tell = |progress| push.progress.iter().for_each(|listener| listener(progress));
        let from = from.map(str::to_owned);
        let mut upload = Upload::new(repository.clone(), blob.clone(), from, self.options.pieces);
        let begun = AtomicBool::new(false);
        let mut source = |offset: u64, length: u64| -> io::Result<Box<dyn Read + '_>> {
            if !begun.swap(true, Ordering::Relaxed) {
                tell(Progress::Begin { blob, offset: 0 });
            }
            let mut file = layout.blob_file(blob)?;
            file.seek(SeekFrom::Start(offset))?;
            Ok(Box::new(Leaving {
                content: file.take(length),
                stopped,
                moved: Box::new(|bytes| {
                    tell(Progress::Moved { digest: &blob.digest, bytes });
                }),
            }))
        };
        while let Some(call) = upload.call() {
            match self.run_with(call, &mut source) {
                Ok(answered) => {
                    let (head, url) = (answered.head.clone(), answered.url().clone());
                    upload.handle(&head, &url, || answered.failure())?;
                }
                Err(error) if error.is_transient() => upload.interrupted(error)?,
                Err(error) => return Err(error),
            }
            if stopped.load(Ordering::Acquire) {
                return Err(Error::Cancelled);
            }
        }
        let add = |counter: &AtomicU64, count| _ = counter.fetch_add(count, Ordering::Relaxed);
        match upload.done() {
            Some(Uploaded::Sent) => {
                add(&counts.sent, 1);
                add(&counts.bytes, blob.size);
                tell(Progress::Done { digest: &blob.digest });
            }
            Some(Uploaded::Mounted) => {
                add(&counts.mounted, 1);
                tell(Progress::Exists { blob });
            }
            Some(Uploaded::Existed) | None => {
                add(&counts.existed, 1);
                tell(Progress::Exists { blob });
            }
        }
        Ok(())
    }

    fn put_document(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        raw: &[u8],
        tag: Option<&str>,
        subject: Option<&Descriptor>,
    ) -> Result<()> {
        let digest = descriptor.digest.to_string();
        let wanted = tag.unwrap_or(&digest);
        let there = self.run(Call::manifest(repository, Method::Head, wanted).writing(repository))?;
        if there.head.status == 200 && described(&there.head)?.is_some_and(|found| found.digest == descriptor.digest) {
            return Ok(());
        }
        let answered = self.run(Call::put_manifest(repository, wanted, &descriptor.media_type, raw))?;
        if !matches!(answered.head.status, 200..=202) {
            return Err(answered.failure());
        }
        if let Some(stored) = answered.head.header("docker-content-digest") {
            let stored = Digest::parse(stored)?;
            if stored.algorithm() == descriptor.digest.algorithm() && stored != descriptor.digest {
                return Err(Error::DigestMismatch { expected: Box::new(descriptor.digest), actual: Box::new(stored) });
            }
        }
        match subject {
            Some(subject) if answered.head.header("oci-subject").is_none() => {
                self.refer(repository, descriptor, raw, subject)
            }
            _ => Ok(()),
        }
    }

    /// Adds a manifest to the tag of its subject's referrers, where the registry does not keep them itself.
    fn refer(&self, repository: &Repository, descriptor: &Descriptor, raw: &[u8], subject: &Descriptor) -> Result<()> {
        let index = self.tagged_referrers(repository, &subject.digest)?;
        let mut entries = index.map(|index| index.manifests().to_vec()).unwrap_or_default();
        if entries.iter().any(|entry| entry.digest == descriptor.digest) {
            return Ok(());
        }
        let mut entry = Descriptor::new(descriptor.media_type.clone(), descriptor.digest, descriptor.size);
        if descriptor.media_type.is_manifest() {
            let manifest = Manifest::parse_as(raw, &descriptor.media_type, &self.options.limits)?;
            let kind = manifest.artifact_type().unwrap_or(&manifest.config().media_type);
            entry.artifact_type = Some(kind.clone());
            entry.annotations.clone_from(manifest.annotations());
        }
        entries.push(entry);
        let index = Index::build(&entries, &BTreeMap::new())?;
        let tag = referrers_tag(&subject.digest);
        let answered = self.run(Call::put_manifest(repository, &tag, &MediaType::INDEX, index.raw()))?;
        if matches!(answered.head.status, 200..=202) { Ok(()) } else { Err(answered.failure()) }
    }
}

/// Content on its way: it says how much has gone, and ends when another blob has failed.
struct Leaving<'s> {
    content: io::Take<File>,
    stopped: &'s AtomicBool,
    moved: Box<dyn Fn(u64) + 's>,
}

impl Read for Leaving<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(Error::Cancelled.into());
        }
        let count = self.content.read(buffer)?;
        (self.moved)(count as u64);
        Ok(count)
    }
}

impl Contents {
    fn add(&mut self, layout: &Layout, descriptor: &Descriptor, depth: usize) -> Result<()> {
        if depth >= INDEX_DEPTH {
            return Err(Error::LimitExceeded { limit: "nesting of indexes", max: INDEX_DEPTH as u64 });
        }
        if !self.seen.insert(descriptor.digest) {
            return Ok(());
        }
        let (media_type, limits) = (&descriptor.media_type, layout.limits());
        let raw = layout.get(descriptor)?;
        let subject = if media_type.is_index() {
            let index = Index::parse_as(raw.clone(), media_type, limits)?;
            for entry in index.manifests() {
                self.add(layout, entry, depth + 1)?;
            }
            index.subject().cloned()
        } else {
            let manifest = Manifest::parse_as(raw.clone(), media_type, limits)?;
            for blob in manifest.layers().iter().chain([manifest.config()]) {
                // Such a layer stays where its descriptor says that it is.
                if !blob.urls.is_empty() && !layout.contains(blob)? {
                    continue;
                }
                if self.seen.insert(blob.digest) {
                    self.blobs.push(blob.clone());
                }
            }
            manifest.subject().cloned()
        };
        self.documents.push((descriptor.clone(), raw, subject));
        Ok(())
    }
}

/// Which other repository of the registry has a blob, by the names of the layout's images.
fn places(layout: &Layout, reference: &Reference) -> Result<BTreeMap<Digest, String>> {
    let mut places = BTreeMap::new();
    for entry in layout.images()? {
        let Some(named) = entry.ref_name().and_then(|name| Reference::parse(name).ok()) else { continue };
        if named.registry() != reference.registry() || named.repository() == reference.repository() {
            continue;
        }
        // What is not wholly there is no reason not to push something else.
        let mut contents = Contents::default();
        if contents.add(layout, &entry, 0).is_ok() {
            places.extend(contents.blobs.into_iter().map(|blob| (blob.digest, named.repository().to_owned())));
        }
    }
    Ok(places)
}
