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
        // Another program may take the port before the registry does: then that ends.
        (0..5).find_map(|_| Self::try_start(folder)).expect("a registry starts")
    }

    fn try_start(folder: &Path) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let address = format!("127.0.0.1:{port}");
        let config = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {store}\nhttp:\n  addr: {address}\n\
             auth:\n  htpasswd:\n    realm: here\n    path: {account}\n",
            store = folder.join("store").display(),
            account = folder.join("htpasswd").display()
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

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended on its own.
        let _ = self.process.kill();
        let _ = self.process.wait();
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
