//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Packs programs into images, and runs them isolated and limited
#[derive(Debug, Parser)]
#[command(name = "windlass", version, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    /// Where images and layers are kept [default: /var/lib/windlass, or ~/.local/share/windlass]
    #[arg(long, global = true, env = "WINDLASS_ROOT", value_name = "DIR")]
    pub root: Option<PathBuf>,
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_CODES: &str = "Exit codes of `run`: the program's own; 125 windlass itself failed; 126 the program cannot \
be run; 127 it was not found; 128+N it was ended by signal N.";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Says what this kernel and user can do, and why not
    Info {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Makes an image of a program and the shared libraries that it loads
    Pack(Pack),
    /// Lists the images
    Images {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Removes the name of an image; what no other image uses goes with it
    Rmi {
        /// The image
        image: String,
    },
    /// Runs a command in a new container, and removes the container when it ends
    Run(Run),
}

#[derive(Debug, Args)]
pub(super) struct Pack {
    /// The ELF program
    pub program: PathBuf,
    /// The image's name
    #[arg(short, long, value_name = "NAME")]
    pub tag: String,
    /// Also takes this file or directory, in a layer of its own (repeatable)
    #[arg(long, value_name = "PATH")]
    pub include: Vec<PathBuf>,
    /// Sets a variable of the image's environment (repeatable)
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Arguments of the program that a container may replace
    #[arg(last = true)]
    pub args: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Network {
    /// A network namespace of its own with a loopback device
    None,
    /// The host's network
    Host,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SecurityOption {
    /// System calls are not filtered
    #[value(name = "seccomp=unconfined")]
    SeccompUnconfined,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// Sets a variable of the environment (repeatable)
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Binds a file or directory of the host into the container (repeatable)
    #[arg(short, long, value_name = "HOST:CONTAINER[:ro]")]
    pub volume: Vec<String>,
    /// Mounts an empty tmpfs (repeatable)
    #[arg(long, value_name = "CONTAINER")]
    pub tmpfs: Vec<PathBuf>,
    /// The working directory
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,
    /// The host name
    #[arg(long)]
    pub hostname: Option<String>,
    /// The network
    #[arg(long, value_enum, default_value_t = Network::None)]
    pub network: Network,
    /// The root file system cannot be written
    #[arg(long)]
    pub read_only: bool,
    /// Loosens the container (repeatable)
    #[arg(long, value_enum, value_name = "OPTION")]
    pub security_opt: Vec<SecurityOption>,
    /// CPUs that the container may use at most, like 0.5
    #[arg(long, value_name = "NUMBER", value_parser = super::limits::millicores)]
    pub cpus: Option<u32>,
    /// Proportion of CPU time against other containers, 2 to 262144
    #[arg(long, value_name = "SHARES")]
    pub cpu_shares: Option<u32>,
    /// CPUs to run on, like 0-1,3
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory at most, in bytes or with b, k, m, g
    #[arg(short, long, value_name = "BYTES", value_parser = super::limits::bytes)]
    pub memory: Option<u64>,
    /// Soft limit of memory
    #[arg(long, value_name = "BYTES", value_parser = super::limits::bytes)]
    pub memory_reservation: Option<u64>,
    /// Processes and threads at most
    #[arg(long, value_name = "NUMBER")]
    pub pids_limit: Option<u64>,
    /// The image
    pub image: String,
    /// The command, instead of the image's own arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}
