//! Extended headers: what the header of an entry has no room for.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;

use crate::error::{Error, Result};

/// What extended attributes are called in extended headers.
const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";

/// Records of one extended header, in the form `LENGTH KEY=VALUE\n`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Records(Vec<u8>);

impl Records {
    /// Those that carry extended attributes.
    pub(crate) fn attributes<'a>(attributes: impl IntoIterator<Item = (&'a Vec<u8>, &'a Vec<u8>)>) -> Self {
        let mut records = Self::default();
        for (name, value) in attributes {
            records.add(&[ATTRIBUTE, name].concat(), value);
        }
        records
    }

    /// What an entry's own says beside names and length, which are written anew with the entry.
    pub(crate) fn of<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Self> {
        let mut records = Self::default();
        if let Some(extensions) = entry.pax_extensions()? {
            for extension in extensions {
                let extension = extension?;
                if !matches!(extension.key_bytes(), b"path" | b"linkpath" | b"size") {
                    records.add(extension.key_bytes(), extension.value_bytes());
                }
            }
        }
        Ok(records)
    }

    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        // A space, an equals sign and a line feed; and the length counts its own digits.
        let others = key.len() + value.len() + 3;
        let mut length = others + 1;
        while length != others + length.to_string().len() {
            length = others + length.to_string().len();
        }
        self.0.extend_from_slice(format!("{length} ").as_bytes());
        for part in [key, b"=", value, b"\n"] {
            self.0.extend_from_slice(part);
        }
    }

    /// Writes them for the entry that comes next; nothing where there are none.
    pub(crate) fn append<W: Write>(&self, archive: &mut tar::Builder<W>) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_path("PaxHeaders/records")?;
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(self.0.len() as u64);
        header.set_cksum();
        archive.append(&header, &self.0[..])
    }
}

/// Writes an entry with its content under another path, and its link with another target; its header as written.
pub(crate) fn append_as<W: Write, R: Read>(
    archive: &mut tar::Builder<W>,
    entry: &mut tar::Entry<'_, R>,
    path: &[u8],
    link: Option<&[u8]>,
) -> Result<tar::Header> {
    let failed = |error| Error::sys("write the entry", OsStr::from_bytes(path))(error);
    Records::of(entry).and_then(|records| records.append(archive)).map_err(failed)?;
    let mut header = entry.header().clone();
    let is_directory = header.entry_type() == tar::EntryType::Directory;
    let name = if is_directory { [path, b"/"].concat() } else { path.to_vec() };
    // The top itself has no name of its own.
    let name = if name == b"/" { b"./".to_vec() } else { name };
    let name = OsStr::from_bytes(&name);
    if let Some(target) = link.filter(|_| header.entry_type().is_symlink() || header.entry_type().is_hard_link()) {
        archive.append_link(&mut header, name, OsStr::from_bytes(target)).map_err(failed)?;
    } else {
        header.set_size(entry.size());
        archive.append_data(&mut header, name, entry).map_err(failed)?;
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_themselves() {
        for length in 0..200 {
            let mut records = Records::default();
            records.add(b"key", &vec![b'v'; length]);
            let text = String::from_utf8(records.0.clone()).unwrap();
            let (said, _) = text.split_once(' ').unwrap();
            assert_eq!(said.parse::<usize>().unwrap(), text.len());
        }
        let one = Records::attributes([(&b"user.k".to_vec(), &b"\0\n".to_vec())]);
        assert_eq!(one.0, b"26 SCHILY.xattr.user.k=\0\n\n");
    }
}
