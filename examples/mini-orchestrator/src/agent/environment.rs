//! The environment of a container, read when it starts: values, keys of `ConfigMap`s, facts of the pod, and services.

use std::collections::BTreeMap;

use windlass_pod::kinds::{ConfigMap, Container, EnvVar, Pod, Service};

use super::error::{Error, Result};
use super::expand::expand;

/// What the variables are taken from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) pod: &'a Pod,
    /// The pod's address.
    pub(super) address: &'a str,
    /// The address of its node.
    pub(super) host: &'a str,
    /// The `ConfigMap`s of its namespace.
    pub(super) config_maps: &'a BTreeMap<String, ConfigMap>,
    /// The services of its namespace.
    pub(super) services: &'a [Service],
}

/// The variables of `container`; `image` are those that its image brings, in order of growing weight.
pub(super) fn environment(
    container: &Container,
    image: &[(String, String)],
    facts: Facts<'_>,
) -> Result<BTreeMap<String, String>> {
    let mut variables: BTreeMap<String, String> = image.iter().cloned().collect();
    variables.insert("HOSTNAME".to_owned(), hostname(facts.pod).to_owned());
    if facts.pod.spec.enable_service_links != Some(false) {
        facts.services.iter().for_each(|service| add_service(&mut variables, service));
    }
    for source in &container.env_from {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let Some(reference) = &source.config_map_ref else {
            return Err(Error::Unsupported { fields: vec!["envFrom.secretRef".to_owned()] });
        };
        let name = reference.name.clone().unwrap_or_default();
        match facts.config_maps.get(&name) {
            Some(map) => {
                variables.extend(map.data.iter().map(|(key, value)| (format!("{prefix}{key}"), value.clone())));
            }
            None if reference.optional == Some(true) => {}
            None => return Err(Error::ConfigMap { name, key: None }),
        }
    }
    for variable in &container.env {
        if let Some(value) = value(variable, &variables, facts)? {
            variables.insert(variable.name.clone().unwrap_or_default(), value);
        }
    }
    Ok(variables)
}

/// The pod's name for itself.
pub(super) fn hostname(pod: &Pod) -> &str {
    pod.spec.hostname.as_deref().or(pod.metadata.name.as_deref()).unwrap_or_default()
}

/// `None` for an optional key that is not there.
fn value(variable: &EnvVar, so_far: &BTreeMap<String, String>, facts: Facts<'_>) -> Result<Option<String>> {
    let Some(source) = &variable.value_from else {
        let text = variable.value.as_deref().unwrap_or_default();
        return Ok(Some(expand(text, |name| so_far.get(name).map(String::as_str))));
    };
    if let Some(reference) = &source.config_map_key_ref {
        let name = reference.name.clone().unwrap_or_default();
        let key = reference.key.clone().unwrap_or_default();
        return match facts.config_maps.get(&name).and_then(|map| map.data.get(&key)) {
            Some(value) => Ok(Some(value.clone())),
            None if reference.optional == Some(true) => Ok(None),
            None => Err(Error::ConfigMap { name, key: Some(key) }),
        };
    }
    let unsupported = |what: &str| {
        let name = variable.name.as_deref().unwrap_or_default();
        Error::Unsupported { fields: vec![format!("env[{name}].valueFrom.{what}")] }
    };
    let Some(reference) = &source.field_ref else {
        return Err(unsupported("{secretKeyRef,resourceFieldRef,fileKeyRef}"));
    };
    let path = reference.field_path.as_deref().unwrap_or_default();
    field(path, facts).map(Some).ok_or_else(|| unsupported(&format!("fieldRef.fieldPath = {path}")))
}

/// The fields that Kubernetes' downward API offers to variables.
fn field(path: &str, facts: Facts<'_>) -> Option<String> {
    let metadata = &facts.pod.metadata;
    let keyed = |map: &BTreeMap<String, String>, prefix: &str| {
        let key = path.strip_prefix(prefix)?.strip_suffix("']")?;
        Some(map.get(key).cloned().unwrap_or_default())
    };
    match path {
        "metadata.name" => metadata.name.clone(),
        "metadata.namespace" => metadata.namespace.clone(),
        "metadata.uid" => metadata.uid.clone(),
        "spec.nodeName" => facts.pod.spec.node_name.clone(),
        "spec.serviceAccountName" => facts.pod.spec.service_account_name.clone(),
        "status.hostIP" => Some(facts.host.to_owned()),
        "status.podIP" => Some(facts.address.to_owned()),
        _ => keyed(&metadata.labels, "metadata.labels['")
            .or_else(|| keyed(&metadata.annotations, "metadata.annotations['")),
    }
}

