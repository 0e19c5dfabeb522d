//! The steps that make the tree of mounts.

use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use super::cgroup_view;
use super::program::c_string;
use super::step::{DeviceStep, Links, MountSource, MountStep, Old, RootSource, Shape, Step, Target};
use crate::command::{Command, Root};
use crate::error::{Error, Result};
use crate::id::IdMapping;
use crate::kind::Namespace;
use crate::mount::{Attributes, Contents, Device, Kind, MISPLACED_OPTION, Mount, Propagation, Reach, attribute};
use crate::plan::Facts;
use crate::rootfs::Rootfs;

/// The group that owns pseudo terminals on every distribution.
const TTY_GROUP: u32 = 5;

/// Steps up to and including the pivot; `cgroup_namespace` goes before the first mount that shows the cgroups, `hooks`
/// behind all mounts but those that hide something.
pub(super) fn steps(
    command: &Command,
    facts: &Facts,
    mut cgroup_namespace: Option<Step>,
    hooks: Vec<Step>,
    terminal: Option<Step>,
) -> Result<Vec<Step>> {
    check(command)?;
    if !command.is_new(Namespace::Mount) {
        return Ok(cgroup_namespace.into_iter().chain(hooks).chain(terminal).collect());
    }
    let root = root(command)?;
    let pivots = !matches!(root, RootSource::Own);
    let mut steps = vec![Step::Umask(0), Step::Propagation(around(command, pivots).flag())];
    let is_shared = pivots && command.propagation == Propagation::Shared;
    if is_shared {
        steps.push(Step::PrivateParent(match &root {
            RootSource::Path(path) => path.clone(),
            RootSource::Own | RootSource::Detached(_) => CString::from(c"/"),
        }));
    }
    if pivots || !command.mounts.is_empty() || command.root_is_read_only {
        steps.push(Step::OpenRoot(root));
    }
    if is_shared {
        steps.push(Step::RootPropagation { flag: Propagation::Private.flag(), reach: Reach::Below });
    }
    let covers = command.mounts.iter().rev().take_while(|mount| is_cover(mount)).count();
    let (shown, covers) = command.mounts.split_at(command.mounts.len() - covers);
    let Shown { made, seals } = show(command, facts, shown, &mut cgroup_namespace)?;
    steps.extend(made);
    steps.extend(hooks);
    for mount in covers {
        steps.push(step(command, facts, mount)?);
    }
    steps.extend(terminal);
    steps.extend(working_directory(command)?);
    steps.extend(seals);
    if command.root_is_read_only {
        steps.push(Step::ReadOnlyRoot);
    }
    if pivots {
        steps.extend(change(command, facts, is_shared)?);
    }
    steps.extend(cgroup_namespace);
    Ok(steps)
}

/// The mounts that show something, and what makes some of them read-only in the end.
struct Shown {
    made: Vec<Step>,
    seals: Vec<Step>,
}

fn show(command: &Command, facts: &Facts, mounts: &[Mount], cgroup_namespace: &mut Option<Step>) -> Result<Shown> {
    let mut shown = Shown { made: Vec::new(), seals: Vec::new() };
    for mount in mounts {
        if shows_cgroups(mount) {
            shown.made.extend(cgroup_namespace.take());
        }
        let view = match mount.kind {
            Kind::Cgroups(trees) => {
                cgroup_view::mounts(mount, trees, &facts.hierarchies, command.is_new(Namespace::Cgroup))
            }
            _ => Vec::new(),
        };
        let parts = if let Kind::Cgroups(_) = mount.kind { &view[..] } else { std::slice::from_ref(mount) };
        for mount in parts {
            let mut step = step(command, facts, mount)?;
            if let Step::Mount(MountStep { source: MountSource::Bind { shape, .. }, .. }) = &mut step
                && !view.is_empty()
            {
                // The groups of a hierarchy are directories.
                *shape = Shape::Directory;
            }
            shown.made.push(step);
            if is_sealed(mount) {
                shown.seals.push(Step::Seal(target(&mount.target)?.path));
            }
        }
    }
    Ok(shown)
}

