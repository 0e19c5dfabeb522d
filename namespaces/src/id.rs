//! User and group numbers, and how those of a user namespace map to those outside.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Why a text is not a user or group number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a user or group number (0 to 4294967294, decimal)")]
pub struct ParseIdError {
    text: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// Number 0.
            pub const ROOT: Self = Self(0);

            /// A number other than 4294967295, which the kernel reads as "unchanged".
            pub const fn new(raw: u32) -> Option<Self> {
                if raw == u32::MAX { None } else { Some(Self(raw)) }
            }

            /// The number.
            pub const fn as_raw(self) -> u32 {
                self.0
            }
        }

        impl TryFrom<u32> for $name {
            type Error = Error;

            fn try_from(raw: u32) -> Result<Self> {
                Self::new(raw).ok_or_else(|| Error::invalid($field, raw.to_string(), "the kernel reads it as unchanged"))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> std::result::Result<Self, ParseIdError> {
                // `u32::from_str` takes a leading plus sign, which no account database does.
                let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let raw = if digits { text.parse().ok() } else { None };
                raw.and_then(Self::new).ok_or_else(|| ParseIdError { text: text.to_owned() })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A user number as the started process sees it.
    Uid, "uid"
);
id!(
    /// A group number as the started process sees it.
    Gid, "gid"
);

id!(
    /// A user number outside: in the caller's user namespace.
    HostUid, "host uid"
);
id!(
    /// A group number outside: in the caller's user namespace.
    HostGid, "host gid"
);

impl Uid {
    /// The user outside that it stands for; `None` when it is not mapped.
    pub fn to_host(self, mappings: &[IdMapping]) -> Option<HostUid> {
        outside(self.0, mappings).and_then(HostUid::new)
    }
}

impl Gid {
    /// The group outside that it stands for; `None` when it is not mapped.
    pub fn to_host(self, mappings: &[IdMapping]) -> Option<HostGid> {
        outside(self.0, mappings).and_then(HostGid::new)
    }
}

impl HostUid {
    /// The user inside that stands for it; `None` when there is none.
    pub fn to_inside(self, mappings: &[IdMapping]) -> Option<Uid> {
        inside(self.0, mappings).and_then(Uid::new)
    }
}

impl HostGid {
    /// The group inside that stands for it; `None` when there is none.
    pub fn to_inside(self, mappings: &[IdMapping]) -> Option<Gid> {
        inside(self.0, mappings).and_then(Gid::new)
    }
}

fn outside(inside: u32, mappings: &[IdMapping]) -> Option<u32> {
    mappings.iter().find_map(|mapping| shifted(inside, mapping.inside, mapping.outside, mapping.count))
}

fn inside(outside: u32, mappings: &[IdMapping]) -> Option<u32> {
    mappings.iter().find_map(|mapping| shifted(outside, mapping.outside, mapping.inside, mapping.count))
}

/// `number` of a run from `from` on, in the run of the same length from `to` on.
fn shifted(number: u32, from: u32, to: u32, count: u32) -> Option<u32> {
    let offset = number.checked_sub(from).filter(|offset| *offset < count)?;
    to.checked_add(offset)
}

/// A run of numbers inside a user namespace and the run outside that they stand for.
///
/// Source: `user_namespaces(7)`, "User and group ID mappings".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMapping {
    inside: u32,
    outside: u32,
    count: u32,
}

impl IdMapping {
    /// `count` numbers from `inside` on stand for those from `outside` on, in the caller's user namespace.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty run, or one that passes 4294967294.
    pub fn new(inside: u32, outside: u32, count: u32) -> Result<Self> {
        let fits = |first: u32| first.checked_add(count).is_some();
        let reason = match count {
            0 => "a mapping of no ids",
            _ if !fits(inside) || !fits(outside) => "passes the last id",
            _ => return Ok(Self { inside, outside, count }),
        };
        Err(Error::invalid("id_mappings", format!("{inside} {outside} {count}"), reason))
    }

    /// The first number inside.
    pub const fn inside(self) -> u32 {
        self.inside
    }

    /// The first number outside.
    pub const fn outside(self) -> u32 {
        self.outside
    }

    /// How many numbers are mapped.
    pub const fn count(self) -> u32 {
        self.count
    }
}

impl fmt::Display for IdMapping {
    /// A line of `/proc/PID/uid_map`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.inside, self.outside, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_and_below_the_reserved_one() {
        assert_eq!("0".parse(), Ok(Uid::ROOT));
        assert_eq!("4294967294".parse::<Gid>().map(Gid::as_raw), Ok(4_294_967_294));
        for text in ["", "-1", "+1", "0x0", "4294967295", "4294967296", " 1", "1 ", "root"] {
            assert!(text.parse::<Uid>().is_err(), "{text:?}");
        }
        assert!(Uid::try_from(u32::MAX).is_err());
    }

    #[test]
    fn ids_inside_and_outside_are_of_different_types() {
        let mappings = [IdMapping::new(0, 1000, 1).unwrap(), IdMapping::new(1, 100_000, 10).unwrap()];
        for (inside, outside) in [(0, Some(1000)), (1, Some(100_000)), (10, Some(100_009)), (11, None)] {
            let host = Uid::new(inside).unwrap().to_host(&mappings);
            assert_eq!(host.map(HostUid::as_raw), outside);
            assert_eq!(host.and_then(|host| host.to_inside(&mappings)).map(Uid::as_raw), outside.map(|_| inside));
        }
        assert_eq!(HostGid::new(999).unwrap().to_inside(&mappings), None);
        assert_eq!(Gid::ROOT.to_host(&mappings).map(HostGid::as_raw), Some(1000));
    }

    #[test]
    fn a_mapping_is_never_empty_nor_too_long() {
        assert_eq!(IdMapping::new(0, 1000, 1).unwrap().to_string(), "0 1000 1");
        assert!(IdMapping::new(0, 1000, 0).is_err());
        assert!(IdMapping::new(0, u32::MAX, 1).is_err());
        assert!(IdMapping::new(u32::MAX - 1, 0, 1).is_ok());
    }
}
