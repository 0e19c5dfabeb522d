//! Every field of the specification's schema is part of the container or an error: none is passed over.

use std::path::Path;

use serde_json::{Value, json};

use super::{Config, Options, Running, SecurityModules, container};

fn base() -> Value {
    json!({
        "ociVersion": "1.3.0",
        "root": { "path": "rootfs" },
        "process": { "user": { "uid": 0, "gid": 0 }, "args": ["a"], "cwd": "/" },
        "mounts": [{ "destination": "/x", "type": "tmpfs" }, { "destination": "/b", "type": "bind", "source": "/s" }],
        "linux": {
            "namespaces": [
                { "type": "mount" }, { "type": "uts" }, { "type": "user" }, { "type": "time" }, { "type": "network" }
            ],
            "uidMappings": [{ "containerID": 0, "hostID": 1, "size": 1 }],
            "gidMappings": [{ "containerID": 0, "hostID": 1, "size": 1 }],
            "devices": [{ "path": "/dev/d", "type": "c", "major": 1, "minor": 3 }],
            "seccomp": {
                "defaultAction": "SCMP_ACT_ERRNO",
                "flags": [],
                "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_TRACE",
                               "args": [{ "index": 0, "value": 1, "op": "SCMP_CMP_MASKED_EQ" }] }]
            }
        }
    })
}

/// All that a configuration became.
fn dump(value: &Value) -> Result<String, String> {
    let config = Config::parse(value.to_string().as_bytes()).map_err(|error| error.to_string())?;
    let container =
        container(&config, Path::new("/bundle"), &Options::new("box")).map_err(|error| error.to_string())?;
    let filter = container.command.seccomp.as_ref().map(|filter| filter.instructions().to_vec());
    // What only additional processes have.
    let affinity = config.spec().process().as_ref().and_then(|process| process.exec_cpu_affinity().clone());
    Ok(format!("{container:?} {filter:?} {affinity:?}"))
}

fn with(pointer: &str, probe: Value) -> Value {
    let mut value = base();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
    let mut place = &mut value;
    for part in parent.split('/').skip(1) {
        place = match part.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[part],
        };
    }
    place[key] = probe;
    value
}

/// The leaves of the schema of version 1.3 for Linux, each with a value that none has by itself.
fn probes() -> Vec<(&'static str, Value)> {
    let map = json!([{ "containerID": 3, "hostID": 4, "size": 5 }]);
    let hook = json!([{ "path": "/hook", "args": ["h", "x"], "env": ["K=v"], "timeout": 7 }]);
    let mut probes = vec![
        ("/hostname", json!("probe")),
        ("/domainname", json!("probe")),
        ("/root/path", json!("probe")),
        ("/root/readonly", json!(true)),
        ("/annotations", json!({ "probe": "x" })),
        ("/annotations", json!({ "org.windlass.landlock": "read:/" })),
        ("/mounts/0/destination", json!("/probe")),
        ("/mounts/0/type", json!("ramfs")),
        ("/mounts/0/source", json!("probe")),
        ("/mounts/0/options", json!(["size=7"])),
        ("/mounts/1/source", json!("/probe")),
        ("/mounts/1/uidMappings", map.clone()),
        ("/mounts/1/gidMappings", map.clone()),
    ];
    probes.extend(process());
    probes.extend(linux(&map));
    let kinds = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    probes.extend(kinds.map(|kind| ("/hooks", json!({ kind: hook }))));
    for other in ["/solaris", "/windows", "/vm", "/zos", "/freebsd"] {
        probes.push((other, json!({})));
    }
    probes
}

