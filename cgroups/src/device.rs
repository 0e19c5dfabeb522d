//! Device numbers and the rules of a device filter.

use crate::error::{Error, Result};

/// The number of a device: which driver, and which of its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    /// Which driver.
    pub major: u32,
    /// Which of the driver's devices.
    pub minor: u32,
}

impl std::fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// Character or block device, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// Character and block devices.
    All,
    /// Character devices.
    Character,
    /// Block devices.
    Block,
}

/// What a process may do with a device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DeviceAccess {
    /// Open it for reading.
    pub read: bool,
    /// Open it for writing.
    pub write: bool,
    /// Make a node for it.
    pub mknod: bool,
}

impl DeviceAccess {
    /// Read, write and mknod.
    pub const ALL: Self = Self { read: true, write: true, mknod: true };
    /// Read and write.
    pub const READ_WRITE: Self = Self { read: true, write: true, mknod: false };
    /// Only mknod.
    pub const MKNOD: Self = Self { read: false, write: false, mknod: true };

    fn union(self, other: Self) -> Self {
        Self { read: self.read || other.read, write: self.write || other.write, mknod: self.mknod || other.mknod }
    }

    fn without(self, other: Self) -> Self {
        Self { read: self.read && !other.read, write: self.write && !other.write, mknod: self.mknod && !other.mknod }
    }

    fn meets(self, other: Self) -> bool {
        self.without(other) != self
    }

    /// Whether it names nothing.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl std::fmt::Display for DeviceAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letters = [(self.read, "r"), (self.write, "w"), (self.mknod, "m")];
        letters.into_iter().filter(|(set, _)| *set).try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// Whether a rule, or the filter without a matching rule, lets an access pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceAction {
    /// It passes.
    Allow,
    /// It is refused with EPERM.
    Deny,
}

/// One rule of a [device filter](DeviceFilter).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceRule {
    /// Allow or deny.
    pub action: DeviceAction,
    /// Which kind of device.
    pub kind: DeviceKind,
    /// Which driver; `None` is every one.
    pub major: Option<u32>,
    /// Which of the driver's devices; `None` is every one.
    pub minor: Option<u32>,
    /// Which accesses.
    pub access: DeviceAccess,
}

impl std::fmt::Display for DeviceRule {
    /// Prints the rule as `devices.allow` and `devices.deny` of v1 take it, without the action.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            DeviceKind::All => "a",
            DeviceKind::Character => "c",
            DeviceKind::Block => "b",
        };
        let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
        write!(f, "{kind} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}

/// Which devices the processes of a group may open or make nodes for.
///
/// A later rule overrides an earlier one where both match.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceFilter {
    /// What holds where no rule matches.
    pub default: DeviceAction,
    /// The rules in ascending precedence.
    pub rules: Vec<DeviceRule>,
}

impl DeviceFilter {
    /// The exceptions to the default, none of which overrides another: what v1 and a BPF program can hold.
    ///
    /// Errors: [`Error::Invalid`] for a rule that takes back only some of the devices of an earlier one, such as
    /// `deny c 1:3` after `allow c 1:*`, since exceptions have no exceptions; and for a rule without an access.
    pub(crate) fn exceptions(&self) -> Result<Vec<DeviceRule>> {
        let mut exceptions: Vec<DeviceRule> = Vec::new();
        for rule in &self.rules {
            if rule.access.is_empty() {
                return Err(Error::invalid("devices", rule, "it names no access"));
            }
            let kinds: &[DeviceKind] = match rule.kind {
                DeviceKind::All => &[DeviceKind::Character, DeviceKind::Block],
                DeviceKind::Character => &[DeviceKind::Character],
                DeviceKind::Block => &[DeviceKind::Block],
            };
            for kind in kinds {
                let rule = DeviceRule { kind: *kind, ..*rule };
                if rule.action == self.default {
                    take_back(&mut exceptions, rule)?;
                } else {
                    add(&mut exceptions, rule);
                }
            }
        }
        Ok(exceptions)
    }
}

