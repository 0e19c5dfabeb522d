//! Images that a verb cannot do without: found, or fetched where that is wished.

use windlass_image::client::Pull;
use windlass_image::{Image, Platform, Reference};

use super::bars::Bars;
use super::connect;
use super::pull::{Layers, fetch};
use crate::windlass::cli::{Fetching, PullPolicy};
use crate::windlass::failure::{Failure, warn};
use crate::windlass::home::Home;

/// What a verb says of the images that it needs.
#[derive(Debug, Clone, Copy)]
pub(in crate::windlass) struct Needed<'n> {
    pub(in crate::windlass) policy: PullPolicy,
    pub(in crate::windlass) fetching: &'n Fetching,
    pub(in crate::windlass) quiet: bool,
}

/// The image for this machine with this name, id or digest.
pub(in crate::windlass) fn needed(home: &Home, text: &str, how: Needed<'_>) -> Result<Image, Failure> {
    let fetched = || {
        let reference = Reference::parse(text).map_err(Failure::during(format_args!("image {text}")))?;
        fetch_needed(home, &reference, how)
    };
    if how.policy == PullPolicy::Always {
        return fetched();
    }
    let there = home.find(text)?.map(|found| found.image);
    match (how.policy, there) {
        (PullPolicy::Newer, Some(image)) => Ok(fetched().unwrap_or_else(|failure| {
            warn(&format_args!("{text} is used as it is here: {failure}"));
            image
        })),
        (_, Some(image)) => Ok(image),
        (PullPolicy::Never, None) => {
            let familiar = Reference::parse(text).map_or(text.to_owned(), |named| named.familiar().to_owned());
            Err(Failure::new(format!("there is no image {familiar}, and with --pull never none is fetched")))
        }
        (_, None) => fetched(),
    }
}

fn fetch_needed(home: &Home, reference: &Reference, how: Needed<'_>) -> Result<Image, Failure> {
    let mut options = connect::options(&how.fetching.connection, reference.registry())?;
    connect::mirrors(&mut options, &how.fetching.places)?;
    let bars = Bars::new(how.quiet);
    let progress = |progress: windlass_image::client::Progress<'_>| bars.show(progress);
    let pull = Pull::new(reference).progress(&progress);
    let descriptor = fetch(home, &connect::client(options)?, pull, Layers::Unpacked)?;
    let image = home.layout.image(&descriptor, &Platform::host());
    image.map_err(Failure::during(format_args!("read {}", reference.familiar())))
}