fn process() -> Vec<(&'static str, Value)> {
    let scheduler = |key: &str, value: Value| {
        let mut scheduler = json!({ "policy": "SCHED_DEADLINE" });
        scheduler[key] = value;
        ("/process/scheduler", scheduler)
    };
    let capabilities =
        ["bounding", "effective", "permitted", "inheritable", "ambient"].map(|set| json!({ set: ["CAP_KILL"] }));
    let mut probes = vec![
        ("/process/terminal", json!(true)),
        ("/process/user/uid", json!(7)),
        ("/process/user/gid", json!(7)),
        ("/process/user/umask", json!(7)),
        ("/process/user/additionalGids", json!([7])),
        ("/process/user/username", json!("probe")),
        ("/process/cwd", json!("/probe")),
        ("/process/env", json!(["PROBE=1"])),
        ("/process/args", json!(["probe"])),
        ("/process/commandLine", json!("probe")),
        ("/process/rlimits", json!([{ "type": "RLIMIT_CORE", "soft": 6, "hard": 7 }])),
        ("/process/apparmorProfile", json!("probe")),
        ("/process/selinuxLabel", json!("probe")),
        ("/process/noNewPrivileges", json!(true)),
        ("/process/oomScoreAdj", json!(7)),
        ("/process/ioPriority", json!({ "class": "IOPRIO_CLASS_IDLE", "priority": 3 })),
        ("/process/execCPUAffinity", json!({ "initial": "0" })),
        ("/process/execCPUAffinity", json!({ "final": "1" })),
        scheduler("nice", json!(7)),
        scheduler("priority", json!(7)),
        scheduler("runtime", json!(7)),
        scheduler("deadline", json!(7)),
        scheduler("period", json!(7)),
    ];
    probes.extend(capabilities.map(|sets| ("/process/capabilities", sets)));
    let flags = "RESET_ON_FORK FLAG_RECLAIM FLAG_DL_OVERRUN FLAG_KEEP_POLICY FLAG_KEEP_PARAMS FLAG_UTIL_CLAMP_MIN \
                 FLAG_UTIL_CLAMP_MAX";
    probes.extend(flags.split_whitespace().map(|flag| scheduler("flags", json!([format!("SCHED_{flag}")]))));
    probes
}

