//! Hooks of all six kinds: when they run, what they are told, and what their failure does.

use serde_json::{Value, json};
use trial::Test;

use crate::bundle::{Bundle, containers, strict};
use crate::strictness::groups_of;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("hooks_run_in_order_with_the_state", in_order).needs(containers),
        Test::new("hooks_have_their_own_environment", environment).needs(containers),
        Test::new("hooks_see_the_namespaces_of_their_kind", namespaces).needs(containers),
        Test::new("a_failing_hook_before_the_start_ends_the_container", failing_early).needs(containers),
        Test::new("a_failing_hook_of_the_container_ends_it", failing_in_container).needs(containers),
        Test::new("a_failing_poststop_hook_does_not_keep_the_container", failing_late).needs(containers),
        Test::new("a_slow_hook_meets_its_timeout", timeout).needs(containers),
        Test::new("a_hook_with_much_to_say_does_not_block", talkative).needs(containers).needs(strict),
    ]
}

/// A hook that appends its name and standard input to a file of this folder.
fn recorder(name: &str, folder: &str) -> Value {
    let script = format!("printf '{name} ' >>{folder}/record; cat >>{folder}/record; echo >>{folder}/record");
    json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]})
}

fn recording() -> Bundle {
    let mut bundle = Bundle::script("exec sleep 600");
    std::fs::create_dir(bundle.path("log")).expect("the folder is ours");
    let folder = bundle.path("log");
    bundle.bind(&folder, "/log", &["rw"]);
    let outside = folder.to_str().expect("UTF-8").to_owned();
    bundle.spec["annotations"] = json!({"org.example.key": "value"});
    bundle.spec["hooks"] = json!({
        "prestart": [recorder("prestart", &outside)],
        "createRuntime": [recorder("createRuntime", &outside), recorder("createRuntime2", &outside)],
        "createContainer": [recorder("createContainer", &outside)],
        "startContainer": [recorder("startContainer", "/log")],
        "poststart": [recorder("poststart", &outside)],
        "poststop": [recorder("poststop", &outside), recorder("poststop2", &outside)],
    });
    bundle
}

/// Name and state of each hook that has run.
fn record(bundle: &Bundle) -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(bundle.path("log/record")).unwrap_or_default();
    let line = |line: &str| {
        let (name, state) = line.split_once(' ').expect("a name before the state");
        (name.to_owned(), serde_json::from_str(state).unwrap_or_else(|error| panic!("{error}: {line}")))
    };
    text.lines().filter(|line| !line.is_empty()).map(line).collect()
}

fn names(record: &[(String, Value)]) -> Vec<&str> {
    record.iter().map(|(name, _)| name.as_str()).collect()
}

fn in_order() {
    let bundle = recording();
    let early = ["prestart", "createRuntime", "createRuntime2", "createContainer"];
    bundle.create().fine();
    // Debian's runc takes the end of `create` for the start.
    let poststart_is_early = strict().is_err();
    assert_eq!(names(&record(&bundle)[..4]), early);
    assert_eq!(record(&bundle).len(), if poststart_is_early { 5 } else { 4 });
    bundle.verb("start").fine();
    crate::until::until("the hooks of start have run", || (record(&bundle).len() == 6).then_some(()));
    let late = if poststart_is_early { ["poststart", "startContainer"] } else { ["startContainer", "poststart"] };
    assert_eq!(names(&record(&bundle)[4..]), late);
    bundle.call(&["kill", &bundle.id, "KILL"]).fine();
    bundle.wait_for("stopped");
    assert_eq!(record(&bundle).len(), 6);
    let pid = record(&bundle)[1].1["pid"].as_i64();
    bundle.verb("delete").fine();
    let record = record(&bundle);
    assert_eq!(names(&record[6..]), ["poststop", "poststop2"]);
    for (name, state) in &record {
        assert_eq!(state["id"], json!(bundle.id), "{name}");
        assert!(state["ociVersion"].as_str().is_some_and(|version| version.starts_with("1.")), "{name}: {state}");
        assert_eq!(state["bundle"], json!(bundle.path("").to_str().expect("UTF-8").trim_end_matches('/')), "{name}");
        assert_eq!(state["annotations"]["org.example.key"], "value", "{name}");
        let statuses: &[&str] = match name.as_str() {
            "prestart" | "createRuntime" | "createRuntime2" | "createContainer" => &["creating", "created"],
            "startContainer" => &["created"],
            "poststart" if poststart_is_early => &["created", "running"],
            "poststart" => &["running"],
            _ => &["stopped"],
        };
        assert!(statuses.iter().any(|status| state["status"] == *status), "{name}: {state}");
        match name.as_str() {
            "poststop" | "poststop2" => {}
            // Seen from inside it is the first process.
            "createContainer" | "startContainer" => assert!(state["pid"].as_i64() > Some(0), "{name}: {state}"),
            _ => assert_eq!(state["pid"].as_i64(), pid, "{name}"),
        }
    }
}

