//! `run`: a container from an image, in the foreground.

use std::time::Duration;

use windlass_cgroups::{Group, GroupPath, Hierarchies};
use windlass_image::config::Execution;
use windlass_image::{Digest, Image};
use windlass_namespaces::seccomp::Policy;
use windlass_namespaces::{CapabilitySets, Command, Gid, KillOnDrop, Mount, Namespace, Rootfs, Source, Uid};
use windlass_overlay::{ApplyOptions, Devices, IdMap, LayerId, MountOptions, Snapshot};

use super::cli::{Network, Run, SecurityOption};
use super::failure::Failure;
use super::home::{self, Home};
use super::{foreground, limits, rootless};

/// How long the processes of a group may take to be gone after they were killed.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn run(home: &Home, request: &Run) -> Result<u8, Failure> {
    let image = home.layout.resolve(home::name(&request.image)?).map_err(Failure::during(&request.image))?;
    let layers = unpack(home, &image)?;
    let id = container_id()?;
    let doing = format!("container {id}");
    let snapshot = home.layers.snapshot(&id, &layers).map_err(Failure::during(&doing))?;
    let ended = in_snapshot(request, &image, &id, &snapshot);
    // The container goes away whatever became of it; the first failure is the one that is told first.
    let removed = snapshot.remove().map_err(Failure::during(format_args!("remove {doing}")));
    ended.and_then(|code| removed.map(|()| code))
}

fn in_snapshot(request: &Run, image: &Image, id: &str, snapshot: &Snapshot) -> Result<u8, Failure> {
    let rootfs = snapshot.mount(&MountOptions::default()).map_err(Failure::during("mount the root file system"))?;
    let arguments = arguments(request, image.config.execution())?;
    let mut command = command(request, image.config.execution(), &arguments, id)?;
    command.rootfs(Rootfs::Detached(rootfs.into()));
    let group = limited_group(request, id)?;
    let ended = start_in(&arguments[0], &mut command, group.as_ref());
    let removed = group.map_or(Ok(()), |group| remove(&group));
    ended.and_then(|code| removed.map(|()| code))
}

fn start_in(program: &str, command: &mut Command, group: Option<&Group>) -> Result<u8, Failure> {
    for descriptor in group.into_iter().flat_map(Group::descriptors) {
        command.cgroup(descriptor.try_clone_to_owned().map_err(Failure::during("duplicate a group's descriptor"))?);
    }
    foreground::run(program, command)
}

/// Every layer of the image in the store, bottom first.
fn unpack(home: &Home, image: &Image) -> Result<Vec<LayerId>, Failure> {
    let mut layers = Vec::new();
    for (descriptor, diff_id) in image.layers() {
        let layer = layer_id(diff_id)?;
        let doing = format!("layer {}", descriptor.digest);
        if !home.layers.contains(layer).map_err(Failure::during(&doing))? {
            let stream = home.layout.layer(descriptor).map_err(Failure::during(&doing))?;
            let rootless = rootless::is_inside();
            let options = ApplyOptions {
                expect: Some(layer),
                id_map: if rootless { IdMap::CurrentUser } else { IdMap::Identity },
                devices: if rootless { Devices::Skip } else { Devices::Create },
                ..ApplyOptions::default()
            };
            home.layers.ingest(stream, &options).map_err(Failure::during(&doing))?;
        }
        layers.push(layer);
    }
    Ok(layers)
}

/// The store's name of an image's layer.
pub(super) fn layer_id(diff_id: &Digest) -> Result<LayerId, Failure> {
    diff_id.to_string().parse().map_err(Failure::during(format_args!("layer {diff_id}")))
}

fn container_id() -> Result<String, Failure> {
    let path = "/proc/sys/kernel/random/uuid";
    let uuid = std::fs::read_to_string(path).map_err(Failure::during(path))?;
    Ok(uuid.chars().filter(char::is_ascii_hexdigit).take(12).collect())
}

fn limited_group(request: &Run, id: &str) -> Result<Option<Group>, Failure> {
    let (resources, controllers) = limits::resources(request)?;
    if controllers.is_empty() {
        return Ok(None);
    }
    let path = GroupPath::new(&format!("windlass-{id}")).map_err(Failure::during("name the group"))?;
    let hierarchies = Hierarchies::discover().map_err(Failure::during("find the cgroup hierarchies"))?;
    let group = hierarchies.create(&path, &controllers).map_err(Failure::during("create a group for the limits"))?;
    match group.apply(&resources) {
        Ok(_) => Ok(Some(group)),
        Err(error) => {
            let failure = Failure::during("limit the container")(error);
            match remove(&group) {
                Ok(()) => Err(failure),
                Err(second) => Err(Failure::new(format!("{failure}; and then: {second}"))),
            }
        }
    }
}

fn remove(group: &Group) -> Result<(), Failure> {
    let doing = format!("remove the group {}", group.path());
    group.kill_and_wait(KILL_TIMEOUT).map_err(Failure::during(&doing))?;
    group.remove().map_err(Failure::during(&doing))
}