fn linux(map: &Value) -> Vec<(&'static str, Value)> {
    let mut probes = vec![
        ("/linux/uidMappings", map.clone()),
        ("/linux/gidMappings", map.clone()),
        ("/linux/timeOffsets", json!({ "monotonic": { "secs": 7 } })),
        ("/linux/timeOffsets", json!({ "boottime": { "nanosecs": 7 } })),
        ("/linux/devices/0/path", json!("/dev/probe")),
        ("/linux/devices/0/type", json!("b")),
        ("/linux/devices/0/major", json!(7)),
        ("/linux/devices/0/minor", json!(7)),
        ("/linux/devices/0/fileMode", json!(7)),
        ("/linux/devices/0/uid", json!(7)),
        ("/linux/devices/0/gid", json!(7)),
        ("/linux/netDevices", json!({ "probe": { "name": "x" } })),
        ("/linux/cgroupsPath", json!("/probe")),
        ("/linux/resources", json!({ "pids": { "limit": 7 } })),
        ("/linux/rootfsPropagation", json!("slave")),
        ("/linux/sysctl", json!({ "net.probe": "7" })),
        ("/linux/maskedPaths", json!(["/probe"])),
        ("/linux/readonlyPaths", json!(["/probe"])),
        ("/linux/mountLabel", json!("probe")),
        ("/linux/intelRdt", json!({ "closID": "probe" })),
        ("/linux/intelRdt", json!({ "l3CacheSchema": "L3:0=f" })),
        ("/linux/intelRdt", json!({ "memBwSchema": "MB:0=7" })),
        ("/linux/intelRdt", json!({ "schemata": ["L3:0=f"] })),
        ("/linux/intelRdt", json!({ "enableMonitoring": true })),
        ("/linux/intelRdt", json!({ "closID": "/", "enableCMT": true })),
        ("/linux/intelRdt", json!({ "closID": "/", "enableMBM": true })),
        ("/linux/memoryPolicy", json!({ "mode": "MPOL_BIND", "nodes": "0" })),
        ("/linux/memoryPolicy", json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"] })),
        ("/linux/personality", json!({ "domain": "LINUX32" })),
        ("/linux/personality", json!({ "domain": "LINUX", "flags": ["PROBE"] })),
        ("/linux/seccomp/defaultAction", json!("SCMP_ACT_LOG")),
        ("/linux/seccomp/defaultErrnoRet", json!(7)),
        ("/linux/seccomp/architectures", json!(["SCMP_ARCH_AARCH64"])),
        ("/linux/seccomp/architectures", json!(["SCMP_ARCH_MIPS"])),
        ("/linux/seccomp/flags", json!(["SECCOMP_FILTER_FLAG_LOG"])),
        ("/linux/seccomp/flags", json!(["SECCOMP_FILTER_FLAG_SPEC_ALLOW"])),
        ("/linux/seccomp/flags", json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])),
        ("/linux/seccomp/listenerMetadata", json!("probe")),
        ("/linux/seccomp/syscalls/0/names", json!(["write"])),
        ("/linux/seccomp/syscalls/0/names", json!(["probe"])),
        ("/linux/seccomp/syscalls/0/action", json!("SCMP_ACT_ALLOW")),
        ("/linux/seccomp/syscalls/0/action", json!("SCMP_ACT_NOTIFY")),
        ("/linux/seccomp/syscalls/0/errnoRet", json!(7)),
        ("/linux/seccomp/syscalls/0/args/0/index", json!(2)),
        ("/linux/seccomp/syscalls/0/args/0/value", json!(7)),
        ("/linux/seccomp/syscalls/0/args/0/valueTwo", json!(1)),
        ("/linux/seccomp/syscalls/0/args/0/op", json!("SCMP_CMP_GT")),
    ];
    let path = |kind: &str| json!([{ "type": "mount" }, { "type": kind, "path": "/probe" }]);
    probes.extend(
        ["pid", "network", "uts", "ipc", "user", "cgroup", "time"].map(|kind| ("/linux/namespaces", path(kind))),
    );
    probes
}

#[test]
fn no_field_is_passed_over() {
    let before = dump(&base()).unwrap();
    assert!(probes().len() > 110);
    for (pointer, probe) in probes() {
        let value = with(pointer, probe.clone());
        if let Ok(after) = dump(&value) {
            assert_ne!(after, before, "{pointer} = {probe} changed nothing");
        }
    }
}

