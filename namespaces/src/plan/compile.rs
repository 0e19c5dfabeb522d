//! A command and the facts around it become a plan.

use std::ffi::CString;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;

use super::credential::{Mappings, mappings};
use super::program::{c_string, program};
use super::step::{Joined, Step, Verify};
use super::{CgroupVersion, Facts, ParentStep, Plan, attribute, credential, filesystem, hook, landlock, terminal};
use crate::capability::Capability;
use crate::command::{Command, Init, Root, Stdio, Wait};
use crate::error::{Error, Result};
use crate::hook::HookPoint;
use crate::kind::{Namespace, Source};
use crate::mount::Kind;
use crate::rootfs::Rootfs;

/// The plan of `command`; reads nothing but its arguments.
pub(crate) fn compile(command: &Command, facts: &Facts) -> Result<Plan> {
    let mappings = mappings(command, facts)?;
    let groups = Groups::of(command, facts)?;
    let joins = joins(command)?;
    let staged = needs_stage(command);
    let mut notices = Vec::new();

    let mut child: Vec<Step> = groups.by_itself.iter().copied().map(Step::EnterCgroup).collect();
    let mut stage = Vec::new();
    let first = if staged { &mut stage } else { &mut child };
    if let Some(attribute) = attribute::first(command)? {
        first.insert(0, Step::Attribute(attribute));
    }
    first.extend(beginning(command, facts)?);
    first.extend(stdio(command));
    if !joins.is_empty() {
        // A process of a container must not trace the one that joins it; the parent of a new user namespace, though,
        // must be able to write the maps.
        if mappings.is_none() {
            first.push(Step::NotDumpable);
        }
        first.push(Step::Join(joins));
    }
    if let Some(Mappings { first: (uid, gid), .. }) = mappings {
        child.extend([Step::AwaitMapped, Step::AssumeIds { uid, gid }]);
    }
    if command.is_joined(Namespace::User) && command.process.terminal.is_some() {
        // A file of an id that is not mapped cannot be given to anybody.
        child.push(Step::AssumeIds { uid: 0, gid: 0 });
    }
    child.extend(surroundings(command)?);
    let terminal = terminal::step(command, credential::owner(command, facts, mappings.as_ref()))?.map(Step::Terminal);
    let pause = command.hooks.pauses.then_some(Step::Pause);
    let hooks = pause.into_iter().chain(hook::steps(command, HookPoint::BeforePivot)?.into_iter().map(Step::Hook));
    child.extend(filesystem::steps(command, facts, cgroup_namespace(command), hooks.collect(), terminal)?);
    let confinement = landlock::confinement(command, facts, &mut notices)?;
    let (denied, rules) = confinement.map_or((None, Vec::new()), |(denied, rules)| (Some(denied), rules));
    child.extend(rules.into_iter().map(Step::Allow));
    child.extend(inherit(command)?);
    child.extend(attribute::of_program(command, facts, &mut notices)?.into_iter().map(Step::Attribute));
    child.extend(credential::steps(command, facts, mappings.as_ref(), &mut notices)?);
    child.extend(directory(command, facts)?);
    child.extend(reaper(command)?);
    let (listen, filter) = filter(command, facts)?;
    child.extend(announce(command, facts, listen)?);
    child.extend(hook::steps(command, HookPoint::BeforeExec)?.into_iter().map(Step::Hook));
    child.extend(attribute::labels(command)?.into_iter().map(Step::Attribute));
    child.extend(denied.map(|_| Step::Confine));
    child.extend(filter);
    child.push(Step::Exec(program(command, &facts.environment)?));

    let mut parent = Vec::new();
    if let Some(Mappings { uid, gid, .. }) = mappings {
        parent.extend([ParentStep::MapIds { uid, gid }, ParentStep::ReleaseMapped]);
    }
    parent.extend(devices(command)?);
    // The process makes these itself: a cgroup namespace once it is in its groups, a time namespace before it has offsets.
    let later = |kind| match kind {
        Namespace::Cgroup => true,
        Namespace::Time => !command.process.time_offsets.is_empty(),
        _ => false,
    };
    let namespaces = Namespace::ALL.into_iter().filter(|kind| !later(*kind) && command.is_new(*kind));
    let namespaces = namespaces.collect();
    let descriptors = descriptors(command);
    Ok(Plan { stage, namespaces, cgroup: groups.entered, parent, child, descriptors, notices, denied })
}

