//! What valid workloads say.

use super::{PodView, Valid};
use crate::kinds::{DaemonSet, Deployment, ReplicaSet, ReplicationController, StatefulSet};
use crate::selector::Selector;

/// How many pods, below zero being refused.
fn count(replicas: Option<i32>) -> u32 {
    replicas.and_then(|replicas| u32::try_from(replicas).ok()).expect("a valid workload says how many pods it has")
}

macro_rules! template_and_selector {
    ($($kind:ident)*) => { $(
        impl Valid<$kind> {
            /// What its pods are.
            pub fn template(&self) -> PodView<'_> {
                PodView(&self.spec.template.spec)
            }

            /// Which pods are its own.
            pub fn selector(&self) -> Selector {
                let selector = Selector::from_label_selector(self.spec.selector.as_deref());
                selector.expect("a valid workload has a selector that can be used")
            }
        }
    )* };
}

template_and_selector!(DaemonSet Deployment ReplicaSet StatefulSet);

macro_rules! replicas {
    ($($kind:ident)*) => { $(
        impl Valid<$kind> {
            /// How many pods it has.
            pub fn replicas(&self) -> u32 {
                count(self.spec.replicas)
            }
        }
    )* };
}

replicas!(Deployment ReplicaSet ReplicationController StatefulSet);

impl Valid<ReplicationController> {
    /// What its pods are; a controller whose pods others make has no template.
    pub fn template(&self) -> Option<PodView<'_>> {
        self.spec.template.as_ref().map(|template| PodView(&template.spec))
    }

    /// Which pods are its own.
    pub fn selector(&self) -> Selector {
        Selector::from_labels(&self.spec.selector)
    }
}
