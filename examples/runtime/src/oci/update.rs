//! `update`: other limits for a container.

use std::io::Read as _;

use oci_spec::runtime::LinuxResources;
use serde_json::{Map, Value};

use super::cli::{Parsed, utf8};
use super::failure::{Failure, Result};
use super::group::Site;
use super::log::Log;
use super::state::Status;
use super::store::Store;
use super::{class, container, group};
use crate::amount;

/// A flag, where its value belongs below `linux.resources`, and what it looks like.
const FLAGS: [(&str, [&str; 2], Kind); 16] = [
    ("blkio-weight", ["blockIO", "weight"], Kind::Number),
    ("cpu-period", ["cpu", "period"], Kind::Number),
    ("cpu-quota", ["cpu", "quota"], Kind::Number),
    ("cpu-burst", ["cpu", "burst"], Kind::Number),
    ("cpu-share", ["cpu", "shares"], Kind::Number),
    ("cpu-rt-period", ["cpu", "realtimePeriod"], Kind::Number),
    ("cpu-rt-runtime", ["cpu", "realtimeRuntime"], Kind::Number),
    ("cpu-idle", ["cpu", "idle"], Kind::Number),
    ("cpuset-cpus", ["cpu", "cpus"], Kind::Text),
    ("cpuset-mems", ["cpu", "mems"], Kind::Text),
    ("kernel-memory", ["memory", "kernel"], Kind::Bytes),
    ("kernel-memory-tcp", ["memory", "kernelTCP"], Kind::Bytes),
    ("memory", ["memory", "limit"], Kind::Bytes),
    ("memory-reservation", ["memory", "reservation"], Kind::Bytes),
    ("memory-swap", ["memory", "swap"], Kind::Bytes),
    ("pids-limit", ["pids", "limit"], Kind::Number),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    /// -1 is no limit.
    Bytes,
    Text,
}

pub(super) fn update(store: &Store, log: &Log, given: &Parsed) -> Result<()> {
    let place = store.open(given.id()?)?;
    place.lock()?;
    let state = container::read(&place)?;
    if container::status(&place, &state)? == Status::Stopped {
        return Err(Failure::not_running(place.id().as_str()));
    }
    if let Some(schemata) = class::wanted(given)? {
        class::change(place.id(), &state, &schemata)?;
        if !names_limits(given) {
            return Ok(());
        }
    }
    let mut wanted = wanted(given)?;
    // What a container may do with devices is settled at its creation, and engines repeat it here.
    wanted.set_devices(None);
    // The zero by which Go's runtimes know what is not set.
    if wanted.pids().as_ref().is_some_and(|pids| pids.limit() == 0) {
        wanted.set_pids(None);
    }
    let site = Site::of(state.group.as_ref())?.ok_or_else(|| group::no_group(place.id()))?;
    complete_swap(&mut wanted, &site)?;
    let resources = group::limits(&wanted)?;
    let report = site.update(place.id(), &resources)?;
    log.debug(format_args!("{report:?}"));
    Ok(())
}

/// A limit on memory and swap together alone is one above the limit on memory that there is.
fn complete_swap(wanted: &mut LinuxResources, site: &Site) -> Result<()> {
    let Some(mut memory) = *wanted.memory() else { return Ok(()) };
    if memory.limit().is_some() || memory.swap().is_none_or(|swap| swap <= 0) {
        return Ok(());
    }
    memory.set_limit(site.memory_limit()?);
    wanted.set_memory(Some(memory));
    Ok(())
}

/// Whether anything is said of the container's group.
fn names_limits(given: &Parsed) -> bool {
    let flags = FLAGS.iter().map(|(flag, ..)| *flag).chain(["resources"]);
    flags.filter_map(|flag| given.value(flag)).any(|value| !value.is_empty())
}

fn wanted(given: &Parsed) -> Result<LinuxResources> {
    let Some(file) = given.path("resources") else {
        let value = Value::Object(from_flags(given)?);
        return serde_json::from_value(value).map_err(Failure::during("limits"));
    };
    let doing = || Failure::during(format!("limits from {}", file.display()));
    let text = if file.as_os_str() == "-" {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text).map(|_| text).map_err(doing())?
    } else {
        std::fs::read(&file).map_err(doing())?
    };
    serde_json::from_slice(&text).map_err(Failure::during(format_args!("limits from {}", file.display())))
}

fn from_flags(given: &Parsed) -> Result<Map<String, Value>> {
    let mut resources = Map::new();
    for (flag, [part, field], kind) in FLAGS {
        let Some(text) = given.value(flag).filter(|value| !value.is_empty()) else { continue };
        let text = utf8(flag, text)?;
        let wrong = || Failure::new(format!("invalid value {text:?} for {flag}"));
        let value = match kind {
            Kind::Text => Value::from(text),
            Kind::Number => Value::from(text.parse::<i64>().map_err(|_| wrong())?),
            Kind::Bytes if text == "-1" => Value::from(-1),
            Kind::Bytes => {
                let bytes = amount::bytes(text).ok().and_then(|bytes| i64::try_from(bytes).ok());
                Value::from(bytes.ok_or_else(wrong)?)
            }
        };
        let part = resources.entry(part).or_insert_with(|| Value::Object(Map::new()));
        part[field] = value;
    }
    if resources.is_empty() { Err(Failure::new("nothing to update was given")) } else { Ok(resources) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::cli::VERBS;

    fn wanted_by(line: &str) -> Result<LinuxResources> {
        let verb = VERBS.iter().find(|verb| verb.name == "update").unwrap();
        wanted(&Parsed::parse(verb.flags, line.split_whitespace().map(Into::into))?)
    }

    #[test]
    fn flags_become_limits() {
        let limits =
            wanted_by("--memory 64m --memory-swap -1 --cpu-quota -1 --cpuset-cpus 0-1 --pids-limit 7 id").unwrap();
        let memory = limits.memory().as_ref().unwrap();
        assert_eq!((memory.limit(), memory.swap()), (Some(64 << 20), Some(-1)));
        let cpu = limits.cpu().as_ref().unwrap();
        assert_eq!((cpu.quota(), cpu.cpus().as_deref()), (Some(-1), Some("0-1")));
        assert_eq!(limits.pids().as_ref().unwrap().limit(), 7);
        for wrong in ["id", "--memory lots id", "--cpu-share many id", "--cpu-quota 1.5 id"] {
            assert!(wanted_by(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_flag_is_known_to_the_command_line() {
        let verb = VERBS.iter().find(|verb| verb.name == "update").unwrap();
        for (flag, ..) in FLAGS {
            assert!(verb.flags.iter().any(|known| known.long == flag && known.value.is_some()), "{flag}");
        }
    }
}
