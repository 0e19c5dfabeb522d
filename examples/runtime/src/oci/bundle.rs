//! A bundle: the directory with a configuration and, in most cases, the root file system.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Process, Spec};
use windlass_namespaces::oci::Config;

use super::failure::{Failure, Result};

/// The version of the runtime specification that this runtime keeps to.
pub(super) const SPECIFICATION: &str = "1.3.0";

/// The name of the configuration in a bundle, and of the copy that is kept of it.
pub(super) const CONFIG: &str = "config.json";

/// A bundle whose configuration was read.
#[derive(Debug)]
pub(super) struct Bundle {
    /// Absolute.
    pub(super) path: PathBuf,
    /// The configuration word for word.
    pub(super) text: Vec<u8>,
    pub(super) config: Config,
}

impl Bundle {
    /// Reads the bundle at `path`, or in the working directory.
    pub(super) fn read(path: Option<&Path>) -> Result<Self> {
        let path = path.unwrap_or(Path::new("."));
        let path = path.canonicalize().map_err(Failure::during(format_args!("bundle {}", path.display())))?;
        let file = path.join(CONFIG);
        let text = std::fs::read(&file).map_err(Failure::during(file.display()))?;
        let config = Config::parse(&text).map_err(Failure::during(file.display()))?;
        if config.spec().process().is_none() {
            return Err(Failure::new("process: a container needs one"));
        }
        Ok(Self { path, text, config })
    }

    pub(super) fn spec(&self) -> &Spec {
        self.config.spec()
    }

    /// What shall be run.
    pub(super) fn process(&self) -> &Process {
        self.spec().process().as_ref().expect("it was read with one")
    }

    /// The root file system, absolute.
    pub(super) fn rootfs(&self) -> PathBuf {
        self.path.join(self.spec().root().as_ref().map_or(Path::new(""), |root| root.path().as_path()))
    }
}
