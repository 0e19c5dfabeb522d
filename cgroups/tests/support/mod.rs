//! Groups and processes that a test made, and that go with it, also when it fails.
#![allow(dead_code, reason = "each test program uses a part")]

use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use windlass_cgroups::{
    Anchor, Bytes, Controller, DeviceNumber, Error, Group, GroupPath, Hierarchies, Home, IoMax, Limit, Memory,
    Resources, Version,
};

/// Only a failing test waits so long.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// A need: this version is mounted and has these controllers.
pub(crate) fn has(version: Version, controllers: &'static [Controller]) -> impl Fn() -> Result<(), String> {
    move || {
        let all = Hierarchies::discover().map_err(|error| error.to_string())?;
        all.only(version).map_err(|_| format!("needs a cgroup {version} hierarchy"))?;
        let home = match version {
            Version::V1 => Home::V1,
            Version::V2 => Home::V2,
        };
        match controllers.iter().find(|wanted| all.only(version).is_ok_and(|only| only.home(**wanted) != home)) {
            None => Ok(()),
            Some(wanted) => Err(format!("needs the controller {wanted} in cgroup {version}")),
        }
    }
}

/// A need: swap is accounted for in v1.
pub(crate) fn v1_swap_accounting() -> Result<(), String> {
    let all = Hierarchies::discover().map_err(|error| error.to_string())?;
    let base = all.controllers().into_iter().find(|placement| placement.controller == Controller::Memory);
    match base.and_then(|placement| placement.base) {
        Some(base) if std::path::Path::new(&base).join("memory.memsw.limit_in_bytes").exists() => Ok(()),
        _ => Err("needs swap accounting in cgroup v1".to_owned()),
    }
}

/// The whole disk that holds the current directory.
pub(crate) fn disk() -> Result<DeviceNumber, String> {
    let device = std::fs::metadata(".").map_err(|error| error.to_string())?.dev();
    let part = |bits: u64| u32::try_from(bits).expect("a masked number is small");
    let number = DeviceNumber { major: part(device >> 8 & 0xfff), minor: part(device & 0xff) };
    let is_whole = std::path::Path::new(&format!("/sys/dev/block/{number}/queue")).exists();
    if is_whole { Ok(number) } else { Err("needs the current directory to be on a whole disk".to_owned()) }
}

/// A need: a program that makes cgroup namespaces.
pub(crate) fn cgroup_namespaces() -> Result<(), String> {
    match Command::new("unshare").args(["-C", "true"]).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err("needs a program unshare that makes cgroup namespaces".to_owned()),
    }
}

/// A need: more than one CPU.
pub(crate) fn two_cpus() -> Result<(), String> {
    match std::thread::available_parallelism() {
        Ok(count) if count.get() > 1 => Ok(()),
        _ => Err("needs two CPUs".to_owned()),
    }
}

/// So many mebibytes.
pub(crate) fn mib(count: u64) -> Limit<Bytes> {
    Limit::At(Bytes::mib(count))
}

/// Settings of memory alone.
pub(crate) fn memory(memory: Memory) -> Resources {
    Resources { memory, ..Resources::default() }
}

/// A limit for a disk that no machine has.
pub(crate) fn no_such_disk() -> IoMax {
    IoMax { read_bytes: Some(mib(1)), ..IoMax::new(DeviceNumber { major: 4095, minor: 7 }) }
}

pub(crate) fn only(version: Version) -> Hierarchies {
    Hierarchies::discover().unwrap().only(version).unwrap()
}

pub(crate) fn fresh_path() -> GroupPath {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    GroupPath::new(&format!("windlass-test-{}-{count}", std::process::id())).unwrap()
}

/// A group that is killed and removed, with everything below it, when it goes out of scope.
pub(crate) struct Scratch {
    pub(crate) group: Group,
    pub(crate) all: Hierarchies,
}

impl std::ops::Deref for Scratch {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.group
    }
}

impl Scratch {
    pub(crate) fn new(all: &Hierarchies, controllers: &[Controller]) -> Self {
        let group = all.create(&fresh_path(), controllers).unwrap();
        Self { group, all: all.clone() }
    }

    /// Where a controller's files of the group are.
    pub(crate) fn directory(&self, controller: Controller) -> String {
        directory(&self.all, self.group.path(), controller)
    }

    /// What a file of a controller holds, read the plain way.
    pub(crate) fn file(&self, controller: Controller, file: &str) -> String {
        let path = format!("{}/{file}", self.directory(controller));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")).trim().to_owned()
    }
}

