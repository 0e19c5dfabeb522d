//! Makes the mounts of a command whose owners are mapped, before its process is made.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd, RawFd};

use super::{lift, mapping};
use crate::child::{reap, send};
use crate::command::Command;
use crate::error::{Error, Result};
use crate::id::IdMapping;
use crate::mount::{IdMap, Kind, Mount, Reach};
use crate::plan::step;
use crate::signal::Signal;
use crate::sys::{holder, mapped_tree};

/// Gives every mount that asks for it a detached copy of its source with mapped owners.
pub(super) fn make(command: &mut Command, floor: RawFd) -> Result<()> {
    for mount in &mut command.mounts {
        if let Some(tree) = tree(mount)? {
            let mut tree = tree;
            lift(&mut tree, floor)?;
            if let Some(map) = &mut mount.id_map {
                map.made = Some(tree);
            }
        }
    }
    Ok(())
}

fn tree(mount: &Mount) -> Result<Option<OwnedFd>> {
    let (Some(map), Kind::Bind { source, recursive }) = (&mount.id_map, &mount.kind) else { return Ok(None) };
    let users = user_namespace(map)?;
    let path = std::os::unix::ffi::OsStrExt::as_bytes(source.as_os_str());
    let path = std::ffi::CString::new(path)
        .map_err(|_| Error::invalid("mount", source.to_string_lossy(), "holds a NUL byte"))?;
    let copy = if *recursive { Reach::Below } else { Reach::This };
    mapped_tree(&path, copy, map.reach, users.as_fd())
        .map(Some)
        .map_err(|error| Error::sys("mount_setattr", format!("{} with mapped ids", source.display()), error))
}

/// A user namespace with this mapping, and no process.
fn user_namespace(map: &IdMap) -> Result<OwnedFd> {
    let holder = holder().map_err(|source| Error::sys("clone3", "user namespace of a mount", source))?;
    let opened = mapped_namespace(holder.pid, &map.uid, &map.gid);
    send(holder.pidfd.as_fd(), Signal::KILL)?;
    reap(holder.pidfd.as_fd())?;
    opened
}

fn mapped_namespace(pid: i32, uid: &[IdMapping], gid: &[IdMapping]) -> Result<OwnedFd> {
    mapping::write(pid, &step::IdMap::Write(uid.to_vec()), &step::IdMap::Write(gid.to_vec()))?;
    let path = format!("/proc/{pid}/ns/user");
    File::open(&path).map(OwnedFd::from).map_err(|source| Error::sys("open", path, source))
}
