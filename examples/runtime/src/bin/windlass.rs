//! `windlass`: pack programs into images, and run them isolated and limited.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::windlass::main()
}
