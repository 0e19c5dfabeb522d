//! Pods and the templates they are made from.

use std::collections::BTreeSet;

use super::at::At;
use super::container::{self, Context};
use super::meta::{Scope, annotations, each, labels, object_meta, one_of, one_of_word};
use super::resources::{self, Level};
use super::scheduling;
use super::security::{self, Users};
use super::volume;
use crate::kinds::{HostAlias, ObjectMeta, Pod, PodDNSConfig, PodSpec, PodTemplateSpec, ResourceRequirements};
use crate::names;
use crate::violation::Violations;
use crate::wire::text::Text as _;

/// What a specification belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Pod,
    Template,
}

pub(super) fn metadata_and_spec(pod: &Pod, out: &mut Violations) {
    object_meta(&pod.metadata, Scope::Namespaced, names::dns1123_subdomain, out);
    let root = At::root();
    let at = root.field("spec");
    let kept = without_image_volumes(&pod.spec);
    let own = kept.as_ref().unwrap_or(&pod.spec);
    spec(own, Some(&pod.metadata), Owner::Pod, &at, out);
    only_for_pods(own, &at, out);
}

pub(super) fn pod(pod: &Pod, out: &mut Violations) {
    metadata_and_spec(pod, out);
    let root = At::root();
    let at = root.field("spec");
    if !pod.spec.ephemeral_containers.is_empty() {
        out.forbidden(at.field("ephemeralContainers"), "cannot be set on create");
    }
    if !pod.spec.node_name.text().is_empty() && !pod.spec.scheduling_gates.is_empty() {
        out.forbidden(at.field("nodeName"), "cannot be set until all schedulingGates have been cleared");
    }
}

/// Rules that templates were never held to.
fn only_for_pods(spec: &PodSpec, at: &At<'_>, out: &mut Violations) {
    if spec.service_account_name.text().is_empty() {
        let volumes = at.field("volumes");
        for (index, volume) in spec.volumes.iter().enumerate() {
            let volume_at = volumes.index(index);
            let projected = volume_at.field("projected");
            let sources = projected.field("sources");
            let tokens = volume.projected.iter().flat_map(|one| &one.sources).enumerate();
            for (index, _) in tokens.filter(|(_, source)| source.service_account_token.is_some()) {
                let at = sources.index(index);
                let detail = "must not be specified when serviceAccountName is not set";
                out.forbidden(at.field("serviceAccountToken"), detail);
            }
        }
    }
    for (field, containers) in [("containers", &spec.containers), ("initContainers", &spec.init_containers)] {
        let at = at.field(field);
        for (index, container) in containers.iter().enumerate() {
            let image = container.image.text();
            if image.trim() != image {
                let detail = "must not have leading or trailing whitespace";
                out.invalid(at.index(index).field("image"), image, detail);
            }
        }
    }
}

pub(super) fn template(template: &PodTemplateSpec, at: &At<'_>, out: &mut Violations) {
    // The original leaves `metadata` out of these paths.
    labels(&template.metadata.labels, &at.field("labels"), out);
    annotations(&template.metadata.annotations, &at.field("annotations"), out);
    let spec_at = at.field("spec");
    let kept = without_image_volumes(&template.spec);
    spec(kept.as_ref().unwrap_or(&template.spec), None, Owner::Template, &spec_at, out);
    if !template.spec.ephemeral_containers.is_empty() {
        out.forbidden(spec_at.field("ephemeralContainers"), "ephemeral containers not allowed in pod template");
    }
}

/// A specification without image volumes and their mounts: their gate is off by default, so the server drops them
/// before it looks at the rest.
fn without_image_volumes(spec: &PodSpec) -> Option<PodSpec> {
    let dropped: BTreeSet<&str> =
        spec.volumes.iter().filter(|volume| volume.image.is_some()).map(|volume| volume.name.text()).collect();
    if dropped.is_empty() {
        return None;
    }
    let mut kept = spec.clone();
    kept.volumes.retain(|volume| volume.image.is_none());
    for container in kept.containers.iter_mut().chain(&mut kept.init_containers) {
        container.volume_mounts.retain(|mount| !dropped.contains(mount.name.text()));
    }
    Some(kept)
}

