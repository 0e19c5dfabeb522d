//! `memory.*` of v1.

use crate::controller::{Controller, Version};
use crate::error::{Error, Result};
use crate::format::{self, number};
use crate::observed::Observed;
use crate::report::Reason;
use crate::resources::Memory;
use crate::setting::{Setting, Undo, Write};
use crate::stats::Stats;
use crate::text::Text;
use crate::value::{Bytes, Limit};

pub(crate) const LIMIT: &str = "memory.limit_in_bytes";
pub(crate) const LIMIT_WITH_SWAP: &str = "memory.memsw.limit_in_bytes";
const SOFT_LIMIT: &str = "memory.soft_limit_in_bytes";

/// The kernel writes "no limit" as the greatest number of whole pages; with this size it is recognised for all.
const LARGEST_PAGE: u64 = 64 << 10;

fn unlimited_is_minus_one(limit: Limit<Bytes>) -> Text {
    match limit {
        Limit::Max => Text::of(-1),
        Limit::At(bytes) => Text::of(bytes),
    }
}

/// Plans the settings in an order of which the kernel refuses no step.
pub(crate) fn plan(memory: &Memory, observed: &Observed, plan: &mut Vec<Setting>) -> Result<()> {
    let write = |name, file, value: Text| Setting::write(name, Controller::Memory, Version::V1, file, value);
    let max = memory.max.map(|max| write("memory.max", LIMIT, unlimited_is_minus_one(max)));
    let total = memory.swap.map(|swap| total(swap, memory, observed)).transpose()?;
    if let (Some(max), None, Some(total)) = (memory.max, total, observed.memory_and_swap_limit)
        && max > total
    {
        let reason = format!("v1 limits memory and swap together to {total}, and `swap: None` leaves that alone");
        return Err(Error::invalid("memory.max", max, reason));
    }
    let swap = memory.swap.zip(total).map(|(swap, total)| match observed.memory_and_swap_limit {
        None => Setting::unsupported("memory.swap", Controller::Memory, LIMIT_WITH_SWAP, Reason::Kernel),
        Some(_) => write("memory.swap", LIMIT_WITH_SWAP, unlimited_is_minus_one(total)).converted(
            format_args!("swap {swap}"),
            format_args!("memory and swap {total}"),
            false,
        ),
    });
    // The sum may never be below the limit on memory alone: what grows goes from the sum down, what shrinks the
    // other way.
    let grows = total.zip(observed.memory_and_swap_limit).is_some_and(|(new, old)| new > old);
    if grows {
        plan.extend(swap.into_iter().chain(max));
    } else {
        plan.extend(max.into_iter().chain(swap));
    }
    plan.extend(memory.high.map(|high| {
        write("memory.high", SOFT_LIMIT, unlimited_is_minus_one(high)).converted(
            format_args!("high {high}"),
            format_args!("soft limit {high}"),
            true,
        )
    }));
    let v2_only = |name, file| Setting::unsupported(name, Controller::Memory, file, Reason::V2Only);
    plan.extend(memory.low.map(|_| v2_only("memory.low", "memory.low")));
    plan.extend(memory.min.map(|_| v2_only("memory.min", "memory.min")));
    plan.extend(memory.oom_group.map(|_| v2_only("memory.oom_group", "memory.oom.group")));
    plan.extend(memory.swap_high.map(|_| v2_only("memory.swap_high", "memory.swap.high")));
    plan.extend(memory.zswap_max.map(|_| v2_only("memory.zswap_max", "memory.zswap.max")));
    plan.extend(memory.zswap_writeback.map(|_| v2_only("memory.zswap_writeback", "memory.zswap.writeback")));
    plan.extend(
        memory.swappiness.map(|swappiness| write("memory.swappiness", "memory.swappiness", Text::of(swappiness))),
    );
    plan.extend(memory.oom_kill_disable.map(|disable| {
        let undo = Undo::Value { key: "oom_kill_disable" };
        let write = Write::new(Version::V1, "memory.oom_control", u8::from(disable)).undone_by(undo);
        Setting::writes("memory.oom_kill_disable", Controller::Memory, write)
    }));
    Ok(())
}

/// The sum that the kernel limits, from the swap that the caller limits.
fn total(swap: Limit<Bytes>, memory: &Memory, observed: &Observed) -> Result<Limit<Bytes>> {
    let Limit::At(bytes) = swap else { return Ok(Limit::Max) };
    match memory.max.or(observed.memory_limit) {
        Some(Limit::At(memory)) => match memory.checked_add(bytes) {
            Some(total) => Ok(Limit::At(total)),
            None => Err(Error::invalid("memory.swap", swap, "memory and swap together overflow")),
        },
        _ => Err(Error::invalid("memory.swap", swap, "v1 limits memory and swap together, and memory has no limit")),
    }
}

/// Reads a limit.
pub(crate) fn limit(content: &[u8]) -> format::Result<Limit<Bytes>> {
    format::bytes_or_greatest(content, LARGEST_PAGE)
}

