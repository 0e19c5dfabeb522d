//! `features`: what this runtime can do.
//!
//! Nothing is claimed from a list: every word that the specification knows is tried on the code that reads
//! configurations, and told if it is taken.

use serde_json::{Value, json};
use windlass_namespaces::oci::{self, Config, Options};
use windlass_namespaces::{Capability, Namespace};

use super::bundle::SPECIFICATION;
use super::failure::{Failure, Result};

const HOOKS: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

const MOUNT_OPTIONS: [&str; 64] = [
    "acl",
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "idmap",
    "iversion",
    "lazytime",
    "loud",
    "mand",
    "noacl",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "remount",
    "rexec",
    "ridmap",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "silent",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "sync",
    "tmpcopyup",
    "unbindable",
];

const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

const OPERATORS: [&str; 7] =
    ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"];

const ARCHITECTURES: [&str; 21] = [
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
];

const FLAGS: [&str; 4] = [
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

const MEMORY_MODES: [&str; 7] = [
    "MPOL_DEFAULT",
    "MPOL_BIND",
    "MPOL_INTERLEAVE",
    "MPOL_WEIGHTED_INTERLEAVE",
    "MPOL_PREFERRED",
    "MPOL_PREFERRED_MANY",
    "MPOL_LOCAL",
];

const MEMORY_FLAGS: [&str; 3] = ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"];

/// The document that engines read.
pub(super) fn features() -> Result<String> {
    let namespaces = Namespace::ALL.map(word_of).into_iter().filter(|word| takes_namespace(word));
    let mut namespaces: Vec<&str> = namespaces.collect();
    namespaces.sort_unstable();
    let capabilities: Vec<&str> = Capability::ALL.iter().map(|capability| capability.name()).collect();
    let document = json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPECIFICATION,
        "hooks": HOOKS.into_iter().filter(|hook| takes(|config| config["hooks"][*hook] = json!([{ "path": "/bin/true" }]))).collect::<Vec<_>>(),
        "mountOptions": mount_options(),
        "linux": {
            "namespaces": namespaces,
            "capabilities": capabilities,
            "cgroup": cgroup(),
            "seccomp": seccomp(),
            "apparmor": { "enabled": takes(|config| config["process"]["apparmorProfile"] = "unconfined".into()) },
            "selinux": { "enabled": takes(|config| config["process"]["selinuxLabel"] = "a:b:c:d".into()) },
            "intelRdt": {
                "enabled": takes(|config| config["linux"]["intelRdt"] = json!({ "closID": "x" })),
                "schemata": takes(|config| config["linux"]["intelRdt"] = json!({ "schemata": ["L3:0=f"] })),
                "monitoring": takes(|config| config["linux"]["intelRdt"] = json!({ "enableMonitoring": true })),
            },
            "memoryPolicy": memory_policy(),
            "mountExtensions": { "idmap": { "enabled": takes(id_mapped) } },
            "netDevices": { "enabled": takes(|config| config["linux"]["netDevices"] = json!({ "eth0": {} })) },
        },
        "annotations": {
            "org.windlass.version": env!("CARGO_PKG_VERSION"),
            // By the name that engines look for.
            "org.opencontainers.runc.checkpoint.enabled": "true",
            "org.windlass.landlock.enabled":
                takes(|config| config["annotations"]["org.windlass.landlock"] = "read:/".into()).to_string(),
        },
        "potentiallyUnsafeConfigAnnotations": ["org.windlass."],
    });
    let text = serde_json::to_string_pretty(&document).map_err(Failure::during("encode the features"))?;
    Ok(format!("{text}\n"))
}

/// Whether a configuration with this change is taken.
fn takes(change: impl FnOnce(&mut Value)) -> bool {
    container(change).is_some()
}

/// The container of a configuration with this change, if it is taken.
fn container(change: impl FnOnce(&mut Value)) -> Option<oci::Container> {
    let mut config = json!({
        "ociVersion": SPECIFICATION,
        "root": { "path": "rootfs" },
        "process": { "user": { "uid": 0, "gid": 0 }, "args": ["true"], "cwd": "/", "noNewPrivileges": true },
        "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
        "linux": { "namespaces": [{ "type": "mount" }, { "type": "network" }] },
    });
    change(&mut config);
    let config = Config::parse(config.to_string().as_bytes()).ok()?;
    oci::container(&config, "/".as_ref(), &Options::new("features")).ok()
}

/// What the kernel takes for every file system.
const OF_EVERY_FILE_SYSTEM: [&str; 8] =
    ["async", "dirsync", "lazytime", "mand", "nolazytime", "nomand", "silent", "sync"];

fn mount_options() -> Vec<&'static str> {
    let mut words: Vec<&str> = MOUNT_OPTIONS.into_iter().filter(|word| takes_option(word)).collect();
    words.sort_unstable();
    words
}

