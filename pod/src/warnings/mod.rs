//! What Kubernetes says about an object that it takes: fields that do nothing, names that surprise.
//!
//! Source: `WarningsOnCreate` of the strategies in `pkg/registry`.

mod address;
mod certificate;
mod pod;
mod ports;
mod volume;

use crate::kinds::{PersistentVolumeClaimSpec, PodTemplateSpec, Service};
use crate::names;
use crate::object::Object;
use crate::violation::quoted;
use crate::wire::text::Text as _;

const INDEXED_HUGE: &str = "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes and failedIndexes when a big number of indexes fail";
const STORAGE_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// The warnings about a new object, which should have its defaults and be
/// [prepared](crate::strategy::prepare_for_create).
///
/// ```
/// use windlass_pod::{decode_yaml, warnings::warnings};
///
/// let text = b"{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [], imagePullSecrets: [{}]}}";
/// let object = decode_yaml(text).unwrap().remove(0);
/// assert_eq!(warnings(&object), [r#"spec.imagePullSecrets[0].name: invalid empty name """#]);
/// ```
pub fn warnings(object: &Object) -> Vec<String> {
    let mut out = Vec::new();
    match object {
        Object::Pod(pod) => {
            name(object, "the Pod's hostname", &mut out);
            pod::spec(&pod.spec, &pod.metadata, "", &mut out);
        }
        Object::PodTemplate(template) => pod_template(&template.template, "template", &mut out),
        Object::ReplicationController(controller) => {
            name(object, "Pod names and hostnames", &mut out);
            if let Some(own) = &controller.spec.template {
                pod_template(own, "spec.template", &mut out);
            }
        }
        Object::ReplicaSet(set) => {
            name(object, "Pod names and hostnames", &mut out);
            pod_template(&set.spec.template, "spec.template", &mut out);
        }
        Object::Deployment(deployment) => {
            name(object, "Pod names and hostnames", &mut out);
            pod_template(&deployment.spec.template, "spec.template", &mut out);
        }
        Object::DaemonSet(set) => pod_template(&set.spec.template, "spec.template", &mut out),
        Object::StatefulSet(set) => {
            pod_template(&set.spec.template, "spec.template", &mut out);
            for (index, own) in set.spec.volume_claim_templates.iter().enumerate() {
                claim(&own.spec, &format!("spec.volumeClaimTemplates[{index}].spec"), &mut out);
            }
            if set.spec.revision_history_limit.is_some_and(|limit| limit < 0) {
                out.push("spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended".to_owned());
            }
        }
        Object::Job(own) => {
            name(object, "Pod names and hostnames", &mut out);
            job(&own.spec, "spec", &mut out);
        }
        Object::CronJob(own) => {
            name(object, "Pod names and hostnames", &mut out);
            job(&own.spec.job_template.spec, "spec.jobTemplate.spec", &mut out);
        }
        other => without_pods(other, &mut out),
    }
    out
}

