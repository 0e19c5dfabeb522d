//! `info`: what this kernel and user can do, tried rather than guessed.

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use windlass_cgroups::{Hierarchies, Home};
use windlass_namespaces::{Command, IdMapping, Namespace, Source, Stdio};
use windlass_overlay::{Feature, Support, probe};

use super::failure::Failure;
use super::rootless;
use crate::cause::chain;

/// One capability of this machine.
struct Fact {
    area: &'static str,
    name: String,
    /// `Err` holds the reason why not.
    able: Result<String, String>,
}

pub(super) fn info(root: &Path, json: bool) -> Result<u8, Failure> {
    let facts: Vec<Fact> = namespaces().into_iter().chain(cgroups()).chain(overlay(root)).chain(network()).collect();
    let text = if json { as_json(&facts) } else { as_text(&facts) };
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::during("print"))?;
    Ok(0)
}

fn as_json(facts: &[Fact]) -> String {
    let mut areas = serde_json::Map::new();
    for fact in facts {
        let area = areas.entry(fact.area).or_insert_with(|| json!({}));
        area[&fact.name] = match &fact.able {
            Ok(how) => json!({"able": true, "how": how}),
            Err(reason) => json!({"able": false, "reason": reason}),
        };
    }
    format!("{}\n", Value::Object(areas))
}

fn as_text(facts: &[Fact]) -> String {
    let line = |fact: &Fact| {
        let (able, words) = match &fact.able {
            Ok(how) => ("yes", how),
            Err(reason) => ("no", reason),
        };
        format!("{:<11} {:<28} {able:<4} {words}\n", fact.area, fact.name)
    };
    facts.iter().map(line).collect()
}

/// Starts this program in each new namespace, as root or below a new user namespace.
fn namespaces() -> Vec<Fact> {
    let root = nix::unistd::geteuid().is_root();
    let how = if root { "as root" } else { "in a user namespace of this user" };
    let kinds = [
        Namespace::User,
        Namespace::Mount,
        Namespace::Pid,
        Namespace::Net,
        Namespace::Ipc,
        Namespace::Uts,
        Namespace::Cgroup,
        Namespace::Time,
    ];
    let able = |kind| start_in_new(kind, !root).map(|()| how.to_owned()).map_err(|failure| failure.to_string());
    kinds.into_iter().map(|kind| Fact { area: "namespaces", name: kind.to_string(), able: able(kind) }).collect()
}

fn start_in_new(kind: Namespace, in_user: bool) -> Result<(), Failure> {
    let doing = || format!("start in a new {kind} namespace");
    let mut command = Command::new("/proc/self/exe");
    command.arg("--version").stdin(Stdio::Null).stdout(Stdio::Null).namespace(kind, Source::New);
    if in_user || kind == Namespace::User {
        let uid = IdMapping::new(0, nix::unistd::geteuid().as_raw(), 1).map_err(Failure::during(doing()))?;
        let gid = IdMapping::new(0, nix::unistd::getegid().as_raw(), 1).map_err(Failure::during(doing()))?;
        command.namespace(Namespace::User, Source::New).id_mappings(vec![uid], vec![gid]);
    }
    let status = command.spawn().and_then(|mut child| child.wait()).map_err(Failure::during(doing()))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{}: {status}", doing()))) }
}

fn cgroups() -> Vec<Fact> {
    let hierarchies = match Hierarchies::discover() {
        Ok(hierarchies) => hierarchies,
        Err(error) => {
            return vec![Fact { area: "cgroups", name: "hierarchies".to_owned(), able: Err(chain(&error)) }];
        }
    };
    let fact = |placement: windlass_cgroups::Placement| Fact {
        area: "cgroups",
        name: placement.controller.to_string(),
        able: match placement.home {
            Home::Absent(reason) => Err(reason.to_string()),
            Home::V1 => Ok(format!("v1 at {}", placement.base.unwrap_or_default())),
            Home::V2 => Ok(format!("v2 at {}", placement.base.unwrap_or_default())),
        },
    };
    hierarchies.controllers().into_iter().map(fact).collect()
}

/// Probes the file system that would hold the layers.
fn overlay(root: &Path) -> Vec<Fact> {
    let existing = root.ancestors().find(|folder| folder.is_dir()).unwrap_or(root);
    let probe = match probe(existing) {
        Ok(probe) => probe,
        Err(error) => {
            return vec![Fact { area: "overlay", name: "layers".to_owned(), able: Err(chain(&error)) }];
        }
    };
    let fact = |(feature, support): (Feature, Support)| Fact {
        area: "overlay",
        name: feature.to_string(),
        able: match support {
            Support::Works => Ok(format!("below {}", existing.display())),
            Support::Missing(reason) => Err(reason),
        },
    };
    probe.features.into_iter().map(fact).collect()
}

/// Which networks this user's containers can have.
fn network() -> Vec<Fact> {
    let fact = |name: &str, able| Fact { area: "network", name: name.to_owned(), able };
    let bridge = if rootless::is_ordinary() {
        Err("the bridge is in the host's network, which takes root: --network none with --publish works".to_owned())
    } else {
        Ok("windlass0, 10.87.0.0/16, masqueraded with nftables".to_owned())
    };
    vec![
        fact("none, host, container", Ok("by namespaces".to_owned())),
        fact("bridge", bridge),
        fact("publish", Ok("forwarded by the container's monitor, TCP and UDP".to_owned())),
    ]
}
