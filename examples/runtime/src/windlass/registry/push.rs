//! `push`.

use serde_json::json;
use windlass_image::build::Draft;
use windlass_image::client::Push;
use windlass_image::registry::Pieces;
use windlass_image::{Descriptor, Image, Reference};

use super::bars::Bars;
use super::connect;
use crate::windlass::cli::{self, CompressionFormat};
use crate::windlass::failure::Failure;
use crate::windlass::home::Home;
use crate::windlass::out;

pub(in crate::windlass) fn push(home: &Home, request: &cli::Push) -> Result<u8, Failure> {
    let found = home.require(&request.image)?;
    // What is written for this push only goes with the next collection.
    let _lease = home.layout.lease().map_err(Failure::during("hold the images"))?;
    let image = match request.compression_format {
        None => found.descriptor,
        Some(format) => compressed(home, &found.image, format)?,
    };
    let target = request.target.as_ref().unwrap_or(&request.image);
    let reference = Reference::parse(target).map_err(Failure::during("where the image goes"))?;
    let mut options = connect::options(&request.transfer.connection, reference.registry())?;
    connect::mirrors(&mut options, &request.transfer.places)?;
    options.pieces = request.piece.map_or(Pieces::Whole, Pieces::Of);
    let client = connect::client(options)?;
    let bars = Bars::new(request.transfer.quiet || request.transfer.json);
    let progress = |progress: windlass_image::client::Progress<'_>| bars.show(progress);
    let mut push = Push::new(&reference, &image).progress(&progress);
    if let Some(repository) = &request.mount_from {
        push = push.mount_from(repository);
    }
    let pushed = client.push(&home.layout, &push).map_err(Failure::during(format_args!("push {target}")))?;
    if request.transfer.json {
        let line = json!({"reference": reference.canonical(), "manifest": image.digest.to_string(),
            "sent": pushed.sent, "bytes": pushed.bytes, "mounted": pushed.mounted, "existed": pushed.existed});
        out::line(&line.to_string())?;
    } else {
        out::line(&format!("{}@{}", reference.familiar(), image.digest))?;
    }
    Ok(0)
}

fn compressed(home: &Home, image: &Image, format: CompressionFormat) -> Result<Descriptor, Failure> {
    let mut draft = Draft::of(image);
    draft.compress(&home.layout, format.into()).map_err(Failure::during("compress the layers"))?;
    draft.store(&home.layout).map_err(Failure::during("store the compressed image"))
}