/// From the caller's root to the own one.
fn change(command: &Command, facts: &Facts, is_shared: bool) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if command.process.pivots {
        steps.push(Step::Pivot(if is_shared { Old::Shared } else { Old::Private }));
    } else {
        for path in facts.kernel_mounts.iter().rev() {
            steps.push(Step::Hide(c_string("rootfs", path.as_os_str().as_bytes())?));
        }
        steps.push(Step::MoveRoot);
    }
    if matches!(command.propagation, Propagation::Shared | Propagation::Unbindable) {
        steps.push(Step::RootPropagation { flag: command.propagation.flag(), reach: Reach::This });
    }
    Ok(steps)
}

fn check(command: &Command) -> Result<()> {
    let new = command.is_new(Namespace::Mount);
    let pivots = !matches!(command.root, Root::None);
    let needs_mount_namespace =
        [("rootfs", pivots), ("mount", !command.mounts.is_empty()), ("read_only_rootfs", command.root_is_read_only)];
    if let Some((field, _)) = needs_mount_namespace.iter().find(|(_, asked)| *asked && !new) {
        return Err(Error::invalid(field, "mount namespace", "needs a new one"));
    }
    if !command.process.pivots && !pivots {
        return Err(Error::invalid("without_pivot", "rootfs", "needs a root file system of its own"));
    }
    if command.process.creates_directory && !pivots {
        return Err(Error::invalid("current_dir", "create", "needs a root file system of its own"));
    }
    Ok(())
}

/// What the tree around the root takes part in. One that cannot be bound could not give the root either.
fn around(command: &Command, pivots: bool) -> Propagation {
    match command.propagation {
        Propagation::Unbindable if pivots => Propagation::Private,
        propagation => propagation,
    }
}

/// Made while the root can still be written.
fn working_directory(command: &Command) -> Result<Option<Step>> {
    let path = command.current_dir.as_ref().filter(|path| command.process.creates_directory && *path != Path::new("/"));
    let path = path.map(|path| c_string("current_dir", path.as_os_str().as_bytes())).transpose()?;
    Ok(path.map(Step::MakeDirectory))
}

/// Whether a mount is read-only in the end, since something may be made in it before.
fn is_sealed(mount: &Mount) -> bool {
    let attributes = mount.attributes | mount.own.set | mount.below.set;
    let is_late = match &mount.kind {
        Kind::Filesystem { name, .. } if name == "tmpfs" || mount.contents != Contents::None => true,
        Kind::Remount { .. } => false,
        _ => mount.target == Path::new("/dev"),
    };
    attributes & attribute::READ_ONLY != 0 && is_late
}

fn root(command: &Command) -> Result<RootSource> {
    match &command.root {
        Root::None => Ok(RootSource::Own),
        Root::Given(Rootfs::Detached(mount)) => Ok(RootSource::Detached(mount.as_raw_fd())),
        Root::Given(Rootfs::Path(path)) => Ok(RootSource::Path(c_string("rootfs", path.as_os_str().as_bytes())?)),
        Root::Spent => Err(Error::invalid("rootfs", "detached mount", "an earlier spawn attached it")),
    }
}

/// Whether something is hidden or made read-only, which a hook may still want to see or write.
fn is_cover(mount: &Mount) -> bool {
    matches!(mount.kind, Kind::Masked | Kind::ReadOnlyPath)
}

fn shows_cgroups(mount: &Mount) -> bool {
    match &mount.kind {
        Kind::Filesystem { name, .. } => name == "cgroup" || name == "cgroup2",
        Kind::Cgroups(_) => true,
        _ => false,
    }
}

