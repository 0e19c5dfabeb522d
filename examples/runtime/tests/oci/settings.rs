//! What a setting of `config.json` does, seen from inside, is what it does under Debian's runc.

use std::path::Path;

use serde_json::{Value, json};
use trial::{Test, need};

use crate::bundle::{Bundle, Said};

const RUNC: &str = "/usr/sbin/runc";

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("processes_are_as_under_runc", || compare(PROCESS)).needs(need::root).needs(need::path(RUNC)),
        Test::new("file_systems_are_as_under_runc", || compare(FILES)).needs(need::root).needs(need::path(RUNC)),
        Test::new("namespaces_are_as_under_runc", || compare(NAMESPACES)).needs(need::root).needs(need::path(RUNC)),
        Test::new("filters_are_as_under_runc", || compare(FILTERS)).needs(need::root).needs(need::path(RUNC)),
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
const STATUS: &str = "grep -E '^(Cap|NoNewPrivs|Seccomp:|Uid|Gid|Groups|Umask|Threads|SigBlk)' /proc/self/status";

const PROCESS: &[Case] = &[
    ("the default", |_| (), STATUS),
    ("the environment", |spec| spec["process"]["env"] = json!(["PATH=/bin", "A=1", "B=x y"]), "env | grep -v SHLVL"),
    ("the home folder", |spec| spec["process"]["user"] = json!({"uid": 0, "gid": 0}), "echo $HOME"),
    ("the working directory", |spec| spec["process"]["cwd"] = json!("/tmp"), "pwd; readlink /proc/self/cwd"),
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

const FILES: &[Case] = &[
    (
        "every mount",
        |_| (),
        "cut -d' ' -f5,6 /proc/self/mountinfo | grep -vE '^/(proc/(acpi|keys|timer_list)|sys/firmware|sys/fs/cgroup(/unified)?) ' | sort -u",
    ),
    ("a writable root", |spec| spec["root"]["readonly"] = json!(false), "touch /x && ls -l /x | cut -c1-10"),
    ("a read-only root", |_| (), "touch /x; echo $?"),
    ("devices", |_| (), "ls -l /dev | sed 's/  */ /g' | cut -d' ' -f1,3-6,10- | grep -v core"),
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
        "no device folder",
        |spec| {
            spec["mounts"]
                .as_array_mut()
                .expect("a list")
                .retain(|mount| !mount["destination"].as_str().is_some_and(|path| path.starts_with("/dev")));
            spec["root"]["readonly"] = json!(false);
        },
        "ls /dev | grep -v core",
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
        "cat /proc/self/cgroup; grep cgroup /proc/self/mountinfo | cut -d' ' -f4-6 | grep -vE '/sys/fs/cgroup(/unified)? ' | sort -u",
    ),
    (
        "groups without a namespace",
        |spec| spec["linux"]["cgroupsPath"] = json!(format!("/windlass-test-settings-{}", std::process::id())),
        "cut -d: -f2- /proc/self/cgroup | grep -v memory",
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
