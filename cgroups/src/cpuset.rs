//! Sets of CPUs or memory nodes in the kernel's list format.

use std::collections::BTreeSet;
use std::str::FromStr;

/// A set of CPU numbers or of memory node numbers, such as `0-3,8`.
///
/// The empty set is a value too: v2 takes it as "inherit", v1 as "none".
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct CpuSet(BTreeSet<u32>);

/// The greatest number that a set may hold; the kernel's own bound (`NR_CPUS`) is 8192 at most.
const GREATEST: u32 = 65_535;

/// A text that is not a list of CPUs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a CPU list: {text:?}: {reason}")]
pub struct ParseCpuSetError {
    text: String,
    reason: &'static str,
}

impl CpuSet {
    /// The set without members.
    pub const fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether `number` is a member.
    pub fn contains(&self, number: u32) -> bool {
        self.0.contains(&number)
    }

    /// The members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<u32> for CpuSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        Self(numbers.into_iter().collect())
    }
}

impl FromStr for CpuSet {
    type Err = ParseCpuSetError;

    /// Reads the list format: numbers and ranges `a-b` or `a-b:used/group`, separated by commas.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |reason| ParseCpuSetError { text: text.to_owned(), reason };
        let number = |text: &str| match text.parse::<u32>() {
            Ok(number) if number <= GREATEST && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
            Ok(_) => Err(fail("the greatest number is 65535")),
            Err(_) => Err(fail("a number is expected")),
        };
        let mut set = BTreeSet::new();
        let list = text.trim();
        for part in list.split(',').filter(|_| !list.is_empty()) {
            let (range, pattern) = part.split_once(':').map_or((part, None), |(range, pattern)| (range, Some(pattern)));
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(fail("a range runs upwards"));
            }
            let (used, group) = match pattern {
                None => (1, 1),
                Some(pattern) => {
                    let (used, group) = pattern.split_once('/').ok_or_else(|| fail("a pattern is used/group"))?;
                    (number(used)?, number(group)?)
                }
            };
            if used == 0 || used > group {
                return Err(fail("a pattern uses at least one and at most all of a group"));
            }
            set.extend((first..=last).filter(|number| (number - first) % group < used));
        }
        Ok(Self(set))
    }
}

impl std::fmt::Display for CpuSet {
    /// Prints ranges where two or more numbers follow each other, as the kernel does.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut numbers = self.0.iter().copied().peekable();
        let mut separator = "";
        while let Some(first) = numbers.next() {
            let mut last = first;
            while let Some(next) = numbers.next_if_eq(&(last + 1)) {
                last = next;
            }
            f.write_str(separator)?;
            separator = ",";
            if first == last {
                write!(f, "{first}")?;
            } else {
                write!(f, "{first}-{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::CpuSet;
    use proptest::prelude::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        for (text, printed, count) in [
            ("", "", 0),
            ("\n", "", 0),
            ("0", "0", 1),
            ("0-1", "0-1", 2),
            ("0-3,8\n", "0-3,8", 5),
            ("3,2,1,0", "0-3", 4),
            ("0-7:1/2", "0,2,4,6", 4),
            ("5,5", "5", 1),
        ] {
            let set: CpuSet = text.parse().unwrap();
            assert_eq!((set.to_string().as_str(), set.len()), (printed, count), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_list() {
        for text in ["a", "1-", "-1", "3-1", "0,,1", "+1", "70000", "0-3:0/2", "0-3:3/2", "0-3:1", "1 2"] {
            assert!(text.parse::<CpuSet>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_are_inverse(numbers in proptest::collection::btree_set(0_u32..200, 0..40)) {
            let set = CpuSet(numbers);
            prop_assert_eq!(set.to_string().parse::<CpuSet>(), Ok(set));
        }
    }
}
