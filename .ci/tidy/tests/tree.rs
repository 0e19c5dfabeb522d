//! The checks over the whole workspace.

use std::path::{Path, PathBuf};

use tidy::{Rooms, Source, Violation, cycles, edges, flows, read_tree, shape, unexplained};

const APPLICATION: Rooms<'static> = Rooms { shell: None, apart: &[] };

/// A library, with the modules that may reach the world.
const fn library(shell: &'static [&'static str]) -> Rooms<'static> {
    Rooms { shell: Some(shell), apart: &[] }
}

/// What is checked. The last ones are workspaces of their own.
const PACKAGES: [(&str, Rooms<'static>); 13] = [
    (
        "namespaces",
        library(&["spawn", "child", "enter", "oci/listener", "opener", "pty", "net", "sys", "etc", "resctrl/tree"]),
    ),
    ("cgroups", library(&["hierarchy", "group", "delegate", "reader", "watch", "systemd", "sys"])),
    ("overlay", library(&["apply", "scan", "store", "snapshot", "mount", "probe", "sys"])),
    ("image", library(&["layout", "layer", "chunked", "archive", "pack", "build", "client"])),
    ("pod", library(&[])),
    ("scheduler-core", library(&[])),
    ("examples/runtime", APPLICATION),
    (
        "examples/mini-orchestrator",
        Rooms { shell: None, apart: &["store", "scheduler", "controllers", "agent", "proxy"] },
    ),
    ("benches", APPLICATION),
    ("fuzz", APPLICATION),
    (".ci/tidy", APPLICATION),
    (".ci/trial", APPLICATION),
    ("examples/kube-scheduler", APPLICATION),
];

const APART: usize = 1;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(package: &str) -> Vec<Source> {
    let src = Path::new(package).join("src");
    read_tree(&root(), &src).expect("the sources are readable").expect("the sources parse")
}

fn manifest(package: &str) -> toml::Table {
    let text = std::fs::read_to_string(root().join(package).join("Cargo.toml")).expect("a package has a manifest");
    text.parse().expect("a manifest is TOML")
}

fn report(violations: &[Violation]) {
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn every_member_is_checked() {
    let workspace = manifest(".");
    let members = workspace["workspace"]["members"].as_array().expect("members are a list");
    let members: Vec<&str> = members.iter().filter_map(toml::Value::as_str).collect();
    assert_eq!(members, PACKAGES[..PACKAGES.len() - APART].iter().map(|(package, _)| *package).collect::<Vec<_>>());
}

#[test]
fn modules_and_functions_keep_their_shape() {
    report(
        &PACKAGES
            .iter()
            .flat_map(|(package, _)| sources(package))
            .flat_map(|source| shape(&source))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn modules_are_acyclic() {
    report(&PACKAGES.iter().flat_map(|(package, _)| cycles(&sources(package))).collect::<Vec<_>>());
}

#[test]
fn data_flows_one_way() {
    report(&PACKAGES.iter().flat_map(|(package, rooms)| flows(&sources(package), *rooms)).collect::<Vec<_>>());
}

#[test]
fn crates_keep_their_edges() {
    let found = PACKAGES.iter().flat_map(|(package, _)| {
        let path = Path::new(package).join("Cargo.toml");
        edges(&path, &manifest(package), &sources(package))
    });
    report(&found.collect::<Vec<_>>());
}

#[test]
fn every_dependency_has_its_reason() {
    let explained = std::fs::read_to_string(root().join("docs/dependencies.md")).expect("docs/dependencies.md exists");
    let family = ["windlass-", "trial", "fuzz"];
    let found = PACKAGES
        .iter()
        .flat_map(|(package, _)| unexplained(&Path::new(package).join("Cargo.toml"), &manifest(package), &explained));
    let outside = |violation: &Violation| !family.iter().any(|name| violation.message.starts_with(&format!("`{name}")));
    report(&found.filter(outside).collect::<Vec<_>>());
}

/// The first Rust example in lines of Markdown, without what rustdoc hides.
fn example<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let shown = |line: &&str| !line.starts_with("# ") && *line != "#";
    let is_rust = |line: &&str| matches!(*line, "```" | "```rust" | "```no_run" | "```rust,no_run");
    lines.skip_while(|line| !is_rust(line)).skip(1).take_while(|line| !line.starts_with("```")).filter(shown).collect()
}

#[test]
fn a_readme_shows_the_example_that_the_front_page_compiles() {
    for library in ["namespaces", "cgroups", "overlay", "image", "pod", "scheduler-core"] {
        let read =
            |name: &str| std::fs::read_to_string(root().join(library).join(name)).expect("each library has both");
        let (page, readme) = (read("src/lib.rs"), read("README.md"));
        let page =
            page.lines().filter_map(|line| line.strip_prefix("//!")).map(|line| line.strip_prefix(' ').unwrap_or(line));
        let front = example(page);
        assert!(front.len() >= 5, "{library}: the front page has no example");
        assert_eq!(example(readme.lines()), front, "{library}");
    }
}
