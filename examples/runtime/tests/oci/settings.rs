//! What a setting of `config.json` does, seen from inside, is what it does under Debian's runc.

use std::path::Path;

use serde_json::{Value, json};
use trial::{Test, need};

use crate::bundle::{Bundle, Said, strict};

const RUNC: &str = "/usr/sbin/runc";
const UNSHARE: &str = "/usr/bin/unshare";

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("processes_are_as_under_runc", || compare(PROCESS)).needs(need::root).needs(need::path(RUNC)),
        Test::new("file_systems_are_as_under_runc", || compare(FILES)).needs(need::root).needs(need::path(RUNC)),
        Test::new("namespaces_are_as_under_runc", || compare(NAMESPACES)).needs(need::root).needs(need::path(RUNC)),
        Test::new("filters_are_as_under_runc", || compare(FILTERS)).needs(need::root).needs(need::path(RUNC)),
        Test::new("a_root_that_is_moved_is_as_under_runc", moved_root).needs(need::root).needs(need::path(RUNC)),
        Test::new("a_shared_root_begins_a_group_of_its_own", shared_root).needs(need::root).needs(strict),
        Test::new("nothing_of_a_shared_container_reaches_the_host", shared_host)
            .needs(need::root)
            .needs(need::path(UNSHARE)),
        Test::new("notices_go_to_the_log_alone", notices).needs(need::root).needs(strict),
        Test::new("limits_are_as_under_runc", || compare(LIMITS)).needs(need::root).needs(need::path(RUNC)),
    ]
}

/// A setting, how the default specification gets it, and a script that shows what it does.
type Case = (&'static str, fn(&mut Value), &'static str);

fn said(program: &Path, setting: fn(&mut Value), script: &str) -> Said {
    let mut bundle = Bundle::of(program);
    bundle.set_script(script);
    setting(&mut bundle.spec);
    let id = bundle.id.clone();
    let said = bundle.run();
    // The two bundles and names differ; nothing else may.
    let folder = bundle.path("").to_string_lossy().trim_end_matches('/').to_owned();
    Said { out: said.out.replace(&folder, "BUNDLE").replace(&id, "ID"), ..said }
}

/// With `--no-pivot`, for callers on the first RAM disk, the tree is the same.
fn moved_root() {
    let [ours, theirs] = [&crate::bundle::runtime(), Path::new(RUNC)].map(|program| {
        let mut bundle = Bundle::of(program);
        bundle.set_script(&format!("{MOUNTS}; ls -a /..; pwd"));
        bundle.write();
        let folder = bundle.path("");
        let arguments = ["run", "--no-pivot", "--bundle", folder.to_str().expect("UTF-8"), &bundle.id];
        bundle.call(&arguments).fine().replace(&bundle.id, "ID")
    });
    assert_eq!(ours, theirs);
}

/// Debian's runc leaves such a root private; later ones do as the specification says.
fn shared_root() {
    for (word, expected) in
        [("shared", "shared"), ("rshared", "shared"), ("unbindable", "unbindable"), ("private", "-")]
    {
        let mut bundle =
            Bundle::script("sed -n 's/^[^ ]* [^ ]* [^ ]* [^ ]* \\/ [^ ]* \\([a-z-]*\\).*/\\1/p' /proc/self/mountinfo");
        bundle.spec["linux"]["rootfsPropagation"] = json!(word);
        assert_eq!(bundle.run().fine().trim(), expected, "{word}");
    }
}

