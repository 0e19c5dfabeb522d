//! What the other verbs take.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use windlass_namespaces::Signal;

use super::container::Limits;
use crate::windlass::clock::Time;
use crate::windlass::restart_policy::RestartPolicy;

#[derive(Debug, Args)]
pub(in crate::windlass) struct Start {
    /// Connects this terminal, and ends as the container does
    #[arg(short, long)]
    pub attach: bool,
    /// Passes this process's input on
    #[arg(short, long)]
    pub interactive: bool,
    #[arg(required = true)]
    pub containers: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Stop {
    /// Seconds until the container is killed [default: its --stop-timeout]
    #[arg(short, long, visible_alias = "time", value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// What asks it to end [default: its --stop-signal]
    #[arg(short, long)]
    pub signal: Option<Signal>,
    #[arg(required = true)]
    pub containers: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Kill {
    /// The signal, by name or number
    #[arg(short, long, default_value = "KILL")]
    pub signal: Signal,
    #[arg(required = true)]
    pub containers: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Remove {
    /// Also ends containers that run, and minds none that is not there
    #[arg(short, long)]
    pub force: bool,
    /// Also removes their anonymous volumes
    #[arg(short, long)]
    pub volumes: bool,
    #[arg(required = true)]
    pub containers: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Update {
    #[command(flatten)]
    pub limits: Limits,
    /// no, on-failure[:RETRIES], always, unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<RestartPolicy>,
    #[arg(required = true)]
    pub containers: Vec<String>,
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::windlass) enum Format {
    Table,
    Json,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Ps {
    /// Also those that do not run
    #[arg(short, long)]
    pub all: bool,
    /// Ids only
    #[arg(short, long)]
    pub quiet: bool,
    /// One JSON object a line, as --format json
    #[arg(long)]
    pub json: bool,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Only those with name=, status=, label= (repeatable)
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Logs {
    /// Goes on until the container ends
    #[arg(short, long)]
    pub follow: bool,
    /// The last lines only
    #[arg(short = 'n', long, value_name = "NUMBER", value_parser = tail)]
    pub tail: Option<Tail>,
    /// Only what was written since this time, or this long ago
    #[arg(long, value_name = "TIME|10m", value_parser = Time::parse_since)]
    pub since: Option<Time>,
    /// Begins each line with its time
    #[arg(short, long)]
    pub timestamps: bool,
    pub container: String,
}

/// How many lines from the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::windlass) enum Tail {
    All,
    Last(usize),
}

fn tail(text: &str) -> Result<Tail, String> {
    match text {
        "all" => Ok(Tail::All),
        number => number.parse().map(Tail::Last).map_err(|_| format!("{number:?} is no number of lines")),
    }
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Attach {
    /// Passes no input on
    #[arg(long)]
    pub no_stdin: bool,
    pub container: String,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub(in crate::windlass) struct Exec {
    /// Does not wait for the command
    #[arg(short, long)]
    pub detach: bool,
    /// Passes this process's input on
    #[arg(short, long)]
    pub interactive: bool,
    /// Gives the command a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Sets a variable of the environment (repeatable)
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// The working directory
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,
    /// Who runs the command, by names or numbers of the container
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// With every capability, unfiltered
    #[arg(long)]
    pub privileged: bool,
    pub container: String,
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Copy {
    /// Keeps the owners' numbers
    #[arg(short, long)]
    pub archive: bool,
    /// CONTAINER:PATH, a path of this machine, or - for a tar stream
    pub from: String,
    /// The other of them
    pub to: String,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Stats {
    /// Once, instead of again and again
    #[arg(long)]
    pub no_stream: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// All that run, when none is named
    pub containers: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Inspect {
    /// One JSON object a line, instead of an array that is laid out
    #[arg(long)]
    pub json: bool,
    #[arg(required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Commit {
    /// Lets the container run meanwhile
    #[arg(long)]
    pub no_pause: bool,
    /// Who made it
    #[arg(short, long)]
    pub author: Option<String>,
    /// What it is
    #[arg(short, long)]
    pub message: Option<String>,
    pub container: String,
    /// The image's name
    pub image: String,
}

#[derive(Debug, Subcommand)]
pub(in crate::windlass) enum Volume {
    /// Makes a volume
    Create { name: String },
    /// Lists volumes
    Ls {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// Names only
        #[arg(short, long)]
        quiet: bool,
    },
    /// Removes volumes that no container has
    Rm {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Prints what is known of volumes, as JSON
    Inspect {
        #[arg(required = true)]
        names: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Prune {
    /// Also volumes that no container has
    #[arg(long)]
    pub volumes: bool,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}
