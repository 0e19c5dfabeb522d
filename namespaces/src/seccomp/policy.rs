//! What a filter decides about which system call.

use crate::error::{Error, Result};

/// What becomes of a system call.
///
/// Kernel: `seccomp(2)`, `SECCOMP_RET_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The process ends as by `SIGSYS`.
    #[doc(alias = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    /// The thread ends as by `SIGSYS`.
    #[doc(alias = "SCMP_ACT_KILL")]
    #[doc(alias = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    /// The thread gets a `SIGSYS` that it can handle.
    #[doc(alias = "SCMP_ACT_TRAP")]
    Trap,
    /// The call is not made and fails with this error number, 4095 at most.
    #[doc(alias = "SCMP_ACT_ERRNO")]
    Errno(u16),
    /// A tracer is asked, and gets this value; without one the call fails with `ENOSYS`.
    #[doc(alias = "SCMP_ACT_TRACE")]
    Trace(u16),
    /// The call is made, and logged.
    #[doc(alias = "SCMP_ACT_LOG")]
    Log,
    /// The call is made.
    #[doc(alias = "SCMP_ACT_ALLOW")]
    Allow,
    /// Who listens on the filter's descriptor decides; see [`Child::take_listener`](crate::Child::take_listener).
    ///
    /// A filter with this action is installed before a [gate](crate::Command::gate), and
    /// [`spawn`](crate::Command::spawn) returns as soon as it is: what fails afterwards shows as the exit code 125 or
    /// 126, as any call of the process may be waiting for the listener.
    #[doc(alias = "SCMP_ACT_NOTIFY")]
    Notify,
}

impl Action {
    /// The kernel's value.
    pub(super) const fn as_raw(self) -> u32 {
        match self {
            Self::KillProcess => 0x8000_0000,
            Self::KillThread => 0,
            Self::Trap => 0x0003_0000,
            Self::Errno(number) => 0x0005_0000 | number as u32,
            Self::Notify => 0x7fc0_0000,
            Self::Trace(value) => 0x7ff0_0000 | value as u32,
            Self::Log => 0x7ffc_0000,
            Self::Allow => 0x7fff_0000,
        }
    }
}

/// A set of system call numbers and how arguments are passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Architecture {
    /// 64-bit x86.
    #[doc(alias = "SCMP_ARCH_X86_64")]
    X86_64,
    /// 32-bit x86.
    #[doc(alias = "SCMP_ARCH_X86")]
    X86,
    /// 64-bit x86 with 32-bit pointers.
    #[doc(alias = "SCMP_ARCH_X32")]
    X32,
    /// 64-bit ARM.
    #[doc(alias = "SCMP_ARCH_AARCH64")]
    Aarch64,
}

impl Architecture {
    /// What this program is built for; `None` when filters for it cannot be compiled.
    pub const fn native() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else {
            None
        }
    }
}

/// How an argument of a system call is compared.
///
/// Units: unsigned; with [`Architecture::X86`] and [`Architecture::X32`] only the lower 32 bits of both sides count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// It is this value.
    #[doc(alias = "SCMP_CMP_EQ")]
    Equal(u64),
    /// It is another value.
    #[doc(alias = "SCMP_CMP_NE")]
    NotEqual(u64),
    /// It is less.
    #[doc(alias = "SCMP_CMP_LT")]
    Less(u64),
    /// It is at most this value.
    #[doc(alias = "SCMP_CMP_LE")]
    LessOrEqual(u64),
    /// It is greater.
    #[doc(alias = "SCMP_CMP_GT")]
    Greater(u64),
    /// It is at least this value.
    #[doc(alias = "SCMP_CMP_GE")]
    GreaterOrEqual(u64),
    /// Its bits under the mask are those of the value under the mask.
    #[doc(alias = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual {
        /// The bits that count.
        mask: u64,
        /// What they are.
        value: u64,
    },
}

/// A comparison of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Condition {
    pub(super) argument: u8,
    pub(super) comparison: Comparison,
}

impl Condition {
    /// The comparison of argument number `argument`, counted from 0.
    ///
    /// # Errors
    /// A system call has six arguments.
    pub fn new(argument: u8, comparison: Comparison) -> Result<Self> {
        if argument > 5 {
            return Err(Error::invalid("seccomp", argument.to_string(), "a system call has arguments 0 to 5"));
        }
        Ok(Self { argument, comparison })
    }
}

/// What becomes of some system calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The calls.
    pub names: Vec<String>,
    /// What becomes of them.
    pub action: Action,
    /// All of them must hold; without one the rule always does.
    pub conditions: Vec<Condition>,
}

impl Rule {
    /// A rule without conditions.
    pub fn new<T: Into<String>>(names: impl IntoIterator<Item = T>, action: Action) -> Self {
        Self { names: names.into_iter().map(Into::into).collect(), action, conditions: Vec::new() }
    }

    /// Adds a condition.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}

/// How a filter is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flag {
    /// Every action but [`Action::Allow`] is logged, as far as the system lets it.
    #[doc(alias = "SECCOMP_FILTER_FLAG_LOG")]
    Log,
    /// The mitigation of speculative store bypass stays as it is.
    #[doc(alias = "SECCOMP_FILTER_FLAG_SPEC_ALLOW")]
    SpecAllow,
    /// While a listener decides about a call that it has received, only a fatal signal interrupts that; takes a rule
    /// with [`Action::Notify`].
    ///
    /// Kernel: Linux 5.19.
    #[doc(alias = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")]
    WaitKillable,
}

/// What a filter decides.
///
/// Rules follow libseccomp: one whose action is the default is left out; one without conditions counts before all that
/// have some, and the first of them counts; of those with conditions that hold the first counts. A call of 32-bit x86
/// that also goes through `socketcall` or `ipc` is found there too, by its number as their first argument: a condition
/// on the first argument itself cannot be seen there and is left out, those on others compare what `socketcall` or
/// `ipc` got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// For calls without a rule that holds.
    pub default_action: Action,
    /// Calls of any other architecture end the thread; a program needs its own one.
    pub architectures: Vec<Architecture>,
    /// How the filter is installed.
    pub flags: Vec<Flag>,
    /// The rules.
    pub rules: Vec<Rule>,
}

impl Policy {
    /// A policy without rules, for the [native](Architecture::native) architecture.
    pub fn new(default_action: Action) -> Self {
        let architectures = Architecture::native().into_iter().collect();
        Self { default_action, architectures, flags: Vec::new(), rules: Vec::new() }
    }
}
