//! From what was asked for to a command of `windlass-namespaces`.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use windlass_cgroups::Group;
use windlass_namespaces::account::Identity as Account;
use windlass_namespaces::landlock::Ruleset;
use windlass_namespaces::seccomp::Policy;
use windlass_namespaces::{
    Capability, CapabilitySet, CapabilitySets, Command, Device, DeviceKind, Init, Limit, Mount, Namespace, Resource,
    Rlimit, Source as From,
};

use super::containers::Container;
use super::failure::Failure;
use super::mounts::{Mounted, Source};
use super::network::files;
use super::record::{Config, NetworkMode, Security, Ulimit};
use super::volumes::Volumes;
use super::{limits, rootless, seccomp};

/// The command that is the container's first process, less its root, its descriptors, its network and its group.
pub(super) fn first(
    container: &Container,
    config: &Config,
    volumes: &Volumes,
    account: &Account,
) -> Result<Command, Failure> {
    let mut command = program(config, &config.command, account)?;
    command.hostname(&config.hostname);
    for kind in [Namespace::Mount, Namespace::Pid, Namespace::Ipc, Namespace::Uts, Namespace::Cgroup] {
        command.namespace(kind, From::New);
    }
    for mount in mounts(container, config, volumes)? {
        command.mount(mount);
    }
    if config.read_only {
        command.read_only_rootfs();
    }
    if config.init {
        command.init(Init::Reaper);
    }
    for ulimit in &config.ulimits {
        command.rlimit(rlimit(ulimit)?);
    }
    Ok(command)
}

/// A program with the container's environment, user and rights.
pub(super) fn program(config: &Config, arguments: &[String], account: &Account) -> Result<Command, Failure> {
    let Some((program, arguments)) = arguments.split_first() else {
        return Err(Failure::new("no program was given"));
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("HOME", account.home.as_deref().unwrap_or(Path::new("/")));
    command.envs(config.env.iter().map(|(name, value)| (name, value)));
    if let Some(directory) = &config.working_dir {
        command.current_dir(directory);
    }
    confine(&mut command, &config.security)?;
    set_user(&mut command, account)?;
    command.new_session();
    Ok(command)
}

fn set_user(command: &mut Command, account: &Account) -> Result<(), Failure> {
    if !rootless::has_one_id() {
        command.user(account.uid, account.gid, account.groups.clone());
    } else if account.uid.as_raw() != 0 || account.gid.as_raw() != 0 {
        // The only user that is mapped is 0, which the process already is.
        return Err(Failure::new(format!(
            "user {}:{}: this container has user 0 only, which is its caller outside: run as root, or have ids granted \
             in /etc/subuid and /etc/subgid",
            account.uid, account.gid
        )));
    }
    Ok(())
}

fn confine(command: &mut Command, security: &Security) -> Result<(), Failure> {
    let capabilities = capabilities(security)?;
    if let Some(policy) = policy(security, capabilities)? {
        let filter = policy.compile();
        command.seccomp(filter.map_err(Failure::during("compile the filter of system calls"))?);
    }
    if security.no_new_privileges {
        command.no_new_privileges();
    }
    if let Some(rules) = &security.landlock {
        let rules: Ruleset = rules.parse().map_err(Failure::during(format_args!("--landlock {rules}")))?;
        command.landlock(rules);
    }
    command.capabilities(CapabilitySets::root(capabilities));
    Ok(())
}

/// Which system calls are allowed; `None` is all.
pub(super) fn policy(security: &Security, capabilities: CapabilitySet) -> Result<Option<Policy>, Failure> {
    match &security.seccomp {
        _ if security.privileged || security.seccomp_unconfined => Ok(None),
        Some(profile) => seccomp::policy(profile, capabilities).map(Some),
        None => Ok(Some(Policy::container(capabilities))),
    }
}

/// Docker's set, with what was added and without what was dropped.
pub(super) fn capabilities(security: &Security) -> Result<CapabilitySet, Failure> {
    let all: CapabilitySet = Capability::ALL.iter().copied().collect();
    let is_all = |name: &String| name.eq_ignore_ascii_case("all");
    if security.privileged {
        return Ok(all);
    }
    let parse = |names: &[String]| -> Result<Vec<Capability>, Failure> {
        let named = names.iter().filter(|name| !is_all(name));
        named.map(|name| name.parse().map_err(Failure::during(format_args!("capability {name}")))).collect()
    };
    let mut set = CapabilitySet::DOCKER;
    if security.cap_add.iter().any(is_all) {
        set = all;
    }
    if security.cap_drop.iter().any(is_all) {
        set = CapabilitySet::EMPTY;
    }
    let (added, dropped) = (parse(&security.cap_add)?, parse(&security.cap_drop)?);
    set = added.into_iter().fold(set, CapabilitySet::with);
    Ok(dropped.into_iter().fold(set, CapabilitySet::without))
}

/// Everything that is mounted: the usual, the container's own files of `/etc`, devices, volumes.
fn mounts(container: &Container, config: &Config, volumes: &Volumes) -> Result<Vec<Mount>, Failure> {
    let mut mounts = usual(config);
    let own: BTreeSet<&Path> = config.mounts.iter().map(|mounted| mounted.target.as_path()).collect();
    for (name, target) in files::FILES {
        if !own.contains(Path::new(target)) {
            mounts.push(Mount::bind(files::path(&container.path, name), target));
        }
    }
    for device in &config.devices {
        mounts.push(device_node(&device.host, &device.container)?);
    }
    for mounted in &config.mounts {
        mounts.push(mount(mounted, volumes)?);
    }
    Ok(mounts)
}

fn usual(config: &Config) -> Vec<Mount> {
    let privileged = config.security.privileged;
    // What is hidden or read-only below these is what a privileged container is to reach.
    let is_guard = |mount: &Mount| {
        let target = mount.target();
        target != Path::new("/proc") && target.starts_with("/proc") || target.starts_with("/sys")
    };
    let joins_host = config.network == NetworkMode::Host && rootless::is_inside();
    let kept = |mount: &Mount| match mount.target() {
        target if target.starts_with("/sys") && joins_host => false,
        _ => !(privileged && is_guard(mount)),
    };
    let mut mounts: Vec<Mount> = Mount::defaults().into_iter().filter(kept).collect();
    if joins_host {
        // sysfs shows the network of its mounter, which this user does not own: the host's own mount is bound instead.
        mounts.push(Mount::bind_recursive("/sys", "/sys").read_only());
    } else if privileged {
        mounts.push(Mount::sysfs("/sys").no_suid().no_dev().no_exec());
    }
    if privileged {
        mounts.extend(host_devices());
    }
    mounts
}

/// Every device node of the host's `/dev`, as the container's own nodes.
fn host_devices() -> Vec<Mount> {
    let usual: BTreeSet<PathBuf> = Mount::defaults().iter().map(|mount| mount.target().to_owned()).collect();
    let mut found = Vec::new();
    let mut ahead = vec![PathBuf::from("/dev")];
    while let Some(folder) = ahead.pop() {
        // What cannot be listed, or is gone again, cannot be given.
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let (path, kind) = (entry.path(), entry.file_type());
            if usual.contains(&path) || path == Path::new("/dev/console") {
                continue;
            }
            match kind {
                Ok(kind) if kind.is_dir() => ahead.push(path),
                Ok(kind) if kind.is_char_device() || kind.is_block_device() => {
                    found.extend(device_node(&path, &path).ok());
                }
                _ => {}
            }
        }
    }
    found
}

