//! Trees as tar streams and back, by descriptors: neither side is trusted, and either may change meanwhile.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, chownat, fchmod, linkat,
    mkdirat, mknodat, openat, openat2, readlinkat, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use windlass_overlay::tar::{Reader, Writer};
use windlass_overlay::{DeviceKind, DeviceNumber, Entry, Kind, Limits, Metadata, SafePath, Timestamp};

use super::failure::Failure;
use super::xattr;

/// Whose the copies are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The numbers of the archive.
    Kept,
    /// Whoever extracts.
    Caller,
}

/// Deeper trees are taken for an attack.
const DEPTH_MAX: usize = 1000;

/// Writes what `directory` has at `name`, with all beneath, as an archive whose first entry is called `renamed`.
pub(super) fn archive<W: Write>(
    directory: BorrowedFd<'_>,
    name: &Path,
    renamed: &SafePath,
    out: W,
) -> Result<W, Failure> {
    let mut writer = Writer::new(out);
    add(&mut writer, directory, name, renamed, 0)?;
    writer.finish().map_err(Failure::during("write the archive"))
}

/// Writes what is in `directory`, without the directory itself.
pub(super) fn archive_contents<W: Write>(directory: BorrowedFd<'_>, out: W) -> Result<W, Failure> {
    let mut writer = Writer::new(out);
    add_children(&mut writer, directory, &SafePath::root(), 0)?;
    writer.finish().map_err(Failure::during("write the archive"))
}

fn add<W: Write>(
    writer: &mut Writer<W>,
    parent: BorrowedFd<'_>,
    name: &Path,
    path: &SafePath,
    depth: usize,
) -> Result<(), Failure> {
    let doing = || format!("read {}", name.display());
    let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(Failure::during(doing()))?;
    let mut metadata = metadata(&stat);
    let entry = |kind, metadata: &Metadata| Entry { path: path.clone(), kind, metadata: metadata.clone() };
    let failed = || Failure::during(format!("archive {path}"));
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = File::from(openat(parent, name, flags, Mode::empty()).map_err(Failure::during(doing()))?);
            // Asked of what was opened: the name may mean another file by now.
            let found = file.metadata().map_err(Failure::during(doing()))?;
            if !found.is_file() {
                return Err(Failure::new(format!("{}: it changed while it was read", doing())));
            }
            metadata.xattrs = xattr::read(file.as_fd()).map_err(Failure::during(doing()))?;
            writer.append(&entry(Kind::File { size: found.len() }, &metadata), &mut &file).map_err(failed())
        }
        FileType::Directory => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let directory = openat(parent, name, flags, Mode::empty()).map_err(Failure::during(doing()))?;
            metadata.xattrs = xattr::read(directory.as_fd()).map_err(Failure::during(doing()))?;
            writer.append(&entry(Kind::Directory, &metadata), &mut std::io::empty()).map_err(failed())?;
            add_children(writer, directory.as_fd(), path, depth + 1)
        }
        FileType::Symlink => {
            let target = readlinkat(parent, name, Vec::new()).map_err(Failure::during(doing()))?;
            let entry = entry(Kind::Symlink(target.into_bytes().into()), &metadata);
            writer.append(&entry, &mut std::io::empty()).map_err(failed())
        }
        FileType::Fifo => writer.append(&entry(Kind::Fifo, &metadata), &mut std::io::empty()).map_err(failed()),
        kind @ (FileType::CharacterDevice | FileType::BlockDevice) => {
            let number =
                DeviceNumber { major: rustix::fs::major(stat.st_rdev), minor: rustix::fs::minor(stat.st_rdev) };
            let kind = if kind == FileType::BlockDevice { DeviceKind::Block } else { DeviceKind::Character };
            writer.append(&entry(Kind::Device(kind, number), &metadata), &mut std::io::empty()).map_err(failed())
        }
        // A socket is an end of a connection, not content.
        _ => Ok(()),
    }
}

fn add_children<W: Write>(
    writer: &mut Writer<W>,
    directory: BorrowedFd<'_>,
    path: &SafePath,
    depth: usize,
) -> Result<(), Failure> {
    if depth > DEPTH_MAX {
        return Err(Failure::new(format!("archive {path}: more than {DEPTH_MAX} directories deep")));
    }
    let doing = || format!("list {path}");
    let mut names = Vec::new();
    for child in Dir::read_from(directory).map_err(Failure::during(doing()))? {
        let child = child.map_err(Failure::during(doing()))?;
        if !matches!(child.file_name().to_bytes(), b"." | b"..") {
            names.push(child.file_name().to_bytes().to_vec());
        }
    }
    names.sort_unstable();
    for name in names {
        let below = path.join(&name).map_err(Failure::during(doing()))?;
        let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(&name);
        add(writer, directory, Path::new(name), &below, depth)?;
    }
    Ok(())
}

fn metadata(stat: &Stat) -> Metadata {
    let mtime =
        Timestamp { seconds: stat.st_mtime, nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or_default() };
    Metadata { mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid, mtime, ..Metadata::default() }
}

