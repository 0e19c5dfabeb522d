//! Shared devices: as many as the pod asks for must have so much left, and be of a model that will do.

use crate::node::Usage;
use crate::request::PodClass;
use crate::verdict::{Code, Rejection};

pub(crate) fn check(class: &PodClass, usage: &impl Usage) -> Option<Rejection> {
    let ask = class.devices.as_ref()?;
    let Some(rack) = usage.rack().filter(|rack| ask.takes(rack.model) && rack.count() >= ask.count) else {
        return Some(Rejection::Devices(Code::UnschedulableAndUnresolvable));
    };
    (!rack.fits(ask)).then_some(Rejection::Devices(Code::Unschedulable))
}
