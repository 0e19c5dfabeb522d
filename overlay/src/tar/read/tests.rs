use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::tar::Writer;

/// A header with a right checksum; `change` edits it before the sum is made.
fn header(kind: u8, name: &str, size: u64, change: impl FnOnce(&mut [u8; BLOCK])) -> Vec<u8> {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    for range in [100..108, 108..116, 116..124, 136..148, 329..337, 337..345] {
        block[range].fill(b'0');
    }
    block[124..136].copy_from_slice(format!("{size:012o}").as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    change(&mut block);
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.to_vec()
}

fn plain(kind: u8, name: &str, size: u64) -> Vec<u8> {
    header(kind, name, size, |_| {})
}

fn data(content: &[u8]) -> Vec<u8> {
    let mut blocks = content.to_vec();
    blocks.resize(content.len().next_multiple_of(BLOCK), 0);
    blocks
}

fn extension(kind: u8, content: &[u8]) -> Vec<u8> {
    [plain(kind, "x", content.len() as u64), data(content)].concat()
}

fn read(archive: &[u8], limits: Limits) -> Result<Vec<(Entry, Vec<u8>)>> {
    let mut reader = Reader::new(archive, limits);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = Vec::new();
        let mut buffer = [0; 700];
        while let Some(chunk) = reader.read_chunk(&mut buffer)? {
            content.resize(usize::try_from(chunk.offset).unwrap(), 0);
            content.extend_from_slice(&buffer[..chunk.length]);
        }
        if let Kind::File { size } = entry.kind {
            content.resize(usize::try_from(size).unwrap(), 0);
        }
        entries.push((entry, content));
    }
    assert_eq!(reader.offset(), archive.len() as u64, "the stream is read to its end");
    Ok(entries)
}

fn fault(parts: &[Vec<u8>]) -> (u64, Fault) {
    let archive = [parts.concat(), vec![0; 1024]].concat();
    match read(&archive, Limits::default()) {
        Err(Error::Archive { offset, fault }) => (offset, fault),
        other => panic!("{other:?}"),
    }
}

fn limit(parts: &[Vec<u8>], limits: Limits) -> Limit {
    match read(&parts.concat(), limits) {
        Err(Error::LimitExceeded { limit, .. }) => limit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn pax_size_that_disagrees_with_ustar_is_refused() {
    // Readers that took the ustar size would read the hidden header below as an entry.
    let hidden = plain(b'0', "hidden", 0);
    let pax = extension(b'x', b"12 size=512\n");
    assert_eq!(
        fault(&[pax.clone(), plain(b'0', "a", 1), hidden.clone()]),
        (1024, Fault::Contradiction("the pax size is not the header's"))
    );
    let archive = [pax, plain(b'0', "a", 0), hidden.clone(), vec![0; 1024]].concat();
    let entries = read(&archive, Limits::default()).unwrap();
    assert_eq!(entries.len(), 1, "the hidden header is the content of a");
    assert_eq!(entries[0].1, hidden);
}

#[test]
fn extension_headers_do_not_apply_to_extension_headers() {
    let pax = || extension(b'x', b"12 size=512\n");
    let long = |kind| extension(kind, b"name\0");
    let file = || plain(b'0', "a", 0);
    for (parts, offset, what) in [
        (vec![pax(), long(b'L'), file()], 1024, "a GNU long name follows a pax header"),
        (vec![long(b'L'), pax(), file()], 1024, "a pax header follows a GNU long name"),
        (vec![pax(), pax(), file()], 1024, "two pax headers for one entry"),
        (vec![long(b'L'), long(b'L'), file()], 1024, "two GNU long names for one entry"),
        (vec![long(b'K'), long(b'K'), file()], 1024, "two GNU long links for one entry"),
        (vec![pax(), extension(b'g', b""), file()], 1024, "a global header follows an extension header"),
        (vec![pax()], 1024, "the end follows an extension header"),
    ] {
        assert_eq!(fault(&parts), (offset, Fault::Contradiction(what)));
    }
}

#[test]
fn contradictory_entries_are_refused() {
    let why = |parts: &[Vec<u8>]| fault(parts).1;
    for kind in [b'1', b'2', b'3', b'4', b'5', b'6'] {
        assert_eq!(why(&[plain(kind, "a", 1)]), Fault::Contradiction("data in an entry that has none"));
    }
    assert_eq!(why(&[plain(b'0', "a/", 0)]), Fault::Contradiction("a file with the name of a directory"));
    assert_eq!(why(&[plain(b'0', "./", 0)]), Fault::Contradiction("a file with the name of a directory"));
    assert_eq!(why(&[plain(b'2', ".", 0)]), Fault::Root);
    assert_eq!(why(&[plain(b'0', "", 0)]), Fault::Contradiction("an entry without a name"));
    assert_eq!(why(&[plain(b'1', "a", 0)]), Fault::HardLink);
    assert_eq!(why(&[plain(b'M', "a", 0)]), Fault::Type(b'M'));
    assert_eq!(why(&[plain(b'S', "a", 0)]), Fault::Type(b'S'));
    assert_eq!(why(&[header(b'0', "a", 0, |block| block[257..262].copy_from_slice(b"other"))]), Fault::Magic);
    assert_eq!(why(&[header(b'0', "a", 0, |block| block[508..].copy_from_slice(b"tar\0"))]), Fault::Magic);
    assert_eq!(why(&[plain(b'0', "../a", 0)]), Fault::Path(crate::PathError::Parent));
    assert_eq!(why(&[plain(b'0', "a", 0), vec![0; 1024], vec![1]]), Fault::Trailing);
    assert_eq!(why(&[plain(b'0', "a", 0), vec![0; 512], plain(b'0', "b", 0)]), Fault::Trailing);
    let linked =
        |target: &'static [u8]| header(b'1', "a", 0, |block| block[157..157 + target.len()].copy_from_slice(target));
    assert_eq!(why(&[linked(b"b/../../c")]), Fault::Path(crate::PathError::Parent));
}

#[test]
fn an_error_names_the_offset_and_stays() {
    let archive = [plain(b'0', "a", 3), data(b"abc"), plain(b'?', "b", 0)].concat();
    let mut reader = Reader::new(&archive[..], Limits::default());
    assert!(reader.next_entry().unwrap().is_some());
    assert!(matches!(reader.next_entry(), Err(Error::Archive { offset: 1024, fault: Fault::Type(b'?') })));
    assert!(reader.next_entry().is_err(), "no entry after an error");
}

#[test]
fn truncated_everywhere() {
    let whole = [extension(b'x', b"12 size=600\n"), plain(b'0', "a", 600), data(&[7; 600]), vec![0; 512]].concat();
    assert!(read(&whole, Limits::default()).is_ok());
    for length in (0..whole.len() - 512).step_by(37).chain([512, 1024, 1536, 2560]) {
        let error = read(&whole[..length], Limits::default()).expect_err("a cut archive");
        assert!(matches!(error, Error::Archive { fault: Fault::Truncated, .. }), "{length}: {error}");
    }
    // What is no tar at all ends in an error too.
    assert!(matches!(
        read(&[b'x'; 5000], Limits::default()),
        Err(Error::Archive { offset: 0, fault: Fault::Checksum })
    ));
}

/// A stream without an end.
struct Endless(Vec<u8>, usize);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        for byte in buffer.iter_mut() {
            *byte = self.0[self.1];
            self.1 = (self.1 + 1) % self.0.len();
        }
        Ok(buffer.len())
    }
}

