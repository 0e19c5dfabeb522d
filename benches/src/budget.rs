//! `BUDGETS.toml`: what is promised.

use serde::Deserialize;

/// The file as it is in the source tree.
pub const TEXT: &str = include_str!("../BUDGETS.toml");

/// Every promise, in the order of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// The lines of the table.
    #[serde(rename = "promise")]
    pub promises: Vec<Promise>,
}

/// One promise.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// Folder of the crate.
    #[serde(rename = "crate")]
    pub subject: String,
    /// Name of the line, unique in its crate.
    pub line: String,
    /// What is measured.
    pub what: String,
    /// What it is compared with.
    pub baseline: String,
    /// Unit of the measured value and of the baseline.
    pub unit: String,
    /// The promised ratio of the value to the baseline.
    #[serde(flatten)]
    pub bound: Bound,
}

/// A bound on the ratio.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The ratio is not above this.
    AtMost(f64),
    /// The ratio is not below this.
    AtLeast(f64),
}

impl Bound {
    /// Whether `ratio` keeps the promise.
    pub fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(bound) => ratio <= bound,
            Self::AtLeast(bound) => ratio >= bound,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "<= {bound}x"),
            Self::AtLeast(bound) => write!(f, ">= {bound}x"),
        }
    }
}

/// Parses the budgets.
///
/// # Errors
/// The parser's message with line and column.
pub fn parse(text: &str) -> Result<Budgets, toml::de::Error> {
    toml::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_inclusive() {
        assert!(Bound::AtMost(1.5).holds(1.5));
        assert!(!Bound::AtMost(1.5).holds(1.51));
        assert!(Bound::AtLeast(3.0).holds(3.0));
        assert!(!Bound::AtLeast(3.0).holds(2.9));
    }

    #[test]
    fn an_unknown_field_is_refused() {
        assert!(parse("[[promise]]\ncrate='x'\nline='a'\nwhat='b'\nbaseline='c'\nunit='us'\nat_mots=1.0\n").is_err());
    }
}
