//! Each library stands alone: an empty package outside the workspace adds it and compiles its front page's example.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Waits for an isolated process through tokio's reactor, as a program that embeds `namespaces` would.
const IN_TOKIO: &str = r#"
use tokio::io::unix::AsyncFd;
use windlass_namespaces::{Command, Namespace, Source};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let child = Command::new("/bin/true").namespace(Namespace::Uts, Source::New).spawn()?;
    let child = AsyncFd::new(child)?;
    child.readable().await?.retain_ready();
    let status = child.into_inner().wait()?;
    assert!(status.success(), "{status:?}");
    println!("ended inside tokio");
    Ok(())
}
"#;

#[test]
fn namespaces() {
    check("namespaces", &example("namespaces"));
}

#[test]
fn namespaces_inside_tokio() {
    let package = Package::new("namespaces");
    package.cargo(&["add", "--offline", "tokio", "--features", "rt,macros,net"]);
    package.main(IN_TOKIO);
    package.cargo(&["build", "--offline"]);
    let root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("/proc is mounted")) == 0;
    if root {
        let output = package.cargo(&["run", "--offline", "--quiet"]);
        assert_eq!(output, "ended inside tokio\n");
    }
}

#[test]
fn cgroups() {
    check("cgroups", &example("cgroups"));
}

#[test]
fn overlay() {
    check("overlay", &example("overlay"));
}

#[test]
fn image() {
    check("image", &example("image"));
}

#[test]
fn pod() {
    check("pod", &example("pod"));
}

#[test]
fn scheduler_core() {
    check("scheduler-core", &example("scheduler-core"));
}

/// Types and borrows are checked, and nothing is linked: the examples run as doctests.
fn check(library: &str, main: &str) {
    let package = Package::new(library);
    package.main(main);
    package.cargo(&["check", "--offline"]);
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is there")
}

/// A package in a folder of its own, outside the workspace, that has added one library by its path.
struct Package(tempfile::TempDir);

impl Package {
    fn new(library: &str) -> Self {
        let package = Self(tempfile::tempdir().expect("a temporary folder"));
        package.cargo(&["init", "--quiet", "--vcs", "none", "--name", "embed"]);
        // The versions that the workspace has tested, which are on this machine already.
        std::fs::copy(workspace().join("Cargo.lock"), package.0.path().join("Cargo.lock")).expect("a lock file");
        let path = workspace().join(library);
        package.cargo(&["add", "--quiet", "--offline", "--path", path.to_str().expect("a path in UTF-8")]);
        package
    }

    fn main(&self, text: &str) {
        std::fs::write(self.0.path().join("src/main.rs"), text).expect("main.rs is written");
    }

    /// Runs cargo in the package and returns what it printed.
    fn cargo(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO"))
            .args(arguments)
            .current_dir(self.0.path())
            .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("embed"))
            .output()
            .expect("cargo starts");
        assert!(output.status.success(), "cargo {arguments:?}:\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("cargo prints UTF-8")
    }
}

/// The first Rust example of a crate's front page, as a program.
fn example(library: &str) -> String {
    let path = workspace().join(library).join("src/lib.rs");
    let text = std::fs::read_to_string(&path).expect("a library has a lib.rs");
    let page: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    let is_start = |line: &&&str| line.starts_with("```") && !line.starts_with("```text");
    let start = page.iter().position(|line| is_start(&line)).unwrap_or_else(|| panic!("{library}: no example"));
    let body: Vec<&str> = page[start + 1..]
        .iter()
        .take_while(|line| !line.starts_with("```"))
        .map(|line| line.strip_prefix("# ").unwrap_or(if *line == "#" { "" } else { line }))
        .collect();
    assert!(body.len() >= 3, "{library}: the example says too little");
    let body = body.join("\n");
    match body {
        body if body.contains("fn main()") => body,
        // rustdoc's own rule: an example that ends in `Ok::<..>(())` may use `?`.
        body if body.contains("Ok::<") => {
            format!("fn main() {{\n(|| {{\n{body}\n}})().expect(\"the example ends well\");\n}}\n")
        }
        body => format!("fn main() {{\n{body}\n}}\n"),
    }
}