/// Makes the archive's entries beneath `root`; nothing is written outside it and no link is followed.
pub(super) fn extract(stream: impl Read, root: BorrowedFd<'_>, owner: Owner) -> Result<u64, Failure> {
    let mut reader = Reader::new(stream, Limits::default());
    let mut directories = Vec::new();
    let mut count = 0;
    while let Some(entry) = reader.next_entry().map_err(Failure::during("read the archive"))? {
        let doing = || format!("extract {}", entry.path);
        make(&mut reader, root, &entry, owner).map_err(|failure| Failure::new(format!("{}: {failure}", doing())))?;
        if entry.kind == Kind::Directory {
            directories.push(entry);
        }
        count += 1;
    }
    // What was made in a directory changed its time, and its mode may forbid making more.
    for entry in directories.iter().rev().filter(|entry| !entry.path.is_root()) {
        let (parent, name) = place(root, &entry.path)?;
        finish(parent.as_fd(), name, entry, owner).map_err(Failure::during(format_args!("extract {}", entry.path)))?;
    }
    Ok(count)
}

/// The directory that an entry is in, which is made where it is missing, and the name in it.
fn place<'e>(root: BorrowedFd<'_>, path: &'e SafePath) -> Result<(OwnedFd, &'e Path), Failure> {
    let parent = path.parent().unwrap_or_else(SafePath::root);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let opened = match openat2(root, parent.as_path(), flags, Mode::empty(), resolve) {
        Err(Errno::NOENT) => {
            let (above, name) = place(root, &parent)?;
            match mkdirat(&above, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(Failure::during(format_args!("create {parent}"))(errno)),
            }
            openat2(root, parent.as_path(), flags, Mode::empty(), resolve)
        }
        opened => opened,
    };
    let name = path.as_path().file_name().map_or(Path::new("."), Path::new);
    Ok((opened.map_err(Failure::during(format_args!("open {parent}")))?, name))
}

fn make<R: Read>(reader: &mut Reader<R>, root: BorrowedFd<'_>, entry: &Entry, owner: Owner) -> Result<(), Failure> {
    if entry.path.is_root() {
        return Ok(());
    }
    let (parent, name) = place(root, &entry.path)?;
    let failed = |op: &'static str| move |errno: Errno| Failure::during(op)(errno);
    let parent_fd = parent.as_fd();
    match &entry.kind {
        Kind::Directory => {
            return match mkdirat(parent_fd, name, Mode::from_raw_mode(0o700)) {
                Err(Errno::EXIST) if is_directory(parent_fd, name) => Ok(()),
                made => made.map_err(failed("mkdir")),
            };
        }
        Kind::File { size } => {
            let file = make_file(parent_fd, name)?;
            fill(reader, &file)?;
            // A hole at the end is not written.
            file.set_len(*size).map_err(Failure::during("write"))?;
        }
        Kind::Symlink(target) => {
            clear(parent_fd, name)?;
            symlinkat(&**target, parent_fd, name).map_err(failed("symlink"))?;
        }
        Kind::HardLink(target) => {
            let (target_parent, target_name) = place(root, target)?;
            clear(parent_fd, name)?;
            return linkat(target_parent, target_name, parent_fd, name, AtFlags::empty()).map_err(failed("link"));
        }
        Kind::Fifo => {
            clear(parent_fd, name)?;
            mknodat(parent_fd, name, FileType::Fifo, Mode::from_raw_mode(0o600), 0).map_err(failed("mkfifo"))?;
        }
        Kind::Device(kind, number) => {
            clear(parent_fd, name)?;
            let kind = if *kind == DeviceKind::Block { FileType::BlockDevice } else { FileType::CharacterDevice };
            let device = rustix::fs::makedev(number.major, number.minor);
            mknodat(parent_fd, name, kind, Mode::from_raw_mode(0o600), device).map_err(failed("mknod"))?;
        }
    }
    finish(parent_fd, name, entry, owner).map_err(failed("set its owner, mode and time"))
}

fn is_directory(parent: BorrowedFd<'_>, name: &Path) -> bool {
    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Takes away what has the name; a directory stays and is the failure of what comes next.
fn clear(parent: BorrowedFd<'_>, name: &Path) -> Result<(), Failure> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
        Err(errno) => Err(Failure::during("unlink")(errno)),
    }
}

fn make_file(parent: BorrowedFd<'_>, name: &Path) -> Result<File, Failure> {
    clear(parent, name)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::from_raw_mode(0o600)).map(File::from).map_err(Failure::during("create"))
}

fn fill<R: Read>(reader: &mut Reader<R>, file: &File) -> Result<(), Failure> {
    use std::os::unix::fs::FileExt as _;
    let mut buffer = vec![0; 64 << 10];
    while let Some(chunk) = reader.read_chunk(&mut buffer).map_err(Failure::during("read the archive"))? {
        file.write_all_at(&buffer[..chunk.length], chunk.offset).map_err(Failure::during("write"))?;
    }
    Ok(())
}

