//! `events`: what a container uses, once or again and again, and when its memory runs out.

use std::io::Write as _;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use windlass_cgroups::{Event, Group};

use super::failure::{Failure, Result};
use super::identity::Identity;
use super::state::{State, Status};
use super::store::Store;
use super::{container, group, usage};

/// How often something is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Print {
    Once,
    Every(Duration),
}

pub(super) fn events(store: &Store, id: &str, print: Print) -> Result<()> {
    let place = store.open(id)?;
    let state = container::read(&place)?;
    if container::status(&place, &state)? == Status::Stopped {
        return Err(Failure::new(format!("container with id {id} is not running")));
    }
    let group = group::open(place.id(), state.group.as_ref())?;
    let Print::Every(interval) = print else { return tell(id, "stats", Some(usage::usage(&group, &state)?)) };
    let init = state.init.map(Identity::open).transpose()?.flatten();
    let Some(init) = init else { return Ok(()) };
    let mut watch = group.events().map_err(Failure::during("watch the container"))?;
    let mut next = Instant::now() + interval;
    loop {
        let left = Timespec::try_from(next.saturating_duration_since(Instant::now()));
        let left = left.map_err(Failure::during("wait"))?;
        let mut descriptors = [PollFd::new(&init, PollFlags::IN), PollFd::new(&watch, PollFlags::IN)];
        match poll(&mut descriptors, Some(&left)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::during("wait")(error)),
        }
        let ended = !descriptors[0].revents().is_empty();
        for event in watch.read().map_err(Failure::during("watch the container"))? {
            match event {
                Event::OomKilled(_) => tell(id, "oom", None)?,
                Event::Removed => return Ok(()),
                _ => {}
            }
        }
        if ended {
            return Ok(());
        }
        if Instant::now() >= next {
            stats(id, &group, &state)?;
            next += interval;
        }
    }
}

/// Prints what is used now; a container that is removed meanwhile uses nothing.
fn stats(id: &str, group: &Group, state: &State) -> Result<()> {
    match usage::usage(group, state) {
        Err(_) if group.is_gone() => Ok(()),
        usage => tell(id, "stats", Some(usage?)),
    }
}

fn tell(id: &str, kind: &str, data: Option<Value>) -> Result<()> {
    let mut event = json!({ "type": kind, "id": id });
    if let Some(data) = data {
        event["data"] = data;
    }
    writeln!(std::io::stdout(), "{event}").map_err(Failure::during("write to the standard output"))
}

/// A time such as `5s`, `1m30s` or `250ms`.
pub(super) fn duration(text: &str) -> Result<Duration> {
    let wrong = || Failure::new(format!("invalid duration {text:?}"));
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits =
            rest.find(|letter: char| !letter.is_ascii_digit()).filter(|digits| *digits > 0).ok_or_else(wrong)?;
        let number: u32 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            _ => return Err(wrong()),
        };
        rest = &rest[letters..];
        sum = unit.checked_mul(number).and_then(|part| sum.checked_add(part)).ok_or_else(wrong)?;
    }
    if sum.is_zero() { Err(Failure::new("duration interval must be greater than 0")) } else { Ok(sum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, millis) in [("5s", 5000), ("1m30s", 90_000), ("250ms", 250), ("1h", 3_600_000)] {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "0s", "5", "s", "1d", "-1s", "1.5s", "99999999999s"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }
}
