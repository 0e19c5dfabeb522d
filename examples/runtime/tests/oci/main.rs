//! `windlass-oci` as engines and hostile containers meet it.
//!
//! `WINDLASS_OCI` names another runtime to try instead, for instance `/usr/sbin/runc`: what these tests ask for is
//! what a runtime nobody here wrote does as well. Where the specification or a defence asks for more than that one
//! gives, the test says so in its needs ([`bundle::strict`]).

mod attacks;
mod bundle;
mod docker;
mod documents;
mod hooks;
mod image;
mod kernel_files;
mod leaks;
mod lifecycle;
mod listener;
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
        hooks::tests,
        terminal::tests,
        settings::tests,
        listener::tests,
        attacks::tests,
        kernel_files::tests,
        podman::tests,
        docker::tests,
        leaks::tests,
        sweep::tests,
    ];
    trial::main(modules.into_iter().flat_map(|tests| tests()).collect())
}
