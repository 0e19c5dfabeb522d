//! Verbs of registries, with Debian's registry on loopback.

use std::fs::File;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::home::{Home, stdout};

/// How long the registry may take to start.
const PATIENCE: Duration = Duration::from_mins(1);
/// `user` with the password `secret`, as htpasswd writes it.
const ACCOUNT: &str = "user:$2b$05$sa4OpbFy0uoPN6AZzs9ese4UiixuRLTAkf30AGeI9XRqjp8.YUQny\n";

struct Registry {
    address: String,
    process: Child,
}

impl Registry {
    /// One that asks for the account, with its store in `folder`.
    fn start(folder: &Path) -> Self {
        std::fs::write(folder.join("htpasswd"), ACCOUNT).expect("a file");
        let account = folder.join("htpasswd");
        Self::start_with(folder, &format!("auth:\n  htpasswd:\n    realm: here\n    path: {}\n", account.display()))
    }

    /// One that serves everybody.
    fn open_to_all(folder: &Path) -> Self {
        Self::start_with(folder, "")
    }

    fn start_with(folder: &Path, more: &str) -> Self {
        // Another program may take the port before the registry does: then that ends.
        (0..5).find_map(|_| Self::try_start(folder, more)).expect("a registry starts")
    }

    fn try_start(folder: &Path, more: &str) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let address = format!("127.0.0.1:{port}");
        let config = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {store}\nhttp:\n  addr: {address}\n{more}",
            store = folder.join("store").display(),
        );
        std::fs::write(&config, text).expect("a file");
        let log = File::create(folder.join("registry.log")).expect("a file");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts");
        let mut registry = Self { address, process };
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE && registry.process.try_wait().expect("its state").is_none() {
            if TcpStream::connect(&registry.address).is_ok() {
                return Some(registry);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

impl Registry {
    fn stop(&mut self) {
        // It may have ended on its own.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) fn images_go_there_and_back() {
    let home = Home::new();
    let registry = Registry::start(home.folder());
    let auth = home.folder().join("auth.json");
    let auth = auth.to_str().expect("a path of text");
    let name = format!("{}/team/app:1", registry.address);
    let connection = ["--plain-http", "--authfile", auth];
    let with = |verb: &[&str]| home.windlass(&[verb, &connection].concat());

    let denied = with(&["push", "box", &name]);
    assert!(!denied.status.success());
    let login = |password: &str| {
        let mut command =
            home.command(&[&["login", "-u", "user", "--password-stdin", &registry.address], &connection[..]].concat());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(password.as_bytes()).expect("it reads");
        drop(input);
        child.wait_with_output().expect("it ends").status.success()
    };
    assert!(!login("wrong\n") && !Path::new(auth).exists());
    assert!(login("secret\n"));
    // In the clear only when it is said.
    assert!(!home.windlass(&["push", "--authfile", auth, "box", &name]).status.success());

    let pushed: Value = serde_json::from_str(&stdout(&with(&["push", "--json", "box", &name]))).expect("JSON");
    assert_eq!((&pushed["sent"], &pushed["existed"]), (&2.into(), &0.into()));
    let pushed: Value = serde_json::from_str(&stdout(&with(&["push", "--json", "box", &name]))).expect("JSON");
    assert_eq!((&pushed["sent"], &pushed["existed"]), (&0.into(), &2.into()));

    let other = Home::empty();
    let pull = |more: &[&str]| other.windlass(&[&["pull", &name], more, &connection].concat());
    let pulled = pull(&["--json"]);
    assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
    // No terminal, no bars.
    assert_eq!(String::from_utf8_lossy(&pulled.stderr), "");
    let pulled: Value = serde_json::from_str(&stdout(&pulled)).expect("JSON");
    assert_eq!((&pulled["manifest"], &pulled["fetched"]), (&pushed["manifest"], &2.into()));
    assert_eq!(stdout(&pull(&[])).trim(), format!("{name}@{}", pushed["manifest"].as_str().expect("a digest")));
    assert!(!pull(&["--platform", "linux/s390x"]).status.success());
    assert!(!pull(&["--platform", "linux"]).status.success());
    assert_eq!(other.ok(&["run", "--rm", &name, "echo", "pulled"]), "pulled\n");

    home.ok(&["logout", "--authfile", auth, &registry.address]);
    assert!(!with(&["pull", &name]).status.success());
}

/// The layers that a home has unpacked.
fn unpacked(home: &Home) -> usize {
    std::fs::read_dir(home.root().join("layers/layers")).map_or(0, Iterator::count)
}

pub(crate) fn what_is_missing_is_fetched() {
    let home = Home::new();
    let mut registry = Registry::open_to_all(home.folder());
    let name = format!("{}/team/app:1", registry.address);
    home.ok(&["push", "--plain-http", "box", &name]);

    // While it arrives a layer is unpacked; nothing is left to do when a container begins.
    let pulled = Home::empty();
    pulled.ok(&["pull", "--plain-http", "--no-unpack", &name]);
    assert_eq!(unpacked(&pulled), 0);
    let (_, said) = pulled.fails(&["pull", "--platform", "linux/s390x", "--plain-http", &name]);
    assert!(said.contains("linux/s390x"), "{said}");
    pulled.ok(&["pull", "--plain-http", &name]);
    assert_eq!(unpacked(&pulled), 1);

    let other = Home::empty();
    let run = |policy: &str, more: &[&str]| {
        let begin = ["run", "--rm", "--plain-http", "--pull", policy];
        other.windlass(&[&begin, more, &[&name, "cat", "/etc/version"]].concat())
    };
    let (code, said) = other.fails(&["run", "--pull", "never", "--plain-http", &name]);
    assert!(code == 125 && said.contains("there is no image") && said.contains("--pull never"), "{said}");
    assert!(!run("missing", &[]).status.success(), "the file is not there yet");
    assert_eq!(unpacked(&other), 1);

    // Another image takes the name.
    home.add_image("changed", windlass_image::config::Execution::default(), &[("etc/version", "2")]);
    home.ok(&["push", "--plain-http", "changed", &name]);
    for policy in ["missing", "never"] {
        assert!(!run(policy, &[]).status.success(), "{policy}");
    }
    assert_eq!(stdout(&run("newer", &[])), "2");
    home.ok(&["push", "--plain-http", "box", &name]);
    assert!(!run("always", &[]).status.success());
    home.ok(&["push", "--plain-http", "changed", &name]);

    // A build takes its base from there, and with --pull the newest.
    let context = home.folder().join("context");
    std::fs::create_dir(&context).expect("a folder");
    let dockerfile = format!(
        "FROM {name} AS base\nRUN cat /etc/version > /seen || echo none > /seen\nFROM base\nCOPY --from={name} /etc/group /g\n"
    );
    std::fs::write(context.join("Dockerfile"), dockerfile).expect("a file");
    let context = context.to_str().expect("UTF-8");
    let build = |home: &Home, more: &[&str]| {
        home.ok(&[&["build", "--plain-http", "-q", "-t", "built"], more, &[context]].concat());
        home.ok(&["run", "--rm", "built", "cat", "/seen"])
    };
    assert_eq!(build(&Home::empty(), &[]), "2");
    assert_eq!(build(&other, &[]), "none\n");
    assert_eq!(build(&other, &["--pull"]), "2");

    // Compressed for whoever fetches single files; here it is an image like any other.
    for format in ["zstd:chunked", "estargz"] {
        home.ok(&["push", "--plain-http", "--compression-format", format, "changed", &name]);
        assert_eq!(stdout(&run("always", &[])), "2", "{format}");
    }

    // Without the registry what is here does, unless that was not wanted.
    registry.stop();
    assert_eq!(stdout(&run("missing", &[])), "2");
    let newer = run("newer", &[]);
    assert_eq!(stdout(&newer), "2");
    assert!(String::from_utf8_lossy(&newer.stderr).contains("is used as it is here"), "{newer:?}");
    assert!(!run("always", &[]).status.success());
}
