//! The six steps, in order.

mod account;
mod apply;
mod calls;
mod configure;
mod drain;
mod failures;
mod image;
mod scale;

use std::time::Duration;

pub(super) use self::account::account;
pub(super) use self::apply::apply;
pub(super) use self::calls::CLIENT_ANSWERS;
pub(super) use self::image::{pack, stack};

use super::error::Result;
use super::show::Show;

/// How long anything may take that usually takes a second or two: other work may keep the machine busy.
const PATIENCE: Duration = Duration::from_secs(40);

/// Step 5: the service is called, scaled, configured anew, and treated badly.
pub(super) async fn serve(show: &mut Show) -> Result<()> {
    let step = show.reporter.step(5, "serve, and survive");
    calls::call(show).await?;
    scale::scale(show).await?;
    configure::configure(show).await?;
    failures::delete(show).await?;
    failures::kill(show).await?;
    failures::hang(show).await?;
    failures::not_ready(show).await?;
    failures::fill_memory(show).await?;
    drain::drain(show).await?;
    step.done("the service answered throughout", serde_json::json!({}));
    Ok(())
}
