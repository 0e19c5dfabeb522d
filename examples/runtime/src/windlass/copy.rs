//! `cp`: between a container, this machine and tar streams.
//!
//! A container's side is resolved with its own root as the root of every link, and walked by descriptors: what a running
//! container exchanges meanwhile leads nowhere else.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, fstat, mkdirat};
use rustix::io::Errno;
use windlass_overlay::{MountOptions, SafePath};

use super::cli::Copy;
use super::containers::Containers;
use super::failure::Failure;
use super::home::Home;
use super::identity::Identity;
use super::mounts::Source;
use super::record::Config;
use super::transfer::{self, Owner};
use super::volumes::Volumes;
use super::{inside, status};

/// One side of a copy.
enum Side {
    Stream,
    Path(PathBuf),
    Container { name: String, path: PathBuf },
}

impl Side {
    fn parse(text: &str) -> Self {
        if text == "-" {
            return Self::Stream;
        }
        match text.split_once(':') {
            Some((name, path)) if !name.is_empty() && !name.contains('/') && !name.starts_with('.') => {
                // A container has no working directory to count from but its root.
                Self::Container { name: name.to_owned(), path: Path::new("/").join(path) }
            }
            _ => Self::Path(text.into()),
        }
    }
}

/// The container that a copy touches, for an ordinary user to enter its user namespace first.
pub(super) fn running_process(containers: &Containers, request: &Copy) -> Result<Option<Identity>, Failure> {
    for text in [&request.from, &request.to] {
        if let Side::Container { name, .. } = Side::parse(text) {
            let (container, _) = containers.find(&name)?;
            return Ok(status::of(&container)?.1.process.filter(Identity::is_alive));
        }
    }
    Ok(None)
}

pub(super) fn copy(home: &Home, containers: &Containers, request: &Copy) -> Result<u8, Failure> {
    let owner = if request.archive { Owner::Kept } else { Owner::Caller };
    match (Side::parse(&request.from), Side::parse(&request.to)) {
        (Side::Container { name, path }, Side::Stream) => {
            let tree = Tree::of_container(home, containers, &name, &path)?;
            let from = tree.source(&request.from)?;
            from.archive(&from.own_name()?, io::stdout().lock())?;
        }
        (Side::Container { name, path }, Side::Path(to)) => {
            let from = Tree::of_container(home, containers, &name, &path)?;
            transfer_between(&from.source(&request.from)?, &Tree::of_host(&to)?, &request.to, owner)?;
        }
        (Side::Path(from), Side::Container { name, path }) => {
            let to = Tree::of_container(home, containers, &name, &path)?;
            transfer_between(&Tree::of_host(&from)?.source(&request.from)?, &to, &request.to, owner)?;
        }
        (Side::Stream, Side::Container { name, path }) => {
            let to = Tree::of_container(home, containers, &name, &path)?;
            let directory =
                to.open(&to.path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(Failure::during(&request.to))?;
            transfer::extract(io::stdin().lock(), directory.as_fd(), owner)?;
        }
        _ => return Err(Failure::new("one side of a copy is a container, as CONTAINER:PATH, and the other is not")),
    }
    Ok(0)
}

/// A root of paths, and a path below it.
struct Tree {
    root: OwnedFd,
    path: PathBuf,
    is_host: bool,
}

impl Tree {
    fn of_host(path: &Path) -> Result<Self, Failure> {
        let root = File::open("/").map_err(Failure::during("open /"))?;
        let absolute = std::path::absolute(path).map_err(Failure::during(path.display()))?;
        // `absolute` keeps neither a final slash nor a final dot, which mean something here.
        let text = path.to_string_lossy();
        let end = if text.ends_with("/.") || text == "." { "/." } else { "" };
        Ok(Self { root: root.into(), path: format!("{}{end}", absolute.display()).into(), is_host: true })
    }

    /// The container's tree as its programs see it; of one that does not run its layers and volumes.
    fn of_container(home: &Home, containers: &Containers, name: &str, path: &Path) -> Result<Self, Failure> {
        let (container, config) = containers.find(name)?;
        let (_, state) = status::of(&container)?;
        if let Some(process) = state.process.filter(Identity::is_alive) {
            return Ok(Self { root: process.open_proc("root")?, path: path.to_owned(), is_host: false });
        }
        if let Some(tree) = in_volume(&config, &Volumes::open(&home.root), path)? {
            return Ok(tree);
        }
        let snapshot = home.layers.open_snapshot(&config.id).map_err(Failure::during("open the container's layers"))?;
        let root = snapshot.mount(&MountOptions::default()).map_err(Failure::during("mount the root file system"))?;
        Ok(Self { root: root.into(), path: path.to_owned(), is_host: false })
    }

    fn open(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        if self.is_host {
            // This machine's own links lead where they lead, also to descriptors.
            return rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty());
        }
        inside::open(self.root.as_fd(), path, flags)
    }

    /// What is to be copied: the directory that holds it and its name, or all that is in a directory.
    fn source(&self, shown: &str) -> Result<From, Failure> {
        let opened = |path: &Path, flags| self.open(path, flags).map_err(Failure::during(shown));
        let text = self.path.to_string_lossy();
        let contents = text.ends_with("/.") || text == "/";
        if contents {
            return Ok(From {
                directory: opened(&self.path, OFlags::RDONLY | OFlags::DIRECTORY)?,
                name: None,
                path: self.path.clone(),
            });
        }
        let (parent, name) = inside::parent_and_name(&self.path).map_err(Failure::during(shown))?;
        let directory = opened(&parent, OFlags::RDONLY | OFlags::DIRECTORY)?;
        rustix::fs::statat(&directory, &name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).map_err(Failure::during(shown))?;
        Ok(From { directory, name: Some(name), path: self.path.clone() })
    }
}