/// The control groups by the way in.
struct Groups {
    /// Entered as the process is created.
    entered: Option<RawFd>,
    /// The process enters them itself.
    by_itself: Vec<RawFd>,
}

impl Groups {
    fn of(command: &Command, facts: &Facts) -> Result<Self> {
        let mut groups = Self { entered: None, by_itself: Vec::new() };
        for (group, version) in command.cgroups.iter().zip(&facts.cgroups) {
            match version {
                CgroupVersion::One => groups.by_itself.push(group.as_raw_fd()),
                CgroupVersion::Two if groups.entered.is_none() => groups.entered = Some(group.as_raw_fd()),
                CgroupVersion::Two => {
                    return Err(Error::invalid("cgroup", "cgroup2", "a process is in one group of a hierarchy"));
                }
            }
        }
        Ok(groups)
    }
}

fn joins(command: &Command) -> Result<Vec<(Namespace, Joined)>> {
    let joined = command.namespaces.iter().filter_map(|(kind, source)| match source {
        Source::New => None,
        Source::Join(descriptor) => Some(Ok((*kind, Joined::Descriptor(descriptor.as_raw_fd())))),
        Source::Path(path) => {
            let path = c_string("namespace", path.as_os_str().as_bytes());
            Some(path.map(|path| (*kind, Joined::Path(path))))
        }
    });
    joined.collect()
}

/// A joined pid namespace takes in only children of the process that joins, and the owner of all other new namespaces
/// must be the user namespace that the process is in when they are made.
fn needs_stage(command: &Command) -> bool {
    let joins_any = command.namespaces.iter().any(|(_, source)| matches!(source, Source::Join(_) | Source::Path(_)));
    let user = command.is_joined(Namespace::User) || (command.is_new(Namespace::User) && joins_any);
    user || command.is_joined(Namespace::Pid)
}

fn beginning(command: &Command, facts: &Facts) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let ignored = facts.ignored_signals & !command.process.keeps_ignored;
    if ignored != 0 {
        steps.push(Step::DefaultSignals(ignored));
    }
    if let Some(value) = command.oom_score_adj {
        if !(-1000..=1000).contains(&value) {
            return Err(Error::invalid("oom_score_adj", value.to_string(), "is between -1000 and 1000"));
        }
        steps.push(Step::OomScoreAdj(c_string("oom_score_adj", value.to_string().as_bytes())?));
    }
    Ok(steps)
}

fn surroundings(command: &Command) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if command.new_session || command.process.terminal.is_some() {
        steps.push(Step::NewSession);
    }
    if command.is_new(Namespace::Net) {
        steps.push(Step::LoopbackUp);
    }
    if !command.process.net_devices.is_empty() {
        steps.push(Step::AwaitDevices);
    }
    if let Some(name) = &command.hostname {
        if command.source(Namespace::Uts).is_none() {
            return Err(Error::invalid("hostname", name.to_string_lossy(), "needs a uts namespace of its own"));
        }
        steps.push(Step::Hostname(c_string("hostname", name.as_bytes())?));
    }
    steps.extend(attribute::of_namespaces(command)?.into_iter().map(Step::Attribute));
    Ok(steps)
}

fn devices(command: &Command) -> Result<Vec<ParentStep>> {
    let devices = &command.process.net_devices;
    let is_name = |name: &str| !name.is_empty() && name.len() < 16 && !name.contains(['/', '\0', ' ']);
    if let Some((name, inside)) = devices.iter().find(|(name, inside)| !is_name(name) || !is_name(inside)) {
        return Err(Error::invalid("net_device", format!("{name} as {inside}"), "is not the name of a device"));
    }
    if !devices.is_empty() && !command.is_new(Namespace::Net) {
        return Err(Error::invalid("net_device", "net namespace", "needs a new one"));
    }
    let step =
        |(name, inside): &(String, String)| ParentStep::MoveDevice { name: name.clone(), inside: inside.clone() };
    let release = (!devices.is_empty()).then_some(ParentStep::ReleaseDevices);
    Ok(devices.iter().map(step).chain(release).collect())
}

