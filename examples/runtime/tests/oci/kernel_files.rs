//! Hostile images and callers that want the runtime to take another file for the kernel's: `/proc`, `/sys`, the console,
//! the null device.
//!
//! Each test is named after what was once published, and each was seen to fail with the defence taken out.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use serde_json::json;
use trial::{Test, need};

use crate::bundle::{Bundle, Said, runtime, strict};

pub(crate) fn tests() -> Vec<Test> {
    let test = |name, body: fn()| Test::new(name, body).needs(need::root);
    vec![
        test("cve_2019_5736_the_runtimes_own_mount_stays_read_only", sealed_mount).needs(strict),
        test("the_first_calls_seal_the_program", sealed_first)
            .needs(strict)
            .needs(need::program("strace"))
            .needs(x86_64),
        test("cve_2019_16884_proc_is_not_shadowed", shadowed_proc),
        test("cve_2019_19921_proc_is_no_link", linked_proc),
        test("cve_2023_28642_proc_is_no_link_to_another_mount", proc_on_a_mount).needs(strict),
        test("cve_2025_31133_a_mask_is_a_real_null", swapped_null).needs(strict),
        test("cve_2025_52565_the_console_is_no_link", linked_console).needs(strict),
        // Debian's runc writes to what covers the file.
        test("cve_2025_52881_settings_reach_the_kernel_alone", redirected_settings).needs(strict),
    ]
}

/// Tries to make the mount writable through which a process runs, to copy it, and to write: as who it is, and as root of
/// namespaces of its own; once its input ends, to write again. The first line is the same with a mount that somebody has
/// open, which works.
const UNSEAL: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t read_only[4] = {1, 0, 0, 0}, writable[4] = {0, 1, 0, 0};

static int set(int mount, uint64_t *attributes) {
    return syscall(442, mount, "", 0x1000, attributes, 32) ? errno : 0;
}

static int copy(int mount) {
    return syscall(428, mount, "", 0x1000 | 1) < 0 ? errno : 0;
}

static int overwrite(int program) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", program);
    return open(path, O_WRONLY) < 0 ? errno : 0;
}

int main(int count, char **words) {
    int own = syscall(428, AT_FDCWD, words[0], 1);
    printf("%d %d\n", set(own, read_only), set(own, writable));
    int program = open(words[1], O_PATH);
    for (int round = 0; round < 2; round++) {
        printf("%d %d %d\n", set(program, writable), copy(program), overwrite(program));
        if (round == 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS)) return 1;
    }
    fflush(stdout);
    char end;
    if (read(0, &end, 1)) return 2;
    printf("%d\n", overwrite(program));
    return 0;
}
"#;

/// The first instructions are written for one architecture; elsewhere the program seals itself later.
fn x86_64() -> Result<(), String> {
    if cfg!(target_arch = "x86_64") { Ok(()) } else { Err("needs x86-64".to_owned()) }
}

/// Nothing is prepared for a program that is replaced at once.
fn sealed_first() {
    let bundle = Bundle::new();
    let calls = |words: &[&str]| -> Vec<String> {
        let trace = bundle.path("trace");
        let run = bundle.command(words);
        let mut strace = Command::new("strace");
        // Itself, without the program that limits its time.
        strace.arg("-o").arg(&trace).args(run.get_args().skip(2)).stdin(Stdio::null());
        assert!(!strace.output().expect("strace starts").status.success());
        let text = std::fs::read_to_string(trace).expect("strace writes it");
        text.lines().filter_map(|line| line.split_once('(')).map(|(call, _)| call.to_owned()).collect()
    };
    for verb in ["run", "create", "exec"] {
        assert_eq!(calls(&[verb, "absent"])[..4], ["execve", "open_tree", "mount_setattr", "execveat"], "{verb}");
        let words = ["--log-format", "text", verb, "absent"];
        assert_eq!(calls(&words)[..4], ["execve", "open_tree", "mount_setattr", "execveat"], "{verb}");
    }
    // A verb that makes no process is not replaced, and neither is one whose name only begins so.
    for word in ["state", "runs", "creates", "execs", "exe", "ru"] {
        assert!(!calls(&[word, "absent"]).contains(&"execveat".to_owned()), "{word}");
    }
}