pub(crate) fn directory(all: &Hierarchies, path: &GroupPath, controller: Controller) -> String {
    let placement = all.controllers().into_iter().find(|placement| placement.controller == controller).unwrap();
    let base = placement.base.unwrap_or_else(|| panic!("{controller} is nowhere"));
    format!("{}/{path}", base.trim_end_matches('/'))
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // By path, so that a group which a test made anew under the same name goes too.
        let Ok(Some(group)) = self.all.find(self.group.path()) else { return };
        let ended = group.kill_and_wait(SOON).and_then(|()| group.remove_tree());
        match ended {
            Ok(()) | Err(Error::Gone { .. }) => {}
            Err(error) if std::thread::panicking() => eprintln!("cannot clean up: {error}: {error:?}"),
            Err(error) => panic!("cannot clean up: {error}: {error:?}"),
        }
    }
}

/// This program again, in a role, held until it is told to start.
pub(crate) struct Actor {
    child: Child,
}

pub(crate) const ROLE: &str = "WINDLASS_CGROUPS_ROLE";

impl Actor {
    /// Starts it held: it does nothing until [`go`](Self::go).
    pub(crate) fn new(role: &str) -> Self {
        Self::spawn(&mut Command::new(std::env::current_exe().unwrap()), role)
    }

    /// The same as another user.
    pub(crate) fn new_as(uid: u32, role: &str) -> Self {
        Self::spawn(Command::new(std::env::current_exe().unwrap()).uid(uid).gid(uid), role)
    }

    fn spawn(command: &mut Command, role: &str) -> Self {
        Self::of(command.env(ROLE, role))
    }

    /// Another program, which waits for a byte too.
    pub(crate) fn of(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        Self { child }
    }

    /// Starts it in a group.
    pub(crate) fn within(group: &Group, role: &str) -> Self {
        let mut actor = Self::new(role);
        group.add(actor.pid()).unwrap();
        actor.go();
        actor
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn go(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"!").unwrap();
    }

    /// Waits for its one byte of news.
    pub(crate) fn news(&mut self) -> Option<u8> {
        let mut byte = [0];
        match self.child.stdout.as_mut().unwrap().read(&mut byte) {
            Ok(1) => Some(byte[0]),
            _ => None,
        }
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if self.is_running() {
            self.child.kill().expect("a child that was not waited for can be signalled");
            // A failed test may leave it in a frozen group, where it ends only once the group is removed.
            if !std::thread::panicking() {
                self.child.wait().expect("a child can be waited for");
            }
        }
    }
}

/// Runs the tests, or the role that an [`Actor`] gave to this process.
pub(crate) fn main(tests: Vec<trial::Test>) -> std::process::ExitCode {
    match std::env::var(ROLE) {
        Err(_) => trial::main(tests),
        Ok(role) => act(&role),
    }
}

fn act(role: &str) -> std::process::ExitCode {
    let mut byte = [0];
    std::io::stdin().read_exact(&mut byte).unwrap();
    let tell = |byte: u8| {
        std::io::stdout().write_all(&[byte]).unwrap();
        std::io::stdout().flush().unwrap();
    };
    let (role, argument) = role.split_once(' ').unwrap_or((role, ""));
    match role {
        "sleep" => tell(b'.'),
        "nap" => {
            std::thread::sleep(Duration::from_millis(argument.parse().unwrap()));
            return std::process::ExitCode::SUCCESS;
        }
        "spin" => {
            let end = Instant::now() + Duration::from_millis(argument.parse().unwrap());
            while Instant::now() < end {
                std::hint::black_box(0);
            }
            tell(b'.');
        }
        "burn" => {
            // By its own clock: a busy machine gives it a part of the time only.
            let wanted = Duration::from_millis(argument.parse().unwrap()).as_nanos();
            let used = || std::fs::read_to_string("/proc/self/schedstat").unwrap();
            while used().split(' ').next().unwrap().parse::<u128>().unwrap() < wanted {
                (0..100_000).for_each(|number| assert!(std::hint::black_box(number) >= 0));
            }
            tell(b'.');
        }
        "hog" => {
            let memory = vec![1_u8; argument.parse::<usize>().unwrap() << 20];
            std::hint::black_box(&memory);
            tell(b'.');
            std::thread::sleep(Duration::from_hours(1));
        }
        "open" => {
            let opened = std::fs::OpenOptions::new().read(true).write(true).open(argument);
            tell(match opened.map_err(|error| error.raw_os_error()) {
                Ok(_) => b'y',
                Err(Some(1)) => b'n',
                Err(_) => b'?',
            });
        }
        "write" => {
            let mut file = std::fs::File::create(argument).unwrap();
            file.write_all(&vec![7; 1 << 20]).unwrap();
            file.sync_all().unwrap();
            tell(b'.');
        }
        "bomb" => {
            tell(b'.');
            bomb();
        }
        "threads" => {
            let thread = std::thread::spawn(|| std::thread::sleep(Duration::from_hours(1)));
            tell(b'.');
            drop(thread);
        }
        "filter" => tell(if filter_is_refused() { b'y' } else { b'n' }),
        "parent" => {
            // Never waits for its child, which so stays a zombie.
            let child = Command::new(std::env::current_exe().unwrap()).env(ROLE, "nap 0").stdin(Stdio::piped()).spawn();
            #[expect(clippy::zombie_processes, reason = "a zombie is what is wanted")]
            let mut child = child.unwrap();
            child.stdin.take().unwrap().write_all(b"!").unwrap();
            let stat = format!("/proc/{}/stat", child.id());
            eventually("it is a zombie", || std::fs::read_to_string(&stat).unwrap().contains(") Z "));
            tell(b'.');
        }
        "refused" => {
            let all = Hierarchies::discover_at(Anchor::OwnGroup).unwrap().only(Version::V2).unwrap();
            let error = all.create(&GroupPath::new("work").unwrap(), &[]).unwrap_err();
            let refused =
                matches!(error, Error::NotDelegated { reason: windlass_cgroups::NotDelegated::Permission, .. });
            tell(if refused { b'y' } else { b'n' });
        }
        "trigger" => tell(if windows_of_two_seconds() { b'y' } else { b'n' }),
        "delegated" => tell(if make_room(Anchor::OwnGroup, argument).is_ok() { b'y' } else { b'n' }),
        "contained" => tell(if make_room(Anchor::MountRoot, argument).is_ok() { b'y' } else { b'n' }),
        "contain" => {
            // What a container's runtime does: a cgroup namespace, and in it a mount of its own.
            let script = "mount -t cgroup2 none \"$1\" && printf ! | \"$0\"";
            let contained = Command::new("unshare")
                .args(["-C", "-m", "sh", "-c", script])
                .arg(std::env::current_exe().unwrap())
                .arg(argument)
                .env(ROLE, "contained hugetlb")
                .status();
            contained.unwrap();
        }
        other => panic!("no role {other}"),
    }
    std::thread::sleep(Duration::from_hours(1));
    std::process::ExitCode::SUCCESS
}

