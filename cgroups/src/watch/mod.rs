//! One descriptor that tells when something happens to a group.

pub(crate) mod many;

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::io::Errno;

use crate::controller::Version;
use crate::error::{Error, Result};
use crate::format;
use crate::group::events::{GroupEvents, GroupState};
use crate::group::{Group, Member};

/// Something that happened to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The first process came, or the last one ended, in the group or below it; v2.
    Populated(bool),
    /// All processes are stopped, or run again; v2.
    Frozen(bool),
    /// The kernel killed processes for want of memory: how many since the last event.
    ///
    /// Kernel: see [`MemoryStats::oom_kills`](crate::MemoryStats::oom_kills).
    OomKilled(u64),
    /// Memory of a v1 group ran out, of which the kernel tells before it kills. `OomKilled` says what came of it.
    OutOfMemory,
    /// The group was removed: the last event.
    Removed,
}

/// Tells of what happens to a group.
///
/// Its descriptor is readable (`POLLIN`) when [`read`](Self::read) has something to look at, so that it fits any event
/// loop: poll, epoll, or an `AsyncFd` of tokio. A watch never blocks, and ends with its group: the last event is
/// [`Event::Removed`].
///
/// Kernel: `cgroup.events` and `memory.events` (v2), an event descriptor on `memory.oom_control` (v1), and a watch on
/// the directory above, since the kernel tells of a removal nowhere else.
#[derive(Debug)]
pub struct Watch {
    epoll: OwnedFd,
    members: Arc<Vec<Member>>,
    group_events: Option<(GroupEvents, GroupState)>,
    oom_kills: Option<(OomKillCount, u64)>,
    memory_eventfd: Option<OwnedFd>,
    removal: OwnedFd,
    removed: bool,
}

const GROUP_EVENTS: u64 = 0;
const MEMORY_EVENTS: u64 = 1;
const MEMORY_EVENTFD: u64 = 2;
const REMOVAL: u64 = 3;

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.epoll.as_raw_fd()
    }
}

impl Group {
    /// Starts to watch the group; what happens from now on is told.
    ///
    /// Errors: [`Error::Gone`] if the group was removed; [`Error::Sys`] where `/proc` is not mounted.
    pub fn events(&self) -> Result<Watch> {
        let sys = |op| move |error: Errno| Error::sys(op, self.name(), error);
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(sys("watch"))?;
        let removal = self.watch_removal()?;
        add(&epoll, &removal, REMOVAL, EventFlags::IN).map_err(sys("watch"))?;
        let group_events = match self.member_v2() {
            Some(member) => {
                let events = GroupEvents::open(&member.directory)?;
                add(&epoll, &events, GROUP_EVENTS, EventFlags::PRI).map_err(sys("watch"))?;
                let state = events.read()?;
                Some((events, state))
            }
            None => None,
        };
        let oom_kills = match OomKillCount::open(self)? {
            Some(count) => {
                if count.version == Version::V2 {
                    add(&epoll, &count.fd, MEMORY_EVENTS, EventFlags::PRI).map_err(sys("watch"))?;
                }
                let kills = count.read()?;
                Some((count, kills))
            }
            None => None,
        };
        let memory_eventfd = self.watch_memory_v1()?;
        if let Some(fd) = &memory_eventfd {
            add(&epoll, fd, MEMORY_EVENTFD, EventFlags::IN).map_err(sys("watch"))?;
        }
        Ok(Watch { epoll, members: self.hold_all(), group_events, oom_kills, memory_eventfd, removal, removed: false })
    }

