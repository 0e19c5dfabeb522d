//! `ld.so.cache`: where the dynamic linker of the GNU C library finds libraries by name.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

const MAGIC: &[u8; 20] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// One library of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) path: PathBuf,
}

/// Reads the entries that every processor of the architecture can use, in order; nothing from what is no such cache.
///
/// Entries for better processors only (`glibc-hwcaps`) are left out: an image must run elsewhere too.
///
/// # Source
/// `sysdeps/generic/dl-cache.h` of the GNU C library describes the format; offsets count from the magic number.
pub(super) fn parse(bytes: &[u8]) -> Vec<Entry> {
    // Older caches have a table of an older format first.
    let Some(start) = bytes.windows(MAGIC.len()).position(|window| window == MAGIC) else { return Vec::new() };
    let cache = &bytes[start..];
    let Some(count) = number(cache, MAGIC.len()) else { return Vec::new() };
    let entries = cache.get(HEADER..).unwrap_or_default().chunks_exact(ENTRY).take(count);
    entries
        .filter(|entry| entry[16..24] == [0; 8])
        .filter_map(|entry| {
            let name = text(cache, number(entry, 4)?)?.to_owned();
            let path = PathBuf::from(text(cache, number(entry, 8)?)?);
            Some(Entry { name, path })
        })
        .collect()
}

/// The cache is written in the byte order of its machine, which is the one that this runs on.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_ne_bytes(four)).ok()
}

fn text(cache: &[u8], at: usize) -> Option<&OsStr> {
    let rest = cache.get(at..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(OsStr::from_bytes(&rest[..end]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cache(entries: &[(&str, &str, u64)]) -> Vec<u8> {
        let mut strings = Vec::new();
        let mut table = Vec::new();
        let base = HEADER + ENTRY * entries.len();
        for (name, path, hwcap) in entries {
            let mut place = |text: &str| {
                let at = u32::try_from(base + strings.len()).unwrap();
                strings.extend_from_slice(text.as_bytes());
                strings.push(0);
                at.to_ne_bytes()
            };
            let (name, path) = (place(name), place(path));
            table.extend_from_slice(&0x303_i32.to_ne_bytes());
            table.extend_from_slice(&name);
            table.extend_from_slice(&path);
            table.extend_from_slice(&[0; 4]);
            table.extend_from_slice(&hwcap.to_ne_bytes());
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&u32::try_from(entries.len()).unwrap().to_ne_bytes());
        bytes.resize(HEADER, 0);
        bytes.extend(table);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn libraries_for_better_processors_are_left_out() {
        let bytes = cache(&[
            ("liba.so.1", "/usr/lib/glibc-hwcaps/x86-64-v3/liba.so.1", 1 << 62 | 2),
            ("liba.so.1", "/usr/lib/liba.so.1", 0),
        ]);
        let expected = Entry { name: "liba.so.1".into(), path: "/usr/lib/liba.so.1".into() };
        let old_format_first = [b"ld.so-1.7.0\0\0\0\0\0".as_slice(), &bytes].concat();
        assert_eq!(parse(&bytes), parse(&old_format_first));
        assert_eq!(parse(&bytes), [expected]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(mut bytes: Vec<u8>, cut in 0..200_usize, flip in 0..200_usize) {
            parse(&bytes);
            bytes = cache(&[("liba.so.1", "/usr/lib/liba.so.1", 0), ("libb.so.1", "/usr/lib/libb.so.1", 0)]);
            bytes.truncate(cut);
            if let Some(byte) = bytes.get_mut(flip) {
                *byte ^= 0x80;
            }
            parse(&bytes);
        }
    }
}
