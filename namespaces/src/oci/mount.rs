//! `mounts`: what is mounted, and what its option words mean.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxIdMapping, Mount as Entry};

use super::not_honoured;
use crate::error::{Error, Result};
use crate::id::IdMapping;
use crate::mount::{Attributes, Contents, Kind, Mount, Propagation, Reach, attribute};

/// The tree that the container will find, and what its mounts need of the tree around it.
#[derive(Debug)]
pub(super) struct Mounts {
    pub(super) list: Vec<Mount>,
    /// Whether `/dev` is the host's, in which nothing is made.
    pub(super) host_dev: bool,
    /// The most that a mount takes part in propagation.
    pub(super) propagation: Propagation,
}

pub(super) fn mounts(entries: &[Entry], bundle: &Path, label: Option<&str>) -> Result<Mounts> {
    let mut all = Mounts { list: Vec::new(), host_dev: false, propagation: Propagation::Private };
    for (index, entry) in entries.iter().enumerate() {
        let words = Words::of(entry);
        let mount = labelled(mount(entry, index, &words, bundle)?, label);
        all.host_dev |= matches!(mount.kind, Kind::Bind { .. }) && mount.target == Path::new("/dev");
        all.propagation = match (all.propagation, mount.propagation) {
            (_, Some(Propagation::Slave | Propagation::Shared)) | (Propagation::Slave, _) => Propagation::Slave,
            _ => Propagation::Private,
        };
        all.list.push(mount);
    }
    Ok(all)
}

/// Gives all files of a new file system a label. Those of the kernel's own interfaces have labels by the policy.
fn labelled(mount: Mount, label: Option<&str>) -> Mount {
    match (&mount.kind, label) {
        (Kind::Filesystem { name, .. }, Some(label)) if !OWN_LABELS.contains(&name.as_str()) => {
            mount.option("context", label)
        }
        _ => mount,
    }
}

const OWN_LABELS: [&str; 5] = ["proc", "sysfs", "mqueue", "cgroup", "cgroup2"];

fn mount(entry: &Entry, index: usize, words: &Words, bundle: &Path) -> Result<Mount> {
    let target = target(entry.destination())?;
    let kind = entry.typ().as_deref().unwrap_or_default();
    let source = entry.source().as_deref().filter(|source| *source != Path::new(""));
    over_proc(&target, kind, source)?;
    let mut mount = match (words.bind, kind) {
        (bind, _) if words.remount => {
            // Of a bind only what is allowed through it changes.
            let options = if bind.is_some() { Vec::new() } else { words.data.clone() };
            Mount::remount(options, target)
        }
        (Some(reach), _) => bind(source, reach, target, bundle)?,
        // The type alone says as much as the option of the same name.
        (None, "bind") => bind(source, Reach::This, target, bundle)?,
        (None, "" | "none") => {
            return Err(Error::invalid("mounts.type", kind, "is needed for what is no bind mount"));
        }
        (None, "cgroup") if words.data.is_empty() => Mount::cgroups_of_one_version(target),
        (None, "cgroup") => {
            return not_honoured(
                format!("mounts[{index}].options"),
                "the view of the groups takes no options of its own",
            );
        }
        (None, "sysfs") if words.data.is_empty() => Mount::sysfs(target),
        (None, name) => words.options(Mount::filesystem(name, target), source),
    };
    if matches!(mount.kind, Kind::Bind { .. }) && !words.data.is_empty() {
        return not_honoured(format!("mounts[{index}].options"), "a bind mount takes no options of a file system");
    }
    if words.copy_up {
        mount = copied_up(mount, index)?;
    } else if kind == "tmpfs" && words.data.iter().all(|(key, _)| key != "mode") {
        mount.contents = Contents::PermissionsOfTarget;
    }
    mount = id_mapped(mount, entry, index, words.id_mapped)?;
    mount.own = words.own;
    mount.below = words.below;
    if let Some((propagation, reach)) = words.propagation {
        mount.propagation = Some(propagation);
        mount.propagation_reach = Some(reach);
    }
    Ok(mount)
}

fn copied_up(mount: Mount, index: usize) -> Result<Mount> {
    match &mount.kind {
        Kind::Filesystem { name, .. } if name == "tmpfs" => Ok(mount.copy_up()),
        _ => not_honoured(format!("mounts[{index}].options"), "only a tmpfs begins with a copy"),
    }
}

