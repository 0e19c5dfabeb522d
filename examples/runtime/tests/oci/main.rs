//! `windlass-oci` as engines and hostile containers meet it.
//!
//! `WINDLASS_OCI` names another runtime to try instead, for instance `/usr/sbin/runc`: what these tests ask for is
//! what a runtime nobody here wrote does as well. Where the specification or a defence asks for more than that one
//! gives, the test says so in its needs ([`bundle::strict`]).

mod attacks;
mod bundle;
mod checkpoint;
mod docker;
mod documents;
mod flags;
mod hooks;
mod image;
mod kernel_files;
mod leaks;
mod lifecycle;
mod listener;
mod managed;
mod podman;
mod sandbox;
mod settings;
mod strictness;
mod sweep;
mod terminal;
mod until;

use std::process::ExitCode;

fn main() -> ExitCode {
    let modules = [
        lifecycle::tests,
        strictness::tests,
        documents::tests,
        flags::tests,
        hooks::tests,
        terminal::tests,
        settings::tests,
        listener::tests,
        managed::tests,
        checkpoint::tests,
        attacks::tests,
        kernel_files::tests,
        podman::tests,
        docker::tests,
        leaks::tests,
        sweep::tests,
    ];
    // The longest begins first.
    let again = trial::as_user(&[("WINDLASS_OCI", env!("CARGO_BIN_EXE_windlass-oci"))]);
    let tests = [again].into_iter().chain(modules.into_iter().flat_map(|tests| tests()));
    trial::several(tests.collect())
}
