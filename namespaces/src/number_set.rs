//! Sets of CPUs and of memory nodes in the kernel's notation.

use std::fmt;
use std::str::FromStr;

/// The numbers that a set can hold are below this: what the kernel can be built for.
const LIMIT: u32 = 8192;
const BITS: u32 = u64::BITS;

/// A set of CPUs, or of memory nodes.
///
/// As text it is the kernel's list: `0-3,7`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberSet {
    /// Without trailing zeroes.
    words: Vec<u64>,
}

/// Why a text is not a set of CPUs or memory nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a list of numbers below {LIMIT} such as 0-3,7")]
pub struct ParseNumberSetError {
    text: String,
}

impl NumberSet {
    /// Whether it holds no number.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether it holds this one.
    pub fn contains(&self, number: u32) -> bool {
        let (word, bit) = place(number);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Its numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..LIMIT).filter(|number| self.contains(*number))
    }

    /// The mask, lowest numbers first.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    fn insert(&mut self, number: u32) {
        let (word, bit) = place(number);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= bit;
    }
}

fn place(number: u32) -> (usize, u64) {
    let word = usize::try_from(number / BITS).expect("a number fits the address space");
    (word, 1 << (number % BITS))
}

impl FromStr for NumberSet {
    type Err = ParseNumberSetError;

    fn from_str(text: &str) -> Result<Self, ParseNumberSetError> {
        let refuse = || ParseNumberSetError { text: text.to_owned() };
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>().ok().filter(|number| digits && *number < LIMIT).ok_or_else(refuse)
        };
        let mut set = Self::default();
        if text.trim().is_empty() {
            return Ok(set);
        }
        for part in text.trim().split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(refuse());
            }
            (first..=last).for_each(|number| set.insert(number));
        }
        Ok(set)
    }
}

impl FromIterator<u32> for NumberSet {
    /// # Panics
    /// For a number of 8192 or more, which no kernel knows.
    fn from_iter<T: IntoIterator<Item = u32>>(numbers: T) -> Self {
        let mut set = Self::default();
        for number in numbers {
            assert!(number < LIMIT, "{number} is not below {LIMIT}");
            set.insert(number);
        }
        set
    }
}

impl fmt::Display for NumberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = self.iter().peekable();
        let mut separator = "";
        while let Some(first) = numbers.next() {
            let mut last = first;
            while let Some(next) = numbers.next_if_eq(&(last + 1)) {
                last = next;
            }
            match last - first {
                0 => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first}-{last}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_the_kernels() {
        for (text, canonical) in [("0", "0"), ("3,1,2", "1-3"), ("0-3,7\n", "0-3,7"), ("", ""), ("64,63", "63-64")] {
            assert_eq!(text.parse::<NumberSet>().unwrap().to_string(), canonical, "{text:?}");
        }
        for text in ["a", "1-", "-1", "3-1", "1,,2", "+1", "8192", "0-99999999999", "1 2", "0x1"] {
            assert!(text.parse::<NumberSet>().is_err(), "{text:?}");
        }
        assert_eq!(NumberSet::from_iter([0, 65]).words(), [1, 2]);
        assert!(NumberSet::default().is_empty());
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_reads_back(numbers in proptest::collection::btree_set(0..LIMIT, 0..20)) {
            let set: NumberSet = numbers.iter().copied().collect();
            proptest::prop_assert_eq!(set.iter().collect::<std::collections::BTreeSet<_>>(), numbers);
            proptest::prop_assert_eq!(set.to_string().parse::<NumberSet>().unwrap(), set);
        }
    }
}
