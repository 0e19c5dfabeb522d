//! What a container runs, as whom and with which powers: what the pod says over what the image says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use windlass_image::config::Execution;
use windlass_namespaces::seccomp::{CompiledFilter, Policy};
use windlass_namespaces::{Capability, CapabilitySet, CapabilitySets, Command, Gid, Signal, Uid};
use windlass_pod::kinds::{Container, PodSpec};

use super::error::{Error, Result};
use super::expand::expand;

/// What an unprivileged container may do: Docker's set without making device nodes, for which these nodes have no
/// filter.
pub(super) const CAPABILITIES: CapabilitySet = CapabilitySet::DOCKER.without(Capability::Mknod);

/// The program's user.
#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

/// The command of a container, without its isolation.
pub(super) fn command(
    spec: &PodSpec,
    container: &Container,
    image: &Execution,
    environment: &BTreeMap<String, String>,
) -> Result<Command> {
    let line = command_line(container, image, environment)?;
    let user = user(spec, container, image)?;
    let mut words = line.into_iter();
    let program = words.next().ok_or_else(|| Error::NoCommand { container: name(container) })?;
    let mut command = Command::new(program);
    command.args(words).env_clear().envs(environment.iter());
    let folder = container.working_dir.as_deref().or(image.working_dir.as_deref()).filter(|path| !path.is_empty());
    command.current_dir(PathBuf::from(folder.unwrap_or("/")));
    let is_root = user.uid == Uid::ROOT;
    run_as(&mut command, user);
    command.umask(0o022).new_session();
    let allowed = capabilities(container)?;
    // Only root keeps what it is allowed; another user could regain it by a set-user-id program alone.
    let sets = CapabilitySets { bounding: allowed, ..CapabilitySets::none() };
    command.capabilities(if is_root { CapabilitySets::root(allowed) } else { sets });
    if let Some(filter) = filter(spec, container, allowed)? {
        command.seccomp(filter);
    }
    let context = container.security_context.as_deref();
    if context.and_then(|context| context.allow_privilege_escalation) == Some(false) {
        command.no_new_privileges();
    }
    if context.and_then(|context| context.read_only_root_filesystem) == Some(true) {
        command.read_only_rootfs();
    }
    Ok(command)
}

/// The container's `command` stands for the image's entry point and drops the image's arguments; its `args` stand for
/// those.
fn command_line(
    container: &Container,
    image: &Execution,
    environment: &BTreeMap<String, String>,
) -> Result<Vec<String>> {
    let from_pod = |words: &[String]| -> Vec<String> {
        words.iter().map(|word| expand(word, |name| environment.get(name).map(String::as_str))).collect()
    };
    let line = match (container.command.is_empty(), container.args.is_empty()) {
        (true, true) => [image.entrypoint.clone(), image.cmd.clone()].concat(),
        (true, false) => [image.entrypoint.clone(), from_pod(&container.args)].concat(),
        (false, _) => [from_pod(&container.command), from_pod(&container.args)].concat(),
    };
    if line.is_empty() { Err(Error::NoCommand { container: name(container) }) } else { Ok(line) }
}

/// What asks the program to end: the pod's word over the image's, SIGTERM without either.
pub(super) fn stop_signal(container: &Container, image: &Execution) -> Result<Signal> {
    let own = container.lifecycle.as_deref().and_then(|lifecycle| lifecycle.stop_signal.as_deref());
    match own.or(image.stop_signal.as_deref()).filter(|word| !word.is_empty()) {
        None => Ok(Signal::TERM),
        Some(word) => word.parse().map_err(|_| Error::Unsupported { fields: vec![format!("stopSignal: {word}")] }),
    }
}

/// Gives the program its user. Where this process's own user namespace lets nobody change groups, root stays what it
/// is: the groups of whoever started all this mean nobody there.
fn run_as(command: &mut Command, user: User) {
    let is_plain_root = user.uid == Uid::ROOT && user.gid == Gid::ROOT && user.groups.is_empty();
    let are_fixed = || std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|word| word.trim() == "deny");
    if !(is_plain_root && are_fixed()) {
        command.user(user.uid, user.gid, user.groups);
    }
}

/// The same for a program that somebody runs inside a container.
pub(super) fn run_as_root(command: &mut Command) {
    run_as(command, User { uid: Uid::ROOT, gid: Gid::ROOT, groups: Vec::new() });
}

