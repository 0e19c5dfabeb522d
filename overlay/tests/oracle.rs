//! GNU tar, bsdtar and the `tar` crate against this crate's reader and writer.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use support::{Listing, archive, assert_same, check, gnu_tar, layers, listing, scratch};
use trial::{Test, need};
use windlass_overlay::{
    ApplyOptions, Change, Devices, Entry, Kind, Limits, Metadata, SafePath, Tree, Whiteouts, apply, diff, tar as own,
};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("every format of GNU tar", gnu_formats).needs(need::root).needs(gnu_tar),
        Test::new("every version of sparse files", gnu_sparse).needs(need::root).needs(gnu_tar),
        Test::new("GNU tar reads what is written", gnu_reads).needs(need::root).needs(gnu_tar),
        Test::new("every format of bsdtar", bsd_formats).needs(need::root).needs(need::program("bsdtar")),
        Test::new("bsdtar reads what is written", bsd_reads).needs(need::root).needs(need::program("bsdtar")),
        Test::new("the tar crate reads what is written", crate_reads),
        Test::new("what readers understand differently is refused", differentials)
            .needs(gnu_tar)
            .needs(need::program("bsdtar"))
            .needs(need::program("python3")),
    ])
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A tree with everything that a format may have trouble with.
fn everything(root: &Path, long: bool) {
    std::fs::create_dir(root).unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write("empty", b"");
    write("d/block", &[7; 512]);
    write("d/blocks", &[8; 5000]);
    write("set-id", b"x");
    std::fs::set_permissions(root.join("set-id"), PermissionsExt::from_mode(0o4751)).unwrap();
    std::fs::set_permissions(root.join("d"), PermissionsExt::from_mode(0o1777)).unwrap();
    std::os::unix::fs::symlink("d/../empty", root.join("link")).unwrap();
    std::fs::hard_link(root.join("d/block"), root.join("other-name")).unwrap();
    std::os::unix::fs::chown(root.join("empty"), Some(1234), Some(4321)).unwrap();
    if long {
        let name = format!("{}/{}", "n".repeat(150), "m".repeat(200));
        write(&name, b"long");
        std::os::unix::fs::symlink("t".repeat(300), root.join("far")).unwrap();
        std::os::unix::fs::chown(root.join(&name), Some(3_000_000), Some(3_000_001)).unwrap();
    }
}

/// What the archive means to this crate.
fn applied(archive: &[u8]) -> Listing {
    let directory = scratch();
    let options = ApplyOptions { whiteouts: Whiteouts::Execute, devices: Devices::Create, ..ApplyOptions::default() };
    let applied = apply(archive, directory.path(), &options).unwrap();
    assert_eq!(applied.notices, []);
    listing(directory.path())
}

/// What the archive means to another program.
fn extracted(archive: &Path, command: &mut Command) -> Listing {
    let directory = scratch();
    run(command.arg("-xpf").arg(archive).arg("-C").arg(directory.path()));
    listing(directory.path())
}

/// bsdtar leaves the directory alone that it extracts into.
fn without_root(mut entries: Listing) -> Listing {
    entries.remove(0);
    entries
}

fn gnu() -> Command {
    let mut command = Command::new("tar");
    command.args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "--same-owner", "--delay-directory-restore"]);
    command
}

fn bsd() -> Command {
    let mut command = Command::new("bsdtar");
    command.args(["--numeric-owner", "--same-owner", "--xattrs"]);
    command
}

fn made(command: &mut Command, root: &Path, to: &Path) -> Vec<u8> {
    run(command.arg("-cf").arg(to).arg("-C").arg(root).arg("."));
    std::fs::read(to).unwrap()
}

fn gnu_formats() {
    for format in ["v7", "ustar", "oldgnu", "gnu", "posix"] {
        let directory = scratch();
        let (root, to) = (directory.path().join("root"), directory.path().join("archive"));
        everything(&root, !matches!(format, "v7" | "ustar"));
        if format == "posix" {
            rustix::fs::setxattr(root.join("d"), "user.name", b"a\0\nb", rustix::fs::XattrFlags::empty()).unwrap();
        }
        let mut command = Command::new("tar");
        command.args(["--numeric-owner", &format!("--format={format}")]);
        if format == "posix" {
            command.arg("--xattrs");
        }
        let archive = made(&mut command, &root, &to);
        let found = applied(&archive);
        assert!(found.len() > 7, "{format}: {} entries", found.len());
        assert_same(found, extracted(&to, &mut gnu()));
    }
}