fn add(exceptions: &mut Vec<DeviceRule>, rule: DeviceRule) {
    let same = |found: &&mut DeviceRule| (found.kind, found.major, found.minor) == (rule.kind, rule.major, rule.minor);
    match exceptions.iter_mut().find(same) {
        Some(found) => found.access = found.access.union(rule.access),
        None => exceptions.push(rule),
    }
}

fn take_back(exceptions: &mut Vec<DeviceRule>, rule: DeviceRule) -> Result<()> {
    let covers = |wide: Option<u32>, narrow: Option<u32>| wide.is_none() || wide == narrow;
    let meets = |a: Option<u32>, b: Option<u32>| covers(a, b) || covers(b, a);
    for found in exceptions.iter_mut().filter(|found| found.kind == rule.kind && found.access.meets(rule.access)) {
        if covers(rule.major, found.major) && covers(rule.minor, found.minor) {
            found.access = found.access.without(rule.access);
        } else if meets(rule.major, found.major) && meets(rule.minor, found.minor) {
            let reason = format!("it takes back only some of the devices of the earlier rule \"{found}\"");
            return Err(Error::invalid("devices", rule, reason));
        }
    }
    exceptions.retain(|found| !found.access.is_empty());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{DeviceAccess, DeviceAction, DeviceFilter, DeviceKind, DeviceRule};

    fn rule(action: DeviceAction, major: Option<u32>, minor: Option<u32>, access: DeviceAccess) -> DeviceRule {
        DeviceRule { action, kind: DeviceKind::Character, major, minor, access }
    }

    #[test]
    fn later_rules_override_earlier_ones() {
        use DeviceAction::{Allow, Deny};
        let exceptions = |rules: Vec<DeviceRule>| {
            let exceptions = DeviceFilter { default: Deny, rules }.exceptions().map_err(|error| error.to_string())?;
            Ok::<_, String>(exceptions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        };
        let all = DeviceAccess::ALL;
        let (one, five) = ((Some(1), Some(3)), (Some(5), None));
        assert_eq!(
            exceptions(vec![
                rule(Allow, one.0, one.1, DeviceAccess::READ_WRITE),
                rule(Allow, one.0, one.1, DeviceAccess::MKNOD)
            ]),
            Ok("c 1:3 rwm".to_owned())
        );
        assert_eq!(exceptions(vec![rule(Allow, one.0, one.1, all), rule(Deny, None, None, all)]), Ok(String::new()));
        assert_eq!(
            exceptions(vec![rule(Allow, one.0, one.1, all), rule(Deny, Some(1), None, DeviceAccess::MKNOD)]),
            Ok("c 1:3 rw".to_owned())
        );
        assert_eq!(
            exceptions(vec![rule(Allow, five.0, five.1, all), rule(Deny, Some(1), None, all)]),
            Ok("c 5:* rwm".to_owned())
        );
        assert_eq!(
            exceptions(vec![rule(Allow, five.0, five.1, all), rule(Deny, Some(5), Some(2), all)]),
            Err(
                "devices cannot be c 5:2 rwm: it takes back only some of the devices of the earlier rule \"c 5:* rwm\""
                    .to_owned()
            )
        );
        assert!(exceptions(vec![rule(Allow, None, None, DeviceAccess::default())]).is_err());
    }

    #[test]
    fn a_rule_prints_as_v1_takes_it() {
        let rule = |kind, major, minor, access| DeviceRule { action: DeviceAction::Allow, kind, major, minor, access };
        for (rule, text) in [
            (rule(DeviceKind::Character, Some(1), Some(3), DeviceAccess::READ_WRITE), "c 1:3 rw"),
            (rule(DeviceKind::Block, None, None, DeviceAccess::MKNOD), "b *:* m"),
            (rule(DeviceKind::All, Some(5), None, DeviceAccess::ALL), "a 5:* rwm"),
        ] {
            assert_eq!(rule.to_string(), text);
        }
    }
}
