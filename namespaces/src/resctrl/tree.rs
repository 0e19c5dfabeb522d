//! Classes in the kernel's tree.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::class::{Class, Maker};
use super::schemata::Schemata;
use crate::child::Pid;
use crate::error::{Error, Result};
use crate::plan::cgroup_view;

const MOUNTINFO: &str = "/proc/thread-self/mountinfo";
const SCHEMATA: &str = "schemata";

/// The tree of classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resctrl {
    root: PathBuf,
}

/// A class that a process can be put into: where its directory is, and what goes with the process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// The directory of the class.
    pub directory: PathBuf,
    /// Whether the class goes with the process.
    pub is_own: bool,
    /// The directory in which its use is counted by itself.
    pub monitor: Option<PathBuf>,
}

/// What was used of one cache, and of the memory behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheUse {
    /// The domain, as the kernel names it: `mon_L3_00`.
    pub domain: String,
    /// Bytes of the cache that are occupied.
    pub occupancy: Option<u64>,
    /// Bytes transferred from and to all memory.
    pub total: Option<u64>,
    /// Bytes transferred from and to the memory behind this cache.
    pub local: Option<u64>,
}

impl Resctrl {
    /// The tree that the administrator has mounted.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where there is none.
    pub fn find() -> Result<Self> {
        let mounts = fs::read_to_string(MOUNTINFO).map_err(|source| Error::sys("read", MOUNTINFO, source))?;
        match cgroup_view::resctrl(&mounts) {
            Some(root) => Ok(Self::at(root)),
            None => Err(Error::Unsupported { feature: "resctrl: no such file system is mounted".to_owned() }),
        }
    }

    /// The tree that is mounted here.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a class is, made or not.
    pub fn group(&self, class: &Class) -> Group {
        let directory = if class.name.is_empty() { self.root.clone() } else { self.root.join(&class.name) };
        let monitor = class.monitor.as_ref().map(|name| directory.join("mon_groups").join(name));
        Group { directory, is_own: class.maker == Maker::Caller, monitor }
    }

    /// Makes a class, or checks the one that is there.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a [named](Class::named) class that is there has other schemata, or when there is none and
    /// no schemata to make it with; [`Error::Sys`] when the kernel refuses, with its reason. Nothing is left then.
    pub fn prepare(&self, class: &Class) -> Result<Group> {
        let group = self.group(class);
        let is_new = make(class, &group)?;
        let filled = if is_new { self.write(&group, &class.schemata) } else { Ok(()) };
        let monitored = filled.and_then(|()| group.monitor.as_deref().map_or(Ok(()), make_directory));
        match monitored {
            Ok(()) => Ok(group),
            Err(first) if is_new => match remove(&group.directory) {
                Ok(()) => Err(first),
                Err(source) => Err(Error::CleanUp { first: Box::new(first), source: Box::new(source) }),
            },
            Err(first) => Err(first),
        }
    }

    /// Lets the processes of a class use something else.
    ///
    /// # Errors
    /// [`Error::Sys`] with the kernel's reason.
    pub fn write(&self, group: &Group, schemata: &Schemata) -> Result<()> {
        if schemata.is_empty() {
            return Ok(());
        }
        let path = group.directory.join(SCHEMATA);
        put(&path, &format!("{schemata}\n")).map_err(|source| {
            // The kernel tells there what an error number does not.
            let told = fs::read_to_string(self.root.join("info/last_cmd_status")).unwrap_or_default();
            let told = told.trim();
            let reason = if told.is_empty() || told == "ok" { String::new() } else { format!(" ({told})") };
            Error::sys("write", format!("{}{reason}", path.display()), source)
        })
    }

    /// What the class of all other processes may use.
    ///
    /// # Errors
    /// As [`Group::schemata`].
    pub fn schemata(&self) -> Result<Schemata> {
        read_schemata(&self.root)
    }
}

impl Group {
    /// What is known of a class that was made earlier.
    pub fn known(directory: PathBuf, is_own: bool, monitor: Option<PathBuf>) -> Self {
        Self { directory, is_own, monitor }
    }

    /// Puts a process with one thread into the class; what it starts afterwards is there, too.
    ///
    /// # Errors
    /// [`Error::Sys`].
    pub fn add(&self, pid: Pid) -> Result<()> {
        // In this order: a process is counted with others of its class only.
        for directory in [Some(&self.directory), self.monitor.as_ref()].into_iter().flatten() {
            let path = directory.join("tasks");
            put(&path, &format!("{pid}\n"))
                .map_err(|source| Error::sys("write", path.display().to_string(), source))?;
        }
        Ok(())
    }

