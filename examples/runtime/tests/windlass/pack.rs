//! `pack`, proved by programs that nobody here wrote.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::home::{Home, kill_hard, runs, stderr, stdout};

/// How long a database may take to start, on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(2);

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn packed(home: &Home, arguments: &[&str]) -> Value {
    let all: Vec<&str> = ["pack", "--json"].iter().chain(arguments).copied().collect();
    serde_json::from_str(&home.ok(&all)).expect("JSON")
}

pub(crate) fn python_runs_with_its_library() {
    let home = Home::empty();
    let told = packed(
        &home,
        &["/usr/bin/python3", "--include", "/usr/lib/python3.11", "--passwd", "--user", "nobody", "-t", "python"],
    );
    let roles: Vec<&str> =
        told["layers"].as_array().expect("layers").iter().filter_map(|layer| layer["role"].as_str()).collect();
    assert_eq!(roles, ["dependencies", "/usr/lib/python3.11", "extras", "code"]);
    // What cannot be seen is said by the name of what asks for it.
    let hints = told["hints"].as_array().expect("hints");
    assert!(
        hints.iter().any(|hint| hint.as_str().is_some_and(|hint| hint.contains("python3") && hint.contains("dlopen"))),
        "{hints:?}"
    );
    let script = "import json, zlib, hashlib, ctypes, ssl, pwd, os\n\
                  print(json.dumps([hashlib.sha256(zlib.compress(b'x')).hexdigest()[:4], pwd.getpwuid(os.getuid()).pw_name, pwd.getpwuid(0).pw_dir]))";
    let said = home.ok(&["run", "--rm", "python", "-c", script]);
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&said[1], &said[2]), (&Value::from("nobody"), &Value::from("/root")));
    let host = Command::new("/usr/bin/python3")
        .args(["-c", "import zlib, hashlib; print(hashlib.sha256(zlib.compress(b'x')).hexdigest()[:4])"])
        .output();
    assert_eq!(said[0], stdout(&host.expect("python starts")).trim());
}

pub(crate) fn certificates_come_when_asked() {
    let home = Home::empty();
    let script = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))";
    let library = ["/usr/bin/python3", "--include", "/usr/lib/python3.11"];
    packed(&home, &[&library[..], &["--ca-certificates", "-t", "with"]].concat());
    packed(&home, &[&library[..], &["-t", "without"]].concat());
    let bundle = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").expect("a bundle");
    let expected = bundle.matches("-----BEGIN CERTIFICATE-----").count();
    let count = |image: &str| home.ok(&["run", "--rm", image, "-c", script]).trim().parse::<usize>().expect("a number");
    assert_eq!((count("with"), count("without")), (expected, 0));
}

pub(crate) fn scripts_are_refused_by_their_first_line() {
    let home = Home::empty();
    let script = home.folder().join("script");
    std::fs::write(&script, "#!/usr/bin/env python3\nprint(1)\n").expect("a file");
    let (code, said) = home.fails(&["pack", text(&script), "-t", "x"]);
    assert!(code == 125 && said.contains("#!/usr/bin/env python3"), "{said}");
    assert_eq!(home.ok(&["images", "--json"]), "");
}

/// A database in a container, and a client outside that reaches it through the socket in its volume.
struct Database<'h> {
    home: &'h Home,
    /// Where the program is, here and in the image: not below a place that every container mounts over.
    _folder: tempfile::TempDir,
    program: PathBuf,
    data: PathBuf,
    settings: PathBuf,
}

impl<'h> Database<'h> {
    fn new(home: &'h Home) -> Self {
        // A copy, to be rebuilt later.
        let folder = tempfile::tempdir_in("/var/tmp").expect("a temporary folder");
        let program = folder.path().join("mariadbd");
        std::fs::copy("/usr/sbin/mariadbd", &program).expect("the program is copied");
        home.ok(&["volume", "create", "rows"]);
        let volume: Value = serde_json::from_str(&home.ok(&["volume", "inspect", "rows"])).expect("JSON");
        let data = PathBuf::from(volume[0]["path"].as_str().expect("a path"));
        let settings = home.folder().join("my.cnf");
        let lines = "[mariadbd]\ndatadir = /var/lib/mysql\nsocket = /var/lib/mysql/s\npid-file = /var/lib/mysql/pid\n\
                     skip-networking\nmax_connections = 17\ninnodb_buffer_pool_size = 16M\nlc_messages_dir = /usr/share/mysql\n\
                     innodb_use_native_aio = 0\ntmpdir = /var/lib/mysql\nuser = root\n";
        std::fs::write(&settings, lines).expect("a file");
        let output = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--user=root", "--skip-test-db"])
            .arg(format!("--datadir={}", data.display()))
            .output()
            .expect("mariadb-install-db starts");
        assert!(output.status.success(), "{} {}", stdout(&output), stderr(&output));
        Self { home, _folder: folder, program, data, settings }
    }