fn sealed_mount() {
    let bundle = Bundle::script("echo ready; exec sleep 600");
    bundle.write();
    bundle.compile("unseal", UNSEAL);
    let run = bundle.command(&["run", "--bundle", ".", &bundle.id]);
    // Itself, without the program that limits its time.
    // A copy: nothing else that runs keeps the file from being written.
    let copy = bundle.path("windlass-oci");
    std::fs::copy(runtime(), &copy).expect("the folder is ours");
    let mut own = Command::new(copy);
    own.args(run.get_args().skip(3)).current_dir(bundle.path("")).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut own = own.spawn().expect("the runtime starts");
    let mut out = BufReader::new(own.stdout.take().expect("it is piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("it is text");
    let mut attacker = Command::new(bundle.rootfs("bin/unseal"));
    attacker.arg(format!("/proc/{}/exe", own.id())).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut attacker = attacker.spawn().expect("it was compiled");
    let mut told = BufReader::new(attacker.stdout.take().expect("it is piped"));
    let mut text = String::new();
    for _ in 0..3 {
        told.read_line(&mut text).expect("it is text");
    }
    bundle.call(&["delete", "--force", &bundle.id]).fine();
    own.wait().expect("it ends");
    drop(attacker.stdin.take());
    told.read_to_string(&mut text).expect("it is text");
    assert_eq!(attacker.wait().expect("it ends").code(), Some(0), "{text}");
    assert_eq!(line, "ready\n");
    // EINVAL: the mount is in no namespace. ETXTBSY while the program runs, and EROFS also afterwards.
    assert_eq!(text, "0 0\n22 22 26\n22 22 26\n30\n");
}

fn shadowed_proc() {
    // An image that says /proc is its own volume: attributes of security modules would be written to a file.
    let mut bundle = Bundle::script("stat -f -c %T /proc; cat /proc/self/attr/exec 2>/dev/null; echo over");
    let fake = bundle.path("fake");
    std::fs::create_dir_all(fake.join("self/attr")).expect("the folder is ours");
    std::fs::write(fake.join("self/attr/exec"), "untouched").expect("the folder is ours");
    bundle.bind(&fake, "/proc", &[]);
    let said = bundle.run();
    assert_ne!(said.code, Some(0), "{said:?}");
    assert_eq!(std::fs::read_to_string(fake.join("self/attr/exec")).expect("written above"), "untouched");
}

fn linked_proc() {
    for name in ["proc", "sys"] {
        let mut bundle = Bundle::script("echo ran");
        let fake = bundle.rootfs("fake");
        std::fs::create_dir(&fake).expect("the folder is ours");
        std::fs::remove_dir(bundle.rootfs(name)).expect("the folder is ours");
        symlink("/fake", bundle.rootfs(name)).expect("the folder is ours");
        bundle.spec["root"]["readonly"] = json!(false);
        let said = bundle.run();
        assert_eq!((said.code == Some(0), said.out.as_str()), (false, ""), "{name}: {said:?}");
        assert_eq!(std::fs::read_dir(&fake).expect("it is there").count(), 0);
    }
}

fn proc_on_a_mount() {
    // The link leads to a mount of the container's own, which lies there by the time: masks would be of that.
    for name in ["proc", "sys"] {
        let mut bundle = Bundle::script("echo ran");
        std::fs::remove_dir(bundle.rootfs(name)).expect("the folder is ours");
        std::fs::create_dir(bundle.rootfs("fake")).expect("the folder is ours");
        symlink("fake", bundle.rootfs(name)).expect("the folder is ours");
        let mounts = bundle.spec["mounts"].as_array_mut().expect("mounts are a list");
        mounts.insert(0, json!({"destination": "/fake", "type": "tmpfs", "source": "t"}));
        let said = bundle.run();
        assert_eq!((said.code == Some(0), said.out.as_str()), (false, ""), "{name}: {said:?}");
    }
}

fn swapped_null() {
    // A volume takes the place of /dev/null, or of all of /dev: what masks files would then show its content.
    for place in ["/dev/null", "/dev"] {
        let mut bundle = Bundle::script("cat /proc/keys; stat -c '%F %t,%T' /proc/keys; echo over");
        let volume = bundle.path("volume");
        for folder in ["pts", "shm", "mqueue"] {
            std::fs::create_dir_all(volume.join(folder)).expect("the folder is ours");
        }
        let fake = volume.join("null");
        std::fs::write(&fake, "shown\n").expect("the folder is ours");
        let mounts = bundle.spec["mounts"].as_array_mut().expect("mounts are a list");
        if place == "/dev" {
            let dev = mounts.iter_mut().find(|mount| mount["destination"] == "/dev").expect("it is there");
            *dev = json!({"destination": "/dev", "type": "bind", "source": volume, "options": ["bind"]});
        } else {
            mounts.push(json!({"destination": place, "type": "bind", "source": fake, "options": ["bind"]}));
        }
        let said = bundle.run();
        assert!(!said.out.contains("shown"), "{place}: {said:?}");
        let is_masked = said.out == "character special file 1,3\nover\n";
        // A device that is none may be refused; as a volume it is not asked at all.
        assert!(is_masked || place == "/dev/null" && said.code != Some(0), "{place}: {said:?}");
        assert_eq!(std::fs::read_to_string(&fake).expect("written above"), "shown\n");
    }
}

fn linked_console() {
    // The image's own /dev, in which the console is a link to what the container must not cover.
    let mut bundle = Bundle::script("exec sleep 600");
    bundle.spec["process"]["terminal"] = json!(true);
    bundle.spec["root"]["readonly"] = json!(false);
    bundle.spec["mounts"].as_array_mut().expect("a list").retain(|mount| mount["destination"] != "/dev");
    std::fs::write(bundle.rootfs("mnt/lure"), "untouched").expect("the folder is ours");
    symlink("/mnt/lure", bundle.rootfs("dev/console")).expect("the folder is ours");
    let socket = bundle.path("console");
    let _listener = UnixListener::bind(&socket).expect("the folder is ours");
    let create = |bundle: &Bundle| bundle.create_with(&["--console-socket", socket.to_str().expect("UTF-8")]);
    let refused = create(&bundle).refused();
    assert!(refused.contains("terminal"), "{refused}");
    assert_eq!(std::fs::read_to_string(bundle.rootfs("mnt/lure")).expect("written above"), "untouched");
    // It is the link that is refused.
    std::fs::remove_file(bundle.rootfs("dev/console")).expect("the folder is ours");
    create(&bundle).fine();
}

fn redirected_settings() {
    let mut bundle = Bundle::script("cat /proc/sys/kernel/domainname");
    bundle.spec["linux"]["sysctl"] = json!({"kernel.domainname": "hidden"});
    bundle.write();
    let lure = bundle.path("lure");
    std::fs::write(&lure, "untouched\n").expect("the folder is ours");
    let run = bundle.command(&["run", "--bundle", ".", &bundle.id]);
    // As a container that shares mounts with the runtime would arrange it.
    let mut covered = Command::new("unshare");
    let script = "mount --bind lure /proc/sys/kernel/domainname && exec \"$@\"";
    covered.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
    covered.arg(run.get_program()).args(run.get_args()).current_dir(bundle.path(""));
    let said = Said::new(&covered.output().expect("unshare starts"));
    assert_eq!(std::fs::read_to_string(&lure).expect("written above"), "untouched\n", "{said:?}");
    assert_eq!(said.fine(), "hidden\n");
}