    fn watch_removal(&self) -> Result<OwnedFd> {
        let sys = |error: Errno| Error::sys("watch the directories above", self.name(), error);
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).map_err(sys)?;
        for member in self.members() {
            // By descriptor, since only that surely is the directory above.
            let path = format!("/proc/self/fd/{}", member.parent.as_fd().as_raw_fd());
            inotify::add_watch(&fd, &path, WatchFlags::DELETE | WatchFlags::ONLYDIR).map_err(sys)?;
        }
        self.check_there()?;
        Ok(fd)
    }

    /// Registers an event descriptor for running out of memory with v1.
    fn watch_memory_v1(&self) -> Result<Option<OwnedFd>> {
        let Some(directory) = self.directory_of(Version::V1, "memory.oom_control") else { return Ok(None) };
        let Some(control) = directory.open("memory.oom_control")? else { return Ok(None) };
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| Error::sys("create an event descriptor for", self.name(), error))?;
        let line = format!("{} {}", fd.as_raw_fd(), control.as_raw_fd());
        directory.write_plainly("cgroup.event_control", &line)?;
        Ok(Some(fd))
    }
}

impl Watch {
    /// What happened since the last call; empty if nothing did. Does not wait.
    pub fn read(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        if self.removed {
            return Ok(events);
        }
        drain_inotify(&self.removal)?;
        if !self.members.iter().any(|member| member.directory.is_gone()) {
            match self.read_live(&mut events) {
                Ok(()) => return Ok(events),
                Err(Error::Gone { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.removed = true;
        events.push(Event::Removed);
        Ok(events)
    }

    fn read_live(&mut self, events: &mut Vec<Event>) -> Result<()> {
        if let Some((file, last)) = &mut self.group_events {
            let state = file.read()?;
            if state.populated != last.populated {
                events.push(Event::Populated(state.populated));
            }
            if state.frozen != last.frozen {
                events.push(Event::Frozen(state.frozen));
            }
            *last = state;
        }
        if let Some(fd) = &self.memory_eventfd
            && drain_counter(fd)?
        {
            events.push(Event::OutOfMemory);
        }
        if let Some((count, last)) = &mut self.oom_kills {
            let kills = count.read()?;
            if kills > *last {
                events.push(Event::OomKilled(kills - *last));
            }
            *last = kills;
        }
        Ok(())
    }
}

/// The file that counts kills for want of memory, kept open.
#[derive(Debug)]
struct OomKillCount {
    fd: OwnedFd,
    version: Version,
    path: String,
}

impl OomKillCount {
    fn open(group: &Group) -> Result<Option<Self>> {
        for (version, file) in [(Version::V2, "memory.events"), (Version::V1, "memory.oom_control")] {
            let Some(directory) = group.directory_of(version, file) else { continue };
            if let Some(fd) = directory.open(file)? {
                return Ok(Some(Self { fd, version, path: directory.file(file) }));
            }
        }
        Ok(None)
    }

    /// Reads the count, by which the kernel knows to tell of the next change.
    fn read(&self) -> Result<u64> {
        let mut buffer = [0_u8; 512];
        let read = match rustix::io::pread(&self.fd, &mut buffer, 0) {
            Ok(read) => read,
            Err(Errno::NODEV) => return Err(Error::Gone { group: self.path.clone() }),
            Err(error) => return Err(Error::sys("read", &self.path, error)),
        };
        match format::value_of(&buffer[..read], b"oom_kill").map(format::number) {
            // v1 counts since 4.13.
            None => Ok(0),
            Some(Ok(kills)) => Ok(kills),
            Some(Err(format::FormatError(reason))) => Err(Error::Malformed { file: self.path.clone(), reason }),
        }
    }
}

fn add(epoll: &OwnedFd, fd: &impl AsFd, data: u64, flags: EventFlags) -> Result<(), Errno> {
    epoll::add(epoll, fd, EventData::new_u64(data), flags)
}

fn drain_inotify(fd: &OwnedFd) -> Result<()> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(fd, &mut buffer);
    loop {
        match reader.next() {
            Ok(event) => {
                let _seen: ReadFlags = event.events();
            }
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(Error::sys("read", "the events of a directory", error)),
        }
    }
}

/// Whether the counter of an event descriptor was raised.
fn drain_counter(fd: &OwnedFd) -> Result<bool> {
    match rustix::io::read(fd, &mut [0_u8; 8]) {
        Ok(_) => Ok(true),
        Err(Errno::AGAIN | Errno::INTR) => Ok(false),
        Err(error) => Err(Error::sys("read", "an event descriptor", error)),
    }
}
