//! From a service and its pods to the slices that name where it is reached.
//!
//! [`slices`] looks at all pods once; an [`Index`] is told what changed and says which slices that concerns.
//! [`hints`] spreads the endpoints over zones where a service asks for that.
//!
//! Source: `staging/src/k8s.io/endpointslice`.

mod endpoint;
mod family;
pub mod hints;
mod index;
mod template;

pub use endpoint::target_port;
pub use index::{Change, Index, SliceId};

use crate::kinds::{EndpointSlice, Node, Pod, Service};
use crate::wire::text::Text as _;
use crate::wire::time::Time;

/// How slices are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The most endpoints of a slice.
    pub per_slice_max: usize,
    /// When what the slices tell has changed, if that is known.
    pub changed: Option<Time>,
}

impl Default for Options {
    /// 100 endpoints a slice, as the controller has it.
    fn default() -> Self {
        Self { per_slice_max: 100, changed: None }
    }
}

/// The slices of a service, and the pods that are none of its endpoints though they match.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wanted {
    /// The slices, without names: `generateName` says how they begin.
    pub slices: Vec<EndpointSlice>,
    /// Pods whose node is not known, one message each.
    pub skipped: Vec<Skipped>,
}

/// A pod that cannot be an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("skipping Pod {pod} for Service {namespace}/{service}: Node {node} Not Found")]
pub struct Skipped {
    /// The name of the pod.
    pub pod: String,
    /// The namespace of both.
    pub namespace: String,
    /// The name of the service.
    pub service: String,
    /// The node that the pod names.
    pub node: String,
}

/// The slices that should exist for a service.
///
/// Of `pods` those of the service's namespace count that its selector matches; `node` finds a node by its name. A
/// service without a selector has no slices: somebody else keeps them.
pub fn slices<'p, 'n>(
    service: &Service,
    pods: impl IntoIterator<Item = &'p Pod>,
    node: impl Fn(&str) -> Option<&'n Node>,
    options: &Options,
) -> Wanted {
    let mut index = Index::new(service, options.per_slice_max);
    for pod in pods {
        index.append(pod, node(pod.spec.node_name.text()));
    }
    index.into_wanted(options.changed)
}
