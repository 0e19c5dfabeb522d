//! A bundle with its runtime: made for one test, gone with it.

use std::fs::File;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;
use trial::need;

use crate::until::until;

/// The commands of busybox that scripts here use.
const APPLETS: [&str; 46] = [
    "sh",
    "cat",
    "echo",
    "sleep",
    "true",
    "false",
    "id",
    "ls",
    "mount",
    "umount",
    "ps",
    "kill",
    "grep",
    "touch",
    "ln",
    "mkdir",
    "rmdir",
    "rm",
    "mv",
    "readlink",
    "stat",
    "hostname",
    "env",
    "test",
    "dd",
    "head",
    "sort",
    "wc",
    "stty",
    "tty",
    "nproc",
    "unshare",
    "chmod",
    "mknod",
    "cut",
    "tr",
    "sed",
    "seq",
    "pwd",
    "dnsdomainname",
    "sysctl",
    "timeout",
    "chown",
    "ip",
    "tail",
    "yes",
];

/// The runtime under test.
pub(crate) fn runtime() -> PathBuf {
    match std::env::var_os("WINDLASS_OCI") {
        Some(other) => other.into(),
        None => env!("CARGO_BIN_EXE_windlass-oci").into(),
    }
}

/// The runtime under test is this project's: what the test asks for is more than Debian's runc does.
pub(crate) fn strict() -> Result<(), String> {
    let program = runtime();
    match program.file_name() {
        Some(name) if name == "windlass-oci" => Ok(()),
        _ => Err(format!("asks for more than other runtimes do: {}", program.display())),
    }
}

/// A name that nobody else uses.
pub(crate) fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn new(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What was written, of a command that succeeded.
    #[track_caller]
    pub(crate) fn fine(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// The complaint of a command that failed by its own exit code.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert!(matches!(self.code, Some(code) if code != 0 && code != 124), "{self:?}");
        assert!(!self.err.trim().is_empty(), "a failure says why: {self:?}");
        self.err
    }
}

/// Who runs this may have containers: root, or a user whom the kernel lets make user namespaces.
pub(crate) fn containers() -> Result<(), String> {
    let users = std::fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    let allowed = users.trim().parse::<u64>().is_ok_and(|limit| limit > 0);
    need::root().or_else(|_| if allowed { Ok(()) } else { Err("needs root or user namespaces".to_owned()) })
}

/// The first of the ids that an ordinary user who runs this was granted.
fn granted() -> Option<u32> {
    std::env::var(trial::GRANTED).ok()?.parse().ok()
}

/// A container may have users beside its root.
pub(crate) fn many_ids() -> Result<(), String> {
    need::root().or_else(|_| granted().map(drop).ok_or_else(|| "needs root or granted ids".to_owned()))
}

/// Changes a specification as `spec --rootless` does: root inside is the caller, the others are those granted.
fn for_user(spec: &mut Value) {
    let map = |id: u32| {
        let own = json!({"containerID": 0, "hostID": id, "size": 1});
        let others = granted().map(|first| json!({"containerID": 1, "hostID": first, "size": 65536}));
        [own].into_iter().chain(others).collect::<Value>()
    };
    spec["linux"]["uidMappings"] = map(rustix::process::geteuid().as_raw());
    spec["linux"]["gidMappings"] = map(rustix::process::getegid().as_raw());
    spec["linux"]["namespaces"].as_array_mut().expect("a list").push(json!({"type": "user"}));
    spec["linux"]["resources"] = json!({});
    let mounts = spec["mounts"].as_array_mut().expect("a list");
    mounts.retain(|mount| mount["type"] != "cgroup");
    for options in mounts.iter_mut().filter_map(|mount| mount["options"].as_array_mut()) {
        // Groups that are not the caller's.
        options.retain(|option| option != "gid=5");
    }
}

