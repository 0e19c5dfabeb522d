//! A home of a test's own, with images in it, and windlass called as a person calls it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use trial::need;
use windlass_image::config::{Contents, Execution};
use windlass_image::layer::{Builder, Metadata, Source};
use windlass_image::{Codec, ImageConfig, Layout, Manifest, Platform, Reference};

/// How long anything may take that a test waits for. Only a failing test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

const APPLETS: [&str; 27] = [
    "cat", "chmod", "cp", "dd", "echo", "false", "grep", "head", "hostname", "id", "ip", "kill", "ln", "ls", "mkdir",
    "mknod", "mv", "nc", "ps", "rm", "sh", "sleep", "stat", "stty", "tail", "touch", "true",
];

/// `1000`, `4294967296` and the like are names that hostile images give to root.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n1000:x:0:0::/root:/bin/sh\n4294967296:x:0:0::/root:/bin/sh\n\
                      0x0:x:0:0::/root:/bin/sh\n-1:x:0:0::/root:/bin/sh\n\
                      daemon:x:1:1:daemon:/usr/sbin:/bin/sh\ntwo:x:1000:1001::/home/two:/bin/sh\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\nwheel:x:10:two\n";

/// The folder, and on its end the end of all containers in it.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    user: Option<u32>,
    /// Files that windlass finds in the place of those of `/etc`.
    etc: Option<PathBuf>,
    program: PathBuf,
}

impl Home {
    /// An empty one.
    pub(crate) fn empty() -> Self {
        // In memory what is written for good is there at once.
        let place = if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/var/tmp" };
        let folder = tempfile::tempdir_in(place).expect("a temporary folder");
        Self { folder, user: None, etc: None, program: program() }
    }

    /// One with the image `box`: busybox, and some accounts.
    pub(crate) fn new() -> Self {
        let home = Self::empty();
        home.add_image("box", Execution::default(), &[]);
        home
    }

    /// One that belongs to an ordinary user, with the program copied, because the folder in which it was built may be
    /// closed to others. Who is a user already has no other.
    pub(crate) fn of_user(user: u32) -> Self {
        if need::root().is_err() {
            return Self::new();
        }
        let mut home = Self::empty();
        let copy = home.folder.path().join("windlass");
        std::fs::copy(program(), &copy).expect("the program is copied");
        std::os::unix::fs::chown(home.folder.path(), Some(user), Some(user)).expect("root gives files away");
        home.program = copy;
        home.add_image("box", Execution::default(), &[]);
        for entry in [home.root(), home.root().join("images")] {
            chown_all(&entry, user);
        }
        home.user = Some(user);
        home
    }

    /// One of an ordinary user to whom ids are granted from this one on, in a mount namespace with its own account files.
    pub(crate) fn of_granted_user(user: u32, first: u32) -> Self {
        let mut home = Self::of_user(user);
        let etc = home.folder.path().join("etc");
        std::fs::create_dir(&etc).expect("a folder");
        let grant = format!("tester:{first}:65536\n");
        for (name, text) in
            [("passwd", format!("tester:x:{user}:{user}::/:/bin/sh\n")), ("subuid", grant.clone()), ("subgid", grant)]
        {
            std::fs::write(etc.join(name), text).expect("a file");
        }
        home.etc = Some(etc);
        home
    }