    /// What its processes may use.
    ///
    /// # Errors
    /// [`Error::Sys`]; [`Error::Invalid`] for a file that is not of the kernel's format.
    pub fn schemata(&self) -> Result<Schemata> {
        read_schemata(&self.directory)
    }

    /// What is used in each domain, counted by itself where that was asked for; nothing where the processor does not
    /// count.
    ///
    /// # Errors
    /// [`Error::Sys`].
    pub fn used(&self) -> Result<Vec<CacheUse>> {
        let data = self.monitor.as_ref().unwrap_or(&self.directory).join("mon_data");
        let object = || data.display().to_string();
        let entries = match fs::read_dir(&data) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| Error::sys("read", object(), source))?,
        };
        let mut used = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|source| Error::sys("read", object(), source))?;
            let domain = entry.file_name().to_string_lossy().into_owned();
            if domain.starts_with("mon_L3_") {
                let number = |name| number(&entry.path().join(name));
                let (occupancy, total, local) =
                    (number("llc_occupancy")?, number("mbm_total_bytes")?, number("mbm_local_bytes")?);
                used.push(CacheUse { domain, occupancy, total, local });
            }
        }
        used.sort_by(|a, b| a.domain.cmp(&b.domain));
        Ok(used)
    }

    /// Removes what goes with the process; what is gone already is no error.
    ///
    /// # Errors
    /// [`Error::Sys`].
    pub fn remove(&self) -> Result<()> {
        if self.is_own {
            // Takes its groups that count along.
            return remove(&self.directory);
        }
        self.monitor.as_deref().map_or(Ok(()), remove)
    }
}

/// Whether it is made; otherwise the one that is there is as it shall be.
fn make(class: &Class, group: &Group) -> Result<bool> {
    let invalid = |reason| Err(Error::invalid("resctrl", group.directory.display().to_string(), reason));
    let is_there = group.directory.is_dir();
    match class.maker {
        Maker::Anybody if is_there && group.schemata()?.agree_with(&class.schemata) => Ok(false),
        Maker::Anybody if is_there => invalid("is there, with other schemata"),
        Maker::Anybody if class.schemata.is_empty() => invalid("is not there, and no schemata are given"),
        Maker::Anybody | Maker::Caller => make_directory(&group.directory).map(|()| true),
    }
}

fn read_schemata(directory: &Path) -> Result<Schemata> {
    let path = directory.join(SCHEMATA);
    let text = fs::read_to_string(&path).map_err(|source| Error::sys("read", path.display().to_string(), source))?;
    text.parse().map_err(|_| Error::invalid("resctrl", path.display().to_string(), "is not the kernel's format"))
}

/// A number of a file that not every processor has; `Unavailable` and `Error` are the kernel's words for none.
fn number(path: &Path) -> Result<Option<u64>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::sys("read", path.display().to_string(), source)),
    }
}

fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir(path).map_err(|source| Error::sys("mkdir", path.display().to_string(), source))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|source| Error::sys("rmdir", path.display().to_string(), source)),
    }
}

