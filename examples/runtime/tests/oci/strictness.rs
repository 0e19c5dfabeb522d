//! What must be refused, and leaves everything as it was.

use serde_json::{Value, json};
use trial::Test;

use crate::bundle::{Bundle, Said, containers, runtime, strict};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("an_empty_or_unknown_id_is_refused", unknown_ids).needs(containers),
        Test::new("an_id_that_is_a_path_is_refused", ids_that_are_paths).needs(containers),
        Test::new("a_taken_id_is_refused", taken_id).needs(containers),
        Test::new("a_running_container_is_neither_started_nor_deleted", running_is_kept).needs(containers),
        Test::new("a_stopped_container_is_neither_killed_nor_started", stopped_is_left_alone).needs(containers),
        Test::new("a_bad_version_is_refused", bad_version).needs(containers).needs(strict),
        Test::new("a_bad_bundle_is_refused", bad_bundle).needs(containers),
        Test::new("a_bad_config_is_refused_and_leaves_nothing", bad_config).needs(containers),
        Test::new("what_debians_runc_takes_is_refused_too", bad_config_beyond_runc).needs(containers).needs(strict),
        Test::new("an_absent_program_is_refused", absent_program).needs(containers),
        Test::new("a_wrong_flag_is_refused", wrong_flag),
        Test::new("errors_go_to_the_log_as_json", errors_in_the_log).needs(containers),
        Test::new("features_are_true", features),
        Test::new("a_terminal_needs_its_socket", terminal_needs_socket).needs(containers),
    ]
}

fn unknown_ids() {
    let bundle = Bundle::new();
    bundle.write();
    let folder = bundle.path("");
    let folder = folder.to_str().expect("UTF-8");
    for id in ["", "absent"] {
        for arguments in [
            &["state", id][..],
            &["start", id],
            &["kill", id],
            &["kill", id, "KILL"],
            &["delete", id],
            &["pause", id],
            &["resume", id],
            &["exec", id, "true"],
            &["ps", id],
            &["events", "--stats", id],
            &["update", "--pids-limit", "9", id],
        ] {
            bundle.call(arguments).refused();
        }
    }
    for verb in ["state", "start", "kill", "delete", "pause", "resume", "exec", "ps", "events"] {
        bundle.call(&[verb]).refused();
    }
    for arguments in [&["create", "--bundle", folder, ""][..], &["create", "--bundle", folder], &["run", ""]] {
        bundle.leaving(arguments).refused();
    }
    assert!(listed_none(&bundle));
}

/// Whether no container is known. Debian's runc says so with `null`.
fn listed_none(bundle: &Bundle) -> bool {
    let list: Value =
        serde_json::from_str(&bundle.call(&["list", "--format", "json"]).fine()).expect("list gives JSON");
    list == json!(null) || list == json!([])
}

fn ids_that_are_paths() {
    let bundle = Bundle::new();
    let folder = bundle.path("");
    let folder = folder.to_str().expect("UTF-8");
    for id in ["..", ".", "a/b", "../escaped", "/absolute", "a b", "a\nb", "a\u{e9}", "*"] {
        bundle.leaving(&["create", "--bundle", folder, id]).refused();
        bundle.call(&["state", id]).refused();
        bundle.call(&["delete", id]).refused();
    }
    assert!(!bundle.path("escaped").exists());
}

fn taken_id() {
    let bundle = Bundle::script("exec sleep 600");
    bundle.create().fine();
    let before = bundle.state();
    bundle.create().refused();
    assert_eq!(bundle.state(), before);
    bundle.verb("start").fine();
    bundle.create().refused();
    assert_eq!(bundle.status(), "running");
    bundle.call(&["kill", &bundle.id, "KILL"]).fine();
    bundle.wait_for("stopped");
    bundle.create().refused();
    bundle.verb("delete").fine();
}

fn running_is_kept() {
    let bundle = Bundle::script("exec sleep 600");
    bundle.start();
    let before = bundle.state();
    bundle.verb("start").refused();
    bundle.verb("delete").refused();
    assert_eq!(bundle.state(), before);
}

fn stopped_is_left_alone() {
    let bundle = Bundle::script("true");
    bundle.start();
    bundle.wait_for("stopped");
    let before = bundle.state();
    for arguments in [
        &["kill", &bundle.id][..],
        &["kill", &bundle.id, "KILL"],
        &["kill", &bundle.id, "0"],
        &["start", &bundle.id],
        &["pause", &bundle.id],
        &["exec", &bundle.id, "true"],
    ] {
        bundle.call(arguments).refused();
        assert_eq!(bundle.state(), before);
    }
    bundle.verb("delete").fine();
}

