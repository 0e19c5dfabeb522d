//! `--security-opt seccomp=FILE`: a policy as OCI writes it, or as Docker and podman do, whose rules say beside it for which
//! capabilities, architectures and kernels they are.

use std::path::Path;

use serde_json::{Map, Value, json};
use windlass_namespaces::seccomp::Policy;
use windlass_namespaces::{Capability, CapabilitySet, oci};

use super::failure::Failure;

/// Reads a policy, which is kept as it is: what the container may do does not change with the file.
pub(super) fn read(path: &Path) -> Result<Value, Failure> {
    let text =
        std::fs::read(path).map_err(Failure::during(format_args!("--security-opt seccomp={}", path.display())))?;
    serde_json::from_slice(&text).map_err(Failure::during(format_args!("the policy {}", path.display())))
}

/// The policy for a container with these capabilities.
pub(super) fn policy(profile: &Value, capabilities: CapabilitySet) -> Result<Policy, Failure> {
    let plain = lower(profile, capabilities, &kernel())
        .map_err(|reason| Failure::new(format!("the policy of system calls: {reason}")))?;
    let spec = serde_json::from_value(plain).map_err(Failure::during("understand the policy of system calls"))?;
    Ok(oci::policy(&spec).map_err(Failure::during("the policy of system calls"))?.policy)
}

/// Docker's word for the machine, and libseccomp's.
const fn architecture() -> (&'static str, &'static str) {
    if cfg!(target_arch = "aarch64") { ("arm64", "SCMP_ARCH_AARCH64") } else { ("amd64", "SCMP_ARCH_X86_64") }
}

fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default()
}

/// The policy in OCI's form, with the rules that are for this container.
fn lower(profile: &Value, capabilities: CapabilitySet, kernel: &str) -> Result<Value, String> {
    let profile = profile.as_object().ok_or("it is no object")?;
    let mut plain = Map::new();
    for key in ["defaultAction", "defaultErrnoRet", "flags", "listenerPath", "listenerMetadata", "architectures"] {
        if let Some(value) = profile.get(key).filter(|value| !value.is_null()) {
            plain.insert(key.to_owned(), value.clone());
        }
    }
    if let Some(map) = profile.get("archMap").and_then(Value::as_array) {
        let own = map.iter().find(|entry| entry["architecture"] == architecture().1);
        let others = own.and_then(|entry| entry["subArchitectures"].as_array()).into_iter().flatten().cloned();
        let all: Vec<Value> = std::iter::once(json!(architecture().1)).chain(others).collect();
        plain.insert("architectures".to_owned(), all.into());
    }
    let mut rules = Vec::new();
    for rule in profile.get("syscalls").and_then(Value::as_array).into_iter().flatten() {
        let (includes, excludes) = (Condition::of(&rule["includes"])?, Condition::of(&rule["excludes"])?);
        if includes.holds_for_all(capabilities, kernel) && !excludes.holds_for_any(capabilities, kernel) {
            rules.push(plain_rule(rule)?);
        }
    }
    plain.insert("syscalls".to_owned(), rules.into());
    Ok(plain.into())
}

fn plain_rule(rule: &Value) -> Result<Value, String> {
    let names = match (&rule["names"], &rule["name"]) {
        (Value::Array(names), _) => names.clone(),
        (_, Value::String(name)) => vec![name.clone().into()],
        _ => return Err(format!("a rule without names: {rule}")),
    };
    let mut plain = Map::from_iter([("names".to_owned(), names.into()), ("action".to_owned(), rule["action"].clone())]);
    for key in ["errnoRet", "args"] {
        if let Some(value) = rule.get(key).filter(|value| !value.is_null()) {
            plain.insert(key.to_owned(), value.clone());
        }
    }
    Ok(plain.into())
}

/// For whom a rule is, or is not.
#[derive(Debug, Default)]
struct Condition {
    capabilities: Vec<Capability>,
    architectures: Vec<String>,
    kernel: Option<String>,
}

impl Condition {
    fn of(value: &Value) -> Result<Self, String> {
        let Some(object) = value.as_object() else { return Ok(Self::default()) };
        let texts = |key: &str| -> Vec<String> {
            let list = object.get(key).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        if let Some(unknown) = object.keys().find(|key| !matches!(key.as_str(), "caps" | "arches" | "minKernel")) {
            return Err(format!("a rule depends on {unknown}, which is none of caps, arches, minKernel"));
        }
        let parse = |name: &String| name.parse::<Capability>().map_err(|error| error.to_string());
        Ok(Self {
            capabilities: texts("caps").iter().map(parse).collect::<Result<_, _>>()?,
            architectures: texts("arches"),
            kernel: object.get("minKernel").and_then(Value::as_str).map(str::to_owned),
        })
    }

    fn holds_for_all(&self, capabilities: CapabilitySet, kernel: &str) -> bool {
        self.capabilities.iter().all(|capability| capabilities.contains(*capability))
            && (self.architectures.is_empty() || self.is_for_machine())
            && self.kernel.as_ref().is_none_or(|least| version(least) <= version(kernel))
    }

    fn holds_for_any(&self, capabilities: CapabilitySet, kernel: &str) -> bool {
        self.capabilities.iter().any(|capability| capabilities.contains(*capability))
            || self.is_for_machine()
            || self.kernel.as_ref().is_some_and(|least| version(least) <= version(kernel))
    }

    fn is_for_machine(&self) -> bool {
        self.architectures.iter().any(|name| name == architecture().0)
    }
}

/// The first two numbers.
fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split(|letter: char| !letter.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_for_some() {
        let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "comment": "x", "defaultErrno": "ENOSYS",
        "archMap": [{"architecture": architecture().1, "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": null, "comment": "", "includes": {}, "excludes": {}},
            {"names": ["b"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["c"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_SYS_ADMIN"]}, "errnoRet": 1},
            {"names": ["d"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390x"]}},
            {"name": "e", "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["f"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.19"}}
        ]});
        let names = |capabilities| -> Vec<String> {
            let plain = lower(&profile, capabilities, "6.18.3-x").unwrap();
            assert_eq!(plain["architectures"], json!([architecture().1, "SCMP_ARCH_X86"]));
            plain["syscalls"]
                .as_array()
                .unwrap()
                .iter()
                .map(|rule| rule["names"][0].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(names(CapabilitySet::DOCKER), ["a", "c", "e"]);
        assert_eq!(names(CapabilitySet::DOCKER.with(Capability::SysAdmin)), ["a", "b", "e"]);
        let wrong =
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "includes": {"moon": "full"}}]});
        assert!(lower(&wrong, CapabilitySet::EMPTY, "6.18").unwrap_err().contains("moon"));
    }

    #[test]
    fn versions_are_numbers() {
        assert!(version("4.8") < version("4.18.0-1") && version("5") < version("5.1") && version("6.18.3") == (6, 18));
    }
}
