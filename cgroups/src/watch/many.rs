//! One descriptor that tells what happens to many groups.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::fs::inotify::{self, WatchFlags};
use rustix::io::Errno;

use crate::controller::Version;
use crate::error::{Error, Result};
use crate::format;
use crate::group::events::GroupState;
use crate::group::{Group, Held, Member};
use crate::hierarchy::directory::Directory;
use crate::watch::Event;

/// Tells of what happens to many groups by one inotify descriptor, which holds none for each group.
///
/// It is readable (`POLLIN`) when [`read`](Self::read) has something to look at, and never blocks. A group that was
/// removed is told last, and forgotten. Groups of v1 have their removal to tell of and nothing else: what else v1 tells
/// of needs a descriptor for each group, which [`Group::events`] has.
///
/// Kernel: inotify on `cgroup.events`, `memory.events` (v2) and the directories above; a user may have
/// `/proc/sys/fs/inotify/max_user_watches` of them.
#[derive(Debug)]
pub struct WatchMany {
    inotify: OwnedFd,
    groups: BTreeMap<WatchKey, Watched>,
    /// The groups that an inotify watch concerns: those of a file, or those below a directory.
    concerned: BTreeMap<i32, Vec<WatchKey>>,
    next: u64,
}

/// A group in a [`WatchMany`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchKey(u64);

#[derive(Debug)]
struct Watched {
    name: String,
    members: Arc<Vec<Member>>,
    unified: Option<Held>,
    state: Option<GroupState>,
    oom_kills: Option<u64>,
    watches: Vec<i32>,
}

const GROUP_EVENTS: &str = "cgroup.events";
const MEMORY_EVENTS: &str = "memory.events";

impl WatchMany {
    /// Watches no group yet.
    ///
    /// Errors: [`Error::Sys`] if the user has as many inotify descriptors as are allowed.
    pub fn new() -> Result<Self> {
        let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
            .map_err(|error| Error::sys("watch", "groups", error))?;
        Ok(Self { inotify, groups: BTreeMap::new(), concerned: BTreeMap::new(), next: 0 })
    }

    /// Watches one more group; what happens from now on is told under the key.
    ///
    /// Errors: [`Error::Gone`] if the group was removed; [`Error::Sys`] where `/proc` is not mounted, or if the user
    /// has as many watches as are allowed.
    pub fn add(&mut self, group: &Group) -> Result<WatchKey> {
        let key = WatchKey(self.next);
        self.next += 1;
        let (members, unified) = (group.hold_all(), group.hold(Version::V2, GROUP_EVENTS));
        let name = group.path().name().to_owned();
        let watched = Watched { name, members, unified, state: None, oom_kills: None, watches: Vec::new() };
        self.groups.insert(key, watched);
        match self.start(group, key) {
            Ok(()) => Ok(key),
            Err(error) => {
                self.remove(key);
                Err(error)
            }
        }
    }

    fn start(&mut self, group: &Group, key: WatchKey) -> Result<()> {
        for member in group.members() {
            if group.version_of(member) == Version::V2 {
                for file in [GROUP_EVENTS, MEMORY_EVENTS] {
                    self.watch(&member.directory, file, WatchFlags::MODIFY, key)?;
                }
            }
            // The kernel tells of a removal nowhere else.
            self.watch(&member.parent, "", WatchFlags::DELETE | WatchFlags::ONLYDIR, key)?;
        }
        // After the watches, so that nothing in between is missed.
        let Some(watched) = self.groups.get_mut(&key) else { return Ok(()) };
        watched.state = watched.unified.as_deref().map(read_state).transpose()?;
        watched.oom_kills = watched.unified.as_deref().map(read_oom_kills).transpose()?.flatten();
        group.check_there()
    }

    fn watch(&mut self, directory: &Directory, file: &str, flags: WatchFlags, key: WatchKey) -> Result<()> {
        // By descriptor, since only that is surely the directory.
        let path = format!("/proc/self/fd/{}/{file}", directory.as_fd().as_raw_fd());
        let watch = match inotify::add_watch(&self.inotify, &path, flags) {
            Ok(watch) => watch,
            Err(Errno::NOENT) if file == MEMORY_EVENTS => return Ok(()),
            Err(Errno::NOENT) if directory.is_gone() => return Err(directory.gone()),
            Err(error) => return Err(Error::sys("watch", directory.file(file), error)),
        };
        self.concerned.entry(watch).or_default().push(key);
        if let Some(watched) = self.groups.get_mut(&key) {
            watched.watches.push(watch);
        }
        Ok(())
    }

