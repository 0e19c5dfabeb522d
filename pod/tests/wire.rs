//! Text to objects and back.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

use std::fmt::Write as _;

use windlass_pod::kinds::{ConfigMap, Pod};
use windlass_pod::{
    Decoder, Error, Kind, Limits, Object, Strictness, decode_json, decode_json_as, decode_yaml, encode_json,
    encode_yaml,
};

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: &meta
  name: web
  labels: &labels {app: web, tier: "1"}
  annotations: *labels
spec:
  futureField: {list: [1, 2, {q: yes}], empty: []}
  containers:
  - name: c
    image: nginx
    command: ["sh", "-c", "echo: hi #x"]
    resources: {limits: {cpu: 500m, memory: 0.5Gi}}
    ports: [{containerPort: 80, name: http}]
    livenessProbe: {httpGet: {path: /, port: http}}
  volumes:
  - name: v
    configMap: {name: cm, defaultMode: 0644}
"#;

fn only(text: &str) -> Object {
    decode_yaml(text.as_bytes()).unwrap().pop().unwrap()
}

#[test]
fn a_pod_survives_json_and_yaml() {
    let object = only(POD);
    let pod = Pod::try_from(object.clone()).unwrap();
    assert_eq!(pod.name(), "web");
    assert_eq!(pod.metadata.annotations, pod.metadata.labels);
    assert_eq!(pod.spec.volumes[0].config_map.as_ref().unwrap().default_mode, Some(0o644));
    assert_eq!(pod.spec.containers[0].resources.limits["cpu"].milli_value(), Some(500));

    let json = object.encode_json();
    assert!(json.contains(r#""futureField":{"list":[1,2,{"q":true}],"empty":[]},"volumes""#));
    assert_eq!(decode_json(json.as_bytes()).unwrap(), object);
    assert_eq!(decode_json(json.as_bytes()).unwrap().encode_json(), json);
    assert_eq!(only(&object.encode_yaml()), object);
    assert_eq!(only(&encode_yaml(&pod)).encode_json(), json);
    assert_eq!(decode_json_as::<Pod>(json.as_bytes()).unwrap(), pod);
}

#[test]
fn an_unknown_field_is_written_back_where_it_was() {
    let json = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"new":{"b":[{"c":1e5}]}}"#;
    let object = decode_json(json.as_bytes()).unwrap();
    assert_eq!(object.encode_json(), json);
    assert_eq!(object.record().unknown().get("new").unwrap().json(), r#"{"b":[{"c":1e5}]}"#);
}

#[test]
fn the_kind_may_stand_last_or_be_absent() {
    let object =
        decode_json(br#"{"metadata":{"name":"a"},"data":{"k":"v"},"kind":"ConfigMap","apiVersion":"v1"}"#).unwrap();
    assert_eq!((object.api_version(), object.kind()), ("v1", "ConfigMap"));
    let map: ConfigMap = decode_json_as(br#"{"metadata":{"name":"a"}}"#).unwrap();
    assert_eq!(encode_json(&map), r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#);
    let error = decode_json_as::<ConfigMap>(br#"{"kind":"Pod"}"#).unwrap_err();
    assert_eq!(error, Error::KindMismatch { expected: "ConfigMap", found: "Pod".into() });
}

#[test]
fn lists_come_one_by_one() {
    let text = "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n- {apiVersion: v1, kind: Service}\n\
                ---\n---\nkind: ConfigMapList\napiVersion: v1\nitems: [{metadata: {name: b}}]\n";
    let objects = decode_yaml(text.as_bytes()).unwrap();
    let kinds: Vec<_> = objects.iter().map(Object::kind).collect();
    assert_eq!(kinds, ["Pod", "Service", "ConfigMap"]);
    assert_eq!(objects[2].metadata().name.as_deref(), Some("b"));

    let text = "kind: List\napiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n  spec: {x: 1}\n";
    let decoded = Decoder::default().yaml(text.as_bytes()).unwrap().remove(0);
    assert_eq!(decoded.problems[0].to_string(), "unknown field \"spec.x\"");
    assert_eq!(decoded.places.find("spec.containers").unwrap().to_string(), "6:9");
    assert_eq!(decoded.places.find("metadata.name").unwrap().to_string(), "4:3");
}

#[test]
fn errors_name_the_field_and_the_place() {
    for (text, message) in [
        (
            "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: 5\n",
            "5:11: spec.containers[0].name: expected a string, found a number",
        ),
        ("apiVersion: v1\nkind: Pod\nspec: []\n", "3:7: spec: expected a map, found a list"),
        (
            "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - resources:\n      limits:\n        cpu: 1x\n",
            "7:14: spec.containers[0].resources.limits[cpu]: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            "apiVersion: v1\nkind: Pod\nspec: {hostNetwork: 1, priority: 3000000000}\n",
            "3:21: spec.hostNetwork: expected a boolean, found a number",
        ),
        (
            "apiVersion: v1\nkind: Pod\nspec: {priority: 3000000000}\n",
            "3:18: spec.priority: 3000000000 is not an integer of 32 bits",
        ),
        ("kind: Pod\n", "object \"apiVersion\" is missing"),
        ("apiVersion: v9\nkind: Pod\n", "no kind \"Pod\" in version \"v9\""),
    ] {
        assert_eq!(decode_yaml(text.as_bytes()).unwrap_err().to_string(), message);
    }
    let error = decode_json(b"{\"apiVersion\":\"v1\",\n\"kind\":\"Pod\",,}").unwrap_err();
    assert_eq!(error.to_string(), "2:14: invalid character ',' looking for beginning of object key string");
}

#[test]
fn strict_decoding_lists_every_problem() {
    let text = "apiVersion: v1\nkind: Pod\nSpec: 1\nmetadata: {name: a, name: b, labels: {x: a, x: b}}\nspec:\n  containers:\n  - imagee: {a: [b]}\n";
    let Err(Error::Strict { problems }) = Decoder::new(Strictness::Strict).yaml(text.as_bytes()) else { panic!() };
    let lines: Vec<_> = problems.iter().map(|problem| format!("{} {problem}", problem.position)).collect();
    assert_eq!(
        lines,
        [
            "3:7 unknown field \"Spec\"",
            "4:27 duplicate field \"metadata.name\"",
            "4:48 duplicate field \"metadata.labels.x\"",
            "7:13 unknown field \"spec.containers[0].imagee\"",
        ]
    );
    let decoded = Decoder::default().yaml(text.as_bytes()).unwrap().pop().unwrap();
    assert_eq!(decoded.object.metadata().name.as_deref(), Some("b"));
    assert_eq!(decoded.problems, problems);
    assert_eq!(decoded.places.find("spec.containers[0].image").unwrap().to_string(), "7:5");
}

#[test]
fn limits_hold() {
    let deep =
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let limit = |text: &[u8]| match Decoder::default().json(text).map(|_| ()).unwrap_err() {
        Error::LimitExceeded { limit, .. } => limit,
        other => panic!("{other}"),
    };
    assert_eq!(limit(deep.as_bytes()), "depth of the text");
    assert_eq!(limit(&vec![b' '; 4 << 20]), "size of the text in bytes");
    let wide = format!("{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"x\":[{}0]}}", "0,".repeat(300_000));
    assert_eq!(limit(wide.as_bytes()), "number of values");

    let mut bomb = String::from("apiVersion: v1\nkind: Pod\nx0: &x0 [a, a, a, a, a, a, a, a, a, a]\n");
    for level in 1..12 {
        let previous = level - 1;
        let aliases = vec![format!("*x{previous}"); 10].join(", ");
        writeln!(bomb, "x{level}: &x{level} [{aliases}]").unwrap();
    }
    let error = decode_yaml(bomb.as_bytes()).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { limit: "number of values", .. }), "{error}");
    let error = decode_yaml(b"apiVersion: v1\nkind: Pod\nx: &a [*a]\n").unwrap_err();
    assert_eq!(error.to_string(), "3:8: alias inside the value that it names");
    let small = Decoder::default().with_limits(Limits { size: 10, ..Limits::default() });
    assert!(matches!(small.yaml(b"apiVersion: v1\n"), Err(Error::LimitExceeded { maximum: 10, .. })));
}

#[test]
fn texts_of_every_look_survive_yaml() {
    for text in [
        "",
        " ",
        "a",
        "yes",
        "No",
        "~",
        "null",
        "12",
        "0x1f",
        "1e3",
        "1.5",
        "2025-06-15",
        "12:30:45",
        "- a",
        "a: b",
        "a #b",
        "#",
        "a\n",
        "a\nb",
        "a\n\n",
        "\n",
        "\na",
        " a\nb",
        "a \nb",
        "tab\there",
        "a\tb\nc",
        "\u{7f}\u{85}\u{2028}",
        "\"q\"",
        "'s'",
        "{a}",
        "[a]",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "a:",
        ":a",
        "-",
        "--- a",
        "...",
        "é",
        "日本\n語",
        "\r\n",
        "a\r\nb",
        "|",
        ">",
        "?",
        "? a",
        "<<",
        "=",
        "trailing ",
        "multi\n  indent\nlast\n\n\n",
    ] {
        let mut map = ConfigMap::default();
        map.data.insert("k".into(), text.into());
        map.data.insert(format!("key{text}"), "x".into());
        let yaml = encode_yaml(&map);
        let mut back = only(&yaml);
        back.metadata_mut().name = None;
        let Object::ConfigMap(back) = back else { panic!() };
        assert_eq!(back.data, map.data, "{text:?} as {yaml}");
        let json = encode_json(&map);
        assert_eq!(decode_json_as::<ConfigMap>(json.as_bytes()).unwrap().data, map.data, "{json}");
    }
}
