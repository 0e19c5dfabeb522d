//! Containers.

use std::collections::BTreeSet;

use super::at::At;
use super::env;
use super::meta::{each, one_of, one_of_word, port_number};
use super::probe;
use super::resources::{Level, requirements};
use super::security::{self, Users};
use super::service::PROTOCOLS;
use super::volume::{Known, descending_path, has_backsteps};
use crate::kinds::{Container, ContainerPort, ContainerResizePolicy, PodSpec, VolumeMount};
use crate::names;
use crate::status::is_sidecar;
use crate::violation::Violations;
use crate::wire::text::Text as _;

/// What containers refer to in their pod.
pub(super) struct Context<'a> {
    pub(super) spec: &'a PodSpec,
    pub(super) volumes: Known<'a>,
    pub(super) claims: BTreeSet<&'a str>,
    pub(super) grace: i64,
    pub(super) users: Users,
}

pub(super) fn regular(context: &Context<'_>, at: &At<'_>, out: &mut Violations) {
    let containers = &context.spec.containers;
    if containers.is_empty() {
        return out.required(at, "");
    }
    let mut seen = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        let at = at.index(index);
        common(container, context, &at, out);
        if !seen.insert(container.name.text()) {
            out.duplicate(at.field("name"), container.name.text());
        }
        long_running(container, context, &at, out);
    }
    let mut ports = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        host_ports(container, &mut ports, &at.index(index), out);
    }
}

pub(super) fn init(context: &Context<'_>, at: &At<'_>, out: &mut Violations) {
    let mut seen: BTreeSet<&str> = context.spec.containers.iter().map(|container| container.name.text()).collect();
    for (index, container) in context.spec.init_containers.iter().enumerate() {
        let list = at;
        let at = at.index(index);
        common(container, context, &at, out);
        // Other restart policies of containers are dropped before they are looked at: their gate is off by default.
        let name = container.name.text();
        if seen.contains(name) {
            out.duplicate(at.field("name"), name);
        } else if !name.is_empty() {
            seen.insert(name);
        }
        // Init containers run one by one; the original counts each as the first of its list.
        host_ports(container, &mut BTreeSet::new(), &list.index(0), out);
        if is_sidecar(container) {
            long_running(container, context, &at, out);
            continue;
        }
        for (field, set) in [
            ("lifecycle", container.lifecycle.is_some()),
            ("livenessProbe", container.liveness_probe.is_some()),
            ("readinessProbe", container.readiness_probe.is_some()),
            ("startupProbe", container.startup_probe.is_some()),
        ] {
            if set {
                out.forbidden(at.field(field), "may not be set for init containers without restartPolicy=Always");
            }
        }
    }
}

/// What init containers that run to their end do not have.
fn long_running(container: &Container, context: &Context<'_>, at: &At<'_>, out: &mut Violations) {
    if let Some(hooks) = &container.lifecycle {
        probe::lifecycle(hooks, context.grace, &at.field("lifecycle"), out);
    }
    let (liveness, readiness, startup) =
        (container.liveness_probe.as_deref(), container.readiness_probe.as_deref(), container.startup_probe.as_deref());
    probe::probes(liveness, readiness, startup, context.grace, at, out);
}

fn common(container: &Container, context: &Context<'_>, at: &At<'_>, out: &mut Violations) {
    let name = container.name.text();
    if name.is_empty() {
        out.required(at.field("name"), "");
    } else {
        each(&at.field("name"), name, names::dns1123_label(name), out);
    }
    if container.image.text().is_empty() {
        out.required(at.field("image"), "");
    }
    let policies = ["File", "FallbackToLogsOnError"];
    one_of(container.termination_message_policy.as_deref(), &policies, &at.field("terminationMessagePolicy"), out);
    ports(&container.ports, &at.field("ports"), out);
    env::env(&container.env, &at.field("env"), out);
    env::env_from(&container.env_from, &at.field("envFrom"), out);
    mounts(container, &context.volumes, &at.field("volumeMounts"), out);
    devices(container, &context.volumes, &at.field("volumeDevices"), out);
    let pulls = ["Always", "IfNotPresent", "Never"];
    one_of(container.image_pull_policy.as_deref(), &pulls, &at.field("imagePullPolicy"), out);
    requirements(&container.resources, Level::Container, &context.claims, &at.field("resources"), out);
    resize(&container.resize_policy, context.spec.restart_policy.text(), &at.field("resizePolicy"), out);
    if let Some(security) = &container.security_context {
        security::container(security, context.users, &at.field("securityContext"), out);
    }
}

fn ports(ports: &[ContainerPort], at: &At<'_>, out: &mut Violations) {
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let at = at.index(index);
        let name = port.name.text();
        if !name.is_empty() {
            let messages = names::port_name(name);
            if messages.is_empty() && !seen.insert(name) {
                out.duplicate(at.field("name"), name);
            }
            each(&at.field("name"), name, messages, out);
        }
        match port.container_port.unwrap_or(0) {
            0 => out.required(at.field("containerPort"), ""),
            number => port_number(number, &at.field("containerPort"), out),
        }
        if let Some(number) = port.host_port.filter(|number| *number != 0) {
            port_number(number, &at.field("hostPort"), out);
        }
        one_of(port.protocol.as_deref(), &PROTOCOLS, &at.field("protocol"), out);
    }
}

