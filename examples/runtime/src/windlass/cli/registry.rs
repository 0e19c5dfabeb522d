//! What the verbs of registries take.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use windlass_image::Codec;
use windlass_image::build::Compression;
use windlass_image::chunked::Format;

/// How to talk to a registry.
#[derive(Debug, Args)]
pub(in crate::windlass) struct Connection {
    /// Talks to this image's registry in the clear
    #[arg(long)]
    pub plain_http: bool,
    /// Believes the certificates of this PEM file [default: this machine's]
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Proves itself to the registry with this certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub cert_file: Option<PathBuf>,
    /// The key of the certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub key_file: Option<PathBuf>,
    /// Lets the registry's credential go to a token service on this other host (repeatable)
    #[arg(long, value_name = "HOST")]
    pub trust_realm: Vec<String>,
    /// Where credentials are [default: docker's own config.json]
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
}

/// What fetching and sending have in common.
#[derive(Debug, Args)]
pub(in crate::windlass) struct Transfer {
    /// Shows no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub places: Places,
}

/// Where else images are, which logging in does not ask.
#[derive(Debug, Args)]
pub(in crate::windlass) struct Places {
    /// Takes mirrors from this file, in the form of containers-registries.conf(5)
    #[arg(long, value_name = "FILE", env = "WINDLASS_REGISTRIES_CONF")]
    pub registries_conf: Option<PathBuf>,
}

/// How layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::windlass) enum CompressionFormat {
    None,
    Gzip,
    Zstd,
    #[value(name = "zstd:chunked")]
    ZstdChunked,
    Estargz,
}

impl From<CompressionFormat> for Compression {
    fn from(format: CompressionFormat) -> Self {
        match format {
            CompressionFormat::None => Self::Plain(Codec::None),
            CompressionFormat::Gzip => Self::Plain(Codec::Gzip),
            CompressionFormat::Zstd => Self::Plain(Codec::Zstd),
            CompressionFormat::ZstdChunked => Self::Chunked(Format::ZstdChunked),
            CompressionFormat::Estargz => Self::Chunked(Format::Estargz),
        }
    }
}

/// When an image that a verb needs is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::windlass) enum PullPolicy {
    /// Whatever is there; without the registry nothing goes on
    Always,
    /// When it is not there
    Missing,
    /// As always, but what is there does where the registry cannot be asked
    Newer,
    /// Not at all
    Never,
}

/// How the images are fetched that a verb needs.
#[derive(Debug, Args)]
pub(in crate::windlass) struct Fetching {
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub places: Places,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Pull {
    /// The image, by tag or digest
    pub image: String,
    /// The platform, or `all` [default: this machine's]
    #[arg(long, value_name = "OS/ARCHITECTURE[/VARIANT]")]
    pub platform: Option<String>,
    /// Blobs at once
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    pub streams: usize,
    /// Fetches layers that the registry lacks from where the manifest says that they are
    #[arg(long)]
    pub foreign_layers: bool,
    /// Keeps layers as they came, instead of also unpacking them on the way for containers
    #[arg(long)]
    pub no_unpack: bool,
    #[command(flatten)]
    pub transfer: Transfer,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Push {
    /// The image
    pub image: String,
    /// Where it goes [default: where its name says]
    pub target: Option<String>,
    /// Takes blobs from this repository of the registry, where it has them
    #[arg(long, value_name = "REPOSITORY")]
    pub mount_from: Option<String>,
    /// Compresses layers otherwise first; zstd:chunked and estargz let others fetch single files
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub compression_format: Option<CompressionFormat>,
    /// Sends blobs in pieces of so many bytes, which are not sent again after a broken connection
    #[arg(long, value_name = "BYTES")]
    pub piece: Option<u64>,
    #[command(flatten)]
    pub transfer: Transfer,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Login {
    /// The registry
    #[arg(default_value = "docker.io")]
    pub registry: String,
    /// The name; asked for on a terminal
    #[arg(short, long)]
    pub username: Option<String>,
    /// Reads the password from the standard input
    #[arg(long)]
    pub password_stdin: bool,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Logout {
    /// The registry
    #[arg(default_value = "docker.io")]
    pub registry: String,
    /// Where credentials are [default: docker's own config.json]
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
}
