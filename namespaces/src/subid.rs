//! Ranges of ids that an administrator grants to ordinary users: `/etc/subuid` and `/etc/subgid`.
//!
//! ```
//! use windlass_namespaces::{HostUid, subid};
//!
//! let granted = subid::parse("me:100000:65536\nyou:165536:65536\n");
//! let own: Vec<_> = subid::of(&granted, Some("me"), HostUid::new(1000).unwrap()).collect();
//! let mappings = subid::mappings(1000, own)?;
//! assert_eq!(mappings[1].to_string(), "1 100000 65536");
//! # Ok::<(), windlass_namespaces::Error>(())
//! ```

use crate::error::Result;
use crate::id::{HostUid, IdMapping};

/// One line of `/etc/subuid` or `/etc/subgid`.
///
/// Source: `subuid(5)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubIdRange {
    /// The name or the decimal number of the user to whom it is granted.
    pub owner: String,
    /// The first id, outside.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// The lines of the file; those that are not of its form grant nothing, as for `newuidmap`.
pub fn parse(text: &str) -> Vec<SubIdRange> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<SubIdRange> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| digits)
    };
    let mut fields = line.trim_end().split(':');
    let (owner, first, count) = (fields.next()?, number(fields.next()?)?, number(fields.next()?)?);
    let is_whole = fields.next().is_none() && !owner.is_empty() && count > 0;
    // The last number stands for "unchanged", and is no id.
    let fits = first.checked_add(count).is_some();
    (is_whole && fits).then(|| SubIdRange { owner: owner.to_owned(), first, count })
}

/// What is granted to the user of this number, and of this name where it has one.
pub fn of<'a>(
    ranges: &'a [SubIdRange],
    name: Option<&'a str>,
    uid: HostUid,
) -> impl Iterator<Item = &'a SubIdRange> + 'a {
    let number = uid.to_string();
    ranges.iter().filter(move |range| range.owner == number || Some(range.owner.as_str()) == name)
}

/// The mapping that an ordinary user can give a user namespace: 0 inside is the user's own id, and from 1 on come the
/// granted ones in their order.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) when all together pass the last id.
pub fn mappings<'a>(own: u32, granted: impl IntoIterator<Item = &'a SubIdRange>) -> Result<Vec<IdMapping>> {
    let mut mappings = vec![IdMapping::new(0, own, 1)?];
    let mut next = 1_u32;
    for range in granted {
        mappings.push(IdMapping::new(next, range.first, range.count)?);
        next += range.count;
    }
    Ok(mappings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_manual_page() {
        let text = "me:100000:65536\n1000:300000:10\n\n# comment\nyou:1:\nx:-1:5\ny:0x10:5\nz:4294967290:10\n:5:5\nw:1:2:3\n\
            v:7:0\nme:500000:1";
        let ranges = parse(text);
        let owners: Vec<&str> = ranges.iter().map(|range| range.owner.as_str()).collect();
        assert_eq!(owners, ["me", "1000", "me"]);
        let uid = HostUid::new(1000).unwrap();
        let first = |name| of(&ranges, name, uid).map(|range| range.first).collect::<Vec<_>>();
        assert_eq!(first(Some("me")), [100_000, 300_000, 500_000]);
        assert_eq!(first(None), [300_000]);
        assert_eq!(first(Some("m")), [300_000]);
    }

    #[test]
    fn granted_ids_follow_the_own_one() {
        let ranges = parse("me:100000:65536\nme:500000:3");
        let text: Vec<String> = mappings(1000, &ranges).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(text, ["0 1000 1", "1 100000 65536", "65537 500000 3"]);
        let much = [SubIdRange { owner: String::new(), first: 0, count: u32::MAX }];
        assert!(mappings(0, &much).is_err());
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(owner in "[a-z_][a-z0-9_-]{0,30}", first in 0..u32::MAX / 2, count in 1..u32::MAX / 2) {
            let range = SubIdRange { owner, first, count };
            proptest::prop_assert_eq!(parse(&format!("{}:{first}:{count}\n", range.owner)), [range]);
        }
    }
}
