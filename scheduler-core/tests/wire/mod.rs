//! JSON values as wire objects.

use serde_json::Value;
use windlass_pod::{Kind, decode_json_as};

/// The records' objects do not say what kind they are.
pub(crate) fn decode<K: Kind>(value: &Value) -> K {
    let mut value = value.clone();
    value["apiVersion"] = K::API_VERSION.into();
    value["kind"] = K::KIND.into();
    decode_json_as(value.to_string().as_bytes()).expect("records hold Kubernetes objects")
}