    /// What `--root` is.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("own")
    }

    /// A folder for what is not windlass's.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Adds an image of busybox with more files in it.
    pub(crate) fn add_image(&self, name: &str, execution: Execution, files: &[(&str, &str)]) {
        std::fs::create_dir_all(self.root()).expect("a folder");
        let layout = Layout::create(self.root().join("images")).expect("a layout");
        let mut layer = Builder::new(0);
        let busybox = Source::Path("/bin/busybox".into());
        layer.file("bin/busybox", Metadata::root(0o755), busybox).expect("busybox");
        for applet in APPLETS {
            layer.symlink(format!("bin/{applet}"), "busybox").expect("an applet");
        }
        layer.directory("tmp", Metadata::root(0o1777)).expect("a directory");
        for (path, text) in [("etc/passwd", PASSWD), ("etc/group", GROUP)].iter().chain(files) {
            layer.file(path, Metadata::root(0o644), Source::Bytes(text.as_bytes().to_vec())).expect("a file");
        }
        let layer = layout.put_layer(&layer, Codec::None).expect("a layer");
        let config = ImageConfig::build(&Contents {
            platform: Platform::host(),
            execution: Execution { cmd: vec!["sh".to_owned()], ..execution },
            diff_ids: vec![layer.diff_id],
            ..Contents::default()
        });
        let config = config.expect("a configuration");
        layout.put_blob(config.descriptor().media_type, config.raw()).expect("a blob");
        let manifest =
            Manifest::build(&config.descriptor(), &[layer.descriptor], &BTreeMap::new()).expect("a manifest");
        let descriptor = layout.put_blob(manifest.media_type().clone(), manifest.raw()).expect("a blob");
        let name = Reference::parse(name).expect("a name");
        layout.tag(name.canonical(), &descriptor).expect("the image has a name");
    }

    /// A command of windlass in this home.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match (&self.etc, self.user) {
            (Some(etc), Some(user)) => {
                let script = "for file in passwd subuid subgid; do mount --bind $0/$file /etc/$file || exit 99; done; exec \"$@\"";
                let mut command = Command::new("unshare");
                command.args(["-m", "sh", "-c", script]).arg(etc);
                let ids = [format!("--reuid={user}"), format!("--regid={user}")];
                command.arg("setpriv").args(ids).arg("--clear-groups").arg(&self.program);
                command
            }
            _ => Command::new(&self.program),
        };
        command.arg("--root").arg(self.root()).args(arguments).current_dir("/").stdin(Stdio::null());
        if let (Some(user), None) = (self.user, &self.etc) {
            std::os::unix::process::CommandExt::uid(&mut command, user);
            std::os::unix::process::CommandExt::gid(&mut command, user);
        }
        command
    }

    /// Calls windlass.
    pub(crate) fn windlass(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("windlass starts")
    }

    /// Calls windlass, which must do it; what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.windlass(arguments);
        assert!(output.status.success(), "{arguments:?}: {:?} {}", output.status.code(), stderr(&output));
        stdout(&output)
    }

    /// Calls windlass, which must not do it; its code and what it says.
    pub(crate) fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.windlass(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", stdout(&output));
        (output.status.code().expect("it was not killed"), stderr(&output))
    }

    /// Runs a script in a new container of the image `box` that goes afterwards.
    pub(crate) fn sh(&self, options: &[&str], script: &str) -> Output {
        let end = ["box", "sh", "-c", script];
        let arguments: Vec<&str> = ["run", "--rm"].iter().chain(options).chain(&end).copied().collect();
        self.windlass(&arguments)
    }

    /// What such a script prints; it must succeed.
    pub(crate) fn prints(&self, options: &[&str], script: &str) -> String {
        let output = self.sh(options, script);
        assert!(output.status.success(), "{options:?} {script}: {:?} {}", output.status.code(), stderr(&output));
        stdout(&output)
    }

    /// Leaves a script running under this name.
    pub(crate) fn detach(&self, name: &str, options: &[&str], script: &str) {
        let begin = ["run", "-d", "--name", name];
        let end = ["box", "sh", "-c", script];
        let arguments: Vec<&str> = begin.iter().chain(options).chain(&end).copied().collect();
        self.ok(&arguments);
    }

    /// All that is known of a container.
    pub(crate) fn inspect(&self, name: &str) -> Value {
        let text = self.ok(&["inspect", name]);
        serde_json::from_str::<Value>(&text).expect("JSON")[0].take()
    }

    /// What a container does.
    pub(crate) fn status(&self, name: &str) -> String {
        self.inspect(name)["status"].as_str().expect("a status").to_owned()
    }

    /// Waits until a container's log has this text.
    pub(crate) fn await_log(&self, name: &str, text: &str) {
        let what = format!("{text:?} in the log of {name}");
        eventually(&what, || {
            let output = self.windlass(&["logs", name]);
            (stdout(&output) + &stderr(&output)).contains(text)
        });
    }

    /// A number of a container's state.
    pub(crate) fn pid(&self, name: &str, of: &str) -> i32 {
        let pid = self.inspect(name)["state"][of]["pid"].as_i64().expect("a pid");
        i32::try_from(pid).expect("a pid is small")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let listed = self.windlass(&["ps", "-aq"]);
        for id in stdout(&listed).lines() {
            drop(self.windlass(&["rm", "-f", id]));
        }
    }
}

/// The program under test; its folder may be closed to the user who runs this.
fn program() -> PathBuf {
    std::env::var_os("WINDLASS").map_or_else(|| env!("CARGO_BIN_EXE_windlass").into(), PathBuf::from)
}

fn chown_all(path: &Path, user: u32) {
    std::os::unix::fs::chown(path, Some(user), Some(user)).expect("root gives files away");
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a folder") {
            chown_all(&entry.expect("an entry").path(), user);
        }
    }
}

/// Ends a process that the test made, by its number.
pub(crate) fn kill_hard(pid: i32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("it runs");
}

/// Whether a process runs; one that nobody has waited for yet does not.
pub(crate) fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

/// Waits until something holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a program printed.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a program complained of.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
