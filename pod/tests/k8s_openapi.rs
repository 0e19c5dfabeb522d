//! Every judged object goes to Kubernetes' published types and comes back meaning the same.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod judge;

use std::collections::BTreeSet;

use judge::{judge, records};
use k8s_openapi::api::{
    apps::v1 as apps, autoscaling::v1 as autoscaling, batch::v1 as batch, coordination::v1 as coordination,
    core::v1 as core, discovery::v1 as discovery, networking::v1 as networking, node::v1 as node, policy::v1 as policy,
    rbac::v1 as rbac, scheduling::v1 as scheduling, storage::v1 as storage,
};
use serde_json::Value;
use windlass_pod::{Error, Object, decode_json, difference, kinds};

/// What is different after the way there and back.
macro_rules! there_and_back {
    ($object:expr, $($group:ident :: $kind:ident)*) => {
        match $object {
            $(Object::$kind(object) => {
                let published = $group::$kind::try_from(&**object).unwrap();
                let back = kinds::$kind::try_from(&published).unwrap();
                difference(&**object, &back)
            })*
            other => panic!("{} has no published type", other.kind()),
        }
    };
}

fn case(record: &Value) -> Option<String> {
    let object = decode_json(record["in"].to_string().as_bytes()).unwrap();
    let changes = there_and_back!(&object,
        apps::ControllerRevision apps::DaemonSet apps::Deployment apps::ReplicaSet apps::StatefulSet
        autoscaling::Scale batch::CronJob batch::Job coordination::Lease core::Binding core::ConfigMap core::Endpoints
        core::Event core::LimitRange core::Namespace core::Node core::PersistentVolume core::PersistentVolumeClaim
        core::Pod core::PodTemplate core::ReplicationController core::ResourceQuota core::Secret core::Service
        core::ServiceAccount discovery::EndpointSlice networking::Ingress networking::NetworkPolicy node::RuntimeClass
        policy::Eviction policy::PodDisruptionBudget rbac::ClusterRole rbac::ClusterRoleBinding rbac::Role
        rbac::RoleBinding scheduling::PriorityClass storage::StorageClass);
    // What is published always says what it is.
    let named = |path: &str| path.ends_with("apiVersion") || path.ends_with("kind");
    let changes: Vec<String> = changes
        .iter()
        .filter(|change| !(change.old.is_empty() && named(&change.path)))
        .map(ToString::to_string)
        .collect();
    (!changes.is_empty()).then(|| changes.join("\n"))
}

#[test]
fn nothing_that_both_know_is_lost() {
    for name in ["validation", "defaults"] {
        let records = records(name);
        let kinds: BTreeSet<&str> = records.iter().filter_map(|record| record["in"]["kind"].as_str()).collect();
        println!("{name}: {kinds:?}");
        judge(name, &records, case);
    }
}

#[test]
fn what_is_no_quantity_is_refused() {
    let quantity = k8s_openapi::apimachinery::pkg::api::resource::Quantity("a lot".to_owned());
    let node = core::Node {
        status: Some(core::NodeStatus { capacity: Some([("cpu".to_owned(), quantity)].into()), ..Default::default() }),
        ..Default::default()
    };
    let refused = kinds::Node::try_from(&node).unwrap_err();
    assert!(matches!(refused, Error::Field { .. }), "{refused:?}");
    assert!(refused.to_string().contains("status.capacity"), "{refused}");
}