fn bsd_formats() {
    for format in ["v7", "ustar", "gnutar", "pax"] {
        let directory = scratch();
        let (root, to) = (directory.path().join("root"), directory.path().join("archive"));
        everything(&root, !matches!(format, "v7" | "ustar"));
        let archive = made(Command::new("bsdtar").args(["--format", format]), &root, &to);
        assert_same(without_root(applied(&archive)), without_root(extracted(&to, &mut bsd())));
    }
}

/// Files with holes at the start, in the middle, at the end, and many of them.
fn holes(root: &Path) {
    std::fs::create_dir(root).unwrap();
    let sparse = |name: &str, size: u64, places: &[u64]| {
        let file = std::fs::File::create(root.join(name)).unwrap();
        for place in places {
            file.write_all_at(b"data", *place).unwrap();
        }
        file.set_len(size).unwrap();
    };
    sparse("start", 1 << 20, &[(1 << 20) - 4]);
    sparse("middle", 1 << 20, &[0, 500_000]);
    sparse("end", 1 << 20, &[0]);
    sparse("nothing", 1 << 20, &[]);
    let many: Vec<u64> = (0..60).map(|number| number * 32_768).collect();
    sparse("many", 3 << 20, &many);
    std::fs::write(root.join("dense"), [1; 9000]).unwrap();
}

fn gnu_sparse() {
    for arguments in [
        &["--format=oldgnu"][..],
        &["--format=gnu"],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ] {
        let directory = scratch();
        let (root, to) = (directory.path().join("root"), directory.path().join("archive"));
        holes(&root);
        let archive = made(Command::new("tar").args(["--numeric-owner", "-S"]).args(arguments), &root, &to);
        assert!(archive.len() < 1 << 20, "the archive is sparse: {}", archive.len());
        let found = applied(&archive);
        assert_same(found.clone(), as_exact_as(&found, listing(&root)));
        assert_same(found, extracted(&to, &mut gnu()));
    }
}

/// Only pax keeps parts of seconds.
fn as_exact_as(found: &Listing, mut entries: Listing) -> Listing {
    let has_parts = found.iter().any(|(entry, _)| entry.metadata.mtime.nanoseconds != 0);
    for (entry, _) in entries.iter_mut().filter(|_| !has_parts) {
        entry.metadata.mtime.nanoseconds = 0;
    }
    entries
}

/// Layers without deletions: a tree that any tar holds.
fn trees(check_one: impl Fn(&Tree, &[u8])) {
    check(60, &layers(), |layers| {
        let tree = support::tree(&layers).unwrap();
        let mut layer = diff(&Tree::new(), &tree);
        let metadata = Metadata { mode: 0o755, ..Metadata::default() };
        let root = Entry { path: SafePath::root(), kind: Kind::Directory, metadata };
        layer.insert(0, (Change::Put(root), Arc::default()));
        check_one(&tree, &archive(&layer));
    });
}

fn gnu_reads() {
    trees(|tree, archive| {
        let directory = scratch();
        let to = directory.path().join("archive");
        std::fs::write(&to, archive).unwrap();
        assert_same(extracted(&to, &mut gnu()), tree.entries());
        assert_same(applied(archive), tree.entries());
    });
}

fn bsd_reads() {
    trees(|tree, archive| {
        let directory = scratch();
        let to = directory.path().join("archive");
        std::fs::write(&to, archive).unwrap();
        assert_same(without_root(extracted(&to, &mut bsd())), without_root(tree.entries()));
    });
}

fn crate_reads() {
    trees(|_, archive| {
        let mut reader = own::Reader::new(archive, Limits::default());
        let mut other = ::tar::Archive::new(archive);
        let mut others = other.entries().unwrap();
        while let Some(entry) = reader.next_entry().unwrap() {
            let mut other = others.next().expect("as many entries").unwrap();
            assert_eq!(SafePath::from_archive(&other.path_bytes()).unwrap(), entry.path);
            let header = other.header();
            let (mode, mtime) = (header.mode().unwrap(), entry.metadata.mtime);
            assert_eq!((mode, header.uid().unwrap()), (entry.metadata.mode, u64::from(entry.metadata.uid)));
            if mtime.nanoseconds == 0 {
                assert_eq!(header.mtime().unwrap(), u64::try_from(mtime.seconds).unwrap());
            }
            let link = other.link_name_bytes().map(std::borrow::Cow::into_owned);
            match &entry.kind {
                Kind::Symlink(target) => assert_eq!(link.as_deref(), Some(&**target)),
                Kind::HardLink(target) => assert_eq!(link.as_deref(), Some(target.as_bytes())),
                _ => assert_eq!(link, None),
            }
            let (mut content, mut buffer, mut own) = (Vec::new(), [0; 100], Vec::new());
            other.read_to_end(&mut content).unwrap();
            while let Some(chunk) = reader.read_chunk(&mut buffer).unwrap() {
                own.extend_from_slice(&buffer[..chunk.length]);
            }
            assert_eq!(content, own);
        }
        assert!(others.next().is_none(), "no more entries");
    });
}

