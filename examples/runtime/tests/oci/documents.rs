//! The JSON that engines read has what Debian's runc writes for the same container.

use std::path::Path;

use serde_json::Value;
use trial::{Test, need};

use crate::bundle::Bundle;

const RUNC: &str = "/usr/sbin/runc";

pub(crate) fn tests() -> Vec<Test> {
    let test = |name, body: fn()| Test::new(name, body).needs(need::root).needs(need::path(RUNC));
    vec![
        test("state_is_like_runcs", || compare(&["state", ID])),
        test("ps_is_like_runcs", || compare(&["ps", "--format", "json", ID])),
        test("events_are_like_runcs", || compare(&["events", "--stats", ID])),
        test("list_is_like_runcs", || compare(&["list", "--format", "json"])),
        test("features_are_like_runcs", || compare(&["features"])),
        test("tables_for_people_have_runcs_columns", tables),
        test("spec_writes_runcs_default", spec),
        test("exit_codes_are_runcs", exit_codes),
    ]
}

/// Stands for the container's name.
const ID: &str = "ID";

/// A running container of each runtime.
fn both() -> [Bundle; 2] {
    [&crate::bundle::runtime(), Path::new(RUNC)].map(|program| {
        let mut bundle = Bundle::of(program);
        bundle.set_script("sleep 600; true");
        bundle.spec["annotations"] = serde_json::json!({"org.example.key": "value"});
        bundle.spec["linux"]["resources"]["pids"] = serde_json::json!({"limit": 30});
        bundle.spec["linux"]["resources"]["memory"] = serde_json::json!({"limit": 64 << 20});
        bundle.start();
        bundle
    })
}

fn call(bundle: &Bundle, arguments: &[&str]) -> String {
    let arguments: Vec<&str> =
        arguments.iter().map(|argument| if *argument == ID { bundle.id.as_str() } else { argument }).collect();
    bundle.call(&arguments).fine()
}

fn compare(arguments: &[&str]) {
    let [ours, theirs] = both().map(|bundle| {
        let text = call(&bundle, arguments);
        let mut document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        if arguments == ["features"] {
            // The versions of runc and of a library that it is built with are no other runtime's to tell.
            let annotations = document["annotations"].as_object_mut().expect("an object");
            for own in ["runc.version", "runc.commit"].map(|name| format!("org.opencontainers.{name}")) {
                annotations.remove(&own);
            }
            annotations.remove("io.github.seccomp.libseccomp.version");
        }
        document
    });
    if let Err(missing) = has_shape(&ours, &theirs, "") {
        panic!("{arguments:?}: {missing}\nours {ours:#}\nruncs {theirs:#}");
    }
}

fn tables() {
    for arguments in [&["list"][..], &["ps", ID]] {
        let [ours, theirs] = both().map(|bundle| {
            let text = call(&bundle, arguments);
            let columns: Vec<String> =
                text.lines().next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
            (columns, text.lines().count())
        });
        assert_eq!(ours, theirs, "{arguments:?}");
    }
    let quiet = both().map(|bundle| call(&bundle, &["list", "--quiet"]) == format!("{}\n", bundle.id));
    assert_eq!(quiet, [true, true]);
}

fn spec() {
    for arguments in [&["spec", "--bundle"][..], &["spec", "--rootless", "--bundle"]] {
        let [ours, theirs] = [&crate::bundle::runtime(), Path::new(RUNC)].map(|program| {
            let bundle = Bundle::of(program);
            let folder = bundle.path("");
            bundle.call(&[arguments, &[folder.to_str().expect("UTF-8")]].concat()).fine();
            let text = std::fs::read_to_string(bundle.path("config.json")).expect("it was written");
            // It does not write over what is there.
            bundle.call(&[arguments, &[folder.to_str().expect("UTF-8")]].concat()).refused();
            serde_json::from_str::<Value>(&text).expect("a specification is JSON")
        });
        if let Err(missing) = has_shape(&ours, &theirs, "") {
            panic!("{arguments:?}: {missing}\nours {ours:#}\nruncs {theirs:#}");
        }
        for list in ["/linux/maskedPaths", "/linux/readonlyPaths", "/linux/namespaces", "/process/args"] {
            let entries = |spec: &Value| {
                let list = spec.pointer(list).and_then(Value::as_array).cloned().unwrap_or_default();
                list.iter().map(Value::to_string).collect::<std::collections::BTreeSet<_>>()
            };
            let missing: Vec<String> = entries(&theirs).difference(&entries(&ours)).cloned().collect();
            assert!(missing.is_empty(), "{list} lacks {missing:?}");
        }
    }
}

fn exit_codes() {
    let [ours, theirs] = both().map(|bundle| {
        let absent = bundle.exec(&["/no/such/program"]).code;
        let denied = bundle.exec(&["/etc/passwd"]).code;
        let failed = bundle.exec(&["sh", "-c", "exit 3"]).code;
        let killed = bundle.exec(&["sh", "-c", "kill -9 $$"]).code;
        [absent, denied, failed, killed, bundle.call(&["state", "absent"]).code]
    });
    assert_eq!(ours, theirs);
}

/// Whether every key of `asked` is in `given` with a value of the same kind.
fn has_shape(given: &Value, asked: &Value, place: &str) -> Result<(), String> {
    match (given, asked) {
        (Value::Object(given), Value::Object(asked)) => asked.iter().try_for_each(|(key, value)| {
            let place = format!("{place}.{key}");
            has_shape(given.get(key).ok_or_else(|| format!("{place} is missing"))?, value, &place)
        }),
        (Value::Array(given), Value::Array(asked)) => match (given.first(), asked.first()) {
            (Some(given), Some(asked)) => has_shape(given, asked, &format!("{place}[0]")),
            (None, Some(_)) => Err(format!("{place} is empty")),
            _ => Ok(()),
        },
        _ if std::mem::discriminant(given) == std::mem::discriminant(asked) => Ok(()),
        _ => Err(format!("{place} is {given}, not like {asked}")),
    }
}