fn environment() {
    let mut bundle = Bundle::script("true");
    let out = bundle.path("environment");
    let script = format!("{{ /usr/bin/env; echo \"$0 $*\"; }} >{}", out.display());
    bundle.spec["hooks"] = json!({
        "createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script, "name", "a b"], "env": ["ONE=1", "TWO=2 3"]}],
    });
    bundle.run().fine();
    let said = std::fs::read_to_string(out).expect("the hook has run");
    // What the shell itself adds.
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with("PWD=") && !line.starts_with("_=")).collect();
    assert_eq!(lines, ["ONE=1", "TWO=2 3", "name a b"], "{said}");
}

fn namespaces() {
    let mut bundle = Bundle::script("readlink /proc/self/ns/net; readlink /proc/self/ns/mnt; cat /etc/name");
    let out = bundle.path("seen");
    let look = format!("readlink /proc/self/ns/net /proc/self/ns/mnt >>{}", out.display());
    let hook = |script: &str| json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"]}]);
    bundle.spec["root"]["readonly"] = json!(false);
    bundle.spec["hooks"] = json!({
        "createRuntime": hook(&look),
        "createContainer": hook(&look),
        // The path is the container's: the host has no such file.
        "startContainer": [{"path": "/bin/hook", "args": ["hook", "made by a hook"]}],
    });
    std::fs::write(bundle.rootfs("bin/hook"), "#!/bin/sh\necho \"$1\" >/etc/name\n").expect("the folder is ours");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bundle.rootfs("bin/hook"), mode).expect("the file is ours");
    let inside = bundle.run().fine();
    let inside: Vec<&str> = inside.lines().collect();
    let seen = std::fs::read_to_string(out).expect("the hooks have run");
    let seen: Vec<&str> = seen.lines().collect();
    let own = |kind: &str| {
        std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("procfs").to_string_lossy().into_owned()
    };
    assert_eq!(seen[..2], [own("net"), own("mnt")]);
    assert_eq!(seen[2..], inside[..2]);
    assert_eq!(inside[2], "made by a hook");
}

fn failing(kind: &str) -> Bundle {
    let mut bundle = recording();
    bundle.spec["hooks"][kind] = json!([{"path": "/bin/false"}]);
    bundle
}

fn failing_early() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let bundle = failing(kind);
        bundle.create().refused();
        bundle.verb("state").refused();
        assert_eq!(groups_of(&bundle.id), Vec::<String>::new(), "{kind}");
        // What was not created is not stopped, but the hooks that undo it may run.
        assert!(!names(&record(&bundle)).contains(&"startContainer"), "{kind}");
    }
    let mut bundle = Bundle::new();
    bundle.spec["hooks"] = json!({"createRuntime": [{"path": "/no/such/hook"}]});
    bundle.create().refused();
    bundle.verb("state").refused();
}

fn failing_in_container() {
    let bundle = failing("startContainer");
    bundle.create().fine();
    let said = bundle.verb("start");
    // Debian's runc has let go of the child by then and finds it dead afterwards.
    if strict().is_ok() {
        said.refused();
    }
    bundle.wait_for("stopped");
    bundle.verb("delete").fine();
    let record = record(&bundle);
    assert_eq!(names(&record).last(), Some(&"poststop2"));
}

fn failing_late() {
    let mut bundle = recording();
    bundle.spec["hooks"]["poststop"] =
        json!([{"path": "/bin/false"}, recorder("poststop", bundle.path("log").to_str().expect("UTF-8"))]);
    bundle.start();
    bundle.call(&["delete", "--force", &bundle.id]).fine();
    bundle.verb("state").refused();
    assert_eq!(groups_of(&bundle.id), Vec::<String>::new());
}

fn timeout() {
    for kind in ["createRuntime", "createContainer"] {
        let mut bundle = Bundle::script("true");
        bundle.spec["hooks"] = json!({kind: [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]});
        let start = std::time::Instant::now();
        bundle.create().refused();
        assert!(start.elapsed().as_secs() < 300, "{kind}: {:?}", start.elapsed());
        bundle.verb("state").refused();
    }
}

fn talkative() {
    let mut bundle = Bundle::script("echo fine");
    let script = "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; exec cat >/dev/null";
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"], "timeout": 30}]);
    bundle.spec["hooks"] = json!({"createRuntime": hook, "createContainer": hook, "poststop": hook});
    assert!(bundle.run().fine().ends_with("fine\n"));
}
