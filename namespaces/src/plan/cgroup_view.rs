//! The steps that show a process its control groups in the order of the host: one directory a hierarchy.

use std::path::{Path, PathBuf};

use super::CgroupVersion;
use crate::mount::{Mount, Trees};

/// A hierarchy of control groups as the caller has it mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    pub(crate) version: CgroupVersion,
    /// Where it is mounted.
    pub(crate) place: PathBuf,
    /// `cpu`, `cpuacct`, or `name=systemd`; empty for v2.
    pub(crate) controllers: Vec<String>,
    /// The directory of the group that the process is in.
    pub(crate) own: PathBuf,
}

/// The hierarchies of `/proc/PID/mountinfo`, and in each the group that `/proc/PID/cgroup` tells.
pub(crate) fn hierarchies(mountinfo: &str, membership: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for hierarchy in mountinfo.lines().filter_map(|line| hierarchy(line, membership)) {
        // A second mount of the same one shows nothing new.
        let known =
            |other: &Hierarchy| other.version == hierarchy.version && other.controllers == hierarchy.controllers;
        if !found.iter().any(known) {
            found.push(hierarchy);
        }
    }
    found
}

/// Where whole instances of procfs and sysfs are mounted.
pub(crate) fn kernel_mounts(mountinfo: &str) -> Vec<PathBuf> {
    places(mountinfo, &["proc", "sysfs"])
}

/// Where the whole of the kernel's file system of resource control is mounted: the last of its mounts is on top.
pub(crate) fn resctrl(mountinfo: &str) -> Option<PathBuf> {
    places(mountinfo, &["resctrl"]).pop()
}

/// Where whole file systems of these types are mounted.
fn places(mountinfo: &str, types: &[&str]) -> Vec<PathBuf> {
    let place = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let fields: Vec<&str> = before.split(' ').collect();
        let is_kind = after.split_once(' ').is_some_and(|(kind, _)| types.contains(&kind));
        (is_kind && fields.get(3) == Some(&"/")).then(|| fields.get(4).map(|place| unescaped(place).into()))?
    };
    mountinfo.lines().filter_map(place).collect()
}

fn hierarchy(line: &str, membership: &str) -> Option<Hierarchy> {
    let (before, after) = line.split_once(" - ")?;
    let mut after = after.split(' ');
    let version = match after.next()? {
        "cgroup" => CgroupVersion::One,
        "cgroup2" => CgroupVersion::Two,
        _ => return None,
    };
    let options = after.nth(1)?;
    let fields: Vec<&str> = before.split(' ').collect();
    let (root, place) = (unescaped(fields.get(3)?), PathBuf::from(unescaped(fields.get(4)?)));
    let mut controllers: Vec<String> = match version {
        CgroupVersion::One => options.split(',').filter(|option| is_controller(option)).map(str::to_owned).collect(),
        CgroupVersion::Two => Vec::new(),
    };
    controllers.sort();
    let path = membership.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let mut names: Vec<&str> = parts.next()?.split(',').filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        (names == controllers).then(|| parts.next()).flatten()
    })?;
    let inside = Path::new(path).strip_prefix(&root).unwrap_or_else(|_| Path::new(""));
    let own = if inside.as_os_str().is_empty() { place.clone() } else { place.join(inside) };
    Some(Hierarchy { version, place, controllers, own })
}

fn is_controller(option: &str) -> bool {
    let is_setting =
        matches!(option, "rw" | "ro" | "none" | "xattr" | "noprefix" | "clone_children" | "cpuset_v2_mode");
    !is_setting && !option.starts_with("release_agent=") && !option.starts_with("favor")
}

/// Blanks and the like are written as three octal digits.
fn unescaped(field: &str) -> String {
    let mut text = String::new();
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => text.push(char::from(code)),
            None => text.push('\\'),
        }
        rest = if code.is_some() { &after[3..] } else { after };
    }
    text + rest
}

