//! A configuration, read strictly.

use std::collections::BTreeSet;

use oci_spec::runtime::{Process, Spec};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::not_honoured;
use crate::capability::Capability;
use crate::error::{Error, Result};

/// A `config.json` that keeps to the specification as far as that can be told from its text.
#[derive(Debug, Clone)]
pub struct Config {
    spec: Spec,
    unknown_capabilities: Vec<String>,
    /// Whether an earlier version's fields ask for counting what is used of caches and memory.
    counts_use: bool,
}

/// The `process.json` of an additional process.
#[derive(Debug, Clone)]
pub struct ProcessConfig {
    process: Process,
    unknown_capabilities: Vec<String>,
}

/// What the types of `oci-spec` pass over.
#[derive(Deserialize, Default)]
struct Beside {
    #[serde(default)]
    freebsd: Option<Value>,
    #[serde(default)]
    vm: Option<Value>,
    #[serde(default)]
    linux: Option<BesideLinux>,
}

#[derive(Deserialize, Default)]
struct BesideLinux {
    #[serde(default, rename = "intelRdt")]
    intel_rdt: Option<BesideIntelRdt>,
}

/// Fields of version 1.2, which `oci-spec` 0.10 spells otherwise.
#[derive(Deserialize, Default)]
struct BesideIntelRdt {
    #[serde(default, rename = "enableCMT")]
    enable_cmt: bool,
    #[serde(default, rename = "enableMBM")]
    enable_mbm: bool,
}

impl Config {
    /// Reads a configuration.
    ///
    /// Properties that the specification does not know are passed over, as it demands.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no configuration, or one of another major version than 1;
    /// [`Error::NotHonoured`] for the parts that belong to other platforms.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let (spec, unknown_capabilities) = read::<Spec>(json, "/process")?;
        version(spec.version())?;
        let beside: Beside = serde_json::from_slice(json).map_err(|error| malformed(&error))?;
        let others = [
            ("solaris", spec.solaris().is_some()),
            ("windows", spec.windows().is_some()),
            ("vm", beside.vm.is_some()),
            ("zos", spec.zos().is_some()),
            ("freebsd", beside.freebsd.is_some()),
        ];
        if let Some((field, _)) = others.into_iter().find(|(_, given)| *given) {
            return not_honoured(field, "it belongs to another platform");
        }
        let rdt = beside.linux.and_then(|linux| linux.intel_rdt).unwrap_or_default();
        Ok(Self { spec, unknown_capabilities, counts_use: rdt.enable_cmt || rdt.enable_mbm })
    }

    /// The configuration in the types of `oci-spec`.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Names in `process.capabilities` that this library has no capability for.
    pub fn unknown_capabilities(&self) -> &[String] {
        &self.unknown_capabilities
    }

    /// Whether fields of an earlier version ask for counting what is used of caches and memory.
    pub(super) fn counts_use(&self) -> bool {
        self.counts_use
    }

    /// The process that the configuration begins with.
    ///
    /// # Errors
    /// [`Error::Invalid`] without one.
    pub fn process(&self) -> Result<ProcessConfig> {
        let process = self.spec.process().clone();
        let process = process.ok_or_else(|| Error::invalid("process", "", "is needed to start a container"))?;
        Ok(ProcessConfig { process, unknown_capabilities: self.unknown_capabilities.clone() })
    }
}

impl ProcessConfig {
    /// Reads the configuration of an additional process.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is none.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let (process, unknown_capabilities) = read(json, "")?;
        Ok(Self { process, unknown_capabilities })
    }

    /// The process in the types of `oci-spec`.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Names of capabilities that this library does not know.
    pub fn unknown_capabilities(&self) -> &[String] {
        &self.unknown_capabilities
    }
}

impl From<Process> for ProcessConfig {
    fn from(process: Process) -> Self {
        Self { process, unknown_capabilities: Vec::new() }
    }
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::invalid("configuration", error.to_string(), "is not what the specification describes")
}

/// Decodes a text. A capability that nobody knows must not fail it, but the types cannot hold one: it is taken out.
fn read<T: DeserializeOwned>(json: &[u8], process: &str) -> Result<(T, Vec<String>)> {
    if let Ok(decoded) = serde_json::from_slice(json) {
        return Ok((decoded, Vec::new()));
    }
    let mut value: Value = serde_json::from_slice(json).map_err(|error| malformed(&error))?;
    let unknown = value.pointer_mut(process).map(adapt).unwrap_or_default();
    let decoded = serde_json::from_value(value).map_err(|error| malformed(&error))?;
    Ok((decoded, unknown.into_iter().collect()))
}

