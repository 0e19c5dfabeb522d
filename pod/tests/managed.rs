//! Server-side apply, as Kubernetes' documentation of it says it works.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

use proptest::prelude::*;
use windlass_pod::managed::{self, By, ManagedError};
use windlass_pod::{Object, Time, decode_json};

const NOW: i64 = 1_700_000_000;

fn by(manager: &str) -> By {
    By::new(manager, Time::from_unix_seconds(NOW))
}

fn at(manager: &str, seconds: i64) -> By {
    By::new(manager, Time::from_unix_seconds(NOW + seconds))
}

fn deployment(spec: &str) -> String {
    format!(
        r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"web","namespace":"a"}},"spec":{spec}}}"#
    )
}

fn config_map(data: &str) -> String {
    format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"web"}},"data":{data}}}"#)
}

fn apply(live: Option<&Object>, config: &str, by: &By) -> Object {
    managed::apply(live, config.as_bytes(), by).unwrap()
}

fn refused(live: Option<&Object>, config: &str, by: &By) -> String {
    managed::apply(live, config.as_bytes(), by).unwrap_err().to_string()
}

/// Manager, operation, time and fields of each entry.
fn entries(object: &Object) -> Vec<String> {
    let entries = object.metadata().managed_fields.iter().map(|entry| {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let seconds = entry.time.unwrap().unix_seconds() - NOW;
        let fields = entry.fields_v1.as_ref().unwrap().json();
        format!("{} {} {seconds} {fields}", text(&entry.manager), text(&entry.operation))
    });
    entries.collect()
}

fn field(object: &Object, pointer: &str) -> Option<serde_json::Value> {
    let value: serde_json::Value = serde_json::from_str(&object.encode_json()).unwrap();
    value.pointer(pointer).cloned()
}