/// One header with a right checksum.
fn header(kind: u8, name: &str, size: usize) -> Vec<u8> {
    let mut header = ::tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(::tar::EntryType::new(kind));
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size as u64);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A header and its content, in whole blocks.
fn whole(kind: u8, name: &str, content: &[u8]) -> Vec<u8> {
    let mut blocks = [header(kind, name, content.len()), content.to_vec()].concat();
    blocks.resize(blocks.len().next_multiple_of(512), 0);
    blocks
}

/// A pax header of records that are spelled as they are given, each with its right length.
fn pax(kind: u8, records: &[&str]) -> Vec<u8> {
    let record = |text: &&str| {
        let rest = text.len() + " \n".len();
        let length = (1..20).map(|digits| rest + digits).find(|length| length.to_string().len() == length - rest);
        format!("{} {text}\n", length.unwrap())
    };
    whole(kind, "pax", records.iter().map(record).collect::<String>().as_bytes())
}

/// Names and sizes as another program lists them, directories without their last slash.
type Listed = Vec<(String, u64)>;

fn own_list(archive: &[u8]) -> windlass_overlay::Result<Listed> {
    let mut reader = own::Reader::new(archive, Limits::default());
    let mut listed = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let size = if let Kind::File { size } = entry.kind { size } else { 0 };
        listed.push((entry.path.to_string(), size));
    }
    Ok(listed)
}

/// What each of the others says: `None` for an archive that it refuses.
fn others_list(archive: &[u8]) -> Vec<(&'static str, Option<Listed>)> {
    let directory = scratch();
    let at = directory.path().join("archive");
    std::fs::write(&at, archive).unwrap();
    // The columns of a long listing are: mode, links or owner, size, and the name is the last.
    let column = |text: &str, size: usize| -> Listed {
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.map(|words| (words[words.len() - 1].trim_matches('/').to_owned(), words[size].parse().unwrap())).collect()
    };
    let python = "import sys, tarfile\nfor m in tarfile.open(sys.argv[1]):\n print(m.size, m.name)";
    let mut commands = [
        ("GNU tar", Command::new("tar"), vec!["--numeric-owner", "-tvf"], 2),
        ("bsdtar", Command::new("bsdtar"), vec!["--numeric-owner", "-tvf"], 4),
        ("Python", Command::new("python3"), vec!["-c", python], 0),
    ];
    let listed = commands.iter_mut().map(|(name, command, arguments, size)| {
        let output = command.args(arguments).arg(&at).env("LC_ALL", "C").output().unwrap();
        let listed = output.status.success().then(|| column(&String::from_utf8_lossy(&output.stdout), *size));
        (*name, listed)
    });
    listed.collect()
}

