//! Checkpoints, with a stand-in for criu that writes down how it was called, and with Debian's.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;
use trial::{Test, need};

use crate::bundle::{Bundle, Said, strict};
use crate::until::until;

pub(crate) fn tests() -> Vec<Test> {
    let test = |name, body: fn()| Test::new(name, body).needs(need::root).needs(strict);
    vec![
        test("a_checkpoint_is_criu_s_and_ends_the_container", dump),
        test("a_failed_checkpoint_leaves_the_container", failed_dump),
        test("without_criu_a_checkpoint_is_refused", no_criu),
        test("criu_itself_is_called_and_heard", real).needs(need::program("criu")),
        test("a_restored_container_is_one_like_others", restored),
        test("a_restored_container_in_the_foreground_gives_its_code", restored_in_the_foreground),
        test("a_failed_restore_leaves_nothing", failed_restore),
    ]
}

/// Writes down its arguments, and acts as criu would with processes.
const STAND_IN: &str = r#"#!/bin/sh
here=${0%/*}
echo "$@" >> $here/called
verb=$1
while [ $# -gt 0 ]; do
    case $1 in
        --tree) tree=$2 ;;
        --pidfile) pidfile=$2 ;;
        --log-file) log=$2 ;;
        --work-dir) work=$2 ;;
        --leave-running) stay=1 ;;
    esac
    shift
done
if [ -e $here/fail ]; then
    printf '(0.01) 1: fine\n(0.02) Error (x.c:1): it cannot be done\n' > $work/$log
    exit 1
fi
case $verb in
    dump) [ "$stay" ] || kill -9 $tree ;;
    restore)
        sh -c 'trap "exit 7" TERM; echo restored; while :; do sleep 0.05; done' &
        echo $! > $pidfile ;;
esac
"#;

/// A container that runs, and the folder in which the stand-in is `criu`.
fn bundle() -> Bundle {
    let mut bundle = Bundle::script("exec sleep 600");
    bundle.bind(Path::new("/etc"), "/mnt", &["ro"]);
    let folder = bundle.path("programs");
    std::fs::create_dir(&folder).expect("the folder is ours");
    std::fs::write(folder.join("criu"), STAND_IN).expect("the folder is ours");
    std::fs::set_permissions(folder.join("criu"), PermissionsExt::from_mode(0o755)).expect("the folder is ours");
    bundle
}

fn call(bundle: &Bundle, arguments: &[&str]) -> Said {
    let path = format!("{}:{}", bundle.path("programs").display(), std::env::var("PATH").unwrap_or_default());
    let out =
        || std::fs::File::options().create(true).append(true).open(bundle.path("out")).expect("the folder is ours");
    let mut command = bundle.command(arguments);
    let status = command.env("PATH", path).current_dir(bundle.path("")).stdout(out()).stderr(out()).status();
    let text = bundle.out();
    Said { code: status.expect("the runtime starts").code(), out: text.clone(), err: text }
}

fn called(bundle: &Bundle) -> String {
    std::fs::read_to_string(bundle.path("programs/called")).unwrap_or_default()
}

#[track_caller]
fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
}

fn dump() {
    let bundle = bundle();
    bundle.start();
    let pid = bundle.state()["pid"].to_string();
    call(&bundle, &["checkpoint", "--pre-dump", "--image-path", "before", &bundle.id]).fine();
    let images = bundle.path("before");
    let rootfs = bundle.rootfs("");
    has(
        &called(&bundle),
        &[
            &format!("pre-dump --images-dir {} --work-dir {} ", images.display(), images.display()),
            &format!("--tree {pid} --root {}", rootfs.display().to_string().trim_end_matches('/')),
            "--track-mem",
            "--external mnt[/mnt]:/mnt",
            "--external mnt[/proc/keys]:/proc/keys",
            "--freeze-cgroup /sys/fs/cgroup/",
        ],
    );
    let options = ["checkpoint", "--image-path", "image", "--parent-path", "../before", "--leave-running"];
    call(&bundle, &[&options[..], &["--tcp-established", &bundle.id]].concat()).fine();
    assert_eq!(bundle.status(), "running");
    let descriptors = std::fs::read_to_string(bundle.path("image/descriptors.json")).expect("it is written");
    assert!(descriptors.starts_with("[\"/dev/null\","), "{descriptors}");
    let last = called(&bundle).lines().last().expect("three lines").to_owned();
    has(&last, &["dump --images-dir", "--prev-images-dir ../before", "--leave-running", "--tcp-established"]);
    call(&bundle, &["checkpoint", "--image-path", "image", &bundle.id]).fine();
    bundle.verb("state").refused();
    assert!(!bundle.path("state").join(&bundle.id).exists());
}

fn failed_dump() {
    let bundle = bundle();
    call(&bundle, &["checkpoint", &bundle.id]).refused();
    bundle.create().fine();
    has(&call(&bundle, &["checkpoint", &bundle.id]).refused(), &["created state"]);
    bundle.verb("start").fine();
    std::fs::write(bundle.path("programs/fail"), "").expect("the folder is ours");
    let said = call(&bundle, &["checkpoint", "--work-path", ".", &bundle.id]).refused();
    has(&said, &["criu dump failed", "it cannot be done", "dump.log"]);
    assert!(!said.contains("1: fine"), "{said}");
    assert_eq!(bundle.status(), "running");
}

fn no_criu() {
    let bundle = bundle();
    bundle.start();
    let said = call(&bundle, &["--criu", "/nonexistent/criu", "checkpoint", &bundle.id]);
    has(&said.refused(), &["takes the program criu", "/nonexistent/criu"]);
    assert!(called(&bundle).is_empty());
    assert_eq!(bundle.status(), "running");
}

/// Not every kernel has what it needs: either it does it, or its own words come out.
fn real() {
    let bundle = Bundle::script("exec sleep 600");
    bundle.start();
    let images = bundle.path("image");
    let path = images.to_str().expect("UTF-8");
    let said = bundle.call(&["checkpoint", "--image-path", path, "--leave-running", &bundle.id]);
    if said.code == Some(0) {
        assert!(images.join("inventory.img").exists(), "{said:?}");
    } else {
        has(&said.refused(), &["criu dump failed", path]);
    }
    assert_eq!(bundle.status(), "running");
}

/// The image of a checkpoint by the stand-in, of a container that is gone.
fn image() -> Bundle {
    let mut bundle = bundle();
    bundle.spec["linux"]["namespaces"]
        .as_array_mut()
        .expect("a list")
        .iter_mut()
        .filter(|namespace| namespace["type"] == "network")
        .for_each(|namespace| namespace["path"] = json!("/proc/self/ns/net"));
    bundle.start();
    call(&bundle, &["checkpoint", "--image-path", "image", &bundle.id]).fine();
    has(&called(&bundle), &["--external net["]);
    let descriptors = r#"["/dev/null", "pipe:[77]", "/dev/null"]"#;
    std::fs::write(bundle.path("image/descriptors.json"), descriptors).expect("the folder is ours");
    bundle
}

fn restored() {
    let bundle = image();
    let pid_file = bundle.path("pid");
    let options = ["restore", "--detach", "--image-path", "image", "--pid-file", pid_file.to_str().expect("UTF-8")];
    call(&bundle, &[&options[..], &[&bundle.id]].concat()).fine();
    let root = bundle.rootfs("").display().to_string();
    has(
        &called(&bundle),
        &[
            "restore --images-dir",
            "--restore-detached --restore-sibling",
            &format!("--root {}", root.trim_end_matches('/')),
            "--external mnt[/mnt]:/etc",
            "--external mnt[/proc/keys]:/dev/null",
            "--inherit-fd fd[1]:pipe:[77]",
            "--inherit-fd fd[3]:extRootNetNS",
            "--cgroup-root /",
        ],
    );
    assert!(!called(&bundle).contains("fd[0]"), "{}", called(&bundle));
    assert_eq!(bundle.status(), "running");
    let pid = bundle.state()["pid"].to_string();
    assert_eq!(std::fs::read_to_string(pid_file).expect("it is written"), pid);
    // In the groups of the container: all of it ends with that.
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    assert!(groups.contains(&bundle.id), "{groups}");
    until("the restored program speaks", || bundle.out().contains("restored").then_some(()));
    bundle.call(&["kill", &bundle.id, "TERM"]).fine();
    bundle.wait_for("stopped");
    bundle.verb("delete").fine();
}

fn restored_in_the_foreground() {
    let bundle = image();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| call(&bundle, &["restore", "--image-path", "image", &bundle.id]));
        until("the restored program speaks", || bundle.out().contains("restored").then_some(()));
        bundle.call(&["kill", &bundle.id, "TERM"]).fine();
        assert_eq!(run.join().expect("it ends").code, Some(7));
    });
    bundle.verb("state").refused();
}

fn failed_restore() {
    let bundle = image();
    std::fs::write(bundle.path("programs/fail"), "").expect("the folder is ours");
    let said = call(&bundle, &["restore", "--image-path", "image", &bundle.id]).refused();
    has(&said, &["criu restore failed", "it cannot be done"]);
    assert!(!bundle.path("state").join(&bundle.id).exists());
    call(&bundle, &["restore", "--image-path", "absent", &bundle.id]).refused();
    assert!(!bundle.path("state").join(&bundle.id).exists());
}
