//! `linux`: namespaces, ids, devices, and what is hidden.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxDevice, LinuxDeviceType, LinuxIdMapping, LinuxNamespace, LinuxNamespaceType};

use super::{Options, not_honoured};
use crate::command::Command;
use crate::error::{Error, Result};
use crate::id::{Gid, IdMapping, Uid};
use crate::kind::{Namespace, Source};
use crate::mount::{Device, DeviceKind, Mount, Propagation};

pub(super) fn kind(typ: LinuxNamespaceType) -> Namespace {
    match typ {
        LinuxNamespaceType::Mount => Namespace::Mount,
        LinuxNamespaceType::Cgroup => Namespace::Cgroup,
        LinuxNamespaceType::Uts => Namespace::Uts,
        LinuxNamespaceType::Ipc => Namespace::Ipc,
        LinuxNamespaceType::User => Namespace::User,
        LinuxNamespaceType::Pid => Namespace::Pid,
        LinuxNamespaceType::Network => Namespace::Net,
        LinuxNamespaceType::Time => Namespace::Time,
    }
}

pub(super) fn namespaces(command: &mut Command, namespaces: &[LinuxNamespace]) -> Result<()> {
    let mut seen = Vec::new();
    for namespace in namespaces {
        let kind = kind(namespace.typ());
        if seen.contains(&kind) {
            return Err(Error::invalid("linux.namespaces", kind.to_string(), "is given twice"));
        }
        seen.push(kind);
        match namespace.path().as_deref().filter(|path| *path != Path::new("")) {
            None => command.namespace(kind, Source::New),
            Some(path) if path.is_absolute() => command.namespace(kind, Source::Path(path.to_owned())),
            Some(path) => {
                return Err(Error::invalid("linux.namespaces.path", path.display().to_string(), "is not absolute"));
            }
        };
    }
    Ok(())
}

pub(super) fn id_mappings(command: &mut Command, linux: &Linux) -> Result<()> {
    let (uid, gid) = (mappings(linux.uid_mappings().as_deref())?, mappings(linux.gid_mappings().as_deref())?);
    match (uid.is_empty(), gid.is_empty()) {
        // A user namespace that is joined has its own, which engines tell here once more.
        _ if command.is_joined(Namespace::User) => Ok(()),
        (true, true) if command.is_new(Namespace::User) => {
            Err(Error::invalid("linux.uidMappings", "", "a new user namespace needs mappings"))
        }
        (true, true) => Ok(()),
        (false, false) => {
            command.id_mappings(uid, gid);
            Ok(())
        }
        _ => Err(Error::invalid("linux.gidMappings", "", "users and groups are mapped, or neither")),
    }
}

pub(super) fn mappings(list: Option<&[LinuxIdMapping]>) -> Result<Vec<IdMapping>> {
    let one = |mapping: &LinuxIdMapping| IdMapping::new(mapping.container_id(), mapping.host_id(), mapping.size());
    list.unwrap_or_default().iter().map(one).collect()
}

/// Devices that move in, by name; the names are as the kernel takes them.
pub(super) fn net_devices(command: &mut Command, linux: &Linux) -> Result<()> {
    const LENGTH_MAX: usize = 15;
    let check = |name: &str| {
        let is_odd = |character: char| character.is_ascii_whitespace() || matches!(character, '/' | ':');
        let odd = matches!(name, "" | "." | "..") || name.len() > LENGTH_MAX || name.contains(is_odd);
        if odd { Err(Error::invalid("linux.netDevices", name, "is no name of a network device")) } else { Ok(()) }
    };
    let mut devices: Vec<_> = linux.net_devices().iter().flatten().collect();
    devices.sort_by_key(|(name, _)| *name);
    for (name, device) in devices {
        let inside = device.name().as_deref().filter(|inside| !inside.is_empty()).unwrap_or(name);
        check(name)?;
        check(inside)?;
        command.net_device(name, inside);
    }
    Ok(())
}