    /// Watches a group no longer; does nothing for one that is not watched.
    pub fn remove(&mut self, key: WatchKey) {
        let Some(watched) = self.groups.remove(&key) else { return };
        for watch in watched.watches {
            let Some(keys) = self.concerned.get_mut(&watch) else { continue };
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.concerned.remove(&watch);
                match inotify::remove_watch(&self.inotify, watch) {
                    // A watch goes with its file.
                    Ok(()) | Err(_) => {}
                }
            }
        }
    }

    /// How many groups are watched.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether no group is watched.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// What happened since the last call, by group; empty if nothing did. Does not wait.
    pub fn read(&mut self) -> Result<Vec<(WatchKey, Event)>> {
        let mut concerned = self.drain()?;
        concerned.sort_unstable();
        concerned.dedup();
        let mut events = Vec::new();
        for key in concerned {
            let Some(watched) = self.groups.get_mut(&key) else { continue };
            let mut told = Vec::new();
            match watched.read(&mut told) {
                Ok(()) => {}
                Err(Error::Gone { .. }) => told.push(Event::Removed),
                Err(error) => return Err(error),
            }
            if told.last() == Some(&Event::Removed) {
                self.remove(key);
            }
            events.extend(told.into_iter().map(|event| (key, event)));
        }
        Ok(events)
    }

    /// The groups of which something was told.
    fn drain(&self) -> Result<Vec<WatchKey>> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let (mut told, mut complete) = (Vec::new(), true);
        loop {
            match reader.next() {
                Ok(event) => {
                    complete &= !event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW);
                    // What happens in the directory above happens to the one that is named.
                    let named = event.file_name();
                    let meant = |key: &&WatchKey| match (named, self.groups.get(key)) {
                        (Some(name), Some(watched)) => name.to_bytes() == watched.name.as_bytes(),
                        _ => true,
                    };
                    told.extend(self.concerned.get(&event.wd()).into_iter().flatten().filter(meant));
                }
                Err(Errno::AGAIN) if complete => return Ok(told),
                // More happened than the kernel keeps.
                Err(Errno::AGAIN) => return Ok(self.groups.keys().copied().collect()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(Error::sys("read", "the events of groups", error)),
            }
        }
    }
}

impl Watched {
    fn read(&mut self, told: &mut Vec<Event>) -> Result<()> {
        if let Some(gone) = self.members.iter().map(|member| &member.directory).find(|directory| directory.is_gone()) {
            return Err(gone.gone());
        }
        let Some(unified) = &self.unified else { return Ok(()) };
        let state = read_state(unified)?;
        if let Some(last) = self.state.replace(state) {
            if state.populated != last.populated {
                told.push(Event::Populated(state.populated));
            }
            if state.frozen != last.frozen {
                told.push(Event::Frozen(state.frozen));
            }
        }
        if let Some(last) = self.oom_kills {
            let kills = read_oom_kills(unified)?.unwrap_or(last);
            if kills > last {
                told.push(Event::OomKilled(kills - last));
            }
            self.oom_kills = Some(kills);
        }
        Ok(())
    }
}

fn read_state(directory: &Directory) -> Result<GroupState> {
    let content = directory.read_always(GROUP_EVENTS)?;
    GroupState::parse(content.as_bytes())
        .ok_or_else(|| Error::Malformed { file: directory.file(GROUP_EVENTS), reason: "populated is missing" })
}

fn read_oom_kills(directory: &Directory) -> Result<Option<u64>> {
    let Some(content) = directory.read(MEMORY_EVENTS)? else { return Ok(None) };
    let kills = format::value_of(content.as_bytes(), b"oom_kill").map(format::number).transpose();
    kills.map_err(|format::FormatError(reason)| Error::Malformed { file: directory.file(MEMORY_EVENTS), reason })
}

impl AsFd for WatchMany {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl AsRawFd for WatchMany {
    fn as_raw_fd(&self) -> RawFd {
        self.inotify.as_raw_fd()
    }
}