/// The volume or bind that is mounted above a path of a container that does not run.
fn in_volume(config: &Config, volumes: &Volumes, path: &Path) -> Result<Option<Tree>, Failure> {
    let above = config.mounts.iter().filter(|mounted| path.starts_with(&mounted.target));
    let Some(mounted) = above.max_by_key(|mounted| mounted.target.components().count()) else { return Ok(None) };
    let host = match &mounted.source {
        Source::Bind(host) if host.is_dir() => host.clone(),
        Source::Volume(name) => volumes.data(name)?,
        Source::Bind(_) | Source::Anonymous | Source::Tmpfs(_) => return Ok(None),
    };
    let rest = path.strip_prefix(&mounted.target).unwrap_or(Path::new(""));
    let root = File::open(&host).map_err(Failure::during(host.display()))?;
    let path = if rest.as_os_str().is_empty() { PathBuf::from("/.") } else { Path::new("/").join(rest) };
    Ok(Some(Tree { root: root.into(), path, is_host: false }))
}

struct From {
    directory: OwnedFd,
    /// `None` for all that is in the directory.
    name: Option<PathBuf>,
    path: PathBuf,
}

impl From {
    fn own_name(&self) -> Result<SafePath, Failure> {
        match &self.name {
            Some(name) => safe(name),
            None => Ok(SafePath::root()),
        }
    }

    fn archive(&self, renamed: &SafePath, out: impl io::Write) -> Result<(), Failure> {
        match &self.name {
            Some(name) => transfer::archive(self.directory.as_fd(), name, renamed, out).map(drop),
            None => transfer::archive_contents(self.directory.as_fd(), out).map(drop),
        }
    }

    fn is_directory(&self) -> bool {
        let Some(name) = &self.name else { return true };
        rustix::fs::statat(&self.directory, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }
}

fn safe(name: &Path) -> Result<SafePath, Failure> {
    SafePath::parse(name.as_os_str().as_encoded_bytes()).map_err(Failure::during(name.display()))
}

/// Copies as `cp -r` does: into a directory that is there, or under a new name.
fn transfer_between(from: &From, to: &Tree, shown: &str, owner: Owner) -> Result<(), Failure> {
    let (directory, renamed) = match to.open(&to.path, OFlags::RDONLY | OFlags::NONBLOCK) {
        Ok(opened) if is_directory(opened.as_fd()) => (opened, from.own_name()?),
        Err(Errno::NOENT) | Ok(_) => new_name(from, to, shown)?,
        Err(errno) => return Err(Failure::during(shown)(errno)),
    };
    let (read, write) = io::pipe().map_err(Failure::during("make a pipe"))?;
    let (sent, received) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| from.archive(&renamed, write));
        let received = transfer::extract(read, directory.as_fd(), owner);
        (sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), received)
    });
    let named = |failure: Failure| Failure::new(format!("copy {} to {shown}: {failure}", from.path.display()));
    received.map_err(named)?;
    sent.map_err(named)
}

fn is_directory(descriptor: BorrowedFd<'_>) -> bool {
    fstat(descriptor).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// The directory above a target that is not there, or is a file, and the target's name in it.
fn new_name(from: &From, to: &Tree, shown: &str) -> Result<(OwnedFd, SafePath), Failure> {
    let exists = to.open(&to.path, OFlags::PATH).is_ok();
    if exists && from.is_directory() {
        return Err(Failure::new(format!("{shown}: a directory cannot take the place of a file")));
    }
    let (parent, name) = inside::parent_and_name(&to.path).map_err(Failure::during(shown))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let parent = to.open(&parent, flags).map_err(Failure::during(format_args!("{shown}: the directory above it")))?;
    if from.name.is_some() {
        return Ok((parent, safe(&name)?));
    }
    // All that is in a directory goes into a new one.
    mkdirat(&parent, &name, Mode::from_raw_mode(0o755)).map_err(Failure::during(shown))?;
    let made = rustix::fs::openat(&parent, &name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    Ok((made.map_err(Failure::during(shown))?, SafePath::root()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_told_apart() {
        for (text, expected) in [
            ("-", "stream"),
            ("box:/x", "box /x"),
            ("box:x", "box /x"),
            ("./a:b", "./a:b"),
            ("/a:b", "/a:b"),
            ("x", "x"),
        ] {
            let found = match Side::parse(text) {
                Side::Stream => "stream".to_owned(),
                Side::Path(path) => path.display().to_string(),
                Side::Container { name, path } => format!("{name} {}", path.display()),
            };
            assert_eq!(found, expected, "{text}");
        }
    }
}