/// Mappings alone mean what the word `idmap` says.
fn id_mapped(mount: Mount, entry: &Entry, index: usize, word: Option<Reach>) -> Result<Mount> {
    let mappings = |field, list: &Option<Vec<LinuxIdMapping>>| {
        let list = list.as_deref().unwrap_or_default();
        let one = |one: &LinuxIdMapping| IdMapping::new(one.container_id(), one.host_id(), one.size());
        list.iter().map(one).collect::<Result<Vec<_>>>().map(|list| (field, list))
    };
    let (uid_field, uid) = mappings("uidMappings", entry.uid_mappings())?;
    let (gid_field, gid) = mappings("gidMappings", entry.gid_mappings())?;
    match (uid.is_empty(), gid.is_empty(), word) {
        (true, true, None) => return Ok(mount),
        (true, true, Some(_)) => {
            let reason = "a mount with ids of its own says which; those of the container are not taken";
            return not_honoured(format!("mounts[{index}].uidMappings"), reason);
        }
        (false, false, _) => {}
        (uid_is_empty, ..) => {
            let field = if uid_is_empty { uid_field } else { gid_field };
            return not_honoured(format!("mounts[{index}].{field}"), "users and groups are mapped, or neither");
        }
    }
    if !matches!(mount.kind, Kind::Bind { .. }) {
        return not_honoured(format!("mounts[{index}].uidMappings"), "only bind mounts have ids of their own");
    }
    let mapped = mount.id_map(uid, gid);
    Ok(if word == Some(Reach::Below) { mapped.id_map_below() } else { mapped })
}

/// Files below `/proc` that engines show another content of.
const OVER_PROC: [&str; 11] = [
    "cpuinfo",
    "diskstats",
    "loadavg",
    "meminfo",
    "net/dev",
    "slabinfo",
    "stat",
    "swaps",
    "sys/crypto/fips_enabled",
    "sys/kernel/ns_last_pid",
    "uptime",
];

/// Only procfs is mounted at `/proc`, and nothing below it that a process is set up or watched by: an image may ask for
/// a volume there.
fn over_proc(target: &Path, kind: &str, source: Option<&Path>) -> Result<()> {
    let allowed = match target.strip_prefix("/proc") {
        Err(_) => true,
        Ok(below) if below == Path::new("") => kind == "proc" || source == Some(Path::new("/proc")),
        Ok(below) => OVER_PROC.iter().any(|allowed| below == Path::new(allowed)),
    };
    if allowed {
        return Ok(());
    }
    Err(Error::invalid("mounts.destination", target.display().to_string(), "nothing but procfs is mounted there"))
}

/// Relative ones are read as from the root.
fn target(destination: &Path) -> Result<PathBuf> {
    let target = Path::new("/").join(destination);
    if target == Path::new("/") {
        return Err(Error::invalid("mounts.destination", destination.display().to_string(), "is the root itself"));
    }
    // Without the slash at its end.
    Ok(target.components().collect())
}

fn bind(source: Option<&Path>, reach: Reach, target: PathBuf, bundle: &Path) -> Result<Mount> {
    let source = source.ok_or_else(|| Error::invalid("mounts.source", "", "a bind mount needs one"))?;
    let source = bundle.join(source);
    Ok(match reach {
        Reach::This => Mount::bind(source, target),
        Reach::Below => Mount::bind_recursive(source, target),
    })
}

/// The option words of a mount, taken apart.
#[derive(Debug, Default)]
struct Words {
    bind: Option<Reach>,
    own: Attributes,
    below: Attributes,
    propagation: Option<(Propagation, Reach)>,
    id_mapped: Option<Reach>,
    copy_up: bool,
    /// What is mounted there already is changed.
    remount: bool,
    /// Words for the file system itself.
    data: Vec<(String, Option<String>)>,
}

/// Words that set or clear attributes of a mount; with an `r` before it a word reaches the mounts below.
///
/// Source: `config.md` of runtime-spec, "Linux mount options".
const ATTRIBUTES: &[(&str, Attributes)] = &[
    ("ro", Attributes::set(attribute::READ_ONLY)),
    ("rw", cleared(attribute::READ_ONLY)),
    ("nosuid", Attributes::set(attribute::NO_SUID)),
    ("suid", cleared(attribute::NO_SUID)),
    ("nodev", Attributes::set(attribute::NO_DEV)),
    ("dev", cleared(attribute::NO_DEV)),
    ("noexec", Attributes::set(attribute::NO_EXEC)),
    ("exec", cleared(attribute::NO_EXEC)),
    ("nodiratime", Attributes::set(attribute::NO_DIR_ATIME)),
    ("diratime", cleared(attribute::NO_DIR_ATIME)),
    ("noatime", Attributes::set(attribute::NO_ATIME)),
    ("strictatime", Attributes::set(attribute::STRICT_ATIME)),
    // `relatime` is what is left when the field is cleared, and the kernel's default.
    ("relatime", cleared(attribute::ATIME)),
    ("atime", cleared(attribute::ATIME)),
    ("norelatime", cleared(attribute::ATIME)),
    ("nostrictatime", cleared(attribute::ATIME)),
    ("nosymfollow", Attributes::set(attribute::NO_SYMLINK_FOLLOW)),
    ("symfollow", cleared(attribute::NO_SYMLINK_FOLLOW)),
];