fn device_node(host: &Path, container: &Path) -> Result<Mount, Failure> {
    let (kind, number) = limits::node(host)?;
    if rootless::is_inside() {
        // Nobody may make device nodes in a user namespace.
        return Ok(Mount::bind(host, container));
    }
    let mode = fs::metadata(host).map_err(Failure::during(format_args!("device {}", host.display())))?;
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777;
    let kind = match kind {
        windlass_cgroups::DeviceKind::Block => DeviceKind::Block,
        _ => DeviceKind::Character,
    };
    Ok(Mount::device(Device { kind, major: number.major, minor: number.minor, mode }, container))
}

fn mount(mounted: &Mounted, volumes: &Volumes) -> Result<Mount, Failure> {
    let target = &mounted.target;
    let mut mount = match &mounted.source {
        Source::Bind(path) if path.exists() => Mount::bind_recursive(path, target),
        Source::Bind(path) => {
            return Err(Failure::new(format!("volume {}: there is no such file or directory", path.display())));
        }
        Source::Volume(name) => Mount::bind_recursive(volumes.data(name)?, target),
        Source::Anonymous => return Err(Failure::new(format!("the volume at {} has no name", target.display()))),
        Source::Tmpfs(options) => {
            let plain = Mount::tmpfs(target).no_suid().no_dev();
            options.iter().fold(plain, |mount, (key, value)| mount.option(key, value))
        }
    };
    if mounted.read_only {
        mount = mount.read_only();
    }
    if mounted.no_exec {
        mount = mount.no_exec();
    }
    Ok(mount)
}

fn rlimit(ulimit: &Ulimit) -> Result<Rlimit, Failure> {
    let limit = |value: Option<u64>| value.map_or(Limit::Max, Limit::At);
    Ok(Rlimit { resource: resource(&ulimit.name)?, soft: limit(ulimit.soft), hard: limit(ulimit.hard) })
}

/// A resource by the name that `ulimit` and Docker give it.
pub(super) fn resource(name: &str) -> Result<Resource, Failure> {
    Ok(match name {
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "locks" => Resource::Locks,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nice" => Resource::Nice,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "rttime" => Resource::Rttime,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        "as" => Resource::As,
        _ => return Err(Failure::new(format!("--ulimit {name}: no such limit (nofile, nproc, core, ...)"))),
    })
}

/// Puts a command into the container's group.
pub(super) fn enter_group(command: &mut Command, group: Option<&Group>) -> Result<(), Failure> {
    for descriptor in group.into_iter().flat_map(Group::descriptors) {
        let own: OwnedFd =
            descriptor.try_clone_to_owned().map_err(Failure::during("duplicate a group's descriptor"))?;
        command.cgroup(own);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_added_and_dropped() {
        let set = |add: &[&str], drop: &[&str]| {
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            capabilities(&Security { cap_add: names(add), cap_drop: names(drop), ..Security::default() })
        };
        assert_eq!(set(&[], &[]).unwrap(), CapabilitySet::DOCKER);
        assert!(set(&["NET_ADMIN"], &[]).unwrap().contains(Capability::NetAdmin));
        assert!(!set(&["all"], &["CAP_CHOWN"]).unwrap().contains(Capability::Chown));
        assert!(set(&[], &["ALL"]).unwrap().is_empty());
        assert_eq!(set(&["CHOWN"], &["ALL"]).unwrap().iter().collect::<Vec<_>>(), [Capability::Chown]);
        assert!(set(&["NOPE"], &[]).unwrap_err().to_string().contains("NOPE"));
    }
}
