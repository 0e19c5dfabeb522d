//! The only unsafe code: what runs between clone and exec, and the calls that no safe crate has.

mod attribute;
mod call;
mod clone;
mod copy;
mod credential;
mod filesystem;
mod gate;
mod hook;
mod id_map;
mod init;
mod join;
mod landlock;
mod listener;
mod message;
mod parent;
mod prepared;
mod procfs;
mod root;
mod sibling;
mod start;
mod status;
mod stepper;
mod terminal;
mod tree;

pub(crate) use call::Call;
pub(crate) use id_map::{holder, mapped_tree};
pub(crate) use init::reaper;
pub(crate) use landlock::{create_ruleset, landlock_abi};
pub(crate) use listener::copy_descriptor;
pub(crate) use message::{HookEnd, MESSAGE_LENGTH, Message, Release};
pub(crate) use parent::{has_keyrings, join_mount, new_net_namespace, send_signal, set_netlink_options};
pub(crate) use prepared::Prepared;
pub(crate) use sibling::SharedWord;
pub(crate) use start::{Started, start};
