//! Making groups: top down, with controllers passed on and cpusets filled before anything can be in them.

use std::io;
use std::sync::Arc;

use crate::controller::{Controller, Version};
use crate::error::{Error, Holder, NotDelegated, Result};
use crate::group::{Group, Member};
use crate::hierarchy::directory::{Directory, WriteFailure};
use crate::hierarchy::{Hierarchies, Hierarchy, controllers_in};
use crate::path::GroupPath;
use crate::v1::cpuset::FILLED_FROM_PARENT;

const SUBTREE_CONTROL: &str = "cgroup.subtree_control";

impl Hierarchies {
    /// Makes a group with these controllers, and the groups above it that are not there yet.
    ///
    /// The group is made in each hierarchy that has one of `controllers`, and besides in the hierarchy by which its
    /// processes are frozen, killed and watched: v2 where it is mounted, else v1's freezer. On v2 the controllers are
    /// passed on top down; on v1 cpusets are filled from above. Groups above that were made, and controllers that
    /// were passed on, stay when this one is removed. The first [`apply`](Group::apply) takes the group to be as the
    /// kernel made it, and puts that back if it fails.
    ///
    /// Errors: [`Error::Exists`] if the group is there in one of the hierarchies, [`Error::NotDelegated`] for
    /// controllers that cannot be had, [`Error::Busy`] if processes in a group of v2 above keep it from passing
    /// controllers on. Whatever was made until then is removed again, and controllers are passed on no longer, but
    /// where other groups are that may have come to use them; [`Error::NotUndone`] says what is left all the same.
    pub fn create(&self, path: &GroupPath, controllers: &[Controller]) -> Result<Group> {
        let mut members = Vec::with_capacity(self.all.len());
        let mut making = Making { path, names: path, steps: Vec::with_capacity(self.all.len()) };
        for (place, hierarchy) in self.needed(controllers)? {
            match making.make(hierarchy, hierarchy.base.clone(), controllers) {
                Ok((parent, directory)) => members.push(Member { hierarchy: place, directory, parent }),
                Err(error) => return Err(error.leaving(making.undo())),
            }
        }
        Ok(Group::new(self.clone(), path.clone(), controllers.to_vec(), members).just_made())
    }

    /// Takes over a group that somebody else has begun, as systemd does: opens it in each hierarchy that has it, and
    /// makes it in the others where [`create`](Self::create) would.
    ///
    /// Errors: as [`create`](Self::create), but for a group that is there. What this made is removed again then.
    pub fn adopt(&self, path: &GroupPath, controllers: &[Controller]) -> Result<Group> {
        let mut members = Vec::with_capacity(self.all.len());
        for (place, hierarchy) in self.all.iter().enumerate() {
            members.extend(open_member(place, hierarchy, path)?);
        }
        let is_there: Vec<usize> = members.iter().map(|member| member.hierarchy).collect();
        let mut making = Making { path, names: path, steps: Vec::new() };
        for (place, hierarchy) in self.needed(controllers)?.filter(|(place, _)| !is_there.contains(place)) {
            match making.make(hierarchy, hierarchy.base.clone(), controllers) {
                Ok((parent, directory)) => members.push(Member { hierarchy: place, directory, parent }),
                Err(error) => return Err(error.leaving(making.undo())),
            }
        }
        Ok(Group::new(self.clone(), path.clone(), controllers.to_vec(), members))
    }

    /// Opens a group that is there, in the hierarchies that [`create`](Self::create) would choose.
    ///
    /// Errors: [`Error::NotFound`] if it is missing in one of them.
    pub fn open(&self, path: &GroupPath, controllers: &[Controller]) -> Result<Group> {
        let mut members = Vec::new();
        for (place, hierarchy) in self.needed(controllers)? {
            match open_member(place, hierarchy, path)? {
                Some(member) => members.push(member),
                None => {
                    return Err(Error::NotFound { group: format!("{}/{path}", hierarchy.base.path()) });
                }
            }
        }
        Ok(Group::new(self.clone(), path.clone(), controllers.to_vec(), members))
    }