fn spec(spec: &PodSpec, meta: Option<&ObjectMeta>, owner: Owner, at: &At<'_>, out: &mut Violations) {
    let volumes = volume::volumes(&spec.volumes, meta, &at.field("volumes"), out);
    let claims = resource_claims(spec, &at.field("resourceClaims"), out);
    let users = if spec.host_users == Some(false) { Users::Own } else { Users::Host };
    let grace = spec.termination_grace_period_seconds.unwrap_or(30);
    let context = Context { spec, volumes, claims, grace, users };
    container::regular(&context, &at.field("containers"), out);
    container::init(&context, &at.field("initContainers"), out);
    resources::pod_level(spec, &context.claims, &at.field("resources"), out);
    host_network(spec, owner, at, out);
    one_of(spec.restart_policy.as_deref(), &["Always", "OnFailure", "Never"], &at.field("restartPolicy"), out);
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    one_of(spec.dns_policy.as_deref(), &policies, &at.field("dnsPolicy"), out);
    labels(&spec.node_selector, &at.field("nodeSelector"), out);
    if let Some(security) = &spec.security_context {
        security::pod(security, spec, &at.field("securityContext"), out);
    }
    if let Some(affinity) = &spec.affinity {
        scheduling::affinity(affinity, &at.field("affinity"), out);
    }
    dns_config(spec.dns_config.as_deref(), spec.dns_policy.text(), &at.field("dnsConfig"), out);
    gates(spec, at, out);
    scheduling::topology_spread(&spec.topology_spread_constraints, &at.field("topologySpreadConstraints"), out);
    host_process(spec, at, out);
    identity(spec, at, out);
    scheduling::tolerations(&spec.tolerations, &at.field("tolerations"), out);
    host_aliases(&spec.host_aliases, &at.field("hostAliases"), out);
    overhead(spec, at, out);
    operating_system(spec, at, out);
}

fn resource_claims<'a>(spec: &'a PodSpec, at: &At<'_>, out: &mut Violations) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    for (index, claim) in spec.resource_claims.iter().enumerate() {
        let at = at.index(index);
        let name = claim.name.text();
        if name.is_empty() {
            out.required(at.field("name"), "");
        } else if !seen.insert(name) {
            out.duplicate(at.field("name"), name);
        } else {
            each(&at.field("name"), name, names::dns1123_label(name), out);
        }
        let source = [
            ("resourceClaimName", &claim.resource_claim_name),
            ("resourceClaimTemplateName", &claim.resource_claim_template_name),
        ];
        for (field, name) in source {
            if let Some(name) = name {
                each(&at.field(field), name, names::dns1123_subdomain(name), out);
            }
        }
        match source.iter().filter(|(_, name)| name.is_some()).count() {
            0 => out.invalid(at, "", "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"),
            1 => {}
            _ => out.invalid(
                at,
                "",
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            ),
        }
    }
    seen
}

fn host_network(spec: &PodSpec, owner: Owner, at: &At<'_>, out: &mut Violations) {
    if spec.host_network != Some(true) {
        return;
    }
    let at = at.field("containers");
    for (index, container) in spec.containers.iter().enumerate() {
        let at = at.index(index);
        let at = at.field("ports");
        for (index, port) in container.ports.iter().enumerate() {
            let host = port.host_port.unwrap_or(0);
            let counts = owner == Owner::Pod || host != 0;
            if counts && host != port.container_port.unwrap_or(0) {
                let detail = "must match `containerPort` when `hostNetwork` is true";
                out.invalid_literal(at.index(index).field("hostPort"), host, detail);
            }
        }
    }
}

fn dns_config(config: Option<&PodDNSConfig>, policy: &str, at: &At<'_>, out: &mut Violations) {
    const NAMESERVERS_MAX: usize = 3;
    const SEARCHES_MAX: usize = 32;
    const SEARCHES_LENGTH_MAX: usize = 2048;
    if policy == "None" {
        match config {
            None => return out.required(at, "must provide `dnsConfig` when `dnsPolicy` is None"),
            Some(config) if config.nameservers.is_empty() => {
                let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
                out.required(at.field("nameservers"), detail);
            }
            Some(_) => {}
        }
    }
    let Some(config) = config else { return };
    let nameservers = at.field("nameservers");
    if config.nameservers.len() > NAMESERVERS_MAX {
        let value = super::meta::texts(&config.nameservers);
        out.invalid_literal(nameservers, value, format!("must not have more than {NAMESERVERS_MAX} nameservers"));
    }
    for (index, server) in config.nameservers.iter().enumerate() {
        each(&nameservers.index(index), server, names::legacy_ip(server), out);
    }
    let searches = at.field("searches");
    let value = || super::meta::texts(&config.searches);
    if config.searches.len() > SEARCHES_MAX {
        out.invalid_literal(searches, value(), format!("must not have more than {SEARCHES_MAX} search paths"));
    }
    if config.searches.join(" ").len() > SEARCHES_LENGTH_MAX {
        let detail =
            format!("must not have more than {SEARCHES_LENGTH_MAX} characters (including spaces) in the search list");
        out.invalid_literal(searches, value(), detail);
    }
    for (index, search) in config.searches.iter().enumerate().filter(|(_, search)| *search != ".") {
        let search = search.strip_suffix('.').unwrap_or(search);
        each(&searches.index(index), search, names::dns1123_subdomain_with_underscore(search), out);
    }
    for (index, _) in config.options.iter().enumerate().filter(|(_, option)| option.name.text().is_empty()) {
        out.required(at.field("options").index(index), "must not be empty");
    }
}

