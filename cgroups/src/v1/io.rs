//! `blkio.*` of v1.

use crate::controller::{Controller, Version};
use crate::error::Result;
use crate::format::{self, number};
use crate::observed::Observed;
use crate::report::Reason;
use crate::resources::Io;
use crate::setting::{Setting, Undo, Write};
use crate::stats::{IoDeviceStats, Stats};
use crate::v2::io::{LATENCY, bfq, checked, device_weight_bfq, plan_priority};
use crate::value::{Bytes, Limit};

pub(crate) const WEIGHT_BFQ: &str = "blkio.bfq.weight";
const WEIGHT_BFQ_DEVICE: &str = "blkio.bfq.weight_device";

/// Plans the settings.
pub(crate) fn plan(io: &Io, observed: &Observed, plan: &mut Vec<Setting>) -> Result<()> {
    plan.extend(io.weight.map(|weight| match observed.io_weight_file {
        Some(file) => bfq(weight, |weight| Setting::write("io.weight", Controller::Io, Version::V1, file, weight)),
        None => Setting::unsupported("io.weight", Controller::Io, WEIGHT_BFQ, Reason::Kernel),
    }));
    plan.extend(io.device_weights.iter().map(|(device, weight)| {
        let name = format!("io.device_weights[{device}]");
        match observed.io_weight_file {
            Some(_) => device_weight_bfq(name, Version::V1, WEIGHT_BFQ_DEVICE, *device, *weight),
            None => Setting::unsupported(name, Controller::Io, WEIGHT_BFQ_DEVICE, Reason::Kernel),
        }
    }));
    for max in &io.max {
        let files = [
            "blkio.throttle.read_bps_device",
            "blkio.throttle.write_bps_device",
            "blkio.throttle.read_iops_device",
            "blkio.throttle.write_iops_device",
        ];
        let mut writes = Vec::new();
        for (file, (_, limit)) in files.into_iter().zip(checked(max)?) {
            let Some(limit) = limit else { continue };
            // v1 reads zero as no limit.
            let value = match limit {
                Limit::Max => 0,
                Limit::At(value) => value,
            };
            let undo = Undo::Line { key: max.device.to_string(), absent: format!("{} 0", max.device) };
            writes.push(Write::new(Version::V1, file, format!("{} {value}", max.device)).undone_by(undo));
        }
        if !writes.is_empty() {
            plan.push(Setting::writes(format!("io.max[{}]", max.device), Controller::Io, writes));
        }
    }
    plan.extend(io.latency.iter().map(|(device, _)| {
        Setting::unsupported(format!("io.latency[{device}]"), Controller::Io, LATENCY, Reason::V2Only)
    }));
    plan.extend(io.priority.map(|priority| plan_priority(priority, Version::V1, "blkio.prio.class")));
    Ok(())
}

/// Reads `blkio.throttle.io_service_bytes_recursive`; a device is listed only once it is counted.
pub(crate) fn service_bytes(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    each(content, stats, |device, operation, value| match operation {
        b"Read" => device.read_bytes = Bytes::new(value),
        b"Write" => device.write_bytes = Bytes::new(value),
        b"Discard" => device.discard_bytes = Some(Bytes::new(value)),
        _ => {}
    })
}

/// Reads `blkio.throttle.io_serviced_recursive`.
pub(crate) fn serviced(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    each(content, stats, |device, operation, value| match operation {
        b"Read" => device.read_operations = value,
        b"Write" => device.write_operations = value,
        b"Discard" => device.discard_operations = Some(value),
        _ => {}
    })
}

fn each(content: &[u8], stats: &mut Stats, set: impl Fn(&mut IoDeviceStats, &[u8], u64)) -> format::Result<()> {
    let devices = &mut stats.io.get_or_insert_default().devices;
    for line in format::lines(content) {
        let mut words = format::words(line);
        // The last line is the sum over devices: "Total" and a number.
        let (Some(device), Some(operation), Some(value)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let (device, value) = (format::device(device)?, number(value)?);
        let place = devices.iter().position(|found| found.device == device).unwrap_or_else(|| {
            devices.push(IoDeviceStats::new(device));
            devices.len() - 1
        });
        set(&mut devices[place], operation, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_there_only_once_it_is_counted() {
        let mut stats = Stats::default();
        service_bytes(b"Total 0\n", &mut stats).unwrap();
        assert_eq!(stats.io.as_ref().unwrap().devices.len(), 0);
        let content = b"254:0 Read 0\n254:0 Write 4096\n254:0 Sync 4096\n254:0 Total 4096\nTotal 4096\n";
        service_bytes(content, &mut stats).unwrap();
        serviced(b"254:0 Read 0\n254:0 Write 1\nTotal 1\n", &mut stats).unwrap();
        let io = stats.io.unwrap();
        assert_eq!(io.devices.len(), 1);
        assert_eq!((io.devices[0].write_bytes, io.devices[0].write_operations), (Bytes::new(4096), 1));
        assert_eq!(io.devices[0].discard_bytes, None);
    }
}