    /// Opens what there is of a group in any hierarchy, for instance to remove what another run left behind.
    pub fn find(&self, path: &GroupPath) -> Result<Option<Group>> {
        let mut members = Vec::new();
        for (place, hierarchy) in self.all.iter().enumerate() {
            members.extend(open_member(place, hierarchy, path)?);
        }
        if members.is_empty() {
            return Ok(None);
        }
        let has = |controller: &Controller| match self.version_of(*controller) {
            Some(Version::V1) => {
                members.iter().any(|member| self.all[member.hierarchy].has(controller.subsystems()[0]))
            }
            Some(Version::V2) => members.iter().any(|member| self.all[member.hierarchy].version == Version::V2),
            None => false,
        };
        let controllers = Controller::ALL.iter().copied().filter(has).collect();
        Ok(Some(Group::new(self.clone(), path.clone(), controllers, members)))
    }

    /// The names of the groups right below the base, in any hierarchy, in order.
    pub fn groups(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for hierarchy in self.all.iter() {
            names.extend(hierarchy.base.directories()?);
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn needed(&self, controllers: &[Controller]) -> Result<impl Iterator<Item = (usize, &Hierarchy)>> {
        let absent: Vec<Controller> =
            controllers.iter().copied().filter(|wanted| self.version_of(*wanted).is_none()).collect();
        if !absent.is_empty() {
            let bases: Vec<&str> = self.all.iter().map(|hierarchy| hierarchy.base.base_path()).collect();
            let stopped_at = bases.join(", ");
            return Err(Error::NotDelegated { controllers: absent, stopped_at, reason: NotDelegated::NotMounted });
        }
        let no_unified = self.unified().is_none();
        let needs = move |hierarchy: &Hierarchy| match hierarchy.version {
            _ if self.every => true,
            Version::V2 => true,
            Version::V1 => {
                let asked = |controller: &Controller| {
                    self.version_of(*controller) == Some(Version::V1)
                        && controller.subsystems().iter().any(|subsystem| hierarchy.has(subsystem))
                };
                controllers.iter().any(asked) || (no_unified && hierarchy.has("freezer"))
            }
        };
        Ok(self.all.iter().enumerate().filter(move |(_, hierarchy)| needs(hierarchy)))
    }
}

/// The controllers that a v2 hierarchy has to pass on.
fn wanted_in(hierarchy: &Hierarchy, controllers: &[Controller]) -> Vec<Controller> {
    let passed_on = |controller: &&Controller| hierarchy.available.contains(controller) && !controller.built_into_v2();
    match hierarchy.version {
        Version::V1 => Vec::new(),
        Version::V2 => controllers.iter().filter(passed_on).copied().collect(),
    }
}

fn open_member(place: usize, hierarchy: &Hierarchy, path: &GroupPath) -> Result<Option<Member>> {
    let (above, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
    let parent =
        if above.is_empty() { Some(hierarchy.base.clone()) } else { hierarchy.base.below(above)?.map(Arc::new) };
    let Some(parent) = parent else { return Ok(None) };
    let directory = parent.below_as(name, path.shared())?;
    Ok(directory.map(|directory| Member { hierarchy: place, directory, parent }))
}

/// A group that is being made, and what was done so far, to be undone if the whole does not succeed.
#[derive(Debug)]
struct Making<'a> {
    /// Where it will be below the base.
    path: &'a GroupPath,
    /// The last of those names, which lead to it from where it is made.
    names: &'a GroupPath,
    steps: Vec<Step<'a>>,
}

#[derive(Debug)]
enum Step<'a> {
    /// A directory of this name was made below another.
    Directory(Arc<Directory>, &'a str),
    /// A group of v2 passes controllers on that it did not before.
    PassedOn(Arc<Directory>, Vec<Controller>),
}

impl Making<'_> {
    /// Makes it below a directory of one hierarchy, with what is missing above it; answers with the one right above too.
    fn make(
        &mut self,
        hierarchy: &Hierarchy,
        below: Arc<Directory>,
        controllers: &[Controller],
    ) -> Result<(Arc<Directory>, Directory)> {
        let wanted = wanted_in(hierarchy, controllers);
        let mut parent = below;
        let mut names = self.names.names().peekable();
        while let Some(name) = names.next() {
            let last = names.peek().is_none();
            let passed_on = pass_on(&parent, &wanted)?;
            if !passed_on.is_empty() {
                self.steps.push(Step::PassedOn(parent.clone(), passed_on));
            }
            let new = parent.make(name)?;
            if new {
                self.steps.push(Step::Directory(parent.clone(), name));
            } else if last {
                return Err(Error::Exists { group: parent.file(name) });
            }
            let opened = if last { parent.below_as(name, self.path.shared()) } else { parent.below(name) };
            let directory = opened?.ok_or_else(|| Error::Gone { group: parent.file(name) })?;
            if new && hierarchy.has("cpuset") {
                fill_cpuset(&parent, &directory)?;
            }
            if last {
                return Ok((parent, directory));
            }
            parent = Arc::new(directory);
        }
        Err(Error::NotFound { group: parent.path() })
    }

    /// Undoes it, the last step first; answers with what is left, and why.
    fn undo(self) -> Vec<(String, io::Error)> {
        let mut left = Vec::new();
        for step in self.steps.into_iter().rev() {
            match step {
                Step::Directory(parent, name) => match parent.remove(name) {
                    Ok(()) => {}
                    // Somebody else was faster.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => left.push((parent.file(name), error)),
                },
                Step::PassedOn(directory, controllers) => {
                    if let Err(error) = keep_back(&directory, &controllers) {
                        left.push((directory.file(SUBTREE_CONTROL), error));
                    }
                }
            }
        }
        left
    }
}

/// Makes a v2 group pass controllers on no longer, unless groups are below it that may have come to use them.
fn keep_back(directory: &Directory, controllers: &[Controller]) -> io::Result<()> {
    let write = |sign: char| match directory.write(SUBTREE_CONTROL, &signed(sign, controllers)) {
        Ok(()) | Err(WriteFailure::Gone) => Ok(()),
        Err(WriteFailure::NoFile) => Err(io::ErrorKind::NotFound.into()),
        Err(WriteFailure::NotPermitted) => Err(io::ErrorKind::PermissionDenied.into()),
        Err(WriteFailure::Refused(source)) => Err(source),
    };
    let has_groups = || directory.has_directories().map_err(io::Error::other);
    if has_groups()? {
        return Ok(());
    }
    write('-')?;
    // One that was made between the look and the write was made in the belief that it gets them.
    if has_groups()? { write('+') } else { Ok(()) }
}

fn signed(sign: char, controllers: &[Controller]) -> String {
    let words: Vec<String> = controllers.iter().map(|controller| format!("{sign}{controller}")).collect();
    words.join(" ")
}

/// Gives a new v1 group the CPUs and memory nodes of the one above: empty, it would take no process.
fn fill_cpuset(parent: &Directory, directory: &Directory) -> Result<()> {
    let mut value = String::new();
    for file in FILLED_FROM_PARENT {
        parent.read_always_into(file, &mut value)?;
        if value.trim().is_empty() {
            return Err(Error::NotDelegated {
                controllers: vec![Controller::Cpuset],
                stopped_at: parent.file(file),
                reason: NotDelegated::NotAvailable,
            });
        }
        directory.write_plainly(file, value.trim())?;
    }
    Ok(())
}

/// Makes a v2 group pass controllers on to groups below it, in one write; answers with those that it did not before.
fn pass_on(directory: &Directory, wanted: &[Controller]) -> Result<Vec<Controller>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let passed = controllers_in(&directory.read_always(SUBTREE_CONTROL)?);
    let missing: Vec<Controller> = wanted.iter().copied().filter(|wanted| !passed.contains(wanted)).collect();
    if missing.is_empty() {
        return Ok(missing);
    }
    let available = controllers_in(&directory.read_always("cgroup.controllers")?);
    let withheld: Vec<Controller> = missing.iter().copied().filter(|wanted| !available.contains(wanted)).collect();
    let not_delegated =
        |controllers, reason| Err(Error::NotDelegated { controllers, stopped_at: directory.path(), reason });
    if !withheld.is_empty() {
        return not_delegated(withheld, NotDelegated::NotAvailable);
    }
    match directory.write(SUBTREE_CONTROL, &signed('+', &missing)) {
        Ok(()) => Ok(missing),
        Err(WriteFailure::Gone) => Err(directory.gone()),
        Err(WriteFailure::NotPermitted) => not_delegated(missing, NotDelegated::Permission),
        Err(WriteFailure::NoFile) => not_delegated(missing, NotDelegated::NotAvailable),
        Err(WriteFailure::Refused(source)) => match rustix::io::Errno::from_io_error(&source) {
            Some(rustix::io::Errno::BUSY) => {
                let pids = crate::group::pids_in(directory)?;
                Err(Error::Busy { group: directory.path(), holder: Holder::InternalProcesses(pids) })
            }
            Some(rustix::io::Errno::NOENT) => not_delegated(missing, NotDelegated::NotAvailable),
            Some(rustix::io::Errno::PERM | rustix::io::Errno::ACCESS) => {
                not_delegated(missing, NotDelegated::Permission)
            }
            _ => Err(Error::sys("write", directory.file(SUBTREE_CONTROL), source)),
        },
    }
}

