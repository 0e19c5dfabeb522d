//! `pull`, and how every verb fetches.

use std::io::{self, Read};

use serde_json::json;
use windlass_image::client::{Client, LayerSink, Platforms, Pull};
use windlass_image::{Descriptor, Digest, Platform, Reference};

use super::bars::Bars;
use super::connect;
use crate::windlass::failure::Failure;
use crate::windlass::home::Home;
use crate::windlass::{cli, out, unpack};

pub(in crate::windlass) fn pull(home: &Home, request: &cli::Pull) -> Result<u8, Failure> {
    let reference = Reference::parse(&request.image).map_err(Failure::during("image"))?;
    let mut options = connect::options(&request.transfer.connection, reference.registry())?;
    connect::mirrors(&mut options, &request.transfer.places)?;
    options.streams = request.streams;
    options.foreign_layers = request.foreign_layers;
    let client = connect::client(options)?;
    let bars = Bars::new(request.transfer.quiet || request.transfer.json);
    let progress = |progress: windlass_image::client::Progress<'_>| bars.show(progress);
    let platforms = match request.platform.as_deref() {
        None => Platforms::One(Platform::host()),
        Some("all") => Platforms::All,
        Some(text) => Platforms::One(platform(text)?),
    };
    // What does not run here needs no unpacked layers.
    let layers = match &platforms {
        Platforms::One(platform) if !request.no_unpack && platform.rank_on(&Platform::host()).is_some() => {
            Layers::Unpacked
        }
        _ => Layers::AsTheyCame,
    };
    let pull = Pull::new(&reference).progress(&progress).platforms(platforms);
    let image = fetch(home, &client, pull, layers)?;
    if request.transfer.json {
        let counts = bars.counts();
        let line = json!({"name": reference.familiar(), "reference": reference.canonical(),
            "manifest": image.digest.to_string(), "fetched": counts.moved, "existed": counts.existed,
            "bytes": counts.bytes});
        out::line(&line.to_string())?;
    } else {
        out::line(&format!("{}@{}", reference.familiar(), image.digest))?;
    }
    Ok(0)
}

/// What becomes of layers beside that they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layers {
    /// They are unpacked while they arrive, so that nothing reads them again before a container runs.
    Unpacked,
    AsTheyCame,
}

/// Fetches an image.
pub(super) fn fetch(home: &Home, client: &Client, pull: Pull<'_>, layers: Layers) -> Result<Descriptor, Failure> {
    let reference = pull.reference().familiar().to_owned();
    let unpacking = Unpacking { home };
    let pull = if layers == Layers::Unpacked { pull.sink(&unpacking) } else { pull };
    client.pull(&home.layout, &pull).map_err(Failure::during(format_args!("pull {reference}")))
}

/// Takes layers into the store of unpacked ones.
struct Unpacking<'h> {
    home: &'h Home,
}

impl LayerSink for Unpacking<'_> {
    fn wants(&self, diff_id: &Digest) -> bool {
        // A name that the store cannot have is told of when a container needs the layer.
        unpack::layer_id(diff_id).is_ok_and(|layer| !self.home.layers.contains(layer).unwrap_or(false))
    }

    fn take(&self, diff_id: &Digest, tar: &mut dyn Read) -> io::Result<()> {
        let layer = unpack::layer_id(diff_id).map_err(io::Error::other)?;
        self.home.layers.ingest(tar, &unpack::apply_options(layer)).map(drop).map_err(io::Error::other)
    }
}

fn platform(text: &str) -> Result<Platform, Failure> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts.as_slice() {
        [os, architecture] | [os, architecture, _] if parts.iter().all(|part| !part.is_empty()) => {
            let mut platform = Platform::linux(*architecture);
            (*os).clone_into(&mut platform.os);
            platform.variant = parts.get(2).map(|&variant| variant.to_owned());
            Ok(platform)
        }
        _ => Err(Failure::new(format!("platform {text:?} is not OS/ARCHITECTURE[/VARIANT], nor `all`"))),
    }
}
