//! What a container uses, as the JSON document that engines read from `events`.

use std::time::Duration;

use serde_json::{Map, Value, json};
use windlass_cgroups::{CpuStats, Group, HugetlbStats, IoStats, Limit, PidsStats, Version};

use super::class;
use super::failure::{Failure, Result};
use super::state::State;

/// The document about a container and its group.
pub(super) fn usage(group: &Group, state: &State) -> Result<Value> {
    let stats = group.stats().map_err(Failure::during("read the statistics"))?;
    let files = Files { group };
    Ok(json!({
        "cpu": cpu(stats.cpu.as_ref(), &files)?,
        "cpuset": cpuset(&files)?,
        "memory": memory(&files)?,
        "pids": pids(stats.pids.as_ref()),
        "blkio": blkio(stats.io.as_ref()),
        "hugetlb": hugetlb(stats.hugetlb.as_deref().unwrap_or_default()),
        "intel_rdt": class::usage(state)?,
        "network_interfaces": null,
    }))
}

/// Kernel files of a group, for what only this document has.
struct Files<'a> {
    group: &'a Group,
}

impl Files<'_> {
    fn text(&self, name: &str) -> Result<Option<(Version, String)>> {
        for version in [Version::V1, Version::V2] {
            if let Some(text) = self.group.file(version, name).map_err(Failure::during(name))? {
                return Ok(Some((version, text)));
            }
        }
        Ok(None)
    }

    /// A file with one number, or `max`.
    fn number(&self, name: &str) -> Result<Option<u64>> {
        let Some((_, text)) = self.text(name)? else { return Ok(None) };
        match text.trim() {
            "max" => Ok(Some(u64::MAX)),
            digits => digits.parse().map(Some).map_err(Failure::during(name)),
        }
    }

    fn first(&self, names: [&str; 2]) -> Result<u64> {
        match self.number(names[0])? {
            Some(number) => Ok(number),
            None => Ok(self.number(names[1])?.unwrap_or_default()),
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn cpu(stats: Option<&CpuStats>, files: &Files<'_>) -> Result<Value> {
    let Some(stats) = stats else { return Ok(json!({ "usage": { "kernel": 0, "user": 0 }, "throttling": {} })) };
    let mut usage = json!({
        "total": nanoseconds(stats.usage),
        "kernel": nanoseconds(stats.system),
        "user": nanoseconds(stats.user),
    });
    if let Some(each) = &stats.per_cpu {
        usage["percpu"] = each.iter().map(|time| nanoseconds(*time)).collect();
    }
    for (name, file) in [("percpu_user", "cpuacct.usage_percpu_user"), ("percpu_kernel", "cpuacct.usage_percpu_sys")] {
        if let Some((_, text)) = files.text(file)? {
            usage[name] = text.split_ascii_whitespace().map(|word| word.parse::<u64>().unwrap_or_default()).collect();
        }
    }
    let throttling = [
        ("periods", stats.periods),
        ("throttledPeriods", stats.throttled_periods),
        ("throttledTime", stats.throttled.map(nanoseconds)),
    ];
    Ok(json!({ "usage": usage, "throttling": object(throttling) }))
}

/// What was counted, and is not zero, as Go's runtimes leave zeros out.
fn object<const N: usize>(entries: [(&str, Option<u64>); N]) -> Value {
    let entries = entries
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), Value::from(value.filter(|value| *value > 0)?))));
    Value::Object(entries.collect())
}

fn cpuset(files: &Files<'_>) -> Result<Value> {
    let mut entries = Map::new();
    for key in ["cpus", "mems"] {
        if let Some((_, text)) = files.text(&format!("cpuset.{key}"))? {
            entries.insert(key.to_owned(), numbers(text.trim()).into());
        }
    }
    for key in [
        "cpu_exclusive",
        "mem_hardwall",
        "mem_exclusive",
        "memory_migrate",
        "memory_spread_page",
        "memory_spread_slab",
        "memory_pressure",
        "sched_load_balance",
    ] {
        entries.insert(key.to_owned(), files.number(&format!("cpuset.{key}"))?.unwrap_or_default().into());
    }
    let level = files.text("cpuset.sched_relax_domain_level")?.and_then(|(_, text)| text.trim().parse::<i64>().ok());
    entries.insert("sched_relax_domain_level".to_owned(), level.unwrap_or_default().into());
    Ok(Value::Object(entries))
}