/// Whether an unprivileged process that asks for a device filter is told that it gets none.
fn filter_is_refused() -> bool {
    use windlass_cgroups::{DeviceAction, DeviceFilter, Outcome, Reason, Resources};
    let all = Hierarchies::discover_at(Anchor::OwnGroup).unwrap().only(Version::V2).unwrap();
    let group = all.create(&GroupPath::new("leaf").unwrap(), &[]).unwrap();
    let devices = Some(DeviceFilter { default: DeviceAction::Deny, rules: vec![] });
    let request = Resources { devices, ..Resources::default() };
    let not_delegated =
        |outcome: &Outcome| matches!(outcome, Outcome::Unsupported { reason: Reason::NotDelegated, .. });
    let strict = match group.apply(&request) {
        Err(Error::Unsupported { settings }) => settings.iter().all(|item| not_delegated(&item.outcome)),
        _ => false,
    };
    let report = group.apply_best_effort(&request).unwrap();
    strict && report.get("devices").is_some_and(not_delegated)
}

/// Whether an unprivileged process gets triggers with windows of two seconds and no others.
fn windows_of_two_seconds() -> bool {
    use windlass_cgroups::{PressureOn, Stall};
    let all = Hierarchies::discover_at(Anchor::OwnGroup).unwrap().only(Version::V2).unwrap();
    let group = all.create(&GroupPath::new("leaf").unwrap(), &[]).unwrap();
    let trigger = |seconds| {
        let window = Duration::from_secs(seconds);
        group.pressure_trigger(PressureOn::Memory, Stall::Full, Duration::from_millis(100), window)
    };
    matches!(trigger(1), Err(Error::Invalid { .. })) && trigger(2).is_ok() && trigger(4).is_ok()
}

/// Makes groups below the one that the process itself is in, as a container's first process does, or an unprivileged
/// program that was given a group.
fn make_room(anchor: Anchor, controller: &str) -> Result<(), Error> {
    let wanted: Vec<Controller> =
        Controller::ALL.into_iter().filter(|candidate| candidate.name() == controller).collect();
    let all = Hierarchies::discover_at(anchor)?.only(Version::V2)?;
    let path = GroupPath::new("work")?;
    // The process itself is in the way.
    match all.create(&path, &wanted) {
        Err(Error::Busy { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(all.vacate(&GroupPath::new("self")?)? >= 1);
    assert_eq!(all.vacate(&GroupPath::new("self")?)?, 0);
    let group = all.create(&path, &wanted)?;
    assert_eq!(group.layout()?.home(wanted[0]), Home::V2);
    group.remove()
}

/// Multiplies without end; the test bounds it by `pids.max`.
fn bomb() -> ! {
    loop {
        // The byte that it waits for does not come from here: it goes on when this process has ended.
        let input = std::fs::File::open("/dev/zero").unwrap();
        let child =
            Command::new(std::env::current_exe().unwrap()).env(ROLE, "bomb").stdin(input).stdout(Stdio::null()).spawn();
        if child.is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Looks again until it holds; panics after [`SOON`].
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < end, "not within {SOON:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
