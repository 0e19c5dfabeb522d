//! The list of kernel files, checked against the groups of the machine.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a failed expectation is a failed test")]

mod support;

use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use support::{Scratch, has, only};
use trial::{Test, need};
use windlass_cgroups::{Controller, FileAccess, FilePlace, Home, InterfaceFile, Version};

fn main() -> ExitCode {
    let each = [("v1_every_file_is_in_the_list", Version::V1), ("v2_every_file_is_in_the_list", Version::V2)];
    let tests = each
        .map(|(name, version)| Test::new(name, move || every_file(version)).needs(need::root).needs(has(version, &[])));
    support::main(tests.into())
}

/// A group with every controller that the version has, and the root above it.
fn every_file(version: Version) {
    let all = only(version);
    let home = if version == Version::V1 { Home::V1 } else { Home::V2 };
    let here: Vec<Controller> =
        Controller::ALL.into_iter().filter(|controller| all.home(*controller) == home).collect();
    let scratch = Scratch::new(&all, &here);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for descriptor in scratch.descriptors() {
        let child = std::fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd())).unwrap();
        let root = child.parent().unwrap();
        seen += check(version, &child, false, &mut wrong);
        if is_root(version, root) {
            seen += check(version, root, true, &mut wrong);
        }
    }
    eprintln!("{seen} files in groups with {} controllers", here.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > here.len());
}

/// Whether the base is the root of the machine: in v2 it alone has no type.
fn is_root(version: Version, base: &Path) -> bool {
    match version {
        Version::V2 => !base.join("cgroup.type").exists(),
        Version::V1 => base.join("cgroup.sane_behavior").exists(),
    }
}

fn check(version: Version, directory: &Path, root: bool, wrong: &mut Vec<String>) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if !metadata.is_file() {
            continue;
        }
        count += 1;
        let name = entry.file_name().into_string().unwrap();
        let Some(file) = InterfaceFile::find(version, &name) else {
            wrong.push(format!("{}: the list lacks it", entry.path().display()));
            continue;
        };
        if file.place == (if root { FilePlace::NotRoot } else { FilePlace::Root }) {
            wrong.push(format!("{}: the list has it elsewhere", entry.path().display()));
        }
        let mode = metadata.permissions().mode() & 0o600;
        let expected = match file.access {
            FileAccess::Read => mode == 0o400,
            FileAccess::Write => mode == 0o200,
            FileAccess::ReadWrite => mode == 0o600,
            FileAccess::Act => mode & 0o200 != 0,
        };
        // Some earlier kernels have a file for reading only to which later ones write.
        let earlier = (file.access, mode) == (FileAccess::ReadWrite, 0o400);
        let may_be = earlier && matches!(name.as_str(), "memory.peak" | "memory.swap.peak");
        if !(expected || may_be) {
            wrong.push(format!("{}: mode {mode:o} and {:?} in the list", entry.path().display(), file.access));
        }
    }
    count
}