/// `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT` and one variable a named port.
fn add_service(variables: &mut BTreeMap<String, String>, service: &Service) {
    let Some(host) = service.spec.cluster_ip.as_deref().filter(|ip| !ip.is_empty() && *ip != "None") else { return };
    let name = variable_name(service.metadata.name.as_deref().unwrap_or_default());
    variables.insert(format!("{name}_SERVICE_HOST"), host.to_owned());
    for (index, port) in service.spec.ports.iter().enumerate() {
        let number = port.port.unwrap_or_default().to_string();
        if index == 0 {
            variables.insert(format!("{name}_SERVICE_PORT"), number.clone());
        }
        if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            variables.insert(format!("{name}_SERVICE_PORT_{}", variable_name(port_name)), number);
        }
    }
}

fn variable_name(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts<'a>(pod: &'a Pod, config_maps: &'a BTreeMap<String, ConfigMap>, services: &'a [Service]) -> Facts<'a> {
        Facts { pod, address: "10.244.1.2", host: "10.222.0.1", config_maps, services }
    }

    fn read<T: crate::registry::Resource>(yaml: &str) -> T {
        T::from_object(windlass_pod::decode_yaml(yaml.as_bytes()).unwrap().remove(0)).unwrap()
    }

    const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web}}
spec:
  containers:
    - name: web
      env:
        - {name: MODE, valueFrom: {configMapKeyRef: {name: settings, key: mode}}}
        - {name: TEXT, value: $(MODE) at $(SHOP_FRONT_SERVICE_HOST):$(SHOP_FRONT_SERVICE_PORT_HTTP)}
        - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: APP, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['app']\"}}}
        - {name: ADDRESS, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
      envFrom:
        - {prefix: ALL_, configMapRef: {name: settings}}
";

    #[test]
    fn every_source_is_read_and_the_image_weighs_least() {
        let pod: Pod = read(POD);
        let map: ConfigMap = read("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {mode: fast}}");
        let service: Service = read(
            "{apiVersion: v1, kind: Service, metadata: {name: shop-front}, spec: {clusterIP: 10.96.0.7, ports: [{name: http, port: 80}]}}",
        );
        let maps = BTreeMap::from([("settings".to_owned(), map)]);
        let services = [service];
        let image = [("MODE".to_owned(), "image".to_owned()), ("PATH".to_owned(), "/bin".to_owned())];
        let container = &pod.spec.containers[0];
        let variables = environment(container, &image, facts(&pod, &maps, &services)).unwrap();
        for (name, expected) in [
            ("MODE", "fast"),
            ("PATH", "/bin"),
            ("TEXT", "fast at 10.96.0.7:80"),
            ("NAME", "web-1"),
            ("APP", "web"),
            ("ADDRESS", "10.244.1.2"),
            ("ALL_mode", "fast"),
            ("HOSTNAME", "web-1"),
            ("SHOP_FRONT_SERVICE_PORT", "80"),
        ] {
            assert_eq!(variables.get(name).map(String::as_str), Some(expected), "{name}");
        }
    }

    #[test]
    fn a_missing_key_is_an_error_unless_it_is_optional() {
        let pod: Pod = read(POD);
        let none = BTreeMap::new();
        let mut container = pod.spec.containers[0].clone();
        container.env_from.clear();
        let error = environment(&container, &[], facts(&pod, &none, &[])).unwrap_err();
        assert_eq!(error.to_string(), "there is no key mode in the ConfigMap settings");
        container.env[0].value_from.as_mut().unwrap().config_map_key_ref.as_mut().unwrap().optional = Some(true);
        let variables = environment(&container, &[], facts(&pod, &none, &[])).unwrap();
        assert_eq!(variables.get("MODE"), None);
        assert_eq!(variables["TEXT"], "$(MODE) at $(SHOP_FRONT_SERVICE_HOST):$(SHOP_FRONT_SERVICE_PORT_HTTP)");
    }
}
