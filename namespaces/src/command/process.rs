//! What a process gets beside its namespaces, its tree and its user.

use std::ffi::OsString;
use std::os::fd::{OwnedFd, RawFd};

use super::Command;
use crate::landlock::Ruleset;
use crate::number_set::NumberSet;
use crate::scheduling::{IoPriority, MemoryPolicy, Personality, Scheduler, TimeOffset};
use crate::terminal::Terminal;

/// Who is the first process of a new pid namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Init {
    /// The program itself, which has to reap what becomes its child.
    #[default]
    Program,
    /// A small process of this crate that starts the program, passes signals on to it, reaps everything, and ends as it
    /// ends: with its code, or with 128 and the number of the signal that ended it.
    Reaper,
}

/// The part of a command that concerns the process alone.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) terminal: Option<Terminal>,
    pub(crate) inherited: Vec<(OwnedFd, RawFd)>,
    pub(crate) init: Init,
    pub(crate) domainname: Option<OsString>,
    pub(crate) sysctls: Vec<(String, String)>,
    pub(crate) time_offsets: Vec<TimeOffset>,
    pub(crate) scheduler: Option<Scheduler>,
    pub(crate) io_priority: Option<IoPriority>,
    pub(crate) personality: Option<Personality>,
    pub(crate) initial_cpus: Option<NumberSet>,
    pub(crate) cpus: Option<NumberSet>,
    pub(crate) session_keyring: Option<OsString>,
    pub(crate) memory_policy: Option<MemoryPolicy>,
    pub(crate) landlock: Option<Ruleset>,
    pub(crate) apparmor_profile: Option<String>,
    pub(crate) selinux_label: Option<String>,
    /// The name outside and the one inside.
    pub(crate) net_devices: Vec<(String, String)>,
    pub(crate) creates_directory: bool,
    pub(crate) pivots: bool,
    /// Signals that stay ignored if the caller ignores them, as a mask.
    pub(crate) keeps_ignored: u64,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            terminal: None,
            inherited: Vec::new(),
            init: Init::Program,
            domainname: None,
            sysctls: Vec::new(),
            time_offsets: Vec::new(),
            scheduler: None,
            io_priority: None,
            personality: None,
            initial_cpus: None,
            cpus: None,
            session_keyring: None,
            memory_policy: None,
            landlock: None,
            apparmor_profile: None,
            selinux_label: None,
            net_devices: Vec::new(),
            creates_directory: false,
            pivots: true,
            keeps_ignored: 0,
        }
    }
}

impl Command {
    /// Gives the process a pseudo terminal of its own: its controlling terminal and its three standard descriptors. The
    /// other end comes from [`Child::take_terminal`](crate::Child::take_terminal).
    ///
    /// It is one of the pseudo terminals mounted at `/dev/pts` inside the root file system, or of the caller's when there
    /// are none inside. A process with a root file system of its own finds it at `/dev/console` as well. It belongs to
    /// the [`user`](Self::user) of the program, and the process leads a session.
    ///
    /// # Kernel
    /// The process's end is opened from the other one (`TIOCGPTPEER`), never by its path.
    #[doc(alias = "tty")]
    pub fn terminal(&mut self, terminal: Terminal) -> &mut Self {
        self.process.terminal = Some(terminal);
        self
    }

    /// The profile of AppArmor that confines the program, from its exec on.
    ///
    /// Kernel: `/proc/self/attr/apparmor/exec`; without AppArmor, or where the profile is not loaded, the start fails.
    pub fn apparmor_profile(&mut self, profile: impl Into<String>) -> &mut Self {
        self.process.apparmor_profile = Some(profile.into());
        self
    }

    /// The label of SELinux that the program has, from its exec on.
    ///
    /// Kernel: `/proc/self/attr/exec`; without SELinux, or where the policy does not allow the label, the start fails.
    pub fn selinux_label(&mut self, label: impl Into<String>) -> &mut Self {
        self.process.selinux_label = Some(label.into());
        self
    }

    /// Gives the program a further descriptor, under this number, which is 3 or more.
    ///
    /// Nothing that is not given here or as standard descriptor reaches the program.
    #[doc(alias = "preserve-fds")]
    pub fn inherit(&mut self, descriptor: impl Into<OwnedFd>, number: RawFd) -> &mut Self {
        self.process.inherited.retain(|(_, known)| *known != number);
        self.process.inherited.push((descriptor.into(), number));
        self
    }

    /// Makes the [`current_dir`](Self::current_dir) inside the root file system, with what is missing on the way to it, where
    /// it is not there. Directories belong to the first user of the container and have mode 755.
    ///
    /// Needs a root file system of its own.
    pub fn create_current_dir(&mut self) -> &mut Self {
        self.process.creates_directory = true;
        self
    }

