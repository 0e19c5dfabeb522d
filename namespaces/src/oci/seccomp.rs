//! `linux.seccomp`: a policy of system calls by libseccomp's names.

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSeccompOperator, LinuxSyscall,
};

use crate::error::{Error, Result};
use crate::seccomp::{Action, Architecture, Comparison, Condition, Flag, Policy, Rule};

/// A policy, and what of the configuration has no part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TakenPolicy {
    /// The policy.
    pub policy: Policy,
    /// Architectures of other machines: no program here makes their calls.
    pub foreign: Vec<String>,
}

/// Turns `linux.seccomp` of a configuration into a policy.
///
/// As with runc, the native architecture is always part of it, an `errnoRet` that is not given is `EPERM`, and of an
/// argument that is compared more than once in a rule any comparison suffices.
///
/// Errors: [`Error::Invalid`] for an `errnoRet` where the action takes none, a seventh argument, or a default action
/// that asks a listener.
///
/// Source: runtime-spec, `config-linux.md`, "Seccomp".
pub fn policy(spec: &LinuxSeccomp) -> Result<TakenPolicy> {
    let mut policy = Policy::new(action(spec.default_action(), spec.default_errno_ret())?);
    if policy.default_action == Action::Notify {
        return Err(Error::invalid("linux.seccomp.defaultAction", "SCMP_ACT_NOTIFY", "would ask about every call"));
    }
    let mut foreign = Vec::new();
    for arch in spec.architectures().iter().flatten() {
        match architecture(*arch) {
            Some(known) if policy.architectures.contains(&known) => {}
            Some(known) => policy.architectures.push(known),
            None => foreign.push(arch.to_string()),
        }
    }
    policy.flags = flags(spec);
    for call in spec.syscalls().iter().flatten() {
        policy.rules.extend(rules(call)?);
    }
    let asks = policy.rules.iter().any(|rule| rule.action == Action::Notify);
    let listener = spec.listener_path().as_ref();
    match (asks, listener) {
        (true, None) => {
            return Err(Error::invalid("linux.seccomp.listenerPath", "", "is needed by SCMP_ACT_NOTIFY"));
        }
        (true, Some(path)) if !path.is_absolute() => {
            return Err(Error::invalid("linux.seccomp.listenerPath", path.display().to_string(), "is not absolute"));
        }
        (false, _) if spec.listener_metadata().as_ref().is_some_and(|text| !text.is_empty()) && listener.is_none() => {
            let reason = "has no listener to go to";
            return Err(Error::invalid("linux.seccomp.listenerMetadata", "", reason));
        }
        _ => {}
    }
    Ok(TakenPolicy { policy, foreign })
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Result<Action> {
    use LinuxSeccompAction as Named;
    const EPERM: u16 = 1;
    let number = |errno: Option<u32>| {
        let number = errno.map_or(Ok(EPERM), u16::try_from);
        number
            .map_err(|_| Error::invalid("linux.seccomp.errnoRet", errno.unwrap_or(0).to_string(), "is beyond 16 bits"))
    };
    let plain = match action {
        Named::ScmpActErrno => return number(errno).map(Action::Errno),
        Named::ScmpActTrace => return number(errno).map(Action::Trace),
        Named::ScmpActKill | Named::ScmpActKillThread => Action::KillThread,
        Named::ScmpActKillProcess => Action::KillProcess,
        Named::ScmpActTrap => Action::Trap,
        Named::ScmpActNotify => Action::Notify,
        Named::ScmpActLog => Action::Log,
        Named::ScmpActAllow => Action::Allow,
    };
    match errno {
        None => Ok(plain),
        Some(errno) => {
            let reason = "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take one";
            Err(Error::invalid("linux.seccomp.errnoRet", errno.to_string(), reason))
        }
    }
}

fn architecture(arch: Arch) -> Option<Architecture> {
    match arch {
        Arch::ScmpArchNative => Architecture::native(),
        Arch::ScmpArchX86_64 => Some(Architecture::X86_64),
        Arch::ScmpArchX86 => Some(Architecture::X86),
        Arch::ScmpArchX32 => Some(Architecture::X32),
        Arch::ScmpArchAarch64 => Some(Architecture::Aarch64),
        _ => None,
    }
}

fn flags(spec: &LinuxSeccomp) -> Vec<Flag> {
    let Some(names) = spec.flags() else {
        // What runc does without the field: the mitigation costs every program much, and a container gains little.
        return vec![Flag::SpecAllow];
    };
    let mut flags = Vec::new();
    for name in names {
        match name {
            LinuxSeccompFilterFlag::SeccompFilterFlagLog => flags.push(Flag::Log),
            LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => flags.push(Flag::SpecAllow),
            // The process has a single thread when the filter is installed.
            LinuxSeccompFilterFlag::SeccompFilterFlagTsync => {}
            LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => flags.push(Flag::WaitKillable),
        }
    }
    flags
}

fn rules(call: &LinuxSyscall) -> Result<Vec<Rule>> {
    let rule = Rule::new(call.names().iter().cloned(), action(call.action(), call.errno_ret())?);
    let arguments: Vec<&LinuxSeccompArg> = call.args().iter().flatten().collect();
    let conditions = arguments.iter().map(|argument| condition(argument)).collect::<Result<Vec<_>>>()?;
    let repeats = |(place, argument): (usize, &&LinuxSeccompArg)| {
        arguments.iter().take(place).any(|before| before.index() == argument.index())
    };
    if arguments.iter().enumerate().any(repeats) {
        // Either suffices: each becomes a rule of its own.
        return Ok(conditions.into_iter().map(|condition| rule.clone().when(condition)).collect());
    }
    Ok(vec![Rule { conditions, ..rule }])
}

fn condition(argument: &LinuxSeccompArg) -> Result<Condition> {
    use LinuxSeccompOperator as Named;
    let value = argument.value();
    let comparison = match argument.op() {
        Named::ScmpCmpNe => Comparison::NotEqual(value),
        Named::ScmpCmpLt => Comparison::Less(value),
        Named::ScmpCmpLe => Comparison::LessOrEqual(value),
        Named::ScmpCmpEq => Comparison::Equal(value),
        Named::ScmpCmpGe => Comparison::GreaterOrEqual(value),
        Named::ScmpCmpGt => Comparison::Greater(value),
        Named::ScmpCmpMaskedEq => {
            Comparison::MaskedEqual { mask: value, value: argument.value_two().unwrap_or_default() }
        }
    };
    Condition::new(u8::try_from(argument.index()).unwrap_or(u8::MAX), comparison)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(json: &str) -> Result<TakenPolicy> {
        policy(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn names_become_values() {
        let json = r#"{ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
            "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_MIPS", "SCMP_ARCH_X86"],
            "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"],
            "syscalls": [
                { "names": ["read", "write"], "action": "SCMP_ACT_ALLOW" },
                { "names": ["kill"], "action": "SCMP_ACT_TRACE", "errnoRet": 5 },
                { "names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [
                    { "index": 0, "value": 16, "op": "SCMP_CMP_EQ" },
                    { "index": 2, "value": 255, "valueTwo": 9, "op": "SCMP_CMP_MASKED_EQ" } ] },
                { "names": ["clone"], "action": "SCMP_ACT_KILL", "args": [
                    { "index": 1, "value": 1, "op": "SCMP_CMP_GT" }, { "index": 1, "value": 7, "op": "SCMP_CMP_LE" } ] }
            ] }"#;
        let TakenPolicy { policy, foreign } = taken(json).unwrap();
        assert_eq!((policy.default_action, &policy.flags[..]), (Action::Errno(38), &[Flag::Log][..]));
        assert_eq!(foreign, ["SCMP_ARCH_MIPS"]);
        assert_eq!(policy.architectures[0], Architecture::native().unwrap());
        assert!(policy.architectures.contains(&Architecture::X86));
        let condition = |argument, comparison| Condition::new(argument, comparison).unwrap();
        assert_eq!(
            policy.rules,
            [
                Rule::new(["read", "write"], Action::Allow),
                Rule::new(["kill"], Action::Trace(5)),
                Rule::new(["socket"], Action::Errno(1))
                    .when(condition(0, Comparison::Equal(16)))
                    .when(condition(2, Comparison::MaskedEqual { mask: 255, value: 9 })),
                Rule::new(["clone"], Action::KillThread).when(condition(1, Comparison::Greater(1))),
                Rule::new(["clone"], Action::KillThread).when(condition(1, Comparison::LessOrEqual(7))),
            ]
        );
        assert_eq!(taken(r#"{ "defaultAction": "SCMP_ACT_LOG" }"#).unwrap().policy.flags, [Flag::SpecAllow]);
    }

    #[test]
    fn what_has_no_meaning_is_an_error() {
        let one = |rule: &str| format!(r#"{{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rule}] }}"#);
        for json in [
            r#"{ "defaultAction": "SCMP_ACT_NOTIFY" }"#.to_owned(),
            r#"{ "defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": 1 }"#.to_owned(),
            r#"{ "defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x" }"#.to_owned(),
            one(r#"{ "names": ["a"], "action": "SCMP_ACT_ALLOW", "errnoRet": 3 }"#),
            one(r#"{ "names": ["a"], "action": "SCMP_ACT_ERRNO", "errnoRet": 70000 }"#),
            one(r#"{ "names": ["a"], "action": "SCMP_ACT_NOTIFY" }"#),
            one(
                r#"{ "names": ["a"], "action": "SCMP_ACT_TRAP", "args": [{ "index": 6, "value": 0, "op": "SCMP_CMP_EQ" }] }"#,
            ),
        ] {
            assert!(matches!(taken(&json), Err(Error::Invalid { .. })), "{json}");
        }
    }
}
