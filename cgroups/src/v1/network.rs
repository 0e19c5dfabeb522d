//! `net_cls.*` and `net_prio.*`, which only v1 has.

use crate::controller::{Controller, Version};
use crate::error::Result;
use crate::report::Reason;
use crate::resources::Network;
use crate::scalars::one_word;
use crate::setting::{Setting, Undo, Write};

const CLASS: &str = "net_cls.classid";
const PRIORITIES: &str = "net_prio.ifpriomap";

/// Plans the class.
pub(crate) fn plan_class(network: &Network, version: Version, plan: &mut Vec<Setting>) {
    plan.extend(network.class_id.map(|class| match version {
        Version::V1 => Setting::write("network.class_id", Controller::NetCls, version, CLASS, class),
        Version::V2 => Setting::unsupported("network.class_id", Controller::NetCls, CLASS, Reason::V1Only),
    }));
}

/// Plans the priorities.
pub(crate) fn plan_priorities(network: &Network, version: Version, plan: &mut Vec<Setting>) -> Result<()> {
    for (interface, priority) in &network.priorities {
        let name = format!("network.priorities[{interface}]");
        one_word(&name, interface)?;
        let undo = Undo::Line { key: interface.clone(), absent: format!("{interface} 0") };
        let write = Write::new(version, PRIORITIES, format!("{interface} {priority}")).undone_by(undo);
        plan.push(match version {
            Version::V1 => Setting::writes(name, Controller::NetPrio, write),
            Version::V2 => Setting::unsupported(name, Controller::NetPrio, PRIORITIES, Reason::V1Only),
        });
    }
    Ok(())
}
