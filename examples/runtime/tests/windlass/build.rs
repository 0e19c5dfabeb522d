//! `build`, against what buildah makes of the same Dockerfile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use windlass_overlay::LayerStore;

use crate::home::{Home, stderr, stdout};
use crate::images::Podman;

/// A context with some files, and the Dockerfile.
fn context(home: &Home, name: &str, dockerfile: &str) -> PathBuf {
    let folder = home.folder().join(name);
    std::fs::create_dir_all(folder.join("tree/deep")).expect("a folder");
    for (file, text) in [
        ("Dockerfile", dockerfile),
        (".dockerignore", "**/*.tmp\n!tree/kept.tmp\n"),
        ("one.txt", "one"),
        ("two.txt", "two"),
        ("left.tmp", "left out"),
        ("tree/a", "a"),
        ("tree/deep/b", "b"),
        ("tree/deep/c.tmp", "left out"),
        ("tree/kept.tmp", "kept"),
    ] {
        std::fs::write(folder.join(file), text).expect("a file");
    }
    let mode = |path: &str, bits: u32| {
        let bits = std::os::unix::fs::PermissionsExt::from_mode(bits);
        std::fs::set_permissions(folder.join(path), bits).expect("the mode is changed");
    };
    mode("two.txt", 0o711);
    mode("tree/deep", 0o700);
    std::os::unix::fs::symlink("deep/b", folder.join("tree/link"))
        .or_else(|error| if error.kind() == std::io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
        .expect("a link");
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn build(home: &Home, options: &[&str], context: &Path) -> String {
    let arguments: Vec<&str> = ["build"].iter().chain(options).copied().chain([text(context)]).collect();
    home.ok(&arguments).lines().last().expect("an id").to_owned()
}

/// What every kind of instruction that both know does.
const ALL: &str = r#"# escape=\
ARG BASE=box
FROM ${BASE} AS first
ARG WORD=default
RUN mkdir -p /made/by && echo "$WORD" > /made/by/run \
    # in between
    && chmod 2750 /made/by && ln -s by /made/link && rm /bin/nc
WORKDIR /work
WORKDIR relative/dir
RUN ["sh", "-c", "echo $0 $PWD > here; touch gone; rm gone", "exec"]
ENV A=1 B="two words" C=$WORD
COPY one.txt two.txt $A/
COPY --chown=two:wheel one.txt /owned
COPY --chown=12:34 tree /tree
COPY *.txt /globbed/
COPY tree/ /etc
USER two
RUN id -u > /tmp/user && id -g >> /tmp/user && echo $B >> /tmp/user

FROM first AS unused
RUN false

FROM ${BASE}
COPY --from=first /made /made
COPY --from=first /work /elsewhere/
COPY --from=0 /owned /tree/a /etc/group /picked/
COPY --from=first /tmp/user /etc/a /etc/deep /all/
ENV PATH=/bin:$PATH X=y
LABEL one=1 "two three"="four five" multi=a\
b
EXPOSE 80 53/udp
WORKDIR /made
USER two:wheel
ENTRYPOINT ["/bin/busybox", "env"]
CMD echo started
VOLUME /data
STOPSIGNAL SIGINT
"#;

/// Every path with kind, mode, owner, length or target, and content's digest.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let script =
        r#"cd "$0" && find . -printf '%P\t%y %m %U:%G %l\n' | sort && find . -type f -exec sha256sum {} + | sort"#;
    let output = Command::new("sh").args(["-c", script]).arg(root).output().expect("sh starts");
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = stdout(&output);
    let entry = |line: &str| {
        if let Some((path, what)) = line.split_once('\t') {
            return (path.to_owned(), what.to_owned());
        }
        let (digest, path) = line.split_once("  ").expect("a digest and a path");
        (format!("{path} content"), digest.to_owned())
    };
    lines.lines().map(entry).collect()
}

/// The image's files as umoci unpacks them from our folder.
fn unpacked(home: &Home, images: &Path, name: &str) -> BTreeMap<String, String> {
    let bundle = home.folder().join(format!("bundle-{}", name.replace(['/', ':'], "-")));
    let image = format!("{}:{name}", images.display());
    let output = Command::new("umoci").args(["unpack", "--image", &image]).arg(&bundle).output().expect("umoci starts");
    assert!(output.status.success(), "{}", stderr(&output));
    let tree = tree(&bundle.join("rootfs"));
    std::fs::remove_dir_all(bundle).expect("it is there");
    tree
}

pub(crate) fn buildah_makes_the_same() {
    let home = Home::new();
    let folder = context(&home, "context", ALL);
    build(&home, &["-t", "ours:1", "--build-arg", "WORD=given"], &folder);

    let podman = Podman::new(&home);
    home.ok(&["save", "-o", text(&home.folder().join("box.tar")), "box"]);
    podman.ok("podman", &["load", "-q", "-i", text(&home.folder().join("box.tar"))]);
    let buildah = |arguments: &[&str]| podman.ok("buildah", arguments);
    let options = ["--isolation", "chroot", "--build-arg", "WORD=given", "--format", "oci"];
    let end = ["--pull-never", "-t", "docker.io/library/theirs:1", text(&folder)];
    buildah(&["build"].iter().chain(&options).chain(&end).copied().collect::<Vec<_>>());
    let other = home.folder().join("theirs");
    buildah(&["push", "-q", "docker.io/library/theirs:1", &format!("oci:{}:1", other.display())]);

    let ours = unpacked(&home, &home.root().join("images"), "docker.io/library/ours:1");
    let theirs = unpacked(&home, &other, "1");
    let all: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let differing: Vec<_> = all
        .into_iter()
        .filter(|path| ours.get(*path) != theirs.get(*path))
        .map(|path| format!("{path}: ours {:?}, theirs {:?}", ours.get(path), theirs.get(path)))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));

    let config = |images: &Path, name: &str| -> Value {
        let place = format!("oci:{}:{name}", images.display());
        let output = Command::new("skopeo").args(["inspect", "--config", &place]).output().expect("skopeo starts");
        serde_json::from_str(&stdout(&output)).expect("JSON")
    };
    let (ours, mut theirs) = (config(&home.root().join("images"), "docker.io/library/ours:1"), config(&other, "1"));
    // It signs what it makes.
    theirs["config"]["Labels"].as_object_mut().expect("labels").remove("io.buildah.version");
    assert_eq!(ours["config"], theirs["config"]);
    assert_eq!((&ours["os"], &ours["architecture"]), (&theirs["os"], &theirs["architecture"]));
    assert_eq!(home.ok(&["run", "--rm", "ours:1"]), "started\n");
}