const fn cleared(clear: u64) -> Attributes {
    Attributes { set: 0, clear }
}

const PROPAGATIONS: &[(&str, Propagation)] = &[
    ("private", Propagation::Private),
    ("slave", Propagation::Slave),
    ("shared", Propagation::Shared),
    ("unbindable", Propagation::Unbindable),
];

impl Words {
    fn of(entry: &Entry) -> Self {
        let mut words = Self::default();
        for word in entry.options().iter().flatten() {
            words.take(word);
        }
        words
    }

    fn take(&mut self, word: &str) {
        let find = |word: &str| ATTRIBUTES.iter().find(|(name, _)| *name == word).map(|(_, change)| *change);
        let travels = |word: &str| PROPAGATIONS.iter().find(|(name, _)| *name == word).map(|(_, found)| *found);
        let recursive = word.strip_prefix('r');
        if let Some(change) = find(word) {
            self.own = merged(self.own, change);
        } else if let Some(change) = recursive.and_then(find) {
            self.below = merged(self.below, change);
        } else if let Some(propagation) = travels(word) {
            self.propagation = Some((propagation, Reach::This));
        } else if let Some(propagation) = recursive.and_then(travels) {
            self.propagation = Some((propagation, Reach::Below));
        } else {
            match word {
                "bind" => {
                    self.bind.get_or_insert(Reach::This);
                }
                "rbind" => self.bind = Some(Reach::Below),
                "idmap" => self.id_mapped = Some(Reach::This),
                "ridmap" => self.id_mapped = Some(Reach::Below),
                "tmpcopyup" => self.copy_up = true,
                // What every mount is unless told otherwise, and what the kernel writes about it into its log.
                "defaults" | "async" | "nomand" | "nolazytime" | "noiversion" | "loud" | "silent" => {}
                "remount" => self.remount = true,
                // As the kernel's own parser of mount options, which knows `sync`, `dirsync`, `mand` and `lazytime`.
                word => self.data.push(match word.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (word.to_owned(), None),
                }),
            }
        }
    }

    /// The file system with its options; what it is called in the list of mounts comes first.
    fn options(&self, mount: Mount, source: Option<&Path>) -> Mount {
        let mount = match source {
            Some(source) => mount.option("source", source.to_string_lossy()),
            None => mount,
        };
        self.data.iter().fold(mount, |mount, (key, value)| match value {
            Some(value) => mount.option(key, value),
            None => mount.flag(key),
        })
    }
}

