//! The steps that show a process its control groups in the order of the host: one directory a hierarchy.

use std::path::{Path, PathBuf};

use super::CgroupVersion;
use crate::mount::{Mount, attribute};

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
pub(super) fn mounts(like: &Mount, hierarchies: &[Hierarchy], anew: bool) -> Vec<Mount> {
    let target = &like.target;
    let same = |mut mount: Mount| {
        mount.attributes = like.attributes;
        (mount.own, mount.below, mount.propagation) = (like.own, like.below, like.propagation);
        mount
    };
    if hierarchies.iter().all(|hierarchy| hierarchy.version == CgroupVersion::Two) {
        return vec![same(Mount::cgroup2(target))];
    }
    let mut folder = same(Mount::tmpfs(target).option("mode", "0755"));
    // Directories and links are made in it first.
    folder.attributes &= !attribute::READ_ONLY;
    folder.own.set &= !attribute::READ_ONLY;
    folder.below.set &= !attribute::READ_ONLY;
    let mut mounts = vec![folder];
    for hierarchy in hierarchies {
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
    let is_read_only = (like.attributes | like.own.set | like.below.set) & attribute::READ_ONLY != 0;
    mounts.extend(is_read_only.then(|| Mount::read_only_path(target)));
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
    fn each_hierarchy_has_a_directory() {
        let found = hierarchies(MOUNTS, MEMBERSHIP);
        let targets = |anew| {
            let mounts = mounts(&Mount::cgroups("/c").read_only(), &found, anew);
            mounts.iter().map(|mount| mount.target.display().to_string()).collect::<Vec<_>>()
        };
        let expected = ["/c", "/c/cpu,cpuacct", "/c/cpu", "/c/cpuacct", "/c/memory", "/c/systemd", "/c/unified", "/c"];
        assert_eq!((targets(true), targets(false)), (expected.map(str::to_owned).to_vec(), targets(true)));
        // One tree alone is mounted where the view is asked for.
        let unified = [found[3].clone()];
        assert_eq!(mounts(&Mount::cgroups("/c"), &unified, true).len(), 1);
    }
}
