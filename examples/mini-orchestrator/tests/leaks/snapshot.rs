//! Everything that a program could leave behind, as text: one line a thing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A kind of thing that can be left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Mount,
    Cgroup,
    Link,
    Address,
    Route,
    Ruleset,
    Namespace,
    LoopDevice,
    Process,
    File,
}

/// All things of all kinds at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    things: BTreeMap<Kind, BTreeSet<String>>,
}

/// What is different: `+` came, `-` went.
pub(crate) type Difference = BTreeSet<(Kind, String)>;

impl Snapshot {
    /// Looks at the machine as this process sees it; `folders` are those whose whole content counts.
    pub(crate) fn take(folders: &[&Path]) -> Self {
        let mut things = BTreeMap::new();
        things.insert(Kind::Mount, mounts());
        things.insert(Kind::Cgroup, cgroups());
        // Every line of the tables that the kernel prints for this network namespace, counters left out.
        things.insert(Kind::Link, first_words("/proc/self/net/dev", 1));
        things.insert(
            Kind::Address,
            lines("/proc/self/net/fib_trie").union(&lines("/proc/self/net/if_inet6")).cloned().collect(),
        );
        things.insert(
            Kind::Route,
            lines("/proc/self/net/route").union(&lines("/proc/self/net/ipv6_route")).cloned().collect(),
        );
        things.insert(Kind::Ruleset, ruleset());
        things.insert(Kind::Namespace, namespaces());
        things.insert(Kind::LoopDevice, loop_devices());
        things.insert(Kind::Process, processes());
        things.insert(Kind::File, folders.iter().flat_map(|folder| files(folder)).collect());
        Self { things }
    }

    /// What came and what went between this snapshot and a later one.
    pub(crate) fn difference(&self, later: &Self) -> Difference {
        let mut difference = Difference::new();
        for (kind, before) in &self.things {
            let after = &later.things[kind];
            difference.extend(after.difference(before).map(|thing| (*kind, format!("+ {thing}"))));
            difference.extend(before.difference(after).map(|thing| (*kind, format!("- {thing}"))));
        }
        difference
    }
}

/// Whole lines without their mount number, which is new for each copy of a namespace but the same within one.
fn mounts() -> BTreeSet<String> {
    lines("/proc/self/mountinfo")
}

/// Every group's directory, wherever a hierarchy is mounted.
fn cgroups() -> BTreeSet<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let hierarchies =
        mounts.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split(' ').nth(4));
    let mut groups = BTreeSet::new();
    for hierarchy in hierarchies {
        let mut pending = vec![PathBuf::from(hierarchy)];
        while let Some(folder) = pending.pop() {
            // A group may go while its parent is read.
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            pending.extend(
                entries
                    .flatten()
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .map(|entry| entry.path()),
            );
            groups.insert(folder.display().to_string());
        }
    }
    groups
}

/// The whole ruleset as `nft` prints it, or the tables' names where the program is missing.
fn ruleset() -> BTreeSet<String> {
    match std::process::Command::new("nft").args(["list", "ruleset"]).output() {
        Ok(output) => {
            assert!(output.status.success(), "nft list ruleset: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeSet::new(),
        Err(error) => panic!("nft: {error}"),
    }
}

/// The inode of each namespace that a process is in or holds a descriptor of, or that is mounted.
fn namespaces() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for process in numbered("/proc") {
        for folder in ["ns", "fd"] {
            // A process may go at any time, and its descriptors with it.
            let Ok(entries) = fs::read_dir(process.join(folder)) else { continue };
            for entry in entries.flatten() {
                let Ok(target) = fs::read_link(entry.path()) else { continue };
                let target = target.to_string_lossy();
                if target.ends_with(']') && NAMESPACES.iter().any(|kind| target.starts_with(kind)) {
                    found.insert(target.into_owned());
                }
            }
        }
    }
    let mounted = lines("/proc/self/mountinfo");
    found.extend(mounted.iter().filter(|line| line.contains(" - nsfs ")).cloned());
    found
}

const NAMESPACES: [&str; 8] = ["mnt:[", "pid:[", "net:[", "ipc:[", "uts:[", "user:[", "cgroup:[", "time:["];

fn loop_devices() -> BTreeSet<String> {
    let devices = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    devices
        .filter_map(|device| {
            let backing = fs::read_to_string(device.path().join("loop/backing_file")).ok()?;
            Some(format!("{} {}", device.file_name().to_string_lossy(), backing.trim()))
        })
        .collect()
}

/// Pid, moment of birth and name of each process but this one's own short-lived helpers.
fn processes() -> BTreeSet<String> {
    numbered("/proc")
        .into_iter()
        .filter_map(|process| {
            let stat = fs::read_to_string(process.join("stat")).ok()?;
            let (head, tail) = stat.rsplit_once(')')?;
            Some(format!("{head}) started {}", tail.split_whitespace().nth(19)?))
        })
        .collect()
}

/// Path, type, owner and size of everything below a folder, which may be missing.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        // A folder's size and times change with what was in it; what is in it is compared itself.
        let size = if metadata.is_dir() { 0 } else { metadata.len() };
        found.push(format!("{} {:o} {}:{} {size}", path.display(), metadata.mode(), metadata.uid(), metadata.gid()));
        if metadata.is_dir() {
            pending.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    found
}

fn numbered(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()))
        .map(|entry| entry.path())
        .collect()
}

/// The lines with their place, so that equal lines of a tree count each.
fn lines(path: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    text.lines()
        .map(|line| {
            let times = seen.entry(line).or_default();
            *times += 1;
            if *times == 1 { line.to_owned() } else { format!("{line} (time {times})") }
        })
        .collect()
}

fn first_words(path: &str, count: usize) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| line.split_whitespace().take(count).collect::<Vec<_>>().join(" ")).collect()
}
