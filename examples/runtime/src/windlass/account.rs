//! The user of a container's program, as the root file system's own accounts know it.

use std::os::fd::BorrowedFd;

use windlass_namespaces::account::{Accounts, Identity};

use super::failure::Failure;

/// Looks `USER[:GROUP]` up in a root file system; no user is user 0.
pub(super) fn look_up(root: BorrowedFd<'_>, user: Option<&str>) -> Result<Identity, Failure> {
    let accounts = Accounts::read(root).map_err(Failure::during("read the container's accounts"))?;
    let user = user.unwrap_or("0");
    accounts.resolve(user).map_err(Failure::during(format_args!("user {user}")))
}
