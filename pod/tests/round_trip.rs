//! Objects of every kind, made at random, through all encodings and back.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use windlass_pod::{Object, Shape, Style, decode_json, decode_protobuf, decode_yaml, encode_protobuf};

/// Every kind of the library.
const KINDS: [(&str, &str); 37] = [
    ("v1", "Binding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("v1", "ConfigMap"),
    ("apps/v1", "ControllerRevision"),
    ("batch/v1", "CronJob"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "Deployment"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
    ("v1", "Endpoints"),
    ("v1", "Event"),
    ("policy/v1", "Eviction"),
    ("networking.k8s.io/v1", "Ingress"),
    ("batch/v1", "Job"),
    ("coordination.k8s.io/v1", "Lease"),
    ("v1", "LimitRange"),
    ("v1", "Namespace"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("v1", "Node"),
    ("v1", "PersistentVolume"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Pod"),
    ("policy/v1", "PodDisruptionBudget"),
    ("v1", "PodTemplate"),
    ("scheduling.k8s.io/v1", "PriorityClass"),
    ("apps/v1", "ReplicaSet"),
    ("v1", "ReplicationController"),
    ("v1", "ResourceQuota"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("node.k8s.io/v1", "RuntimeClass"),
    ("autoscaling/v1", "Scale"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("apps/v1", "StatefulSet"),
    ("storage.k8s.io/v1", "StorageClass"),
];

/// Values of all types; a field takes some of them, which is how its type is found out.
fn samples(choice: u64) -> Vec<Value> {
    let number = choice % 1000;
    let text = ["a", "", "x: y", "ü\n\u{1f980}", "true", "1e3", " lead", "- b", "~", "0x1F", "null"];
    let text = text[usize::try_from(number).unwrap() % text.len()];
    vec![
        json!(text),
        json!(number),
        json!(number.is_multiple_of(2)),
        json!(["100m", "1.5Gi", "2", "12e6", "1Ki"][usize::try_from(number).unwrap() % 5]),
        json!("2025-06-15T15:06:40Z"),
        json!("2025-06-15T15:06:40.123456Z"),
        json!("eHl6"),
        json!([text, "b"]),
        json!([number, 7]),
        json!({"k": text, "l/m": "v"}),
        json!({"k": "eHl6"}),
        json!({"k": "1500m"}),
        json!({"k": "2025-06-15T15:06:40Z"}),
        json!({"k": ["a", text]}),
        json!({"any": [1, {"x": null}]}),
    ]
}

/// A value inside an object, at the end of a path of maps and one-element lists.
fn wrapped(path: &[(&str, bool)], kind: (&str, &str), field: &str, value: &Value) -> Value {
    let mut inner = json!({ field: value });
    for (name, in_list) in path.iter().rev() {
        inner = json!({ *name: if *in_list { json!([inner]) } else { inner } });
    }
    let fields = inner.as_object_mut().unwrap();
    fields.entry("apiVersion").or_insert(json!(kind.0));
    fields.entry("kind").or_insert(json!(kind.1));
    inner
}

/// How a field is made: of a record, of a list of records, or from these of the samples.
#[derive(Clone)]
enum Made {
    Record,
    List,
    Map,
    Samples(Vec<usize>),
}

type Known = BTreeMap<(&'static str, &'static str), Made>;

fn takes(document: &Value) -> bool {
    decode_json(document.to_string().as_bytes()).is_ok()
}

/// Finds out how each field of a type, and of what it holds, is made.
fn learn(
    shape: &'static Shape,
    path: &mut Vec<(&'static str, bool)>,
    kind: (&'static str, &'static str),
    known: &mut Known,
) {
    for info in shape.fields {
        if known.contains_key(&(shape.name, info.name)) || info.numbers == [0] {
            continue;
        }
        let made = if (info.element)().is_some() {
            let record = takes(&wrapped(path, kind, info.name, &json!({})));
            if record { Made::Record } else { Made::List }
        } else if takes(&wrapped(path, kind, info.name, &json!({"k": {}})))
            && !takes(&wrapped(path, kind, info.name, &json!(1)))
        {
            Made::Map
        } else {
            let good = |index: &usize| takes(&wrapped(path, kind, info.name, &samples(0)[*index]));
            let numbers: Vec<usize> = (0..samples(0).len()).filter(good).collect();
            assert!(!numbers.is_empty(), "{}.{} takes nothing", shape.name, info.name);
            Made::Samples(numbers)
        };
        let is_list = matches!(made, Made::List);
        known.insert((shape.name, info.name), made);
        if let Some(inner) = (info.element)() {
            path.push((info.name, is_list));
            learn(inner, path, kind, known);
            path.pop();
        }
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Some fields of a type, each once; far down they become few.
fn record(shape: &'static Shape, known: &Known, depth: u64, random: &mut Random) -> Value {
    let mut fields = Map::new();
    for info in shape.fields.iter().filter(|info| info.numbers != [0]) {
        if random.next(2 + depth * 2) > 1 {
            continue;
        }
        let value = match (&known[&(shape.name, info.name)], (info.element)()) {
            (Made::Record, Some(inner)) => record(inner, known, depth + 1, random),
            (Made::List, Some(inner)) => {
                json!((0..=random.next(2)).map(|_| record(inner, known, depth + 1, random)).collect::<Vec<_>>())
            }
            (Made::Map, _) => json!({"k": {}}),
            (Made::Samples(numbers), _) => {
                let index = numbers[usize::try_from(random.next(numbers.len() as u64)).unwrap()];
                let mut value = samples(random.next(1 << 20))[index].clone();
                if !takes_alone(&value, index) {
                    value = samples(0)[index].clone();
                }
                value
            }
            _ => continue,
        };
        fields.insert(info.name.to_owned(), value);
    }
    Value::Object(fields)
}

/// Texts that are also amounts or times are taken only by fields for texts.
fn takes_alone(value: &Value, index: usize) -> bool {
    index != 0 || value.as_str().is_some_and(|text| !text.is_empty())
}

fn through(document: &Value) {
    let object = decode_json(document.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}\n{document}"));
    let canonical = object.encode_json_in(Style::AsServed);
    let bytes = encode_protobuf(&object);
    let from_protobuf = decode_protobuf(&bytes).unwrap_or_else(|error| panic!("{error}\n{document}"));
    assert_eq!(encode_protobuf(&from_protobuf), encode_protobuf(&without_zeros(&from_protobuf)), "{document}");
    let yaml = from_protobuf.encode_yaml();
    let from_yaml = decode_yaml(yaml.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{yaml}")).remove(0);
    assert_eq!(from_yaml.encode_json_in(Style::AsServed), canonical, "{document}");
}

/// What protobuf brought once more: nothing is left to lose.
fn without_zeros(object: &Object) -> Object {
    decode_protobuf(&encode_protobuf(object)).unwrap()
}

fn known(kind: (&'static str, &'static str)) -> (Known, &'static Shape) {
    let shape = Object::empty(kind.0, kind.1).unwrap().record().shape();
    let mut known = Known::new();
    learn(shape, &mut Vec::new(), kind, &mut known);
    (known, shape)
}

#[test]
fn every_field_of_every_kind_goes_through() {
    for kind in KINDS {
        let (known, shape) = known(kind);
        for seed in 0..8 {
            let mut document = record(shape, &known, 0, &mut Random(seed));
            document["apiVersion"] = json!(kind.0);
            document["kind"] = json!(kind.1);
            through(&document);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// JSON -> wire -> protobuf -> wire -> YAML -> wire -> JSON.
    #[test]
    fn encodings_lose_nothing(seed in any::<u64>(), index in 0..KINDS.len()) {
        let kind = KINDS[index];
        let (known, shape) = known(kind);
        let mut document = record(shape, &known, 0, &mut Random(seed));
        document["apiVersion"] = json!(kind.0);
        document["kind"] = json!(kind.1);
        through(&document);
    }

    /// JSON -> wire -> YAML -> wire -> JSON, with fields that no kind has.
    #[test]
    fn texts_keep_unknown_fields(seed in any::<u64>(), index in 0..KINDS.len(), name in "[a-z]{1,6}X", number in any::<i32>()) {
        let kind = KINDS[index];
        let (known, shape) = known(kind);
        let mut document = record(shape, &known, 0, &mut Random(seed));
        document["apiVersion"] = json!(kind.0);
        document["kind"] = json!(kind.1);
        document[name.as_str()] = json!({"a": [number, {"b": null}], "c": "d\n"});
        let object = decode_json(document.to_string().as_bytes()).unwrap();
        let canonical = object.encode_json();
        prop_assert!(canonical.contains(&name));
        let yaml = object.encode_yaml();
        let from_yaml = decode_yaml(yaml.as_bytes()).unwrap().remove(0);
        prop_assert_eq!(from_yaml.encode_json(), canonical);
    }

    /// Whatever bytes come, decoding ends without a panic.
    #[test]
    fn hostile_protobuf_is_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut envelope = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12".to_vec();
        envelope.push(u8::try_from(bytes.len() % 128).unwrap());
        envelope.extend(&bytes[..bytes.len() % 128]);
        let _ = decode_protobuf(&envelope);
        let _ = decode_protobuf(&bytes);
    }
}