fn gates(spec: &PodSpec, at: &At<'_>, out: &mut Violations) {
    for (index, gate) in spec.readiness_gates.iter().enumerate() {
        let kind = gate.condition_type.text();
        let at = at.field("readinessGates");
        each(&at.index(index).field("conditionType"), kind, names::qualified_name(kind), out);
    }
    let at = at.field("schedulingGates");
    let mut seen = BTreeSet::new();
    for (index, gate) in spec.scheduling_gates.iter().enumerate() {
        let name = gate.name.text();
        each(&at.index(index), name, names::qualified_name(name), out);
        if !seen.insert(name) {
            out.duplicate(at.index(index), name);
        }
    }
}

/// Names and numbers of the pod as a whole.
fn identity(spec: &PodSpec, at: &At<'_>, out: &mut Violations) {
    let subdomain: fn(&str) -> Vec<String> = names::dns1123_subdomain;
    let label: fn(&str) -> Vec<String> = names::dns1123_label;
    for (field, value, rule) in [
        ("serviceAccountName", &spec.service_account_name, subdomain),
        ("nodeName", &spec.node_name, subdomain),
        ("hostname", &spec.hostname, label),
        ("subdomain", &spec.subdomain, label),
        ("priorityClassName", &spec.priority_class_name, subdomain),
    ] {
        if !value.text().is_empty() {
            each(&at.field(field), value.text(), rule(value.text()), out);
        }
    }
    if let Some(class) = &spec.runtime_class_name {
        each(&at.field("runtimeClassName"), class, names::dns1123_subdomain(class), out);
    }
    if let Some(seconds) = spec.active_deadline_seconds.filter(|seconds| !(1..=i64::from(i32::MAX)).contains(seconds)) {
        let detail = "must be between 1 and 2147483647, inclusive";
        out.invalid_literal(at.field("activeDeadlineSeconds"), seconds, detail);
    }
    if spec.preemption_policy.is_some() {
        one_of(
            spec.preemption_policy.as_deref(),
            &["PreemptLowerPriority", "Never"],
            &at.field("preemptionPolicy"),
            out,
        );
    }
}

fn host_aliases(aliases: &[HostAlias], at: &At<'_>, out: &mut Violations) {
    for (index, alias) in aliases.iter().enumerate() {
        let at = at.index(index);
        let ip = alias.ip.text();
        each(&at.field("ip"), ip, names::legacy_ip(ip), out);
        let hostnames = at.field("hostnames");
        for (index, name) in alias.hostnames.iter().enumerate() {
            each(&hostnames.index(index), name, names::dns1123_subdomain(name), out);
        }
    }
}

fn overhead(spec: &PodSpec, at: &At<'_>, out: &mut Violations) {
    if !spec.overhead.is_empty() {
        let limits = ResourceRequirements { limits: spec.overhead.clone(), ..ResourceRequirements::default() };
        resources::requirements(&limits, Level::Container, &BTreeSet::new(), &at.field("overhead"), out);
    }
}

fn operating_system(spec: &PodSpec, at: &At<'_>, out: &mut Violations) {
    let Some(os) = &spec.os else { return };
    match os.name.text() {
        "" => out.required(at.field("os").field("name"), ""),
        "linux" => linux(spec, at, out),
        "windows" => windows(spec, at, out),
        other => one_of_word(other, &["linux", "windows"], &at.field("os"), out),
    }
}

