//! Configurations of containers, which engines put together from what images and users say.

use std::path::Path;

use windlass_namespaces::oci::{self, Config, Options, ProcessConfig};

/// A configuration is refused or becomes a container, whose plan is refused or printed; the same text twice becomes the
/// same plan.
pub(super) fn oci(data: &[u8]) {
    let plan = || {
        let config = Config::parse(data).ok()?;
        let container = oci::container(&config, Path::new("/bundle"), &Options::new("box")).ok()?;
        let plan = container.command.plan().ok()?;
        Some(plan.to_string())
    };
    let first = plan();
    if let Some(text) = &first {
        assert!(text.contains("attach root /"), "{text}");
        assert!(text.trim_end().lines().any(|line| line.starts_with("process: execute ")), "{text}");
    }
    assert_eq!(plan(), first);
    // Whatever it is, reading it as a process ends as well.
    drop(ProcessConfig::parse(data));
}
