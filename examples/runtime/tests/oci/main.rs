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

use trial::Test;

fn main() -> ExitCode {
    let modules = [
        lifecycle::tests,
        strictness::tests,
        documents::tests,
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
    let mut tests: Vec<Test> = modules.into_iter().flat_map(|tests| tests()).collect();
    tests.push(trial::as_user(&[("WINDLASS_OCI", env!("CARGO_BIN_EXE_windlass-oci"))]));
    trial::main(tests)
}
