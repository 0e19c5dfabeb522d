//! `io.*` of v2.

use crate::controller::{Controller, Version};
use crate::device::DeviceNumber;
use crate::error::{Error, Result};
use crate::format::{self, FormatError, number};
use crate::observed::Observed;
use crate::report::Reason;
use crate::resources::{Io, IoMax, IoPriority};
use crate::setting::{Setting, Undo, Write};
use crate::stats::{IoDeviceStats, Stats};
use crate::v2::cpu::whole_micros;
use crate::value::{Bytes, IoWeight, Limit};

pub(crate) const LATENCY: &str = "io.latency";
pub(crate) const WEIGHT: &str = "io.weight";
pub(crate) const WEIGHT_BFQ: &str = "io.bfq.weight";
/// The greatest weight that the BFQ scheduler takes, in both versions.
pub(crate) const WEIGHT_BFQ_MAX: u16 = 1000;

/// Plans the settings.
pub(crate) fn plan(io: &Io, observed: &Observed, plan: &mut Vec<Setting>) -> Result<()> {
    plan.extend(io.weight.map(|weight| weight_of(weight, observed)));
    plan.extend(io.device_weights.iter().map(|(device, weight)| device_weight(*device, *weight, observed)));
    for max in &io.max {
        let name = format!("io.max[{}]", max.device);
        let limits = checked(max)?;
        let pairs: Vec<String> =
            limits.iter().filter_map(|(key, limit)| limit.map(|limit| format!(" {key}={limit}"))).collect();
        if pairs.is_empty() {
            continue;
        }
        let undo = Undo::Line {
            key: max.device.to_string(),
            absent: format!("{} rbps=max wbps=max riops=max wiops=max", max.device),
        };
        let write = Write::new(Version::V2, "io.max", format!("{}{}", max.device, pairs.concat())).undone_by(undo);
        plan.push(Setting::writes(name, Controller::Io, write));
    }
    for (device, target) in &io.latency {
        let target = whole_micros("io.latency", *target)?;
        let undo = Undo::Line { key: device.to_string(), absent: format!("{device} target=0") };
        let write = Write::new(Version::V2, LATENCY, format!("{device} target={target}")).undone_by(undo);
        plan.push(Setting::writes(format!("io.latency[{device}]"), Controller::Io, write));
    }
    plan.extend(io.priority.map(|priority| plan_priority(priority, Version::V2, "io.prio.class")));
    Ok(())
}

/// The class of priority, in the words of both versions.
pub(crate) fn plan_priority(priority: IoPriority, version: Version, file: &'static str) -> Setting {
    let class = match priority {
        IoPriority::NoChange => "no-change",
        IoPriority::PromoteToRealtime => "promote-to-rt",
        IoPriority::RestrictToBestEffort => "restrict-to-be",
        IoPriority::Idle => "idle",
    };
    Setting::write("io.priority", Controller::Io, version, file, class)
}

