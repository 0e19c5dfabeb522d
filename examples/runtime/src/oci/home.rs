//! The home folder that a program is told when its configuration says nothing.

use std::path::{Path, PathBuf};

use oci_spec::runtime::Process;
use rustix::fs::{CWD, Mode, OFlags, openat};
use windlass_namespaces::account::Accounts;

use super::failure::{Failure, Result};

/// Whether a process is told its home folder.
pub(super) fn has_home(process: &Process) -> bool {
    process.env().iter().flatten().any(|variable| variable.starts_with("HOME="))
}

/// The home folder of a user by the accounts in a root file system; the root of it for one without an account.
pub(super) fn of(root: &Path, uid: u32) -> Result<PathBuf> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, root, flags, Mode::empty()).map_err(Failure::during(root.display()))?;
    let accounts = Accounts::read(&directory).map_err(Failure::during("read the accounts"))?;
    let identity = accounts.resolve(&uid.to_string()).map_err(Failure::during("find the account"))?;
    Ok(identity.home.unwrap_or_else(|| PathBuf::from("/")))
}
