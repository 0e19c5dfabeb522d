//! Tests against the real kernel: each names what it needs, and a missing need is a skip with its reason.
//!
//! The standard harness cannot skip at run time, so these tests set `harness = false` and end in [`main`].
//! A skipped test is listed as ignored, with the reason before its name, and one line `PACKAGE::TEST: reason` goes to
//! the file that `WINDLASS_SKIPS` names. CI fails on a test there that the virtual machine did not run either and that
//! `.ci/expected-skips` does not list.

pub mod need;
mod test;
mod user;

pub use test::{Need, Test, main, several};
pub use user::{GRANTED, as_user};