/// Containers that are processes of a Windows host: all of the pod's are, or none.
fn host_process(spec: &PodSpec, at: &At<'_>, out: &mut Violations) {
    let of_pod = spec.security_context.as_ref().and_then(|context| context.windows_options.as_ref()?.host_process);
    let (mut all, mut of_host) = (0, 0);
    for (field, containers) in [("initContainers", &spec.init_containers), ("containers", &spec.containers)] {
        let at = at.field(field);
        for (index, container) in containers.iter().enumerate() {
            all += 1;
            let own =
                container.security_context.as_ref().and_then(|context| context.windows_options.as_ref()?.host_process);
            if let (Some(of_pod), Some(own)) = (of_pod, own)
                && of_pod != own
            {
                let detail = format!("pod hostProcess value must be identical if both are specified, was {of_pod}");
                let at = at.index(index);
                let at = at.field("securityContext");
                out.invalid_literal(at.field("windowsOptions").field("hostProcess"), own, detail);
            }
            of_host += usize::from(own.or(of_pod) == Some(true));
        }
    }
    if of_host == 0 {
        return;
    }
    if of_host != all {
        let detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        out.invalid(at, "", detail);
    }
    if spec.host_network != Some(true) {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        out.invalid_literal(at.field("hostNetwork"), false, detail);
    }
}

fn linux(spec: &PodSpec, at: &At<'_>, out: &mut Violations) {
    let detail = "windows options cannot be set for a linux pod";
    if spec.security_context.as_ref().is_some_and(|context| context.windows_options.is_some()) {
        out.forbidden(at.field("securityContext").field("windowsOptions"), detail);
    }
    for (field, containers) in [("containers", &spec.containers), ("initContainers", &spec.init_containers)] {
        let at = at.field(field);
        for (index, container) in containers.iter().enumerate() {
            if container.security_context.as_ref().is_some_and(|context| context.windows_options.is_some()) {
                let at = at.index(index);
                out.forbidden(at.field("securityContext").field("windowsOptions"), detail);
            }
        }
    }
}

fn windows(spec: &PodSpec, at: &At<'_>, out: &mut Violations) {
    let detail = "cannot be set for a windows pod";
    for (field, set) in [
        ("hostPID", spec.host_pid == Some(true)),
        ("hostIPC", spec.host_ipc == Some(true)),
        ("hostUsers", spec.host_users.is_some()),
    ] {
        if set {
            out.forbidden(at.field(field), detail);
        }
    }
    if let Some(context) = &spec.security_context {
        let at = at.field("securityContext");
        for (field, set) in [
            ("appArmorProfile", context.app_armor_profile.is_some()),
            ("seLinuxOptions", context.se_linux_options.is_some()),
            ("seccompProfile", context.seccomp_profile.is_some()),
            ("fsGroup", context.fs_group.is_some()),
            ("fsGroupChangePolicy", context.fs_group_change_policy.is_some()),
            ("sysctls", !context.sysctls.is_empty()),
            ("runAsUser", context.run_as_user.is_some()),
            ("runAsGroup", context.run_as_group.is_some()),
            ("supplementalGroups", !context.supplemental_groups.is_empty()),
            ("supplementalGroupsPolicy", context.supplemental_groups_policy.is_some()),
        ] {
            if set {
                out.forbidden(at.field(field), detail);
            }
        }
        if spec.share_process_namespace.is_some() {
            out.forbidden(at.field("shareProcessNamespace"), detail);
        }
    }
    for (field, containers) in [("containers", &spec.containers), ("initContainers", &spec.init_containers)] {
        let at = at.field(field);
        for (index, container) in containers.iter().enumerate() {
            let at = at.index(index);
            if let Some(context) = &container.security_context {
                windows_container(context, &at.field("securityContext"), out);
            }
        }
    }
}

fn windows_container(context: &crate::kinds::SecurityContext, at: &At<'_>, out: &mut Violations) {
    for (field, set) in [
        ("appArmorProfile", context.app_armor_profile.is_some()),
        ("seLinuxOptions", context.se_linux_options.is_some()),
        ("seccompProfile", context.seccomp_profile.is_some()),
        ("capabilities", context.capabilities.is_some()),
        ("readOnlyRootFilesystem", context.read_only_root_filesystem.is_some()),
        ("privileged", context.privileged.is_some()),
        ("allowPrivilegeEscalation", context.allow_privilege_escalation.is_some()),
        ("procMount", context.proc_mount.is_some()),
        ("runAsUser", context.run_as_user.is_some()),
        ("runAsGroup", context.run_as_group.is_some()),
    ] {
        if set {
            out.forbidden(at.field(field), "cannot be set for a windows pod");
        }
    }
}
