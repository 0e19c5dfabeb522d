//! The command line: what a person types, and the hidden subcommands that are the programs in the demo's pods.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{caller, demo, pause, responder, sidecar};

/// A small Kubernetes in one process, over the windlass crates.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the whole way once: from a binary to replicated pods behind a service; then removes all it made
    Demo(DemoArguments),
    /// A pod's program: answers HTTP and obeys orders to misbehave
    #[command(hide = true)]
    Responder(responder::Settings),
    /// A pod's program: reads its neighbour on localhost
    #[command(hide = true)]
    Sidecar(sidecar::Settings),
    /// A pod's first process: holds its namespaces
    #[command(hide = true)]
    Pause,
    /// A pod's program: calls a service and writes down the answers
    #[command(hide = true)]
    Call(caller::Settings),
}

#[derive(Debug, clap::Args)]
struct DemoArguments {
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    json: bool,
    /// Stay after the last step, with the service on a port of 127.0.0.1, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// The port of 127.0.0.1 for `--keep`; without it a free one is taken
    #[arg(long, value_name = "PORT", requires = "keep")]
    port: Option<u16>,
    /// Where the run keeps its files [default: /var/lib/windlass, or windlass in the user's data directory]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Apply this Kubernetes YAML instead of the demo's own
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Take the image from this OCI layout (a run with `--keep` shows the path of its own) instead of packing one
    #[arg(long, value_name = "DIR")]
    image: Option<PathBuf>,
    /// This process is already the first one of the user namespace that a rootless run lives in
    #[arg(long, hide = true)]
    inside: bool,
}

impl From<DemoArguments> for demo::Options {
    fn from(arguments: DemoArguments) -> Self {
        Self {
            json: arguments.json,
            keep: arguments.keep,
            port: arguments.port,
            state_dir: arguments.state_dir,
            manifest: arguments.manifest,
            image: arguments.image,
            place: if arguments.inside { demo::Place::Inside } else { demo::Place::Host },
        }
    }
}

/// Runs the program with this process's command line.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Demo(arguments) => demo::main(arguments.into()),
        Command::Responder(settings) => finish(responder::run(&settings)),
        Command::Sidecar(settings) => finish(sidecar::run(&settings)),
        Command::Pause => finish(pause::run()),
        Command::Call(settings) => finish(caller::run(&settings)),
    }
}

fn finish<E: std::error::Error>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            demo::complain(&error);
            ExitCode::FAILURE
        }
    }
}
