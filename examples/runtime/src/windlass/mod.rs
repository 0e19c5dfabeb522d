//! The command `windlass`: one module a verb.

mod cli;
mod failure;
mod foreground;
mod home;
mod images;
mod info;
mod limits;
mod pack;
mod rootless;
mod run;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use cli::{Arguments, Verb};
use failure::Failure;
use home::Home;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            _ = writeln!(std::io::stderr(), "windlass: {failure}"); // nowhere is left to say that this failed
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<u8, Failure> {
    let root = match arguments.root {
        Some(root) => root,
        None => home::default_root()?,
    };
    let home = || Home::open(&root);
    match arguments.verb {
        Verb::Info { json } => info::info(&root, json),
        Verb::Pack(request) => pack::pack(&home()?, request),
        Verb::Images { json } => images::images(&home()?, json),
        Verb::Rmi { image } => images::remove(&home()?, &image),
        Verb::Run(request) if rootless::is_needed() => rootless::again(&request),
        Verb::Run(request) => run::run(&home()?, &request),
    }
}
