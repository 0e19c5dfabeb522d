//! Which hierarchies are mounted, which controllers they have, and where groups are made.

pub(crate) mod directory;
mod root;

use std::io;
use std::sync::{Arc, OnceLock};

use rustix::fs::{CWD, Dir, Mode, OFlags};

use crate::controller::{Controller, Version};
use crate::error::{Error, Result};
use crate::hierarchy::directory::Directory;
use crate::mountinfo::{self, Mount};
use crate::observed::Home;
use crate::report::Reason;
use crate::value::Bytes;

/// The directory of each hierarchy below which [`GroupPath`](crate::GroupPath)s lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Anchor {
    /// What is mounted: the hierarchy's root, or inside a container the container's own group.
    ///
    /// This is what a service that runs as root wants: its groups do not depend on where it was started from.
    #[default]
    MountRoot,
    /// The group in which the calling process is, which may be another in each hierarchy.
    ///
    /// This is what an unprivileged program with a delegated group wants. On v2 a group that holds processes
    /// cannot pass controllers on, so the caller's own must hold none: start the program in a leaf
    /// (`DelegateSubgroup=` of systemd) and use [`OwnParent`](Self::OwnParent).
    OwnGroup,
    /// The parent of the group in which the calling process is.
    OwnParent,
}

/// The cgroup hierarchies that this process sees; cheap to clone.
///
/// Hierarchies are found by the options of their super blocks, not by the names of directories, and only where the
/// mount is not covered by another. v1, v2 and a mixture of both are all well: each controller is wherever the
/// kernel has it.
#[derive(Debug, Clone)]
pub struct Hierarchies {
    pub(crate) all: Arc<[Hierarchy]>,
    /// Found out when it is asked for: most callers only ask for what is there.
    absent: Arc<OnceLock<Vec<(Controller, Reason)>>>,
    /// Those of the kernel, which are the same for as long as it runs.
    page_sizes: Arc<OnceLock<Vec<Bytes>>>,
    /// Whether a group is made in each of them, needed or not.
    pub(crate) every: bool,
}

/// One hierarchy and its base.
#[derive(Debug)]
pub(crate) struct Hierarchy {
    pub(crate) version: Version,
    /// The subsystems of a v1 hierarchy.
    pub(crate) subsystems: Vec<String>,
    /// What the base passes on, on v2.
    pub(crate) available: Vec<Controller>,
    pub(crate) base: Arc<Directory>,
}

/// Where a controller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The controller.
    pub controller: Controller,
    /// In which version, or why nowhere.
    pub home: Home,
    /// The directory below which groups with it are made.
    pub base: Option<String>,
}

impl Hierarchies {
    /// Finds what is mounted, with groups below the mounted roots.
    ///
    /// Errors: [`Error::NoHierarchy`] where nothing is mounted.
    pub fn discover() -> Result<Self> {
        Self::discover_at(Anchor::MountRoot)
    }

    /// Finds what is mounted, with groups below `anchor`.
    ///
    /// Errors: [`Error::NoHierarchy`] where nothing is mounted, [`Error::NotFound`] where a mount does not show the
    /// group in which the caller is.
    pub fn discover_at(anchor: Anchor) -> Result<Self> {
        Self::discover_which(anchor, false)
    }

    /// Finds what is mounted, for groups below the mounted roots that are made in every hierarchy.
    ///
    /// A container belongs in a group of its own everywhere, also in named v1 hierarchies and in those of controllers that
    /// v2 has better: seen from inside a group that it is not in is the machine's own.
    ///
    /// Errors: as [`discover`](Self::discover).
    pub fn discover_every() -> Result<Self> {
        Self::discover_which(Anchor::MountRoot, true)
    }

    fn discover_which(anchor: Anchor, every: bool) -> Result<Self> {
        let read = |path| read_proc(path).map_err(|error| Error::sys("read", path, error));
        let mounts = mountinfo::hierarchies(&read("/proc/self/mountinfo")?);
        let own = if anchor == Anchor::MountRoot { String::new() } else { read("/proc/self/cgroup")? };
        let mut all: Vec<Hierarchy> = Vec::new();
        // Of several mounts of one hierarchy the one that shows the most of it wins.
        let mut mounts: Vec<&Mount> = mounts.iter().filter(|mount| every || !is_only_named(mount)).collect();
        mounts.sort_by_key(|mount| mount.root.len());
        for mount in mounts {
            let seen = all.iter().any(|found| found.version == mount.version && found.subsystems == mount.subsystems);
            if seen {
                continue;
            }
            if let Some(root) = Directory::open_mount(mount)? {
                all.push(Hierarchy::new(mount, anchored(root, mount, &own, anchor)?)?);
            }
        }
        if all.is_empty() {
            return Err(Error::NoHierarchy);
        }
        Ok(Self { all: all.into(), absent: Arc::default(), page_sizes: Arc::default(), every })
    }

