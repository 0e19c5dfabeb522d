//! Bodies of the fuzz targets.
//!
//! A body takes any bytes, must not panic, and asserts what holds for whatever was accepted. The wrappers in
//! `fuzz_targets` hand it to cargo-fuzz (`cd fuzz/fuzz_targets && cargo +nightly fuzz run --fuzz-dir . NAME ../corpus/NAME`);
//! `tests/replay.rs` replays `corpus/NAME` on every test run.

pub mod target;
