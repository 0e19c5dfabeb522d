//! What the verbs of images take.

use std::path::PathBuf;

use clap::Args;

use super::registry::{CompressionFormat, Fetching, PullPolicy};
use crate::windlass::option;
use crate::windlass::record::NetworkMode;

#[derive(Debug, Args)]
pub(in crate::windlass) struct Build {
    /// The Dockerfile [default: Dockerfile in the context]
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A name for the image (repeatable)
    #[arg(short, long, value_name = "NAME")]
    pub tag: Vec<String>,
    /// A value for a variable that ARG declares; a name alone takes this process's value (repeatable)
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    pub arguments: Vec<String>,
    /// The stage to make, by name or number [default: the last]
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Runs every command, whatever earlier builds made
    #[arg(long)]
    pub no_cache: bool,
    /// The network of commands: none, host, bridge (root)
    #[arg(long, value_name = "MODE", default_value = "none", value_parser = option::network_of_build)]
    pub network: NetworkMode,
    /// The image's date, and the latest modification time of its files, so that building twice gives the same bytes
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_name = "SECONDS")]
    pub source_date_epoch: Option<u64>,
    /// When images that the Dockerfile names are fetched; without a value always
    #[arg(long, value_enum, value_name = "POLICY", default_value = "missing", default_missing_value = "always",
          num_args = 0..=1, require_equals = true)]
    pub pull: PullPolicy,
    #[command(flatten)]
    pub fetching: Fetching,
    /// Tells no steps, and shows no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// The last line printed is one JSON object
    #[arg(long)]
    pub json: bool,
    /// What COPY copies from
    #[arg(default_value = ".")]
    pub context: PathBuf,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Save {
    /// Where the archive goes [default: the standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The images; those that are named by id have no name in the archive
    #[arg(required = true)]
    pub images: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Load {
    /// Where the archive is [default: the standard input]
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Pack {
    /// The ELF program
    pub program: PathBuf,
    /// The image's name
    #[arg(short, long, value_name = "NAME")]
    pub tag: String,
    /// Also takes this file or directory, in a layer of its own (repeatable)
    #[arg(long, value_name = "PATH")]
    pub include: Vec<PathBuf>,
    /// Also takes this machine's CA certificates, where TLS libraries look for them
    #[arg(long)]
    pub ca_certificates: bool,
    /// Also makes /etc/passwd and /etc/group, with root, nobody and the user of --user
    #[arg(long)]
    pub passwd: bool,
    /// Who runs the program, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Where the program starts
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// The date of the image and its files [default: none, and the files' is 1970]
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_name = "SECONDS")]
    pub source_date_epoch: Option<u64>,
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

#[derive(Debug, Args)]
pub(in crate::windlass) struct Flatten {
    #[command(flatten)]
    pub made: Made,
    /// How the layer is compressed; zstd:chunked and estargz let others fetch single files
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "gzip")]
    pub compression_format: CompressionFormat,
    /// The image, by name, id or digest
    pub image: String,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Rebase {
    #[command(flatten)]
    pub made: Made,
    /// The image whose layers this one begins with
    #[arg(long, value_name = "IMAGE")]
    pub old_base: String,
    /// The image whose layers come in their place
    #[arg(long, value_name = "IMAGE")]
    pub new_base: String,
    /// The image, by name, id or digest
    pub image: String,
}

/// What becomes of an image that is made of another.
#[derive(Debug, Args)]
pub(in crate::windlass) struct Made {
    /// A name for what is made, taken from any other image (repeatable)
    #[arg(short, long, value_name = "NAME", required = true)]
    pub tag: Vec<String>,
    /// The date of what is made [default: none, so that the same images give the same bytes]
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_name = "SECONDS")]
    pub source_date_epoch: Option<u64>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}
