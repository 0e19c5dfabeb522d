//! Archives that mean harm, each with a canary outside the target that must stay as it is.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use support::{Layer, archive, delete, directory, file, hard_link, listing, put, scratch, symlink};
use trial::{Test, need};
use windlass_overlay::{
    Applied, ApplyOptions, Change, DeviceKind, DeviceNumber, Devices, Entry, Error, Fault, IdMap, IdRange, Kind, Limit,
    Limits, Metadata, NoticeKind, SafePath, Whiteouts, Xattrs, apply,
};

fn main() -> ExitCode {
    if std::env::var_os(ALONE).is_some() {
        many_entries();
        return ExitCode::SUCCESS;
    }
    trial::main(vec![
        Test::new("a name with dots is refused", dots),
        Test::new("an absolute name stays beneath the target", absolute).needs(need::root),
        Test::new("a symbolic link to the outside is written through inside only", through_symlink).needs(need::root),
        Test::new("a hard link to the outside is made inside only", hard_links).needs(need::root),
        Test::new("a root that is a symbolic link is refused", root_entry),
        Test::new("modes are not set through a symbolic link", chmod).needs(need::root),
        Test::new("times and owners are not set through a symbolic link", special).needs(need::root),
        Test::new("whiteouts of the outside", whiteouts),
        Test::new("symbolic links in a circle end", circle),
        Test::new("duplicate entries replace each other", duplicates).needs(need::root),
        Test::new("attributes that forge overlay's own are dropped", forged).needs(need::root),
        Test::new("devices only when asked for", devices).needs(need::root),
        Test::new("set-id bits survive the change of owner", set_id).needs(need::root),
        Test::new("owners outside the map are refused", owners).needs(need::root),
        Test::new("look-alikes are kept apart", look_alikes).needs(need::root),
        Test::new("deep and long paths", deep).needs(need::root),
        Test::new("a path of a hundred thousand directories", bottomless),
        Test::new("ten million empty entries", endless),
        Test::new("a sparse file is as long as it says and costs little", sparse).needs(need::root),
        Test::new("a mount in the target is not entered", mounts).needs(need::root),
        Test::new("set-id bits in a target that honours none", no_suid)
            .needs(need::root)
            .needs(need::path("/usr/bin/id")),
        Test::new("names of every length in every spelling", long_names),
    ])
}

/// A target with a canary beside it; whatever an archive does, the canary stays.
struct Cage {
    directory: tempfile::TempDir,
    before: support::Listing,
}

impl Cage {
    fn new() -> Self {
        let directory = scratch();
        let outside = directory.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("canary"), "alive").unwrap();
        std::fs::set_permissions(outside.join("canary"), PermissionsExt::from_mode(0o640)).unwrap();
        std::fs::create_dir(directory.path().join("target")).unwrap();
        Self { before: listing(&outside), directory }
    }

    fn target(&self) -> PathBuf {
        self.directory.path().join("target")
    }

    fn outside(&self) -> PathBuf {
        self.directory.path().join("outside")
    }

    fn apply(&self, layer: &Layer, options: &ApplyOptions) -> Result<Applied, Error> {
        self.apply_bytes(&archive(layer), options)
    }

    fn apply_bytes(&self, archive: &[u8], options: &ApplyOptions) -> Result<Applied, Error> {
        let applied = apply(archive, &self.target(), options);
        assert_eq!(listing(&self.outside()), self.before, "the canary was touched");
        applied
    }
}

/// As an ordinary user in a test: owners are the caller's.
fn mine() -> ApplyOptions {
    ApplyOptions { id_map: IdMap::CurrentUser, ..ApplyOptions::default() }
}

fn execute() -> ApplyOptions {
    ApplyOptions { whiteouts: Whiteouts::Execute, ..mine() }
}

/// An archive of one entry with a name that the writer of this crate refuses to spell.
fn raw(name: &str, kind: tar::EntryType, link: &str) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header.set_cksum();
    [header.as_bytes(), &[0; 1024][..]].concat()
}

