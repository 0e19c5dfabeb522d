//! Making a gate, and opening it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use crate::error::{Error, Result};
use crate::gate::{Gate, GateKind, RECORD_MAX};
use crate::spawn::hook_failure;
use crate::sys::{Call, MESSAGE_LENGTH, Message};

/// Lets the program begin that waits at a [`Gate`]. That of a [pair](Gate::pair), dropped unused, ends the process.
#[derive(Debug)]
pub struct Opener {
    socket: OwnedFd,
}

/// How many may come to a named gate at once; one is let through.
const BACKLOG: i32 = 4;

impl Gate {
    /// A gate that is opened from within this process.
    pub fn pair() -> Result<(Self, Opener)> {
        let (family, kind, flags) = (AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let (descriptor, socket) = rustix::net::socketpair(family, kind, flags, None)
            .map_err(|errno| Error::sys("socketpair", "gate", errno))?;
        Ok((Self { descriptor, kind: GateKind::Paired }, Opener { socket }))
    }

    /// A gate with a name: a socket at `path`, which is made and must not exist. Its owner alone may open it, from any
    /// process and also after this one ended, by [`Opener::connect`]; who made it removes it.
    ///
    /// # Errors
    /// [`Error::Sys`] with `EADDRINUSE` where something is at `path`.
    pub fn bind(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let descriptor = socket()?;
        let object = || path.display().to_string();
        // The mode of the socket is that of the file it will be, less the umask.
        rustix::fs::fchmod(&descriptor, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| Error::sys("fchmod", object(), errno))?;
        let place = Place::of(path)?;
        rustix::net::bind(&descriptor, &place.address()?).map_err(|errno| Error::sys("bind", object(), errno))?;
        rustix::net::listen(&descriptor, BACKLOG).map_err(|errno| Error::sys("listen", object(), errno))?;
        Ok(Self { descriptor, kind: GateKind::Named })
    }
}

impl Opener {
    /// Comes to the gate of this name, in whatever process.
    ///
    /// # Errors
    /// [`Error::Sys`] with `ENOENT` where no gate is, and `ECONNREFUSED` where nobody waits any more.
    pub fn connect(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let socket = socket()?;
        let place = Place::of(path)?;
        rustix::net::connect(&socket, &place.address()?)
            .map_err(|errno| Error::sys("connect", path.display().to_string(), errno))?;
        Ok(Self { socket })
    }

    /// Lets the program begin, and returns once it has.
    ///
    /// # Errors
    /// [`Error::Child`] for what failed between gate and exec; the process is gone then. [`Error::Sys`] with
    /// `ECONNRESET` or `EPIPE` where another one opened first or the process was killed at the gate.
    pub fn open(self) -> Result<()> {
        let sys = |op| move |errno: rustix::io::Errno| Error::sys(op, "gate", errno);
        rustix::io::retry_on_intr(|| rustix::net::send(&self.socket, &[1], SendFlags::NOSIGNAL))
            .map_err(sys("send"))?;
        let mut record = [0; RECORD_MAX];
        let (length, _) =
            rustix::io::retry_on_intr(|| rustix::net::recv(&self.socket, &mut record[..], RecvFlags::empty()))
                .map_err(sys("recv"))?;
        match record.get(..length) {
            // The other end closed with the exec.
            Some([]) | None => Ok(()),
            Some(record) => Err(failure(record)),
        }
    }
}

/// The error that a record from behind the gate tells of.
fn failure(record: &[u8]) -> Error {
    let (head, text) = record.split_at(MESSAGE_LENGTH.min(record.len()));
    let message = head.try_into().ok().and_then(Message::decode);
    let text = String::from_utf8_lossy(text);
    let (call, errno) = match message {
        Some(Message::Failed { call, errno, .. }) => (call, errno),
        Some(Message::HookFailed { end, .. }) => {
            let hook = text.lines().next().unwrap_or_default().to_owned();
            return hook_failure(hook, end, &text);
        }
        _ => return Error::Malformed { reason: "what answers at the gate is no process of this library" },
    };
    let op = Call::from_index(call).map_or("system call", Call::name);
    let source = io::Error::from_raw_os_error(errno);
    Error::Child { step: text.into_owned(), op, source }
}

fn socket() -> Result<OwnedFd> {
    let (family, kind, flags) = (AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    rustix::net::socket_with(family, kind, flags, None).map_err(|errno| Error::sys("socket", "gate", errno))
}

/// A name in an open directory: the path of a socket is limited to 107 bytes, that of a directory is not.
struct Place {
    directory: OwnedFd,
    name: PathBuf,
}

impl Place {
    fn of(path: &Path) -> Result<Self> {
        let invalid = || Error::invalid("gate", path.display().to_string(), "names no file");
        let name = path.file_name().ok_or_else(invalid)?;
        let parent = path.parent().filter(|parent| *parent != OsStr::new("")).unwrap_or(Path::new("."));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, parent, flags, Mode::empty())
            .map_err(|errno| Error::sys("open", parent.display().to_string(), errno))?;
        Ok(Self { directory, name: name.into() })
    }

    fn address(&self) -> Result<SocketAddrUnix> {
        let path = Path::new("/proc/self/fd").join(self.directory.as_raw_fd().to_string()).join(&self.name);
        SocketAddrUnix::new(&path).map_err(|errno| Error::sys("bind", self.name.display().to_string(), errno))
    }
}