#[test]
fn labels_are_told_to_the_modules_that_the_kernel_has() {
    let mut value = with("/process/apparmorProfile", json!("docker-default"));
    value["process"]["selinuxLabel"] = json!("a:b:c:s0");
    value["linux"]["mountLabel"] = json!("a:b:d:s0");
    value["mounts"] = json!([
        { "destination": "/proc", "type": "proc", "source": "proc" },
        { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
    ]);
    let config = Config::parse(value.to_string().as_bytes()).unwrap();
    let mut options = Options::new("box");
    options.modules = SecurityModules { apparmor: true, selinux: true };
    let plan = container(&config, "/bundle".as_ref(), &options).unwrap().command.plan().unwrap().to_string();
    for line in [
        r#"write "exec docker-default" to self/attr/apparmor/exec of a procfs"#,
        r#"write "a:b:c:s0" to self/attr/exec of a procfs"#,
        "mount tmpfs source=tmpfs context=a:b:d:s0 on /dev",
        "mount proc source=proc on /proc",
    ] {
        assert!(plan.contains(line), "{line}: {plan}");
    }
    let running = Running { config: &config, namespaces: Vec::new(), modules: options.modules };
    let additional = super::process(&config.process().unwrap(), running).unwrap().command.plan().unwrap().to_string();
    assert!(additional.contains("exec docker-default"), "{additional}");
}

#[test]
fn what_is_not_given_is_named() {
    for (pointer, probe, named) in [
        ("/process/apparmorProfile", json!("probe"), "process.apparmorProfile"),
        ("/process/selinuxLabel", json!("probe"), "process.selinuxLabel"),
        ("/process/commandLine", json!("probe"), "process.commandLine"),
        ("/process/user/username", json!("probe"), "process.user.username"),
        ("/linux/mountLabel", json!("probe"), "linux.mountLabel"),
        ("/linux/personality", json!({ "domain": "LINUX", "flags": ["PROBE"] }), "linux.personality.flags"),
        ("/mounts/0/options", json!(["idmap"]), "mounts[0].uidMappings"),
        ("/windows", json!({}), "windows"),
        ("/freebsd", json!({}), "freebsd"),
    ] {
        let error = dump(&with(pointer, probe)).unwrap_err();
        assert!(error.starts_with(&format!("{named} cannot be honoured: ")), "{pointer}: {error}");
    }
}

#[test]
fn what_the_specification_forbids_is_an_error() {
    for (pointer, probe) in [
        ("/ociVersion", json!("1.0")),
        ("/ociVersion", json!("2.0.0")),
        ("/process", json!(null)),
        ("/process/args", json!([])),
        ("/process/args", json!([""])),
        ("/process/cwd", json!("relative")),
        ("/process/env", json!(["NOVALUE"])),
        ("/process/rlimits", json!([{ "type": "RLIMIT_CORE", "soft": 7, "hard": 6 }])),
        ("/process/rlimits", json!([{ "type": "RLIMIT_CORE" }, { "type": "RLIMIT_CORE" }])),
        ("/process/rlimits", json!([{ "type": "RLIMIT_NOPE" }])),
        ("/process/ioPriority", json!({ "class": "IOPRIO_CLASS_BE", "priority": 8 })),
        ("/process/ioPriority", json!({ "class": "IOPRIO_CLASS_BE", "priority": -1 })),
        ("/root", json!(null)),
        ("/root/path", json!("")),
        ("/mounts/0/type", json!("")),
        ("/mounts/0/destination", json!("/")),
        ("/linux/namespaces", json!([{ "type": "mount" }, { "type": "mount" }])),
        ("/linux/namespaces", json!([{ "type": "mount" }, { "type": "nope" }])),
        ("/linux/namespaces", json!([{ "type": "mount" }, { "type": "pid", "path": "relative" }])),
        ("/linux/namespaces", json!([])),
        ("/linux/uidMappings", json!([])),
        ("/linux/uidMappings", json!([{ "containerID": 0, "hostID": 0, "size": 0 }])),
        ("/linux/rootfsPropagation", json!("sideways")),
        ("/linux/maskedPaths", json!(["relative"])),
        ("/linux/devices/0/path", json!("relative")),
        ("/linux/devices/0/type", json!("a")),
        ("/linux/devices/0/major", json!(-1)),
        ("/linux/timeOffsets", json!({ "realtime": { "secs": 1 } })),
        ("/linux/intelRdt", json!({ "closID": "a/b" })),
        ("/linux/intelRdt", json!({ "memBwSchema": "L3:0=f" })),
        ("/linux/memoryPolicy", json!({ "mode": "MPOL_BIND", "nodes": "x" })),
        ("/linux/memoryPolicy", json!({ "mode": "MPOL_NOPE" })),
        ("/linux/seccomp/defaultAction", json!("SCMP_ACT_NOPE")),
        ("/linux/netDevices", json!({ "a/b": {} })),
        ("/linux/netDevices", json!({ "a": { "name": "sixteen-letters-" } })),
        ("/hooks", json!({ "poststop": [{ "path": "relative" }] })),
        ("/annotations", json!({ "org.windlass.landlock": "nonsense" })),
    ] {
        assert!(dump(&with(pointer, probe.clone())).is_err(), "{pointer} = {probe}");
    }
}