fn takes_option(word: &str) -> bool {
    let on = |kind: &str, options: &[&str]| {
        let mount = json!({ "destination": "/mnt", "type": kind, "source": "/", "options": options });
        container(|config| config["mounts"] = json!([mount]))
    };
    if on("none", &["rbind", word]).is_some() {
        return true;
    }
    // What is not known goes to the file system as it is: that is no claim, but for what all of them know.
    let plan = on("tmpfs", &[word]).and_then(|container| container.command.plan().ok());
    let passed_on =
        |plan: &str| plan.lines().any(|step| step.contains("mount tmpfs") && step.split(' ').any(|it| it == word));
    plan.is_some_and(|plan| !passed_on(&plan.to_string()) || OF_EVERY_FILE_SYSTEM.contains(&word))
}

/// The specification's word for a kind of namespace.
const fn word_of(kind: Namespace) -> &'static str {
    match kind {
        Namespace::Mount => "mount",
        Namespace::Net => "network",
        Namespace::Pid => "pid",
        Namespace::Ipc => "ipc",
        Namespace::Uts => "uts",
        Namespace::User => "user",
        Namespace::Cgroup => "cgroup",
        Namespace::Time => "time",
    }
}

fn takes_namespace(word: &str) -> bool {
    takes(|config| {
        config["linux"]["namespaces"] = json!([{ "type": "mount" }]);
        if word != "mount" {
            config["linux"]["namespaces"] = json!([{ "type": "mount" }, { "type": word }]);
        }
        if word == "user" {
            let mapping = json!([{ "containerID": 0, "hostID": 0, "size": 1 }]);
            config["linux"]["uidMappings"] = mapping.clone();
            config["linux"]["gidMappings"] = mapping;
        }
    })
}

/// Known to this program, whatever this machine has.
fn cgroup() -> Value {
    json!({ "v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true })
}

fn seccomp() -> Value {
    let filter = |change: &dyn Fn(&mut Value)| {
        let mut policy = json!({ "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_NATIVE"] });
        change(&mut policy);
        takes(|config| config["linux"]["seccomp"] = policy)
    };
    let rule = |action: &str, arguments: Value| {
        filter(&|policy| {
            policy["syscalls"] = json!([{ "names": ["getcwd"], "action": action, "args": arguments }]);
            policy["listenerPath"] = if action == "SCMP_ACT_NOTIFY" { "/socket".into() } else { Value::Null };
        })
    };
    let compares = |word: &&str| rule("SCMP_ACT_ALLOW", json!([{ "index": 0, "value": 1, "valueTwo": 1, "op": word }]));
    let flags: Vec<&str> = FLAGS.into_iter().filter(|word| filter(&|policy| policy["flags"] = json!([word]))).collect();
    json!({
        "enabled": filter(&|_| ()),
        "actions": ACTIONS.into_iter().filter(|word| rule(word, Value::Null)).collect::<Vec<_>>(),
        "operators": OPERATORS.into_iter().filter(compares).collect::<Vec<_>>(),
        "archs": ARCHITECTURES.into_iter().filter(|word| knows_architecture(word)).collect::<Vec<_>>(),
        "knownFlags": flags,
        "supportedFlags": flags,
    })
}

/// Whether calls of this architecture are filtered, and not merely passed over.
fn knows_architecture(word: &str) -> bool {
    let policy = json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": [word] });
    let policy = serde_json::from_value(policy).ok().and_then(|policy| oci::policy(&policy).ok());
    policy.is_some_and(|taken| taken.foreign.is_empty())
}

fn memory_policy() -> Value {
    let takes_policy = |mode: &str, flags: &[&str]| {
        // Some modes want nodes, and others refuse them.
        ["0", ""].into_iter().any(|nodes| {
            takes(|config| config["linux"]["memoryPolicy"] = json!({ "mode": mode, "nodes": nodes, "flags": flags }))
        })
    };
    json!({
        "modes": MEMORY_MODES.into_iter().filter(|mode| takes_policy(mode, &[])).collect::<Vec<_>>(),
        "flags": MEMORY_FLAGS.into_iter().filter(|flag| takes_policy("MPOL_BIND", &[flag])).collect::<Vec<_>>(),
    })
}

fn id_mapped(config: &mut Value) {
    let mapping = json!([{ "containerID": 0, "hostID": 1000, "size": 1 }]);
    config["mounts"] = json!([{
        "destination": "/mnt", "type": "none", "source": "/", "options": ["bind"],
        "uidMappings": mapping.clone(), "gidMappings": mapping,
    }]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_claimed_is_taken_and_what_is_not_is_refused() {
        assert!(takes(|_| ()) && takes_option("nosuid") && !takes_option("no-such-option"));
        let document: Value = serde_json::from_str(&features().unwrap()).unwrap();
        let words = |place: &str| document.pointer(place).and_then(Value::as_array).unwrap().clone();
        assert_eq!(words("/linux/namespaces").len(), Namespace::ALL.len());
        assert!(words("/mountOptions").contains(&"rro".into()) && words("/mountOptions").contains(&"rbind".into()));
        assert!(words("/linux/seccomp/archs").contains(&"SCMP_ARCH_X86_64".into()));
        assert!(!words("/linux/seccomp/archs").contains(&"SCMP_ARCH_S390".into()));
        assert_eq!(words("/linux/seccomp/operators").len(), OPERATORS.len());
    }
}