impl Group {
    /// Makes a group below this one, in the same hierarchies and with the same controllers.
    ///
    /// On v2 this group must hold no process itself if it has controllers to pass on: processes belong in the leaves.
    ///
    /// Errors: as [`Hierarchies::create`], and [`Error::Gone`] if this group was removed.
    pub fn child(&self, name: &str) -> Result<Self> {
        let path = self.path().join(name)?;
        let below = GroupPath::new(name)?;
        let mut making = Making { path: &path, names: &below, steps: Vec::new() };
        let mut members = Vec::with_capacity(self.members().len());
        for member in self.members() {
            let made = member
                .directory
                .duplicate()
                .and_then(|above| making.make(self.hierarchy_of(member), Arc::new(above), self.controllers()));
            match made {
                Ok((parent, directory)) => members.push(Member { hierarchy: member.hierarchy, directory, parent }),
                Err(error) => return Err(error.leaving(making.undo())),
            }
        }
        Ok(Self::new(self.hierarchies().clone(), path, self.controllers().to_vec(), members).just_made())
    }
}

impl Hierarchies {
    /// Moves the processes of the v2 base into a group below it, so that the base can pass controllers on.
    ///
    /// A container's first process needs this before it makes groups: the mounted root of a cgroup namespace is a
    /// common group, and one that holds processes passes nothing on. It is never done unasked, because it moves
    /// processes that the caller may not know. Does nothing at the root of the machine, where no such rule holds.
    ///
    /// Answers with how many processes were moved. Those that are born meanwhile are moved too.
    pub fn vacate(&self, leaf: &GroupPath) -> Result<usize> {
        let Some(unified) = self.unified() else { return Ok(0) };
        let base = &unified.base;
        // Only the root of the machine has no type.
        if base.read("cgroup.type")?.is_none() {
            return Ok(0);
        }
        let group = match self.only(Version::V2)?.create(leaf, &[]) {
            Err(Error::Exists { .. }) => self.only(Version::V2)?.open(leaf, &[])?,
            group => group?,
        };
        let mut moved = 0;
        loop {
            let pids: Vec<i32> = crate::group::pids_in(base)?;
            if pids.is_empty() {
                return Ok(moved);
            }
            for pid in pids {
                let named = u32::try_from(pid).ok().filter(|pid| *pid != 0);
                let Some(named) = named else {
                    let group = base.path();
                    return Err(Error::Busy { group, holder: Holder::Processes(vec![pid]) });
                };
                match group.add(named) {
                    Ok(()) => moved += 1,
                    Err(error) if error.errno() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}
