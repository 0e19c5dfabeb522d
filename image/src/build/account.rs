//! `--chown`: owners by number, or by a name that the image knows.

use std::path::Path;

use super::directory::Directory;
use crate::error::{Error, Result};

const BYTES_MAX: u64 = 4 << 20;

/// The numbers of `USER[:GROUP]`. A user that is a number has the group of the same number, one with a name its own.
///
/// # Errors
/// A name that the image does not know.
pub(super) fn owner(text: &str, root: &Directory) -> Result<(u64, u64)> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let (uid, own) = if let Some(uid) = number(user) {
        (uid, uid)
    } else {
        let line = line(root, "etc/passwd", user)?;
        (field(&line, 2, text)?, field(&line, 3, text)?)
    };
    let gid = match group {
        None => own,
        Some(group) => match number(group) {
            Some(gid) => gid,
            None => field(&line(root, "etc/group", group)?, 2, text)?,
        },
    };
    Ok((uid, gid))
}

fn number(text: &str) -> Option<u64> {
    text.parse::<u32>().ok().map(u64::from)
}

fn line(root: &Directory, file: &'static str, name: &str) -> Result<Vec<String>> {
    let text = root.read_text(Path::new(file), BYTES_MAX)?.unwrap_or_default();
    let found = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    let named = found.into_iter().find(|fields| !name.is_empty() && fields[0] == name);
    named.ok_or_else(|| Error::NotFound { object: format!("{name:?} in the image's /{file}") })
}

fn field(line: &[String], at: usize, text: &str) -> Result<u64> {
    line.get(at).and_then(|field| number(field)).ok_or_else(|| Error::Invalid {
        field: "owner",
        value: text.to_owned(),
        reason: "has no number in the image",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_numbers_or_names_of_the_image() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::fs::write(folder.path().join("etc/passwd"), "root:x:0:0::/:\nme:x:5:6::/:\nbad:x:y:z\n").unwrap();
        std::fs::write(folder.path().join("etc/group"), "wheel:x:10:\n").unwrap();
        let root = Directory::new(std::fs::File::open(folder.path()).unwrap().into(), "root");
        let owner = |text: &str| owner(text, &root).map_err(|error| error.to_string());
        for (text, expected) in [
            ("1", (1, 1)),
            ("1:2", (1, 2)),
            ("me", (5, 6)),
            ("me:wheel", (5, 10)),
            ("7:wheel", (7, 10)),
            ("me:0", (5, 0)),
        ] {
            assert_eq!(owner(text), Ok(expected), "{text}");
        }
        for wrong in ["", "you", "me:", "1:them", "bad", "4294967296", "-1"] {
            assert!(owner(wrong).is_err(), "{wrong}");
        }
    }
}