/// What the root file system takes part in.
pub(super) fn propagation(linux: &Linux) -> Result<Option<Propagation>> {
    Ok(Some(match linux.rootfs_propagation().as_deref() {
        None | Some("") => return Ok(None),
        Some("private" | "rprivate") => Propagation::Private,
        Some("slave" | "rslave") => Propagation::Slave,
        Some("shared" | "rshared") => Propagation::Shared,
        Some("unbindable" | "runbindable") => Propagation::Unbindable,
        Some(other) => {
            return Err(Error::invalid("linux.rootfsPropagation", other, "is no kind of propagation"));
        }
    }))
}

/// Devices that every container has.
///
/// Source: runtime-spec, `config-linux.md`, "Default Devices".
const DEFAULTS: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Source: runtime-spec, `runtime-linux.md`, "Dev symbolic links".
const LINKS: [(&str, &str); 5] = [
    ("pts/ptmx", "/dev/ptmx"),
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// As other runtimes make it, where it leads somewhere.
const CORE: (&str, &str) = ("/proc/kcore", "/dev/core");

pub(super) fn devices(list: &[LinuxDevice], options: &Options) -> Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    let mut given: Vec<PathBuf> = Vec::new();
    for entry in list {
        let path: PathBuf = entry.path().components().collect();
        if !path.is_absolute() {
            return Err(Error::invalid("linux.devices.path", path.display().to_string(), "is not absolute"));
        }
        if given.contains(&path) {
            return Err(Error::invalid("linux.devices.path", path.display().to_string(), "is given twice"));
        }
        given.push(path);
        // The terminals' multiplexer is that of the container's own terminals.
        if entry.path() != Path::new("/dev/ptmx") {
            mounts.push(device(entry)?);
        }
    }
    let missing = DEFAULTS.iter().filter(|(path, ..)| !given.iter().any(|given| given == Path::new(path)));
    mounts.extend(missing.map(|(path, major, minor)| {
        Mount::device(Device { kind: DeviceKind::Character, major: *major, minor: *minor, mode: 0o666 }, *path)
    }));
    let links = LINKS.into_iter().chain(options.has_kcore.then_some(CORE));
    mounts.extend(links.map(|(contents, target)| Mount::symlink(contents, target)));
    Ok(mounts)
}

fn device(entry: &LinuxDevice) -> Result<Mount> {
    let kind = match entry.typ() {
        LinuxDeviceType::B => DeviceKind::Block,
        LinuxDeviceType::C | LinuxDeviceType::U => DeviceKind::Character,
        LinuxDeviceType::P => DeviceKind::Fifo,
        LinuxDeviceType::A => return not_honoured("linux.devices.type", "a node is of one type"),
    };
    let number = |number: i64| match kind {
        DeviceKind::Fifo => Ok(0),
        DeviceKind::Character | DeviceKind::Block => u32::try_from(number)
            .map_err(|_| Error::invalid("linux.devices.major", number.to_string(), "is no part of a device number")),
    };
    let mode = entry.file_mode().unwrap_or(0o666);
    // Go writes the kind of the file into the bits above.
    let mode = mode & 0o7777;
    let device = Device { kind, major: number(entry.major())?, minor: number(entry.minor())?, mode };
    let (uid, gid) = (entry.uid().unwrap_or(0), entry.gid().unwrap_or(0));
    let mount = Mount::device(device, entry.path());
    Ok(if (uid, gid) == (0, 0) { mount } else { mount.owner(Uid::try_from(uid)?, Gid::try_from(gid)?) })
}

/// What is hidden, and what is only read.
pub(super) fn covers(linux: &Linux) -> Result<Vec<Mount>> {
    let absolute = |field: &'static str, paths: &Option<Vec<String>>, cover: fn(PathBuf) -> Mount| {
        let one = |path: &String| match Path::new(path) {
            path if path.is_absolute() => Ok(cover(path.to_owned())),
            path => Err(Error::invalid(field, path.display().to_string(), "is not absolute")),
        };
        paths.iter().flatten().map(one).collect::<Result<Vec<_>>>()
    };
    let mut covers = absolute("linux.readonlyPaths", linux.readonly_paths(), Mount::read_only_path)?;
    covers.extend(absolute("linux.maskedPaths", linux.masked_paths(), Mount::masked)?);
    Ok(covers)
}