#[test]
fn endless_archives_reach_a_limit() {
    let limits = Limits { entries: 1000, archive_bytes: 1 << 20, ..Limits::default() };
    let end = |stream: Vec<u8>| {
        let mut reader = Reader::new(Endless(stream, 0), limits);
        loop {
            match reader.next_entry() {
                Ok(Some(_)) => {}
                Err(Error::LimitExceeded { limit, .. }) => return limit,
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(end(plain(b'0', "a", 0)), Limit::Entries);
    assert_eq!(end(vec![0; 512]), Limit::ArchiveBytes);
    assert_eq!(end(extension(b'g', b"")), Limit::ArchiveBytes);
    assert_eq!(end(plain(b'0', "a", 1 << 30)), Limit::ArchiveBytes);
}

#[test]
fn what_asks_for_too_much_is_refused_before_it_is_read() {
    let limits = Limits::default();
    let huge = |field: [u8; 12]| header(b'0', "a", 0, |block| block[124..136].copy_from_slice(&field));
    assert_eq!(limit(&[huge([0x80, 0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255])], limits), Limit::FileBytes);
    assert_eq!(fault(&[huge([0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0])]).1, Fault::Number("size"));
    assert_eq!(fault(&[huge([0xff; 12])]).1, Fault::Number("size"));
    assert_eq!(limit(&[plain(b'x', "a", 1 << 35)], limits), Limit::ExtensionBytes);
    assert_eq!(limit_after(&"a/".repeat(100_000), limits), Limit::PathBytes);
    assert_eq!(limit_after(&"a/".repeat(1000), limits), Limit::Depth);
    assert_eq!(limit_after(&"n".repeat(256), limits), Limit::NameBytes);
    assert_eq!(limit_after(&"n/".repeat(4000), limits), Limit::PathBytes);
}

fn limit_after(name: &str, limits: Limits) -> Limit {
    limit(&[extension(b'L', name.as_bytes()), plain(b'0', "a", 0)], limits)
}

#[test]
fn a_sparse_file_of_eight_exbibytes_is_refused() {
    let size = (1_u64 << 62) * 2 - 1;
    let records = [
        "22 GNU.sparse.major=1\n".to_owned(),
        "22 GNU.sparse.minor=0\n".to_owned(),
        format!("43 GNU.sparse.realsize={size}\n"),
        "21 GNU.sparse.name=a\n".to_owned(),
    ];
    let pax = extension(b'x', records.concat().as_bytes());
    assert_eq!(limit(&[pax, plain(b'0', "b", 512), data(b"0\n")], Limits::default()), Limit::FileBytes);
    let many = records[2].replace(&size.to_string(), "9").replace("43", "25");
    let pax = extension(b'x', [&records[0], &records[1], &many].map(String::as_str).concat().as_bytes());
    assert_eq!(limit(&[pax, plain(b'0', "b", 512), data(b"99999999\n")], Limits::default()), Limit::SparseSegments);
}

#[test]
fn global_headers_set_owners_until_changed() {
    let archive = [
        extension(b'g', b"9 uid=77\n16 comment=hello\n"),
        plain(b'0', "a", 0),
        extension(b'x', b"8 uid=5\n"),
        plain(b'0', "b", 0),
        plain(b'0', "c", 0),
        vec![0; 1024],
    ];
    // The second length is wrong on purpose first: "16" is not the length of that record.
    assert_eq!(fault(&archive[..1]).1, Fault::PaxRecord);
    let archive = [vec![extension(b'g', b"10 uid=77\n17 comment=hello\n")], archive[1..].to_vec()].concat();
    let uids: Vec<u32> =
        read(&archive.concat(), Limits::default()).unwrap().iter().map(|(entry, _)| entry.metadata.uid).collect();
    assert_eq!(uids, [77, 5, 77]);
}

/// Names of every length and odd bytes, none of them spelled like a whiteout.
pub(crate) fn safe_path() -> impl Strategy<Value = SafePath> {
    let name = prop_oneof![
        4 => "[a-c]",
        1 => vec(1_u8..=255, 1..12).prop_map(|bytes| String::from_utf8_lossy(&bytes).replace('/', "_")),
        1 => "[a-zé ]{80,120}",
    ];
    vec(name, 1..4).prop_filter_map("a safe path", |names| {
        let path = SafePath::parse(names.join("/").as_bytes()).ok()?;
        let is_marker = path.components().any(|part| part.starts_with(b".wh."));
        (!is_marker).then_some(path)
    })
}

fn entry() -> impl Strategy<Value = (Entry, Vec<u8>)> {
    let number = || prop_oneof![Just(0_u32), 0..0o777_7777_u32];
    let content = prop_oneof![vec(any::<u8>(), 0..40), Just(vec![3; 512]), Just(vec![4; 1300])];
    let kind = (0..7, content, vec(1_u8..=255, 1..150), safe_path(), number(), number());
    let xattrs = btree_map("(user|trusted)\\.[a-z.\n ]{1,20}", vec(any::<u8>(), 0..30), 0..3);
    let seconds = prop_oneof![Just(0), -5_i64..5, any::<i64>().prop_map(|seconds| seconds / 4)];
    let owner = prop_oneof![Just(0), any::<u32>()];
    (safe_path(), kind, (0..=0o7777_u32, owner.clone(), owner), (seconds, 0..1_000_000_000_u32), xattrs).prop_map(
        |(path, (which, content, text, target, major, minor), (mode, uid, gid), (seconds, nanoseconds), xattrs)| {
            let kind = match which {
                0 => Kind::Directory,
                1 => Kind::Symlink(text.into()),
                2 => Kind::HardLink(target),
                3 => Kind::Device(DeviceKind::Block, DeviceNumber { major, minor }),
                4 => Kind::Fifo,
                _ => Kind::File { size: content.len() as u64 },
            };
            let content = if matches!(kind, Kind::File { .. }) { content } else { Vec::new() };
            let xattrs = xattrs.into_iter().map(|(name, value)| (name.into_bytes().into(), value.into())).collect();
            let mtime = Timestamp { seconds, nanoseconds };
            (Entry { path, kind, metadata: Metadata { mode, uid, gid, mtime, xattrs } }, content)
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(entries in vec(entry(), 0..6)) {
        let mut writer = Writer::new(Vec::new());
        for (entry, content) in &entries {
            writer.append(entry, &mut &content[..]).unwrap();
        }
        let archive = writer.finish().unwrap();
        prop_assert_eq!(read(&archive, Limits::default()).unwrap(), entries);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..2000), at in 0..1536_usize, change in any::<u8>()) {
        drop(read(&bytes, Limits::default()));
        let mut archive =
            [extension(b'x', b"12 size=512\n"), plain(b'0', "a", 512), vec![1; 512], vec![0; 1024]].concat();
        archive[at] = change;
        drop(read(&archive, Limits::default()));
    }
}
