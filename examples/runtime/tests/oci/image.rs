//! A small image of busybox, as every engine loads it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::sandbox::Sandbox;

/// The name that engines know the image by.
pub(crate) const NAME: &str = "docker.io/library/box:latest";

/// Writes the image's archive into the corner's folder.
pub(crate) fn archive(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.path("image");
    let rootfs = folder.join("rootfs");
    crate::bundle::fill(&rootfs);
    let tar = |arguments: &[&str]| {
        let status = Command::new("tar")
            .args(["--numeric-owner", "--owner=0", "--group=0"])
            .args(arguments)
            .current_dir(&folder)
            .status();
        assert!(status.expect("tar starts").success());
    };
    tar(&["-cf", "layer.tar", "-C", "rootfs", "."]);
    let digest = Command::new("sha256sum").arg(folder.join("layer.tar")).output().expect("sha256sum starts");
    let digest = String::from_utf8(digest.stdout).expect("hexadecimal digits");
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", &digest[..64])]},
        "history": [{"created": "1970-01-01T00:00:00Z"}],
        "created": "1970-01-01T00:00:00Z",
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [NAME], "Layers": ["layer.tar"]}]);
    std::fs::write(folder.join("config.json"), config.to_string()).expect("the folder is ours");
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).expect("the folder is ours");
    tar(&["-cf", "box.tar", "manifest.json", "config.json", "layer.tar"]);
    folder.join("box.tar")
}
