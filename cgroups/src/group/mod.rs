//! A group as descriptors: one directory in each hierarchy that it is in.

mod apply;
mod cpus;
mod create;
mod deadline;
mod delegate;
pub(crate) mod events;
mod freeze;
mod kill;
pub(crate) mod node;
pub(crate) mod peak;
pub(crate) mod pressure;
pub(crate) mod pressure_v1;
mod remove;
mod rollback;
pub(crate) mod thread;
pub(crate) mod tree;

use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use crate::controller::{Controller, Version};
use crate::error::{Error, Holder, Result};
use crate::hierarchy::directory::{Directory, WriteFailure};
use crate::hierarchy::{Hierarchies, Hierarchy, controllers_in};
use crate::observed::{Home, Layout};
use crate::path::GroupPath;
use crate::report::Reason;
use crate::text::Text;

const PROCS: &str = "cgroup.procs";

/// A group of processes, held open in each hierarchy that it is in.
///
/// The handle stands for the directories that were opened. When the group is removed every operation answers
/// [`Error::Gone`], also when a group of the same name has been made since. Dropping the handle changes nothing.
#[derive(Debug)]
pub struct Group {
    hierarchies: Hierarchies,
    path: GroupPath,
    controllers: Vec<Controller>,
    members: Arc<Vec<Member>>,
    /// Whether it was made by this handle, which has not changed it yet: what files hold is then known.
    new: AtomicBool,
}

/// The directory of a group in one hierarchy.
#[derive(Debug)]
pub(crate) struct Member {
    /// Which of the hierarchies.
    pub(crate) hierarchy: usize,
    pub(crate) directory: Directory,
    pub(crate) parent: Arc<Directory>,
}

/// A directory of a group, for what may outlive the group's handle; the descriptors of all of them stay open with it.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    members: Arc<Vec<Member>>,
    place: usize,
}

impl Held {
    /// Whether it is the group's directory at this place.
    pub(crate) fn is_at(&self, place: usize) -> bool {
        self.place == place
    }
}

impl Deref for Held {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        &self.members[self.place].directory
    }
}

impl Group {
    pub(crate) fn new(
        hierarchies: Hierarchies,
        path: GroupPath,
        controllers: Vec<Controller>,
        members: Vec<Member>,
    ) -> Self {
        Self { hierarchies, path, controllers, members: Arc::new(members), new: AtomicBool::new(false) }
    }

    /// The same, of a group that was just made.
    pub(crate) fn just_made(self) -> Self {
        Self { new: AtomicBool::new(true), ..self }
    }

    /// Whether it is as the kernel made it; asked once, before the first change.
    pub(crate) fn take_new(&self) -> bool {
        self.new.swap(false, Ordering::Relaxed)
    }

    /// Where the group is below the base of its hierarchies.
    pub fn path(&self) -> &GroupPath {
        &self.path
    }

    /// The controllers that were asked for when the handle was made.
    pub fn controllers(&self) -> &[Controller] {
        &self.controllers
    }

