//! How each promised line is measured: one module a crate, one function a line.

#![expect(clippy::unnecessary_wraps, reason = "every line is prepared by a function of one signature")]

mod arena;
mod cgroups;
#[cfg(feature = "peers")]
mod cgroups_peers;
#[cfg(not(feature = "peers"))]
#[path = "cgroups_without_peers.rs"]
mod cgroups_peers;
mod image;
mod layers;
mod namespaces;
mod overlay;
mod pod;
mod pod_behaviour;
mod pod_cost;
mod pull;
mod runtime;
mod scheduler_core;

pub use arena::measure;

use crate::measure::{Contest, Skipped};

/// Prepares a line's contest; what it needs and this machine lacks is the reason for a skip.
pub type Prepare = fn() -> Result<Contest, Skipped>;

/// The lines that can be measured, by crate and name, in the order of `BUDGETS.toml`.
pub const LINES: [(&str, &str, Prepare); 84] = [
    ("namespaces", "spawn", namespaces::spawn),
    ("namespaces", "plain", namespaces::plain),
    ("namespaces", "lifecycle-crun", || arena::here("lifecycle-crun")),
    ("namespaces", "lifecycle-runc", || arena::here("lifecycle-runc")),
    ("namespaces", "lifecycle-floor", || arena::here("lifecycle-floor")),
    ("namespaces", "create", || arena::here("create")),
    ("namespaces", "start", || arena::here("start")),
    ("namespaces", "exec", || arena::here("exec")),
    ("namespaces", "delete", || arena::here("delete")),
    ("namespaces", "state", || arena::here("state")),
    ("namespaces", "library", || arena::here("library")),
    ("namespaces", "seccomp", || arena::here("seccomp")),
    ("namespaces", "calls", || arena::here("calls")),
    ("namespaces", "memory", || arena::here("memory")),
    ("namespaces", "hangs", || arena::here("hangs")),
    ("namespaces", "lifecycle-crun-v2", || arena::guest("lifecycle-crun")),
    ("namespaces", "lifecycle-floor-v2", || arena::guest("lifecycle-floor")),
    ("namespaces", "create-v2", || arena::guest("create")),
    ("namespaces", "start-v2", || arena::guest("start")),
    ("namespaces", "exec-v2", || arena::guest("exec")),
    ("namespaces", "delete-v2", || arena::guest("delete")),
    ("namespaces", "state-v2", || arena::guest("state")),
    ("cgroups", "stats", cgroups::stats),
    ("cgroups", "stats-cgroups-rs", cgroups_peers::stats_of_cgroups_rs),
    ("cgroups", "stats-libcgroups", cgroups_peers::stats_of_libcgroups),
    ("cgroups", "once", cgroups::once),
    ("cgroups", "once-cgroups-rs", cgroups_peers::once_of_cgroups_rs),
    ("cgroups", "lifecycle", cgroups::lifecycle),
    ("cgroups", "lifecycle-cgroups-rs", cgroups_peers::lifecycle_of_cgroups_rs),
    ("cgroups", "lifecycle-libcgroups", cgroups_peers::lifecycle_of_libcgroups),
    ("cgroups", "needed", cgroups::needed),
    ("cgroups", "filter", cgroups::filter),
    ("cgroups", "kill", cgroups::kill),
    ("overlay", "apply", overlay::apply),
    ("overlay", "container", overlay::container),
    ("overlay", "gzip-tar", layers::gzip),
    ("overlay", "gzip-umoci", layers::umoci),
    ("overlay", "gzip-podman", layers::podman),
    ("overlay", "zstd-tar", layers::zstd),
    ("overlay", "erofs-gzip", layers::erofs_gzip),
    ("overlay", "erofs-zstd", layers::erofs_zstd),
    ("overlay", "durable", layers::durable),
    ("overlay", "memory", layers::memory),
    ("overlay", "lowers", overlay::lowers),
    ("overlay", "tiny", overlay::tiny),
    ("overlay", "diff", overlay::diff),
    ("image", "reference", image::reference),
    ("image", "manifest", image::manifest),
    ("image", "layer", image::layer),
    ("image", "reference-time", image::reference_time),
    ("image", "manifest-rate", image::manifest_rate),
    ("image", "sha256", image::sha256),
    ("image", "pull-curl", pull::curl),
    ("image", "pull-skopeo", pull::skopeo),
    ("image", "pull-memory", pull::memory),
    ("image", "pull-gzip", pull::gzip),
    ("image", "pull-zstd", pull::zstd),
    ("image", "docker-archive", pull::archive),
    ("pod", "decode", pod::decode),
    ("pod", "decode-k8s-openapi", pod::decode_of_peer),
    ("pod", "decode-protobuf", pod::decode_protobuf_of_peer),
    ("pod", "decode-yaml", pod::decode_yaml_of_peer),
    ("pod", "admit", pod::admit),
    ("pod", "quantity", pod::quantity),
    ("pod", "quantity-parse", pod::quantity_parse),
    ("pod", "quantity-compare", pod::quantity_compare),
    ("pod", "selector", pod::selector),
    ("pod", "replication", pod_behaviour::replication),
    ("pod", "endpoints", pod_behaviour::endpoints),
    ("pod", "rbac", pod_behaviour::rbac),
    ("pod", "hostile-json", pod_cost::hostile_json),
    ("pod", "hostile-yaml", pod_cost::hostile_yaml),
    ("pod", "hostile-protobuf", pod_cost::hostile_protobuf),
    ("pod", "build", pod_cost::build),
    ("scheduler-core", "identical", scheduler_core::identical),
    ("scheduler-core", "classes", scheduler_core::classes),
    ("scheduler-core", "distinct", scheduler_core::distinct),
    ("scheduler-core", "distinct-100k", scheduler_core::distinct_of_many),
    ("scheduler-core", "hard-spread", scheduler_core::hard_spread),
    ("scheduler-core", "soft-spread", scheduler_core::soft_spread),
    ("scheduler-core", "anti-affinity", scheduler_core::anti_affinity),
    ("scheduler-core", "pod-affinity", scheduler_core::pod_affinity),
    ("scheduler-core", "preferred-anti-affinity", scheduler_core::preferred_anti_affinity),
    ("scheduler-core", "preemption", scheduler_core::preemption),
];

/// The preparation of a line.
pub fn find(subject: &str, line: &str) -> Option<Prepare> {
    LINES.iter().find(|(crate_name, name, _)| (*crate_name, *name) == (subject, line)).map(|(_, _, prepare)| *prepare)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget;

    #[test]
    fn promises_and_measurements_are_the_same_lines() {
        let budgets = budget::parse(budget::TEXT).unwrap();
        let promised: Vec<_> = budgets.promises.iter().map(|p| (p.subject.as_str(), p.line.as_str())).collect();
        let measured: Vec<_> = LINES.iter().map(|(subject, line, _)| (*subject, *line)).collect();
        assert_eq!(promised, measured);
    }
}
