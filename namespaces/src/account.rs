//! Users and groups by the names that a root file system has for them: its `/etc/passwd` and `/etc/group`.
//!
//! The files are an image's, and so are hostile: they are parsed as text, without the C library and its plug-ins. A
//! number never means anything but itself, whatever entries are named; what looks like a number and is none of an id
//! is an error.
//!
//! ```
//! use windlass_namespaces::account::Accounts;
//!
//! let accounts = Accounts::parse(b"web:x:33:34::/srv:/bin/sh\n1000:x:0:0::/root:/bin/sh\n", b"logs:x:40:web\n");
//! let web = accounts.resolve("web")?;
//! assert_eq!((web.uid.as_raw(), web.gid.as_raw(), web.groups[0].as_raw()), (33, 34, 40));
//! // Not the entry of that name, which has the number 0.
//! assert_eq!(accounts.resolve("1000")?.uid.as_raw(), 1000);
//! # Ok::<(), windlass_namespaces::Error>(())
//! ```

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::id::{Gid, Uid};

/// The users and groups of a root file system.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
}

#[derive(Debug, Clone)]
struct User {
    name: String,
    /// `None` for what is no number of a user: never 0, never a part of it.
    uid: Option<Uid>,
    gid: Option<Gid>,
    home: String,
}

#[derive(Debug, Clone)]
struct Group {
    name: String,
    gid: Option<Gid>,
    members: Vec<String>,
}

/// Whom a program runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub uid: Uid,
    /// Its group.
    pub gid: Gid,
    /// The supplementary groups of its entry; none where a group was named.
    pub groups: Vec<Gid>,
    /// The home directory of its entry.
    pub home: Option<PathBuf>,
}

/// A text by what it can mean.
enum Meaning<'a> {
    Number(u32),
    Name(&'a str),
}

impl Accounts {
    /// Of the contents of the two files; lines that are not of their form are left out.
    pub fn parse(passwd: &[u8], group: &[u8]) -> Self {
        Self { users: lines(passwd).filter_map(user).collect(), groups: lines(group).filter_map(self::group).collect() }
    }

    /// Whom `USER[:GROUP]` means, each a name or a number; an empty user is 0.
    ///
    /// A number needs no entry; with one, that entry's group, supplementary groups and home are taken. Without, and
    /// where no group is named, the group is 0.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name without an entry, an entry without a valid number, and for what a program could
    /// read as a number but is none of an id: `4294967296`, `-1`, `+1`, `0x0`.
    pub fn resolve(&self, text: &str) -> Result<Identity> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let user = if user.is_empty() { "0" } else { user };
        let (uid, entry) = match meaning("user", user)? {
            Meaning::Number(raw) => {
                let uid = Uid::try_from(raw)?;
                (uid, self.users.iter().find(|entry| entry.uid == Some(uid)))
            }
            Meaning::Name(name) => {
                let entry = self.users.iter().find(|entry| entry.name == name);
                let entry = entry.ok_or_else(|| refused("user", name, "has no entry in /etc/passwd"))?;
                let uid = entry.uid.ok_or_else(|| refused("user", name, "has an entry without a valid number"))?;
                (uid, Some(entry))
            }
        };
        let home = entry.map(|entry| &entry.home).filter(|home| home.starts_with('/')).map(PathBuf::from);
        if let Some(group) = group.filter(|group| !group.is_empty()) {
            return Ok(Identity { uid, gid: self.group(group)?, groups: Vec::new(), home });
        }
        let Some(entry) = entry else { return Ok(Identity { uid, gid: Gid::ROOT, groups: Vec::new(), home }) };
        let gid = entry.gid.ok_or_else(|| refused("user", &entry.name, "has an entry without a valid group"))?;
        let is_member = |group: &&Group| group.members.contains(&entry.name);
        let groups = self.groups.iter().filter(is_member).filter_map(|group| group.gid).collect();
        Ok(Identity { uid, gid, groups, home })
    }

    /// Which group a name or a number means; a number needs no entry.
    ///
    /// # Errors
    /// As [`Accounts::resolve`].
    pub fn group(&self, text: &str) -> Result<Gid> {
        match meaning("group", text)? {
            Meaning::Number(raw) => Gid::try_from(raw),
            Meaning::Name(name) => {
                let entry = self.groups.iter().find(|entry| entry.name == name);
                let entry = entry.ok_or_else(|| refused("group", name, "has no entry in /etc/group"))?;
                entry.gid.ok_or_else(|| refused("group", name, "has an entry without a valid number"))
            }
        }
    }

    /// The name of a user, for `HOME`-like variables and lists of processes.
    pub fn name_of(&self, uid: Uid) -> Option<&str> {
        self.users.iter().find(|entry| entry.uid == Some(uid)).map(|entry| entry.name.as_str())
    }
}

fn refused(field: &'static str, value: &str, reason: &'static str) -> Error {
    Error::invalid(field, value, reason)
}

/// Whether a text is a number or a name. What some reader would take for a number is no name.
fn meaning<'a>(field: &'static str, text: &'a str) -> Result<Meaning<'a>> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let hexadecimal = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"));
    let is_hexadecimal = hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let is_decimal = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    if !is_hexadecimal && !is_decimal {
        let is_name = !text.is_empty() && !text.contains(['\0', '\n']) && text.trim() == text;
        return if is_name { Ok(Meaning::Name(text)) } else { Err(refused(field, text, "is no name")) };
    }
    let number = text.parse().ok().filter(|_| is_decimal && unsigned.len() == text.len());
    number.map(Meaning::Number).ok_or_else(|| refused(field, text, "is not a decimal number of an id"))
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &str> {
    bytes.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok())
}

