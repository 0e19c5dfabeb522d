//! Where a pod may run: affinity, tolerations, taints, spread.

use crate::kinds::meta::LabelSelector;
use crate::wire::table::records;
use crate::wire::time::Time;

records! {
    /// Kubernetes `NodeSelectorRequirement` of `v1`.
    NodeSelectorRequirement {
        key: Option<String> = "key" [1] Always,
        operator: Option<String> = "operator" [2] Always,
        values: Vec<String> = "values" [3] OmitZero,
    }
    /// Kubernetes `NodeSelectorTerm` of `v1`.
    NodeSelectorTerm {
        match_expressions: Vec<NodeSelectorRequirement> = "matchExpressions" [1] OmitZero,
        match_fields: Vec<NodeSelectorRequirement> = "matchFields" [2] OmitZero,
    }
    /// Kubernetes `PreferredSchedulingTerm` of `v1`.
    PreferredSchedulingTerm {
        preference: NodeSelectorTerm = "preference" [2] Always,
        weight: Option<i32> = "weight" [1] Always,
    }
    /// Kubernetes `NodeSelector` of `v1`.
    NodeSelector {
        node_selector_terms: Vec<NodeSelectorTerm> = "nodeSelectorTerms" [1] Always,
    }
    /// Kubernetes `NodeAffinity` of `v1`.
    NodeAffinity {
        preferred_during_scheduling_ignored_during_execution: Vec<PreferredSchedulingTerm> = "preferredDuringSchedulingIgnoredDuringExecution" [2] OmitZero,
        required_during_scheduling_ignored_during_execution: Option<Box<NodeSelector>> = "requiredDuringSchedulingIgnoredDuringExecution" [1] Pointer,
    }
    /// Kubernetes `PodAffinityTerm` of `v1`.
    PodAffinityTerm {
        label_selector: Option<Box<LabelSelector>> = "labelSelector" [1] Pointer,
        match_label_keys: Vec<String> = "matchLabelKeys" [5] OmitZero,
        mismatch_label_keys: Vec<String> = "mismatchLabelKeys" [6] OmitZero,
        namespace_selector: Option<Box<LabelSelector>> = "namespaceSelector" [4] Pointer,
        namespaces: Vec<String> = "namespaces" [2] OmitZero,
        topology_key: Option<String> = "topologyKey" [3] Always,
    }
    /// Kubernetes `WeightedPodAffinityTerm` of `v1`.
    WeightedPodAffinityTerm {
        pod_affinity_term: PodAffinityTerm = "podAffinityTerm" [2] Always,
        weight: Option<i32> = "weight" [1] Always,
    }
    /// Kubernetes `PodAffinity` of `v1`.
    PodAffinity {
        preferred_during_scheduling_ignored_during_execution: Vec<WeightedPodAffinityTerm> = "preferredDuringSchedulingIgnoredDuringExecution" [2] OmitZero,
        required_during_scheduling_ignored_during_execution: Vec<PodAffinityTerm> = "requiredDuringSchedulingIgnoredDuringExecution" [1] OmitZero,
    }
    /// Kubernetes `PodAntiAffinity` of `v1`.
    PodAntiAffinity {
        preferred_during_scheduling_ignored_during_execution: Vec<WeightedPodAffinityTerm> = "preferredDuringSchedulingIgnoredDuringExecution" [2] OmitZero,
        required_during_scheduling_ignored_during_execution: Vec<PodAffinityTerm> = "requiredDuringSchedulingIgnoredDuringExecution" [1] OmitZero,
    }
    /// Kubernetes `Affinity` of `v1`.
    Affinity {
        node_affinity: Option<Box<NodeAffinity>> = "nodeAffinity" [1] Pointer,
        pod_affinity: Option<Box<PodAffinity>> = "podAffinity" [2] Pointer,
        pod_anti_affinity: Option<Box<PodAntiAffinity>> = "podAntiAffinity" [3] Pointer,
    }
    /// Kubernetes `Toleration` of `v1`.
    Toleration {
        effect: Option<String> = "effect" [4] OmitZero,
        key: Option<String> = "key" [1] OmitZero,
        operator: Option<String> = "operator" [2] OmitZero,
        toleration_seconds: Option<i64> = "tolerationSeconds" [5] Pointer,
        value: Option<String> = "value" [3] OmitZero,
    }
    /// Kubernetes `Taint` of `v1`.
    Taint {
        effect: Option<String> = "effect" [3] Always,
        key: Option<String> = "key" [1] Always,
        time_added: Option<Time> = "timeAdded" [4] OmitZero,
        value: Option<String> = "value" [2] OmitZero,
    }
    /// Kubernetes `TopologySpreadConstraint` of `v1`.
    TopologySpreadConstraint {
        label_selector: Option<Box<LabelSelector>> = "labelSelector" [4] Pointer,
        match_label_keys: Vec<String> = "matchLabelKeys" [8] OmitZero,
        max_skew: Option<i32> = "maxSkew" [1] Always,
        min_domains: Option<i32> = "minDomains" [5] Pointer,
        node_affinity_policy: Option<String> = "nodeAffinityPolicy" [6] Pointer,
        node_taints_policy: Option<String> = "nodeTaintsPolicy" [7] Pointer,
        topology_key: Option<String> = "topologyKey" [2] Always,
        when_unsatisfiable: Option<String> = "whenUnsatisfiable" [3] Always,
    }
}