/// What was once read by one reader in another way than by others: refused, or read as all of them do. The first column
/// says where it was published, or what about it is left to the reader.
fn differentials() {
    let hidden = || header(b'0', "hidden", 0);
    let file = || whole(b'0', "a", b"");
    let refused: &[(&str, Vec<Vec<u8>>)] = &[
        (
            "CVE-2025-62518 and CVE-2026-33055: the header's size, or the pax size",
            vec![pax(b'x', &["size=512"]), header(b'0', "a", 1), hidden()],
        ),
        ("the same, the pax size smaller", vec![pax(b'x', &["size=0"]), whole(b'0', "a", &hidden())]),
        (
            "RUSTSEC-2026-0112: pax records of a header that others do not apply them to",
            vec![pax(b'x', &["size=512"]), pax(b'x', &["comment=x"]), file(), hidden()],
        ),
        ("the same, with a global header between", vec![pax(b'x', &["path=b"]), pax(b'g', &["comment=x"]), file()]),
        (
            "GHSA-3cv2-h65g-fgmm: a pax size on a GNU long name",
            vec![pax(b'x', &["size=1024"]), whole(b'L', "././@LongLink", b"b\0"), file(), hidden()],
        ),
        (
            "RUSTSEC-2026-0066: records that are skipped where they are wrong",
            vec![whole(b'x', "pax", b"9 path=b\n99 size=512\n"), file(), hidden()],
        ),
        ("a record without its line feed", vec![whole(b'x', "pax", b"10 path=bc"), file()]),
        ("a record that ends before its content does", vec![whole(b'x', "pax", b"9 path=bcd\n"), file()]),
        (
            "a path of a pax header and of GNU",
            vec![whole(b'L', "././@LongLink", b"b\0"), pax(b'x', &["path=c"]), file()],
        ),
        ("the first or the last of two paths", vec![pax(b'x', &["path=b", "path=c"]), file()]),
        ("the first or the last of two sizes", vec![pax(b'x', &["size=0", "size=512"]), file(), hidden()]),
        ("an empty path", vec![pax(b'x', &["path="]), file()]),
        ("an empty size", vec![pax(b'x', &["size="]), file()]),
        ("a size with a sign", vec![pax(b'x', &["size=+512"]), file(), hidden()]),
        ("a size with a space", vec![pax(b'x', &["size= 512"]), file(), hidden()]),
        ("a size in hexadecimal", vec![pax(b'x', &["size=0x200"]), file(), hidden()]),
        ("a size beyond 64 bits", vec![pax(b'x', &["size=18446744073709552128"]), file(), hidden()]),
        ("a path with NUL", vec![pax(b'x', &["path=b\0c"]), file()]),
        ("a GNU long name that goes on after NUL", vec![whole(b'L', "././@LongLink", b"b\0c\0"), file()]),
        ("a path for all that follow", vec![pax(b'g', &["path=b"]), file()]),
        ("a size for all that follow", vec![pax(b'g', &["size=512"]), file(), hidden()]),
        ("a pax header at the end", vec![file(), pax(b'x', &["path=b"])]),
        ("Solaris' own pax header", vec![pax(b'X', &["path=b"]), file()]),
        ("a size on a symbolic link", vec![header(b'2', "l", 512), hidden()]),
        ("a size on a hard link", vec![file(), header(b'1', "l", 512), hidden()]),
        ("a size on a directory", vec![header(b'5', "d", 512), hidden()]),
        ("a pax size on a directory", vec![pax(b'x', &["size=512"]), header(b'5', "d", 0), hidden()]),
        ("a type that nobody has", vec![whole(b'Y', "a", b"")]),
        ("a type that nobody has, with data", vec![whole(b'Y', "a", &hidden())]),
        ("a sparse name of a directory", vec![pax(b'x', &["GNU.sparse.name=b"]), whole(b'5', "a", b"")]),
        ("a sparse name without a map", vec![pax(b'x', &["GNU.sparse.name=b"]), file()]),
        ("something after the end", vec![file(), vec![0; 1024], hidden()]),
        ("one block of zeros, and more", vec![file(), vec![0; 512], hidden()]),
    ];
    for (what, parts) in refused {
        let archive = [parts.concat(), vec![0; 1024]].concat();
        let listed = own_list(&archive);
        assert!(matches!(listed, Err(windlass_overlay::Error::Archive { .. })), "{what}: {listed:?}");
    }
    let accepted: &[(&str, Vec<Vec<u8>>)] = &[
        (
            "a pax size alone",
            vec![pax(b'x', &["size=512"]), header(b'0', "a", 0), vec![b'x'; 512], whole(b'0', "b", b"x")],
        ),
        ("both sizes", vec![pax(b'x', &["size=512"]), whole(b'0', "a", &hidden()), file()]),
        ("a size with zeros before it", vec![pax(b'x', &["size=00512"]), whole(b'0', "a", &hidden()), file()]),
        ("a path in a pax header", vec![pax(b'x', &["path=b"]), whole(b'0', "a", b"xy"), file()]),
        ("a path in a GNU long name", vec![whole(b'L', "././@LongLink", b"b\0"), whole(b'0', "a", b"xy"), file()]),
        ("global comments between entries", vec![file(), pax(b'g', &["comment=path=b"]), whole(b'0', "b", b"x")]),
    ];
    for (what, parts) in accepted {
        let archive = [parts.concat(), vec![0; 1024]].concat();
        let own = own_list(&archive).unwrap_or_else(|error| panic!("{what}: {error}"));
        for (reader, listed) in others_list(&archive) {
            assert_eq!(listed.as_ref(), Some(&own), "{what}: {reader}");
        }
    }
}
