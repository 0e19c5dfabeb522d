//! `windlass-oci`: run containers as the OCI runtime specification says, for engines and for people.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::oci::main()
}
