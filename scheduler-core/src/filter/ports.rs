//! Host ports: an address, protocol and port is given out once; the wildcard address conflicts with all.

use crate::node::Usage;
use crate::request::PodClass;
use crate::verdict::Rejection;

pub(crate) fn check(class: &PodClass, usage: &impl Usage) -> Option<Rejection> {
    class.ports.iter().any(|port| usage.port_taken(port)).then_some(Rejection::Ports)
}