/// In a mount namespace where everything is shared, a shared container leaves the mounts around it as they were, and
/// what is mounted in a shared bind arrives there.
fn shared_host() {
    let mut bundle = Bundle::script("mount -t tmpfs inner /shared/inside && echo mounted; exec sleep 600");
    std::fs::create_dir_all(bundle.path("volume/inside")).expect("the folder is ours");
    bundle.bind(&bundle.path("volume"), "/shared", &["rshared"]);
    bundle.spec["linux"]["rootfsPropagation"] = json!("rshared");
    bundle.spec["root"]["readonly"] = json!(false);
    for set in ["bounding", "effective", "permitted"] {
        let sets = bundle.spec["process"]["capabilities"][set].as_array_mut().expect("a list");
        sets.push(json!("CAP_SYS_ADMIN"));
    }
    bundle.write();
    let (id, folder) = (bundle.id.clone(), bundle.path(""));
    let runtime = crate::bundle::runtime();
    let script = r#"
        runtime=$1; folder=$2; id=$3
        mounts() { cut -d' ' -f4- /proc/self/mountinfo | sort; }
        mount --bind $folder/volume $folder/volume
        mounts >$folder/before
        $runtime --root $folder/state run --detach --bundle $folder $id </dev/null >$folder/said 2>&1 || exit 1
        tries=0
        until grep -q mounted $folder/said || test $tries = 3000; do tries=$((tries + 1)); sleep 0.01; done
        grep -q " $folder/volume/inside " /proc/self/mountinfo && echo arrived
        umount $folder/volume/inside
        mounts >$folder/during
        $runtime --root $folder/state delete --force $id
        mounts >$folder/after
        diff $folder/before $folder/during && diff $folder/before $folder/after && echo untouched
    "#;
    let mut outer = std::process::Command::new("timeout");
    outer.args(["--kill-after=5", "90", UNSHARE, "--mount", "--propagation", "private"]);
    outer.args(["sh", "-c", r#"mount --make-rshared / && exec sh -c "$@""#, "sh", script, "sh"]);
    outer.arg(runtime).arg(folder.to_string_lossy().trim_end_matches('/')).arg(id);
    let said = Said::new(&outer.output().expect("timeout starts"));
    assert_eq!(said.out, "arrived\nuntouched\n", "{said:?} {:?}", std::fs::read_to_string(bundle.path("said")));
}

/// What a configuration asks for and nobody knows is told in the log, and not on the caller's terminal.
fn notices() {
    let mut bundle = Bundle::script("true");
    bundle.spec["process"]["capabilities"]["bounding"] = json!(["CAP_KILL", "CAP_NOPE"]);
    filter(
        &mut bundle.spec,
        "SCMP_ACT_ALLOW",
        &json!([{"names": ["nosuchcall", "mkdir"], "action": "SCMP_ACT_ERRNO"}]),
    );
    let said = bundle.run();
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    let (log, folder) = (bundle.path("log"), bundle.path(""));
    let arguments =
        ["--log", log.to_str().expect("UTF-8"), "run", "--bundle", folder.to_str().expect("UTF-8"), &bundle.id];
    let said = bundle.call(&arguments);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    let text = std::fs::read_to_string(log).expect("the log is written");
    assert!(text.contains("nosuchcall") && text.contains("CAP_NOPE") && text.contains("level=warning"), "{text}");
}

fn compare(cases: &[Case]) {
    let mut differing = Vec::new();
    for (name, setting, script) in cases {
        let theirs = said(Path::new(RUNC), *setting, script);
        assert!(!theirs.out.is_empty() && theirs.code != Some(124), "{name}: runc shows nothing: {theirs:?}");
        let ours = said(&crate::bundle::runtime(), *setting, script);
        if (ours.code, &ours.out) != (theirs.code, &theirs.out) {
            differing.push(format!("{name}:\n  ours {ours:?}\n  runc {theirs:?}"));
        }
    }
    assert!(differing.is_empty(), "{} of {} differ\n{}", differing.len(), cases.len(), differing.join("\n"));
}

/// Every set that a process has.
const STATUS: &str =
    "grep -E '^(Cap|NoNewPrivs|Seccomp:|Uid|Gid|Groups|Umask|Threads|Sig(Blk|Ign|Cgt))' /proc/self/status";

const PROCESS: &[Case] = &[
    ("the default", |_| (), STATUS),
    ("the environment", |spec| spec["process"]["env"] = json!(["PATH=/bin", "A=1", "B=x y"]), "env | grep -v SHLVL"),
    ("the home folder", |spec| spec["process"]["user"] = json!({"uid": 0, "gid": 0}), "echo $HOME"),
    ("the working directory", |spec| spec["process"]["cwd"] = json!("/tmp"), "pwd; readlink /proc/self/cwd"),
    (
        "a working directory that is not there",
        |spec| {
            spec["root"]["readonly"] = json!(false);
            spec["process"]["user"] = json!({"uid": 7, "gid": 8, "umask": 0o77});
            spec["process"]["cwd"] = json!("/new/a/b");
        },
        "pwd; stat -c '%n %a %u %g' /new /new/a /new/a/b",
    ),
    (
        "a working directory that is not there on a read-only root",
        |spec| spec["process"]["cwd"] = json!("/new"),
        "pwd; touch x 2>/dev/null; echo $?",
    ),
    (
        "a capability that nobody knows",
        |spec| spec["process"]["capabilities"]["bounding"] = json!(["CAP_KILL", "CAP_NOPE"]),
        STATUS,
    ),
    (
        "an ordinary user",
        |spec| {
            spec["process"]["user"] = json!({"uid": 1000, "gid": 1000, "additionalGids": [5, 44]});
        },
        STATUS,
    ),
    ("an umask", |spec| spec["process"]["user"]["umask"] = json!(0o077), "umask; grep Umask /proc/self/status"),
    ("no capability", |spec| spec["process"]["capabilities"] = json!({}), STATUS),
    (
        "ambient ones",
        |spec| {
            let set = json!(["CAP_NET_RAW", "CAP_CHOWN"]);
            spec["process"]["user"] = json!({"uid": 7, "gid": 7});
            spec["process"]["capabilities"] =
                json!({"bounding": set, "permitted": set, "inheritable": set, "effective": set, "ambient": set});
        },
        STATUS,
    ),
    (
        "an ordinary user with capabilities",
        |spec| {
            let set = json!(["CAP_NET_RAW", "CAP_CHOWN"]);
            spec["process"]["user"] = json!({"uid": 7, "gid": 7});
            spec["process"]["capabilities"] = json!({"bounding": set, "permitted": set, "effective": set});
        },
        STATUS,
    ),
    ("new privileges", |spec| spec["process"]["noNewPrivileges"] = json!(false), STATUS),
    (
        "limits",
        |spec| {
            spec["process"]["rlimits"] = json!([
                {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
                {"type": "RLIMIT_STACK", "soft": 1 << 20, "hard": 1 << 21},
            ]);
        },
        "cat /proc/self/limits",
    ),
    (
        "the score for lack of memory",
        |spec| spec["process"]["oomScoreAdj"] = json!(321),
        "cat /proc/self/oom_score_adj",
    ),
    ("descriptors", |_| (), "ls /proc/self/fd | sort | tr '\\n' ' '"),
    ("the first process", |_| (), "cat /proc/1/comm; echo $$ $PPID; cut -d' ' -f5-6 /proc/1/stat"),
    ("a program from the path", |spec| spec["process"]["args"] = json!(["id", "-u"]), ""),
    ("a failing program", |spec| spec["process"]["args"] = json!(["sh", "-c", "echo said; exit 42"]), ""),
    ("arguments as they are", |spec| spec["process"]["args"] = json!(["echo", "", " a ", "$HOME", "é", "\n"]), ""),
    ("seals of the program", |_| (), "readlink /proc/1/exe"),
];

/// Every mount with all that the kernel tells of it but numbers. Of a view of the control groups that is asked for
/// read-only Debian's runc leaves the folder itself writable.
const MOUNTS: &str =
    "cut -d' ' -f5- /proc/self/mountinfo | sed 's|^/sys/fs/cgroup r[ow],|/sys/fs/cgroup |; s/:[0-9]*/:N/g' | sort";

const FILES: &[Case] = &[
    ("every mount", |_| (), MOUNTS),
    ("a writable root", |spec| spec["root"]["readonly"] = json!(false), "touch /x && ls -l /x | cut -c1-10"),
    ("a read-only root", |_| (), "touch /x; echo $?"),
    ("devices", |_| (), "ls -l /dev | sed 's/  */ /g' | cut -d' ' -f1,3-6,10-"),
    (
        "more devices",
        |spec| {
            spec["linux"]["devices"] = json!([
                {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 3, "gid": 4},
                {"path": "/dev/deep/null", "type": "u", "major": 1, "minor": 3},
                {"path": "/dev/pipe", "type": "p"},
            ]);
        },
        "stat -c '%n %F %a %u %g %t %T' /dev/fuse /dev/deep/null /dev/pipe",
    ),
    (
        "the device rules",
        |_| (),
        "for d in null zero full random urandom tty ptmx; do (: </dev/$d) 2>/dev/null; echo $d $?; done; mknod /dev/disk b 254 0; echo $?",
    ),
    (
        "masked files",
        |_| (),
        "wc -c </proc/keys; ls /proc/acpi /sys/firmware; stat -c %t,%T /proc/keys /proc/timer_list",
    ),
    (
        "read-only files",
        |_| (),
        "for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/default_smp_affinity; do (echo 1 >$f) 2>/dev/null; echo $?; done",
    ),
    (
        "a tmpfs",
        |spec| {
            add(
                spec,
                json!({"destination": "/mnt", "type": "tmpfs", "source": "t", "options": ["size=1m", "mode=1711", "noexec"]}),
            );
        },
        "grep ' /mnt ' /proc/self/mountinfo | cut -d' ' -f5-; dd if=/dev/zero of=/mnt/x bs=64k count=32 2>/dev/null; stat -c %s /mnt/x",
    ),
    (
        "a tmpfs with what was there",
        |spec| add(spec, json!({"destination": "/etc", "type": "tmpfs", "source": "t", "options": ["tmpcopyup"]})),
        "ls /etc; cat /etc/passwd; touch /etc/new && ls /etc",
    ),
    (
        "a read-only bind",
        |spec| add(spec, json!({"destination": "/mnt", "type": "bind", "source": "/etc", "options": ["rbind", "ro"]})),
        "cat /mnt/hostname >/dev/null && (touch /mnt/windlass-test) 2>/dev/null; echo $?; grep ' /mnt ' /proc/self/mountinfo | cut -d' ' -f5,6",
    ),
    (
        "a bind of a file",
        |spec| {
            add(
                spec,
                json!({"destination": "/mnt/deep/file", "type": "bind", "source": "/etc/hostname", "options": ["bind", "ro", "nosuid"]}),
            );
        },
        "stat -c %F /mnt/deep/file; grep /mnt /proc/self/mountinfo | cut -d' ' -f5,6",
    ),
    (
        "a bind without a type",
        |spec| add(spec, json!({"destination": "/mnt", "source": "/etc", "options": ["bind"]})),
        "grep ' /mnt ' /proc/self/mountinfo | cut -d' ' -f5,6",
    ),
    (
        "attributes of a whole tree",
        |spec| add(spec, json!({"destination": "/mnt", "type": "bind", "source": "/dev", "options": ["rbind", "rro"]})),
        "grep ' /mnt' /proc/self/mountinfo | cut -d' ' -f5,6 | sort",
    ),
    (
        "two mounts on one place",
        |spec| {
            add(spec, json!({"destination": "/mnt", "type": "tmpfs", "source": "a"}));
            add(spec, json!({"destination": "/mnt", "type": "tmpfs", "source": "b", "options": ["ro"]}));
        },
        "grep ' /mnt ' /proc/self/mountinfo | sed 's/.* - //' | cut -d' ' -f1,2",
    ),
    (
        "a tmpfs on what has other permissions",
        |spec| add(spec, json!({"destination": "/root", "type": "tmpfs", "source": "t", "options": ["ro", "size=1m"]})),
        "stat -c %a /root; grep ' /root ' /proc/self/mountinfo | cut -d' ' -f5-",
    ),
    (
        "a tmpfs where nothing was",
        |spec| {
            spec["root"]["readonly"] = json!(false);
            add(spec, json!({"destination": "/new/deep", "type": "tmpfs", "source": "t"}));
        },
        "stat -c %a /new /new/deep",
    ),
    (
        "a relative destination",
        |spec| add(spec, json!({"destination": "mnt", "type": "tmpfs", "source": "t"})),
        "grep ' /mnt ' /proc/self/mountinfo | cut -d' ' -f5-",
    ),
    (
        "a read-only device folder",
        |spec| {
            let mounts = spec["mounts"].as_array_mut().expect("mounts are a list");
            let dev = mounts.iter_mut().find(|mount| mount["destination"] == "/dev").expect("the default has one");
            dev["options"].as_array_mut().expect("a list").push(json!("ro"));
            add(
                spec,
                json!({"destination": "/dev/deep/file", "type": "bind", "source": "/etc/hostname", "options": ["bind"]}),
            );
        },
        "ls /dev; touch /dev/x 2>/dev/null; echo $?; grep ' /dev' /proc/self/mountinfo | cut -d' ' -f5,6",
    ),
    (
        "a shared bind",
        |spec| {
            add(
                spec,
                json!({"destination": "/mnt", "type": "bind", "source": "/etc", "options": ["rbind", "rshared"]}),
            );
        },
        MOUNTS,
    ),
    (
        "a shared tmpfs",
        |spec| add(spec, json!({"destination": "/mnt", "type": "tmpfs", "source": "t", "options": ["shared"]})),
        MOUNTS,
    ),
    (
        "a change of what is mounted",
        |spec| {
            add(spec, json!({"destination": "/mnt", "type": "tmpfs", "source": "t", "options": ["mode=700", "nodev"]}));
            add(spec, json!({"destination": "/mnt", "type": "tmpfs", "source": "t", "options": ["remount", "ro"]}));
        },
        "grep ' /mnt ' /proc/self/mountinfo | cut -d' ' -f5-",
    ),
    (
        "a mount that nobody hears of",
        |spec| {
            add(spec, json!({"destination": "/mnt", "type": "bind", "source": "/etc", "options": ["bind", "silent"]}));
        },
        "grep ' /mnt ' /proc/self/mountinfo | cut -d' ' -f5,6",
    ),
    (
        "no device folder",
        |spec| {
            spec["mounts"]
                .as_array_mut()
                .expect("a list")
                .retain(|mount| !mount["destination"].as_str().is_some_and(|path| path.starts_with("/dev")));
            spec["root"]["readonly"] = json!(false);
        },
        "ls /dev",
    ),
];

fn add(spec: &mut Value, mount: Value) {
    spec["mounts"].as_array_mut().expect("mounts are a list").push(mount);
}

fn without_namespace(spec: &mut Value, kind: &str) {
    spec["linux"]["namespaces"].as_array_mut().expect("a list").retain(|entry| entry["type"] != kind);
}

fn with_namespace(spec: &mut Value, namespace: Value) {
    spec["linux"]["namespaces"].as_array_mut().expect("a list").push(namespace);
}

fn with_user_namespace(spec: &mut Value, size: u32) {
    with_namespace(spec, json!({"type": "user"}));
    spec["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 200_000, "size": size}]);
    spec["linux"]["gidMappings"] = json!([{"containerID": 0, "hostID": 300_000, "size": size}]);
    add(spec, json!({"destination": "/mnt", "type": "tmpfs", "source": "t"}));
}

const NAMESPACES: &[Case] = &[
    ("the host's name", |_| (), "hostname"),
    ("no network", |_| (), "ls /sys/class/net; ip -o link show lo | grep -o 'state [A-Z]*'"),
    ("the host's network", |spec| without_namespace(spec, "network"), "readlink /proc/self/ns/net"),
    ("the host's processes", |spec| without_namespace(spec, "pid"), "readlink /proc/self/ns/pid"),
    (
        "a namespace by path",
        |spec| {
            without_namespace(spec, "network");
            with_namespace(spec, json!({"type": "network", "path": format!("/proc/{}/ns/net", std::process::id())}));
        },
        "readlink /proc/self/ns/net",
    ),
    (
        "a namespace of groups",
        |spec| with_namespace(spec, json!({"type": "cgroup"})),
        "cat /proc/self/cgroup; grep cgroup /proc/self/mountinfo | cut -d' ' -f4-6 | sed 's|^/ /sys/fs/cgroup r[ow],|/ /sys/fs/cgroup |' | sort",
    ),
    (
        "groups without a namespace",
        |spec| spec["linux"]["cgroupsPath"] = json!(format!("/windlass-test-settings-{}", std::process::id())),
        "cut -d: -f2- /proc/self/cgroup",
    ),
    (
        "another user",
        |spec| with_user_namespace(spec, 65536),
        "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id -u; cat /proc/self/status | grep ^Cap",
    ),
    (
        "a small range of users",
        |spec| {
            with_user_namespace(spec, 10);
            spec["process"]["user"] = json!({"uid": 3, "gid": 4, "additionalGids": [5]});
        },
        "cat /proc/self/uid_map; id",
    ),
    (
        "sysctls",
        |spec| {
            spec["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1", "kernel.msgmax": "4096", "net/ipv4/ip_unprivileged_port_start": "80"});
        },
        "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_unprivileged_port_start",
    ),
    (
        "a slave root",
        |spec| spec["linux"]["rootfsPropagation"] = json!("slave"),
        "grep -c master /proc/self/mountinfo; echo",
    ),
];

fn filter(spec: &mut Value, default: &str, rules: &Value) {
    spec["linux"]["seccomp"] =
        json!({"defaultAction": default, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "syscalls": rules});
}

const FILTERS: &[Case] = &[
    (
        "an error",
        |spec| filter(spec, "SCMP_ACT_ALLOW", &json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}])),
        "mkdir /tmp/x 2>&1; grep Seccomp: /proc/self/status",
    ),
    (
        "a chosen error",
        |spec| {
            filter(
                spec,
                "SCMP_ACT_ALLOW",
                &json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 17}]),
            );
        },
        "mkdir /tmp/x 2>&1; echo",
    ),
    (
        "a killed process",
        |spec| {
            filter(
                spec,
                "SCMP_ACT_ALLOW",
                &json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}]),
            );
        },
        "(mkdir /tmp/x); echo $?",
    ),
    (
        "an argument",
        |spec| {
            filter(
                spec,
                "SCMP_ACT_ALLOW",
                &json!([{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 3, "args": [{"index": 1, "value": 12, "op": "SCMP_CMP_EQ"}]}]),
            );
        },
        "trap 'echo ten' USR1; kill -USR2 $$ 2>&1; kill -USR1 $$",
    ),
    (
        "a masked argument",
        |spec| {
            filter(
                spec,
                "SCMP_ACT_ALLOW",
                &json!([{"names": ["unshare"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22, "args": [{"index": 0, "value": 0x1000_0000, "valueTwo": 0x1000_0000, "op": "SCMP_CMP_MASKED_EQ"}]}]),
            );
        },
        "unshare -U true 2>&1; echo $?",
    ),
    (
        "a name nobody knows",
        |spec| {
            filter(
                spec,
                "SCMP_ACT_ALLOW",
                &json!([{"names": ["nosuchcall", "mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]),
            );
        },
        "mkdir /tmp/x 2>&1; echo",
    ),
    (
        "together with new privileges",
        |spec| {
            spec["process"]["noNewPrivileges"] = json!(false);
            filter(spec, "SCMP_ACT_ALLOW", &json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]));
        },
        "mkdir /tmp/x 2>&1; grep -E 'Seccomp:|NoNew' /proc/self/status",
    ),
];

const LIMITS: &[Case] = &[
    (
        "memory",
        |spec| {
            spec["linux"]["resources"]["memory"] =
                json!({"limit": 32 << 20, "reservation": 16 << 20, "swap": 32 << 20});
        },
        "cd /sys/fs/cgroup/memory && cat memory.limit_in_bytes memory.soft_limit_in_bytes",
    ),
    ("processes", |spec| spec["linux"]["resources"]["pids"] = json!({"limit": 7}), "cat /sys/fs/cgroup/pids/pids.max"),
    (
        "no limit of processes",
        |spec| spec["linux"]["resources"]["pids"] = json!({"limit": -1}),
        "cat /sys/fs/cgroup/pids/pids.max",
    ),
    (
        "processor",
        |spec| spec["linux"]["resources"]["cpu"] = json!({"shares": 77, "quota": 30000, "period": 60000, "cpus": "0"}),
        "cd /sys/fs/cgroup && cat cpu/cpu.shares cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpuset/cpuset.cpus; nproc",
    ),
    (
        "devices",
        |spec| spec["linux"]["resources"]["devices"] = json!([{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}]),
        "sort /sys/fs/cgroup/devices/devices.list",
    ),
    (
        "throttled disks",
        |spec| {
            spec["linux"]["resources"]["blockIO"] =
                json!({"throttleReadBpsDevice": [{"major": 254, "minor": 0, "rate": 1_048_576}]});
        },
        "cat /sys/fs/cgroup/blkio/blkio.throttle.read_bps_device",
    ),
    (
        "a killed hog",
        |spec| {
            spec["linux"]["resources"]["memory"] = json!({"limit": 8 << 20, "swap": 8 << 20});
            spec["root"]["readonly"] = json!(false);
        },
        "(yes | tr '\\n' x | head -c 60000000 | tail -n 1 | wc -c); echo over",
    ),
];
