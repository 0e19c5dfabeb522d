//! `pull`, `push`, `login` and `logout`.

mod bars;
mod connect;
mod login;
mod pull;
mod push;

pub(super) use login::{login, logout};
pub(super) use pull::pull;
pub(super) use push::push;