/// The caller moved the descriptors above all numbers that they are given here.
fn inherit(command: &Command) -> Result<Vec<Step>> {
    let step = |(descriptor, number): &(std::os::fd::OwnedFd, RawFd)| match number {
        ..=2 => Err(Error::invalid("inherit", number.to_string(), "is 3 or more")),
        number => Ok(Step::Inherit { from: descriptor.as_raw_fd(), number: *number }),
    };
    command.process.inherited.iter().map(step).collect()
}

fn reaper(command: &Command) -> Result<Option<Step>> {
    match command.process.init {
        Init::Program => Ok(None),
        Init::Reaper if command.is_new(Namespace::Pid) => {
            Ok(Some(Step::Init { foreground: command.process.terminal.is_some() }))
        }
        Init::Reaper => Err(Error::invalid("init", "Reaper", "needs a new pid namespace")),
    }
}

fn cgroup_namespace(command: &Command) -> Option<Step> {
    command.is_new(Namespace::Cgroup).then_some(Step::NewCgroupNamespace)
}

fn stdio(command: &Command) -> Vec<Step> {
    let step = |(descriptor, stdio): (RawFd, &Stdio)| match stdio {
        Stdio::Inherit => None,
        Stdio::Null => Some(Step::Null { descriptor }),
        Stdio::Fd(from) => Some(Step::Stdio { descriptor, from: from.as_raw_fd() }),
    };
    (0..).zip(&command.stdio).filter_map(step).collect()
}

/// A process that waits must not be looked into by those that it will live with; but who has no power over undumpable
/// processes and makes all namespaces anew must be able to look itself.
/// A filter that asks a listener comes before a gate, where the caller is still there to take the descriptor.
fn announce(command: &Command, facts: &Facts, listen: Vec<Step>) -> Result<Vec<Step>> {
    match &command.wait {
        Wait::None if listen.is_empty() => Ok(vec![Step::Announce]),
        Wait::None => Ok(listen),
        Wait::At(gate) => {
            let hidden = facts.effective.contains(Capability::SysPtrace) || !joins(command)?.is_empty();
            let hide = hidden.then_some(Step::NotDumpable);
            let gate = Step::Gate { descriptor: gate.descriptor.as_raw_fd(), kind: gate.kind };
            Ok([Step::Find].into_iter().chain(hide).chain(listen).chain([gate]).collect())
        }
        Wait::Spent => Err(Error::invalid("gate", "", "an earlier spawn waits there")),
    }
}

/// The steps of a filter that asks a listener, and that of one which decides alone.
fn filter(command: &Command, facts: &Facts) -> Result<(Vec<Step>, Option<Step>)> {
    match &command.seccomp {
        Some(filter) if filter.notifies() => {
            if command.process.init == Init::Reaper {
                return Err(Error::invalid("seccomp", "Notify", "is not for a program behind a reaper"));
            }
            // The caller takes the descriptor out of the process, which changed its user.
            let open = (!facts.effective.contains(Capability::SysPtrace)).then_some(Step::Dumpable);
            Ok((open.into_iter().chain([Step::Listen(filter.clone())]).collect(), None))
        }
        filter => Ok((Vec::new(), filter.clone().map(Step::Seccomp))),
    }
}

fn directory(command: &Command, facts: &Facts) -> Result<Vec<Step>> {
    let elsewhere = !matches!(command.root, Root::None) || command.is_joined(Namespace::Mount);
    let verify = if elsewhere { Verify::Inside } else { Verify::No };
    let path = match &command.current_dir {
        Some(path) => Some(c_string("current_dir", path.as_os_str().as_bytes())?),
        None if elsewhere => Some(CString::from(c"/")),
        None => None,
    };
    let mut steps = Vec::new();
    if let Some(bits) = command.umask
        && bits > 0o777
    {
        return Err(Error::invalid("umask", format!("{bits:o}"), "holds permission bits only"));
    }
    if command.umask.is_some() || command.is_new(Namespace::Mount) {
        steps.push(Step::Umask(command.umask.unwrap_or(facts.umask)));
    }
    steps.extend(path.map(|path| Step::CurrentDir { path, verify }));
    Ok(steps)
}