/// Takes out what the types have no place for, and gives the capabilities among it.
fn adapt(process: &mut Value) -> BTreeSet<String> {
    let mut unknown = BTreeSet::new();
    let sets = process.pointer_mut("/capabilities").and_then(Value::as_object_mut);
    for names in sets.into_iter().flat_map(|sets| sets.values_mut()).filter_map(Value::as_array_mut) {
        names.retain(|name| match name.as_str() {
            Some(text) if !is_capability(text) => {
                unknown.insert(text.to_owned());
                false
            }
            _ => true,
        });
    }
    let flags = process.pointer_mut("/scheduler/flags").and_then(Value::as_array_mut);
    for flag in flags.into_iter().flatten().filter(|flag| *flag == "SCHED_FLAG_DL_OVERRUN") {
        // As `oci-spec` 0.10 spells it.
        *flag = Value::from("SCHED_FLAG_D_L_OVERRUN");
    }
    unknown
}

/// The specification's names are in capitals and have their prefix.
fn is_capability(text: &str) -> bool {
    text.parse::<Capability>().is_ok_and(|capability| capability.name() == text)
}

/// Any version of the first major one: later ones only add what may be passed over.
fn version(text: &str) -> Result<()> {
    let core = text.split_once(['-', '+']).map_or(text, |(core, _)| core);
    let is_number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
            && part.len() < 10
    };
    let parts: Vec<&str> = core.split('.').collect();
    let suffix = text.get(core.len() + 1..).unwrap_or("x");
    let is_label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'+');
    let is_version = parts.len() == 3 && parts.iter().all(|part| is_number(part));
    if !is_version || suffix.is_empty() || !suffix.bytes().all(is_label) {
        return Err(Error::invalid("ociVersion", text, "is no semantic version"));
    }
    if parts[0] != "1" {
        return Err(Error::invalid("ociVersion", text, "is another major version than 1"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_semantic_and_of_the_first() {
        for text in ["1.0.0", "1.0.2-dev", "1.3.0", "1.10.0", "1.0.0-rc5", "1.2.3+build"] {
            assert!(version(text).is_ok(), "{text}");
        }
        for text in ["", "1", "1.0", "1.0.0.0", "v1.0.0", "0.9.0", "2.0.0", "1.0.x", "01.0.0", "1.0.0-", "1.0.0 "] {
            assert!(version(text).is_err(), "{text}");
        }
    }

    #[test]
    fn unknown_capabilities_are_told_and_all_else_is_strict() {
        let config = |capabilities: &str| {
            let process = format!(r#"{{ "user": {{}}, "cwd": "/", "capabilities": {capabilities} }}"#);
            Config::parse(format!(r#"{{ "ociVersion": "1.3.0", "process": {process}, "what": "ever" }}"#).as_bytes())
        };
        let taken = config(r#"{ "bounding": ["CAP_KILL", "CAP_NOPE"], "ambient": ["CAP_NOPE", "CAP_ALSO"] }"#).unwrap();
        assert_eq!(taken.unknown_capabilities(), ["CAP_ALSO", "CAP_NOPE"]);
        let kept = taken.spec().process().as_ref().unwrap().capabilities().as_ref().unwrap();
        assert_eq!(kept.bounding().as_ref().unwrap().len(), 1);
        assert!(config(r#"{ "bounding": ["CAP_KILL"] }"#).unwrap().unknown_capabilities().is_empty());
        assert!(config(r#"{ "bounding": [7] }"#).is_err());
        for json in ["", "{}", "[]", r#"{ "ociVersion": "1.0.0", "process": { "cwd": 1 } }"#] {
            assert!(matches!(Config::parse(json.as_bytes()), Err(Error::Invalid { .. })), "{json}");
        }
        for field in ["solaris", "windows", "vm", "zos", "freebsd"] {
            let error =
                Config::parse(format!(r#"{{ "ociVersion": "1.3.0", "{field}": {{}} }}"#).as_bytes()).unwrap_err();
            let names = |error: &Error| matches!(error, Error::NotHonoured { field: named, .. } if named == field);
            assert!(names(&error) || matches!(error, Error::Invalid { .. }), "{field}: {error}");
        }
    }
}
