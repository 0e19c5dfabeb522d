//! A bundle: the directory with a configuration and, in most cases, the root file system.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Process, Spec};

use super::failure::{Failure, Result};

/// The name of the configuration in a bundle, and of the copy that is kept of it.
pub(super) const CONFIG: &str = "config.json";

/// A bundle whose configuration was read.
#[derive(Debug)]
pub(super) struct Bundle {
    /// Absolute.
    pub(super) path: PathBuf,
    /// The configuration word for word.
    pub(super) text: Vec<u8>,
    pub(super) spec: Spec,
}

impl Bundle {
    /// Reads the bundle at `path`, or in the working directory.
    pub(super) fn read(path: Option<&Path>) -> Result<Self> {
        let path = path.unwrap_or(Path::new("."));
        let doing = || Failure::during(format!("bundle {}", path.display()));
        let path = path.canonicalize().map_err(doing())?;
        let file = path.join(CONFIG);
        let text = std::fs::read(&file).map_err(Failure::during(file.display()))?;
        let spec: Spec = serde_json::from_slice(&text).map_err(Failure::during(file.display()))?;
        check_version(spec.version())?;
        if spec.process().is_none() {
            return Err(Failure::new("process: a container needs one"));
        }
        Ok(Self { path, text, spec })
    }

    /// What shall be run.
    pub(super) fn process(&self) -> &Process {
        self.spec.process().as_ref().expect("it was read with one")
    }

    /// The root file system, absolute.
    pub(super) fn rootfs(&self) -> PathBuf {
        self.path.join(self.spec.root().as_ref().map_or(Path::new(""), |root| root.path().as_path()))
    }
}

/// The versions that this runtime knows: the first major one, whose minor ones add and never take away.
pub(super) fn check_version(text: &str) -> Result<()> {
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    match &numbers[..] {
        ["1", rest @ ..] if rest.len() == 2 && rest.iter().all(is_number) => Ok(()),
        _ => Err(Failure::new(format!("ociVersion {text:?}: only versions 1.x.y are known"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_of_the_first_major_one() {
        for text in ["1.0.0", "1.0.2-dev", "1.3.0", "1.0.0-rc5", "1.2.0+x"] {
            check_version(text).unwrap();
        }
        for text in ["", "1", "1.0", "0.2.0", "2.0.0", "1.0.x", "a.b.c", "1.0.0.0", "-1.0.0", "1..0"] {
            assert!(check_version(text).is_err(), "{text:?}");
        }
    }
}