    /// The same, without the hierarchies of the other version.
    ///
    /// Groups then know nothing of the other version, for instance not of the v2 hierarchy through which groups on a
    /// machine with both are otherwise killed and watched.
    ///
    /// Errors: [`Error::NoHierarchy`] where none of this version is mounted.
    pub fn only(&self, version: Version) -> Result<Self> {
        let mut all = Vec::new();
        for hierarchy in self.all.iter().filter(|hierarchy| hierarchy.version == version) {
            all.push(Hierarchy {
                version,
                subsystems: hierarchy.subsystems.clone(),
                available: hierarchy.available.clone(),
                base: hierarchy.base.clone(),
            });
        }
        if all.is_empty() {
            return Err(Error::NoHierarchy);
        }
        // What neither version has.
        self.absent();
        Ok(Self {
            all: all.into(),
            absent: self.absent.clone(),
            page_sizes: self.page_sizes.clone(),
            every: self.every,
        })
    }

    /// Every controller that this crate knows, and where it is.
    pub fn controllers(&self) -> Vec<Placement> {
        let placement = |controller| {
            let home = self.home(controller);
            let base = match home {
                Home::V1 => self.of_subsystem(controller.subsystems()[0]),
                Home::V2 => self.unified(),
                Home::Absent(_) => None,
            };
            Placement { controller, home, base: base.map(|hierarchy| hierarchy.base.path()) }
        };
        Controller::ALL.map(placement).into()
    }

    /// Where a controller is.
    ///
    /// What v2 has built in is taken from there if v2 is mounted at all, except the device filter, for which v1 needs
    /// no BPF.
    pub fn home(&self, controller: Controller) -> Home {
        match self.version_of(controller) {
            Some(Version::V1) => Home::V1,
            Some(Version::V2) => Home::V2,
            None => {
                let absent = self.absent().iter().find(|(absent, _)| *absent == controller);
                Home::Absent(absent.map_or(Reason::Kernel, |(_, reason)| *reason))
            }
        }
    }

    /// In which version a controller is; `None` if nowhere, and then only [`home`](Self::home) asks the kernel why.
    pub fn version_of(&self, controller: Controller) -> Option<Version> {
        let v1 = self.of_subsystem(controller.subsystems()[0]).is_some();
        match self.unified() {
            Some(_) if controller.built_into_v2() && !(controller == Controller::Devices && v1) => Some(Version::V2),
            Some(unified) if unified.available.contains(&controller) => Some(Version::V2),
            _ => v1.then_some(Version::V1),
        }
    }

    /// The sizes of huge pages, in ascending order.
    pub(crate) fn page_sizes(&self) -> &[Bytes] {
        self.page_sizes.get_or_init(|| page_sizes(PAGE_SIZES).unwrap_or_default())
    }

    /// The directory below which groups with a controller are made; `None` where it is in no version.
    pub fn base_of(&self, controller: Controller) -> Option<&str> {
        let hierarchy = match self.version_of(controller)? {
            Version::V1 => self.of_subsystem(controller.subsystems()[0]),
            Version::V2 => self.unified(),
        };
        hierarchy.map(|hierarchy| hierarchy.base.base_path())
    }

    fn absent(&self) -> &[(Controller, Reason)] {
        self.absent.get_or_init(|| absent_from(&self.all))
    }

    pub(crate) fn unified(&self) -> Option<&Hierarchy> {
        self.all.iter().find(|hierarchy| hierarchy.version == Version::V2)
    }

    pub(crate) fn of_subsystem(&self, subsystem: &str) -> Option<&Hierarchy> {
        self.all.iter().find(|hierarchy| hierarchy.has(subsystem))
    }
}

impl Hierarchy {
    fn new(mount: &Mount, base: Directory) -> Result<Self> {
        let available = match mount.version {
            Version::V1 => Vec::new(),
            Version::V2 => controllers_in(&base.read_always("cgroup.controllers")?),
        };
        Ok(Self {
            version: mount.version,
            subsystems: mount.subsystems.clone(),
            available,
            base: Arc::new(base.into_base()),
        })
    }

