//! What the kernel tests share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{Read as _, pipe};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};

use windlass_namespaces::{Command, KillOnDrop, Mount, Namespace, Rootfs, Source, Stdio};

/// A shell that runs `script`.
pub(crate) fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script);
    command
}

/// Runs to the end, and gives the status and what was written to standard output.
pub(crate) fn output(command: &mut Command) -> (ExitStatus, String) {
    let (mut reader, writer) = pipe().expect("a pipe");
    command.stdout(OwnedFd::from(writer));
    let child = command.spawn();
    // The command's copy of the writing end would keep the reader waiting.
    command.stdout(Stdio::Inherit);
    let mut child = child.unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)));
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("the program writes text");
    (child.wait().expect("the program ends"), text)
}

/// What a successful script writes, trimmed.
pub(crate) fn said(command: &mut Command) -> String {
    let (status, text) = output(command);
    assert!(status.success(), "{status}: {text}");
    text.trim().to_owned()
}

/// The link of a namespace of this process: `net:[4026531840]`.
pub(crate) fn own(kind: Namespace) -> String {
    link("self", kind)
}

/// The link of a namespace of a process.
pub(crate) fn link(process: &str, kind: Namespace) -> String {
    let path = format!("/proc/{process}/ns/{}", kind.file_name());
    std::fs::read_link(&path).expect(&path).to_string_lossy().into_owned()
}

/// A shell in new namespaces of these kinds.
pub(crate) fn fresh(script: &str, kinds: &[Namespace]) -> Command {
    anew(shell(script), kinds)
}

/// A process that stays, in new namespaces of these kinds.
pub(crate) fn sleeper(kinds: &[Namespace]) -> Command {
    let mut command = Command::new("sleep");
    command.arg("600").kill_on_drop(KillOnDrop::Yes);
    anew(command, kinds)
}

fn anew(mut command: Command, kinds: &[Namespace]) -> Command {
    for kind in kinds {
        command.namespace(*kind, Source::New);
    }
    command
}

/// A name that no other test and no other process uses, at most 15 bytes long.
pub(crate) fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}{:x}{count:x}", std::process::id())
}

/// The descriptors that this process has open.
pub(crate) fn descriptors() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .expect("procfs")
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .filter(|target| !target.ends_with("/fd"))
        .collect();
    names.sort();
    names
}

/// The links by which programs and libraries are found in `/usr`.
pub(crate) fn links(root: &Path) {
    use std::os::unix::fs::{PermissionsExt, symlink};
    // The program of an unprivileged user must be able to enter it.
    std::fs::set_permissions(root, PermissionsExt::from_mode(0o755)).expect("a directory of this test");
    for name in ["bin", "lib", "lib64", "sbin"] {
        match symlink(format!("usr/{name}"), root.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => panic!("{name}: {error}"),
            _ => {}
        }
    }
}

pub(crate) fn host_programs() -> Mount {
    Mount::bind_recursive("/usr", "/usr").read_only()
}

/// A shell with the directory as its root, the host's programs in it, and all that a container finds.
pub(crate) fn contained(script: &str, root: &Path) -> Command {
    links(root);
    let kinds = [Namespace::Mount, Namespace::Pid, Namespace::Net, Namespace::Ipc, Namespace::Uts];
    let mut command = fresh(script, &kinds);
    command.rootfs(Rootfs::Path(root.into())).mount(host_programs()).mounts(Mount::defaults()).env_clear();
    command
}