fn dots() {
    for name in ["../outside/canary", "a/../../outside/canary", "/../outside/canary", ".."] {
        for (kind, link) in [(tar::EntryType::Regular, ""), (tar::EntryType::Directory, "")] {
            let error = Cage::new().apply_bytes(&raw(name, kind, link), &mine()).unwrap_err();
            assert!(matches!(error, Error::Archive { offset: 0, fault: Fault::Path(_) }), "{name}: {error}");
        }
    }
    let linked = raw("a", tar::EntryType::Link, "../outside/canary");
    let error = Cage::new().apply_bytes(&linked, &mine()).unwrap_err();
    assert!(matches!(error, Error::Archive { fault: Fault::Path(_), .. }), "{error}");
}

fn absolute() {
    let cage = Cage::new();
    let outside = cage.outside().join("canary");
    cage.apply_bytes(&raw(outside.to_str().unwrap(), tar::EntryType::Regular, ""), &mine()).unwrap();
    assert!(cage.target().join(outside.strip_prefix("/").unwrap()).exists());
}

fn through_symlink() {
    for options in [mine(), execute()] {
        let cage = Cage::new();
        let outside = cage.outside();
        for target in [outside.to_str().unwrap(), "../outside", "../../../../../../../../..", "/"] {
            let layer = vec![symlink("l", target), file("l/canary", "dead"), file("l/new", ""), delete("l/canary")];
            cage.apply(&layer, &options).unwrap();
            assert!(!outside.join("new").exists());
        }
        // The same as what is inside a container: the target is the root.
        assert!(cage.target().join("outside/new").exists());
        assert!(cage.target().join("new").exists());
    }
}

fn hard_links() {
    let cage = Cage::new();
    let outside = cage.outside();
    let layer = vec![symlink("l", outside.to_str().unwrap()), hard_link("x", "l/canary")];
    let error = cage.apply(&layer, &execute()).unwrap_err();
    assert!(matches!(error, Error::LinkTarget { .. }), "{error}");
    assert_eq!(std::fs::metadata(outside.join("canary")).unwrap().nlink(), 1);
    // A link to the symbolic link itself is one more name of it, not of what it names.
    let layer = vec![symlink("s", outside.join("canary").to_str().unwrap()), hard_link("t", "s")];
    cage.apply(&layer, &execute()).unwrap();
    assert!(cage.target().join("t").is_symlink());
    assert_eq!(std::fs::metadata(outside.join("canary")).unwrap().nlink(), 1);
}

fn root_entry() {
    for name in [".", "./", "/"] {
        let cage = Cage::new();
        let outside = cage.outside();
        let link = raw(name, tar::EntryType::Symlink, outside.to_str().unwrap());
        let error = cage.apply_bytes(&link, &mine()).unwrap_err();
        assert!(matches!(error, Error::Archive { fault: Fault::Root | Fault::Contradiction(_), .. }), "{error}");
        assert!(cage.target().is_dir() && !cage.target().is_symlink());
    }
}

fn chmod() {
    let cage = Cage::new();
    let canary = cage.outside().join("canary");
    let canary = canary.to_str().unwrap();
    let fifo = put("p", Kind::Fifo, 0o777);
    for options in [mine(), execute()] {
        let layer =
            vec![symlink("d", canary), symlink("p", canary), directory("d", 0o777), fifo.clone(), symlink("e", canary)];
        cage.apply(&layer, &options).unwrap();
        assert!(cage.target().join("d").is_dir());
        assert_eq!(std::fs::metadata(cage.target().join("p")).unwrap().mode() & 0o7777, 0o777);
    }
}

