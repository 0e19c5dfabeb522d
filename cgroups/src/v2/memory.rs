//! `memory.*` of v2.

use crate::controller::{Controller, Version};
use crate::format::{self, number};
use crate::report::Reason;
use crate::resources::Memory;
use crate::setting::Setting;
use crate::stats::Stats;
use crate::value::Bytes;

/// Plans the settings: protections first, so that a lower limit reclaims from what they leave.
pub(crate) fn plan(memory: &Memory, plan: &mut Vec<Setting>) {
    let limits = [
        ("memory.min", "memory.min", memory.min),
        ("memory.low", "memory.low", memory.low),
        ("memory.high", "memory.high", memory.high),
        ("memory.swap_high", "memory.swap.high", memory.swap_high),
        ("memory.swap", "memory.swap.max", memory.swap),
        ("memory.zswap_max", "memory.zswap.max", memory.zswap_max),
    ];
    for (name, file, limit) in limits {
        plan.extend(limit.map(|limit| Setting::write(name, Controller::Memory, Version::V2, file, limit)));
    }
    plan.extend(memory.zswap_writeback.map(|writeback| {
        let (name, file) = ("memory.zswap_writeback", "memory.zswap.writeback");
        Setting::write(name, Controller::Memory, Version::V2, file, u8::from(writeback))
    }));
    // Before the hard limit, so that a kill which that causes is already the kill of the group.
    plan.extend(memory.oom_group.map(|group| {
        Setting::write("memory.oom_group", Controller::Memory, Version::V2, "memory.oom.group", u8::from(group))
    }));
    plan.extend(memory.max.map(|max| Setting::write("memory.max", Controller::Memory, Version::V2, "memory.max", max)));
    let v1_only = |name, file| Setting::unsupported(name, Controller::Memory, file, Reason::V1Only);
    plan.extend(memory.swappiness.map(|_| v1_only("memory.swappiness", "memory.swappiness")));
    plan.extend(memory.oom_kill_disable.map(|_| v1_only("memory.oom_kill_disable", "memory.oom_control")));
}

/// Reads `memory.current` (v1: `memory.usage_in_bytes`).
pub(crate) fn current(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.memory.get_or_insert_default().current = format::bytes(content)?;
    Ok(())
}

/// Reads `memory.peak` (v1: `memory.max_usage_in_bytes`).
pub(crate) fn peak(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.memory.get_or_insert_default().peak = Some(format::bytes(content)?);
    Ok(())
}

/// Reads `memory.max`.
pub(crate) fn max(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.memory.get_or_insert_default().max = Some(format::bytes_or_max(content)?);
    Ok(())
}

/// Reads `memory.swap.current`.
pub(crate) fn swap_current(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.memory.get_or_insert_default().swap = Some(format::bytes(content)?);
    Ok(())
}

/// Reads `memory.swap.max`.
pub(crate) fn swap_max(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.memory.get_or_insert_default().swap_max = Some(format::bytes_or_max(content)?);
    Ok(())
}

/// Reads `memory.swap.peak`.
pub(crate) fn swap_peak(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.memory.get_or_insert_default().swap_peak = Some(format::bytes(content)?);
    Ok(())
}

/// Reads `memory.zswap.current`.
pub(crate) fn zswap_current(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.memory.get_or_insert_default().zswap = Some(format::bytes(content)?);
    Ok(())
}

/// Reads `memory.events.local`.
pub(crate) fn events_local(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    let local = stats.memory.get_or_insert_default().local.get_or_insert_default();
    for (key, value) in format::keyed(content) {
        match key {
            b"low" => local.low = number(value)?,
            b"high" => local.high = number(value)?,
            b"max" => local.max = number(value)?,
            b"oom" => local.oom = number(value)?,
            b"oom_kill" => local.oom_kills = number(value)?,
            b"oom_group_kill" => local.oom_group_kills = Some(number(value)?),
            _ => {}
        }
    }
    Ok(())
}

/// Reads `memory.events`.
pub(crate) fn events(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    let memory = stats.memory.get_or_insert_default();
    for (key, value) in format::keyed(content) {
        match key {
            b"low" => memory.low_hits = Some(number(value)?),
            b"high" => memory.high_hits = Some(number(value)?),
            b"max" => memory.max_hits = Some(number(value)?),
            b"oom" => memory.ooms = Some(number(value)?),
            b"oom_kill" => memory.oom_kills = Some(number(value)?),
            b"oom_group_kill" => memory.oom_group_kills = Some(number(value)?),
            _ => {}
        }
    }
    Ok(())
}

/// Reads `memory.swap.events`.
pub(crate) fn swap_events(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    let memory = stats.memory.get_or_insert_default();
    for (key, value) in format::keyed(content) {
        match key {
            b"high" => memory.swap_high_hits = Some(number(value)?),
            b"max" => memory.swap_max_hits = Some(number(value)?),
            b"fail" => memory.swap_failures = Some(number(value)?),
            _ => {}
        }
    }
    Ok(())
}

/// Reads `memory.stat`.
pub(crate) fn stat(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    let memory = stats.memory.get_or_insert_default();
    for (key, value) in format::keyed(content) {
        let field = match key {
            b"anon" => &mut memory.anon,
            b"file" => &mut memory.file,
            b"kernel" => &mut memory.kernel,
            b"slab" => &mut memory.slab,
            b"sock" => &mut memory.sock,
            b"shmem" => &mut memory.shmem,
            b"file_mapped" => &mut memory.file_mapped,
            b"file_dirty" => &mut memory.file_dirty,
            b"file_writeback" => &mut memory.file_writeback,
            b"inactive_anon" => &mut memory.inactive_anon,
            b"active_anon" => &mut memory.active_anon,
            b"inactive_file" => &mut memory.inactive_file,
            b"active_file" => &mut memory.active_file,
            b"unevictable" => &mut memory.unevictable,
            b"pgfault" => {
                memory.page_faults = Some(number(value)?);
                continue;
            }
            b"pgmajfault" => {
                memory.major_page_faults = Some(number(value)?);
                continue;
            }
            _ => continue,
        };
        *field = Some(Bytes::new(number(value)?));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Limit;

    #[test]
    fn no_limit_is_not_zero() {
        let mut stats = Stats::default();
        max(b"max\n", &mut stats).unwrap();
        swap_max(b"0\n", &mut stats).unwrap();
        let memory = stats.memory.unwrap();
        assert_eq!((memory.max, memory.swap_max), (Some(Limit::Max), Some(Limit::At(Bytes::new(0)))));
    }

    #[test]
    fn kills_are_told_from_hits() {
        let mut stats = Stats::default();
        events(b"low 0\nhigh 4\nmax 9\noom 2\noom_kill 1\noom_group_kill 1\nsock_throttled 0\n", &mut stats).unwrap();
        let memory = stats.memory.unwrap();
        assert_eq!((memory.high_hits, memory.max_hits, memory.oom_kills), (Some(4), Some(9), Some(1)));
        assert_eq!(memory.oom_group_kills, Some(1));
    }

    #[test]
    fn events_of_the_group_itself_are_apart() {
        let mut stats = Stats::default();
        events(b"low 0\nhigh 4\nmax 9\noom 2\noom_kill 3\n", &mut stats).unwrap();
        events_local(b"low 0\nhigh 1\nmax 2\noom 1\noom_kill 1\n", &mut stats).unwrap();
        let memory = stats.memory.unwrap();
        assert_eq!((memory.oom_kills, memory.local.map(|local| local.oom_kills)), (Some(3), Some(1)));
        assert_eq!(memory.local.and_then(|local| local.oom_group_kills), None);
    }
}
