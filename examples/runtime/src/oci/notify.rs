//! Readiness: what a container's program says of itself is passed on to the service manager that started this one.
//!
//! A caller that names a socket by `NOTIFY_SOCKET` waits for `READY=1` there. The container gets a socket of its own
//! beneath [`FOLDER`], and whoever begins its program listens at that until the program is ready.
//!
//! Source: `sd_notify(3)`.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, RawMode, chmodat};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, bind, connect, recv, send, sendmsg, socket_with,
};
use windlass_namespaces::{Command, Mount};

use super::failure::{Failure, Result};
use super::identity::Identity;
use super::store::Place;

const VARIABLE: &str = "NOTIFY_SOCKET";
/// The folder of a container's place that its process sees as [`INSIDE`].
const FOLDER: &str = "notify";
const INSIDE: &str = "/run/notify";
const SOCKET: &str = "notify.sock";
/// Whoever the program runs as may speak.
const EVERYBODY: RawMode = 0o777;
/// How long the service manager may take to have read what it was told.
const BARRIER: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// The socket of whoever waits for the container's program to be ready.
#[derive(Debug)]
pub(super) struct Manager(SocketAddrUnix);

/// A socket at which the container's program may say that it is ready.
#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
    manager: Manager,
}

impl Manager {
    /// Who started this program, if they wait.
    pub(super) fn of_caller() -> Result<Option<Self>> {
        let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) else { return Ok(None) };
        let address = match path.as_bytes() {
            [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name),
            path => SocketAddrUnix::new(path),
        };
        Ok(Some(Self(address.map_err(Failure::during(format_args!("{VARIABLE}={}", path.display())))?)))
    }

    /// Has the container's process find a socket, which is listened at from [`listen`](Self::listen) on.
    pub(super) fn prepare(place: &Place, command: &mut Command) -> Result<()> {
        place.make_folder(FOLDER)?;
        command.mount(Mount::bind(place.file(FOLDER), INSIDE).read_only().no_suid().no_dev().no_exec());
        command.env(VARIABLE, format!("{INSIDE}/{SOCKET}"));
        Ok(())
    }

    /// Begins to listen; `None` for a container that was created without.
    pub(super) fn listen(self, place: &Place) -> Result<Option<Listener>> {
        if !place.has(FOLDER)? {
            return Ok(None);
        }
        let doing = || Failure::during(format!("listen at {}", place.file(FOLDER).join(SOCKET).display()));
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).map_err(doing())?;
        let name = format!("{FOLDER}/{SOCKET}");
        place.drop_file(&name)?;
        // Through the directory's descriptor, since an address has only 107 bytes for a path.
        let address = SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", place.as_fd().as_raw_fd()));
        bind(&socket, &address.map_err(doing())?).map_err(doing())?;
        chmodat(place, name, Mode::from_raw_mode(EVERYBODY), rustix::fs::AtFlags::empty()).map_err(doing())?;
        Ok(Some(Listener { socket, manager: self }))
    }

    /// Says that a process is ready, and waits until that was read: a manager may look who said it.
    fn tell(&self, said: &str, pid: u32) -> Result<()> {
        let doing = || Failure::during(format!("tell {VARIABLE}"));
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
        let socket = socket.map_err(doing())?;
        connect(&socket, &self.0).map_err(doing())?;
        let text = format!("{said}\nMAINPID={pid}\n");
        retry_on_intr(|| send(&socket, text.as_bytes(), SendFlags::NOSIGNAL)).map_err(doing())?;
        let (here, there) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(doing())?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [there.as_fd()];
        let fits = control.push(SendAncillaryMessage::ScmRights(&descriptors));
        assert!(fits, "the space is for one descriptor");
        let barrier = [IoSlice::new(b"BARRIER=1")];
        retry_on_intr(|| sendmsg(&socket, &barrier, &mut control, SendFlags::NOSIGNAL)).map_err(doing())?;
        drop(there);
        // The other end closes when it was taken, also by who does not know what it is for.
        let mut closed = [PollFd::new(&here, PollFlags::empty())];
        retry_on_intr(|| poll(&mut closed, Some(&BARRIER))).map_err(doing())?;
        Ok(())
    }
}

impl Listener {
    /// Passes on what was said so far, with `pid` as the one to watch; whether that was the readiness.
    pub(super) fn pass_on(&self, pid: u32) -> Result<bool> {
        let mut buffer = [0; 4096];
        loop {
            let length = match retry_on_intr(|| recv(&self.socket, &mut buffer[..], RecvFlags::empty())) {
                Ok((length, _)) => length,
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(Failure::during("listen for readiness")(error)),
            };
            let text = String::from_utf8_lossy(&buffer[..length]);
            if let Some(said) = text.lines().find(|line| line.starts_with("READY=")) {
                return self.manager.tell(said, pid).map(|()| true);
            }
        }
    }

    /// Waits until the process is ready, or has ended.
    pub(super) fn wait(&self, process: Identity) -> Result<()> {
        let Some(pidfd) = process.open()? else { return Ok(()) };
        loop {
            let mut descriptors = [PollFd::new(self, PollFlags::IN), PollFd::new(&pidfd, PollFlags::IN)];
            match poll(&mut descriptors, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(Failure::during("wait for readiness")(error)),
            }
            let has_ended = descriptors[1].revents().contains(PollFlags::IN);
            if self.pass_on(process.pid)? || has_ended {
                return Ok(());
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
