//! `rdma.*`, `misc.*` and `dmem.*`: amounts of named things, the same in both versions.

use crate::controller::{Controller, Version};
use crate::error::{Error, Result};
use crate::format::{self, FormatError, number, number_or_max};
use crate::resources::{Dmem, Rdma, Resources};
use crate::setting::{Setting, Undo, Write};
use crate::stats::{DmemStats, MiscStats, RdmaStats, Stats};
use crate::value::{Bytes, Limit};

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
        plan.push(Setting::writes(name, Controller::Rdma, write));
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
        plan.push(Setting::writes(name, Controller::Misc, write));
    }
    Ok(())
}

/// Plans the settings of device memory: protections first, so that a lower limit evicts from what they leave.
pub(crate) fn plan_dmem(regions: &[Dmem], version: Version, plan: &mut Vec<Setting>) -> Result<()> {
    for Dmem { region, max, low, min } in regions {
        for (file, limit, unset) in [("dmem.min", min, "0"), ("dmem.low", low, "0"), ("dmem.max", max, "max")] {
            let name = format!("{file}[{region}]");
            one_word(&name, region)?;
            let Some(limit) = limit else { continue };
            let undo = Undo::Line { key: region.clone(), absent: format!("{region} {unset}") };
            let write = Write::new(version, file, format!("{region} {limit}")).undone_by(undo);
            plan.push(Setting::writes(name, Controller::Dmem, write));
        }
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

/// Reads `rdma.current`, a line `device hca_handle=N hca_object=N` for each device.
pub(crate) fn rdma_current(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    each_rdma(content, stats, |entry, handle, text| {
        let amount = Some(narrow(number(text)?)?);
        *(if handle { &mut entry.handles } else { &mut entry.objects }) = amount;
        Ok(())
    })
}

/// Reads `rdma.max`.
pub(crate) fn rdma_max(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    each_rdma(content, stats, |entry, handle, text| {
        let limit = match number_or_max(text)? {
            Limit::Max => Limit::Max,
            Limit::At(amount) => Limit::At(narrow(amount)?),
        };
        *(if handle { &mut entry.handles_max } else { &mut entry.objects_max }) = Some(limit);
        Ok(())
    })
}

fn narrow(amount: u64) -> format::Result<u32> {
    u32::try_from(amount).map_err(|_| FormatError("a number is too great"))
}

fn each_rdma(
    content: &[u8],
    stats: &mut Stats,
    set: impl Fn(&mut RdmaStats, bool, &[u8]) -> format::Result<()>,
) -> format::Result<()> {
    let entries = stats.rdma.get_or_insert_default();
    for (device, pairs) in format::keyed(content) {
        let entry = entry(entries, device, |entry| &entry.device, RdmaStats::new)?;
        for word in format::words(pairs) {
            match format::pair(word).ok_or(FormatError("a pair key=value is expected"))? {
                (b"hca_handle", value) => set(entry, true, value)?,
                (b"hca_object", value) => set(entry, false, value)?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// The entry of a name, which is made if it is not there.
fn entry<'a, T>(
    entries: &'a mut Vec<T>,
    name: &[u8],
    name_of: impl Fn(&T) -> &String,
    new: impl Fn(String) -> T,
) -> format::Result<&'a mut T> {
    let found = entries.iter().position(|entry| name_of(entry).as_bytes() == name);
    let place = if let Some(place) = found {
        place
    } else {
        let name = std::str::from_utf8(name).map_err(|_| FormatError("a name is text"))?;
        entries.push(new(name.to_owned()));
        entries.len() - 1
    };
    Ok(&mut entries[place])
}

fn each_misc(
    content: &[u8],
    stats: &mut Stats,
    set: impl Fn(&mut MiscStats, &[u8]) -> format::Result<()>,
) -> format::Result<()> {
    let entries = stats.misc.get_or_insert_default();
    for (name, value) in format::keyed(content) {
        // The files of events have lines `resource.max N`.
        let name = name.strip_suffix(b".max").unwrap_or(name);
        set(entry(entries, name, |entry| &entry.resource, MiscStats::new)?, value)?;
    }
    Ok(())
}

/// Reads `misc.current`, a line `resource N` for each resource.
pub(crate) fn misc_current(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    each_misc(content, stats, |entry, value| number(value).map(|value| entry.current = Some(value)))
}

/// Reads `misc.peak`.
pub(crate) fn misc_peak(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    each_misc(content, stats, |entry, value| number(value).map(|value| entry.peak = Some(value)))
}

/// Reads `misc.max`.
pub(crate) fn misc_max(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    each_misc(content, stats, |entry, value| number_or_max(value).map(|value| entry.max = Some(value)))
}

/// Reads `misc.events`.
pub(crate) fn misc_events(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    each_misc(content, stats, |entry, value| number(value).map(|value| entry.max_hits = Some(value)))
}

/// Reads `misc.events.local`.
pub(crate) fn misc_events_local(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    each_misc(content, stats, |entry, value| number(value).map(|value| entry.max_hits_local = Some(value)))
}

fn each_dmem(content: &[u8], stats: &mut Stats, set: impl Fn(&mut DmemStats, Limit<Bytes>)) -> format::Result<()> {
    let entries = stats.dmem.get_or_insert_default();
    for (region, value) in format::keyed(content) {
        let value = number_or_max(value)?.map(Bytes::new);
        set(entry(entries, region, |entry| &entry.region, DmemStats::new)?, value);
    }
    Ok(())
}

/// Reads `dmem.current`, a line `region N` for each region.
pub(crate) fn dmem_current(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    each_dmem(content, stats, |entry, value| {
        entry.current = match value {
            Limit::At(bytes) => Some(bytes),
            Limit::Max => None,
        };
    })
}

/// Reads `dmem.max`.
pub(crate) fn dmem_max(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    each_dmem(content, stats, |entry, value| entry.max = Some(value))
}

/// Reads `dmem.low`.
pub(crate) fn dmem_low(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    each_dmem(content, stats, |entry, value| entry.low = Some(value))
}

/// Reads `dmem.min`.
pub(crate) fn dmem_min(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    each_dmem(content, stats, |entry, value| entry.min = Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_by_name() {
        let mut stats = Stats::default();
        rdma_current(b"mlx4_0 hca_handle=2 hca_object=2000\nocrdma1 hca_handle=3 hca_object=0\n", &mut stats).unwrap();
        rdma_max(b"mlx4_0 hca_handle=2 hca_object=max\nocrdma1 hca_handle=max hca_object=max\n", &mut stats).unwrap();
        let rdma = stats.rdma.as_ref().unwrap();
        assert_eq!((rdma[0].handles, rdma[0].objects, rdma[1].handles), (Some(2), Some(2000), Some(3)));
        assert_eq!((rdma[0].handles_max, rdma[0].objects_max), (Some(Limit::At(2)), Some(Limit::Max)));
        misc_current(b"res_a 3\nres_b 0\n", &mut stats).unwrap();
        misc_max(b"res_a max\nres_b 4\n", &mut stats).unwrap();
        misc_events(b"res_a.max 0\nres_b.max 2\n", &mut stats).unwrap();
        let misc = stats.misc.as_ref().unwrap();
        assert_eq!((misc.len(), misc[1].max, misc[1].max_hits), (2, Some(Limit::At(4)), Some(2)));
        dmem_current(b"drm/0000:03:00.0/vram0 12550144\n", &mut stats).unwrap();
        dmem_max(b"drm/0000:03:00.0/vram0 max\n", &mut stats).unwrap();
        dmem_min(b"drm/0000:03:00.0/vram0 0\n", &mut stats).unwrap();
        let dmem = &stats.dmem.as_ref().unwrap()[0];
        assert_eq!((dmem.current, dmem.max), (Some(Bytes::new(12_550_144)), Some(Limit::Max)));
        assert_eq!((dmem.low, dmem.min), (None, Some(Limit::At(Bytes::new(0)))));
        assert!(rdma_current(b"mlx4_0 hca_handle=max\n", &mut Stats::default()).is_err());
        assert!(misc_current(b"res_a max\n", &mut Stats::default()).is_err());
    }

    #[test]
    fn what_went_away_is_not_kept() {
        let mut stats = Stats::default();
        misc_current(b"res_a 3\nres_b 0\n", &mut stats).unwrap();
        stats.clear();
        misc_current(b"res_b 1\n", &mut stats).unwrap();
        stats.drop_unseen();
        let names: Vec<_> = stats.misc.iter().flatten().map(|entry| (entry.resource.as_str(), entry.current)).collect();
        assert_eq!(names, [("res_b", Some(1))]);
    }
}