/// The mounts that make the view at `target`, with the attributes of `like`. `anew` says that the process has a cgroup
/// namespace of its own: what is mounted then begins at its groups. Otherwise the directories of its groups are bound.
pub(super) fn mounts(like: &Mount, trees: Trees, hierarchies: &[Hierarchy], anew: bool) -> Vec<Mount> {
    let target = &like.target;
    let same = |mut mount: Mount| {
        mount.attributes = like.attributes;
        (mount.own, mount.below, mount.propagation) = (like.own, like.below, like.propagation);
        mount
    };
    if hierarchies.iter().all(|hierarchy| hierarchy.version == CgroupVersion::Two) {
        return vec![same(Mount::cgroup2(target))];
    }
    let mut mounts = vec![same(Mount::tmpfs(target).option("source", "tmpfs").option("mode", "0755"))];
    let is_shown = |hierarchy: &&Hierarchy| trees == Trees::All || hierarchy.version == CgroupVersion::One;
    for hierarchy in hierarchies.iter().filter(is_shown) {
        let Some(name) = hierarchy.place.file_name() else { continue };
        let place = target.join(name);
        mounts.push(same(match hierarchy.version {
            _ if !anew => Mount::bind(&hierarchy.own, &place),
            CgroupVersion::Two => Mount::cgroup2(&place),
            CgroupVersion::One => {
                let controllers: Vec<&str> = hierarchy.controllers.iter().map(String::as_str).collect();
                Mount::cgroup(&place, &controllers)
            }
        }));
        let links = hierarchy.controllers.iter().filter(|controller| !controller.contains('='));
        let others = links.filter(|controller| name.to_str() != Some(controller.as_str()));
        mounts.extend(others.map(|controller| Mount::symlink(name, target.join(controller))));
    }
    mounts
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpuacct,cpu
35 31 0:32 /outer /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory,release_agent=/x
36 31 0:32 / /other\\040place rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const MEMBERSHIP: &str = "4:memory:/outer/job\n3:cpu,cpuacct:/\n1:name=systemd:/a b\n0::/job\n";

    #[test]
    fn hierarchies_are_those_of_mountinfo() {
        let found = hierarchies(MOUNTS, MEMBERSHIP);
        let told: Vec<(String, String)> =
            found.iter().map(|found| (found.controllers.join(","), found.own.display().to_string())).collect();
        let expected = [
            ("cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct"),
            ("memory", "/sys/fs/cgroup/memory/job"),
            ("name=systemd", "/sys/fs/cgroup/systemd/a b"),
            ("", "/sys/fs/cgroup/unified/job"),
        ];
        assert_eq!(told, expected.map(|(controllers, own)| (controllers.to_owned(), own.to_owned())));
        assert_eq!(unescaped("a\\040b\\134\\x"), "a b\\\\x");
    }

    #[test]
    fn whole_views_of_the_kernel_are_found() {
        let text = "1 0 0:1 / / rw - ext4 /dev/a rw\n2 1 0:2 / /proc rw - proc proc rw\n\
            3 1 0:3 / /a\\040b rw shared:7 - sysfs sysfs rw\n4 2 0:2 /sys /proc/sys ro - proc proc rw\n";
        assert_eq!(kernel_mounts(text), [PathBuf::from("/proc"), PathBuf::from("/a b")]);
        assert_eq!(resctrl(text), None);
        let text = "5 1 0:5 / /sys/fs/resctrl rw - resctrl resctrl rw\n6 1 0:5 /a /b rw - resctrl resctrl rw\n";
        assert_eq!(resctrl(text), Some(PathBuf::from("/sys/fs/resctrl")));
    }

    #[test]
    fn each_hierarchy_has_a_directory() {
        let found = hierarchies(MOUNTS, MEMBERSHIP);
        let targets = |trees, anew| {
            let mounts = mounts(&Mount::cgroups("/c").read_only(), trees, &found, anew);
            mounts.iter().map(|mount| mount.target.display().to_string()).collect::<Vec<_>>()
        };
        let expected = ["/c", "/c/cpu,cpuacct", "/c/cpu", "/c/cpuacct", "/c/memory", "/c/systemd", "/c/unified"];
        let expected = expected.map(str::to_owned);
        assert_eq!(targets(Trees::All, true), expected);
        assert_eq!(targets(Trees::All, false), expected);
        assert_eq!(targets(Trees::OneVersion, true), expected[..6]);
        // One tree alone is mounted where the view is asked for.
        let unified = [found[3].clone()];
        assert_eq!(mounts(&Mount::cgroups("/c"), Trees::OneVersion, &unified, true).len(), 1);
    }
}
