//! The device filter of v2, which has no files.

use crate::controller::Controller;
use crate::device::DeviceFilter;
use crate::error::Result;
use crate::report::Reason;
use crate::setting::Setting;

/// Plans the filter.
pub(crate) fn plan(filter: &DeviceFilter, plan: &mut Vec<Setting>) -> Result<()> {
    filter.exceptions()?;
    plan.push(Setting::unsupported("devices", Controller::Devices, "devices.list", Reason::V1Only));
    Ok(())
}