fn step(command: &Command, facts: &Facts, mount: &Mount) -> Result<Step> {
    let target = target(&mount.target)?;
    if mount.attributes & MISPLACED_OPTION != 0 {
        return Err(Error::invalid("mount", mount.target.to_string_lossy(), "this kind of mount takes no options"));
    }
    // Only the first user namespace may make device files.
    let binds_devices = command.source(Namespace::User).is_some() || !facts.is_in_first_user_namespace();
    let (source, links) = match &mount.kind {
        Kind::Bind { source, recursive } if mount.id_map.is_some() => {
            (mapped(mount, source, *recursive)?, Links::Follow)
        }
        _ if mount.id_map.is_some() => {
            return Err(Error::invalid("mount", mount.target.to_string_lossy(), "only a bind has owners to map"));
        }
        Kind::Cgroups(_) => unreachable!("made of other mounts"),
        Kind::Bind { source, recursive } => (bind(source, *recursive)?, Links::Follow),
        Kind::Detached(mount) => (MountSource::Detached(mount.as_raw_fd()), Links::Follow),
        Kind::Filesystem { name, options } if name == "proc" || name == "sysfs" => {
            (filesystem(name, options)?, Links::Refuse)
        }
        Kind::Filesystem { name, options } => (filesystem(name, options)?, Links::Follow),
        Kind::Proc => (filesystem("proc", &[])?, Links::Refuse),
        Kind::Sysfs if sysfs_is_bound(command) => (bind(Path::new("/sys"), true)?, Links::Refuse),
        Kind::Sysfs => (filesystem("sysfs", &sysfs_options(mount))?, Links::Refuse),
        Kind::Devpts => (devpts(command, facts)?, Links::Follow),
        Kind::Device(_) if binds_devices => (bind(&mount.target, false)?, Links::Follow),
        Kind::Device(device) => {
            let Device { kind, major, minor, mode } = *device;
            let owner = mount.owner.map(|(uid, gid)| (uid.as_raw(), gid.as_raw()));
            return Ok(Step::Device(DeviceStep { target, kind, major, minor, mode, owner }));
        }
        Kind::Remount { options } => {
            let given = mount.own.set | mount.below.set;
            let all = attribute::EVERY;
            let attributes = Attributes { set: given, clear: all & !given };
            return Ok(Step::Remount { path: target.path, options: file_system_options(options)?, attributes });
        }
        Kind::Symlink(contents) => {
            let contents = c_string("mount", contents.as_os_str().as_bytes())?;
            return Ok(Step::Symlink { contents, target });
        }
        Kind::Masked => return Ok(Step::Mask(target.path)),
        Kind::ReadOnlyPath => return Ok(Step::ReadOnlyPath(target.path)),
    };
    Ok(Step::Mount(mount_step(command, mount, source, links, target)))
}

/// What a mount is, once it is known of what.
fn mount_step(command: &Command, mount: &Mount, source: MountSource, links: Links, target: Target) -> MountStep {
    let propagation = propagation(command, mount, &source);
    let reach = match &source {
        MountSource::Bind { recursive: true, .. }
        | MountSource::Mapped { recursive: true, .. }
        | MountSource::Detached(_) => Reach::Below,
        MountSource::Bind { .. } | MountSource::Mapped { .. } | MountSource::Filesystem { .. } => Reach::This,
    };
    let (mut own, mut below) = (mount.own, mount.below);
    match reach {
        Reach::This => own.set |= mount.attributes,
        Reach::Below => below.set |= mount.attributes,
    }
    if is_sealed(mount) {
        own.set &= !attribute::READ_ONLY;
        below.set &= !attribute::READ_ONLY;
    }
    let propagation_reach = mount.propagation_reach.unwrap_or(reach);
    MountStep { source, target, links, own, below, propagation, propagation_reach, contents: mount.contents }
}

/// A fresh file system is private, and so is a copy out of a private tree.
fn propagation(command: &Command, mount: &Mount, source: &MountSource) -> u64 {
    let is_copy = !matches!(source, MountSource::Filesystem { .. });
    match mount.propagation {
        Some(propagation) => propagation.flag(),
        None if is_copy && command.propagation != Propagation::Private => Propagation::Private.flag(),
        None => 0,
    }
}

fn sysfs_is_bound(command: &Command) -> bool {
    match (command.source(Namespace::User), command.source(Namespace::Net)) {
        (Some(_), None) => true,
        (Some(_), Some(_)) => command.is_new(Namespace::User) && !command.is_new(Namespace::Net),
        (None, _) => false,
    }
}

