//! The types that cannot be wrong, over every object that Kubernetes was asked to validate.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod judge;

use judge::{differs, judge, records};
use serde_json::Value;
use windlass_pod::valid::{Covered, PodView, TargetPort, Valid};
use windlass_pod::{Object, decode_json, decode_yaml_as, defaults, kinds, validate};

/// The object made valid, read wherever it is; what `validate` says of it must be what the type says.
fn read<K: Covered>(object: K, check: impl FnOnce(&Valid<K>) -> Vec<String>) -> Option<String> {
    let mut wire: Object = object.clone().into();
    defaults::apply(&mut wire);
    let violations = validate(&wire);
    match Valid::new(object) {
        Ok(valid) => {
            let words = check(&valid);
            let text = wire.encode_json();
            let unknown = words.iter().find(|word| !text.contains(word.as_str()));
            differs("violations", vec![], violations)
                .or_else(|| unknown.map(|word| format!("{word} is not what the object says")))
        }
        Err(refused) => differs("violations", refused.violations, violations),
    }
}

/// What stands in the types, as the object would write it.
fn words(pod: PodView<'_>) -> Vec<String> {
    let mut words = vec![format!("\"restartPolicy\":\"{}\"", pod.restart_policy())];
    for toleration in pod.tolerations() {
        words.extend(toleration.key().map(|key| format!("\"key\":\"{key}\"")));
        words.extend(toleration.effect().map(|effect| format!("\"effect\":\"{effect}\"")));
        words.extend(toleration.bears().map(|_| "\"tolerationSeconds\":".to_owned()));
    }
    for container in pod.init_containers().chain(pod.containers()) {
        words.push(format!("\"name\":\"{}\"", container.name()));
        words.push(format!("\"imagePullPolicy\":\"{}\"", container.pull_policy()));
        for port in container.ports() {
            words.push(format!("\"containerPort\":{}", port.number()));
            words.push(format!("\"protocol\":\"{}\"", port.protocol()));
            words.extend(port.host_port().map(|port| format!("\"hostPort\":{port}")));
            words.extend(port.name().map(|name| format!("\"name\":\"{name}\"")));
        }
        assert!(!container.is_sidecar() || container.restart_policy.as_deref() == Some("Always"));
    }
    words
}

fn service(service: &Valid<kinds::Service>) -> Vec<String> {
    let mut words = vec![format!("\"type\":\"{}\"", service.service_type())];
    for port in service.ports() {
        words.push(format!("\"port\":{}", port.number()));
        words.push(format!("\"protocol\":\"{}\"", port.protocol()));
        words.push(match port.target() {
            TargetPort::Number(number) => format!("\"targetPort\":{number}"),
            TargetPort::Name(name) => format!("\"targetPort\":\"{name}\""),
        });
        words.extend(port.node_port().map(|port| format!("\"nodePort\":{port}")));
        words.extend(port.name().map(|name| format!("\"name\":\"{name}\"")));
    }
    assert_eq!(service.selector().is_none(), service.spec.selector.is_empty());
    words
}

/// A workload with a template selects the pods that it makes.
macro_rules! workload {
    ($object:expr) => {
        read(*$object, |valid| {
            assert!(valid.selector().matches(&valid.spec.template.metadata.labels));
            words(valid.template())
        })
    };
}

fn case(record: &Value) -> Option<String> {
    let object = decode_json(record["in"].to_string().as_bytes()).unwrap();
    match object {
        Object::Pod(pod) => read(*pod, |pod| words(pod.view())),
        Object::Service(object) => read(*object, service),
        Object::Deployment(object) => {
            read((*object).clone(), |valid| vec![format!("\"replicas\":{}", valid.replicas())])
                .or_else(|| workload!(object))
        }
        Object::DaemonSet(object) => workload!(object),
        Object::ReplicaSet(object) => workload!(object),
        Object::StatefulSet(object) => workload!(object),
        Object::ReplicationController(object) => read(*object, |valid| {
            let template = valid.template();
            let labels = valid.spec.template.as_ref().map(|template| &template.metadata.labels);
            assert!(labels.is_none_or(|labels| valid.selector().matches(labels)));
            let replicas = format!("\"replicas\":{}", valid.replicas());
            template.map(words).into_iter().flatten().chain([replicas]).collect()
        }),
        _ => None,
    }
}

#[test]
fn what_is_valid_is_read_as_it_is_written() {
    let records = records("validation");
    judge("valid", &records, case);
    let objects = records.iter().map(|record| decode_json(record["in"].to_string().as_bytes()).unwrap());
    let pods = objects.filter_map(|object| kinds::Pod::try_from(object).ok());
    let valid = pods.filter(|pod| Valid::new(pod.clone()).is_ok()).count();
    println!("valid: {valid} pods read");
    assert!(valid > 0);
}

#[test]
fn an_update_keeps_what_only_the_server_changes() {
    let read = |replicas: i32, status: i32, label: &str| -> kinds::Deployment {
        let text = format!(
            "metadata: {{name: web, namespace: a, resourceVersion: '1'}}\nspec: {{replicas: {replicas}, selector: \
             {{matchLabels: {{app: {label}}}}}, template: {{metadata: {{labels: {{app: {label}}}}}, spec: \
             {{containers: [{{name: c, image: i}}]}}}}}}\nstatus: {{replicas: {status}}}"
        );
        decode_yaml_as(text.as_bytes()).unwrap()
    };
    let old = Valid::new(read(2, 1, "web")).unwrap();
    let new = old.clone().update(read(3, 7, "web")).unwrap();
    assert_eq!((new.replicas(), new.status.replicas), (3, Some(1)));
    let refused = old.update(read(-1, 1, "other")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Deployment.apps \"web\" is invalid: [spec.replicas: Invalid value: -1: must be greater than or equal to 0, \
         spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"other\"}}: field is immutable]"
    );
}
