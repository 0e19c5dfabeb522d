//! The least that any runtime has to do for the default specification, with nothing around it.
//!
//! Groups are made and entered, one `clone3` makes the namespaces, the child mounts, makes devices, turns its root,
//! masks, drops capabilities and becomes the program; the parent waits and removes the groups. No configuration is read,
//! no state is kept, no device rule is loaded, nothing is checked twice, links are followed. What is measured against
//! this is what a runtime adds.

#[expect(unsafe_code, reason = "the floor is made of bare system calls")]
mod sys;

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The groups of one container: made, and removed by [`Groups::remove`].
#[derive(Debug)]
struct Groups {
    folders: Vec<(PathBuf, bool)>,
}

impl Groups {
    fn make(name: &str) -> io::Result<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        let mut folders = Vec::new();
        for line in mounts.lines() {
            let Some((place, source)) = line.split_once(" - ") else { continue };
            let path = Path::new(place.split(' ').nth(4).unwrap_or_default());
            if source.starts_with("cgroup") && path.starts_with("/sys/fs/cgroup") {
                let folder = path.join(name);
                std::fs::create_dir(&folder)?;
                if path.ends_with("cpuset") {
                    for file in ["cpuset.cpus", "cpuset.mems"] {
                        std::fs::write(folder.join(file), std::fs::read(path.join(file))?)?;
                    }
                }
                folders.push((folder, source.starts_with("cgroup2")));
            }
        }
        Ok(Self { folders })
    }

    /// What the child writes itself into.
    fn tasks(&self) -> io::Result<Vec<OwnedFd>> {
        let v1 = self.folders.iter().filter(|(_, v2)| !v2);
        v1.map(|(folder, _)| Ok(std::fs::File::options().write(true).open(folder.join("tasks"))?.into())).collect()
    }

    /// What the child is cloned into.
    fn unified(&self) -> io::Result<Option<OwnedFd>> {
        let folder = self.folders.iter().find(|(_, v2)| *v2);
        folder.map(|(folder, _)| Ok(std::fs::File::open(folder)?.into())).transpose()
    }

    fn remove(&self) -> io::Result<()> {
        self.folders.iter().try_for_each(|(folder, _)| std::fs::remove_dir(folder))
    }
}

/// A mount as `mount(2)` takes it.
#[derive(Debug)]
struct Mount {
    source: CString,
    target: CString,
    kind: CString,
    flags: libc::c_ulong,
    data: CString,
}

/// Everything that the child needs, so that it only calls.
#[derive(Debug)]
struct Plan {
    rootfs: CString,
    mounts: Vec<Mount>,
    devices: Vec<(CString, libc::dev_t)>,
    links: Vec<(CString, CString)>,
    masked: Vec<CString>,
    read_only: Vec<CString>,
    program: CString,
}

fn text(text: impl AsRef<[u8]>) -> CString {
    CString::new(text.as_ref()).expect("no path here holds a zero byte")
}

/// A container that can be run over and over, in groups that stay until it goes.
#[derive(Debug)]
pub struct Floor {
    groups: Groups,
    plan: Plan,
}

impl Floor {
    /// Makes the groups of this name for a container of the default specification over `rootfs`.
    ///
    /// # Errors
    /// What the kernel says of a group.
    pub fn new(rootfs: &Path, program: &str, name: &str) -> io::Result<Self> {
        let groups = Groups::make(name)?;
        let plan = plan(rootfs, program, &groups);
        Ok(Self { groups, plan })
    }

    /// Where the groups are.
    pub fn groups(&self) -> impl Iterator<Item = &Path> {
        self.groups.folders.iter().map(|(folder, _)| folder.as_path())
    }

    /// Runs the program once, and gives the wait status.
    ///
    /// # Errors
    /// A system call of the parent that failed; one of the child is told by its exit code, a number for each step.
    pub fn run(&self) -> io::Result<i32> {
        sys::run(&self.plan, &self.groups.tasks()?, self.groups.unified()?.as_ref())
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        _ = self.groups.remove(); // a group in use stays, and the next run's creation tells
    }
}

fn plan(rootfs: &Path, program: &str, groups: &Groups) -> Plan {
    let inside = |path: &str| text([rootfs.as_os_str().as_bytes(), path.as_bytes()].concat());
    let list = |paths: &[&str]| paths.iter().map(text).collect();
    let devices = [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
    let links = [
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
        ("pts/ptmx", "ptmx"),
    ];
    Plan {
        rootfs: inside(""),
        mounts: mounts(rootfs, groups),
        devices: devices
            .map(|(name, major, minor)| (inside(&format!("/dev/{name}")), libc::makedev(major, minor)))
            .to_vec(),
        links: links.map(|(target, name)| (text(target), inside(&format!("/dev/{name}")))).to_vec(),
        masked: list(&[
            "/proc/acpi",
            "/proc/asound",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/sys/firmware",
            "/proc/scsi",
        ]),
        read_only: list(&["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
        program: text(program),
    }
}

fn mounts(rootfs: &Path, groups: &Groups) -> Vec<Mount> {
    const HARD: libc::c_ulong = libc::MS_NOSUID | libc::MS_NOEXEC | libc::MS_NODEV;
    let inside = |path: &str| text([rootfs.as_os_str().as_bytes(), path.as_bytes()].concat());
    let mount = |kind: &str, path: &str, flags, data: &str| Mount {
        source: text(kind),
        target: inside(path),
        kind: text(kind),
        flags,
        data: text(data),
    };
    let mut mounts = vec![
        mount("proc", "/proc", 0, ""),
        mount("tmpfs", "/dev", libc::MS_NOSUID | libc::MS_STRICTATIME, "mode=755,size=65536k"),
        mount("devpts", "/dev/pts", libc::MS_NOSUID | libc::MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
        mount("tmpfs", "/dev/shm", HARD, "mode=1777,size=65536k"),
        mount("mqueue", "/dev/mqueue", HARD, ""),
        mount("sysfs", "/sys", HARD | libc::MS_RDONLY, ""),
    ];
    if let [(_, true)] = groups.folders.as_slice() {
        mounts.push(mount("cgroup2", "/sys/fs/cgroup", HARD | libc::MS_RDONLY, ""));
        return mounts;
    }
    mounts.push(mount("tmpfs", "/sys/fs/cgroup", HARD, "mode=755"));
    for (folder, _) in groups.folders.iter().filter(|(_, v2)| !v2) {
        let name = folder.parent().and_then(Path::file_name).unwrap_or_default();
        let target = inside(&format!("/sys/fs/cgroup/{}", name.display()));
        let bind = |flags| Mount {
            source: text(folder.as_os_str().as_bytes()),
            target: target.clone(),
            kind: text(""),
            flags,
            data: text(""),
        };
        mounts.push(bind(libc::MS_BIND | libc::MS_REC));
        mounts.push(bind(libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY | HARD));
    }
    let remount = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY | HARD;
    mounts.push(mount("tmpfs", "/sys/fs/cgroup", remount, ""));
    mounts
}