/// Fills a folder with busybox as a root file system.
pub(crate) fn fill(rootfs: &Path) {
    for folder in ["bin", "dev", "etc", "mnt", "proc", "sys", "tmp", "run", "root"] {
        std::fs::create_dir_all(rootfs.join(folder)).expect("the folder is ours");
    }
    let everybody = PermissionsExt::from_mode(0o1777);
    std::fs::set_permissions(rootfs.join("tmp"), everybody).expect("the folder is ours");
    std::fs::copy("/bin/busybox", rootfs.join("bin/busybox")).expect("busybox-static is installed");
    for applet in APPLETS {
        symlink("busybox", rootfs.join("bin").join(applet)).expect("the folder is ours");
    }
    std::fs::write(rootfs.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").expect("the folder is ours");
    std::fs::write(rootfs.join("etc/group"), "root:x:0:\n").expect("the folder is ours");
}

/// One container's bundle, state folder and name. The container goes when this does.
pub(crate) struct Bundle {
    folder: TempDir,
    program: PathBuf,
    pub(crate) id: String,
    pub(crate) spec: Value,
}

impl Bundle {
    /// A bundle of the default specification, for the runtime under test.
    pub(crate) fn new() -> Self {
        Self::of(&runtime())
    }

    /// The same for a runtime of this path or name.
    pub(crate) fn of(program: &Path) -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").expect("a temporary folder");
        // Users of other namespaces pass through.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).expect("the folder is ours");
        fill(&folder.path().join("rootfs"));
        let mut spec = serde_json::from_str(include_str!("default.json")).expect("the default specification is JSON");
        if need::root().is_err() {
            for_user(&mut spec);
        }
        Self { folder, program: program.to_owned(), id: unique("windlass-test"), spec }
    }

    /// A bundle whose program is a shell that runs this script.
    pub(crate) fn script(script: &str) -> Self {
        let mut bundle = Self::new();
        bundle.set_script(script);
        bundle
    }

    pub(crate) fn set_script(&mut self, script: &str) {
        self.spec["process"]["args"] = json!(["sh", "-c", script]);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn rootfs(&self, name: &str) -> PathBuf {
        self.path("rootfs").join(name)
    }

    /// Compiles a static program of C into the root file system's `/bin`.
    pub(crate) fn compile(&self, name: &str, source: &str) {
        let file = self.path("source.c");
        std::fs::write(&file, source).expect("the folder is ours");
        let program = self.rootfs("bin").join(name);
        let built = Command::new("cc").args(["-static", "-o"]).arg(&program).arg(&file).status().expect("cc starts");
        assert!(built.success(), "{name} was not compiled");
    }

    /// Appends a mount to the specification.
    pub(crate) fn mount(&mut self, mount: Value) {
        self.spec["mounts"].as_array_mut().expect("mounts are a list").push(mount);
    }

    /// Binds a folder of the host's into the container.
    pub(crate) fn bind(&mut self, source: &Path, destination: &str, options: &[&str]) {
        let options: Vec<&str> = ["rbind"].iter().chain(options).copied().collect();
        self.mount(json!({"destination": destination, "type": "bind", "source": source, "options": options}));
    }

    /// Writes `config.json`.
    pub(crate) fn write(&self) {
        std::fs::write(self.path("config.json"), self.spec.to_string()).expect("the folder is ours");
    }

    /// The runtime with this container's state folder, and a limit in time.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", "240"]).arg(&self.program);
        command.arg("--root").arg(self.path("state")).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs the runtime; what it starts must not keep its output open.
    pub(crate) fn call(&self, arguments: &[&str]) -> Said {
        Said::new(&self.command(arguments).output().expect("the runtime starts"))
    }

    /// Runs a verb on this container.
    pub(crate) fn verb(&self, verb: &str) -> Said {
        self.call(&[verb, &self.id])
    }

    /// `run` in the foreground, to its end.
    pub(crate) fn run(&self) -> Said {
        self.write();
        let bundle = self.path("");
        self.call(&["run", "--bundle", bundle.to_str().expect("UTF-8"), &self.id])
    }

    /// A verb that leaves a process behind, with its standard output in the file `out`.
    pub(crate) fn leaving(&self, arguments: &[&str]) -> Said {
        self.write();
        let file =
            |name: &str| File::options().create(true).append(true).open(self.path(name)).expect("the folder is ours");
        _ = std::fs::remove_file(self.path("err")); // there may be none
        let status = self.command(arguments).stdout(file("out")).stderr(file("err")).status();
        let err = std::fs::read_to_string(self.path("err")).expect("written above");
        Said { code: status.expect("the runtime starts").code(), out: String::new(), err }
    }

    /// `create`, with more arguments of it.
    pub(crate) fn create_with(&self, options: &[&str]) -> Said {
        let bundle = self.path("");
        let arguments = ["create", "--bundle", bundle.to_str().expect("UTF-8")];
        self.leaving(&[&arguments, options, &[&self.id]].concat())
    }

    pub(crate) fn create(&self) -> Said {
        self.create_with(&[])
    }

    /// Creates and starts.
    pub(crate) fn start(&self) {
        self.create().fine();
        self.verb("start").fine();
    }

    /// What the container's program wrote so far.
    pub(crate) fn out(&self) -> String {
        std::fs::read_to_string(self.path("out")).unwrap_or_default()
    }

    /// The parsed output of `state`.
    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.verb("state").fine()).expect("state is JSON")
    }

    pub(crate) fn status(&self) -> String {
        self.state()["status"].as_str().expect("status is a text").to_owned()
    }

    pub(crate) fn wait_for(&self, status: &str) {
        until(&format!("{} is {status}", self.id), || (self.status() == status).then_some(()));
    }

    pub(crate) fn exec(&self, arguments: &[&str]) -> Said {
        self.call(&[&["exec", &self.id], arguments].concat())
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        _ = self.command(&["delete", "--force", &self.id]).output(); // most tests have deleted it themselves
    }
}
