//! The program `mini-orchestrator`; all of it is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    mini_orchestrator::cli::main()
}
