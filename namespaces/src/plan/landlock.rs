//! The steps that confine a program by Landlock.

use std::ffi::CString;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use super::c_string::c_string;
use super::{Facts, Notice};
use crate::command::Command;
use crate::error::{Error, Result};
use crate::landlock::{Enforcement, FilesystemAccess, Missing, NetworkAccess, Rule, Ruleset, Scope, Unsupported};

/// What is denied but for the rules: the caller makes the ruleset, the process fills it and confines itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) filesystem: FilesystemAccess,
    pub(crate) network: NetworkAccess,
    pub(crate) scope: Scope,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "files {}, ports {}, scopes {}", self.filesystem, self.network, self.scope)
    }
}

#[derive(Debug)]
pub(crate) enum LandlockRule {
    Path {
        path: CString,
        access: FilesystemAccess,
        /// Of them, what a rule for something that is no directory allows.
        of_file: FilesystemAccess,
        missing: Missing,
    },
    Port {
        port: u16,
        access: NetworkAccess,
    },
}

impl fmt::Display for LandlockRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { path, access, missing, .. } => {
                write!(f, "allow {access} below {}", path.to_string_lossy())?;
                f.write_str(if *missing == Missing::Skip { " if it is there" } else { "" })
            }
            Self::Port { port, access } => write!(f, "allow {access} of port {port}"),
        }
    }
}

/// What to deny and to allow on this kernel; `None` when nothing is asked for or possible.
pub(super) fn confinement(
    command: &Command,
    facts: &Facts,
    notices: &mut Vec<Notice>,
) -> Result<Option<(Denied, Vec<LandlockRule>)>> {
    let Some(rules) = &command.process.landlock else { return Ok(None) };
    check(rules)?;
    let abi = facts.landlock_abi;
    let files = FilesystemAccess::known_to(abi);
    let (ports, scopes) = (NetworkAccess::known_to(abi), Scope::known_to(abi));
    let unsupported = Unsupported {
        abi,
        filesystem: FilesystemAccess::from_bits(rules.filesystem.bits() & !files),
        network: NetworkAccess::from_bits(rules.network.bits() & !ports),
        scope: Scope::from_bits(rules.scope.bits() & !scopes),
    };
    if unsupported != (Unsupported { abi, ..Unsupported::default() }) {
        match rules.enforcement {
            Enforcement::Strict => return Err(Error::Unsupported { feature: unsupported.to_string() }),
            Enforcement::BestEffort => notices.push(Notice::Landlock(unsupported)),
        }
    }
    let denied = Denied {
        filesystem: FilesystemAccess::from_bits(rules.filesystem.bits() & files),
        network: NetworkAccess::from_bits(rules.network.bits() & ports),
        scope: Scope::from_bits(rules.scope.bits() & scopes),
    };
    if denied == Denied::default() {
        return Ok(None);
    }
    let allowed = rules.rules.iter().filter_map(|rule| allowed(rule, denied).transpose());
    Ok(Some((denied, allowed.collect::<Result<_>>()?)))
}

/// A rule allows what is denied otherwise: anything else would be a mistake of its author.
fn check(rules: &Ruleset) -> Result<()> {
    let stray = rules.rules.iter().find_map(|rule| match rule {
        Rule::Path { path, access, .. } => {
            let outside = access.bits() & !rules.filesystem.bits();
            (outside != 0 || access.is_empty()).then(|| format!("{} {access}", path.display()))
        }
        Rule::Port { port, access } => {
            let outside = access.bits() & !rules.network.bits();
            (outside != 0 || access.is_empty()).then(|| format!("port {port} {access}"))
        }
    });
    match stray {
        Some(rule) => Err(Error::invalid("landlock", rule, "allows what the ruleset does not deny")),
        None => Ok(()),
    }
}

/// The rule as far as the kernel knows what it allows.
fn allowed(rule: &Rule, denied: Denied) -> Result<Option<LandlockRule>> {
    match rule {
        Rule::Path { path, access, missing } => {
            let access = FilesystemAccess::from_bits(access.bits() & denied.filesystem.bits());
            let of_file = FilesystemAccess::from_bits(access.bits() & FilesystemAccess::OF_FILES);
            let path = c_string("landlock", path.as_os_str().as_bytes())?;
            Ok((!access.is_empty()).then_some(LandlockRule::Path { path, access, of_file, missing: *missing }))
        }
        Rule::Port { port, access } => {
            let access = NetworkAccess::from_bits(access.bits() & denied.network.bits());
            Ok((!access.is_empty()).then_some(LandlockRule::Port { port: *port, access }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Confinement = Option<(Denied, Vec<LandlockRule>)>;

    fn plan(text: &str, abi: u32) -> (Result<Confinement>, Vec<Notice>) {
        let mut command = Command::new("/x");
        command.landlock(text.parse().unwrap());
        let facts = Facts { landlock_abi: abi, ..Facts::for_tests() };
        let mut notices = Vec::new();
        let plan = confinement(&command, &facts, &mut notices);
        (plan, notices)
    }

    const RULES: &str =
        "handle:execute+truncate,network:bind_tcp,execute:/usr,execute+truncate:?/srv,bind:80,scope:signal";

    #[test]
    fn rules_are_printed() {
        let (plan, notices) = plan(RULES, 7);
        let (denied, rules) = plan.unwrap().unwrap();
        assert_eq!(denied.to_string(), "files execute+truncate, ports bind_tcp, scopes signal");
        let rules: Vec<String> = rules.iter().map(ToString::to_string).collect();
        let expected = [
            "allow execute below /usr",
            "allow execute+truncate below /srv if it is there",
            "allow bind_tcp of port 80",
        ];
        assert_eq!(rules, expected);
        assert!(notices.is_empty());
    }

    #[test]
    fn what_an_older_kernel_lacks_is_told_or_refused() {
        let (result, notices) = plan(RULES, 1);
        let (denied, rules) = result.unwrap().unwrap();
        assert_eq!(denied.to_string(), "files execute, ports 0x0, scopes 0x0");
        assert_eq!(rules.len(), 2);
        let text = notices.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(text, ["Landlock version 1 of this kernel does not know: truncate bind_tcp signal"]);
        let (result, notices) = plan(RULES, 0);
        assert!(result.unwrap().is_none());
        assert_eq!(notices.len(), 1);
        let (result, _) = plan(&format!("{RULES},strict"), 1);
        assert!(matches!(result, Err(Error::Unsupported { feature }) if feature.contains("truncate bind_tcp signal")));
    }

    #[test]
    fn a_rule_that_allows_more_than_is_denied_is_a_mistake() {
        for text in ["handle:execute,read:/usr", "handle:execute,0x0:/usr"] {
            assert!(matches!(plan(text, 7).0, Err(Error::Invalid { field: "landlock", .. })), "{text}");
        }
    }
}