    /// Whether it is the v1 hierarchy of this subsystem.
    pub(crate) fn has(&self, subsystem: &str) -> bool {
        self.subsystems.iter().any(|found| found == subsystem)
    }
}

/// The known controllers in the content of `cgroup.controllers` or `cgroup.subtree_control`.
pub(crate) fn controllers_in(content: &str) -> Vec<Controller> {
    content.split_whitespace().filter_map(Controller::from_name).collect()
}

/// A v1 hierarchy without a controller, as systemd mounts one for itself: it limits nothing and counts nothing.
fn is_only_named(mount: &Mount) -> bool {
    mount.version == Version::V1 && mount.subsystems.iter().all(|subsystem| subsystem.starts_with("name="))
}

fn anchored(root: Directory, mount: &Mount, own: &str, anchor: Anchor) -> Result<Directory> {
    if anchor == Anchor::MountRoot {
        return Ok(root);
    }
    let subsystem = mount.subsystems.iter().find(|subsystem| !subsystem.starts_with("name="));
    let path = mountinfo::own_path(own, subsystem.map(String::as_str));
    let below = path.and_then(|path| mountinfo::below(path, &mount.root));
    let not_shown = || Error::NotFound { group: format!("{} below {}", path.unwrap_or("?"), root.path()) };
    let mut names = below.ok_or_else(not_shown)?;
    if anchor == Anchor::OwnParent {
        if names.is_empty() {
            return Err(Error::NotFound { group: format!("above {}", root.path()) });
        }
        names = names.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    if names.is_empty() { Ok(root) } else { root.below(names)?.ok_or_else(not_shown) }
}

/// The controllers that no hierarchy which is mounted has, and why.
fn absent_from(all: &[Hierarchy]) -> Vec<(Controller, Reason)> {
    let unified = all.iter().find(|hierarchy| hierarchy.version == Version::V2);
    let has = |controller: Controller| {
        let in_v2 = |unified: &Hierarchy| controller.built_into_v2() || unified.available.contains(&controller);
        unified.is_some_and(in_v2) || all.iter().any(|hierarchy| hierarchy.has(controller.subsystems()[0]))
    };
    let absent: Vec<Controller> = Controller::ALL.into_iter().filter(|controller| !has(*controller)).collect();
    if absent.is_empty() {
        return Vec::new();
    }
    // A kernel without v1 has no such file, and then the unified hierarchy shows all that there is.
    let enabled = read_proc("/proc/cgroups").unwrap_or_default();
    // Only a group below the root has a type, and only there something above can withhold a controller.
    let below_root = unified.is_some_and(|unified| matches!(unified.base.read("cgroup.type"), Ok(Some(_))));
    let why = |controller: Controller| {
        let in_kernel = enabled.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(controller.subsystems()[0]) && words.next_back() == Some("1")
        });
        match in_kernel {
            false => Reason::Kernel,
            true if below_root => Reason::NotDelegated,
            true => Reason::NotEnabled,
        }
    };
    absent.into_iter().map(|controller| (controller, why(controller))).collect()
}

const PAGE_SIZES: &str = "/sys/kernel/mm/hugepages";

/// The sizes in names such as `hugepages-2048kB`; a kernel without huge pages has no such directory.
fn page_sizes(directory: &str) -> io::Result<Vec<Bytes>> {
    let mut sizes = Vec::new();
    for entry in Dir::new(rustix::fs::openat(CWD, directory, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)? {
        let entry = entry?;
        let name = entry.file_name().to_str().unwrap_or_default();
        let size = name.strip_prefix("hugepages-").and_then(|rest| rest.strip_suffix("kB"));
        sizes.extend(size.and_then(|size| size.parse().ok()).map(Bytes::kib));
    }
    sizes.sort_unstable();
    Ok(sizes)
}

/// Reads a file whose length the kernel does not say beforehand, without asking for it.
fn read_proc(path: &str) -> io::Result<String> {
    let file = rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut content = vec![0; 16 << 10];
    let mut length = 0;
    loop {
        match rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut content[length..]))? {
            0 => break,
            read => length += read,
        }
        if length == content.len() {
            content.resize(2 * length, 0);
        }
    }
    content.truncate(length);
    String::from_utf8(content).map_err(|_| io::ErrorKind::InvalidData.into())
}