fn special() {
    let cage = Cage::new();
    let canary = cage.outside().join("canary");
    let xattrs = [(b"trusted.x"[..].into(), b"y"[..].into())].into();
    let metadata = Metadata { mode: 0o777, uid: 77, gid: 77, xattrs, ..Metadata::default() };
    let kind = Kind::Symlink(canary.to_str().unwrap().as_bytes().into());
    let entry = Entry { path: "l".parse().unwrap(), kind, metadata };
    cage.apply(&vec![(Change::Put(entry), [][..].into())], &ApplyOptions::default()).unwrap();
    let made = std::fs::symlink_metadata(cage.target().join("l")).unwrap();
    assert_eq!((made.uid(), made.gid(), made.mtime()), (77, 77, 0));
    let mut value = [0; 4];
    assert_eq!(rustix::fs::lgetxattr(cage.target().join("l"), "trusted.x", &mut value), Ok(1));
}

fn whiteouts() {
    for name in [".wh...", ".wh..", ".wh.", "a/.wh...", "../.wh.outside"] {
        for options in [mine(), execute()] {
            let error = Cage::new().apply_bytes(&raw(name, tar::EntryType::Regular, ""), &options).unwrap_err();
            assert!(matches!(error, Error::Archive { .. }), "{name}: {error}");
        }
    }
    for name in [".wh..wh..opq/", ".wh.a/", ".wh..wh..opq/b", ".wh.a/b"] {
        let error = Cage::new().apply_bytes(&raw(name, tar::EntryType::Directory, ""), &mine()).unwrap_err();
        assert!(matches!(error, Error::Archive { fault: Fault::Whiteout, .. }), "{name}: {error}");
    }
    let cage = Cage::new();
    let outside = cage.outside();
    cage.apply(&vec![symlink("l", outside.to_str().unwrap()), delete("l/canary"), delete("l")], &execute()).unwrap();
}

fn circle() {
    for options in [mine(), execute()] {
        let layer = vec![symlink("a", "b"), symlink("b", "a"), file("a/x", "")];
        let error = Cage::new().apply(&layer, &options).unwrap_err();
        assert!(matches!(error, Error::LimitExceeded { limit: Limit::LinksFollowed, .. }), "{error}");
    }
    let mut layer: Layer = (0..39).map(|number| symlink(&format!("l{number}"), &format!("l{}", number + 1))).collect();
    layer.push(file("l0/x", ""));
    Cage::new().apply(&layer, &mine()).unwrap();
}

fn duplicates() {
    let cage = Cage::new();
    let layer = vec![
        directory("d", 0o700),
        file("d/x", "1"),
        file("d", "now a file"),
        symlink("s", "/"),
        directory("s", 0o755),
        file("s/y", ""),
        file("s", "2"),
        file("s", "3"),
        hard_link("h", "s"),
        file("s", "4"),
    ];
    cage.apply(&layer, &mine()).unwrap();
    assert_eq!(std::fs::read_to_string(cage.target().join("d")).unwrap(), "now a file");
    assert_eq!(std::fs::read_to_string(cage.target().join("s")).unwrap(), "4");
    assert_eq!(std::fs::read_to_string(cage.target().join("h")).unwrap(), "3");
    assert!(!cage.target().join("y").exists());
}

fn with_xattrs(path: &str, kind: Kind, names: &[&str]) -> (Change, std::sync::Arc<[u8]>) {
    let xattrs = names.iter().map(|name| (name.as_bytes().into(), b"y"[..].into())).collect();
    let metadata = Metadata { mode: 0o755, xattrs, ..Metadata::default() };
    (Change::Put(Entry { path: path.parse().unwrap(), kind, metadata }), [][..].into())
}

