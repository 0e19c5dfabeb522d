//! `pull`, `push`, `login` and `logout`, and the images that other verbs need.

mod bars;
mod connect;
mod login;
mod needed;
mod pull;
mod push;

pub(super) use login::{login, logout};
pub(super) use needed::{Needed, needed};
pub(super) use pull::pull;
pub(super) use push::push;
