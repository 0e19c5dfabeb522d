//! Threads in groups of their own: the threaded mode of v2, and the tasks of v1.

use rustix::io::Errno;

use crate::controller::Version;
use crate::error::{Error, Result};
use crate::group::{Group, Member, numbers_in};
use crate::hierarchy::directory::WriteFailure;

const TYPE: &str = "cgroup.type";
const THREADS: &str = "cgroup.threads";
const TASKS: &str = "tasks";

/// What a group of v2 can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupType {
    /// Whole processes.
    Domain,
    /// Whole processes, whose threads may be in threaded groups below it.
    ThreadedDomain,
    /// Nothing: a sibling or the group above became threaded, and this one has not.
    InvalidDomain,
    /// Single threads of the processes in the nearest domain above.
    Threaded,
}

impl Group {
    /// What the group can hold; `None` where the group is not in v2, or its base is the root of v2.
    ///
    /// Kernel: `cgroup.type`, since 4.14.
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn group_type(&self) -> Result<Option<GroupType>> {
        self.check_there()?;
        let Some(member) = self.member_v2() else { return Ok(None) };
        let directory = &member.directory;
        let Some(content) = directory.read(TYPE)? else { return Ok(None) };
        match content.trim() {
            "domain" => Ok(Some(GroupType::Domain)),
            "domain threaded" => Ok(Some(GroupType::ThreadedDomain)),
            "domain invalid" => Ok(Some(GroupType::InvalidDomain)),
            "threaded" => Ok(Some(GroupType::Threaded)),
            _ => Err(Error::Malformed { file: directory.file(TYPE), reason: "it is no type of group" }),
        }
    }

    /// Lets the group hold single threads; the group above becomes the domain of their processes. For good.
    ///
    /// Such a group has the controllers cpu, cpuset, `perf_event` and pids, and no other. v1 needs none of this.
    ///
    /// Kernel: `cgroup.type`, v2 since 4.14.
    ///
    /// Errors: [`Error::Sys`] with `EOPNOTSUPP` if the group holds processes, or passes on a controller that works on
    /// processes; [`Error::Gone`] if it was removed.
    pub fn make_threaded(&self) -> Result<()> {
        self.check_there()?;
        match self.member_v2() {
            None => Ok(()),
            Some(member) => member.directory.write_plainly(TYPE, "threaded"),
        }
    }

    /// Moves a single thread into the group.
    ///
    /// Kernel: `cgroup.threads` (v2), where the group is [threaded](Self::make_threaded) and below the domain of the
    /// thread's process; `tasks` (v1).
    ///
    /// Errors: [`Error::Sys`] with `EOPNOTSUPP` if the group of v2 cannot hold the thread, with `ESRCH` if there is no
    /// such thread; [`Error::PartlyAdded`] as for [`add`](Self::add).
    pub fn add_thread(&self, tid: u32) -> Result<()> {
        let members: Vec<&Member> = self.member_v2().into_iter().chain(self.members_v1()).collect();
        for (done, member) in members.iter().enumerate() {
            let (directory, file) = (&member.directory, self.threads_file(member));
            let error = match directory.write(file, &tid.to_string()) {
                Ok(()) => continue,
                Err(WriteFailure::Refused(source)) => Error::sys("move a thread with", directory.file(file), source),
                Err(failure) => directory.plainly(file, failure),
            };
            if done == 0 || error.errno() == Some(Errno::SRCH.raw_os_error()) {
                return Err(error);
            }
            let paths = |members: &[&Member]| members.iter().map(|it| it.directory.path()).collect();
            let (moved, kept_out) = (paths(&members[..done]), paths(&members[done..]));
            return Err(Error::PartlyAdded { pid: tid, moved, kept_out, first: Box::new(error) });
        }
        Ok(())
    }

    /// The threads in the group itself, in ascending order; one of another pid namespace is 0.
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn threads(&self) -> Result<Vec<i32>> {
        let mut threads = Vec::new();
        for member in self.members() {
            threads.extend(numbers_in(&member.directory, self.threads_file(member))?);
        }
        threads.sort_unstable();
        threads.dedup();
        Ok(threads)
    }

    fn threads_file(&self, member: &Member) -> &'static str {
        match self.version_of(member) {
            Version::V1 => TASKS,
            Version::V2 => THREADS,
        }
    }
}