fn user(spec: &PodSpec, container: &Container, image: &Execution) -> Result<User> {
    let (own, pod) = (container.security_context.as_deref(), spec.security_context.as_deref());
    let (image_uid, image_gid) = image_user(image.user.as_deref().unwrap_or_default())?;
    let uid = own.and_then(|own| own.run_as_user).or(pod.and_then(|pod| pod.run_as_user));
    let gid = own.and_then(|own| own.run_as_group).or(pod.and_then(|pod| pod.run_as_group));
    let uid = uid.map_or(Ok(image_uid), |uid| number(uid, "runAsUser"))?;
    let gid = gid.map_or(Ok(image_gid), |gid| number(gid, "runAsGroup"))?;
    let non_root = own.and_then(|own| own.run_as_non_root).or(pod.and_then(|pod| pod.run_as_non_root));
    if non_root == Some(true) && uid == Uid::ROOT {
        return Err(Error::Root { container: name(container) });
    }
    let groups = pod.map(|pod| pod.supplemental_groups.as_slice()).unwrap_or_default();
    let groups = groups.iter().map(|group| number(*group, "supplementalGroups")).collect::<Result<_>>()?;
    Ok(User { uid, gid, groups })
}

/// A user or group of the pod.
fn number<Id: TryFrom<u32>>(value: i64, field: &str) -> Result<Id> {
    let id = u32::try_from(value).ok().and_then(|value| Id::try_from(value).ok());
    id.ok_or_else(|| Error::Unsupported { fields: vec![format!("{field} = {value}")] })
}

/// `USER[:GROUP]` by number; names would need the image's own files, which these nodes do not read.
fn image_user(text: &str) -> Result<(Uid, Gid)> {
    let refused = || Error::Unsupported { fields: vec![format!("the image's user {text:?}, which is not a number")] };
    let (uid, gid) = text.split_once(':').unwrap_or((text, ""));
    let uid = if uid.is_empty() { Uid::ROOT } else { uid.parse().map_err(|_| refused())? };
    let gid = if gid.is_empty() { Gid::ROOT } else { gid.parse().map_err(|_| refused())? };
    Ok((uid, gid))
}

/// The filter of system calls: the runtime's own unless the pod says that it wants none.
fn filter(spec: &PodSpec, container: &Container, allowed: CapabilitySet) -> Result<Option<CompiledFilter>> {
    let own = container.security_context.as_deref().and_then(|context| context.seccomp_profile.as_deref());
    let pod = spec.security_context.as_deref().and_then(|context| context.seccomp_profile.as_deref());
    match own.or(pod).and_then(|profile| profile.type_.as_deref()) {
        None | Some("RuntimeDefault") => default_filter(allowed).map(Some),
        Some("Unconfined") => Ok(None),
        Some(kind) => Err(Error::Unsupported { fields: vec![format!("seccompProfile.type: {kind}")] }),
    }
}

/// What a container with these capabilities may call.
pub(super) fn default_filter(allowed: CapabilitySet) -> Result<CompiledFilter> {
    Policy::container(allowed).compile().map_err(Error::process("compile", "the filter of system calls"))
}

fn capabilities(container: &Container) -> Result<CapabilitySet> {
    let asked = container.security_context.as_deref().and_then(|context| context.capabilities.as_deref());
    let Some(asked) = asked else { return Ok(CAPABILITIES) };
    let parse = |word: &String| -> Result<Capability> {
        word.parse().map_err(|_| Error::Unsupported { fields: vec![format!("capabilities: {word}")] })
    };
    let is_all = |words: &[String]| words.iter().any(|word| word == "ALL");
    let mut set = if is_all(&asked.drop) { CapabilitySet::EMPTY } else { CAPABILITIES };
    for word in asked.drop.iter().filter(|word| *word != "ALL") {
        set = set.without(parse(word)?);
    }
    for word in &asked.add {
        match parse(word)? {
            Capability::Mknod => return Err(Error::Unsupported { fields: vec!["capabilities.add: MKNOD".to_owned()] }),
            capability => set = set.with(capability),
        }
    }
    Ok(set)
}

fn name(container: &Container) -> String {
    container.name.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn command_and_arguments_follow_kubernetes() {
        let image = Execution { entrypoint: words("/ep 1"), cmd: words("cmd"), ..Execution::default() };
        let environment = BTreeMap::from([("X".to_owned(), "value".to_owned())]);
        for (command, args, expected) in
            [("", "", "/ep 1 cmd"), ("", "a $(X)", "/ep 1 a value"), ("/c", "", "/c"), ("/c", "a", "/c a")]
        {
            let container = Container { command: words(command), args: words(args), ..Container::default() };
            assert_eq!(command_line(&container, &image, &environment).unwrap(), words(expected));
        }
        command_line(&Container::default(), &Execution::default(), &environment).unwrap_err();
    }

    #[test]
    fn users_are_numbers() {
        let pair = |uid, gid| (Uid::new(uid).unwrap(), Gid::new(gid).unwrap());
        assert_eq!(image_user("").unwrap(), pair(0, 0));
        assert_eq!(image_user("7").unwrap(), pair(7, 0));
        assert_eq!(image_user("7:8").unwrap(), pair(7, 8));
        for bad in ["root", "7:staff", "4294967296", "-1"] {
            image_user(bad).unwrap_err();
        }
    }
}
