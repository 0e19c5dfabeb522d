//! Handing a group over to another user.

use rustix::fs::{AtFlags, Gid, Uid, chownat};
use rustix::io::Errno;

use crate::error::{Error, NotDelegated, Result};
use crate::group::Group;

impl Group {
    /// Lets a user make groups below this one and move processes among them, but not change its own limits.
    ///
    /// Kernel: v2 only, since a v1 group cannot be handed over without its limits. The owner of the directory and of
    /// the files that `/sys/kernel/cgroup/delegate` names is changed (since 4.15).
    ///
    /// Errors: [`Error::NotDelegated`] if the group is not in v2.
    pub fn delegate(&self, uid: u32, gid: u32) -> Result<()> {
        let Some(member) = self.member_v2() else {
            let (controllers, stopped_at) = (self.controllers().to_vec(), self.name());
            return Err(Error::NotDelegated { controllers, stopped_at, reason: NotDelegated::NotMounted });
        };
        let directory = &member.directory;
        self.check_there()?;
        let list = "/sys/kernel/cgroup/delegate";
        let files = std::fs::read_to_string(list).map_err(|error| Error::sys("read", list, error))?;
        let (owner, group) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        for file in files.lines() {
            match chownat(directory, file, owner, group, AtFlags::SYMLINK_NOFOLLOW) {
                // The list is that of the kernel, not of this group.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(Error::sys("change the owner of", directory.file(file), error)),
            }
        }
        // The directory last: with it the user can begin.
        chownat(directory, "", owner, group, AtFlags::EMPTY_PATH)
            .map_err(|error| Error::sys("change the owner of", directory.path(), error))
    }
}
