//! What the verbs of images take.

use std::path::PathBuf;

use clap::Args;

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