#[test]
fn who_creates_manages_what_it_names() {
    let spec = r#"{"replicas":2,"selector":{"matchLabels":{"app":"web"}},
        "template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":
        [{"name":"web","image":"web:1","ports":[{"containerPort":80}],"args":["a","b"]}]}}}"#;
    let object = apply(None, &deployment(spec), &by("ann"));
    let container = concat!(
        r#""k:{\"name\":\"web\"}":{".":{},"f:args":{},"f:image":{},"f:name":{},"#,
        r#""f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}"#
    );
    let template =
        format!(r#"{{"f:metadata":{{"f:labels":{{"f:app":{{}}}}}},"f:spec":{{"f:containers":{{{container}}}}}}}"#);
    let expected =
        format!(r#"ann Apply 0 {{"f:spec":{{"f:replicas":{{}},"f:selector":{{}},"f:template":{template}}}}}"#);
    assert_eq!(entries(&object), [expected]);
}

#[test]
fn fields_of_others_are_conflicts_until_forced() {
    let live = apply(None, &config_map(r#"{"a":"1","b":"1"}"#), &by("ann"));
    assert_eq!(
        refused(Some(&live), &config_map(r#"{"a":"2","b":"1"}"#), &by("bob")),
        r#"Apply failed with 1 conflict: conflict with "ann": .data.a"#
    );
    // The same value is shared.
    let shared = apply(Some(&live), &config_map(r#"{"b":"1"}"#), &at("bob", 5));
    assert_eq!(
        entries(&shared),
        [r#"ann Apply 0 {"f:data":{"f:a":{},"f:b":{}}}"#, r#"bob Apply 5 {"f:data":{"f:b":{}}}"#]
    );
    assert_eq!(
        refused(Some(&shared), &config_map(r#"{"a":"2","b":"2"}"#), &by("eve")),
        "Apply failed with 3 conflicts: conflicts with \"ann\":\n- .data.a\n- .data.b\nconflicts with \"bob\":\n- .data.b"
    );
    let forced = apply(Some(&shared), &config_map(r#"{"b":"2"}"#), &at("eve", 9).forced());
    assert_eq!(entries(&forced), [r#"ann Apply 9 {"f:data":{"f:a":{}}}"#, r#"eve Apply 9 {"f:data":{"f:b":{}}}"#]);
    assert_eq!(field(&forced, "/data"), Some(serde_json::json!({"a": "1", "b": "2"})));
}

#[test]
fn what_is_no_longer_named_goes_unless_another_has_it() {
    let live = apply(None, &config_map(r#"{"a":"1","b":"1"}"#), &by("ann"));
    let live = apply(Some(&live), &config_map(r#"{"b":"1","c":"1"}"#), &by("bob"));
    let live = apply(Some(&live), &config_map("{}"), &by("ann"));
    assert_eq!(field(&live, "/data"), Some(serde_json::json!({"b": "1", "c": "1"})));
    let live = apply(Some(&live), &config_map("{}"), &by("bob"));
    assert_eq!(field(&live, "/data").filter(|data| *data != serde_json::json!({})), None);
}

#[test]
fn elements_go_with_their_last_manager() {
    let containers = |names: &[&str]| {
        let list: Vec<String> = names.iter().map(|name| format!(r#"{{"name":"{name}","image":"i"}}"#)).collect();
        format!(
            r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p"}},"spec":{{"containers":[{}]}}}}"#,
            list.join(",")
        )
    };
    let names = |object: &Object| match object {
        Object::Pod(pod) => pod.spec.containers.iter().map(|one| one.name.clone().unwrap()).collect::<Vec<_>>(),
        _ => unreachable!("pods were applied"),
    };
    let live = apply(None, &containers(&["a", "b"]), &by("ann"));
    let live = apply(Some(&live), &containers(&["c", "b"]), &by("bob"));
    assert_eq!(names(&live), ["a", "c", "b"]);
    let live = apply(Some(&live), &containers(&["a"]), &by("ann"));
    assert_eq!(names(&live), ["a", "c", "b"]);
    let live = apply(Some(&live), &containers(&[]), &by("bob"));
    assert_eq!(names(&live), ["a"]);
}

#[test]
fn writers_manage_what_they_changed() {
    let live = apply(None, &config_map(r#"{"a":"1","b":"1"}"#), &by("ann"));
    let mut written = live.clone();
    if let Object::ConfigMap(map) = &mut written {
        map.data.insert("a".to_owned(), "2".to_owned());
        map.data.insert("c".to_owned(), "2".to_owned());
    }
    let live = managed::update(Some(&live), written, &at("bob", 3)).unwrap();
    assert_eq!(
        entries(&live),
        [r#"ann Apply 3 {"f:data":{"f:b":{}}}"#, r#"bob Update 3 {"f:data":{"f:a":{},"f:c":{}}}"#]
    );
    assert_eq!(
        refused(Some(&live), &config_map(r#"{"a":"3"}"#), &by("ann")),
        r#"Apply failed with 1 conflict: conflict with "bob" using v1: .data.a"#
    );
    // The writer takes away what an applier had.
    let mut written = live.clone();
    if let Object::ConfigMap(map) = &mut written {
        map.data.remove("b");
    }
    let live = managed::update(Some(&live), written, &at("bob", 4)).unwrap();
    assert_eq!(entries(&live), [r#"bob Update 3 {"f:data":{"f:a":{},"f:c":{}}}"#]);
}

#[test]
fn what_was_there_before_the_first_apply_has_a_manager() {
    let live = decode_json(config_map(r#"{"a":"1"}"#).as_bytes()).unwrap();
    let untouched = managed::update(Some(&live), live.clone(), &by("bob")).unwrap();
    assert!(untouched.metadata().managed_fields.is_empty());
    assert_eq!(
        refused(Some(&live), &config_map(r#"{"a":"2"}"#), &by("ann")),
        r#"Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a"#
    );
    let created = managed::update(None, live, &by("bob")).unwrap();
    assert_eq!(entries(&created), [r#"bob Update 0 {"f:data":{".":{},"f:a":{}}}"#]);
}

#[test]
fn what_changes_nothing_leaves_the_times() {
    let live = apply(None, &config_map(r#"{"a":"1"}"#), &by("ann"));
    assert_eq!(apply(Some(&live), &config_map(r#"{"a":"1"}"#), &at("ann", 60)), live);
}

#[test]
fn many_writers_become_one_of_old() {
    let mut live = apply(None, &config_map("{}"), &by("ann"));
    for number in 0..13 {
        let mut written = live.clone();
        if let Object::ConfigMap(map) = &mut written {
            map.data.insert(format!("k{number:02}"), "1".to_owned());
        }
        live = managed::update(Some(&live), written, &at(&format!("w{number:02}"), number)).unwrap();
    }
    let managers: Vec<String> =
        live.metadata().managed_fields.iter().map(|entry| entry.manager.clone().unwrap()).collect();
    assert_eq!(managers.len(), 10, "{managers:?}");
    assert_eq!(managers[0], "ancient-changes");
    assert!(entries(&live)[0].contains(r#""f:k00":{},"f:k01":{},"f:k02":{},"f:k03":{}"#), "{:?}", entries(&live));
}

#[test]
fn configurations_that_cannot_be_applied_are_refused() {
    let pod = |inner: &str| format!(r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p"}},{inner}}}"#);
    for (config, said) in [
        (pod(r#""spec":{"nope":1}"#), ".spec.nope: field not declared in schema"),
        (
            pod(r#""spec":{"containers":[{"image":"a"}]}"#),
            ".spec.containers[0]: associative list with keys has an element that omits key field \"name\" (and doesn't \
             have default value)",
        ),
        (
            pod(r#""spec":{"containers":[{"name":"a"},{"name":"a"}]}"#),
            ".spec.containers: duplicate entries for key [name=\"a\"]",
        ),
        (
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","managedFields":[]}}"#.to_owned(),
            "metadata.managedFields must be nil",
        ),
        (r#"{"apiVersion":"v9","kind":"Pod"}"#.to_owned(), r#"no kind "Pod" in version "v9""#),
    ] {
        let error = managed::apply(None, config.as_bytes(), &by("ann")).unwrap_err();
        assert!(!matches!(error, ManagedError::Conflicts(_)));
        assert_eq!(error.to_string(), said);
    }
    let live = apply(None, &config_map("{}"), &by("ann"));
    assert_eq!(
        refused(Some(&live), &pod(r#""spec":{}"#), &by("ann")),
        "the object is v1, Kind=ConfigMap, not v1, Kind=Pod"
    );
}

#[test]
fn lists_of_hostile_length_cost_little() {
    let list: Vec<String> = (0..15_000).map(|number| format!(r#"{{"name":"v{number}"}}"#)).collect();
    let pod = format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p"}},"spec":{{"containers":[{{"name":"a","env":[{}]}}]}}}}"#,
        list.join(",")
    );
    let live = apply(None, &pod, &by("ann"));
    let again = apply(Some(&live), &pod, &by("bob"));
    assert_eq!(again.metadata().managed_fields.len(), 2);
}

/// Some values for some of a few names.
fn data() -> impl Strategy<Value = String> {
    proptest::collection::btree_map("[a-d]", "[12]", 0..4).prop_map(|map| {
        let fields: Vec<String> = map.iter().map(|(name, value)| format!(r#""{name}":"{value}""#)).collect();
        format!("{{{}}}", fields.join(","))
    })
}

proptest! {
    #[test]
    fn the_last_configurations_are_what_there_is(steps in proptest::collection::vec((0..3usize, data()), 1..8)) {
        let mut live: Option<Object> = None;
        let mut wanted: [serde_json::Value; 3] = Default::default();
        for (manager, data) in steps {
            let by = at(["x", "y", "z"][manager], 0).forced();
            let applied = apply(live.as_ref(), &config_map(&data), &by);
            let again = apply(Some(&applied), &config_map(&data), &by);
            prop_assert_eq!(&again, &applied);
            wanted[manager] = serde_json::from_str(&data).unwrap();
            let now = field(&applied, "/data").unwrap_or(serde_json::json!({}));
            // Who applied last has its way, and nothing is there that nobody asked for.
            for (name, value) in wanted[manager].as_object().unwrap() {
                prop_assert_eq!(now.get(name), Some(value));
            }
            for name in now.as_object().unwrap().keys() {
                prop_assert!(wanted.iter().any(|wanted| wanted.get(name).is_some()), "{} of nobody", name);
            }
            live = Some(applied);
        }
    }
}

/// The name is nobody's: it stays when the metadata that somebody managed goes.
#[test]
fn the_name_stays_when_labels_go() {
    let labeled = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"web","labels":{"a":"b"}}}"#;
    let live = apply(None, labeled, &by("ann"));
    let live = apply(Some(&live), &config_map("{}"), &by("ann"));
    assert_eq!(field(&live, "/metadata/name"), Some("web".into()));
    assert_eq!(field(&live, "/metadata/labels"), None);
}