pub(crate) fn building_twice_gives_the_same_bytes() {
    let home = Home::new();
    let text = "FROM box\nRUN date > /dev/null; echo x > /x; mkdir /d; touch /d/y\nCOPY . /all\nWORKDIR /w\nENV A=1\n";
    let folder = context(&home, "context", text);
    let options = ["--no-cache", "--source-date-epoch", "1000000000", "--json"];
    let one: Value = serde_json::from_str(&build(&home, &options, &folder)).expect("JSON");
    // Of another age, elsewhere, at another time.
    let other = context(&home, "other", text);
    let two: Value = serde_json::from_str(&build(&home, &options, &other)).expect("JSON");
    assert_eq!(one, two);
    let third: Value =
        serde_json::from_str(&build(&home, &["--no-cache", "--source-date-epoch", "5", "--json"], &other))
            .expect("JSON");
    assert_ne!(one["digest"], third["digest"], "the epoch is in the bytes");
}

pub(crate) fn steps_that_would_do_the_same_are_not_done() {
    let home = Home::new();
    let chance = "cat /proc/sys/kernel/random/uuid";
    let dockerfile = |label: &str, extra: &str| {
        format!(
            "FROM box\nARG V\nLABEL l={label}\nRUN {chance} > /first\nCOPY tree /tree\nRUN {chance} > /second\n{extra}"
        )
    };
    let folder = context(&home, "context", &dockerfile("1", ""));
    let parts = |options: &[&str]| {
        build(&home, &[&["-t", "cached"], options].concat(), &folder);
        let both = home.ok(&["run", "--rm", "cached", "cat", "/first", "/second"]);
        let (first, second) = both.split_once('\n').expect("two lines");
        (first.to_owned(), second.to_owned())
    };
    let first = parts(&[]);
    assert_eq!(parts(&[]), first);
    // What no command sees does not count: labels, what comes after, ages, and what is not copied.
    std::fs::write(folder.join("Dockerfile"), dockerfile("2", "ENV LATER=1\n")).expect("a file");
    std::fs::write(folder.join("one.txt"), "changed").expect("a file");
    std::fs::write(folder.join("tree/a"), "a").expect("a file");
    assert_eq!(parts(&[]), first);
    // Content does, for what comes after it.
    std::fs::write(folder.join("tree/a"), "changed").expect("a file");
    let third = parts(&[]);
    assert!(third.0 == first.0 && third.1 != first.1, "{first:?} {third:?}");
    // And a variable of the build, and the caller's word.
    let given = parts(&["--build-arg", "V=1"]);
    assert!(given.0 != first.0 && given.1 != third.1);
    let anew = parts(&["--no-cache"]);
    assert!(anew.0 != first.0 && anew.1 != third.1);
    // Garbage goes without the memory of builds, which has an end of its own.
    std::fs::write(folder.join("tree/a"), "a").expect("a file");
    home.ok(&["rmi", "cached"]);
    home.ok(&["gc"]);
    assert_eq!(parts(&["--build-arg", "V=1"]).0, given.0);
    home.ok(&["gc", "--all"]);
    home.ok(&["rmi", "cached"]);
    assert_ne!(parts(&["--build-arg", "V=1"]).0, given.0);
}