fn without_pods(object: &Object, out: &mut Vec<String>) {
    match object {
        Object::Service(own) => service(own, out),
        Object::Secret(secret) if secret.type_.text() == "kubernetes.io/tls" => certificate::pair(secret, out),
        Object::PersistentVolumeClaim(own) => {
            if own.metadata.annotations.contains_key(STORAGE_CLASS) {
                out.push(format!(
                    "metadata.annotations[{STORAGE_CLASS}]: deprecated since v1.8; use \"storageClassName\" attribute instead"
                ));
            }
            claim(&own.spec, "spec", out);
        }
        Object::PersistentVolume(volume) => {
            if volume.metadata.annotations.contains_key(STORAGE_CLASS) {
                out.push(format!(
                    "metadata.annotations[{STORAGE_CLASS}]: deprecated since v1.8; use \"storageClassName\" attribute instead"
                ));
            }
            if volume.spec.persistent_volume_reclaim_policy.text() == "Recycle" {
                out.push("spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.".to_owned());
            }
        }
        Object::EndpointSlice(slice) => {
            let is_name = slice.address_type.text() == "FQDN";
            if is_name {
                out.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
            }
            for (index, endpoint) in slice.endpoints.iter().enumerate().filter(|_| !is_name) {
                for (place, text) in endpoint.addresses.iter().enumerate() {
                    address::ip(text, &format!("endpoints[{index}].addresses[{place}]"), out);
                }
            }
        }
        Object::Endpoints(own) => {
            for (index, subset) in own.subsets.iter().enumerate() {
                for (field, list) in
                    [("addresses", &subset.addresses), ("notReadyAddresses", &subset.not_ready_addresses)]
                {
                    for (place, one) in list.iter().enumerate() {
                        address::ip(one.ip.text(), &format!("subsets[{index}].{field}[{place}].ip"), out);
                    }
                }
            }
        }
        Object::Ingress(ingress) if ingress.metadata.annotations.contains_key("kubernetes.io/ingress.class") => {
            out.push(
                "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
                    .to_owned(),
            );
        }
        Object::ServiceAccount(account) => {
            let key = "kubernetes.io/enforce-mountable-secrets";
            if account.metadata.annotations.contains_key(key) {
                out.push(format!("metadata.annotations[{key}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"));
            }
        }
        _ => {}
    }
}

/// A name that makes other names should be a label of DNS.
fn name(object: &Object, of: &str, out: &mut Vec<String>) {
    let messages = names::dns1123_label(object.metadata().name.text());
    if !messages.is_empty() {
        out.push(format!(
            "metadata.name: this is used in {of}, which can result in surprising behavior; a DNS label is recommended: [{}]",
            messages.join(" ")
        ));
    }
}

fn pod_template(template: &PodTemplateSpec, at: &str, out: &mut Vec<String>) {
    pod::spec(&template.spec, &template.metadata, at, out);
}

fn job(spec: &crate::kinds::JobSpec, at: &str, out: &mut Vec<String>) {
    let indexed = spec.completion_mode.as_deref() == Some("Indexed");
    if indexed && spec.completions.unwrap_or(0) > 100_000 && spec.parallelism.unwrap_or(0) > 10_000 {
        out.push(format!("{at}: {INDEXED_HUGE}"));
    }
    pod_template(&spec.template, &format!("{at}.template"), out);
}

fn claim(spec: &PersistentVolumeClaimSpec, at: &str, out: &mut Vec<String>) {
    for (field, list) in [("limits", &spec.resources.limits), ("requests", &spec.resources.requests)] {
        pod::fractional(list, "storage", &format!("{at}.resources.{field}"), out);
    }
}

fn service(service: &Service, out: &mut Vec<String>) {
    let spec = &service.spec;
    let headless = spec.cluster_ips == ["None"];
    for (index, text) in spec.cluster_ips.iter().enumerate().filter(|_| !headless) {
        address::ip(text, &format!("spec.clusterIPs[{index}]"), out);
    }
    if headless {
        for (field, set) in [
            ("loadBalancerIP", !spec.load_balancer_ip.text().is_empty()),
            ("externalIPs", !spec.external_ips.is_empty()),
            ("SessionAffinity", spec.session_affinity.text() != "None"),
        ] {
            if set {
                out.push(format!("spec.{field} is ignored for headless services"));
            }
        }
    }
    for (index, text) in spec.external_ips.iter().enumerate() {
        address::ip(text, &format!("spec.externalIPs[{index}]"), out);
    }
    address::ip(spec.load_balancer_ip.text(), "spec.loadBalancerIP", out);
    for (index, text) in spec.load_balancer_source_ranges.iter().enumerate() {
        address::range(text, &format!("spec.loadBalancerSourceRanges[{index}]"), out);
    }
    if spec.type_.text() == "ExternalName" && !spec.external_ips.is_empty() {
        out.push(format!("spec.externalIPs is ignored when spec.type is {}", quoted("ExternalName")));
    }
}