/// Reads `memory.limit_in_bytes`.
pub(crate) fn max(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.memory.get_or_insert_default().max = Some(limit(content)?);
    Ok(())
}

/// Reads `memory.failcnt`.
pub(crate) fn failures(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.memory.get_or_insert_default().max_hits = Some(number(format::single(content))?);
    Ok(())
}

/// Reads `memory.memsw.failcnt`.
pub(crate) fn swap_failures(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.memory.get_or_insert_default().swap_max_hits = Some(number(format::single(content))?);
    Ok(())
}

/// Reads `memory.kmem.usage_in_bytes`.
pub(crate) fn kernel(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.memory.get_or_insert_default().kernel = Some(format::bytes(content)?);
    Ok(())
}

/// Reads `memory.oom_control`.
pub(crate) fn oom_control(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    let memory = stats.memory.get_or_insert_default();
    memory.oom_kills = format::value_of(content, b"oom_kill").map(number).transpose()?;
    Ok(())
}

/// Reads `memory.stat`, whose `total_` keys include the groups below.
pub(crate) fn stat(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    let memory = stats.memory.get_or_insert_default();
    for (key, value) in format::keyed(content) {
        // Most lines are of this group alone.
        let Some(key) = key.strip_prefix(b"total_") else { continue };
        let field = match key {
            b"rss" => &mut memory.anon,
            b"cache" => &mut memory.file,
            b"swap" => &mut memory.swap,
            b"shmem" => &mut memory.shmem,
            b"mapped_file" => &mut memory.file_mapped,
            b"dirty" => &mut memory.file_dirty,
            b"writeback" => &mut memory.file_writeback,
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
    use crate::setting::Action;

    fn at(mib: u64) -> Limit<Bytes> {
        Limit::At(Bytes::mib(mib))
    }

    fn written(
        max: Option<Limit<Bytes>>,
        swap: Option<Limit<Bytes>>,
        old: (Limit<Bytes>, Limit<Bytes>),
    ) -> Vec<String> {
        let observed =
            Observed { memory_limit: Some(old.0), memory_and_swap_limit: Some(old.1), ..Observed::default() };
        let mut settings = Vec::new();
        plan(&Memory { max, swap, ..Memory::default() }, &observed, &mut settings).unwrap();
        let mut written = Vec::new();
        for setting in settings {
            if let Action::Write { writes, .. } = setting.action {
                written.extend(writes.iter().map(|write| format!("{} {}", write.file, write.value())));
            }
        }
        written
    }

    #[test]
    fn the_sum_grows_first_and_shrinks_last() {
        let small = (at(64), at(64));
        let large = (at(256), at(256));
        assert_eq!(
            written(Some(at(128)), Some(at(0)), small),
            ["memory.memsw.limit_in_bytes 134217728", "memory.limit_in_bytes 134217728"]
        );
        assert_eq!(
            written(Some(at(128)), Some(at(0)), large),
            ["memory.limit_in_bytes 134217728", "memory.memsw.limit_in_bytes 134217728"]
        );
        assert_eq!(
            written(Some(Limit::Max), Some(Limit::Max), small),
            ["memory.memsw.limit_in_bytes -1", "memory.limit_in_bytes -1"]
        );
        assert_eq!(written(None, Some(at(1)), small), ["memory.memsw.limit_in_bytes 68157440"]);
        assert_eq!(written(Some(at(32)), None, small), ["memory.limit_in_bytes 33554432"]);
        assert_eq!(written(None, None, small), [""; 0]);
    }

    #[test]
    fn what_v1_cannot_express_is_invalid() {
        let observed = |limit, total| Observed {
            memory_limit: Some(limit),
            memory_and_swap_limit: Some(total),
            ..Observed::default()
        };
        let fails = |memory: Memory, observed| plan(&memory, &observed, &mut Vec::new()).unwrap_err().to_string();
        let swap = Memory { swap: Some(at(1)), ..Memory::default() };
        assert_eq!(
            fails(swap, observed(Limit::Max, Limit::Max)),
            "memory.swap cannot be 1048576: v1 limits memory and swap together, and memory has no limit"
        );
        let max = Memory { max: Some(at(128)), ..Memory::default() };
        assert_eq!(
            fails(max, observed(at(64), at(64))),
            "memory.max cannot be 134217728: v1 limits memory and swap together to 67108864, and `swap: None` leaves \
             that alone"
        );
    }

    #[test]
    fn the_oom_kill_field_may_be_missing() {
        let mut stats = Stats::default();
        oom_control(b"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", &mut stats).unwrap();
        assert_eq!(stats.memory.as_ref().unwrap().oom_kills, Some(3));
        oom_control(b"oom_kill_disable 0\nunder_oom 0\n", &mut stats).unwrap();
        assert_eq!(stats.memory.unwrap().oom_kills, None);
    }
}
