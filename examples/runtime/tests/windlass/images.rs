//! Verbs of images: names, histories, archives and what is collected.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use windlass_image::Layout;
use windlass_image::config::Execution;

use crate::home::{Home, stderr, stdout};

/// podman with a store of its own below a folder, and nothing outside that.
pub(crate) struct Podman {
    folder: PathBuf,
}

impl Podman {
    pub(crate) fn new(home: &Home) -> Self {
        let folder = home.folder().join("podman");
        std::fs::create_dir_all(&folder).expect("a folder");
        // Its locks would be one file of the whole machine otherwise.
        std::fs::write(folder.join("containers.conf"), "[engine]\nlock_type = \"file\"\n").expect("a file");
        Self { folder }
    }

    pub(crate) fn call(&self, program: &str, arguments: &[&str]) -> Output {
        let place = |name: &str| self.folder.join(name).into_os_string();
        let mut command = Command::new(program);
        command.env("CONTAINERS_CONF", place("containers.conf")).stdin(Stdio::null());
        command.env("TMPDIR", &self.folder);
        command.arg("--root").arg(place("root")).arg("--runroot").arg(place("run")).args(["--storage-driver", "vfs"]);
        if program == "podman" {
            command.args(["--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
            command.arg("--tmpdir").arg(place("tmp"));
        }
        command.args(arguments).output().expect("it starts")
    }

    pub(crate) fn ok(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.call(program, arguments);
        assert!(output.status.success(), "{program} {arguments:?}: {}", stderr(&output));
        stdout(&output)
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub(crate) fn names_are_given_and_taken() {
    let home = Home::new();
    home.add_image("other", Execution::default(), &[("other", "other")]);
    let id = home.inspect("box")["id"].as_str().expect("an id").to_owned();
    home.ok(&["tag", "box", "example.com/team/app:1", "again"]);
    for name in ["box", "example.com/team/app:1", "again:latest", &id, &id[7..19]] {
        assert_eq!(home.inspect(name)["id"], *id, "{name}");
    }
    let names = home.inspect("again")["names"].clone();
    assert_eq!(names, serde_json::json!(["box:latest", "example.com/team/app:1", "again:latest"]));
    // A name leads to one image: it is taken from the other.
    home.ok(&["tag", "other", "again"]);
    assert_ne!(home.inspect("again")["id"], *id);
    for (arguments, words) in [
        (&["tag", "absent", "x"][..], "no image absent"),
        (&["tag", "box", "fine", "Not Fine"], "Not Fine"),
        (&["rmi", "absent"], "no image absent"),
        (&["history", "absent"], "no image absent"),
        (&["inspect", "absent"], "no container, volume or image absent"),
        (&["tag", "sha256:", "x"], "images have an id"),
    ] {
        let (code, said) = home.fails(arguments);
        assert!(code == 125 && said.contains(words), "{arguments:?}: {code} {said}");
    }
    assert!(!home.ok(&["images"]).contains("fine"), "of two names none was given, because one is wrong");
    assert_eq!(home.ok(&["run", "--rm", "again", "cat", "/other"]), "other");
}

pub(crate) fn inspect_is_json_of_all_kinds() {
    let home = Home::new();
    home.ok(&["create", "--name", "made", "box"]);
    let lines = home.ok(&["inspect", "--json", "made", "box"]);
    let lines: Vec<Value> = lines.lines().map(parse).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["kind"], &lines[1]["kind"]), (&Value::from("container"), &Value::from("image")));
    assert_eq!(parse(&home.ok(&["inspect", "made", "box"])), Value::Array(lines.clone()));
    // The same bytes as other tools see in the same folder.
    let place = format!("oci:{}:docker.io/library/box:latest", home.root().join("images").display());
    let output = Command::new("skopeo").args(["inspect", &place]).output().expect("skopeo starts");
    assert!(output.status.success(), "{}", stderr(&output));
    let said = parse(&stdout(&output));
    assert_eq!(said["Digest"], lines[1]["digest"]);
    assert_eq!(said["Layers"], lines[1]["layers"]);
    assert_eq!(said["Architecture"], lines[1]["config"]["architecture"]);
    assert_eq!(format!("linux/{}", said["Architecture"].as_str().expect("text")), lines[1]["platform"]);
}

pub(crate) fn history_tells_each_step() {
    let home = Home::empty();
    home.ok(&["pack", "/bin/busybox", "--include", "/etc/hostname", "-t", "packed"]);
    let steps: Vec<Value> = home.ok(&["history", "--json", "packed"]).lines().map(parse).collect();
    let layers = home.inspect("packed")["layers"].as_array().expect("layers").clone();
    // The last step first, as its layer is the uppermost.
    let told: Vec<&Value> = steps.iter().rev().map(|step| &step["layer"]).collect();
    assert_eq!(told, layers.iter().collect::<Vec<_>>());
    assert_eq!(steps[0]["created_by"], "windlass pack: code");
    let table = home.ok(&["history", "packed"]);
    assert!(table.starts_with("CREATED") && table.contains("include /etc/hostname"), "{table}");
    assert_eq!(table.lines().count(), steps.len() + 1);
}

pub(crate) fn archives_come_back_elsewhere() {
    let (home, other) = (Home::new(), Home::empty());
    home.add_image("second", Execution::default(), &[("second", "second")]);
    let archive = home.folder().join("images.tar");
    let path = archive.to_str().expect("UTF-8");
    home.ok(&["save", "-o", path, "box", "second", "box:latest"]);
    assert_eq!(other.ok(&["load", "-i", path]), "box:latest\nbox:latest\nsecond:latest\n");
    assert_eq!(other.inspect("box")["manifest"], home.inspect("box")["manifest"]);
    assert_eq!(other.ok(&["run", "--rm", "second", "cat", "/second"]), "second");
    // Through pipes, and by id, which gives no name.
    let id = home.inspect("second")["id"].as_str().expect("an id").to_owned();
    let saved = home.windlass(&["save", &id]);
    assert!(saved.status.success(), "{}", stderr(&saved));
    let third = Home::empty();
    let mut load =
        third.command(&["load", "--json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    load.stdin.take().expect("a pipe").write_all(&saved.stdout).expect("it reads all");
    let output = load.wait_with_output().expect("it ends");
    let told = parse(&stdout(&output));
    assert_eq!(told["names"], serde_json::json!([]));
    assert_eq!(third.inspect(told["digest"].as_str().expect("a digest"))["id"], *id);
    // What fails leaves no file, and names nothing.
    let blob = home.inspect("box")["layers"][0].as_str().expect("a digest").replace(':', "/");
    std::fs::remove_file(home.root().join("images/blobs").join(blob)).expect("the blob was there");
    let broken = home.folder().join("broken.tar");
    home.fails(&["save", "-o", broken.to_str().expect("UTF-8"), "box"]);
    let left: Vec<_> =
        std::fs::read_dir(home.folder()).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("broken")), "{left:?}");
    std::fs::write(&broken, b"no archive").expect("a file");
    assert_eq!(Home::empty().fails(&["load", "-i", broken.to_str().expect("UTF-8")]).0, 125);
}

pub(crate) fn podman_loads_and_saves() {
    let home = Home::new();
    let podman = Podman::new(&home);
    let path = |name: &str| home.folder().join(name).to_str().expect("UTF-8").to_owned();
    home.ok(&["save", "-o", &path("ours.tar"), "box"]);
    podman.ok("podman", &["load", "-q", "-i", &path("ours.tar")]);
    let id = podman.ok("podman", &["image", "inspect", "--format", "{{.Id}}", "docker.io/library/box:latest"]);
    assert_eq!(format!("sha256:{}", id.trim()), home.inspect("box")["id"]);
    // The other way, in both of its formats that docker has too.
    podman.ok("podman", &["tag", "docker.io/library/box:latest", "docker.io/library/back:1"]);
    podman.ok(
        "podman",
        &["save", "-q", "--format", "docker-archive", "-o", &path("theirs.tar"), "docker.io/library/back:1"],
    );
    let other = Home::empty();
    assert_eq!(other.ok(&["load", "-i", &path("theirs.tar")]), "back:1\n");
    assert_eq!(
        other.ok(&["run", "--rm", "back:1", "cat", "/etc/group"]),
        home.ok(&["run", "--rm", "box", "cat", "/etc/group"])
    );
    // The folder itself is one that skopeo and umoci take from.
    let place = format!("oci:{}:docker.io/library/back:1", other.root().join("images").display());
    let archive = format!("docker-archive:{}:again:2", path("skopeo.tar"));
    let copied = Command::new("skopeo").args(["copy", "--insecure-policy", "-q", &place, &archive]).output();
    assert!(copied.as_ref().is_ok_and(|output| output.status.success()), "{copied:?}");
    assert_eq!(home.ok(&["load", "-i", &path("skopeo.tar")]), "again:2\n");
    let umoci = Command::new("umoci").args(["list", "--layout"]).arg(home.root().join("images")).output();
    let listed = stdout(&umoci.expect("umoci starts"));
    assert!(listed.contains("docker.io/library/again:2"), "{listed}");
}

fn blobs(home: &Home) -> usize {
    let folder = home.root().join("images/blobs/sha256");
    std::fs::read_dir(&folder).map_or(0, Iterator::count)
}

pub(crate) fn what_nothing_names_is_collected() {
    let home = Home::new();
    home.add_image("second", Execution::default(), &[("second", "second")]);
    home.ok(&["run", "--rm", "box", "true"]);
    home.ok(&["run", "--rm", "second", "true"]);
    let unpacked = |home: &Home| std::fs::read_dir(home.root().join("layers/layers")).map_or(0, Iterator::count);
    assert_eq!((blobs(&home), unpacked(&home)), (6, 2));
    let nothing = parse(&home.ok(&["gc", "--json"]));
    assert_eq!(nothing, serde_json::json!({"blobs": 0, "bytes": 0, "unfinished": 0, "layers": 0}));
    // One that is named twice stays with its second name.
    home.ok(&["tag", "second", "kept"]);
    home.ok(&["rmi", "second"]);
    assert_eq!(blobs(&home), 6);
    home.ok(&["rmi", "kept", "box"]);
    assert_eq!((blobs(&home), unpacked(&home)), (0, 0));

    home.add_image("third", Execution::default(), &[]);
    let layout = Layout::open(home.root().join("images")).expect("a layout");
    layout.put_blob(windlass_image::MediaType::LAYER, &b"nothing leads here"[..]).expect("a blob");
    let lease = layout.lease().expect("a lease");
    let (code, words) = home.fails(&["gc"]);
    assert!(code == 125 && words.contains("being stored"), "{words}");
    drop(lease);
    let removed = parse(&home.ok(&["gc", "--json"]));
    assert_eq!((&removed["blobs"], &removed["bytes"]), (&Value::from(1), &Value::from(18)));
    assert!(Path::new(&home.root()).join("images/index.json").exists());
    assert_eq!(blobs(&home), 3);
}

/// What umoci unpacks an image of the home to: a line for each path, with what it is, holds and carries.
fn unpacked(home: &Home, name: &str) -> Vec<String> {
    let folder = home.folder().join("umoci").join(name);
    let taken = folder.join("layout");
    std::fs::create_dir_all(&folder).expect("a folder");
    let from = format!("oci:{}:docker.io/library/{name}:latest", home.root().join("images").display());
    let copied =
        Command::new("skopeo").args(["copy", "--insecure-policy", "-q", &from]).arg(oci(&taken, "image")).output();
    assert!(copied.as_ref().is_ok_and(|output| output.status.success()), "{copied:?}");
    let mut umoci = Command::new("umoci");
    umoci.args(["unpack", "--image"]).arg(format!("{}:image", taken.display())).arg(folder.join("bundle"));
    let output = umoci.output().expect("umoci starts");
    assert!(output.status.success(), "{}", stderr(&output));
    let script = "cd \"$0\" && find . -printf '%p %y %m %U:%G %n %T@ %l\\n' | sort && \
                  find . -type f | sort | xargs sha256sum";
    let listed = Command::new("sh").args(["-c", script]).arg(folder.join("bundle/rootfs")).output().expect("sh starts");
    assert!(listed.status.success(), "{}", stderr(&listed));
    // Of the root itself no layer says anything; umoci dates it when it makes it.
    stdout(&listed).lines().filter(|line| !line.starts_with(". ")).map(str::to_owned).collect()
}

fn oci(folder: &Path, name: &str) -> String {
    format!("oci:{}:{name}", folder.display())
}

/// An image that a Dockerfile makes of another.
fn built(home: &Home, name: &str, dockerfile: &str) {
    let context = home.folder().join(format!("context-{name}"));
    std::fs::create_dir_all(&context).expect("a folder");
    std::fs::write(context.join("Dockerfile"), dockerfile).expect("a file");
    std::fs::write(context.join("own"), name).expect("a file");
    let context = context.to_str().expect("UTF-8");
    home.ok(&["build", "-q", "-t", name, "--source-date-epoch", "1000000000", context]);
}

fn skopeo(home: &Home, arguments: &[&str], name: &str) -> Value {
    let place = format!("oci:{}:docker.io/library/{name}:latest", home.root().join("images").display());
    let output = Command::new("skopeo").arg("inspect").args(arguments).arg(&place).output().expect("skopeo starts");
    assert!(output.status.success(), "{}", stderr(&output));
    parse(&stdout(&output))
}

pub(crate) fn flatten_keeps_every_file() {
    let home = Home::new();
    let made = "FROM box\nENV A=b\nCOPY own /d/own\nRUN ln /d/own /d/other && rm /etc/group && chmod 4711 /bin/nc || \
                chmod 2750 /d\nRUN rm /d/own && mkdir -p /e/f && ln -s ../d /e/l\nCMD [\"cat\", \"/d/other\"]\n";
    built(&home, "app", made);
    let id = home.ok(&["flatten", "app", "-t", "flat", "-t", "again"]);
    assert_eq!(home.inspect("flat")["id"], id.trim());
    let said = skopeo(&home, &[], "flat");
    assert_eq!(said["Layers"].as_array().map(Vec::len), Some(1), "{said}");
    assert_eq!(skopeo(&home, &["--config"], "flat")["config"], skopeo(&home, &["--config"], "app")["config"]);
    assert_eq!(unpacked(&home, "flat"), unpacked(&home, "app"));
    assert_eq!(home.ok(&["run", "--rm", "again"]), "app");
    // The same again, as a table of contents alone adds one: in each of the other forms.
    assert_eq!(home.ok(&["flatten", "app", "-t", "twice"]), id);
    for form in ["none", "zstd", "zstd:chunked", "estargz"] {
        let told = home.ok(&["flatten", "--json", "--compression-format", form, "app", "-t", "other"]);
        let told = parse(&told);
        assert_eq!(told["names"], serde_json::json!(["docker.io/library/other:latest"]), "{form}");
        assert_eq!(told["layers"].as_array().map(Vec::len), Some(1), "{form}");
        assert_eq!(home.ok(&["run", "--rm", "other"]), "app", "{form}");
    }
    for (arguments, code, words) in [
        (&["flatten", "app"][..], 2, "--tag"),
        (&["flatten", "absent", "-t", "x"], 125, "no image absent"),
        (&["flatten", "app", "-t", "fine", "-t", "Not Fine"], 125, "Not Fine"),
    ] {
        let (found, said) = home.fails(arguments);
        assert!(found == code && said.contains(words), "{arguments:?}: {found} {said}");
    }
    assert!(!home.ok(&["images"]).contains("fine"), "of two names none was given, because one is wrong");
}

pub(crate) fn rebase_changes_what_lies_below() {
    let home = Home::new();
    // What tells of all its layers, as `box` does not.
    home.ok(&["flatten", "box", "-t", "told"]);
    built(&home, "old", "FROM told\nCOPY own /etc/base\nCOPY own /old\n");
    built(&home, "new", "FROM told\nCOPY own /etc/base\n");
    let own = "COPY own /own\nRUN rm /etc/group\nCMD [\"sh\", \"-c\", \"cat /own /etc/base\"]\n";
    built(&home, "app", &format!("FROM old\n{own}"));
    let told = home.ok(&["rebase", "--json", "--old-base", "old", "--new-base", "new", "app", "-t", "rebased"]);
    let told = parse(&told);
    assert_eq!(home.ok(&["run", "--rm", "rebased"]), "appnew");
    // As if it had been built on the other base.
    std::fs::rename(home.folder().join("context-app"), home.folder().join("context-expected")).expect("renamed");
    std::fs::write(home.folder().join("context-expected/Dockerfile"), format!("FROM new\n{own}")).expect("a file");
    let context = home.folder().join("context-expected");
    let context = context.to_str().expect("UTF-8");
    home.ok(&["build", "-q", "-t", "expected", "--source-date-epoch", "1000000000", context]);
    assert_eq!(unpacked(&home, "rebased"), unpacked(&home, "expected"));
    let (said, expected) = (skopeo(&home, &[], "rebased"), skopeo(&home, &[], "expected"));
    assert_eq!(said["Layers"], expected["Layers"]);
    assert_eq!(told["digest"], said["Digest"]);
    let (config, expected) = (skopeo(&home, &["--config"], "rebased"), skopeo(&home, &["--config"], "expected"));
    assert_eq!((&config["history"], &config["config"]), (&expected["history"], &expected["config"]));
    let annotations = &skopeo(&home, &["--raw"], "rebased")["annotations"];
    assert_eq!(annotations["org.opencontainers.image.base.name"], "docker.io/library/new:latest");
    assert_eq!(annotations["org.opencontainers.image.base.digest"], skopeo(&home, &[], "new")["Digest"]);
    // One layer has no base any more.
    home.ok(&["flatten", "rebased", "-t", "flat"]);
    assert!(skopeo(&home, &["--raw"], "flat")["annotations"].is_null());
    for (arguments, words) in [
        (["rebase", "--old-base", "new", "--new-base", "old", "app", "-t", "x"], "is not what the image begins with"),
        (["rebase", "--old-base", "absent", "--new-base", "new", "app", "-t", "x"], "no image absent"),
        (["rebase", "--old-base", "old", "--new-base", "absent", "app", "-t", "x"], "no image absent"),
    ] {
        let (code, said) = home.fails(&arguments);
        assert!(code == 125 && said.contains(words), "{arguments:?}: {code} {said}");
    }
}
