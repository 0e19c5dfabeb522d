//! What this machine's kernel has.

use std::path::Path;

use windlass_namespaces::oci::SecurityModules;

/// The security modules that are at work.
///
/// Kernel: a module that is built in and not chosen at boot shows no such file, or says so in it.
pub(super) fn security_modules() -> SecurityModules {
    SecurityModules {
        apparmor: std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|told| told.starts_with(b"Y")),
        selinux: Path::new("/sys/fs/selinux/enforce").exists(),
    }
}
