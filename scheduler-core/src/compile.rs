//! From Kubernetes objects to the dense form: the one place that knows the wire types.

mod affinity;
mod devices;
mod requests;

use std::collections::BTreeMap;
use std::sync::Arc;

/// The crate of the objects that events carry.
pub use windlass_pod;
use windlass_pod::kinds as wire;
use windlass_pod::quantity::{Format, Quantity};

use crate::cluster::{Cluster, DisruptionBudget, PriorityClass};
use crate::error::{Error, Result};
use crate::explain::Explanation;
use crate::filter::node::UNSCHEDULABLE_TAINT;
use crate::gang::{GROUP_LABEL, GroupKey};
use crate::intern::{Interner, Symbol};
use crate::labels::Labels;
use crate::node::CompiledNode;
use crate::plugin::Plugins;
use crate::request::{CompiledPod, Deletion, HostPort, Ownership, PodClass, PreemptionPolicy, VolumeClaim};
use crate::scheduler::Scheduler;
use crate::taint::{Taint, TaintEffect};

/// Something that happened in the cluster.
///
/// `...Applied` says that an object is there as given, whether it is new or changed. Objects are borrowed: what is
/// needed of them is copied in a compact form.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A node is there. Nodes are applied before the pods that run on them.
    NodeApplied(&'a wire::Node),
    /// A node is gone, with this name. Its pods stay known until they are removed, or the node comes back.
    NodeRemoved(&'a str),
    /// A pod is there: with `spec.nodeName` it runs on that node, without it is to be scheduled.
    ///
    /// A pod that has succeeded or failed counts as removed. A pod that is on a node, or assumed there, stays on it
    /// also when an older object without `spec.nodeName` is applied.
    PodApplied(&'a wire::Pod),
    /// A pod is gone.
    PodRemoved {
        /// Its namespace.
        namespace: &'a str,
        /// Its name.
        name: &'a str,
    },
    /// A namespace is there; its labels count where a pod's affinity selects namespaces by label.
    NamespaceApplied(&'a wire::Namespace),
    /// A namespace is gone, with this name.
    NamespaceRemoved(&'a str),
    /// A disruption budget is there; preemption spares what it protects as long as it can.
    DisruptionBudgetApplied(&'a wire::PodDisruptionBudget),
    /// A disruption budget is gone.
    DisruptionBudgetRemoved {
        /// Its namespace.
        namespace: &'a str,
        /// Its name.
        name: &'a str,
    },
    /// A priority class is there. It counts for pods that are applied afterwards and have no `spec.priority`.
    PriorityClassApplied(&'a wire::PriorityClass),
    /// A priority class is gone, with this name.
    PriorityClassRemoved(&'a str),
    /// A pod group is there. Groups are applied before their pods.
    PodGroupApplied(PodGroup<'a>),
    /// A pod group is gone: its pods are placed alone from now on.
    PodGroupRemoved {
        /// Its namespace.
        namespace: &'a str,
        /// Its name.
        name: &'a str,
    },
}

/// Pods that are placed together or not at all: those of the namespace whose label `scheduling.x-k8s.io/pod-group` has
/// the group's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodGroup<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The name.
    pub name: &'a str,
    /// How many of its pods are needed at least; not 0.
    pub min_count: usize,
}

/// A pod as [`Event::PodApplied`] has it.
pub(crate) enum Applied {
    /// It is there.
    Present(Box<CompiledPod>),
    /// It has ended and takes nothing any more.
    Ended { namespace: Arc<str>, name: Arc<str> },
}

const DEFAULT_NAMESPACE: &str = "default";

fn namespace_of(metadata: &wire::ObjectMeta) -> &str {
    metadata.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or(DEFAULT_NAMESPACE)
}

fn name_of(metadata: &wire::ObjectMeta) -> Result<&str> {
    let name = metadata.name.as_deref().filter(|name| !name.is_empty());
    name.ok_or_else(|| Error::invalid("metadata.name", "", "a name is needed"))
}

fn labels(interner: &mut Interner, labels: &BTreeMap<String, String>) -> Labels {
    Labels::new(labels.iter().map(|(key, value)| (interner.intern(key), interner.intern(value))).collect())
}

pub(crate) fn pod(cluster: &mut Cluster, pod: &wire::Pod, scheduler_name: &str) -> Result<Applied> {
    let name: Arc<str> = name_of(&pod.metadata)?.into();
    let namespace: Arc<str> = namespace_of(&pod.metadata).into();
    if matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return Ok(Applied::Ended { namespace, name });
    }
    let node: Option<Arc<str>> = pod.spec.node_name.as_deref().filter(|node| !node.is_empty()).map(Arc::from);
    let deletion = if pod.metadata.deletion_timestamp.is_some() { Deletion::Started } else { Deletion::No };
    let meant = pod.spec.scheduler_name.as_deref().filter(|meant| !meant.is_empty());
    let ours = meant.is_none_or(|meant| meant == scheduler_name);
    if node.is_none() && ours {
        supported(cluster, &pod.spec).map_err(|error| error.within("spec"))?;
    }
    let gates = pod.spec.scheduling_gates.iter().map(|gate| gate.name.as_deref().unwrap_or_default().into());
    let nominated = pod.status.nominated_node_name.as_deref().filter(|node| !node.is_empty());
    let uid = pod.metadata.uid.as_deref().filter(|uid| !uid.is_empty());
    let group = pod.metadata.labels.get(GROUP_LABEL).map(|group| group_key(cluster, &namespace, group));
    let class = class(cluster, pod, &namespace)?;
    Ok(Applied::Present(Box::new(CompiledPod {
        uid: uid.map_or_else(|| format!("{namespace}/{name}").into(), Arc::from),
        devices: devices::given(&pod.metadata, class.devices.as_ref())?,
        class,
        namespace,
        name,
        node,
        start: pod.status.start_time.map(windlass_pod::Time::unix_seconds),
        deletion,
        gates: gates.collect(),
        nominated: nominated.map(Arc::from),
        ownership: if ours { Ownership::Ours } else { Ownership::OtherScheduler },
        group,
    })))
}

/// What a pod group is known by.
pub(crate) fn group_key(cluster: &mut Cluster, namespace: &str, name: &str) -> GroupKey {
    (cluster.interner.intern(namespace), cluster.interner.intern(name))
}

/// How many pods a group needs.
pub(crate) fn pod_group(cluster: &mut Cluster, group: &PodGroup<'_>) -> Result<(GroupKey, usize)> {
    if group.name.is_empty() {
        return Err(Error::invalid("name", "", "a name is needed"));
    }
    if group.min_count == 0 {
        return Err(Error::invalid("min_count", "0", "a group needs a pod at least"));
    }
    Ok((group_key(cluster, group.namespace, group.name), group.min_count))
}

impl<P: Plugins> Scheduler<P> {
    /// Explains where a pod could go that the cluster does not have. With `spec.nodeName`, only that node will do.
    ///
    /// Nothing is decided and no pod is added; the labels that the pod names are remembered.
    ///
    /// # Errors
    /// As [`Scheduler::apply`] for the same pod.
    pub fn what_if(&mut self, pod: &wire::Pod) -> Result<Explanation> {
        supported(&self.cluster, &pod.spec).map_err(|error| error.within("spec"))?;
        let class = class(&mut self.cluster, pod, namespace_of(&pod.metadata))?;
        let pinned = pod.spec.node_name.as_deref().filter(|node| !node.is_empty());
        let pinned = pinned.map(|node| self.cluster.interner.intern(node));
        Ok(self.explain_class(None, &class, pinned))
    }
}

fn class(cluster: &mut Cluster, pod: &wire::Pod, namespace: &str) -> Result<PodClass> {
    let spec = &pod.spec;
    let devices = if cluster.shares_devices { devices::ask(&mut cluster.interner, &pod.metadata)? } else { None };
    let pod_labels = labels(&mut cluster.interner, &pod.metadata.labels);
    let namespace = cluster.interner.intern(namespace);
    let within = |error: Error| error.within("spec");
    let (priority, preemption) = priority(cluster, spec).map_err(within)?;
    let terms = affinity::compile(cluster, spec, &pod_labels, namespace).map_err(within)?;
    let images = spec.init_containers.iter().chain(&spec.containers);
    let images = images.map(|container| container.image.as_deref().unwrap_or_default());
    let images = images.map(|image| cluster.interner.intern(&normalized(image))).collect();
    let interner = &mut cluster.interner;
    let selector = spec.node_selector.iter().map(|(key, value)| (interner.intern(key), interner.intern(value)));
    Ok(PodClass {
        namespace,
        labels: pod_labels,
        priority,
        preemption,
        requests: requests::compile(&mut cluster.catalog, pod).map_err(within)?,
        node_selector: selector.collect(),
        ports: ports(interner, spec).map_err(within)?,
        images,
        tolerations: terms.tolerations,
        node_required: terms.node_required,
        node_preferred: terms.node_preferred,
        affinity: terms.affinity,
        anti_affinity: terms.anti_affinity,
        spread: terms.spread,
        claims: claims(cluster, pod),
        devices,
    })
}

/// The claims of a pod's volumes, where something answers for them.
fn claims(cluster: &mut Cluster, pod: &wire::Pod) -> Box<[VolumeClaim]> {
    if !cluster.takes_claims {
        return Box::default();
    }
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    let interner = &mut cluster.interner;
    let claims = pod.spec.volumes.iter().filter_map(|volume| {
        if let Some(source) = &volume.persistent_volume_claim {
            let name = interner.intern(source.claim_name.as_deref().unwrap_or_default());
            return Some(VolumeClaim { name, read_only: source.read_only.unwrap_or(false) });
        }
        volume.ephemeral.as_ref()?;
        let name = format!("{pod_name}-{}", volume.name.as_deref().unwrap_or_default());
        Some(VolumeClaim { name: interner.intern(&name), read_only: false })
    });
    claims.collect()
}

fn supported(cluster: &Cluster, spec: &wire::PodSpec) -> Result<()> {
    let unsupported = |field: String, feature| Err(Error::Unsupported { field, feature });
    if !spec.resource_claims.is_empty() {
        return unsupported("resourceClaims".to_owned(), "dynamic resource allocation");
    }
    for (index, volume) in spec.volumes.iter().enumerate() {
        let field = |name: &str| format!("volumes[{index}].{name}");
        if volume.persistent_volume_claim.is_some() && !cluster.takes_claims {
            return unsupported(field("persistentVolumeClaim"), "placement by volume claims");
        }
        if volume.ephemeral.is_some() && !cluster.takes_claims {
            return unsupported(field("ephemeral"), "placement by volume claims");
        }
        let disks = [
            ("awsElasticBlockStore", volume.aws_elastic_block_store.is_some()),
            ("azureDisk", volume.azure_disk.is_some()),
            ("gcePersistentDisk", volume.gce_persistent_disk.is_some()),
            ("iscsi", volume.iscsi.is_some()),
            ("rbd", volume.rbd.is_some()),
        ];
        if let Some((name, _)) = disks.into_iter().find(|(_, used)| *used) {
            return unsupported(field(name), "placement by attached disks");
        }
    }
    Ok(())
}

fn priority(cluster: &Cluster, spec: &wire::PodSpec) -> Result<(i32, PreemptionPolicy)> {
    let name = spec.priority_class_name.as_deref().filter(|name| !name.is_empty());
    let class = match (spec.priority, name) {
        (Some(_), _) => None,
        (None, Some(name)) => {
            let missing = || Error::NotFound { kind: "priority class", name: name.to_owned() };
            Some(cluster.priority_classes.get(name).ok_or_else(missing)?)
        }
        (None, None) => cluster.priority_classes.values().filter(|class| class.default).min_by_key(|class| class.value),
    };
    let policy = match spec.preemption_policy.as_deref() {
        Some(text) => policy(Some(text))?,
        None => class.map_or(PreemptionPolicy::LowerPriority, |class| class.preemption),
    };
    Ok((spec.priority.or(class.map(|class| class.value)).unwrap_or(0), policy))
}

fn policy(text: Option<&str>) -> Result<PreemptionPolicy> {
    match text {
        None | Some("" | "PreemptLowerPriority") => Ok(PreemptionPolicy::LowerPriority),
        Some("Never") => Ok(PreemptionPolicy::Never),
        Some(other) => Err(Error::invalid("preemptionPolicy", other, "PreemptLowerPriority or Never is meant")),
    }
}

fn ports(interner: &mut Interner, spec: &wire::PodSpec) -> Result<Box<[HostPort]>> {
    let mut ports = Vec::new();
    let sidecars = spec.init_containers.iter().filter(|container| requests::is_sidecar(container));
    for container in spec.containers.iter().chain(sidecars) {
        for port in container.ports.iter().filter(|port| port.host_port.is_some_and(|port| port != 0)) {
            let number = port.host_port.unwrap_or(0);
            let number = u16::try_from(number).map_err(|_| {
                let field = format!("containers[{}].ports.hostPort", container.name.as_deref().unwrap_or_default());
                Error::invalid(field, number.to_string(), "a port is at most 65535")
            })?;
            let address = port.host_ip.as_deref().filter(|address| !matches!(*address, "" | "0.0.0.0"));
            let protocol = port.protocol.as_deref().filter(|protocol| !protocol.is_empty()).unwrap_or("TCP");
            let port = HostPort {
                address: address.map(|address| interner.intern(address)),
                protocol: interner.intern(protocol),
                port: number,
            };
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
    }
    Ok(ports.into())
}

/// An image name with its tag.
fn normalized(image: &str) -> String {
    if image.rfind(':') <= image.rfind('/') { format!("{image}:latest") } else { image.to_owned() }
}

pub(crate) fn node(cluster: &mut Cluster, node: &wire::Node) -> Result<CompiledNode> {
    let name = name_of(&node.metadata)?;
    let (allocatable, pods_max) = requests::allocatable(&mut cluster.catalog, &node.status)?;
    let interner = &mut cluster.interner;
    let devices = if cluster.shares_devices { devices::installed(interner, node)? } else { None };
    // The filter for cordoned nodes compares with this taint.
    interner.intern(UNSCHEDULABLE_TAINT);
    interner.intern("");
    let taints = node.spec.taints.iter().enumerate();
    let taints = taints.map(|(index, taint)| {
        taint_of(interner, taint).map_err(|error| error.within(format_args!("spec.taints[{index}]")))
    });
    let taints = taints.collect::<Result<_>>()?;
    let mut images: Vec<(Symbol, i64)> = Vec::new();
    for image in &node.status.images {
        for name in &image.names {
            let name = interner.intern(name);
            if !images.iter().any(|known| known.0 == name) {
                images.push((name, image.size_bytes.unwrap_or(0)));
            }
        }
    }
    Ok(CompiledNode {
        name: name.into(),
        name_symbol: interner.intern(name),
        labels: labels(interner, &node.metadata.labels),
        taints,
        unschedulable: node.spec.unschedulable.unwrap_or(false),
        allocatable,
        pods_max,
        images: images.into(),
        devices,
    })
}

fn taint_of(interner: &mut Interner, taint: &wire::Taint) -> Result<Taint> {
    let text = taint.effect.as_deref().unwrap_or_default();
    Ok(Taint {
        key: interner.intern(taint.key.as_deref().unwrap_or_default()),
        value: interner.intern(taint.value.as_deref().unwrap_or_default()),
        effect: effect(text)?,
    })
}

fn effect(text: &str) -> Result<TaintEffect> {
    match text {
        "NoSchedule" => Ok(TaintEffect::NoSchedule),
        "PreferNoSchedule" => Ok(TaintEffect::PreferNoSchedule),
        "NoExecute" => Ok(TaintEffect::NoExecute),
        other => Err(Error::invalid("effect", other, "NoSchedule, PreferNoSchedule or NoExecute is meant")),
    }
}

pub(crate) fn namespace(cluster: &mut Cluster, namespace: &wire::Namespace) -> Result<(Symbol, Labels)> {
    let name = name_of(&namespace.metadata)?;
    Ok((cluster.interner.intern(name), labels(&mut cluster.interner, &namespace.metadata.labels)))
}

/// A namespace and a name.
pub(crate) type Key = (Arc<str>, Arc<str>);

pub(crate) fn budget(cluster: &mut Cluster, budget: &wire::PodDisruptionBudget) -> Result<(Key, DisruptionBudget)> {
    let name = name_of(&budget.metadata)?;
    let namespace = namespace_of(&budget.metadata);
    let selector = affinity::selector(&mut cluster.interner, budget.spec.selector.as_deref());
    let compiled = DisruptionBudget {
        namespace: cluster.interner.intern(namespace),
        selector: selector.map_err(|error| error.within("spec.selector"))?,
        allowed: i64::from(budget.status.disruptions_allowed.unwrap_or(0)),
        disrupted: budget.status.disrupted_pods.keys().map(|name| name.as_str().into()).collect(),
    };
    Ok(((namespace.into(), name.into()), compiled))
}

pub(crate) fn priority_class(class: &wire::PriorityClass) -> Result<(Arc<str>, PriorityClass)> {
    let name = name_of(&class.metadata)?;
    let compiled = PriorityClass {
        value: class.value.unwrap_or(0),
        preemption: policy(class.preemption_policy.as_deref())?,
        default: class.global_default.unwrap_or(false),
    };
    Ok((name.into(), compiled))
}
