//! The device filter of v2, which is a program and no file.

use crate::bpf;
use crate::controller::Controller;
use crate::device::DeviceFilter;
use crate::error::Result;
use crate::setting::{Action, Setting};

/// Plans the filter.
pub(crate) fn plan(filter: &DeviceFilter, plan: &mut Vec<Setting>) -> Result<()> {
    let program = bpf::compile(filter.default, filter.exceptions()?);
    plan.push(Setting { name: "devices".into(), controller: Controller::Devices, action: Action::Filter(program) });
    Ok(())
}
