//! `windlass-oci`: run containers as the OCI runtime specification says, for engines and for people.
//!
//! It is executed twice for each container. What the standard library does before `main`, to guard a stack that has no
//! depth here and to prepare for threads that are never made, is left out where the C library hands on the arguments.

#![cfg_attr(target_env = "gnu", no_main)]

#[cfg(target_env = "gnu")]
#[unsafe(no_mangle)]
extern "C" fn main() -> std::ffi::c_int {
    // The code of a program of the standard library that panicked.
    let code = std::panic::catch_unwind(runtime::oci::main).unwrap_or(101);
    // Writes what is still buffered.
    std::process::exit(code.into())
}

#[cfg(not(target_env = "gnu"))]
fn main() -> std::process::ExitCode {
    runtime::oci::main().into()
}
