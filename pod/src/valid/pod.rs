//! What a valid pod, or the template of one, says.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use super::{Port, Protocol, PullPolicy, RestartPolicy, Toleration, Valid};
use crate::kinds::{self, Container, Pod, PodSpec};
use crate::wire::text::Text as _;

/// The name of a container: a label of DNS, unlike that of every other container of its pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerName(String);

impl ContainerName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ContainerName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The specification of a valid pod.
#[derive(Debug, Clone, Copy)]
pub struct PodView<'a>(pub(super) &'a PodSpec);

impl Valid<Pod> {
    /// What it says, in types that cannot be wrong.
    pub fn view(&self) -> PodView<'_> {
        PodView(&self.spec)
    }
}

impl<'a> PodView<'a> {
    /// Whether its containers are started again.
    pub fn restart_policy(self) -> RestartPolicy {
        RestartPolicy::of(self.0.restart_policy.text()).expect("a valid pod has a restart policy")
    }

    /// The containers that run side by side.
    pub fn containers(self) -> impl ExactSizeIterator<Item = ContainerView<'a>> {
        self.0.containers.iter().map(ContainerView)
    }

    /// Those that are started before, in this order.
    pub fn init_containers(self) -> impl ExactSizeIterator<Item = ContainerView<'a>> {
        self.0.init_containers.iter().map(ContainerView)
    }

    /// The taints that it bears.
    pub fn tolerations(self) -> impl ExactSizeIterator<Item = Toleration<'a>> {
        self.0.tolerations.iter().map(Toleration)
    }
}

/// A container of a valid pod; its other fields are those of the [wire type](Container).
#[derive(Debug, Clone, Copy)]
pub struct ContainerView<'a>(&'a Container);

impl Deref for ContainerView<'_> {
    type Target = Container;

    fn deref(&self) -> &Container {
        self.0
    }
}

impl<'a> ContainerView<'a> {
    /// Its name.
    pub fn name(self) -> ContainerName {
        ContainerName(self.0.name.text().to_owned())
    }

    /// When its image is fetched.
    pub fn pull_policy(self) -> PullPolicy {
        PullPolicy::of(self.0.image_pull_policy.text()).expect("a valid container has a pull policy")
    }

    /// It is an init container that goes on beside the others.
    pub fn is_sidecar(self) -> bool {
        RestartPolicy::of(self.0.restart_policy.text()) == Some(RestartPolicy::Always)
    }

    /// The ports that it names.
    pub fn ports(self) -> impl ExactSizeIterator<Item = ContainerPort<'a>> {
        self.0.ports.iter().map(ContainerPort)
    }
}

/// A port of a valid container.
#[derive(Debug, Clone, Copy)]
pub struct ContainerPort<'a>(&'a kinds::ContainerPort);

impl<'a> ContainerPort<'a> {
    /// Its name, by which services and probes may speak of it.
    pub fn name(self) -> Option<&'a str> {
        self.0.name.as_deref().filter(|name| !name.is_empty())
    }

    /// Its number.
    pub fn number(self) -> Port {
        self.0.container_port.and_then(Port::of).expect("a valid port has a number")
    }

    /// The port of the node by which it is reached, too.
    pub fn host_port(self) -> Option<Port> {
        self.0.host_port.and_then(Port::of)
    }

    /// What is spoken at it.
    pub fn protocol(self) -> Protocol {
        Protocol::of(self.0.protocol.text()).expect("a valid port has a protocol")
    }
}
