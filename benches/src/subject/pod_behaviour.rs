//! Decisions about Kubernetes objects.

use std::hint::black_box;
use std::time::Duration;

use windlass_pod::kinds::{
    ClusterRole, ClusterRoleBinding, ContainerStatus, Node, ObjectMeta, Pod, PodCondition, PodIP, PodSpec, PodStatus,
    PolicyRule, RoleBinding, RoleRef, Service, ServicePort, ServiceSpec, Subject,
};
use windlass_pod::rbac::{Action, Authorizer, Policy, Request};
use windlass_pod::replication::Decision;
use windlass_pod::{Time, endpoints, replication};

use super::pod::bounded;
use crate::measure::{Contest, Skipped};

/// When the pods are looked at.
const NOW: i64 = 1_750_000_000;

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// A running pod; they became ready at different times, two or three on each node.
fn pod(index: usize, restarts: i32) -> Pod {
    let step = i64::try_from(index).unwrap_or_default();
    let at = |seconds: i64| Some(Time::from_unix_seconds(NOW - 90_000 + seconds));
    let address = format!("10.{}.{}.{}", index >> 16, (index >> 8) & 255, index & 255);
    Pod {
        metadata: ObjectMeta {
            name: Some(format!("web-{index}")),
            namespace: text("default"),
            uid: Some(format!("{:08x}-0000-4000-8000-000000000000", index.wrapping_mul(2_654_435_761) & 0xffff_ffff)),
            labels: [("app".to_owned(), "web".to_owned())].into(),
            creation_timestamp: at(step),
            ..ObjectMeta::default()
        },
        spec: PodSpec { node_name: Some(format!("node-{}", index * 2 / 5)), ..PodSpec::default() },
        status: PodStatus {
            phase: text("Running"),
            conditions: vec![PodCondition {
                type_: text("Ready"),
                status: text(if restarts % 2 == 0 { "True" } else { "False" }),
                last_transition_time: at(step + 9 + i64::from(restarts)),
                ..PodCondition::default()
            }],
            container_statuses: vec![ContainerStatus { restart_count: Some(restarts), ..ContainerStatus::default() }],
            pod_ip: Some(address.clone()),
            pod_ips: vec![PodIP { ip: Some(address), ..PodIP::default() }],
            ..PodStatus::default()
        },
        ..Pod::default()
    }
}

/// Ten of 10,000 pods changed, and ten are too many.
pub(super) fn replication() -> Result<Contest, Skipped> {
    const PODS: usize = 10_000;
    let labels = [("app".to_owned(), "web".to_owned())].into();
    let mut index = replication::Index::new(&labels, Duration::from_secs(30));
    for number in 0..PODS {
        index.set(&pod(number, 0), number);
    }
    // Both states of those that change, so that nothing but the index is measured.
    let changing: Vec<[Pod; 2]> = (0..PODS).step_by(PODS / 10).map(|number| [pod(number, 1), pod(number, 2)]).collect();
    let (mut round, now) = (0, Time::from_unix_seconds(NOW));
    Ok(bounded(100, 50.0, move || {
        round += 1;
        for (number, states) in changing.iter().enumerate() {
            index.set(&states[round % 2], number * (PODS / 10));
        }
        black_box(index.counts(now));
        match index.decide(PODS - 10, now) {
            Decision::Delete(pods) if black_box(&pods).len() == 10 => Ok(()),
            other => Err(Skipped(format!("ten pods are to go: {other:?}"))),
        }
    }))
}

/// One of 5,000 pods is ready, or is not, and the slices of its service are told.
pub(super) fn endpoints() -> Result<Contest, Skipped> {
    const PODS: usize = 5_000;
    let service = Service {
        metadata: ObjectMeta { name: text("web"), namespace: text("default"), ..ObjectMeta::default() },
        spec: ServiceSpec {
            cluster_ip: text("10.96.0.9"),
            selector: [("app".to_owned(), "web".to_owned())].into(),
            ports: vec![ServicePort { port: Some(80), protocol: text("TCP"), ..ServicePort::default() }],
            ..ServiceSpec::default()
        },
        ..Service::default()
    };
    let node = Node::default();
    let mut index = endpoints::Index::new(&service, 100);
    for number in 0..PODS {
        index.set(&pod(number, 0), Some(&node)).map_err(Skipped::because("an endpoint"))?;
    }
    index.changes(None);
    let states = [pod(PODS / 2, 1), pod(PODS / 2, 2)];
    let mut round = 1;
    Ok(bounded(500, 20.0, move || {
        round += 1;
        index.set(&states[round % 2], Some(&node)).map_err(Skipped::because("an endpoint"))?;
        let changes = index.changes(Some(Time::from_unix_seconds(NOW)));
        match changes[..] {
            [endpoints::Change::Update(id)] if black_box(index.slice(id)).is_some() => Ok(()),
            _ => Err(Skipped(format!("one slice is to change: {changes:?}"))),
        }
    }))
}

/// A thousand bindings: of users, of groups and of service accounts, in ten namespaces and of the cluster. Who asks has
/// one of each, and is refused, so all of them are looked at.
pub(super) fn rbac() -> Result<Contest, Skipped> {
    let role = |name: &str| ClusterRole {
        metadata: ObjectMeta { name: text(name), ..ObjectMeta::default() },
        rules: ["pods", "services", "configmaps", "secrets", "deployments"].map(rule).into(),
        ..ClusterRole::default()
    };
    let role_ref = RoleRef { kind: text("ClusterRole"), name: text("edit"), ..RoleRef::default() };
    let subjects = |number: usize| {
        let kind = ["User", "Group"][number % 2];
        vec![Subject { kind: text(kind), name: Some(format!("who-{}", number / 40)), ..Subject::default() }]
    };
    let named = |number: usize| ObjectMeta { name: Some(format!("b{number}")), ..ObjectMeta::default() };
    let policy = Policy {
        cluster_roles: vec![role("edit")],
        cluster_role_bindings: (0..200)
            .map(|number| ClusterRoleBinding {
                metadata: named(number),
                role_ref: role_ref.clone(),
                subjects: subjects(number * 5),
                ..ClusterRoleBinding::default()
            })
            .collect(),
        role_bindings: (0..800)
            .map(|number| RoleBinding {
                metadata: ObjectMeta { namespace: Some(format!("team-{}", number % 10)), ..named(number) },
                role_ref: role_ref.clone(),
                subjects: subjects(number),
                ..RoleBinding::default()
            })
            .collect(),
        ..Policy::default()
    };
    // The index lives as long as the process that measures it.
    let policy: &'static Policy = Box::leak(Box::new(policy));
    let authorizer = Authorizer::new(policy);
    let action =
        Action::Resource { namespace: "team-4", api_group: "", resource: "nodes", subresource: "", name: "n1" };
    Ok(bounded(1000, 2.0, move || {
        let groups = ["system:authenticated", "who-7"];
        let answer = authorizer.decide(&Request { user: "who-7", groups: &groups, verb: "get", action });
        if black_box(answer).is_allowed() { Err(Skipped("nobody may".to_owned())) } else { Ok(()) }
    }))
}

fn rule(resource: &str) -> PolicyRule {
    let list = |one: &str| vec![one.to_owned()];
    PolicyRule { api_groups: list(""), resources: list(resource), verbs: list("get"), ..PolicyRule::default() }
}