fn forged() {
    let cage = Cage::new();
    let forged =
        ["trusted.overlay.opaque", "user.overlay.whiteout", "user.overlay.redirect", "trusted.overlay.metacopy"];
    let layer = vec![
        with_xattrs("d", Kind::Directory, &forged),
        with_xattrs("f", Kind::File { size: 0 }, &[&forged[..], &["trusted.kept"]].concat()),
    ];
    let applied = cage.apply(&layer, &mine()).unwrap();
    let notices: Vec<_> = applied.notices.iter().map(|notice| (notice.kind, notice.count)).collect();
    assert_eq!(notices, [(NoticeKind::OverlayXattr, 8)]);
    for name in ["d", "f"] {
        let mut names = vec![0; 4096];
        let length = rustix::fs::listxattr(cage.target().join(name), &mut names).unwrap();
        let names = String::from_utf8_lossy(&names[..length]).into_owned();
        assert!(!names.contains("overlay"), "{names:?}");
    }
    let mut value = [0; 4];
    assert_eq!(rustix::fs::getxattr(cage.target().join("f"), "trusted.kept", &mut value), Ok(1));
    let dropped = cage.apply(&layer, &ApplyOptions { xattrs: Xattrs::Drop, ..mine() }).unwrap();
    assert!(dropped.notices.iter().any(|notice| notice.kind == NoticeKind::DroppedXattr && notice.count == 1));
}

fn devices() {
    let device = |major, minor| {
        let number = DeviceNumber { major, minor };
        vec![put("dev", Kind::Device(DeviceKind::Character, number), 0o600)]
    };
    let with = |devices| ApplyOptions { devices, ..mine() };
    let error = Cage::new().apply(&device(1, 3), &mine()).unwrap_err();
    assert!(matches!(error, Error::DeviceRefused { kind: "character device", .. }), "{error}");
    let cage = Cage::new();
    let applied = cage.apply(&device(1, 3), &with(Devices::Skip)).unwrap();
    assert_eq!(applied.notices[0].kind, NoticeKind::Device);
    assert!(!cage.target().join("dev").exists());
    cage.apply(&device(1, 3), &with(Devices::Create)).unwrap();
    assert_eq!(std::fs::metadata(cage.target().join("dev")).unwrap().rdev(), rustix::fs::makedev(1, 3));
    // Overlay's own spelling of a deletion is not to be had from an archive.
    for devices in [Devices::Refuse, Devices::Skip, Devices::Create] {
        let error = Cage::new().apply(&device(0, 0), &with(devices)).unwrap_err();
        assert!(matches!(error, Error::DeviceRefused { .. }), "{error}");
    }
}

fn owned(path: &str, mode: u32, uid: u32, gid: u32) -> (Change, std::sync::Arc<[u8]>) {
    let metadata = Metadata { mode, uid, gid, ..Metadata::default() };
    (Change::Put(Entry { path: path.parse().unwrap(), kind: Kind::File { size: 0 }, metadata }), [][..].into())
}

fn set_id() {
    let cage = Cage::new();
    cage.apply(&vec![owned("s", 0o6755, 1000, 1001)], &ApplyOptions::default()).unwrap();
    let made = std::fs::metadata(cage.target().join("s")).unwrap();
    assert_eq!((made.mode() & 0o7777, made.uid(), made.gid()), (0o6755, 1000, 1001));
}

fn owners() {
    let range = |archive| vec![IdRange { archive, disk: 100_000 + archive, length: 10 }];
    let options = ApplyOptions { id_map: IdMap::Ranges { uids: range(0), gids: range(0) }, ..ApplyOptions::default() };
    let cage = Cage::new();
    cage.apply(&vec![owned("d/f", 0o644, 3, 4)], &options).unwrap();
    let owner = |name: &str| {
        let made = std::fs::metadata(cage.target().join(name)).unwrap();
        (made.uid(), made.gid())
    };
    assert_eq!((owner("d/f"), owner("d")), ((100_003, 100_004), (100_000, 100_000)));
    let error = Cage::new().apply(&vec![owned("f", 0o644, 3, 10)], &options).unwrap_err();
    assert!(matches!(error, Error::UnmappedOwner { kind: "gid", id: 10, .. }), "{error}");
    let error = Cage::new().apply(&vec![owned("f", 0o644, u32::MAX, 0)], &ApplyOptions::default()).unwrap_err();
    assert!(matches!(error, Error::UnmappedOwner { kind: "uid", .. }), "{error}");
}

