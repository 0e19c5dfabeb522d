//! Kubernetes documents and quantities.

use windlass_pod::selector::Selector;
use windlass_pod::valid::{PodView, Valid};
use windlass_pod::{Object, Quantity, decode_json, decode_yaml};

/// What a JSON object encodes to is read as the same object.
pub(super) fn json(data: &[u8]) {
    if let Ok(object) = decode_json(data) {
        let text = object.encode_json();
        let again = decode_json(text.as_bytes()).expect("what is written is read");
        assert_eq!(again.encode_json(), text);
    }
}

/// What a YAML stream encodes to is read as the same objects.
pub(super) fn yaml(data: &[u8]) {
    for object in decode_yaml(data).into_iter().flatten() {
        let text = object.encode_yaml();
        let again = decode_yaml(text.as_bytes()).expect("what is written is read");
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].encode_json(), object.encode_json());
    }
}

/// A canonical quantity stays as it is.
pub(super) fn quantity(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(quantity) = text.parse::<Quantity>() {
        let canonical = quantity.canonical();
        let again: Quantity = canonical.parse().expect("a canonical quantity is a quantity");
        assert_eq!(again.canonical(), canonical, "from {text:?}");
    }
}

/// What a selector prints is read as the same selector.
pub(super) fn selector(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(selector) = text.parse::<Selector>() {
        let printed = selector.to_string();
        let again: Selector = printed.parse().expect("a printed selector is a selector");
        assert_eq!(again.to_string(), printed, "from {text:?}");
    }
}

/// Protobuf: what is read is written and read again the same.
pub(super) fn protobuf(data: &[u8]) {
    let Ok(object) = windlass_pod::decode_protobuf(data) else { return };
    let bytes = windlass_pod::encode_protobuf(&object);
    let again = windlass_pod::decode_protobuf(&bytes).expect("what was written is read");
    assert_eq!(windlass_pod::encode_protobuf(&again), bytes, "nothing changes on the way");
}

/// Patches of each kind: a document on the first line, the patch on the rest.
pub(super) fn patch(data: &[u8]) {
    use windlass_pod::patch::{PatchKind, apply_to_json};
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((document, patch)) = text.split_once('\n') else { return };
    for kind in [PatchKind::Json, PatchKind::Merge, PatchKind::Strategic] {
        if let Ok(result) = apply_to_json(document, "v1", "Pod", kind, patch.as_bytes()) {
            let again = apply_to_json(&result, "v1", "Pod", PatchKind::Merge, b"{}").expect("a result is a document");
            assert_eq!(again, result, "a patch without anything changes nothing");
        }
    }
}

/// Decode, default, prepare, validate: what is valid is valid once it was written and read again.
pub(super) fn admission(data: &[u8]) {
    let Ok(mut object) = decode_json(data) else { return };
    windlass_pod::defaults::apply(&mut object);
    windlass_pod::strategy::prepare_for_create(&mut object);
    let violations = windlass_pod::validate(&object);
    let _ = windlass_pod::warnings::warnings(&object);
    let _ = windlass_pod::validate_update(&object, &object);
    let _ = windlass_pod::table::row(&object, windlass_pod::Time::from_unix_seconds(0));
    read(&object);
    let text = object.encode_json();
    let again = decode_json(text.as_bytes()).expect("what was written is read");
    assert_eq!(windlass_pod::validate(&again), violations, "it is as valid as before");
}

/// Reads what is valid in the types that cannot be wrong: they hold for everything that validation lets through.
fn read(object: &Object) {
    match object.clone() {
        Object::Pod(pod) => {
            if let Ok(pod) = Valid::new(*pod) {
                read_pod(pod.view());
            }
        }
        Object::Deployment(deployment) => {
            if let Ok(deployment) = Valid::new(*deployment) {
                let _ = (deployment.replicas(), deployment.selector());
                read_pod(deployment.template());
            }
        }
        Object::Service(service) => {
            if let Ok(service) = Valid::new(*service) {
                let _ = (service.service_type(), service.selector());
                for port in service.ports() {
                    let _ = (port.number(), port.protocol(), port.target(), port.node_port());
                }
            }
        }
        _ => {}
    }
}

fn read_pod(pod: PodView<'_>) {
    let _ = pod.restart_policy();
    for toleration in pod.tolerations() {
        let _ = (toleration.effect(), toleration.bears());
    }
    for container in pod.init_containers().chain(pod.containers()) {
        let _ = (container.name(), container.pull_policy(), container.is_sidecar());
        for port in container.ports() {
            let _ = (port.number(), port.host_port(), port.protocol());
        }
    }
}

/// Server-side apply, a configuration a line, by two managers in turns: what is applied is there, and applied again it
/// changes nothing.
pub(super) fn apply(data: &[u8]) {
    use windlass_pod::managed::{self, By};
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut live = None;
    for (index, config) in text.lines().take(6).enumerate() {
        let by = By::new(["ann", "bob"][index % 2], windlass_pod::Time::from_unix_seconds(0));
        let by = if index % 3 == 2 { by.forced() } else { by };
        let Ok(applied) = managed::apply(live.as_ref(), config.as_bytes(), &by) else { continue };
        let again = managed::apply(Some(&applied), config.as_bytes(), &by).expect("what was applied is applied again");
        assert_eq!(again.encode_json(), applied.encode_json(), "{config}");
        live = Some(applied);
    }
}
