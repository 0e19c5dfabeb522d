//! Which fields of a pod this agent carries out. Any other that is set stops the pod: nothing is silently ignored.
//!
//! Fields that mean nothing here are among the known ones with their reason: a scheduler or another controller has
//! already heeded them, or they concern something that these nodes do not have.

use serde_json::Value;
use windlass_pod::kinds::{
    Container, ContainerPort, ObjectMeta, Pod, PodSecurityContext, PodSpec, PodStatus, ResourceRequirements,
    SecurityContext,
};

/// The paths of the fields that are set and not carried out.
pub(super) fn unsupported(pod: &Pod) -> Vec<String> {
    let mut rest = pod.clone();
    rest.metadata = ObjectMeta::default();
    rest.status = PodStatus::default();
    let mut found = Vec::new();
    for (list, containers) in
        [("containers", &mut rest.spec.containers), ("initContainers", &mut rest.spec.init_containers)]
    {
        for (index, container) in containers.iter_mut().enumerate() {
            clear_container(container);
            let alone = Pod {
                spec: PodSpec { containers: vec![container.clone()], ..Default::default() },
                ..Default::default()
            };
            let paths = set_paths(&alone, "/spec/containers/0");
            found.extend(paths.into_iter().map(|path| format!("spec.{list}[{index}].{path}")));
        }
    }
    clear_spec(&mut rest.spec);
    found.extend(set_paths(&rest, "/spec").into_iter().map(|path| format!("spec.{path}")));
    found
}

/// Unsets what is carried out and what means nothing here.
fn clear_spec(spec: &mut PodSpec) {
    spec.containers.clear();
    spec.init_containers.clear();
    // Volumes say themselves which kinds they know, for only those that are mounted matter.
    spec.volumes.clear();
    spec.hostname = None;
    spec.restart_policy = None;
    spec.share_process_namespace = None;
    spec.termination_grace_period_seconds = None;
    spec.enable_service_links = None;
    spec.active_deadline_seconds = None;
    spec.readiness_gates.clear();
    // Heeded by the scheduler.
    spec.node_name = None;
    spec.node_selector.clear();
    spec.affinity = None;
    spec.tolerations.clear();
    spec.topology_spread_constraints.clear();
    spec.scheduling_gates.clear();
    spec.scheduler_name = None;
    spec.priority = None;
    spec.priority_class_name = None;
    spec.preemption_policy = None;
    spec.overhead.clear();
    // There is no name server, no account and no registry to log in to.
    spec.dns_policy = None;
    spec.service_account = None;
    spec.service_account_name = None;
    spec.automount_service_account_token = None;
    spec.image_pull_secrets.clear();
    for host in [&mut spec.host_network, &mut spec.host_pid, &mut spec.host_ipc] {
        if *host == Some(false) {
            *host = None;
        }
    }
    if let Some(context) = spec.security_context.as_deref_mut() {
        context.run_as_user = None;
        context.run_as_group = None;
        context.run_as_non_root = None;
        context.supplemental_groups.clear();
        context.seccomp_profile = None;
    }
    if spec.security_context.as_deref().is_some_and(|context| *context == PodSecurityContext::default()) {
        spec.security_context = None;
    }
}

fn clear_container(container: &mut Container) {
    let known = Container {
        liveness_probe: container.liveness_probe.take(),
        readiness_probe: container.readiness_probe.take(),
        startup_probe: container.startup_probe.take(),
        ..Default::default()
    };
    // A probe by gRPC is the one that nobody here can perform.
    let probes = [known.liveness_probe, known.readiness_probe, known.startup_probe];
    let grpc = probes.into_iter().flatten().find(|probe| probe.grpc.is_some());
    container.name = None;
    container.image = None;
    container.image_pull_policy = None;
    container.command.clear();
    container.args.clear();
    container.env.clear();
    container.env_from.clear();
    container.working_dir = None;
    container.resources = ResourceRequirements::default();
    container.lifecycle = None;
    container.restart_policy = None;
    container.volume_mounts.clear();
    // Only where a container can be resized would its policy matter.
    container.resize_policy.clear();
    // Nobody reads the message: its path is the default or does no harm.
    container.termination_message_path = None;
    container.termination_message_policy = None;
    for port in &mut container.ports {
        port.name = None;
        port.container_port = None;
        port.protocol = None;
    }
    container.ports.retain(|port| *port != ContainerPort::default());
    for flag in [&mut container.stdin, &mut container.stdin_once, &mut container.tty] {
        if *flag == Some(false) {
            *flag = None;
        }
    }
    if let Some(context) = container.security_context.as_deref_mut() {
        clear_context(context);
    }
    if container.security_context.as_deref().is_some_and(|context| *context == SecurityContext::default()) {
        container.security_context = None;
    }
    container.liveness_probe = grpc;
}

fn clear_context(context: &mut SecurityContext) {
    context.run_as_user = None;
    context.run_as_group = None;
    context.run_as_non_root = None;
    context.read_only_root_filesystem = None;
    context.allow_privilege_escalation = None;
    context.capabilities = None;
    context.seccomp_profile = None;
    if context.privileged == Some(false) {
        context.privileged = None;
    }
}

/// The names below `pointer` that hold anything.
fn set_paths(pod: &Pod, pointer: &str) -> Vec<String> {
    let json = windlass_pod::encode_json(pod);
    let value: Value = serde_json::from_slice(json.as_ref()).expect("the encoder writes JSON");
    let Some(Value::Object(fields)) = value.pointer(pointer) else { return Vec::new() };
    fields.iter().filter(|(_, value)| !is_empty(value)).map(|(name, _)| name.clone()).collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