    /// The directory of each hierarchy that the group is in.
    ///
    /// A process that is to start inside the group is made with the descriptor of v2 (`CLONE_INTO_CGROUP`) and put
    /// into the others before it runs its program; `windlass_namespaces::Command::cgroup` takes them all.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.members.iter().map(|member| member.directory.as_fd())
    }

    /// The directories as [`descriptors`](Self::descriptors) lends them, for a caller that needs no more of the group.
    ///
    /// Errors: [`Error::Sys`] if one that something else still holds cannot be duplicated.
    pub fn into_descriptors(self) -> Result<Vec<OwnedFd>> {
        match Arc::try_unwrap(self.members) {
            Ok(members) => Ok(members.into_iter().map(|member| member.directory.into()).collect()),
            Err(held) => held.iter().map(|member| member.directory.duplicate().map(OwnedFd::from)).collect(),
        }
    }

    /// The directory in the unified hierarchy, if the group is in it.
    pub fn unified(&self) -> Option<BorrowedFd<'_>> {
        self.member_v2().map(|member| member.directory.as_fd())
    }

    /// Moves a process, with all its threads, into the group.
    ///
    /// Errors: [`Error::Busy`] where a group of v2 passes controllers on and so cannot hold processes;
    /// [`Error::Sys`] with `ESRCH` if there is no such process; [`Error::PartlyAdded`] if one hierarchy took the process
    /// and another refused it, with where it is now: adding it again, or elsewhere, is safe.
    pub fn add(&self, pid: u32) -> Result<()> {
        let text = Text::of(pid);
        // v2 first, since it refuses most; and nothing is moved before every file is open.
        let mut open = Vec::with_capacity(self.members.len());
        for Member { directory, .. } in self.member_v2().into_iter().chain(self.members_v1()) {
            let file = directory.open_to_write(PROCS).map_err(|failure| directory.plainly(PROCS, failure))?;
            open.push((directory, file));
        }
        for (done, (directory, file)) in open.iter().enumerate() {
            let error = match directory.write_to(file, text.as_str()) {
                Ok(()) => continue,
                Err(WriteFailure::Refused(source)) => match Errno::from_io_error(&source) {
                    Some(Errno::BUSY) => Error::Busy { group: directory.path(), holder: Holder::PassedOnControllers },
                    _ => Error::sys("move a process with", directory.file(PROCS), source),
                },
                Err(failure) => directory.plainly(PROCS, failure),
            };
            // A process that has ended is nowhere.
            if done == 0 || error.errno() == Some(Errno::SRCH.raw_os_error()) {
                return Err(error);
            }
            let paths = |open: &[(&Directory, OwnedFd)]| open.iter().map(|(it, _)| it.path()).collect();
            let (moved, kept_out) = (paths(&open[..done]), paths(&open[done..]));
            return Err(Error::PartlyAdded { pid, moved, kept_out, first: Box::new(error) });
        }
        Ok(())
    }

    /// The processes in the group itself, in ascending order; one of another pid namespace is 0.
    pub fn pids(&self) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        for member in self.members() {
            pids.extend(pids_in(&member.directory)?);
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// The processes in the group and in all groups below it, in ascending order; one of another pid namespace is 0.
    ///
    /// A group below that is removed meanwhile has none.
    pub fn tree_pids(&self) -> Result<Vec<i32>> {
        kill::listed(&self.members.iter().map(|member| &member.directory).collect::<Vec<_>>())
    }

    /// The content of one of the group's kernel files, word for word; `None` where the group does not have it.
    ///
    /// For what has no field in [`Stats`](crate::Stats) or [`Resources`](crate::Resources), such as `memory.stat` whole.
    /// The file's first word says the hierarchy of v1: `cpuset.cpus` is of the one with `cpuset`.
    pub fn file(&self, version: Version, name: &str) -> Result<Option<String>> {
        match self.directory_of(version, name) {
            Some(directory) if !name.contains('/') => directory.read(name),
            _ => Ok(None),
        }
    }

    /// The names of the groups right below this one, in any hierarchy, in order.
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn groups(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for member in self.members() {
            names.extend(member.directory.directories()?);
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Whether the group was removed.
    pub fn is_gone(&self) -> bool {
        self.members.iter().any(|member| member.directory.is_gone())
    }

    /// Answers [`Error::Gone`] for a removed group, where nothing else that is done would.
    pub(crate) fn check_there(&self) -> Result<()> {
        if self.is_gone() { Err(Error::Gone { group: self.name() }) } else { Ok(()) }
    }

    /// The hierarchy versions that the group is in.
    pub fn versions(&self) -> Vec<Version> {
        let mut versions: Vec<Version> = self.members.iter().map(|member| self.version_of(member)).collect();
        versions.sort_unstable();
        versions.dedup();
        versions
    }

    /// Where each controller of the group is.
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn layout(&self) -> Result<Layout> {
        self.check_there()?;
        self.layout_for(|_| true)
    }

    /// Where those controllers are that matter to the caller; the kernel is not asked about others.
    pub(crate) fn layout_for(&self, matters: impl Fn(Controller) -> bool) -> Result<Layout> {
        let in_v2 = |controller: &Controller| {
            let version = self.hierarchies.version_of(*controller);
            !controller.built_into_v2() && matters(*controller) && version == Some(Version::V2)
        };
        let passed_down = match self.member_v2() {
            Some(member) if Controller::ALL.iter().any(in_v2) => {
                controllers_in(&member.directory.read_always("cgroup.controllers")?)
            }
            _ => Vec::new(),
        };
        let home = |controller: Controller| match self.hierarchies.version_of(controller) {
            Some(Version::V2) if self.member_v2().is_none() => Home::Absent(Reason::NotEnabled),
            Some(Version::V2) if controller.built_into_v2() || passed_down.contains(&controller) => Home::V2,
            Some(Version::V1) if self.member_of(controller.subsystems()[0]).is_some() => Home::V1,
            None if matters(controller) => self.hierarchies.home(controller),
            _ => Home::Absent(Reason::NotEnabled),
        };
        Ok(Layout::new(home))
    }

    pub(crate) fn hierarchies(&self) -> &Hierarchies {
        &self.hierarchies
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn hierarchy_of(&self, member: &Member) -> &Hierarchy {
        &self.hierarchies.all[member.hierarchy]
    }

    pub(crate) fn version_of(&self, member: &Member) -> Version {
        self.hierarchy_of(member).version
    }

    pub(crate) fn member_v2(&self) -> Option<&Member> {
        self.members.iter().find(|member| self.version_of(member) == Version::V2)
    }

    pub(crate) fn members_v1(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| self.version_of(member) == Version::V1)
    }

    /// The directory in the v1 hierarchy of a subsystem.
    pub(crate) fn member_of(&self, subsystem: &str) -> Option<&Member> {
        self.members.iter().find(|member| self.hierarchy_of(member).has(subsystem))
    }

    /// The directory that has a file, by the version and the file's first word.
    pub(crate) fn directory_of(&self, version: Version, file: &str) -> Option<&Directory> {
        self.place_of(version, file).map(|place| &self.members[place].directory)
    }

    fn place_of(&self, version: Version, file: &str) -> Option<usize> {
        let subsystem = file.split('.').next().unwrap_or(file);
        self.members.iter().position(|member| match version {
            Version::V2 => self.version_of(member) == Version::V2,
            Version::V1 => self.hierarchy_of(member).has(subsystem),
        })
    }

    /// The same directory, for what may outlive this handle.
    pub(crate) fn hold(&self, version: Version, file: &str) -> Option<Held> {
        self.place_of(version, file).map(|place| Held { members: self.members.clone(), place })
    }

    /// All directories, for what may outlive this handle.
    pub(crate) fn hold_all(&self) -> Arc<Vec<Member>> {
        self.members.clone()
    }

    /// The group in a message about all its directories.
    pub(crate) fn name(&self) -> String {
        self.path.as_str().to_owned()
    }
}

/// The processes in a directory.
pub(crate) fn pids_in(directory: &Directory) -> Result<Vec<i32>> {
    numbers_in(directory, PROCS)
}

/// The processes or threads that a file lists.
fn numbers_in(directory: &Directory, file: &str) -> Result<Vec<i32>> {
    let content = directory.read_always(file)?;
    content
        .lines()
        .map(|line| {
            line.parse().map_err(|_| Error::Malformed { file: directory.file(file), reason: "a line is no number" })
        })
        .collect()
}
