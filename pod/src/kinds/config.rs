//! Config maps and secrets.

use std::collections::BTreeMap;

use crate::kinds::meta::ObjectMeta;
use crate::wire::scalar::Bytes;
use crate::wire::table::records;

records! {
    /// Kubernetes `ConfigMap` of `v1`.
    ConfigMap = "v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        binary_data: BTreeMap<String, Bytes> = "binaryData" [3] OmitZero,
        data: BTreeMap<String, String> = "data" [2] OmitZero,
        immutable: Option<bool> = "immutable" [4] Pointer,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
    }
    /// Kubernetes `Secret` of `v1`.
    Secret = "v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        data: BTreeMap<String, Bytes> = "data" [2] OmitZero,
        immutable: Option<bool> = "immutable" [5] Pointer,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        string_data: BTreeMap<String, String> = "stringData" [4] OmitZero,
        type_: Option<String> = "type" [3] OmitZero,
    }
}