/// Every descriptor that a step uses, sorted.
fn descriptors(command: &Command) -> Vec<RawFd> {
    let mut descriptors: Vec<RawFd> = command.cgroups.iter().map(AsRawFd::as_raw_fd).collect();
    descriptors.extend(command.namespaces.iter().filter_map(|(_, source)| match source {
        Source::Join(descriptor) => Some(descriptor.as_raw_fd()),
        Source::New | Source::Path(_) => None,
    }));
    descriptors.extend(command.process.inherited.iter().map(|(descriptor, _)| descriptor.as_raw_fd()));
    descriptors.extend(command.stdio.iter().filter_map(|stdio| match stdio {
        Stdio::Fd(descriptor) => Some(descriptor.as_raw_fd()),
        Stdio::Inherit | Stdio::Null => None,
    }));
    descriptors.extend(command.mounts.iter().filter_map(|mount| match &mount.kind {
        Kind::Detached(descriptor) => Some(descriptor.as_raw_fd()),
        _ => mount.id_map.as_ref().and_then(|map| map.made.as_ref()).map(AsRawFd::as_raw_fd),
    }));
    if let Root::Given(Rootfs::Detached(descriptor)) = &command.root {
        descriptors.push(descriptor.as_raw_fd());
    }
    if let Wait::At(gate) = &command.wait {
        descriptors.push(gate.descriptor.as_raw_fd());
    }
    descriptors.sort_unstable();
    descriptors.dedup();
    descriptors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::{CapabilitySet, CapabilitySets};
    use crate::gate::Gate;
    use crate::id::IdMapping;
    use crate::mount::Mount;
    use crate::rlimit::{Limit, Resource, Rlimit};

    fn facts(uid: u32, held: CapabilitySet) -> Facts {
        Facts { uid, gid: uid, effective: held, held, ..Facts::for_tests() }
    }

    #[test]
    fn inside_a_user_namespace_devices_are_bound_and_terminals_have_no_group() {
        let mut command = Command::new("/bin/app");
        command.namespace(Namespace::Mount, Source::New).rootfs(Rootfs::Path("/root".into())).mounts(Mount::defaults());
        let mut inside = facts(0, CapabilitySet::EMPTY);
        let first = compile(&command, &inside).unwrap().to_string();
        inside.gid_mappings = vec![IdMapping::new(0, 1000, 1).unwrap()];
        let nested = compile(&command, &inside).unwrap().to_string();
        assert!(first.contains("gid=5") && !nested.contains("gid=5"), "{nested}");
        assert!(!first.contains("bind /dev/null") && nested.contains("bind /dev/null"), "{nested}");
    }

    fn container() -> Command {
        let mut command = Command::new("/bin/app");
        for kind in Namespace::ALL {
            command.namespace(kind, Source::New);
        }
        command
            .rootfs(Rootfs::Path("/root".into()))
            .mount(Mount::proc("/proc").no_suid())
            .mount(Mount::cgroup2("/sys/fs/cgroup").read_only())
            .mount(Mount::masked("/proc/keys"))
            .hostname("box")
            .capabilities(CapabilitySets::docker())
            .rlimit(Rlimit { resource: Resource::Core, soft: Limit::At(0), hard: Limit::Max })
            .oom_score_adj(5)
            .no_new_privileges();
        command
    }

    const CONTAINER: &str = "\
caller: clone3 with new mnt pid net ipc uts user time
caller: map users 0 1000 1; groups without setgroups: 0 1000 1
caller: tell the process that its ids are mapped
process: stop ignoring signals 0x1000
process: set oom_score_adj 5
process: await the mapping of ids
process: assume uid 0 gid 0
process: bring the loopback device up
process: set hostname box
process: set umask 000
process: set propagation 0x40000 on every mount
process: attach root /root
process: mount proc on /proc, attributes 0x2
process: unshare the cgroup namespace
process: mount cgroup2 on /sys/fs/cgroup, attributes 0x1
process: mask /proc/keys
process: pivot to the root and leave the old one
process: set RLIMIT_CORE 0 of max
process: bound capabilities to 00000000a80425fb
process: keep capabilities through the change of user
process: keep supplementary groups
process: set uid 0 gid 0
process: set capabilities effective 00000000a80425fb permitted 00000000a80425fb inheritable 0000000000000000
process: set ambient capabilities 0000000000000000
process: forbid new privileges
process: set umask 022
process: change directory to /
process: leave the other descriptors to the exec and announce it
process: execute /bin/app
";

    #[test]
    fn a_container_is_made_in_this_order() {
        let plan = compile(&container(), &facts(1000, CapabilitySet::EMPTY)).unwrap();
        assert_eq!(plan.to_string(), CONTAINER);
    }

    #[test]
    fn who_maps_ids_depends_on_the_caller() {
        let all = CapabilitySet::from_bits(u64::MAX >> 23);
        let range = |outside| vec![IdMapping::new(0, outside, 10).unwrap()];
        let told = |command: &Command, facts: &Facts| {
            let plan = compile(command, facts).unwrap().to_string();
            plan.lines().find_map(|line| line.strip_prefix("caller: map users ").map(str::to_owned)).unwrap()
        };
        let mut command = container();
        assert_eq!(told(&command, &facts(0, all)), "0 0 1; groups 0 0 1");
        command.id_mappings(range(100), range(100));
        assert_eq!(told(&command, &facts(0, all)), "0 100 10; groups 0 100 10");
        let helped = "by the set-uid helper: 0 100 10; groups by the set-uid helper: 0 100 10";
        assert_eq!(told(&command, &facts(1000, CapabilitySet::EMPTY)), helped);
        command.id_mappings(range(100), Vec::new());
        assert!(compile(&command, &facts(0, all)).is_err());
    }

    #[test]
    fn a_filter_comes_last_and_takes_one_capability() {
        let filter = crate::seccomp::Policy::new(crate::seccomp::Action::Allow).compile().unwrap();
        let count = filter.instructions().len();
        let mut command = container();
        command.seccomp(filter.clone());
        let forbidding = compile(&command, &facts(1000, CapabilitySet::EMPTY)).unwrap().to_string();
        let own = format!("announce it\nprocess: filter system calls by {count} instructions\n");
        assert!(forbidding.ends_with(&format!("{own}process: execute /bin/app\n")), "{forbidding}");

        let mut command = Command::new("/x");
        command.capabilities(CapabilitySets::none()).seccomp(filter);
        assert!(compile(&command, &facts(0, CapabilitySet::DOCKER)).is_err());
        let held = CapabilitySet::DOCKER.with(Capability::SysAdmin);
        let text = compile(&command, &facts(0, held)).unwrap().to_string();
        let none = "0000000000000000";
        let kept = format!("effective 0000000000200000 permitted 0000000000200000 inheritable {none}\n");
        assert!(text.contains(&kept) && text.ends_with(&format!("{own}process: execute /x\n")), "{text}");
    }

    #[test]
    fn security_modules_are_told_last() {
        let mut command = container();
        command.apparmor_profile("docker-default").selinux_label("system_u:system_r:container_t:s0");
        let hook = crate::Hook { path: "/bin/hook".into(), args: Vec::new(), env: Vec::new(), timeout: None };
        command.hook(HookPoint::BeforeExec, hook, crate::HookInput::bytes(""));
        let text = compile(&command, &facts(1000, CapabilitySet::EMPTY)).unwrap().to_string();
        let last: Vec<&str> = text.lines().rev().take(4).collect();
        assert_eq!(last[0], "process: execute /bin/app");
        assert_eq!(last[1], r#"process: write "system_u:system_r:container_t:s0" to self/attr/exec of a procfs"#);
        assert_eq!(last[2], r#"process: write "exec docker-default" to self/attr/apparmor/exec of a procfs"#);
        assert!(last[3].contains("/bin/hook"), "{text}");
        assert!(compile(command.apparmor_profile("a\0b"), &facts(1000, CapabilitySet::EMPTY)).is_err());
        assert!(compile(command.apparmor_profile(""), &facts(1000, CapabilitySet::EMPTY)).is_err());
    }

    #[test]
    fn a_filter_that_asks_a_listener_comes_before_the_gate() {
        let mut policy = crate::seccomp::Policy::new(crate::seccomp::Action::Allow);
        policy.rules.push(crate::seccomp::Rule::new(["mkdir"], crate::seccomp::Action::Notify));
        let mut command = Command::new("/x");
        let (gate, _opener) = Gate::pair().unwrap();
        command.no_new_privileges().seccomp(policy.compile().unwrap()).gate(gate);
        let lines = |facts: &Facts| compile(&command, facts).unwrap().to_string();
        let root = lines(&facts(0, CapabilitySet::DOCKER.with(Capability::SysPtrace)));
        let last: Vec<&str> = root.lines().rev().take(3).collect();
        assert!(last[2].ends_with("and a listener") && last[1].contains("wait at gate"), "{root}");
        assert!(lines(&facts(1000, CapabilitySet::EMPTY)).contains("become dumpable\nprocess: filter"), "{root}");
        command.init(Init::Reaper).namespace(Namespace::Pid, Source::New);
        assert!(compile(&command, &facts(0, CapabilitySet::EMPTY)).is_err());
    }

    #[test]
    fn a_gate_stands_before_filter_and_program() {
        let filter = crate::seccomp::Policy::new(crate::seccomp::Action::Allow).compile().unwrap();
        let mut command = container();
        let (gate, _opener) = Gate::pair().unwrap();
        command.seccomp(filter).gate(gate);
        let own = compile(&command, &facts(1000, CapabilitySet::EMPTY)).unwrap().to_string();
        let last: Vec<&str> = own.lines().rev().take(5).collect();
        assert!(last[0].ends_with("execute /bin/app") && last[1].contains("filter system calls"), "{own}");
        assert!(last[2].contains("wait at gate") && last[3].ends_with("find the program"), "{own}");
        let ptrace = CapabilitySet::DOCKER.with(Capability::SysPtrace);
        let hidden = compile(&command, &facts(0, ptrace)).unwrap().to_string();
        assert!(hidden.contains("find the program\nprocess: become undumpable\nprocess: wait at gate"), "{hidden}");
        command.wait = Wait::Spent;
        assert!(compile(&command, &facts(0, ptrace)).is_err());
    }

    #[test]
    fn devices_are_moved_before_the_process_goes_on() {
        let mut command = Command::new("/x");
        command.namespace(Namespace::Net, Source::New).net_device("eth7", "eth0");
        let text = compile(&command, &facts(0, CapabilitySet::EMPTY)).unwrap().to_string();
        let expected = "caller: move network device eth7 to the process as eth0\n\
            caller: tell the process that its network devices are there\n";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("loopback device up\nprocess: await the network devices\n"), "{text}");
        for (name, inside) in [("", "eth0"), ("eth0", "a/b"), ("a-name-too-long-for-it", "eth0")] {
            let mut command = Command::new("/x");
            command.namespace(Namespace::Net, Source::New).net_device(name, inside);
            assert!(compile(&command, &facts(0, CapabilitySet::EMPTY)).is_err(), "{name} {inside}");
        }
        let mut command = Command::new("/x");
        assert!(compile(command.net_device("a", "b"), &facts(0, CapabilitySet::EMPTY)).is_err());
    }

    #[test]
    fn what_the_caller_lacks_is_told() {
        let mut command = Command::new("/x");
        command.capabilities(CapabilitySets::docker());
        let held = CapabilitySet::from_bits(1);
        let plan = compile(&command, &facts(0, held)).unwrap();
        assert_eq!(plan.notices, [crate::Notice::CapabilitiesDropped(CapabilitySet::DOCKER.difference(held))]);
        let text = plan.to_string();
        assert!(text.contains("bound capabilities to 0000000000000001\n"), "{text}");
        assert!(text.contains("\nnotice: capabilities that the caller does not hold were left out: CAP_DAC_OVERRIDE "));
    }
}
