//! Kubernetes objects.

use std::hint::black_box;

use windlass_pod::selector::Selector;
use windlass_pod::{
    Object, Quantity, decode_json, decode_protobuf, decode_yaml, defaults, encode_protobuf, strategy, validate,
};

use crate::measure::{Baseline, Contest, Run, Skipped};

/// A pod of about 4 kB as a cluster stores it.
const POD: &str = include_str!("../../../pod/tests/data/pod.json");

/// JSON to the wire type, against `serde_json::Value`, which keeps no types and checks no fields.
pub(super) fn decode() -> Result<Contest, Skipped> {
    Ok(Contest {
        calls: 200,
        rounds: 15,
        subject: Box::new(|| {
            black_box(decode_json(black_box(POD.as_bytes())).map_err(Skipped::because("decode the pod"))?);
            Ok(())
        }),
        baseline: Baseline::Run(Box::new(|| {
            let value: serde_json::Value =
                serde_json::from_str(black_box(POD)).map_err(Skipped::because("decode the pod"))?;
            black_box(value);
            Ok(())
        })),
    })
}

/// JSON to the wire type, against the type of `k8s-openapi`, which drops what it does not know.
#[cfg(feature = "peers")]
pub(super) fn decode_of_peer() -> Result<Contest, Skipped> {
    Ok(Contest {
        baseline: Baseline::Run(Box::new(|| {
            let pod: k8s_openapi::api::core::v1::Pod =
                serde_json::from_str(black_box(POD)).map_err(Skipped::because("decode the pod"))?;
            black_box(pod);
            Ok(())
        })),
        ..decode()?
    })
}

/// JSON to the wire type, against the type of `k8s-openapi`.
#[cfg(not(feature = "peers"))]
pub(super) fn decode_of_peer() -> Result<Contest, Skipped> {
    Err(Skipped::without_peers())
}

/// Protobuf to the wire type, against JSON to the type of `k8s-openapi`.
pub(super) fn decode_protobuf_of_peer() -> Result<Contest, Skipped> {
    let bytes = encode_protobuf(&pod()?);
    Ok(Contest {
        subject: Box::new(move || {
            black_box(decode_protobuf(black_box(&bytes)).map_err(Skipped::because("decode the pod"))?);
            Ok(())
        }),
        ..decode_of_peer()?
    })
}

/// YAML to the wire type with the places of all fields, against a tree without types or places.
#[cfg(feature = "peers")]
pub(super) fn decode_yaml_of_peer() -> Result<Contest, Skipped> {
    let text = pod()?.encode_yaml();
    let same = text.clone();
    Ok(Contest {
        calls: 100,
        rounds: 15,
        subject: Box::new(move || {
            black_box(decode_yaml(black_box(text.as_bytes())).map_err(Skipped::because("decode the pod"))?);
            Ok(())
        }),
        baseline: Baseline::Run(Box::new(move || {
            let value: serde_yaml_ng::Value =
                serde_yaml_ng::from_str(black_box(&same)).map_err(Skipped::because("decode the pod"))?;
            black_box(value);
            Ok(())
        })),
    })
}

/// YAML to the wire type.
#[cfg(not(feature = "peers"))]
pub(super) fn decode_yaml_of_peer() -> Result<Contest, Skipped> {
    let _ = decode_yaml;
    Err(Skipped::without_peers())
}

fn pod() -> Result<Object, Skipped> {
    decode_json(POD.as_bytes()).map_err(Skipped::because("decode the pod"))
}

/// What a server does with a new pod: decode, fill in, prepare, and look for everything that is wrong.
pub(super) fn admit() -> Result<Contest, Skipped> {
    let admit = || {
        let mut object = pod()?;
        defaults::apply(&mut object);
        strategy::prepare_for_create(&mut object);
        Ok((validate(&object), object))
    };
    match admit()?.0.first() {
        Some(violation) => Err(Skipped(format!("the pod is not valid: {violation}"))),
        None => Ok(bounded(200, 25.0, move || admit().map(drop_all))),
    }
}

fn drop_all<T>(value: T) {
    drop(black_box(value));
}

/// A contest with a bound in microseconds.
pub(super) fn bounded(calls: u32, bound: f64, run: impl FnMut() -> Result<(), Skipped> + 'static) -> Contest {
    let subject: Run = Box::new(run);
    Contest { calls, rounds: 15, subject, baseline: Baseline::Bound(bound) }
}

const QUANTITIES: [&str; 8] = ["100m", "1", "64Mi", "1.5Gi", "250m", "2", "128974848", "1e3"];

/// A thousand quantities a call.
pub(super) fn quantity_parse() -> Result<Contest, Skipped> {
    Ok(bounded(20, 40.0, || {
        for text in QUANTITIES.iter().cycle().take(1000) {
            black_box(black_box(*text).parse::<Quantity>().map_err(Skipped::because(text))?);
        }
        Ok(())
    }))
}

/// A thousand pairs of neighbours a call.
pub(super) fn quantity_compare() -> Result<Contest, Skipped> {
    let parse = |text: &&str| text.parse::<Quantity>().map_err(Skipped::because(text));
    let quantities = QUANTITIES.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    Ok(bounded(20, 5.0, move || {
        for _ in 0..125 {
            for (index, quantity) in quantities.iter().enumerate() {
                black_box(black_box(quantity).cmp(black_box(&quantities[(index + 1) % 8])));
            }
        }
        Ok(())
    }))
}

/// A thousand matches a call, of three requirements that all hold for a pod with five labels.
pub(super) fn selector() -> Result<Contest, Skipped> {
    let selector: Selector = "app=web,tier in (front, back),!canary".parse().map_err(Skipped::because("a selector"))?;
    let pairs = [("app", "web"), ("pod-template-hash", "6f7d8"), ("tier", "back"), ("track", "stable"), ("zone", "a")];
    let labels = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    Ok(bounded(20, 30.0, move || {
        for _ in 0..1000 {
            if !black_box(&selector).matches(black_box(&labels)) {
                return Err(Skipped("the selector does not match".to_owned()));
            }
        }
        Ok(())
    }))
}

/// Eight quantities a call, against parsing the same numbers as floating point.
pub(super) fn quantity() -> Result<Contest, Skipped> {
    Ok(Contest {
        calls: 2000,
        rounds: 15,
        subject: Box::new(|| {
            for text in QUANTITIES {
                black_box(black_box(text).parse::<Quantity>().map_err(Skipped::because(text))?);
            }
            Ok(())
        }),
        baseline: Baseline::Run(Box::new(|| {
            for text in QUANTITIES {
                let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
                black_box(black_box(number).parse::<f64>().map_err(Skipped::because(text))?);
            }
            Ok(())
        })),
    })
}
