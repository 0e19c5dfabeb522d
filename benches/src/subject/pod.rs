//! Kubernetes objects.

use std::hint::black_box;

use windlass_pod::{Quantity, decode_json};

use crate::measure::{Baseline, Contest, Skipped};

/// A pod of about 4 kB as a cluster stores it.
const POD: &str = include_str!("pod.json");

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

/// Eight quantities a call, against parsing the same numbers as floating point.
pub(super) fn quantity() -> Result<Contest, Skipped> {
    const QUANTITIES: [&str; 8] = ["100m", "1", "64Mi", "1.5Gi", "250m", "2", "128974848", "1e3"];
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
