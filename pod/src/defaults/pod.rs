//! Pods and their containers.

use super::image::pull_policy;
use super::{list, number, text, text_if_unset, value, volume};
use crate::kinds::{
    Container, EnvVar, EphemeralContainer, HTTPGetAction, Lifecycle, Pod, PodIP, PodSpec, PodTemplateSpec, Probe,
    ResourceRequirements,
};
use crate::resources::{self, ResourceList};
use crate::wire::text::Text as _;

/// A pod of its own; what a template of a workload does not get is filled in here.
pub(super) fn pod(pod: &mut Pod) {
    for container in pod.spec.containers.iter_mut().chain(&mut pod.spec.init_containers) {
        requests_from_limits(&mut container.resources);
    }
    pod_level_requests(&mut pod.spec);
    value(&mut pod.spec.enable_service_links, true);
    if pod.spec.host_network == Some(true) {
        for container in pod.spec.containers.iter_mut().chain(&mut pod.spec.init_containers) {
            for port in &mut container.ports {
                if port.host_port.unwrap_or(0) == 0 {
                    port.host_port = port.container_port;
                }
            }
        }
    }
    spec(&mut pod.spec);
    // Of a pod alone: templates keep what they were given.
    if pod.spec.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0) {
        pod.spec.termination_grace_period_seconds = Some(1);
    }
    if pod.status.pod_ips.is_empty()
        && let Some(ip) = pod.status.pod_ip.clone().filter(|ip| !ip.is_empty())
    {
        pod.status.pod_ips.push(PodIP { ip: Some(ip), ..PodIP::default() });
    }
}

pub(super) fn template(template: &mut PodTemplateSpec) {
    spec(&mut template.spec);
}

fn requests_from_limits(resources: &mut ResourceRequirements) {
    for (name, limit) in &resources.limits {
        resources.requests.entry(name.clone()).or_insert_with(|| limit.clone());
    }
}

/// Requests for the pod as a whole: those of its containers, or else its limits.
fn pod_level_requests(spec: &mut PodSpec) {
    let from_containers = resources::container_requests(spec);
    let limits_of_containers = resources::container_limits(spec);
    let Some(own) = &mut spec.resources else { return };
    let is_huge = |name: &str| name.starts_with("hugepages-");
    let fill = |total: &mut ResourceList, from: &ResourceList, takes: &dyn Fn(&str) -> bool| {
        for (name, amount) in from.iter().filter(|(name, _)| resources::is_pod_level(name) && takes(name)) {
            total.entry(name.clone()).or_insert_with(|| amount.clone());
        }
    };
    if !own.limits.is_empty() || !own.requests.is_empty() {
        fill(&mut own.limits, &limits_of_containers, &is_huge);
    }
    if !own.limits.is_empty() {
        fill(&mut own.requests, &from_containers, &|name| !is_huge(name));
        let limits = own.limits.clone();
        fill(&mut own.requests, &limits, &|_| true);
    }
}

pub(super) fn spec(spec: &mut PodSpec) {
    text(&mut spec.dns_policy, "ClusterFirst");
    text(&mut spec.restart_policy, "Always");
    value(&mut spec.security_context, Box::default());
    value(&mut spec.termination_grace_period_seconds, 30);
    text(&mut spec.scheduler_name, "default-scheduler");
    service_account(spec);
    spec.volumes.iter_mut().for_each(volume::volume);
    spec.init_containers.iter_mut().for_each(container);
    spec.containers.iter_mut().for_each(container);
    spec.ephemeral_containers.iter_mut().for_each(ephemeral_container);
    list(&mut spec.overhead);
    if let Some(own) = &mut spec.resources {
        resource_requirements(own);
    }
}

/// The account has two names: the field that was first, and the one that counts.
fn service_account(spec: &mut PodSpec) {
    if spec.service_account_name.text().is_empty() {
        spec.service_account_name.clone_from(&spec.service_account);
    }
    spec.service_account = spec.service_account_name.clone().filter(|name| !name.is_empty());
}

fn resource_requirements(resources: &mut ResourceRequirements) {
    list(&mut resources.limits);
    list(&mut resources.requests);
}

fn container(container: &mut Container) {
    let policy = pull_policy(container.image.text());
    text(&mut container.image_pull_policy, policy);
    text(&mut container.termination_message_path, "/dev/termination-log");
    text(&mut container.termination_message_policy, "File");
    for port in &mut container.ports {
        text(&mut port.protocol, "TCP");
    }
    container.env.iter_mut().for_each(env);
    resource_requirements(&mut container.resources);
    let probes = [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
    probes.into_iter().flatten().for_each(|one| probe(one));
    if let Some(hooks) = &mut container.lifecycle {
        lifecycle(hooks);
    }
}

fn ephemeral_container(container: &mut EphemeralContainer) {
    let policy = pull_policy(container.image.text());
    text(&mut container.image_pull_policy, policy);
    text(&mut container.termination_message_path, "/dev/termination-log");
    text(&mut container.termination_message_policy, "File");
    for port in &mut container.ports {
        text(&mut port.protocol, "TCP");
    }
    container.env.iter_mut().for_each(env);
    resource_requirements(&mut container.resources);
    let probes = [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
    probes.into_iter().flatten().for_each(|one| probe(one));
    if let Some(hooks) = &mut container.lifecycle {
        lifecycle(hooks);
    }
}

fn env(variable: &mut EnvVar) {
    let Some(source) = &mut variable.value_from else { return };
    if let Some(field) = &mut source.field_ref {
        text(&mut field.api_version, "v1");
    }
    if let Some(file) = &mut source.file_key_ref {
        value(&mut file.optional, false);
    }
}

fn probe(probe: &mut Probe) {
    number(&mut probe.timeout_seconds, 1);
    number(&mut probe.period_seconds, 10);
    number(&mut probe.success_threshold, 1);
    number(&mut probe.failure_threshold, 3);
    if let Some(get) = &mut probe.http_get {
        http_get(get);
    }
    if let Some(grpc) = &mut probe.grpc {
        text_if_unset(&mut grpc.service, "");
    }
}

fn http_get(get: &mut HTTPGetAction) {
    text(&mut get.path, "/");
    text(&mut get.scheme, "HTTP");
}

fn lifecycle(hooks: &mut Lifecycle) {
    for hook in [&mut hooks.post_start, &mut hooks.pre_stop].into_iter().flatten() {
        if let Some(get) = &mut hook.http_get {
            http_get(get);
        }
    }
}
