//! `pids.*`, the same in both versions.

use crate::controller::{Controller, Version};
use crate::format::{self, number, number_or_max, single};
use crate::resources::Pids;
use crate::setting::Setting;
use crate::stats::Stats;

/// Plans the settings, which are the same in both versions.
pub(crate) fn plan(pids: &Pids, version: Version, plan: &mut Vec<Setting>) {
    plan.extend(pids.max.map(|max| Setting::write("pids.max", Controller::Pids, version, "pids.max", max)));
}

/// Reads `pids.current`.
pub(crate) fn current(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.pids.get_or_insert_default().current = number(single(content))?;
    Ok(())
}

/// Reads `pids.max`.
pub(crate) fn max(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.pids.get_or_insert_default().max = Some(number_or_max(single(content))?);
    Ok(())
}

/// Reads `pids.peak`.
pub(crate) fn peak(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.pids.get_or_insert_default().peak = Some(number(single(content))?);
    Ok(())
}

/// Reads `pids.events`.
pub(crate) fn events(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.pids.get_or_insert_default().max_hits = format::value_of(content, b"max").map(number).transpose()?;
    Ok(())
}

/// Reads `pids.events.local`.
pub(crate) fn events_local(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.pids.get_or_insert_default().max_hits_local = format::value_of(content, b"max").map(number).transpose()?;
    Ok(())
}
