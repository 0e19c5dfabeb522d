//! What to pack.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use super::extra::Extra;
use crate::media_type::Codec;

/// The program to pack.
#[derive(Debug)]
pub enum Program {
    /// A file of this machine. Without a name of its own it keeps its path, and the symbolic links on the way.
    Path {
        /// Where it is.
        path: PathBuf,
        /// Where it shall be in the image.
        name: Option<PathBuf>,
    },
    /// An open file, such as `/proc/self/exe`; its position does not change.
    File {
        /// The program.
        file: File,
        /// Where it shall be in the image; absolute.
        name: PathBuf,
    },
}

/// What to pack, and how the image shall run it.
#[derive(Debug)]
pub struct PackRequest {
    /// The program.
    pub program: Program,
    /// Arguments that a container's caller may replace.
    pub args: Vec<String>,
    /// `NAME=VALUE`.
    pub env: Vec<String>,
    /// Where the program starts.
    pub working_dir: Option<String>,
    /// `USER[:GROUP]`.
    pub user: Option<String>,
    /// Free text by key.
    pub labels: BTreeMap<String, String>,
    /// Files and directories, by absolute paths, that the program opens by path; each becomes a layer of its own, and libraries that
    /// its ELF files load join the program's.
    pub includes: Vec<PathBuf>,
    /// What the program does not load and yet needs; one layer of all.
    pub extras: Vec<Extra>,
    /// How the layers are compressed.
    pub codec: Codec,
    /// The modification time of every entry and the image's date, in seconds since 1970: the same input and number
    /// give the same digests. Without it entries have the time 0 and the image no date.
    pub epoch: Option<u64>,
}

impl PackRequest {
    /// Packs `program` alone, with gzip and nothing else set.
    pub fn new(program: Program) -> Self {
        Self {
            program,
            args: Vec::new(),
            env: Vec::new(),
            working_dir: None,
            user: None,
            labels: BTreeMap::new(),
            includes: Vec::new(),
            extras: Vec::new(),
            codec: Codec::Gzip,
            epoch: None,
        }
    }
}
