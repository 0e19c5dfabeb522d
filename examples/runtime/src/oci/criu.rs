//! Finding the program that writes running containers to files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The program: as `--criu` says, or in `PATH`; `None` if there is none that can be executed.
pub(super) fn program(given: Option<&Path>) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        let status = std::fs::metadata(path);
        status.is_ok_and(|status| status.is_file() && status.permissions().mode() & 0o111 != 0)
    };
    match given {
        Some(path) if path.components().count() > 1 => Some(path.to_owned()).filter(is_program),
        name => {
            let name = name.unwrap_or(Path::new("criu"));
            let folders = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&folders).map(|folder| folder.join(name)).find(is_program)
        }
    }
}