fn user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let (_password, uid, gid, _comment) = (fields.next()?, fields.next()?, fields.next()?, fields.next());
    let home = fields.next().unwrap_or_default();
    Some(User { name: name.to_owned(), uid: uid.parse().ok(), gid: gid.parse().ok(), home: home.to_owned() })
}

fn group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let (_password, gid) = (fields.next()?, fields.next()?);
    let members = fields.next().unwrap_or_default().split(',').map(|member| member.trim().to_owned());
    Some(Group { name: name.to_owned(), gid: gid.parse().ok(), members: members.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:Web:/srv/web:/bin/false\n\
        1000:x:0:0::/root:/bin/sh\n4294967296:x:0:0::/:/bin/sh\n0x0:x:0:0::/:\n-1:x:0:0::/:\nbig:x:4294967296:0::/:\n\
        negative:x:-1:0::/:\nlast:x:4294967295:0::/:\nempty:x:::::\nodd\n:x:0:0::/:\nbadgroup:x:50:0x0::relative:\n\
        3com:x:60:61::/:\nuser1000:x:1000:1001::/home/u:\n\xff\xfe:x:0:0::/:\n";
    const GROUP: &[u8] =
        b"root:x:0:\nweb:x:34:\nlogs:x:40:web,user1000\nwide:x:41:x, web ,y\n1001:x:0:web\nbad:x:4294967296:web\nnone\n";

    fn told(text: &str) -> (u32, u32, Vec<u32>) {
        let identity = Accounts::parse(PASSWD, GROUP).resolve(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        (identity.uid.as_raw(), identity.gid.as_raw(), identity.groups.iter().map(|group| group.as_raw()).collect())
    }

    #[test]
    fn names_and_numbers_are_found() {
        for (text, uid, gid, groups) in [
            ("", 0, 0, &[][..]),
            ("root", 0, 0, &[]),
            ("web", 33, 34, &[40, 41, 0]),
            ("33", 33, 34, &[40, 41, 0]),
            ("web:logs", 33, 40, &[]),
            ("web:77", 33, 77, &[]),
            (":logs", 0, 40, &[]),
            ("web:", 33, 34, &[40, 41, 0]),
            ("77", 77, 0, &[]),
            ("77:88", 77, 88, &[]),
            ("3com", 60, 61, &[]),
            ("4294967294", 4_294_967_294, 0, &[]),
        ] {
            assert_eq!(told(text), (uid, gid, groups.to_vec()), "{text:?}");
        }
        let accounts = Accounts::parse(PASSWD, GROUP);
        assert_eq!(accounts.resolve("web").unwrap().home, Some(PathBuf::from("/srv/web")));
        assert_eq!(accounts.resolve("77").unwrap().home, None);
        assert_eq!(accounts.name_of(Uid::new(1000).unwrap()), Some("user1000"));
    }

    #[test]
    #[expect(non_snake_case, reason = "the name says which vulnerability it is about")]
    fn CVE_2016_3697_an_entry_named_like_a_number_is_not_that_number() {
        assert_eq!(told("1000"), (1000, 1001, vec![40]));
        assert_eq!(told("33:1001"), (33, 1001, vec![]));
        // Where no entry has the number either.
        let accounts = Accounts::parse(b"1000:x:0:0::/:\n", b"1000:x:0:\n");
        let identity = accounts.resolve("1000:1000").unwrap();
        assert_eq!((identity.uid.as_raw(), identity.gid.as_raw()), (1000, 1000));
    }

    #[test]
    #[expect(non_snake_case, reason = "the name says which vulnerability it is about")]
    fn CVE_2024_40635_what_overflows_or_is_no_decimal_number_is_nobody() {
        let accounts = Accounts::parse(PASSWD, GROUP);
        for text in [
            "4294967295",
            "4294967296",
            "18446744073709551616",
            "-1",
            "+1",
            "-0",
            "0x0",
            "0X1f",
            "+0x0",
            "0x",
            "big",
            "negative",
            "last",
            "empty",
            "badgroup",
            "nobody",
            " root",
            "root ",
            "\n",
            "root\n",
            "-",
            "\u{661}",
        ] {
            assert!(accounts.resolve(text).is_err(), "{text:?}: {:?}", accounts.resolve(text));
        }
        for text in ["web:4294967296", "web:-1", "web:0x0", "web:bad", "web:none", "web:a:b"] {
            assert!(accounts.resolve(text).is_err(), "{text:?}");
        }
        // The entry's bad group does no harm where another one is named.
        assert_eq!(told("badgroup:5"), (50, 5, vec![]));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(passwd in proptest::collection::vec(proptest::num::u8::ANY, 0..200), user in "\\PC{0,12}") {
            let accounts = Accounts::parse(&passwd, &passwd);
            // A name that is not there is never anybody, and a number always itself.
            if let Ok(identity) = accounts.resolve(&user)
                && let Ok(uid) = user.parse::<Uid>() {
                proptest::prop_assert_eq!(identity.uid, uid);
            }
        }
    }
}