/// A key of `io.max` and the limit that a rule has for it.
pub(crate) type IoLimit = (&'static str, Option<Limit<u64>>);

/// The limits of a rule, by the keys of `io.max`.
///
/// Zero is refused for both versions: v2 has no such limit, and v1 would read it as none.
pub(crate) fn checked(max: &IoMax) -> Result<[IoLimit; 4]> {
    let bytes = |limit: Option<Limit<Bytes>>| limit.map(|limit| limit.map(Bytes::get));
    let limits = [
        ("rbps", bytes(max.read_bytes)),
        ("wbps", bytes(max.write_bytes)),
        ("riops", max.read_operations),
        ("wiops", max.write_operations),
    ];
    match limits.iter().find(|(_, limit)| *limit == Some(Limit::At(0))) {
        None => Ok(limits),
        Some((key, _)) => {
            Err(Error::invalid(format!("io.max[{}].{key}", max.device), 0, "the kernel cannot stop io altogether"))
        }
    }
}

fn weight_of(weight: IoWeight, observed: &Observed) -> Setting {
    let write = |file, value: String| {
        let undo = Undo::Line { key: "default".to_owned(), absent: "default 100".to_owned() };
        Setting::writes("io.weight", Controller::Io, Write::new(Version::V2, file, value).undone_by(undo))
    };
    match observed.io_weight_file {
        Some(WEIGHT) => write(WEIGHT, format!("default {}", weight.get())),
        Some(file) => bfq(weight, |weight| write(file, format!("default {weight}"))),
        None => Setting::unsupported("io.weight", Controller::Io, WEIGHT, Reason::Kernel),
    }
}

/// The weight on one device, for which both schedulers have a line in the file of the weight.
fn device_weight(device: DeviceNumber, weight: Option<IoWeight>, observed: &Observed) -> Setting {
    let name = format!("io.device_weights[{device}]");
    match observed.io_weight_file {
        Some(WEIGHT) => {
            let value = weight.map_or_else(|| "default".to_owned(), |weight| weight.get().to_string());
            line(name, Version::V2, WEIGHT, device, &value)
        }
        Some(file) => device_weight_bfq(name, Version::V2, file, device, weight),
        None => Setting::unsupported(name, Controller::Io, WEIGHT, Reason::Kernel),
    }
}

/// The weight of BFQ on one device, in both versions.
pub(crate) fn device_weight_bfq(
    name: String,
    version: Version,
    file: &'static str,
    device: DeviceNumber,
    weight: Option<IoWeight>,
) -> Setting {
    match weight {
        None => line(name, version, file, device, "default"),
        Some(weight) => bfq(weight, |weight| line(name, version, file, device, &weight.to_string())),
    }
}

fn line(name: String, version: Version, file: &'static str, device: DeviceNumber, value: &str) -> Setting {
    let undo = Undo::Line { key: device.to_string(), absent: format!("{device} default") };
    let write = Write::new(version, file, format!("{device} {value}")).undone_by(undo);
    Setting::writes(name, Controller::Io, write)
}

/// A weight for BFQ, cut off at its greatest.
pub(crate) fn bfq(weight: IoWeight, write: impl FnOnce(u16) -> Setting) -> Setting {
    let cut = weight.get().min(WEIGHT_BFQ_MAX);
    let from = format!("weight {}", weight.get());
    write(cut).converted(from, format_args!("bfq weight {cut}"), cut != weight.get())
}

/// Reads `io.stat`: a line `major:minor key=value ...` for each device.
pub(crate) fn stat(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    let io = stats.io.get_or_insert_default();
    for line in format::lines(content) {
        let mut words = format::words(line);
        let Some(device) = words.next() else { continue };
        let mut counts = IoDeviceStats::new(format::device(device)?);
        let mut counted = false;
        for word in words {
            let Some((key, value)) = format::pair(word) else {
                return Err(FormatError("a pair key=value is expected"));
            };
            match key {
                b"rbytes" => counts.read_bytes = Bytes::new(number(value)?),
                b"wbytes" => counts.write_bytes = Bytes::new(number(value)?),
                b"rios" => counts.read_operations = number(value)?,
                b"wios" => counts.write_operations = number(value)?,
                b"dbytes" => counts.discard_bytes = Some(Bytes::new(number(value)?)),
                b"dios" => counts.discard_operations = Some(number(value)?),
                _ => continue,
            }
            counted = true;
        }
        // A line may hold only the keys of a policy such as io.cost.
        if counted {
            io.devices.push(counts);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_device() {
        let mut stats = Stats::default();
        stat(b"254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0 cost.vrate=100.00\n7:0 \n", &mut stats)
            .unwrap();
        let io = stats.io.unwrap();
        assert_eq!(io.devices.len(), 1);
        assert_eq!(io.devices[0].device, DeviceNumber { major: 254, minor: 0 });
        assert_eq!((io.read_bytes(), io.write_bytes()), (Bytes::new(4096), Bytes::new(8192)));
        assert_eq!(io.devices[0].discard_bytes, Some(Bytes::new(0)));
    }

    #[test]
    fn a_limit_of_zero_is_invalid() {
        let device = DeviceNumber { major: 8, minor: 0 };
        let max = IoMax { write_bytes: Some(Limit::At(Bytes::new(0))), ..IoMax::new(device) };
        let error = plan(&Io { max: vec![max], ..Io::default() }, &Observed::default(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "io.max[8:0].wbps cannot be 0: the kernel cannot stop io altogether");
    }
}