fn bad_version() {
    for version in [json!(null), json!(""), json!("0.2.0"), json!("2.0.0"), json!("1"), json!("one"), json!(1.0)] {
        let mut bundle = Bundle::new();
        let is_text = version.is_string();
        bundle.spec["ociVersion"] = version;
        let said = bundle.create().refused();
        assert!(!is_text || said.contains("ociVersion"), "{said}");
        assert!(listed_none(&bundle));
    }
    for version in ["1.0.0", "1.0.2-dev", "1.1.0+dev", "1.2.1", "1.3.0"] {
        let mut bundle = Bundle::new();
        bundle.spec["ociVersion"] = json!(version);
        bundle.run().fine();
    }
}

fn bad_bundle() {
    let bundle = Bundle::new();
    bundle.call(&["create", "--bundle", "/no/such/folder", &bundle.id]).refused();
    let config = bundle.path("config.json");
    let folder = bundle.path("");
    let create = ["create", "--bundle", folder.to_str().expect("UTF-8"), &bundle.id];
    bundle.call(&create).refused();
    for text in ["", "{", "[]", "{\"ociVersion\": \"1.0.0\"} trailing", "\0"] {
        std::fs::write(&config, text).expect("the folder is ours");
        bundle.call(&create).refused();
    }
    bundle.verb("state").refused();
}

/// A change of the default specification that makes it wrong.
type Spoil = fn(&mut Value);

fn refuse(cases: &[(&str, Spoil)]) {
    for (name, spoil) in cases {
        let mut bundle = Bundle::new();
        spoil(&mut bundle.spec);
        let said = bundle.create();
        assert!(said.code.is_some_and(|code| code != 0 && code != 124), "{name}: {said:?}");
        assert!(!said.err.trim().is_empty(), "{name}: a failure says why");
        assert!(listed_none(&bundle), "{name}");
        assert_eq!(groups_of(&bundle.id), Vec::<String>::new(), "{name}");
    }
}

/// Groups whose name holds this one.
pub(crate) fn groups_of(name: &str) -> Vec<String> {
    let found = std::process::Command::new("find").args(["/sys/fs/cgroup", "-name", &format!("*{name}*")]).output();
    Said::new(&found.expect("find starts")).out.lines().map(str::to_owned).collect()
}

fn bad_config() {
    refuse(&[
        ("no process", |spec| _ = spec.as_object_mut().expect("an object").remove("process")),
        ("no root", |spec| _ = spec.as_object_mut().expect("an object").remove("root")),
        ("an absent rootfs", |spec| spec["root"]["path"] = json!("absent")),
        ("no arguments", |spec| spec["process"]["args"] = json!([])),
        ("a relative working directory", |spec| spec["process"]["cwd"] = json!("tmp")),
        ("an empty working directory", |spec| spec["process"]["cwd"] = json!("")),
        ("a negative uid", |spec| spec["process"]["user"]["uid"] = json!(-1)),
        ("a uid of 33 bits", |spec| spec["process"]["user"]["uid"] = json!(4_294_967_296_u64)),
        ("a uid that is a text", |spec| spec["process"]["user"]["uid"] = json!("0x0")),
        ("an unknown namespace", |spec| spec["linux"]["namespaces"][0]["type"] = json!("nonsense")),
        ("a namespace twice", |spec| spec["linux"]["namespaces"][0]["type"] = json!("uts")),
        ("an unknown limit", |spec| spec["process"]["rlimits"][0]["type"] = json!("RLIMIT_NONSENSE")),
        ("an unknown action", |spec| spec["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_NONSENSE"})),
        ("an unknown propagation", |spec| spec["linux"]["rootfsPropagation"] = json!("nonsense")),
        ("a source that is not there", |spec| {
            spec["mounts"][0] = json!({"destination": "/x", "type": "bind", "source": "/no/such", "options": ["bind"]});
        }),
        ("a file system that is not there", |spec| {
            spec["mounts"][0] = json!({"destination": "/x", "type": "nonsense", "source": "x"});
        }),
        ("a host name without its namespace", |spec| {
            spec["linux"]["namespaces"].as_array_mut().expect("a list").retain(|entry| entry["type"] != "uts");
        }),
        ("a sysctl of the host's", |spec| spec["linux"]["sysctl"] = json!({"kernel.panic": "7"})),
        ("a namespace that is not there", |spec| spec["linux"]["namespaces"][0]["path"] = json!("/no/such")),
        ("a namespace of another kind", |spec| spec["linux"]["namespaces"][0]["path"] = json!("/proc/self/ns/net")),
        ("a memory limit that is a text", |spec| spec["linux"]["resources"]["memory"] = json!({"limit": "much"})),
    ]);
}

