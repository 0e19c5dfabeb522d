//! What a valid service says.

use super::{Port, Protocol, ServiceType, Valid};
use crate::kinds::{self, Service};
use crate::selector::Selector;
use crate::wire::scalar::IntOrString;
use crate::wire::text::Text as _;

impl Valid<Service> {
    /// How it is reached.
    pub fn service_type(&self) -> ServiceType {
        ServiceType::of(self.spec.type_.text()).expect("a valid service has a type")
    }

    /// The pods behind it; none when somebody else says what is behind it.
    pub fn selector(&self) -> Option<Selector> {
        (!self.spec.selector.is_empty()).then(|| Selector::from_labels(&self.spec.selector))
    }

    /// Its ports.
    pub fn ports(&self) -> impl ExactSizeIterator<Item = ServicePort<'_>> {
        self.spec.ports.iter().map(ServicePort)
    }
}

/// A port of a valid service.
#[derive(Debug, Clone, Copy)]
pub struct ServicePort<'a>(&'a kinds::ServicePort);

/// The port of the pods to which a port of a service leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetPort<'a> {
    /// Its number.
    Number(Port),
    /// Its name; each pod may have its own number for it.
    Name(&'a str),
}

impl<'a> ServicePort<'a> {
    /// Its name; a service with one port may do without.
    pub fn name(self) -> Option<&'a str> {
        self.0.name.as_deref().filter(|name| !name.is_empty())
    }

    /// Its number.
    pub fn number(self) -> Port {
        self.0.port.and_then(Port::of).expect("a valid port has a number")
    }

    /// What is spoken at it.
    pub fn protocol(self) -> Protocol {
        Protocol::of(self.0.protocol.text()).expect("a valid port has a protocol")
    }

    /// Where it leads.
    pub fn target(self) -> TargetPort<'a> {
        match &self.0.target_port {
            Some(IntOrString::String(name)) => TargetPort::Name(name),
            Some(IntOrString::Int(number)) => {
                TargetPort::Number(Port::of(*number).expect("a valid target is a port or its name"))
            }
            None => TargetPort::Number(self.number()),
        }
    }

    /// The port of each node by which it is reached, once there is one.
    pub fn node_port(self) -> Option<Port> {
        self.0.node_port.and_then(Port::of)
    }
}
