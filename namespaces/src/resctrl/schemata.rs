//! What a class may use: a line a resource, in it a value a domain.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What the processes of a class may use: of each resource (`L3`, `L2`, `MB` ...) a value in each domain, which is a
/// mask of a cache's parts, or a bandwidth.
///
/// It is read and written as the kernel's file `schemata`: `L3:0=ff;1=f0`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schemata {
    resources: BTreeMap<String, BTreeMap<u32, String>>,
}

/// The text is no list of schemata.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not RESOURCE:DOMAIN=VALUE;...: {line:?}")]
pub struct ParseSchemataError {
    line: String,
}

impl Schemata {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// Whether these have what the others say; of what those do not say they may have anything.
    ///
    /// Values are compared as the kernel reads them: `0F` is `f`.
    pub fn agree_with(&self, wanted: &Self) -> bool {
        let has = |resource: &String, domain: &u32, value: &String| {
            let own = self.resources.get(resource).and_then(|domains| domains.get(domain));
            own.is_some_and(|own| digits(own) == digits(value))
        };
        let mut wanted = wanted
            .resources
            .iter()
            .flat_map(|(resource, domains)| domains.iter().map(move |(domain, value)| (resource, domain, value)));
        wanted.all(|(resource, domain, value)| has(resource, domain, value))
    }

    /// Says what the others say, and of the rest what these said.
    #[must_use]
    pub fn changed_by(mut self, later: Self) -> Self {
        for (resource, domains) in later.resources {
            self.resources.entry(resource).or_default().extend(domains);
        }
        self
    }

    /// Says the same but of this resource.
    #[must_use]
    pub fn without(mut self, resource: &str) -> Self {
        self.resources.remove(resource);
        self
    }

    /// What is said of this resource, as the kernel's line.
    pub fn line_of(&self, resource: &str) -> Option<String> {
        let (resource, domains) = self.resources.get_key_value(resource)?;
        let line = Self { resources: BTreeMap::from([(resource.clone(), domains.clone())]) };
        Some(line.to_string())
    }
}

/// The digits that count.
fn digits(value: &str) -> String {
    let digits = value.trim_start_matches('0').to_ascii_lowercase();
    if digits.is_empty() { "0".to_owned() } else { digits }
}

impl FromStr for Schemata {
    type Err = ParseSchemataError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut schemata = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (resource, domains) = parse(line).ok_or_else(|| ParseSchemataError { line: line.to_owned() })?;
            schemata.resources.entry(resource.to_owned()).or_default().extend(domains);
        }
        Ok(schemata)
    }
}

fn parse(line: &str) -> Option<(&str, Vec<(u32, String)>)> {
    let (resource, domains) = line.split_once(':')?;
    let resource = resource.trim_end();
    let is_name = !resource.is_empty() && resource.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let domain = |text: &str| {
        let (domain, value) = text.trim().split_once('=')?;
        let value = value.trim_start();
        let is_value = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some((domain.trim_end().parse().ok()?, value.to_owned())).filter(|_| is_value)
    };
    let domains = domains.split(';').map(domain).collect::<Option<Vec<_>>>()?;
    is_name.then_some((resource, domains))
}

impl fmt::Display for Schemata {
    /// As the kernel takes it, but for the line break behind the last line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (resource, domains)) in self.resources.iter().enumerate() {
            let line_break = if number == 0 { "" } else { "\n" };
            write!(f, "{line_break}{resource}:")?;
            for (number, (domain, value)) in domains.iter().enumerate() {
                let separator = if number == 0 { "" } else { ";" };
                write!(f, "{separator}{domain}={value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schemata(text: &str) -> Schemata {
        text.parse().unwrap()
    }

    #[test]
    fn the_kernels_file_is_understood() {
        let read = schemata("    MB:0=100;1= 90\n    L3:0=7ff;1=7ff\n L2CODE:3=F\n");
        assert_eq!(read.to_string(), "L2CODE:3=F\nL3:0=7ff;1=7ff\nMB:0=100;1=90");
        assert_eq!(read.line_of("L3"), Some("L3:0=7ff;1=7ff".to_owned()));
        assert_eq!(read.line_of("SMBA"), None);
        assert!(schemata(" \n").is_empty());
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for text in
            ["L3", "L3:", "L3:0", "L3:0=", "L3:=f", "L3:0=f;", ":0=f", "L3:0=g", "L3:-1=f", "L 3:0=f", "L3:0=f x"]
        {
            assert!(text.parse::<Schemata>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn agreement_is_about_what_is_said() {
        let kernel = schemata("L3:0=7ff;1=7ff\nMB:0=100;1=100");
        for text in ["", "L3:0=7FF", "L3:1=07ff\nMB:0=100"] {
            assert!(kernel.agree_with(&schemata(text)), "{text}");
        }
        for text in ["L3:0=f", "L3:2=7ff", "L2:0=1", "MB:0=10", "L3:0=7ff\nMB:1=50"] {
            assert!(!kernel.agree_with(&schemata(text)), "{text}");
        }
    }

    #[test]
    fn the_later_word_counts() {
        let changed = schemata("L3:0=f;1=f\nMB:0=20").changed_by(schemata("L3:1=3\nL2:0=1"));
        assert_eq!(changed, schemata("L3:0=f;1=3\nMB:0=20\nL2:0=1"));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(
            lines in proptest::collection::btree_map(
                "[A-Z][A-Z0-9]{0,4}",
                proptest::collection::btree_map(any::<u32>(), "[0-9a-f]{1,8}", 1..4),
                0..4,
            )
        ) {
            let schemata = Schemata { resources: lines };
            prop_assert_eq!(schemata.to_string().parse::<Schemata>().unwrap(), schemata);
        }
    }
}