fn look_alikes() {
    let cage = Cage::new();
    let names = ["a", "A", "\u{e9}", "e\u{301}", "\u{ff41}", "a ", "a."];
    cage.apply(&names.iter().map(|name| file(name, name)).collect(), &mine()).unwrap();
    for name in names {
        assert_eq!(std::fs::read_to_string(cage.target().join(name)).unwrap(), name);
    }
    let bytes = SafePath::parse(b"\xff\xfe").unwrap();
    let entry = Entry { path: bytes, kind: Kind::Directory, metadata: Metadata { mode: 0o755, ..Metadata::default() } };
    cage.apply(&vec![(Change::Put(entry), [][..].into())], &mine()).unwrap();
}

fn deep() {
    let cage = Cage::new();
    let long = "n".repeat(255);
    let path = [&long[..]; 15].join("/");
    cage.apply(&vec![file(&path, "deep")], &mine()).unwrap();
    assert_eq!(std::fs::read_to_string(cage.target().join(&path)).unwrap(), "deep");
    let error = Cage::new().apply(&vec![file(&["d"; 600].join("/"), "")], &mine());
    assert!(matches!(error, Err(Error::LimitExceeded { limit: Limit::Depth, .. })));
    let limits = Limits { entries: 10, ..Limits::default() };
    let many: Layer = (0..11).map(|number| file(&number.to_string(), "")).collect();
    let error = Cage::new().apply(&many, &ApplyOptions { limits, ..mine() }).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { limit: Limit::Entries, max: 10 }), "{error}");
}

/// A name this long is refused before any part of it is looked at, by whatever limit is left.
fn bottomless() {
    let archive = pax_named(&("d/".repeat(100_000) + "f"));
    let cage = Cage::new();
    let refused = |limits| cage.apply_bytes(&archive, &ApplyOptions { limits, ..mine() }).unwrap_err();
    let error = refused(Limits::default());
    assert!(matches!(error, Error::LimitExceeded { limit: Limit::PathBytes, max: 4095 }), "{error}");
    let error = refused(Limits { path_bytes: 1 << 20, ..Limits::default() });
    assert!(matches!(error, Error::LimitExceeded { limit: Limit::Depth, .. }), "{error}");
    // Without either the kernel's own bound is met, and nothing is made: a path of so many bytes is none to it.
    let error = refused(Limits { path_bytes: 1 << 20, depth: 200_000, ..Limits::default() });
    assert_eq!(error.errno(), Some(rustix::io::Errno::NAMETOOLONG.raw_os_error()), "{error}");
    assert_eq!(std::fs::read_dir(cage.target()).unwrap().count(), 0);
}

/// Says in a pax header of what is appended next, as `KEY=VALUE` each.
fn append_pax(builder: &mut tar::Builder<Vec<u8>>, said: &[String]) {
    let record = |text: &String| {
        let rest = text.len() + " \n".len();
        // A record's length counts its own digits.
        let length = (1..20).map(|digits| rest + digits).find(|length| length.to_string().len() == length - rest);
        format!("{} {text}\n", length.unwrap())
    };
    let records: String = said.iter().map(record).collect();
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::XHeader);
    header.set_size(records.len() as u64);
    header.set_cksum();
    builder.append_data(&mut header, "pax", records.as_bytes()).unwrap();
}

/// An archive of one empty file with a name in a pax header.
fn pax_named(name: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    append_pax(&mut builder, &[format!("path={name}")]);
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(0);
    header.set_cksum();
    builder.append_data(&mut header, "short", std::io::empty()).unwrap();
    builder.into_inner().unwrap()
}

/// The same header without end, and how often it was read.
struct Endless<'a> {
    block: [u8; 512],
    read: &'a AtomicU64,
}

