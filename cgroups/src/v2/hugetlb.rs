//! `hugetlb.*` of v2, and the names of page sizes in both versions.

use crate::controller::{Controller, Version};
use crate::format::{self, number};
use crate::resources::Hugetlb;
use crate::setting::Setting;
use crate::stats::{HugetlbStats, Stats};
use crate::value::{Bytes, Limit};

/// Plans the settings.
pub(crate) fn plan(hugetlb: &Hugetlb, plan: &mut Vec<Setting>) {
    let size = size_name(hugetlb.page_size);
    let limits = [("max", hugetlb.max), ("rsvd.max", hugetlb.reserved_max)];
    for (suffix, limit) in limits {
        let Some(limit) = limit else { continue };
        let file = format!("hugetlb.{size}.{suffix}");
        plan.push(Setting::write(file.clone(), Controller::Hugetlb, Version::V2, file, limit));
    }
}

/// The kernel's name of a page size: whole GB, else MB, else KB, of 1024 each.
pub(crate) fn size_name(page_size: Bytes) -> String {
    match page_size.get() {
        bytes if bytes >= 1 << 30 => format!("{}GB", bytes >> 30),
        bytes if bytes >= 1 << 20 => format!("{}MB", bytes >> 20),
        bytes => format!("{}KB", bytes >> 10),
    }
}

/// The page size of a file's name, such as `hugetlb.2MB.current`, and the rest of it.
pub(crate) fn size_of_file(file: &str) -> Option<(Bytes, &str)> {
    let (size, rest) = file.strip_prefix("hugetlb.")?.split_once('.')?;
    let unit_at = size.len().checked_sub(2)?;
    let (number, unit) = size.split_at_checked(unit_at)?;
    let number = number.parse().ok()?;
    let bytes = match unit {
        "KB" => Bytes::kib(number),
        "MB" => Bytes::mib(number),
        "GB" => Bytes::gib(number),
        _ => return None,
    };
    Some((bytes, rest))
}

/// Finds or adds the entry of a page size.
pub(crate) fn entry(stats: &mut Stats, page_size: Bytes) -> &mut HugetlbStats {
    let entries = stats.hugetlb.get_or_insert_default();
    let place = entries.iter().position(|entry| entry.page_size == page_size).unwrap_or_else(|| {
        entries.push(HugetlbStats {
            page_size,
            current: Bytes::new(0),
            max: None,
            max_hits: None,
            max_hits_local: None,
            peak: None,
            reserved: None,
            reserved_max: None,
            reserved_peak: None,
            reserved_max_hits: None,
        });
        entries.len() - 1
    });
    &mut entries[place]
}

/// Reads `hugetlb.SIZE.current` (v1: `usage_in_bytes`).
pub(crate) fn current(content: &[u8], page_size: Bytes, stats: &mut Stats) -> format::Result<()> {
    entry(stats, page_size).current = format::bytes(content)?;
    Ok(())
}

/// Reads `hugetlb.SIZE.max`.
pub(crate) fn max(content: &[u8], page_size: Bytes, stats: &mut Stats) -> format::Result<()> {
    entry(stats, page_size).max = Some(limit(content, page_size)?);
    Ok(())
}

/// Reads `hugetlb.SIZE.rsvd.max`.
pub(crate) fn reserved_max(content: &[u8], page_size: Bytes, stats: &mut Stats) -> format::Result<()> {
    entry(stats, page_size).reserved_max = Some(limit(content, page_size)?);
    Ok(())
}

/// v2 says "max" only since 5.8; before, and for a value as great, it prints the greatest number.
fn limit(content: &[u8], page_size: Bytes) -> format::Result<Limit<Bytes>> {
    match format::bytes_or_max(content)? {
        Limit::Max => Ok(Limit::Max),
        Limit::At(_) => format::bytes_or_greatest(content, page_size.get().max(1)),
    }
}

