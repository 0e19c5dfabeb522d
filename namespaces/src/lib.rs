//! Start an isolated Linux process: namespaces, mounts, credentials, network.

#![deny(unsafe_code)]

mod capability;
mod child;
mod command;
pub mod enter;
mod error;
mod id;
mod kind;
mod mount;
pub mod net;
mod plan;
mod rlimit;
mod rootfs;
mod signal;
mod spawn;
#[expect(unsafe_code, reason = "system calls between clone and exec, and those that no safe crate offers")]
mod sys;

pub use capability::{Capability, CapabilitySet, CapabilitySets, ParseCapabilityError};
pub use child::{Child, Pid};
pub use command::{Command, KillOnDrop, Stdio};
pub use error::{Error, Result};
pub use id::{Gid, IdMapping, ParseIdError, Uid};
pub use kind::{Namespace, Source};
pub use mount::{Device, DeviceKind, Mount, Propagation};
pub use plan::{Notice, Plan};
pub use rlimit::{Limit, Resource, Rlimit};
pub use rootfs::Rootfs;
pub use signal::{ParseSignalError, Signal};
