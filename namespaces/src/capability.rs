//! Capabilities, sets of them, and the five sets of a process.

use std::fmt;
use std::str::FromStr;

/// Why a text names no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a capability")]
pub struct ParseCapabilityError {
    text: String,
}

macro_rules! capabilities {
    ($($variant:ident = $number:literal $name:literal),* $(,)?) => {
        /// A part of root's power.
        ///
        /// Source: `capabilities(7)`, numbers of `linux/capability.h`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Capability {
            $(#[doc = concat!("`", $name, "`.")] $variant = $number),*
        }

        impl Capability {
            /// Every capability, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The kernel's name: `CAP_CHOWN`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),*
                }
            }
        }
    };
}

capabilities! {
    Chown = 0 "CAP_CHOWN", DacOverride = 1 "CAP_DAC_OVERRIDE", DacReadSearch = 2 "CAP_DAC_READ_SEARCH",
    Fowner = 3 "CAP_FOWNER", Fsetid = 4 "CAP_FSETID", Kill = 5 "CAP_KILL", Setgid = 6 "CAP_SETGID",
    Setuid = 7 "CAP_SETUID", Setpcap = 8 "CAP_SETPCAP", LinuxImmutable = 9 "CAP_LINUX_IMMUTABLE",
    NetBindService = 10 "CAP_NET_BIND_SERVICE", NetBroadcast = 11 "CAP_NET_BROADCAST", NetAdmin = 12 "CAP_NET_ADMIN",
    NetRaw = 13 "CAP_NET_RAW", IpcLock = 14 "CAP_IPC_LOCK", IpcOwner = 15 "CAP_IPC_OWNER",
    SysModule = 16 "CAP_SYS_MODULE", SysRawio = 17 "CAP_SYS_RAWIO", SysChroot = 18 "CAP_SYS_CHROOT",
    SysPtrace = 19 "CAP_SYS_PTRACE", SysPacct = 20 "CAP_SYS_PACCT", SysAdmin = 21 "CAP_SYS_ADMIN",
    SysBoot = 22 "CAP_SYS_BOOT", SysNice = 23 "CAP_SYS_NICE", SysResource = 24 "CAP_SYS_RESOURCE",
    SysTime = 25 "CAP_SYS_TIME", SysTtyConfig = 26 "CAP_SYS_TTY_CONFIG", Mknod = 27 "CAP_MKNOD",
    Lease = 28 "CAP_LEASE", AuditWrite = 29 "CAP_AUDIT_WRITE", AuditControl = 30 "CAP_AUDIT_CONTROL",
    Setfcap = 31 "CAP_SETFCAP", MacOverride = 32 "CAP_MAC_OVERRIDE", MacAdmin = 33 "CAP_MAC_ADMIN",
    Syslog = 34 "CAP_SYSLOG", WakeAlarm = 35 "CAP_WAKE_ALARM", BlockSuspend = 36 "CAP_BLOCK_SUSPEND",
    AuditRead = 37 "CAP_AUDIT_READ", Perfmon = 38 "CAP_PERFMON", Bpf = 39 "CAP_BPF",
    CheckpointRestore = 40 "CAP_CHECKPOINT_RESTORE",
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Capability {
    type Err = ParseCapabilityError;

    /// A name with or without `CAP_`, in any case.
    fn from_str(text: &str) -> Result<Self, ParseCapabilityError> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let found = Self::ALL.iter().find(|capability| capability.name().strip_prefix("CAP_") == Some(name));
        found.copied().ok_or_else(|| ParseCapabilityError { text: text.to_owned() })
    }
}

/// A set of capabilities.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// No capability.
    pub const EMPTY: Self = Self(0);

    /// What Docker leaves to the root user of a container.
    pub const DOCKER: Self = Self::EMPTY
        .with(Capability::Chown)
        .with(Capability::DacOverride)
        .with(Capability::Fowner)
        .with(Capability::Fsetid)
        .with(Capability::Kill)
        .with(Capability::Setgid)
        .with(Capability::Setuid)
        .with(Capability::Setpcap)
        .with(Capability::NetBindService)
        .with(Capability::NetRaw)
        .with(Capability::SysChroot)
        .with(Capability::Mknod)
        .with(Capability::AuditWrite)
        .with(Capability::Setfcap);

    /// The set of the kernel's mask, as in `/proc/PID/status`.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The kernel's mask.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether `capability` is a member.
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }

    /// This set and `capability`.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | (1 << capability as u8))
    }

    /// This set less `capability`.
    #[must_use]
    pub const fn without(self, capability: Capability) -> Self {
        Self(self.0 & !(1 << capability as u8))
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is no member.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members this crate has a name for, by number.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.iter().copied().filter(move |capability| self.contains(*capability))
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(members: I) -> Self {
        members.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for CapabilitySet {
    /// The kernel's mask, as `/proc/PID/status` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The five sets of a process, as they shall be when its program begins.
///
/// Source: `capabilities(7)`, "Thread capability sets".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    /// What the process and all that descend from it can ever have.
    pub bounding: CapabilitySet,
    /// What counts now.
    pub effective: CapabilitySet,
    /// What may become effective.
    pub permitted: CapabilitySet,
    /// What file capabilities may hand on. Keep it empty: a member lets an ordinary user's exec of a file with
    /// inheritable capabilities gain them.
    pub inheritable: CapabilitySet,
    /// What a program without file capabilities keeps through exec as a user other than root.
    pub ambient: CapabilitySet,
}

impl CapabilitySets {
    /// No capability in any set.
    pub const fn none() -> Self {
        Self::root(CapabilitySet::EMPTY)
    }

    /// `set` for a root user: bounding, effective and permitted; nothing inheritable or ambient.
    pub const fn root(set: CapabilitySet) -> Self {
        Self {
            bounding: set,
            effective: set,
            permitted: set,
            inheritable: CapabilitySet::EMPTY,
            ambient: CapabilitySet::EMPTY,
        }
    }

    /// What Docker gives by default.
    pub const fn docker() -> Self {
        Self::root(CapabilitySet::DOCKER)
    }

    pub(crate) fn all(&self) -> CapabilitySet {
        self.bounding.union(self.permitted).union(self.effective).union(self.inheritable).union(self.ambient)
    }

    /// The sets less what `held` lacks.
    pub(crate) fn limited_to(self, held: CapabilitySet) -> Self {
        Self {
            bounding: self.bounding.intersection(held),
            effective: self.effective.intersection(held),
            permitted: self.permitted.intersection(held),
            inheritable: self.inheritable.intersection(held),
            ambient: self.ambient.intersection(held),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_every_spelling() {
        for capability in Capability::ALL {
            assert_eq!(capability.name().parse(), Ok(*capability));
            assert_eq!(capability.name()[4..].to_lowercase().parse(), Ok(*capability));
        }
        for text in ["", "CAP_", "CAP_NOPE", "CHOWN "] {
            assert!(text.parse::<Capability>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn dockers_set_has_the_mask_that_docker_shows() {
        assert_eq!(CapabilitySet::DOCKER.to_string(), "00000000a80425fb");
    }

    #[test]
    fn sets_calculate() {
        let set: CapabilitySet = [Capability::Chown, Capability::Bpf].into_iter().collect();
        assert!(set.contains(Capability::Bpf) && !set.without(Capability::Bpf).contains(Capability::Bpf));
        assert_eq!(set.difference(CapabilitySet::DOCKER).iter().collect::<Vec<_>>(), [Capability::Bpf]);
        assert_eq!(CapabilitySets::root(set).limited_to(CapabilitySet::DOCKER).permitted.bits(), 1);
    }
}