/// Reads `hugetlb.SIZE.events.local`.
pub(crate) fn events_local(content: &[u8], page_size: Bytes, stats: &mut Stats) -> format::Result<()> {
    entry(stats, page_size).max_hits_local = format::value_of(content, b"max").map(number).transpose()?;
    Ok(())
}

/// Reads `hugetlb.SIZE.events`.
pub(crate) fn events(content: &[u8], page_size: Bytes, stats: &mut Stats) -> format::Result<()> {
    entry(stats, page_size).max_hits = format::value_of(content, b"max").map(number).transpose()?;
    Ok(())
}

/// Reads `hugetlb.SIZE.rsvd.current` (v1: `rsvd.usage_in_bytes`).
pub(crate) fn reserved(content: &[u8], page_size: Bytes, stats: &mut Stats) -> format::Result<()> {
    entry(stats, page_size).reserved = Some(format::bytes(content)?);
    Ok(())
}

/// Reads `hugetlb.SIZE.numa_stat`: in v2 one line with the groups below, in v1 the second of two.
pub(crate) fn by_node(content: &[u8]) -> format::Result<Vec<(u32, Bytes)>> {
    let lines = || format::lines(content);
    let line = lines().find(|line| line.starts_with(b"hierarchical_total=")).or_else(|| lines().next());
    let mut nodes = Vec::new();
    for word in format::words(line.unwrap_or_default()).skip(1) {
        nodes.push(node(word)?);
    }
    Ok(nodes)
}

/// Reads `N0=AMOUNT`.
pub(crate) fn node(word: &[u8]) -> format::Result<(u32, Bytes)> {
    let (key, value) = format::pair(word).ok_or(format::FormatError("a pair node=value is expected"))?;
    let node = key.strip_prefix(b"N").map(number).transpose()?.and_then(|node| u32::try_from(node).ok());
    let node = node.ok_or(format::FormatError("a memory node is expected"))?;
    Ok((node, Bytes::new(number(value)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_sizes_have_the_kernels_names() {
        for (bytes, name) in [(Bytes::kib(64), "64KB"), (Bytes::mib(2), "2MB"), (Bytes::gib(1), "1GB")] {
            assert_eq!(size_name(bytes), name);
            assert_eq!(size_of_file(&format!("hugetlb.{name}.rsvd.max")), Some((bytes, "rsvd.max")));
        }
        for file in ["hugetlb.2MB", "hugetlb.MB.max", "hugetlb.2TB.max", "memory.max", "hugetlb.é.max"] {
            assert_eq!(size_of_file(file), None, "{file}");
        }
    }

    #[test]
    fn no_limit_is_not_a_great_number() {
        let mut stats = Stats::default();
        max(b"9223372036852678656\n", Bytes::mib(2), &mut stats).unwrap();
        assert_eq!(stats.hugetlb.as_ref().unwrap()[0].max, Some(Limit::Max));
        max(b"max\n", Bytes::mib(2), &mut stats).unwrap();
        assert_eq!(stats.hugetlb.as_ref().unwrap()[0].max, Some(Limit::Max));
        max(b"0\n", Bytes::mib(2), &mut stats).unwrap();
        assert_eq!(stats.hugetlb.unwrap()[0].max, Some(Limit::At(Bytes::new(0))));
    }

    #[test]
    fn nodes_are_those_of_the_whole_tree() {
        let expected = vec![(0, Bytes::mib(4)), (1, Bytes::new(0))];
        assert_eq!(by_node(b"total=4194304 N0=4194304 N1=0\n"), Ok(expected.clone()));
        assert_eq!(by_node(b"total=0 N0=0 N1=0\nhierarchical_total=4194304 N0=4194304 N1=0\n"), Ok(expected));
        assert_eq!(by_node(b""), Ok(vec![]));
        assert!(by_node(b"total=0 N0\n").is_err());
        assert!(by_node(b"total=0 X0=1\n").is_err());
    }
}
