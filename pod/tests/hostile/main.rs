//! A megabyte of hostile text costs little memory; the time that it costs is a line of the benchmarks.
mod texts;

use std::hint::black_box;

use texts::{Encoding, SIZE, texts};
use windlass_pod::{Decoder, Error, Limits, Strictness, decode_json, decode_protobuf, decode_yaml};

/// What a megabyte may hold at any one time while it is read.
const BYTES_MAX: u64 = 20_000_000;

/// Reads a text, whether it is taken or not.
fn read(encoding: Encoding, text: &[u8]) {
    match encoding {
        Encoding::Json => drop(black_box(decode_json(text))),
        Encoding::Yaml => drop(black_box(decode_yaml(text))),
        Encoding::Protobuf => drop(black_box(decode_protobuf(text))),
    }
}

fn costs_little(encoding: Encoding) {
    let mut dear = Vec::new();
    for (name, text) in texts(encoding) {
        let cost = allocation_counter::measure(|| {
            read(encoding, &text);
        });
        if cost.bytes_max > BYTES_MAX {
            dear.push((name, cost.bytes_max));
        }
    }
    assert_eq!(dear, []);
}

/// What the limits are for is taken: lists of pods, and an object of a megabyte of text.
#[test]
fn what_is_meant_well_is_taken() {
    let pod = include_str!("../data/pod.json");
    let list = format!(r#"{{"apiVersion":"v1","kind":"List","items":[{}{pod}]}}"#, format!("{pod},").repeat(180));
    assert!(list.len() < SIZE * 3);
    assert_eq!(decode_yaml(list.as_bytes()).map(|objects| objects.len()), Ok(181));
    let map = format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","data":{{"a":"{}"}}}}"#, "x".repeat(SIZE));
    assert!(decode_json(map.as_bytes()).is_ok());
    assert_eq!(decode_yaml(map.as_bytes()).map(|objects| objects.len()), Ok(1));
}

/// Each limit is one that a caller can set.
#[test]
fn limits_are_set() {
    let text = br#"{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"abcdefghij"},{},{}]}}"#;
    let limits = Limits::default();
    let refused = |limits: Limits| match Decoder::new(Strictness::Lenient).with_limits(limits).json(text) {
        Err(Error::LimitExceeded { limit, .. }) => limit,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(Limits { size: 20, ..limits }), "size of the text in bytes");
    assert_eq!(refused(Limits { depth: 2, ..limits }), "depth of the text");
    assert_eq!(refused(Limits { values: 5, ..limits }), "number of values");
    assert_eq!(refused(Limits { elements: 2, ..limits }), "number of elements");
    assert_eq!(refused(Limits { scalar: 9, ..limits }), "length of a scalar in bytes");
    let anchors = Decoder::new(Strictness::Lenient).with_limits(Limits { anchors: 1, ..limits });
    let outcome = anchors.yaml(b"apiVersion: v1\nkind: Pod\nx: &a 1\ny: &b 2\n");
    assert_eq!(outcome.map(|_| ()), Err(Error::LimitExceeded { limit: "number of anchors", maximum: 1 }));
}

#[test]
fn json() {
    costs_little(Encoding::Json);
}

#[test]
fn yaml() {
    costs_little(Encoding::Yaml);
}

#[test]
fn protobuf() {
    costs_little(Encoding::Protobuf);
}
