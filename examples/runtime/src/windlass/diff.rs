//! `diff` and `commit`: what a container has changed, and an image of it.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use windlass_image::config::{Contents, History, rfc3339};
use windlass_image::{Algorithm, Codec, Digest, Hasher, Image, ImageConfig, Manifest, MediaType, Platform};
use windlass_overlay::{Change, Snapshot};

use super::cli::Commit;
use super::clock::Time;
use super::containers::Containers;
use super::failure::Failure;
use super::home::{self, Home};
use super::record::Config;
use super::status::{self, Status};
use super::{group, out};

/// How long freezing may take before a commit.
const FREEZE: Duration = Duration::from_secs(10);

/// Lists what was added (`A`), changed (`C`) and deleted (`D`).
pub(super) fn diff(home: &Home, containers: &Containers, name: &str, json: bool) -> Result<u8, Failure> {
    let (_, config) = containers.find(name)?;
    let snapshot = home.layers.open_snapshot(&config.id).map_err(Failure::during("open the container's layers"))?;
    let changes = changes(&snapshot, &config)?;
    let key = format!("diff-{}-{}", config.id, std::process::id());
    let lower = home.layers.view(&key, snapshot.layers()).map_err(Failure::during("stack the image's layers"))?;
    let printed = changes.iter().try_for_each(|change| {
        let path = change.path();
        let was_there = lower.origin(path).map_err(Failure::during(path.to_string()))?.is_some();
        let letter = match change {
            Change::Delete(_) => "D",
            Change::Put(_) if !was_there => "A",
            Change::Put(_) | Change::Opaque(_) => "C",
        };
        let path = format!("/{path}");
        if json {
            out::line(&json!({"kind": letter, "path": path}).to_string())
        } else {
            out::line(&format!("{letter} {path}"))
        }
    });
    let removed = lower.remove().map_err(Failure::during("remove the view of the image's layers"));
    printed.and(removed).map(|()| 0)
}

/// What the container's own programs changed.
pub(super) fn changes(snapshot: &Snapshot, config: &Config) -> Result<Vec<Change>, Failure> {
    let mut changes = snapshot.diff().map_err(Failure::during("read the writable layer"))?;
    changes.retain(|change| !config.baseline.contains(&format!("{change:?}")));
    // An opaque directory is listed once.
    changes.dedup_by(|one, other| one.path() == other.path() && matches!(one, Change::Opaque(_)));
    Ok(changes)
}

/// Makes an image: the container's own, and a layer of what it changed.
pub(super) fn commit(home: &Home, containers: &Containers, request: &Commit) -> Result<u8, Failure> {
    let (container, config) = containers.find(&request.container)?;
    let name = home::name(&request.image)?;
    let image = image_of(home, &config)?;
    let (found, state) = status::of(&container)?;
    let frozen = match group::find(&state)? {
        Some(group) if found == Status::Running && !request.no_pause => {
            group.freeze(FREEZE).map_err(Failure::during(format_args!("pause {}", config.name)))?;
            Some(group)
        }
        _ => None,
    };
    let lease = home.layout.lease().map_err(Failure::during("hold the images"))?;
    let layer = write_layer(home, &config);
    let thawed = frozen.map_or(Ok(()), |group| group.thaw().map_err(Failure::during("let the container run again")));
    let (layer, diff_id) = layer?;
    thawed?;
    let digest = write_image(home, request, &image, &name, layer, diff_id)?;
    drop(lease);
    out::line(&digest.to_string())?;
    Ok(0)
}

fn image_of(home: &Home, config: &Config) -> Result<Image, Failure> {
    let by_name = home::name(&config.image).ok().and_then(|name| home.layout.resolve(name).ok());
    match by_name.filter(|image| image.digest().to_string() == config.image_digest) {
        Some(image) => Ok(image),
        None => home.layout.resolve(&config.image_digest).map_err(Failure::during(format_args!(
            "the image {} of the container was replaced and has no name any more",
            config.image
        ))),
    }
}

/// Hashes what passes.
struct Hashing<W> {
    inner: W,
    hasher: Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

fn write_layer(home: &Home, config: &Config) -> Result<(windlass_image::Descriptor, Digest), Failure> {
    let failed = || Failure::during("write the layer");
    let snapshot = home.layers.open_snapshot(&config.id).map_err(Failure::during("open the container's layers"))?;
    let changes = changes(&snapshot, config)?;
    let blob = home.layout.blob_writer().map_err(failed())?;
    let stream =
        Hashing { inner: GzEncoder::new(blob, Compression::default()), hasher: Hasher::new(Algorithm::Sha256) };
    let written = snapshot.write_changes(&changes, stream).map_err(Failure::during("read the writable layer"))?;
    let diff_id = written.hasher.finish();
    let blob = written.inner.finish().map_err(Failure::during("write the layer"))?;
    let descriptor = blob.finish(MediaType::layer(Codec::Gzip)).map_err(failed())?;
    Ok((descriptor, diff_id))
}

fn write_image(
    home: &Home,
    request: &Commit,
    image: &Image,
    name: &str,
    layer: windlass_image::Descriptor,
    diff_id: Digest,
) -> Result<Digest, Failure> {
    let failed = || Failure::during(format!("write the image {name}"));
    let created = rfc3339(Time::now().seconds());
    let mut contents: Contents = image.config.contents().clone();
    contents.created = Some(created.clone());
    contents.author = request.author.clone().or(contents.author);
    contents.diff_ids.push(diff_id);
    contents.history.push(History {
        created: Some(created),
        created_by: Some("windlass commit".to_owned()),
        author: request.author.clone(),
        comment: request.message.clone(),
        ..History::default()
    });
    let config = ImageConfig::build(&contents).map_err(failed())?;
    home.layout.put_blob(config.descriptor().media_type, config.raw()).map_err(failed())?;
    let mut layers = image.manifest.layers().to_vec();
    layers.push(layer);
    let manifest =
        Manifest::build(&config.descriptor(), &layers, &std::collections::BTreeMap::new()).map_err(failed())?;
    let mut descriptor = home.layout.put_blob(manifest.media_type().clone(), manifest.raw()).map_err(failed())?;
    descriptor.platform = Some(Platform::clone(config.platform()));
    home.layout.tag(name, &descriptor).map_err(failed())?;
    Ok(descriptor.digest)
}