impl std::io::Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let start = usize::try_from(self.read.load(Ordering::Relaxed) % 512).unwrap();
        let count = buffer.len().min(512 - start);
        buffer[..count].copy_from_slice(&self.block[start..start + count]);
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

fn endless_stream(read: &AtomicU64) -> Endless<'_> {
    let mut header = tar::Header::new_ustar();
    header.set_path("empty").unwrap();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header.set_cksum();
    Endless { block: *header.as_bytes(), read }
}

/// Names the part of this program that runs alone, so that its memory is its own.
const ALONE: &str = "WINDLASS_OVERLAY_ALONE";

/// The same empty file without end: a limit ends it, and what was read until then is all that it took.
fn endless() {
    let read = AtomicU64::new(0);
    let cage = Cage::new();
    let limits = Limits { entries: 1000, ..Limits::default() };
    let error = apply(endless_stream(&read), &cage.target(), &ApplyOptions { limits, ..mine() }).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { limit: Limit::Entries, max: 1000 }), "{error}");
    assert!(read.load(Ordering::Relaxed) < 1000 * 512 + (1 << 20), "{read:?} bytes were read");
    assert_eq!(listing(&cage.outside()), cage.before, "the canary was touched");
    assert!(Limits::default().entries < 10_000_000);
    let output = std::process::Command::new(std::env::current_exe().unwrap()).env(ALONE, "entries").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// All of them are read, none is remembered. `WINDLASS_ENTRIES=10000000` takes its time.
fn many_entries() {
    let wanted = std::env::var("WINDLASS_ENTRIES").map_or(100_000, |wanted| wanted.parse().unwrap());
    let read = AtomicU64::new(0);
    let limits = Limits { entries: wanted, ..Limits::default() };
    let mut reader = windlass_overlay::tar::Reader::new(endless_stream(&read), limits);
    for _ in 0..wanted {
        assert!(reader.next_entry().unwrap().is_some());
    }
    let error = reader.next_entry().unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { limit: Limit::Entries, max } if max == wanted), "{error}");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 12 << 10, "a peak of {peak} kB");
}

fn sparse() {
    // 1 GiB with one byte in the middle, as GNU tar writes it in version 1.0.
    let size = 1 << 30;
    let said = [
        "GNU.sparse.major=1".to_owned(),
        "GNU.sparse.minor=0".to_owned(),
        "GNU.sparse.name=holes".to_owned(),
        format!("GNU.sparse.realsize={size}"),
    ];
    let mut builder = tar::Builder::new(Vec::new());
    append_pax(&mut builder, &said);
    let mut content = b"1\n536870912\n1\n".to_vec();
    content.resize(512, 0);
    content.push(b'x');
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    builder.append_data(&mut header, "GNUSparseFile.0/holes", &content[..]).unwrap();
    let cage = Cage::new();
    cage.apply_bytes(&builder.into_inner().unwrap(), &mine()).unwrap();
    let made = std::fs::metadata(cage.target().join("holes")).unwrap();
    assert_eq!(made.len(), size);
    assert!(made.blocks() < 100, "{} blocks", made.blocks());
    let file = std::fs::File::open(cage.target().join("holes")).unwrap();
    let mut byte = [0];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut byte, 536_870_912).unwrap();
    assert_eq!(&byte, b"x");
}

fn mounts() {
    let cage = Cage::new();
    let at = cage.target().join("m");
    std::fs::create_dir(&at).unwrap();
    let store = windlass_overlay::LayerStore::open(&cage.directory.path().join("store")).unwrap();
    let snapshot = store.snapshot("s", &[]).unwrap();
    let guard = snapshot.mount(&windlass_overlay::MountOptions::default()).unwrap().attach(&at).unwrap();
    let error = cage.apply(&vec![file("m/x", "")], &execute()).unwrap_err();
    assert_eq!(error.errno(), Some(rustix::io::Errno::XDEV.raw_os_error()), "{error}");
    assert_eq!(std::fs::read_dir(Path::new(&at)).unwrap().count(), 0);
    guard.unmount().unwrap();
}

