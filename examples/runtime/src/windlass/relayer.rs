//! `flatten` and `rebase`: the same program on other layers.

use windlass_image::build::{Compression, Draft};
use windlass_image::{Codec, Image};

use super::cli;
use super::failure::Failure;
use super::home::{self, Home};
use super::images;

/// What other tools know a base by.
///
/// # Source
/// OCI image specification, annotations.
const BASE_NAME: &str = "org.opencontainers.image.base.name";
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// Puts one layer in the place of all.
pub(super) fn flatten(home: &Home, request: &cli::Flatten) -> Result<u8, Failure> {
    make(home, &request.made, &request.image, |image, draft| {
        let failed = || Failure::during(format!("flatten {}", request.image));
        let step = format!("windlass flatten {}", image.digest());
        let layout = &home.layout;
        match request.compression_format.into() {
            Compression::Plain(codec) => draft.flatten(layout, codec, step).map_err(failed())?,
            chunked @ Compression::Chunked(_) => {
                draft.flatten(layout, Codec::None, step).map_err(failed())?;
                draft.compress(layout, chunked).map_err(failed())?;
            }
        }
        // It has no layer of its base any more.
        for key in [BASE_NAME, BASE_DIGEST] {
            draft.annotations_mut().remove(key);
        }
        Ok(())
    })
}

/// Puts the layers of one base in the place of another's.
pub(super) fn rebase(home: &Home, request: &cli::Rebase) -> Result<u8, Failure> {
    let (old, new) = (home.require(&request.old_base)?, home.require(&request.new_base)?);
    make(home, &request.made, &request.image, |_, draft| {
        let rebased = draft.rebase(&old.image, &new.image);
        rebased.map_err(Failure::during(format_args!("rebase {} on {}", request.image, request.new_base)))?;
        let annotations = draft.annotations_mut();
        annotations.insert(BASE_DIGEST.to_owned(), new.image.digest().to_string());
        match new.descriptor.ref_name() {
            Some(name) => annotations.insert(BASE_NAME.to_owned(), name.to_owned()),
            None => annotations.remove(BASE_NAME),
        };
        Ok(())
    })
}

/// Makes an image of another, names it, and prints what it is.
fn make(
    home: &Home,
    made: &cli::Made,
    image: &str,
    change: impl FnOnce(&Image, &mut Draft) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    // All names are read before anything is made.
    let names: Vec<String> = made.tag.iter().map(|name| home::name(name)).collect::<Result<_, _>>()?;
    let lease = home.layout.lease().map_err(Failure::during("hold the images"))?;
    let found = home.require(image)?;
    let mut draft = Draft::of(&found.image);
    if let Some(seconds) = made.source_date_epoch {
        draft = draft.at(seconds);
    }
    draft.annotations_mut().extend(found.image.manifest.annotations().clone());
    change(&found.image, &mut draft)?;
    let stored = draft.store(&home.layout).map_err(Failure::during("store the image"))?;
    images::name_and_tell(home, &stored, &draft.contents().platform, &names, made.json)?;
    drop(lease);
    Ok(0)
}
