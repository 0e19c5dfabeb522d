//! Needs that several crates' tests share.

use std::path::Path;

/// The effective user is root.
pub fn root() -> Result<(), String> {
    // The owner of /proc/self is the effective user of this process.
    match std::fs::metadata("/proc/self").map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata)) {
        Ok(0) => Ok(()),
        Ok(uid) => Err(format!("needs root, runs as uid {uid}")),
        Err(error) => Err(format!("needs root, cannot tell the user: /proc/self: {error}")),
    }
}

/// A program of this name is in `PATH` or in the administrator's folders.
pub fn program(name: &'static str) -> impl Fn() -> Result<(), String> {
    move || {
        let path = std::env::var("PATH").unwrap_or_default();
        let folders = path.split(':').chain(["/usr/local/sbin", "/usr/sbin", "/sbin"]);
        if folders.filter(|folder| !folder.is_empty()).any(|folder| Path::new(folder).join(name).is_file()) {
            Ok(())
        } else {
            Err(format!("needs the program {name}"))
        }
    }
}

/// A path of this name exists.
pub fn path(path: &'static str) -> impl Fn() -> Result<(), String> {
    move || if Path::new(path).exists() { Ok(()) } else { Err(format!("needs {path}")) }
}
