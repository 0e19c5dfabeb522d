//! Which rules of a policy are about which calls.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::call::{self, Way};
use super::policy::{Architecture, Rule};

/// The names in a policy's rules.
///
/// An architecture has about as many calls as a policy names: they are looked up here, one after the other, and not the
/// names in a table of all calls that would have to be made first.
#[derive(Debug)]
pub(super) struct Names<'a> {
    /// In the order of the policy.
    uses: Vec<Use<'a>>,
    last: HashMap<&'a str, usize, BuildHasherDefault<Fnv>>,
}

#[derive(Debug)]
struct Use<'a> {
    name: &'a str,
    rule: &'a Rule,
    /// The use before this one of the same name.
    before: Option<usize>,
    is_known: bool,
}

/// A rule about a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) number: u32,
    /// The first argument by which this number makes the call that is meant.
    pub(super) through: Option<u32>,
    pub(super) rule: &'a Rule,
    /// Its place in the policy.
    place: usize,
}

impl<'a> Names<'a> {
    pub(super) fn of(rules: &'a [Rule]) -> Self {
        let count = rules.iter().map(|rule| rule.names.len()).sum();
        let mut names = Self {
            uses: Vec::with_capacity(count),
            last: HashMap::with_capacity_and_hasher(count, BuildHasherDefault::default()),
        };
        for (rule, name) in rules.iter().flat_map(|rule| rule.names.iter().map(move |name| (rule, name))) {
            let before = names.last.insert(name, names.uses.len());
            names.uses.push(Use { name, rule, before, is_known: false });
        }
        names
    }

    /// The rules about the numbers of an architecture, by number, and those about the same one in the policy's order.
    pub(super) fn asked(&mut self, architecture: Architecture) -> Vec<Asked<'a>> {
        let mut asked = Vec::with_capacity(self.uses.len());
        call::each(architecture, |name, way| {
            let (number, through) = match way {
                Way::Number(number) => (number, None),
                Way::Through { call, first } => (call, Some(first)),
            };
            let mut next = self.last.get(name).copied();
            while let Some(place) = next {
                let one = &mut self.uses[place];
                one.is_known = true;
                asked.push(Asked { number, through, rule: one.rule, place });
                next = one.before;
            }
        });
        asked.sort_unstable_by_key(|one| (one.number, one.place));
        asked
    }

    /// Names that no architecture had which was asked for.
    pub(super) fn unknown(&self) -> Vec<String> {
        let unknown = self.uses.iter().filter(|one| !one.is_known);
        let mut unknown: Vec<String> = unknown.map(|one| one.name.to_owned()).collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }
}

/// The hash of Fowler, Noll and Vo, version 1a: names are short, and who writes a policy may make it slow.
#[derive(Debug)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::Action;
    use super::*;

    #[test]
    fn rules_come_by_number_in_the_policys_order() {
        let rules = [
            Rule::new(["write", "nope", "read"], Action::Trap),
            Rule::new(["read", "socket"], Action::Log),
            Rule::new(["socketcall"], Action::Allow),
        ];
        let mut names = Names::of(&rules);
        let shown = |asked: Vec<Asked<'_>>| -> Vec<(u32, Option<u32>, Action)> {
            asked.into_iter().map(|one| (one.number, one.through, one.rule.action)).collect()
        };
        assert_eq!(
            shown(names.asked(Architecture::X86_64)),
            [(0, None, Action::Trap), (0, None, Action::Log), (1, None, Action::Trap), (41, None, Action::Log)]
        );
        assert_eq!(names.unknown(), ["nope", "socketcall"]);
        assert_eq!(
            shown(names.asked(Architecture::X86))[3..],
            [(102, Some(1), Action::Log), (102, None, Action::Allow), (359, None, Action::Log)]
        );
        assert_eq!(names.unknown(), ["nope"]);
    }
}