/// The bits are data there, and stay so: neither the target nor a mount over it gives anyone another's rights.
fn no_suid() {
    let directory = scratch();
    let disk = directory.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let _mounted = Tmpfs::new(&disk);
    let target = disk.join("target");
    std::fs::create_dir(&target).unwrap();
    let id = std::fs::read("/usr/bin/id").unwrap();
    let kind = Kind::File { size: id.len() as u64 };
    let metadata = Metadata { mode: 0o6755, uid: 4321, gid: 4321, ..Metadata::default() };
    let entry = Entry { path: "id".parse().unwrap(), kind, metadata };
    let layer = archive(&[(Change::Put(entry), id.into())]);
    apply(&layer[..], &target, &ApplyOptions::default()).unwrap();
    let store = windlass_overlay::LayerStore::open(&disk.join("store")).unwrap();
    let layer = store.ingest(&layer[..], &ApplyOptions::default()).unwrap();
    let view = store.view("v", &[layer]).unwrap();
    let view = view.mount(&windlass_overlay::MountOptions::default()).unwrap();
    let snapshot = store.snapshot("s", &[layer]).unwrap();
    let snapshot = snapshot.mount(&windlass_overlay::MountOptions::default()).unwrap();
    // What is attached nowhere honours no such bit anyway.
    let [view_at, snapshot_at] = ["view", "snapshot"].map(|name| directory.path().join(name));
    std::fs::create_dir(&view_at).unwrap();
    std::fs::create_dir(&snapshot_at).unwrap();
    let attached = [view.attach(&view_at).unwrap(), snapshot.attach(&snapshot_at).unwrap()];
    for root in [&*target, attached[0].path(), attached[1].path()] {
        let program = root.join("id");
        assert_eq!(std::fs::metadata(&program).unwrap().mode() & 0o7777, 0o6755, "the layer is as its archive says");
        let output = std::process::Command::new(&program).args(["-u"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0", "{} gave another's rights", root.display());
    }
}

/// A file system in memory that honours no set-id bits, until it is dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn new(at: &Path) -> Self {
        rustix::mount::mount("tmpfs", at, "tmpfs", rustix::mount::MountFlags::NOSUID, None).unwrap();
        Self(at.to_owned())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // What is still open below keeps it alive, nothing finds it by its path.
        let _: rustix::io::Result<()> = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

/// The longest name that a directory takes is taken from a pax header, a GNU long name and, as far as it reaches, the
/// header itself; one more byte is refused, and a header's own name counts for nothing beside a pax header's.
fn long_names() {
    for length in [1, 99, 100, 101, 154, 155, 156, 254, 255, 256, 257] {
        let name = "n".repeat(length);
        let mut spelled =
            vec![("pax", pax_named(&name)), ("pax, in directories", pax_named(&format!("{name}/{name}")))];
        let mut gnu = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(0);
        gnu.append_data(&mut header, &name, std::io::empty()).unwrap();
        spelled.push(("GNU", gnu.into_inner().unwrap()));
        if length <= 100 {
            spelled.push(("header", raw(&name, tar::EntryType::Regular, "")));
        }
        for (spelling, archive) in spelled {
            let cage = Cage::new();
            let applied = cage.apply_bytes(&archive, &mine());
            if length > 255 {
                let error = applied.unwrap_err();
                assert!(matches!(error, Error::LimitExceeded { limit: Limit::NameBytes, max: 255 }), "{error}");
                assert_eq!(std::fs::read_dir(cage.target()).unwrap().count(), 0, "{spelling} of {length}");
                continue;
            }
            applied.unwrap();
            let found: Vec<_> = std::fs::read_dir(cage.target()).unwrap().map(|found| found.unwrap().path()).collect();
            assert_eq!(found, [cage.target().join(&name)], "{spelling} of {length}");
            assert_eq!(found[0].is_dir(), spelling == "pax, in directories");
        }
    }
}