    /// Moves the root file system over the caller's root, instead of pivoting to it and leaving the old one.
    ///
    /// For callers on the first RAM disk, which cannot be left. It is weaker: the old tree stays beneath, less the
    /// instances of procfs and sysfs that the caller has mounted.
    #[doc(alias = "no-pivot")]
    pub fn without_pivot(&mut self) -> &mut Self {
        self.process.pivots = false;
        self
    }

    /// Who is the first process of the new pid namespace; [`Init::Reaper`] needs one.
    ///
    /// The reaper holds nothing of the caller's memory, and is neither filtered nor confined as the program is.
    pub fn init(&mut self, init: Init) -> &mut Self {
        self.process.init = init;
        self
    }

    /// The NIS domain name; needs a new uts namespace.
    pub fn domainname(&mut self, name: impl Into<OsString>) -> &mut Self {
        self.process.domainname = Some(name.into());
        self
    }

    /// Sets a setting of the kernel (`net.ipv4.ip_forward`) in a namespace of the process.
    ///
    /// What comes first in the name of dot and slash separates its parts. The setting must belong to a namespace that
    /// the process does not share with the caller.
    ///
    /// # Kernel
    /// Written through an instance of procfs that nobody else has mounted, so that nothing in the container's tree can
    /// lead the write elsewhere.
    pub fn sysctl(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.process.sysctls.push((name.into(), value.into()));
        self
    }

    /// Sets a clock of the new time namespace forward or back.
    ///
    /// # Kernel
    /// Needs `CAP_SYS_TIME` over the namespace. The kernel refuses an offset that makes a clock negative.
    pub fn time_offset(&mut self, offset: TimeOffset) -> &mut Self {
        self.process.time_offsets.retain(|known| known.clock != offset.clock);
        self.process.time_offsets.push(offset);
        self
    }

    /// How the kernel gives CPU time to the process.
    pub fn scheduler(&mut self, scheduler: Scheduler) -> &mut Self {
        self.process.scheduler = Some(scheduler);
        self
    }

    /// Which of its reads and writes the kernel does first.
    #[doc(alias = "ioprio")]
    pub fn io_priority(&mut self, priority: IoPriority) -> &mut Self {
        self.process.io_priority = Some(priority);
        self
    }

    /// How the kernel presents itself.
    pub fn personality(&mut self, personality: Personality) -> &mut Self {
        self.process.personality = Some(personality);
        self
    }

    /// The CPUs that the process prepares itself on, before it enters v1 groups and namespaces.
    pub fn initial_cpu_affinity(&mut self, cpus: NumberSet) -> &mut Self {
        self.process.initial_cpus = Some(cpus);
        self
    }

    /// The CPUs that the program runs on.
    pub fn cpu_affinity(&mut self, cpus: NumberSet) -> &mut Self {
        self.process.cpus = Some(cpus);
        self
    }

    /// Gives the process a new session keyring of this name, so that it sees no keys of the caller's session.
    ///
    /// Where the kernel has no keyrings, or a filter forbids them, that is told as
    /// [`Notice::NoKeyrings`](crate::Notice::NoKeyrings).
    pub fn session_keyring(&mut self, name: impl Into<OsString>) -> &mut Self {
        self.process.session_keyring = Some(name.into());
        self
    }

    /// Moves a network device of the caller's network namespace into the new one of the process, under a name there; its
    /// addresses go along, its routes do not, and it is up.
    ///
    /// With the end of the namespace a hardware device comes back to the first network namespace, and a virtual one goes.
    ///
    /// # Kernel
    /// Needs `CAP_NET_ADMIN` over both.
    pub fn net_device(&mut self, name: impl Into<String>, name_inside: impl Into<String>) -> &mut Self {
        self.process.net_devices.push((name.into(), name_inside.into()));
        self
    }

    /// Confines the program and all that descend from it by rules of Landlock, which no privilege lifts.
    ///
    /// Paths of rules are opened inside the root file system, before its user is changed to the program's.
    ///
    /// # Kernel
    /// Landlock, since 5.13; takes [`no_new_privileges`](Self::no_new_privileges) or `CAP_SYS_ADMIN`, as
    /// [`seccomp`](Self::seccomp) does. Where it is missing, or knows less, the ruleset's
    /// [`Enforcement`](crate::landlock::Enforcement) decides.
    pub fn landlock(&mut self, rules: Ruleset) -> &mut Self {
        self.process.landlock = Some(rules);
        self
    }

    /// Which memory nodes its memory comes from.
    pub fn memory_policy(&mut self, policy: MemoryPolicy) -> &mut Self {
        self.process.memory_policy = Some(policy);
        self
    }
}
