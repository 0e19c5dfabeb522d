//! Reading archives of whatever format.

use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::aci;
use super::load::{self as docker, Loaded};
use crate::error::{Error, Result};
use crate::layout::Layout;

/// Stores the images of an archive in `layout` and names them; one without a name is named by its configuration's
/// digest, which docker calls its id. An App Container Image becomes an image of one layer.
///
/// The archive is read once and need not be seekable. Layers keep the form that they have in it. Of an archive in
/// the format of [`save`](super::save) the manifests are made anew, so that their digests may differ; layers and
/// configurations do not.
///
/// # Errors
/// An archive without `manifest.json`, a file that it names and that is not there, a layer that is not the one of
/// its configuration. Nothing is named then; what was stored goes with the next collection.
pub fn load(layout: &Layout, input: impl Read) -> Result<Vec<Loaded>> {
    let _lease = layout.lease()?;
    let (start, input) = peek(input, MAGIC)?;
    let input: Box<dyn Read + '_> =
        if start.starts_with(&[0x1f, 0x8b]) { Box::new(MultiGzDecoder::new(input)) } else { Box::new(input) };
    let (start, input) = peek(input, NAME)?;
    let name = start.split(|byte| *byte == 0).next().unwrap_or_default();
    if aci::begins_with(name) { aci::load(layout, input) } else { docker::load(layout, input) }
}

/// Of what tells gzip.
const MAGIC: u64 = 2;
/// Of an archive's first name.
const NAME: u64 = 100;

/// The first bytes, and a reader that gives them again.
fn peek<R: Read>(mut input: R, count: u64) -> Result<(Vec<u8>, impl Read + use<R>)> {
    let mut start = Vec::new();
    (&mut input).take(count).read_to_end(&mut start).map_err(Error::sys("read", "an image archive"))?;
    Ok((start.clone(), Cursor::new(start).chain(input)))
}