    fn pack(&self, tag: &str) -> Value {
        packed(self.home, &[text(&self.program), "--include", "/usr/share/mysql", "--passwd", "-t", tag])
    }

    fn start(&self, image: &str) {
        let volume = format!("{}:/etc/my.cnf:ro", self.settings.display());
        self.home.ok(&["run", "-d", "--name", "db", "-v", &volume, "-v", "rows:/var/lib/mysql", image]);
        let start = Instant::now();
        while self.ask("SELECT 1").is_err() {
            let logs = || stdout(&self.home.windlass(&["logs", "db"])) + &stderr(&self.home.windlass(&["logs", "db"]));
            assert!(start.elapsed() < PATIENCE, "the database does not answer: {:?} {}", self.ask("SELECT 1"), logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn ask(&self, statement: &str) -> Result<String, String> {
        let socket = format!("--socket={}", self.data.join("s").display());
        let arguments = ["--no-defaults", "-uroot", &socket, "-BN", "-e", statement];
        let output = Command::new("mariadb").args(arguments).output().map_err(|error| error.to_string())?;
        if output.status.success() { Ok(stdout(&output)) } else { Err(stderr(&output)) }
    }
}

fn blobs(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder.join("blobs/sha256")).expect("a layout");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("hexadecimal")).collect()
}

fn digests(told: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let layers = told["layers"].as_array().expect("layers").iter();
    layers.map(|layer| (text(&layer["role"]), text(&layer["digest"]))).collect()
}

pub(crate) fn a_database_outlives_its_container_and_its_image() {
    let home = Home::empty();
    let database = Database::new(&home);
    let first = database.pack("db:1");
    database.start("db:1");
    assert_eq!(database.ask("SELECT @@max_connections").as_deref(), Ok("17\n"), "the settings are those from outside");
    database.ask("CREATE DATABASE d; CREATE TABLE d.t (n INT PRIMARY KEY, s TEXT) ENGINE=InnoDB").expect("a table");
    let rows: Vec<String> = (0..1000).map(|number| format!("({number}, REPEAT('{number} ', 20))")).collect();
    database.ask(&format!("INSERT INTO d.t VALUES {}", rows.join(","))).expect("rows");
    let before = database.ask("SELECT n, MD5(s) FROM d.t ORDER BY n").expect("rows");
    assert_eq!(before.lines().count(), 1000);

    let pid = home.pid("db", "process");
    kill_hard(pid);
    assert_eq!(home.ok(&["wait", "db"]), "137\n");
    assert!(!runs(pid));
    home.ok(&["rm", "db"]);

    // The program is built anew: other bytes, the same libraries.
    let mut bytes = std::fs::read(&database.program).expect("the program");
    bytes.extend_from_slice(b"built again");
    std::fs::write(&database.program, bytes).expect("the program");
    let second = database.pack("db:2");
    let (one, two) = (digests(&first), digests(&second));
    let changed: Vec<&String> = one.iter().zip(&two).filter(|(one, two)| one != two).map(|(one, _)| &one.0).collect();
    assert_eq!((changed, one.len()), (vec![&"code".to_owned()], two.len()), "{one:?} {two:?}");

    // Somewhere else that has the first one, three blobs are new: code, configuration, manifest.
    let elsewhere = home.folder().join("elsewhere");
    let push = |tag: &str| {
        let from = format!("oci:{}:docker.io/library/db:{tag}", home.root().join("images").display());
        let to = format!("oci:{}:{tag}", elsewhere.display());
        let output = Command::new("skopeo").args(["copy", "-q", "--insecure-policy", &from, &to]).output();
        let output = output.expect("skopeo starts");
        assert!(output.status.success(), "{}", stderr(&output));
        blobs(&elsewhere)
    };
    let (had, has) = (push("1"), push("2"));
    assert_eq!(has.difference(&had).count(), 3);
    let code = two.last().expect("layers").1.replace("sha256:", "");
    assert!(has.contains(&code) && !had.contains(&code));

    database.start("db:2");
    assert_eq!(database.ask("SELECT n, MD5(s) FROM d.t ORDER BY n").as_ref(), Ok(&before), "every row is there");
    home.ok(&["rm", "-f", "db"]);
}
