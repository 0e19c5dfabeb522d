//! `hugetlb.*` of v1.

use crate::controller::{Controller, Version};
use crate::format::{self, number, single};
use crate::resources::Hugetlb;
use crate::setting::Setting;
use crate::stats::Stats;
use crate::v2::hugetlb::{entry, size_name};
use crate::value::{Bytes, Limit};

/// Plans the settings.
pub(crate) fn plan(hugetlb: &Hugetlb, plan: &mut Vec<Setting>) {
    let size = size_name(hugetlb.page_size);
    let limits = [("max", "limit_in_bytes", hugetlb.max), ("rsvd.max", "rsvd.limit_in_bytes", hugetlb.reserved_max)];
    for (name, suffix, limit) in limits {
        let Some(limit) = limit else { continue };
        let value = match limit {
            Limit::Max => "-1".to_owned(),
            Limit::At(bytes) => bytes.to_string(),
        };
        let (name, file) = (format!("hugetlb.{size}.{name}"), format!("hugetlb.{size}.{suffix}"));
        plan.push(Setting::write(name, Controller::Hugetlb, Version::V1, file, value));
    }
}

/// Reads `hugetlb.SIZE.limit_in_bytes`.
pub(crate) fn max(content: &[u8], page_size: Bytes, stats: &mut Stats) -> format::Result<()> {
    entry(stats, page_size).max = Some(format::bytes_or_greatest(content, page_size.get().max(1))?);
    Ok(())
}

/// Reads `hugetlb.SIZE.failcnt`.
pub(crate) fn failures(content: &[u8], page_size: Bytes, stats: &mut Stats) -> format::Result<()> {
    entry(stats, page_size).max_hits = Some(number(single(content))?);
    Ok(())
}

/// Reads `hugetlb.SIZE.max_usage_in_bytes`.
pub(crate) fn peak(content: &[u8], page_size: Bytes, stats: &mut Stats) -> format::Result<()> {
    entry(stats, page_size).peak = Some(format::bytes(content)?);
    Ok(())
}

/// Reads `hugetlb.SIZE.rsvd.limit_in_bytes`.
pub(crate) fn reserved_max(content: &[u8], page_size: Bytes, stats: &mut Stats) -> format::Result<()> {
    entry(stats, page_size).reserved_max = Some(format::bytes_or_greatest(content, page_size.get().max(1))?);
    Ok(())
}

/// Reads `hugetlb.SIZE.rsvd.max_usage_in_bytes`.
pub(crate) fn reserved_peak(content: &[u8], page_size: Bytes, stats: &mut Stats) -> format::Result<()> {
    entry(stats, page_size).reserved_peak = Some(format::bytes(content)?);
    Ok(())
}

/// Reads `hugetlb.SIZE.rsvd.failcnt`.
pub(crate) fn reserved_failures(content: &[u8], page_size: Bytes, stats: &mut Stats) -> format::Result<()> {
    entry(stats, page_size).reserved_max_hits = Some(number(single(content))?);
    Ok(())
}