/// Program and arguments; at least the program.
fn arguments(request: &Run, execution: &Execution) -> Result<Vec<String>, Failure> {
    let arguments: Vec<String> = if request.command.is_empty() {
        execution.command_line().map(str::to_owned).collect()
    } else {
        execution.entrypoint.iter().chain(&request.command).cloned().collect()
    };
    if arguments.is_empty() {
        return Err(Failure::new(format!("the image {} names no command: give one after it", request.image)));
    }
    Ok(arguments)
}

fn command(request: &Run, execution: &Execution, arguments: &[String], id: &str) -> Result<Command, Failure> {
    let mut command = Command::new(&arguments[0]);
    command.args(&arguments[1..]).env_clear().env("PATH", DEFAULT_PATH);
    let hostname = request.hostname.as_deref().unwrap_or(id);
    command.env("HOSTNAME", hostname).env("HOME", "/root").hostname(hostname);
    for variable in &execution.env {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        command.env(name, value);
    }
    for variable in &request.env {
        set_variable(&mut command, variable);
    }
    isolate(&mut command, request)?;
    for volume in &request.volume {
        command.mount(bind(volume)?);
    }
    command.mounts(request.tmpfs.iter().map(|target| Mount::tmpfs(target).no_suid().no_dev()));
    if let Some(directory) = request.workdir.clone().or_else(|| execution.working_dir.clone().map(Into::into)) {
        command.current_dir(directory);
    }
    if let Some(user) = &execution.user {
        let (uid, gid) = numeric_user(user)?;
        command.user(uid, gid, Vec::new());
    }
    Ok(command)
}

fn isolate(command: &mut Command, request: &Run) -> Result<(), Failure> {
    for kind in [Namespace::Mount, Namespace::Pid, Namespace::Ipc, Namespace::Uts, Namespace::Cgroup] {
        command.namespace(kind, Source::New);
    }
    if request.network == Network::None {
        command.namespace(Namespace::Net, Source::New);
    }
    let joins_host = request.network == Network::Host && rootless::is_inside();
    command.mounts(Mount::defaults().into_iter().filter(|mount| !(joins_host && mount.target().starts_with("/sys"))));
    if joins_host {
        // sysfs shows the network of its mounter, which this user does not own: the host's own mount is bound instead.
        command.mount(Mount::bind_recursive("/sys", "/sys").read_only());
    }
    if request.read_only {
        command.read_only_rootfs();
    }
    let capabilities = CapabilitySets::docker();
    if !request.security_opt.contains(&SecurityOption::SeccompUnconfined) {
        let filter = Policy::container(capabilities.bounding).compile();
        command.seccomp(filter.map_err(Failure::during("compile the filter of system calls"))?);
    }
    command.capabilities(capabilities).new_session().kill_on_drop(KillOnDrop::Yes);
    Ok(())
}

/// `NAME=VALUE`, or `NAME` for the caller's own value.
fn set_variable(command: &mut Command, variable: &str) {
    if let Some((name, value)) = variable.split_once('=') {
        command.env(name, value);
    } else if let Some(value) = std::env::var_os(variable) {
        command.env(variable, value);
    }
}

/// `HOST:CONTAINER[:ro]`.
fn bind(volume: &str) -> Result<Mount, Failure> {
    let parts: Vec<&str> = volume.split(':').collect();
    match parts[..] {
        [host, container] if is_volume(host, container) => Ok(Mount::bind_recursive(host, container)),
        [host, container, "ro"] if is_volume(host, container) => Ok(Mount::bind_recursive(host, container).read_only()),
        _ => Err(Failure::new(format!("--volume {volume}: not HOST:CONTAINER[:ro] with two absolute paths"))),
    }
}

fn is_volume(host: &str, container: &str) -> bool {
    host.starts_with('/') && container.starts_with('/')
}

/// `UID[:GID]`; names would have to be looked up in files of the image.
fn numeric_user(user: &str) -> Result<(Uid, Gid), Failure> {
    let (uid, gid) = user.split_once(':').unwrap_or((user, "0"));
    let uid =
        uid.parse().map_err(Failure::during(format_args!("the image's user {user} (only numbers are understood)")))?;
    let gid = gid
        .parse()
        .map_err(Failure::during(format_args!("the image's group in {user} (only numbers are understood)")))?;
    Ok((uid, gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_two_absolute_paths() {
        assert_eq!(bind("/a:/b").unwrap().target(), std::path::Path::new("/b"));
        assert!(bind("/a:/b:ro").is_ok());
        for wrong in ["/a", "a:/b", "/a:b", "/a:/b:rx", "/a:/b:ro:x", ""] {
            assert!(bind(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn users_are_numbers() {
        assert!(numeric_user("1000:1000").is_ok());
        for wrong in ["daemon", "4294967296", "0x0", "-1", "1000:wheel", ""] {
            assert!(numeric_user(wrong).is_err(), "{wrong:?}");
        }
    }
}