fn finish(parent: BorrowedFd<'_>, name: &Path, entry: &Entry, owner: Owner) -> rustix::io::Result<()> {
    let Metadata { mode, uid, gid, mtime, xattrs } = &entry.metadata;
    if owner == Owner::Kept {
        let ids = (Some(Uid::from_raw(*uid)), Some(Gid::from_raw(*gid)));
        chownat(parent, name, ids.0, ids.1, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    match entry.kind {
        Kind::Symlink(_) => {}
        Kind::Directory | Kind::File { .. } => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let opened = openat(parent, name, flags, Mode::empty())?;
            fchmod(&opened, Mode::from_raw_mode(*mode))?;
            xattr::write(opened.as_fd(), xattrs.iter().filter(|(name, _)| is_copied(name, owner)))?;
        }
        _ => rustix::fs::chmodat(parent, name, Mode::from_raw_mode(*mode), AtFlags::empty())?,
    }
    let time = Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanoseconds.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

/// Whether an attribute goes with a copy: what users say of their files; what gives rights, with the owners alone.
fn is_copied(name: &[u8], owner: Owner) -> bool {
    let gives_rights = name == b"security.capability" || name.starts_with(b"system.posix_acl_");
    name.starts_with(b"user.") || gives_rights && owner == Owner::Kept
}

/// Copies what is in one directory into another, with all owners.
pub(super) fn copy_contents(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Failure> {
    let (read, write) = std::io::pipe().map_err(Failure::during("make a pipe"))?;
    let (sent, received) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| archive_contents(from, write).map(drop));
        let received = extract(read, to, Owner::Kept);
        (sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), received)
    });
    // The receiver's failure is why the sender could not go on.
    received.and(sent)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn open(path: &Path) -> File {
        File::open(path).unwrap()
    }

    #[test]
    fn a_tree_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("sub/empty")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("sub/file"), "text").unwrap();
        fs::set_permissions(from.join("sub/file"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::set_permissions(from.join("sub/empty"), fs::Permissions::from_mode(0o500)).unwrap();
        symlink("/etc/passwd", from.join("link")).unwrap();
        let attributes = [(&b"user.note"[..], &b"kept\0whole"[..]), (b"user.empty", b"")];
        let attributes = attributes.map(|(name, value)| (Box::from(name), Box::from(value))).into();
        for path in ["sub", "sub/file"] {
            xattr::write(open(&from.join(path)).as_fd(), xattr::Xattrs::iter(&attributes)).unwrap();
            assert_eq!(
                xattr::read(open(&from.join(path)).as_fd()).unwrap(),
                attributes,
                "needs a file system with them"
            );
        }
        copy_contents(open(&from).as_fd(), open(&to).as_fd()).unwrap();
        assert_eq!(fs::read_to_string(to.join("sub/file")).unwrap(), "text");
        assert_eq!(fs::metadata(to.join("sub/file")).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::metadata(to.join("sub/empty")).unwrap().permissions().mode() & 0o7777, 0o500);
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/etc/passwd"));
        for path in ["sub", "sub/file"] {
            assert_eq!(xattr::read(open(&to.join(path)).as_fd()).unwrap(), attributes);
        }
        let times = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
        assert_eq!(times(&from.join("sub")), times(&to.join("sub")));
        // A second time over what is there.
        copy_contents(open(&from).as_fd(), open(&to).as_fd()).unwrap();
    }

    #[test]
    fn attributes_that_give_rights_go_with_the_owner() {
        for (name, kept, callers) in [
            ("user.note", true, true),
            ("security.capability", true, false),
            ("system.posix_acl_access", true, false),
            ("trusted.overlay.opaque", false, false),
            ("security.selinux", false, false),
        ] {
            let copied = |owner| is_copied(name.as_bytes(), owner);
            assert_eq!((copied(Owner::Kept), copied(Owner::Caller)), (kept, callers), "{name}");
        }
    }

    #[test]
    fn an_archive_writes_nothing_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink(&outside, root.join("way")).unwrap();
        fs::write(outside.join("canary"), "kept").unwrap();
        symlink(outside.join("canary"), root.join("file")).unwrap();
        let write = |path: &str| {
            let mut writer = Writer::new(Vec::new());
            let entry = Entry {
                path: path.parse().unwrap(),
                kind: Kind::File { size: 1 },
                metadata: Metadata { mode: 0o600, ..Metadata::default() },
            };
            writer.append(&entry, &mut &b"x"[..]).unwrap();
            writer.finish().unwrap()
        };
        assert!(extract(&write("way/canary")[..], open(&root).as_fd(), Owner::Caller).is_err());
        extract(&write("file")[..], open(&root).as_fd(), Owner::Caller).unwrap();
        assert_eq!(fs::read_to_string(outside.join("canary")).unwrap(), "kept");
        assert_eq!(fs::read_to_string(root.join("file")).unwrap(), "x");
    }
}
