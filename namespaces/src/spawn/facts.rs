//! What a plan has to know about the caller.

use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;

use rustix::fs::fstatfs;

use crate::capability::CapabilitySet;
use crate::command::Command;
use crate::error::{Error, Result};
use crate::id::IdMapping;
use crate::kind::Namespace;
use crate::mount::Kind;
use crate::plan::cgroup_view::{self, Hierarchy};
use crate::plan::{CgroupVersion, Facts};

const STATUS: &str = "/proc/thread-self/status";
const MOUNTINFO: &str = "/proc/thread-self/mountinfo";
const CGROUP: &str = "/proc/thread-self/cgroup";
const SETGROUPS: &str = "/proc/thread-self/setgroups";
const GID_MAP: &str = "/proc/thread-self/gid_map";
const CGROUP_MAGIC: u64 = 0x0027_e0eb;
const CGROUP2_MAGIC: u64 = 0x6367_7270;

pub(super) fn read(command: &Command) -> Result<Facts> {
    let mut facts =
        parse(&content(STATUS)?).ok_or_else(|| Error::invalid("/proc", STATUS, "is not the kernel's format"))?;
    facts.environment = std::env::vars_os().collect();
    if !command.mounts.is_empty() {
        facts.gid_mappings = mappings(&content(GID_MAP)?)
            .ok_or_else(|| Error::invalid("/proc", GID_MAP, "is not the kernel's format"))?;
    }
    if command.user.is_some() || command.source(Namespace::User).is_some() {
        facts.setgroups_is_denied = content(SETGROUPS)?.trim() == "deny";
    }
    facts.has_keyrings = command.process.session_keyring.is_none() || crate::sys::has_keyrings();
    facts.landlock_abi = command.process.landlock.as_ref().map_or(0, |_| crate::sys::landlock_abi());
    if command.mounts.iter().any(|mount| matches!(mount.kind, Kind::Cgroups(_))) {
        (facts.hierarchies, facts.cgroups) = hierarchies(command)?;
    } else {
        facts.cgroups = command.cgroups.iter().map(version).collect::<Result<_>>()?;
    }
    if !command.process.pivots {
        facts.kernel_mounts = cgroup_view::kernel_mounts(&content(MOUNTINFO)?);
    }
    Ok(facts)
}

/// The text of a file of the kernel's, whose size nobody knows before.
fn content(path: &str) -> Result<String> {
    const ROOM: usize = 4096;
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let (mut bytes, mut length) = (vec![0; ROOM], 0);
        loop {
            if length == bytes.len() {
                bytes.resize(2 * length, 0);
            }
            match file.read(&mut bytes[length..]) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(length);
        String::from_utf8(bytes).map_err(io::Error::other)
    };
    read().map_err(|source| Error::sys("read", path, source))
}

/// The caller's hierarchies, with the groups that the process will be in, and the version of each of those.
fn hierarchies(command: &Command) -> Result<(Vec<Hierarchy>, Vec<CgroupVersion>)> {
    let mut found = cgroup_view::hierarchies(&content(MOUNTINFO)?, &content(CGROUP)?);
    let mut versions = Vec::with_capacity(command.cgroups.len());
    for group in &command.cgroups {
        let link = format!("/proc/thread-self/fd/{}", group.as_raw_fd());
        let path = std::fs::read_link(&link).map_err(|source| Error::sys("readlink", link, source))?;
        // One may be mounted in a directory of another.
        let around = found.iter_mut().filter(|hierarchy| path.starts_with(&hierarchy.place));
        let hierarchy = around.max_by_key(|hierarchy| hierarchy.place.as_os_str().len());
        versions.push(match &hierarchy {
            Some(hierarchy) => hierarchy.version,
            None => version(group)?,
        });
        if let Some(hierarchy) = hierarchy {
            hierarchy.own = path;
        }
    }
    Ok((found, versions))
}

fn version(group: &std::os::fd::OwnedFd) -> Result<CgroupVersion> {
    let object = || format!("{group:?}");
    let status = fstatfs(group).map_err(|errno| Error::sys("fstatfs", object(), errno))?;
    match u64::try_from(status.f_type) {
        Ok(CGROUP_MAGIC) => Ok(CgroupVersion::One),
        Ok(CGROUP2_MAGIC) => Ok(CgroupVersion::Two),
        _ => Err(Error::invalid("cgroup", object(), "is not a directory of a cgroup hierarchy")),
    }
}

/// One run of ids a line: inside, outside, count.
fn mappings(text: &str) -> Option<Vec<IdMapping>> {
    let mapping = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        IdMapping::new(next()?, next()?, next()?).ok()
    };
    text.lines().map(mapping).collect()
}

fn parse(status: &str) -> Option<Facts> {
    let field = |name: &str| {
        let line = status.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')))?;
        line.split_once(':').map(|(_, value)| value.trim())
    };
    let hexadecimal = |name: &str| field(name).and_then(|value| u64::from_str_radix(value, 16).ok());
    // Real, effective, saved and file system id.
    let effective = |name: &str| field(name)?.split_whitespace().nth(1)?.parse().ok();
    let permitted = CapabilitySet::from_bits(hexadecimal("CapPrm")?);
    let bounding = CapabilitySet::from_bits(hexadecimal("CapBnd")?);
    Some(Facts {
        uid: effective("Uid")?,
        gid: effective("Gid")?,
        effective: CapabilitySet::from_bits(hexadecimal("CapEff")?),
        held: permitted.intersection(bounding),
        umask: u32::from_str_radix(field("Umask")?, 8).ok()?,
        ignored_signals: hexadecimal("SigIgn")?,
        environment: Vec::new(),
        gid_mappings: Vec::new(),
        setgroups_is_denied: false,
        has_keyrings: false,
        landlock_abi: 0,
        hierarchies: Vec::new(),
        cgroups: Vec::new(),
        kernel_mounts: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_of_groups_is_understood() {
        let map = mappings("         0       1000          1\n         1     100000      65536\n").unwrap();
        assert_eq!((map.len(), map[1].inside(), map[1].outside(), map[1].count()), (2, 1, 100_000, 65_536));
        assert!(mappings("0 x 1\n").is_none());
    }

    #[test]
    fn the_status_file_is_understood() {
        let text = "Name:\tx\nUmask:\t0027\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nSigIgn:\t0000000000001000\n\
            CapPrm:\t00000000000000ff\nCapEff:\t00000000000000f0\nCapBnd:\t000000000000001f\n";
        let facts = parse(text).unwrap();
        assert_eq!((facts.uid, facts.gid, facts.umask, facts.ignored_signals), (2, 6, 0o27, 0x1000));
        assert_eq!((facts.effective.bits(), facts.held.bits()), (0xf0, 0x1f));
        assert!(parse(&text.replace("CapBnd", "Cap")).is_none());
    }
}
