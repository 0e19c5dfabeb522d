//! Numbers that cannot be wrong: parsed or checked once, trusted after.

mod bytes;
mod cpu;

pub use bytes::Bytes;
pub use cpu::{CpuMax, CpuProportion, CpuShares, CpuUtilization, CpuWeight};

/// A limit as the kernel knows it: none at all, or at a value.
///
/// "Not set" is neither of the two; settings are `Option<Limit<T>>` and `None` leaves the kernel's value alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit<T> {
    /// No limit (`max`, or -1 in files of v1).
    Max,
    /// This much and no more.
    At(T),
}

impl<T> Limit<T> {
    /// The value, where there is a limit.
    pub fn at(self) -> Option<T> {
        match self {
            Self::Max => None,
            Self::At(value) => Some(value),
        }
    }

    /// Applies `f` to the value of a limit.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Limit<U> {
        match self {
            Self::Max => Limit::Max,
            Self::At(value) => Limit::At(f(value)),
        }
    }
}

impl<T: PartialOrd> PartialOrd for Limit<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match (self, other) {
            (Self::Max, Self::Max) => Some(Equal),
            (Self::Max, Self::At(_)) => Some(Greater),
            (Self::At(_), Self::Max) => Some(Less),
            (Self::At(a), Self::At(b)) => a.partial_cmp(b),
        }
    }
}

impl<T: Ord> Ord for Limit<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match (self, other) {
            (Self::Max, Self::Max) => Equal,
            (Self::Max, Self::At(_)) => Greater,
            (Self::At(_), Self::Max) => Less,
            (Self::At(a), Self::At(b)) => a.cmp(b),
        }
    }
}

impl<T: std::fmt::Display> std::fmt::Display for Limit<T> {
    /// Prints what v2 files hold: `max` or the number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::At(value) => value.fmt(f),
        }
    }
}

/// A value outside the range that the kernel takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be {value}: {reason}")]
pub struct OutOfRange {
    pub(crate) what: &'static str,
    pub(crate) value: String,
    pub(crate) reason: &'static str,
}

/// The relative share of a disk's time or cost that a group gets.
///
/// Units: the scale of v2's `io.weight`, 1 to 10000, default 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IoWeight(u16);

impl IoWeight {
    /// Checks the range.
    pub fn new(weight: u16) -> Result<Self, OutOfRange> {
        if (1..=10_000).contains(&weight) {
            Ok(Self(weight))
        } else {
            Err(OutOfRange { what: "io weight", value: weight.to_string(), reason: "the range is 1 to 10000" })
        }
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{IoWeight, Limit};

    #[test]
    fn no_limit_is_above_every_limit() {
        assert!(Limit::Max > Limit::At(u64::MAX));
        assert!(Limit::At(1) < Limit::At(2));
        assert_eq!(Limit::<u64>::Max.to_string(), "max");
        assert_eq!(Limit::At(0).to_string(), "0");
    }

    #[test]
    fn an_io_weight_has_the_kernels_range() {
        assert!(IoWeight::new(0).is_err());
        assert!(IoWeight::new(10_001).is_err());
        assert_eq!(IoWeight::new(10_000).map(IoWeight::get), Ok(10_000));
    }
}