fn host_ports(container: &Container, seen: &mut BTreeSet<String>, at: &At<'_>, out: &mut Violations) {
    let at = at.field("ports");
    for (index, port) in container.ports.iter().enumerate() {
        let Some(number) = port.host_port.filter(|number| *number != 0) else { continue };
        let key = format!("{}/{}/{number}", port.protocol.text(), port.host_ip.text());
        if seen.contains(&key) {
            out.duplicate(at.index(index).field("hostPort"), &key);
        }
        seen.insert(key);
    }
}

fn mounts(container: &Container, volumes: &Known<'_>, at: &At<'_>, out: &mut Violations) {
    let mut seen = BTreeSet::new();
    for (index, mount) in container.volume_mounts.iter().enumerate() {
        let indexed = at.index(index);
        let (name, path) = (mount.name.text(), mount.mount_path.text());
        if name.is_empty() {
            out.required(indexed.field("name"), "");
        }
        if !volumes.contains_key(name) {
            out.not_found(indexed.field("name"), name);
        }
        if path.is_empty() {
            out.required(indexed.field("mountPath"), "");
        }
        if !seen.insert(path) {
            out.invalid(indexed.field("mountPath"), path, "must be unique");
        }
        if container.volume_devices.iter().any(|device| device.name.text() == name) {
            out.invalid(indexed.field("name"), name, "must not already exist in volumeDevices");
        }
        if container.volume_devices.iter().any(|device| device.device_path.text() == path) {
            out.invalid(indexed.field("mountPath"), path, "must not already exist as a path in volumeDevices");
        }
        let (sub_path, expression) = (mount.sub_path.text(), mount.sub_path_expr.text());
        descending_path(sub_path, &at.field("subPath"), out);
        if !sub_path.is_empty() && !expression.is_empty() {
            let detail = "subPathExpr and subPath are mutually exclusive";
            out.invalid(indexed.field("subPathExpr"), expression, detail);
        }
        descending_path(expression, &at.field("subPathExpr"), out);
        propagation(container, mount, at, out);
    }
}

fn propagation(container: &Container, mount: &VolumeMount, at: &At<'_>, out: &mut Violations) {
    if let Some(propagation) = &mount.mount_propagation {
        let at = at.field("mountPropagation");
        one_of_word(propagation, &["Bidirectional", "HostToContainer", "None"], &at, out);
        let privileged = container.security_context.as_ref().is_some_and(|context| context.privileged == Some(true));
        if propagation == "Bidirectional" && !privileged {
            out.forbidden(at, "Bidirectional mount propagation is available only to privileged containers");
        }
    }
    let at = at.field("recursiveReadOnly");
    match mount.recursive_read_only.as_deref() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if mount.read_only != Some(true) {
                out.forbidden(at, "may only be specified when readOnly is true");
            }
            if mount.mount_propagation.as_deref().is_some_and(|propagation| propagation != "None") {
                out.forbidden(at, "may only be specified when mountPropagation is None or not specified");
            }
        }
        Some(other) => out.not_supported(at, other, &["Disabled", "Enabled", "IfPossible"]),
    }
}

fn devices(container: &Container, volumes: &Known<'_>, at: &At<'_>, out: &mut Violations) {
    let (mut names_seen, mut paths_seen) = (BTreeSet::new(), BTreeSet::new());
    for (index, device) in container.volume_devices.iter().enumerate() {
        let at = at.index(index);
        let (name, path) = (device.name.text(), device.device_path.text());
        if name.is_empty() {
            out.required(at.field("name"), "");
        }
        if names_seen.contains(name) {
            out.invalid(at.field("name"), name, "must be unique");
        }
        match volumes.get(name) {
            None => out.not_found(at.field("name"), name),
            Some(volume) if volume.persistent_volume_claim.is_none() && volume.ephemeral.is_none() => {
                let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                out.invalid(at.field("name"), name, detail);
            }
            Some(_) => {}
        }
        if path.is_empty() {
            out.required(at.field("devicePath"), "");
        }
        if paths_seen.contains(path) {
            out.invalid(at.field("devicePath"), path, "must be unique");
        }
        if has_backsteps(path) {
            out.invalid(at.field("devicePath"), path, "can not contain backsteps ('..')");
        } else {
            paths_seen.insert(path);
        }
        if container.volume_mounts.iter().any(|mount| mount.name.text() == name) {
            out.invalid(at.field("name"), name, "must not already exist in volumeMounts");
        }
        if container.volume_mounts.iter().any(|mount| mount.mount_path.text() == path) {
            out.invalid(at.field("devicePath"), path, "must not already exist as a path in volumeMounts");
        }
        if !name.is_empty() {
            names_seen.insert(name);
        }
    }
}

fn resize(policies: &[ContainerResizePolicy], restart_policy: &str, at: &At<'_>, out: &mut Violations) {
    let mut seen = BTreeSet::new();
    for (index, policy) in policies.iter().enumerate() {
        let (name, restart) = (policy.resource_name.text(), policy.restart_policy.text());
        if !seen.insert(name) {
            out.duplicate(at.index(index), name);
        }
        one_of(policy.resource_name.as_deref(), &["cpu", "memory"], at, out);
        one_of(policy.restart_policy.as_deref(), &["NotRequired", "RestartContainer"], at, out);
        if restart_policy == "Never" && restart != "NotRequired" {
            out.invalid(at, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'");
        }
    }
}
