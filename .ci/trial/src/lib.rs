//! Tests against the real kernel: each names what it needs, and a missing need is a skip with its reason.
//!
//! The standard harness cannot skip at run time, so these tests set `harness = false` and end in [`main`].
//! A skipped test is listed as ignored with the reason in its name's place of kind, and one line
//! `CRATE::TEST: reason` goes to the file that `WINDLASS_SKIPS` names; CI compares that file with
//! `.ci/expected-skips`.

pub mod need;
mod test;

pub use test::{Need, Test, main};