/// The numbers of a list like `0-2,7`.
fn numbers(list: &str) -> Vec<u16> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u16>().ok()?..=last.parse::<u16>().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

fn memory(files: &Files<'_>) -> Result<Value> {
    let entry = |limit: [&str; 2], usage: [&str; 2], max: [&str; 2], failures: &str| -> Result<Value> {
        let mut entry = json!({ "limit": files.first(limit)?, "failcnt": files.number(failures)?.unwrap_or_default() });
        for (key, names) in [("usage", usage), ("max", max)] {
            match files.first(names)? {
                0 => {}
                number => entry[key] = number.into(),
            }
        }
        Ok(entry)
    };
    let of = |part: &str, v2: [&str; 3]| {
        let name = |word: &str| format!("memory{part}.{word}");
        let (limit, usage, max) = (name("limit_in_bytes"), name("usage_in_bytes"), name("max_usage_in_bytes"));
        entry([&limit, v2[0]], [&usage, v2[1]], [&max, v2[2]], &name("failcnt"))
    };
    let mut memory = json!({
        "usage": of("", ["memory.max", "memory.current", "memory.peak"])?,
        "swap": of(".memsw", ["memory.swap.max", "memory.swap.current", "memory.swap.peak"])?,
        "kernel": of(".kmem", ["", "", ""])?,
        "kernelTCP": of(".kmem.tcp", ["", "", ""])?,
    });
    if let Some((version, text)) = files.text("memory.stat")? {
        let pair = |line: &str| {
            let (key, value) = line.split_once(' ')?;
            Some((key.to_owned(), Value::from(value.parse::<u64>().ok()?)))
        };
        let raw: Map<String, Value> = text.lines().filter_map(pair).collect();
        let cache = if version == Version::V1 { "cache" } else { "file" };
        if let Some(cache) = raw.get(cache).filter(|cache| **cache != 0) {
            memory["cache"] = cache.clone();
        }
        memory["raw"] = Value::Object(raw);
    }
    Ok(memory)
}

fn pids(stats: Option<&PidsStats>) -> Value {
    let limit = stats.and_then(|stats| stats.max).and_then(|limit| match limit {
        Limit::At(limit) => Some(limit),
        Limit::Max => None,
    });
    object([("current", stats.map(|stats| stats.current)), ("limit", limit)])
}

fn blkio(stats: Option<&IoStats>) -> Value {
    let Some(stats) = stats else { return json!({}) };
    let (mut bytes, mut operations) = (Vec::new(), Vec::new());
    for device in &stats.devices {
        let entry = |op: &str, value: u64| json!({ "major": device.device.major, "minor": device.device.minor, "op": op, "value": value });
        bytes.extend([entry("Read", device.read_bytes.get()), entry("Write", device.write_bytes.get())]);
        operations.extend([entry("Read", device.read_operations), entry("Write", device.write_operations)]);
        bytes.extend(device.discard_bytes.map(|discarded| entry("Discard", discarded.get())));
        operations.extend(device.discard_operations.map(|count| entry("Discard", count)));
    }
    json!({ "ioServiceBytesRecursive": bytes, "ioServicedRecursive": operations })
}

fn hugetlb(sizes: &[HugetlbStats]) -> Value {
    let entry = |size: &HugetlbStats| {
        let mut entry = object([("usage", Some(size.current.get()))]);
        entry["failcnt"] = size.max_hits.unwrap_or_default().into();
        (page_size(size.page_size.get()), entry)
    };
    Value::Object(sizes.iter().map(entry).collect())
}

/// A size as the kernel names its files: `2MB`.
fn page_size(bytes: u64) -> String {
    let units = [(30, "GB"), (20, "MB"), (10, "KB")];
    let fits = |(shift, _): &&(u32, &str)| bytes >= 1 << shift && bytes.trailing_zeros() >= *shift;
    units.iter().find(fits).map_or_else(|| format!("{bytes}B"), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_sizes_are_the_kernels() {
        assert_eq!(numbers("0-2,7"), [0, 1, 2, 7]);
        assert_eq!(numbers(""), [0; 0]);
        assert_eq!([2 << 20, 1 << 30, 64 << 10].map(page_size), ["2MB", "1GB", "64KB"]);
    }

    #[test]
    fn zeros_are_left_out() {
        assert_eq!(object([("a", Some(1)), ("b", Some(0)), ("c", None)]), json!({ "a": 1 }));
    }
}
