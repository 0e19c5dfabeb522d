//! What `/proc/self/mountinfo` and `/proc/self/cgroup` say of hierarchies.

use crate::controller::Version;

/// A mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Major and minor number of the file system, by which a covered mount is told from the one on top.
    pub(crate) device: (u32, u32),
    /// Which directory of the hierarchy is at the mount point.
    pub(crate) root: String,
    /// Where it is mounted.
    pub(crate) at: String,
    /// Which interface it has.
    pub(crate) version: Version,
    /// The subsystems of a v1 hierarchy, from the super block's options; a name is `name=...`.
    pub(crate) subsystems: Vec<String>,
    /// Whether another mount is at its place or above, so that a path to it may lead elsewhere.
    pub(crate) maybe_covered: bool,
}

/// The hierarchies in a mountinfo file, in its order: of two at one place the later is on top.
pub(crate) fn hierarchies(mountinfo: &str) -> Vec<Mount> {
    let mounts = || mountinfo.lines().filter_map(hierarchy);
    let covered = |line: &str| !leads_to(mountinfo, line);
    let lines = mountinfo.lines().filter(|line| hierarchy(line).is_some());
    mounts().zip(lines).map(|(mount, line)| Mount { maybe_covered: covered(line), ..mount }).collect()
}

/// Whether the path of a mount passes through nothing but what it is mounted on.
fn leads_to(mountinfo: &str, line: &str) -> bool {
    let Some(own) = Position::of(line) else { return false };
    let mut below = vec![own.id];
    let mut parent = own.parent;
    // The mount on which all others are has a parent that is not shown, or itself.
    while let Some(found) = mountinfo.lines().filter_map(Position::of).find(|it| it.id == parent) {
        if below.contains(&found.id) {
            break;
        }
        below.push(found.id);
        parent = found.parent;
    }
    let on_the_way = |other: &Position<'_>| is_at_or_below(own.at, other.at);
    mountinfo.lines().filter_map(Position::of).filter(on_the_way).all(|other| below.contains(&other.id))
}

/// Where a mount is among the others.
struct Position<'a> {
    id: u64,
    parent: u64,
    at: &'a str,
}

impl<'a> Position<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let mut words = line.split(' ');
        let (id, parent) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self { id, parent, at: words.nth(2)? })
    }
}

fn is_at_or_below(path: &str, directory: &str) -> bool {
    directory == "/" || path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn hierarchy(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(2);
    let (device, root, mount_point) = (before.next()?, before.next()?, before.next()?);
    let mut after = after.split(' ');
    let (kind, _source, options) = (after.next()?, after.next()?, after.next()?);
    let version = match kind {
        "cgroup" => Version::V1,
        "cgroup2" => Version::V2,
        _ => return None,
    };
    let (major, minor) = device.split_once(':')?;
    let subsystems = match version {
        Version::V1 => options.split(',').filter(|option| is_subsystem(option)).map(str::to_owned).collect(),
        Version::V2 => Vec::new(),
    };
    Some(Mount {
        device: (major.parse().ok()?, minor.parse().ok()?),
        root: unescape(root)?,
        at: unescape(mount_point)?,
        version,
        subsystems,
        maybe_covered: true,
    })
}

/// Options of a v1 super block that name no subsystem.
fn is_subsystem(option: &str) -> bool {
    !matches!(option, "rw" | "ro" | "none" | "all" | "noprefix" | "clone_children" | "xattr" | "cpuset_v2_mode")
        && !option.starts_with("release_agent=")
        && !matches!(option, "favordynmods" | "nofavordynmods")
}

/// Undoes the octal escapes of space, tab, line break and backslash.
fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let mut value = 0_u32;
        for _ in 0..3 {
            value = value * 8 + char::from(bytes.next()?).to_digit(8)?;
        }
        out.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(out).ok()
}

/// Where a process is: its path in the hierarchy of these subsystems, or in v2 for `None`.
pub(crate) fn own_path<'a>(proc_cgroup: &'a str, subsystem: Option<&str>) -> Option<&'a str> {
    proc_cgroup.lines().find_map(|line| {
        let (_id, rest) = line.split_once(':')?;
        let (subsystems, path) = rest.split_once(':')?;
        let found = match subsystem {
            None => subsystems.is_empty() && line.starts_with("0:"),
            Some(subsystem) => subsystems.split(',').any(|found| found == subsystem),
        };
        found.then_some(path)
    })
}

/// The part of a group's path below the root of a mount; `None` if the mount does not show the group.
pub(crate) fn below<'a>(path: &'a str, root: &str) -> Option<&'a str> {
    let rest = if root == "/" { path } else { path.strip_prefix(root)? };
    match rest {
        "" | "/" => Some(""),
        _ => rest.strip_prefix('/').filter(|rest| !rest.split('/').any(|name| name == "..")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 /docker/12 /sys/fs/cgroup/memory rw,relatime master:1 propagate_from:2 - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
41 31 0:38 / /mnt/my\\040tree rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn finds_hierarchies_by_their_super_options() {
        let mounts = hierarchies(HYBRID);
        let subsystems: Vec<Vec<&str>> =
            mounts.iter().map(|mount| mount.subsystems.iter().map(String::as_str).collect()).collect();
        assert_eq!(subsystems, [vec!["cpu", "cpuacct"], vec!["memory"], vec!["name=systemd"], vec![]]);
        assert_eq!(mounts[1].root, "/docker/12");
        assert_eq!(mounts[3].version, Version::V2);
        assert_eq!(mounts[3].at, "/mnt/my tree");
        assert_eq!(mounts[3].device, (0, 38));
        assert!(mounts.iter().all(|mount| !mount.maybe_covered));
    }

    #[test]
    fn what_is_mounted_over_a_hierarchy_or_above_it_may_cover_it() {
        for over in [
            "50 32 0:40 / /sys/fs/cgroup/cpu,cpuacct rw - tmpfs tmpfs rw\n",
            "50 31 0:40 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n",
            "50 23 0:40 / /sys rw - sysfs sysfs rw\n",
        ] {
            let mounts = hierarchies(&format!("{HYBRID}{over}"));
            assert!(mounts[0].maybe_covered, "{over}");
            assert!(!mounts[3].maybe_covered, "{over}");
        }
        // Beside it, and below it.
        for beside in ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct/a"] {
            let mounts = hierarchies(&format!("{HYBRID}50 31 0:40 / {beside} rw - tmpfs tmpfs rw\n"));
            assert!(!mounts[0].maybe_covered, "{beside}");
        }
    }

    #[test]
    fn finds_the_own_group() {
        let file = "9:name=systemd:/s\n4:cpu,cpuacct:/c\n3:memory:/process_api/9\n0::/user.slice\n";
        assert_eq!(own_path(file, Some("cpuacct")), Some("/c"));
        assert_eq!(own_path(file, Some("memory")), Some("/process_api/9"));
        assert_eq!(own_path(file, Some("pids")), None);
        assert_eq!(own_path(file, None), Some("/user.slice"));
        assert_eq!(own_path("4:cpu:/c\n", None), None);
    }

    #[test]
    fn a_path_is_seen_through_the_root_of_its_mount() {
        for (path, root, rest) in [
            ("/", "/", Some("")),
            ("/a/b", "/", Some("a/b")),
            ("/docker/12", "/docker/12", Some("")),
            ("/docker/12/x", "/docker/12", Some("x")),
            ("/docker/123", "/docker/12", None),
            ("/../sibling", "/", None),
            ("/a", "/../..", None),
        ] {
            assert_eq!(below(path, root), rest, "{path} under {root}");
        }
    }
}
