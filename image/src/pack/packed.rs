//! What was packed, and what could not be seen.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use crate::descriptor::Descriptor;
use crate::digest::Digest;

/// An image that was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packed {
    /// Of the manifest.
    pub image: Descriptor,
    /// Bottom first. A static program has no layer of dependencies.
    pub layers: Vec<PackedLayer>,
    /// The interpreter and the libraries, in the order in which they were found.
    pub libraries: Vec<Library>,
    /// What the program may load or open that is not in the image.
    pub hints: Vec<Hint>,
}

/// What a layer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The interpreter and the shared libraries.
    Dependencies,
    /// A file or directory that was asked for.
    Include(PathBuf),
    /// Certificates and names of users.
    Extras,
    /// The program.
    Code,
}

/// One layer of a packed image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackedLayer {
    /// What it is for.
    pub role: Role,
    /// Its blob.
    pub descriptor: Descriptor,
    /// The digest of its uncompressed form.
    pub diff_id: Digest,
    /// Bytes uncompressed.
    pub bytes: u64,
}

/// The interpreter or a library of a packed program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Library {
    /// The name by which it was asked for.
    pub name: OsString,
    /// Where it was found.
    pub host_path: PathBuf,
    /// Where it is in the image; a symbolic link may lead from there to the file.
    pub image_path: PathBuf,
    /// The object that asked for it.
    pub needed_by: PathBuf,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Something that reading ELF headers cannot see.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Hint {
    /// The object loads libraries by names that it computes.
    LoadsAtRunTime {
        /// Which object.
        object: PathBuf,
        /// The function that it calls.
        symbol: &'static str,
    },
    /// The object looks up hosts, users or groups: the C library loads `libnss_*.so.2` and reads `/etc` for that.
    NameService {
        /// Which object.
        object: PathBuf,
        /// The function that it calls.
        symbol: &'static str,
    },
    /// The object converts character sets: the C library loads modules from its `gconv` directory for that.
    CharacterSets {
        /// Which object.
        object: PathBuf,
    },
    /// The object names a search directory with a token other than `$ORIGIN`, or one relative to wherever the
    /// program is started; it was passed over.
    UnknownDirectory {
        /// Which object.
        object: PathBuf,
        /// The directory as it is written.
        directory: OsString,
    },
    /// The object is a filter: the dynamic linker also loads a library that has its symbols, and that was not sought.
    Filter {
        /// Which object.
        object: PathBuf,
        /// The name of the library.
        library: OsString,
    },
    /// A socket, FIFO or device in an included directory was left out.
    SpecialFile {
        /// Which file.
        path: PathBuf,
    },
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoadsAtRunTime { object, symbol } => {
                write!(f, "libraries that {} loads by name ({symbol})", object.display())
            }
            Self::NameService { object, symbol } => {
                write!(f, "the name service that {} asks ({symbol}): libnss_*.so.2 and files of /etc", object.display())
            }
            Self::CharacterSets { object } => {
                write!(f, "character sets that {} converts: gconv modules", object.display())
            }
            Self::UnknownDirectory { object, directory } => {
                write!(f, "libraries below {}, where {} searches", directory.display(), object.display())
            }
            Self::Filter { object, library } => {
                write!(f, "{}, which is loaded for the symbols of {}", library.display(), object.display())
            }
            Self::SpecialFile { path } => write!(f, "{}: neither file, directory nor link", path.display()),
        }
    }
}