fn bad_config_beyond_runc() {
    refuse(&[
        ("a limit twice", |spec| {
            let limit = spec["process"]["rlimits"][0].clone();
            spec["process"]["rlimits"].as_array_mut().expect("a list").push(limit);
        }),
        ("a hook that is not absolute", |spec| spec["hooks"] = json!({"prestart": [{"path": "true"}]})),
        ("a soft limit above the hard one", |spec| spec["process"]["rlimits"][0]["soft"] = json!(2048)),
        ("a class of service with a path", |spec| spec["linux"]["intelRdt"] = json!({"closID": "a/b"})),
        ("a device of the network that is not there", |spec| spec["linux"]["netDevices"] = json!({"nosuch0": {}})),
        ("an unknown scheduler", |spec| spec["process"]["scheduler"] = json!({"policy": "SCHED_NONSENSE"})),
        ("an unknown class of I/O", |spec| spec["process"]["ioPriority"] = json!({"class": "IOPRIO_NONSENSE"})),
        ("an unknown mode of memory", |spec| spec["linux"]["memoryPolicy"] = json!({"mode": "MPOL_NONSENSE"})),
        ("an unknown personality", |spec| spec["linux"]["personality"] = json!({"domain": "NONSENSE"})),
    ]);
}

fn absent_program() {
    for program in ["/no/such/program", "nosuchprogram", "/etc", "/etc/passwd"] {
        let mut bundle = Bundle::new();
        bundle.spec["process"]["args"] = json!([program]);
        bundle.run().refused();
        bundle.verb("state").refused();
    }
}

fn wrong_flag() {
    let bundle = Bundle::new();
    for arguments in [&["--nonsense"][..], &["create", "--nonsense", "x"], &["nonsense"], &["kill", "a", "b", "c"]] {
        let said = bundle.call(arguments);
        assert!(said.code.is_some_and(|code| code != 0), "{arguments:?}: {said:?}");
    }
}

fn errors_in_the_log() {
    let bundle = Bundle::new();
    let log = bundle.path("log.json");
    let said = bundle.call(&["--log", log.to_str().expect("UTF-8"), "--log-format", "json", "state", "absent"]);
    assert_ne!(said.code, Some(0));
    let text = std::fs::read_to_string(log).expect("the log is written");
    let line: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("a line is JSON");
    assert_eq!(line["level"], "error", "{text}");
    let message = line["msg"].as_str().expect("a message");
    assert!(message.contains("exist"), "engines look for this word: {message}");
    assert!(line["time"].as_str().is_some_and(|time| time.contains('T')), "{text}");
}

fn features() {
    let bundle = Bundle::new();
    let features: Value = serde_json::from_str(&bundle.call(&["features"]).fine()).expect("features are JSON");
    for (pointer, wanted) in [
        ("/hooks", &["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"][..]),
        ("/mountOptions", &["ro", "rbind", "rprivate", "nosuid", "rro", "tmpcopyup"]),
        ("/linux/namespaces", &["cgroup", "ipc", "mount", "network", "pid", "user", "uts"]),
        ("/linux/capabilities", &["CAP_CHOWN", "CAP_SYS_ADMIN"]),
        ("/linux/seccomp/actions", &["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_NOTIFY"]),
        ("/linux/seccomp/archs", &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]),
    ] {
        let list = features.pointer(pointer).and_then(Value::as_array).expect(pointer);
        for word in wanted {
            assert!(list.contains(&json!(word)), "{pointer} lacks {word}");
        }
    }
    assert_eq!(features["linux"]["seccomp"]["enabled"], json!(true));
    assert_eq!(features["linux"]["cgroup"]["v1"], json!(true));
    assert_eq!(features["linux"]["cgroup"]["v2"], json!(true));
}

fn terminal_needs_socket() {
    let mut bundle = Bundle::new();
    bundle.spec["process"]["terminal"] = json!(true);
    bundle.create().refused();
    bundle.spec["process"]["terminal"] = json!(false);
    bundle.create_with(&["--console-socket", "/tmp/never"]).refused();
    let detached = ["run", "--detach", "--bundle"];
    bundle.spec["process"]["terminal"] = json!(true);
    let folder = bundle.path("");
    bundle.leaving(&[&detached[..], &[folder.to_str().expect("UTF-8"), &bundle.id]].concat()).refused();
    assert!(runtime().is_absolute());
}
