//! Writes the id mappings of a new user namespace.

use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::id::IdMapping;
use crate::plan::step::IdMap;

/// Maps users and groups for the process; groups first, while `setgroups` can still be denied.
pub(super) fn write(pid: i32, uid: &IdMap, gid: &IdMap) -> Result<()> {
    map(pid, gid, "gid_map", "newgidmap")?;
    map(pid, uid, "uid_map", "newuidmap")
}

fn map(pid: i32, map: &IdMap, file: &str, helper: &str) -> Result<()> {
    match map {
        IdMap::Helper(mappings) => run(helper, pid, mappings),
        IdMap::Write(mappings) => write_file(pid, file, &lines(mappings)),
        IdMap::DenySetgroupsAndWrite(mappings) => {
            write_file(pid, "setgroups", "deny")?;
            write_file(pid, file, &lines(mappings))
        }
    }
}

fn lines(mappings: &[IdMapping]) -> String {
    mappings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn write_file(pid: i32, name: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{name}");
    std::fs::write(&path, text).map_err(|source| Error::sys("write", path, source))
}

fn run(program: &str, pid: i32, mappings: &[IdMapping]) -> Result<()> {
    let mut command = Command::new(program);
    command.arg(pid.to_string());
    for mapping in mappings {
        command.args([mapping.inside(), mapping.outside(), mapping.count()].map(|number| number.to_string()));
    }
    let output = command.stdin(Stdio::null()).output().map_err(|source| Error::sys("execute", program, source))?;
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Helper { program: program.to_owned(), output })
}