pub(crate) fn what_fails_has_its_place() {
    let home = Home::new();
    let fails = |dockerfile: &str, options: &[&str]| {
        let folder = context(&home, "context", dockerfile);
        let arguments: Vec<&str> =
            ["build", "-q", "--pull=never"].iter().chain(options).copied().chain([text(&folder)]).collect();
        home.fails(&arguments)
    };
    for (dockerfile, code, words) in [
        ("FROM box\nONBUILD RUN x", 125, "line 2, column 1: the instruction ONBUILD is not supported"),
        ("FROM box\nRUN --network=host x", 125, "line 2, column 5: the flag --network of RUN is not supported"),
        ("FROM box\n\nRUN exit 3", 3, "line 3, column 1: RUN exit 3"),
        ("FROM box\nRUN [\"absent\"]", 127, "absent"),
        ("FROM absent", 125, "there is no image absent:latest"),
        ("FROM box\nCOPY ../../../../etc/shadow /", 125, "source ../../../../etc/shadow not found"),
        ("FROM box\nCOPY left.tmp /", 125, "source left.tmp not found"),
        ("FROM box\nCOPY --chown=nobodyhere one.txt /", 125, "\"nobodyhere\" in the image's /etc/passwd not found"),
        ("FROM box\nCOPY --chmod=9 one.txt /", 125, "must be octal"),
        ("FROM box\nEXPOSE http", 125, "must be PORT"),
        ("FROM box\nWORKDIR ${NOTHING}", 125, "is empty when its variables are replaced"),
        ("FROM box\nENV A=${B?needed}", 125, "line 2, column 7: the variable B is not set: needed"),
        ("FROM scratch\nRUN true", 125, "nothing can run in an empty image"),
    ] {
        let (found, said) = fails(dockerfile, &[]);
        assert!(found == code && said.contains(words), "{dockerfile}: {found} {said}");
    }
    let (_, said) = fails("FROM box", &["--target", "absent"]);
    assert!(said.contains("stage absent in the Dockerfile not found"), "{said}");
    let (_, said) = fails("FROM box", &["--build-arg", "WINDLASS_NOT_SET"]);
    assert!(said.contains("WINDLASS_NOT_SET=VALUE"), "{said}");
    assert_eq!(home.ok(&["ps", "-aq"]), "", "no container is left");
    let snapshots = std::fs::read_dir(home.root().join("layers/snapshots")).map_or(0, Iterator::count);
    assert_eq!(snapshots, 0, "no writable layer is left");
}

pub(crate) fn what_a_killed_build_left_goes() {
    let home = Home::new();
    let dockerfile = "FROM box\nCOPY one.txt /\n";
    let folder = context(&home, "context", dockerfile);
    build(&home, &[], &folder);
    // A view of a process that has ended, and one of this test's own, which runs.
    let mut ended = Command::new("true").spawn().expect("it starts");
    let dead = format!("build-{}-1-aaaaaaaaaaaa", ended.id());
    ended.wait().expect("it ends");
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a file");
    let start = stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(19)).expect("a time");
    let alive = format!("build-{}-{start}-bbbbbbbbbbbb", std::process::id());
    let store = LayerStore::open(&home.root().join("layers")).expect("a store");
    let layers = store.layers().expect("layers");
    let left = || store.snapshots().expect("names");
    for prune in [vec!["prune"], vec!["build", "-q", text(&folder)]] {
        for key in [&dead, &alive] {
            store.view(key, &layers).expect("a view");
        }
        home.ok(&prune);
        assert_eq!(left(), [alive.as_str()], "{prune:?}");
        store.open_view(&alive).expect("it is there").remove().expect("nobody has it");
    }
}

pub(crate) fn commands_are_isolated() {
    let home = Home::new();
    let dockerfile = "FROM box\nRUN echo /proc/[0-9]* > /seen; hostname >> /seen; grep Seccomp: /proc/self/status >> /seen; ls /sys/class/net >> /seen\nRUN echo x > /etc/hosts; echo y > /etc/kept\n";
    let folder = context(&home, "context", dockerfile);
    build(&home, &["-t", "seen"], &folder);
    assert_eq!(home.ok(&["run", "--rm", "seen", "cat", "/seen"]), "/proc/1\nbuild\nSeccomp:\t2\nlo\n");
    // What windlass mounts for a command is no part of the image; what the command writes is.
    let output = home.windlass(&["run", "--rm", "seen", "sh", "-c", "cat /etc/kept; ls /etc"]);
    assert!(stdout(&output).starts_with("y\n"), "{output:?}");
    let image = Command::new("umoci")
        .args(["unpack", "--image"])
        .arg(format!("{}:docker.io/library/seen:latest", home.root().join("images").display()))
        .arg(home.folder().join("bundle"))
        .output()
        .expect("umoci starts");
    assert!(image.status.success(), "{}", stderr(&image));
    let rootfs = home.folder().join("bundle/rootfs");
    assert!(!rootfs.join("etc/hosts").exists() && !rootfs.join("proc").exists() && rootfs.join("etc/kept").exists());
}
