//! `pull`.

use serde_json::json;
use windlass_image::client::{Platforms, Pull};
use windlass_image::{Platform, Reference};

use super::bars::Bars;
use super::connect;
use crate::windlass::cli;
use crate::windlass::failure::Failure;
use crate::windlass::home::Home;
use crate::windlass::out;

pub(in crate::windlass) fn pull(home: &Home, request: &cli::Pull) -> Result<u8, Failure> {
    let reference = Reference::parse(&request.image).map_err(Failure::during("image"))?;
    let mut options = connect::options(&request.transfer.connection, reference.registry())?;
    connect::mirrors(&mut options, &request.transfer.places)?;
    options.streams = request.streams;
    options.foreign_layers = request.foreign_layers;
    let client = connect::client(options)?;
    let bars = Bars::new(request.transfer.quiet || request.transfer.json);
    let progress = |progress: windlass_image::client::Progress<'_>| bars.show(progress);
    let pull = Pull::new(&reference).progress(&progress);
    let pull = match request.platform.as_deref() {
        None => pull,
        Some("all") => pull.platforms(Platforms::All),
        Some(text) => pull.platforms(Platforms::One(platform(text)?)),
    };
    let image = client.pull(&home.layout, &pull).map_err(Failure::during(format_args!("pull {}", request.image)))?;
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