/// The later word counts.
fn merged(before: Attributes, change: Attributes) -> Attributes {
    // Any word about access times takes the place of all of them before.
    let field = if (change.set | change.clear) & attribute::ATIME == 0 { 0 } else { attribute::ATIME };
    Attributes {
        set: before.set & !change.clear & !field | change.set,
        clear: before.clear & !change.set & !field | change.clear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowered(json: &str) -> Result<Mounts> {
        mounts(&serde_json::from_str::<Vec<Entry>>(json).unwrap(), Path::new("/bundle"), None)
    }

    fn one(options: &str) -> Mount {
        let options: Vec<String> = options.split(',').map(|word| format!("{word:?}")).collect();
        let json = format!(r#"[{{"destination": "/x", "source": "y", "options": [{}]}}]"#, options.join(","));
        lowered(&json).unwrap().list.remove(0)
    }

    #[test]
    fn words_set_and_clear_attributes_here_and_below() {
        let change = |set, clear| Attributes { set, clear };
        for (words, own, below) in [
            ("bind", change(0, 0), change(0, 0)),
            ("bind,ro,nosuid,nodev,noexec", change(0xf, 0), change(0, 0)),
            ("rbind,rw,suid,dev,exec", change(0, 0xf), change(0, 0)),
            ("rbind,ro,rw", change(0, 1), change(0, 0)),
            ("rbind,rw,ro", change(1, 0), change(0, 0)),
            ("rbind,rro,rnosuid", change(0, 0), change(3, 0)),
            ("rbind,rrw,ro", change(1, 0), change(0, 1)),
            ("bind,noatime", change(0x10, 0), change(0, 0)),
            ("bind,noatime,relatime", change(0, 0x70), change(0, 0)),
            ("bind,relatime,strictatime", change(0x20, 0), change(0, 0)),
            ("bind,nodiratime,nosymfollow", change(0x20_0080, 0), change(0, 0)),
            ("rbind,rnosymfollow,rdiratime", change(0, 0), change(0x20_0000, 0x80)),
            ("bind,async,loud,defaults,nomand", change(0, 0), change(0, 0)),
        ] {
            let mount = one(words);
            assert_eq!((mount.own, mount.below), (own, below), "{words}");
        }
    }

    #[test]
    fn binds_are_told_from_file_systems() {
        let kind = |json: &str| format!("{:?}", lowered(json).unwrap().list[0].kind);
        for (json, expected) in [
            (
                r#"[{"destination": "/x", "type": "bind", "source": "/s"}]"#,
                r#"Bind { source: "/s", recursive: false }"#,
            ),
            (
                r#"[{"destination": "/x", "type": "none", "source": "s", "options": ["rbind"]}]"#,
                r#"Bind { source: "/bundle/s", recursive: true }"#,
            ),
            (
                r#"[{"destination": "x/", "type": "tmpfs", "source": "shm", "options": ["size=1k", "sync", "ro"]}]"#,
                r#"Filesystem { name: "tmpfs", options: [("source", Some("shm")), ("size", Some("1k")), ("sync", None)] }"#,
            ),
            (r#"[{"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}]"#, "Sysfs"),
        ] {
            assert_eq!(kind(json), expected, "{json}");
        }
        for json in [
            r#"[{"destination": "/x", "source": "/s"}]"#,
            r#"[{"destination": "/x", "type": "bind"}]"#,
            r#"[{"destination": "/", "type": "tmpfs"}]"#,
            r#"[{"destination": "/x", "type": "bind", "source": "/s", "options": ["size=1"]}]"#,
            r#"[{"destination": "/proc", "type": "tmpfs"}]"#,
            r#"[{"destination": "/proc/", "type": "bind", "source": "/s"}]"#,
            r#"[{"destination": "/proc/self/attr", "type": "bind", "source": "/s"}]"#,
        ] {
            assert!(lowered(json).is_err(), "{json}");
        }
    }

    #[test]
    fn ids_and_copies_are_of_some_mounts_only() {
        let mount = |kind: &str, options: &str, more: &str| {
            let json = format!(
                r#"[{{"destination": "/x", "type": "{kind}", "source": "/s", "options": [{options}] {more}}}]"#
            );
            lowered(&json).map(|mut mounts| mounts.list.remove(0))
        };
        let map = r#"[{"containerID": 0, "hostID": 1000, "size": 5}]"#;
        let both = format!(r#", "uidMappings": {map}, "gidMappings": {map}"#);
        for (options, below) in [("", false), (r#""idmap""#, false), (r#""rbind", "ridmap""#, true)] {
            let text = format!("{:?}", mount("bind", options, &both).unwrap());
            assert!(text.contains("outside: 1000") && text.contains("made: None"), "{text}");
            assert_eq!(text.contains("reach: Below"), below, "{text}");
        }
        assert!(format!("{:?}", mount("tmpfs", r#""tmpcopyup""#, "").unwrap()).contains("OfTarget"));
        assert!(matches!(mount("cgroup", r#""ro""#, "").unwrap().kind, Kind::Cgroups(_)));
        for (kind, options, more) in [
            ("bind", r#""idmap""#, ""),
            ("tmpfs", "", &both[..]),
            ("bind", "", &format!(r#", "uidMappings": {map}"#)[..]),
            ("bind", r#""tmpcopyup""#, ""),
            ("cgroup", r#""memory""#, ""),
        ] {
            assert!(matches!(mount(kind, options, more), Err(Error::NotHonoured { .. })), "{kind} {options}");
        }
    }

    #[test]
    fn the_tree_takes_part_as_far_as_a_mount_needs() {
        for (word, expected, reach) in [
            ("private", Propagation::Private, Reach::This),
            ("rprivate", Propagation::Private, Reach::Below),
            ("slave", Propagation::Slave, Reach::This),
            ("rslave", Propagation::Slave, Reach::Below),
            ("shared", Propagation::Slave, Reach::This),
            ("rshared", Propagation::Slave, Reach::Below),
        ] {
            let json = format!(r#"[{{"destination": "/x", "source": "/s", "options": ["rbind", "{word}"]}}]"#);
            let mounts = lowered(&json).unwrap();
            assert_eq!(mounts.propagation, expected);
            assert_eq!(mounts.list[0].propagation_reach, Some(reach));
        }
    }
}