/// A read-only instance says so itself, as with other runtimes.
fn sysfs_options(mount: &Mount) -> Vec<(String, Option<String>)> {
    let is_read_only = (mount.attributes | mount.own.set) & attribute::READ_ONLY != 0;
    let mut options = vec![("source".to_owned(), Some("sysfs".to_owned()))];
    options.extend(is_read_only.then(|| ("ro".to_owned(), None)));
    options
}

fn bind(source: &Path, recursive: bool) -> Result<MountSource> {
    Ok(MountSource::Bind { path: c_string("mount", source.as_os_str().as_bytes())?, recursive, shape: Shape::Unknown })
}

fn mapped(mount: &Mount, source: &Path, recursive: bool) -> Result<MountSource> {
    let map = mount.id_map.as_ref();
    let list = |mappings: &[IdMapping]| mappings.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let told = map.map(|map| format!("users {}; groups {}", list(&map.uid), list(&map.gid))).unwrap_or_default();
    if map.is_some_and(|map| map.uid.is_empty() || map.gid.is_empty()) {
        return Err(Error::invalid("mount", mount.target.to_string_lossy(), "an id map has users and groups"));
    }
    let descriptor = map.and_then(|map| map.made.as_ref()).map(AsRawFd::as_raw_fd);
    let path = c_string("mount", source.as_os_str().as_bytes())?;
    Ok(MountSource::Mapped { path, recursive, told, descriptor })
}

fn filesystem(name: &str, options: &[(String, Option<String>)]) -> Result<MountSource> {
    let options = file_system_options(options)?;
    Ok(MountSource::Filesystem { name: c_string("mount", name.as_bytes())?, options })
}

fn file_system_options(options: &[(String, Option<String>)]) -> Result<Vec<(CString, Option<CString>)>> {
    let option = |(key, value): &(String, Option<String>)| {
        let value = value.as_ref().map(|value| c_string("mount", value.as_bytes())).transpose()?;
        Ok((c_string("mount", key.as_bytes())?, value))
    };
    options.iter().map(option).collect()
}

fn devpts(command: &Command, facts: &Facts) -> Result<MountSource> {
    let mappings = match command.source(Namespace::User) {
        None => &facts.gid_mappings,
        Some(_) => &command.gid_mappings,
    };
    let holds =
        |mapping: &IdMapping| TTY_GROUP.checked_sub(mapping.inside()).is_some_and(|offset| offset < mapping.count());
    let mapped = mappings.iter().any(holds);
    let value = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
    let mut options = vec![("newinstance".to_owned(), None), value("ptmxmode", "0666"), value("mode", "0620")];
    if mapped {
        options.push(value("gid", &TTY_GROUP.to_string()));
    }
    filesystem("devpts", &options)
}

fn target(path: &Path) -> Result<Target> {
    let refuse = |reason| Err(Error::invalid("mount", path.to_string_lossy(), reason));
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(c_string("mount", name.as_bytes())?),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return refuse("a target has no parent components"),
        }
    }
    let whole = |names: &[CString]| {
        let mut bytes = Vec::new();
        for name in names {
            bytes.push(b'/');
            bytes.extend(name.as_bytes());
        }
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        c_string("mount", &bytes)
    };
    let path = whole(&names)?;
    match names.pop() {
        Some(name) => Ok(Target { path, parent: whole(&names)?, name }),
        None => refuse("the root itself is given by `rootfs`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_absolute_and_split() {
        for (given, path, parent, name) in
            [("/a/b", "/a/b", "/a", "b"), ("a//./b/", "/a/b", "/a", "b"), ("/a", "/a", "/", "a")]
        {
            let target = target(Path::new(given)).unwrap();
            let parts = [target.path, target.parent, target.name].map(|part| part.into_string().unwrap());
            assert_eq!(parts, [path, parent, name]);
        }
        for given in ["/", "", "..", "/a/../b", "a\0b"] {
            assert!(target(Path::new(given)).is_err(), "{given:?}");
        }
    }

    #[test]
    fn options_belong_to_file_systems() {
        let command = Command::new("/x");
        assert!(step(&command, &Facts::for_tests(), &Mount::tmpfs("/t").option("size", "1m")).is_ok());
        assert!(step(&command, &Facts::for_tests(), &Mount::bind("/s", "/t").option("size", "1m")).is_err());
    }
}