/// In one call: the kernel takes each as a command of its own. Its files are there as soon as their directory is, and in
/// its tree none is created.
fn put(path: &Path, text: &str) -> io::Result<()> {
    fs::File::options().write(true).create(true).truncate(false).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree like the kernel's, but that a new directory is empty.
    fn tree() -> (tempfile::TempDir, Resctrl) {
        let folder = tempfile::tempdir().unwrap();
        let resctrl = Resctrl::at(folder.path());
        for directory in ["info", "there/mon_groups", "there/mon_data/mon_L3_01", "there/mon_data/mon_L3_00"] {
            fs::create_dir_all(folder.path().join(directory)).unwrap();
        }
        fs::write(folder.path().join("schemata"), "L3:0=ff;1=ff\n").unwrap();
        fs::write(folder.path().join("there/schemata"), "    L3:0=0f;1=f0\n    MB:0=100;1=100\n").unwrap();
        fs::write(folder.path().join("there/mon_data/mon_L3_00/llc_occupancy"), "4096\n").unwrap();
        fs::write(folder.path().join("there/mon_data/mon_L3_00/mbm_total_bytes"), "Unavailable\n").unwrap();
        fs::write(folder.path().join("there/mon_data/mon_L3_01/mbm_local_bytes"), "7\n").unwrap();
        (folder, resctrl)
    }

    fn class(name: &str, schemata: &str) -> Class {
        let mut class = Class::named(name).unwrap();
        class.schemata = schemata.parse().unwrap();
        class
    }

    #[test]
    fn a_class_is_made_and_filled() {
        let (folder, resctrl) = tree();
        let mut own = Class::own("box").unwrap();
        own.schemata = "MB:0=20\nL3:0=3".parse().unwrap();
        let group = resctrl.prepare(&own).unwrap();
        group.add(Pid::new(77)).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!((read("box/schemata").as_str(), read("box/tasks").as_str()), ("L3:0=3\nMB:0=20\n", "77\n"));
        assert_eq!(group.schemata().unwrap(), own.schemata);
        assert_eq!(group.used().unwrap(), []);
        // One's own is never somebody else's.
        assert_eq!(resctrl.prepare(&own).unwrap_err().errno(), Some(libc::EEXIST));
        assert_eq!(read("box/tasks"), "77\n");
        // In the kernel's tree the files go with their directory.
        for name in ["schemata", "tasks"] {
            fs::remove_file(folder.path().join("box").join(name)).unwrap();
        }
        group.remove().unwrap();
        assert!(!folder.path().join("box").exists());
        group.remove().unwrap();
    }

    #[test]
    fn a_class_that_is_there_has_to_agree() {
        let (folder, resctrl) = tree();
        let group = resctrl.prepare(&class("there", "L3:0=f")).unwrap();
        assert!(!group.is_own && group.directory.ends_with("there"));
        assert_eq!(resctrl.prepare(&class("there", "")).unwrap(), group);
        let told = resctrl.prepare(&class("there", "L3:0=ff")).unwrap_err().to_string();
        assert!(told.contains("other schemata"), "{told}");
        let told = resctrl.prepare(&class("absent", "")).unwrap_err().to_string();
        assert!(told.contains("not there"), "{told}");
        assert!(!folder.path().join("absent").exists());
        assert_eq!(resctrl.prepare(&class("/", "L3:1=ff")).unwrap().directory, folder.path().join(""));
        // A named one is made where it is missing, and stays.
        let made = resctrl.prepare(&class("made", "L3:0=1")).unwrap();
        made.remove().unwrap();
        assert!(folder.path().join("made/schemata").exists());
    }

    #[test]
    fn use_is_counted_apart() {
        let (folder, resctrl) = tree();
        let mut monitored = class("there", "");
        monitored.monitor("box").unwrap();
        let group = resctrl.prepare(&monitored).unwrap();
        group.add(Pid::new(7)).unwrap();
        let tasks = folder.path().join("there/mon_groups/box/tasks");
        assert_eq!(fs::read_to_string(&tasks).unwrap(), "7\n");
        fs::remove_file(tasks).unwrap();
        group.remove().unwrap();
        assert!(!folder.path().join("there/mon_groups/box").exists() && folder.path().join("there").exists());
        let used = resctrl.group(&class("there", "")).used().unwrap();
        let first = CacheUse { domain: "mon_L3_00".to_owned(), occupancy: Some(4096), ..CacheUse::default() };
        let second = CacheUse { domain: "mon_L3_01".to_owned(), local: Some(7), ..CacheUse::default() };
        assert_eq!(used, [first, second]);
    }

    #[test]
    fn what_fails_leaves_nothing() {
        let (folder, resctrl) = tree();
        let mut own = Class::own("box").unwrap();
        // The empty directory has no place for it.
        own.monitor("counted").unwrap();
        resctrl.prepare(&own).unwrap_err();
        assert!(!folder.path().join("box").exists());
        fs::write(folder.path().join("info/last_cmd_status"), "Mask out of range\n").unwrap();
        let there = resctrl.group(&class("there", ""));
        fs::remove_file(folder.path().join("there/schemata")).unwrap();
        fs::create_dir(folder.path().join("there/schemata")).unwrap();
        let told = resctrl.write(&there, &"L3:0=fff".parse().unwrap()).unwrap_err().to_string();
        assert!(told.contains("(Mask out of range)"), "{told}");
    }
}
