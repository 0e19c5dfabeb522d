//! `rdma.*` and `misc.*`: amounts of named things, the same in both versions.

use crate::controller::{Controller, Version};
use crate::error::{Error, Result};
use crate::resources::{Rdma, Resources};
use crate::setting::{Setting, Undo, Write};

/// Plans the settings of RDMA devices.
pub(crate) fn plan_rdma(devices: &[Rdma], version: Version, plan: &mut Vec<Setting>) -> Result<()> {
    for Rdma { device, handles, objects } in devices {
        let name = format!("rdma.max[{device}]");
        one_word(&name, device)?;
        let pairs = [("hca_handle", handles), ("hca_object", objects)];
        let pairs: Vec<String> =
            pairs.iter().filter_map(|(key, limit)| limit.map(|limit| format!(" {key}={limit}"))).collect();
        if pairs.is_empty() {
            continue;
        }
        let undo = Undo::Line { key: device.clone(), absent: format!("{device} hca_handle=max hca_object=max") };
        let write = Write::new(version, "rdma.max", format!("{device}{}", pairs.concat())).undone_by(undo);
        plan.push(Setting::writes(name, Controller::Rdma, vec![write]));
    }
    Ok(())
}

/// Plans the settings of miscellaneous resources.
pub(crate) fn plan_misc(resources: &Resources, version: Version, plan: &mut Vec<Setting>) -> Result<()> {
    for (resource, limit) in &resources.misc {
        let name = format!("misc.max[{resource}]");
        one_word(&name, resource)?;
        let undo = Undo::Line { key: resource.clone(), absent: format!("{resource} max") };
        let write = Write::new(version, "misc.max", format!("{resource} {limit}")).undone_by(undo);
        plan.push(Setting::writes(name, Controller::Misc, vec![write]));
    }
    Ok(())
}

/// Refuses a name that would be read as more than a name.
pub(crate) fn one_word(field: &str, word: &str) -> Result<()> {
    if word.is_empty() || word.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Error::invalid(field.to_owned(), format!("{word:?}"), "a name is one word"));
    }
    Ok(())
}
