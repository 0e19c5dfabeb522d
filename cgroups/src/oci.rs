//! The part of an OCI runtime configuration that limits a group: `linux.resources`.
//!
//! Every field that is set is either taken, and then listed, or an error: none is passed over. Zero is "not set" in the
//! fields in which Go's runtimes hold it to be, and is then not listed.
//!
//! ```
//! use windlass_cgroups::{Bytes, Limit, oci};
//!
//! let json = r#"{ "memory": { "limit": 1048576, "swap": 1048576 } }"#;
//! let taken = oci::resources(&serde_json::from_str(json)?)?;
//! assert_eq!(taken.resources.memory.max, Some(Limit::At(Bytes::mib(1))));
//! assert_eq!(taken.resources.memory.swap, Some(Limit::At(Bytes::new(0))));
//! assert_eq!(taken.fields, ["memory.limit", "memory.swap"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxHugepageLimit, LinuxMemory, LinuxResources,
    LinuxThrottleDevice,
};

use crate::device::{DeviceAccess, DeviceAction, DeviceFilter, DeviceKind, DeviceNumber, DeviceRule};
use crate::error::{Error, Result};
use crate::resources::{Cpu, Hugetlb, Io, IoMax, Memory, Rdma, Resources, swap_of_total};
use crate::v2::hugetlb::size_of_file;
use crate::value::{Bytes, CpuMax, CpuShares, IoWeight, Limit};

/// What a configuration asks of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    /// The settings.
    pub resources: Resources,
    /// The fields that they come from, as paths below `linux.resources`.
    pub fields: Vec<&'static str>,
}

impl Taken {
    /// Lists a field, if it is set.
    fn take<T>(&mut self, field: &'static str, value: Option<T>) -> Option<T> {
        if value.is_some() {
            self.fields.push(field);
        }
        value
    }
}

/// Turns `linux.resources` of a configuration into settings.
///
/// A list of device rules that says nothing of all devices at its start denies what it does not allow. The devices that
/// every container has are the runtime's to add. `blockIO.weight` is taken on the scale of BFQ, which up to 1000 is
/// that of `io.weight`.
///
/// Errors: [`Error::NotHonoured`] for a field that no group can have, [`Error::Invalid`] and [`Error::OutOfRange`] for
/// values that no kernel takes. What only one version of cgroups has is told by [`Group::apply`](crate::Group::apply).
///
/// Source: the OCI runtime specification, `config-linux.md`, section "Control groups".
pub fn resources(spec: &LinuxResources) -> Result<Taken> {
    let mut taken = Taken::default();
    if let Some(memory) = spec.memory() {
        taken.resources.memory = take_memory(memory, &mut taken)?;
    }
    if let Some(cpu) = spec.cpu() {
        taken.resources.cpu = take_cpu(cpu, &mut taken)?;
        take_cpuset(cpu, &mut taken)?;
    }
    if let Some(pids) = taken.take("pids.limit", spec.pids().map(|pids| pids.limit())) {
        taken.resources.pids.max = Some(match pids {
            0 => return not_honoured("pids.limit", "0 does not tell a limit of nothing from no limit"),
            limit => count_or_max(limit),
        });
    }
    if let Some(io) = spec.block_io() {
        taken.resources.io = take_io(io, &mut taken)?;
    }
    for limit in taken.take("hugepageLimits", spec.hugepage_limits().as_ref()).into_iter().flatten() {
        taken.resources.hugetlb.push(hugetlb(limit)?);
    }
    if let Some(network) = spec.network() {
        taken.resources.network.class_id = taken.take("network.classID", network.class_id());
        let priorities = taken.take("network.priorities", network.priorities().as_ref()).into_iter().flatten();
        taken.resources.network.priorities = priorities.map(|it| (it.name().clone(), it.priority())).collect();
    }
    for (device, limits) in taken.take("rdma", spec.rdma().as_ref()).into_iter().flatten() {
        let (handles, objects) = (limits.hca_handles().map(Limit::At), limits.hca_objects().map(Limit::At));
        taken.resources.rdma.push(Rdma { device: device.clone(), handles, objects });
    }
    taken.resources.rdma.sort_by(|a, b| a.device.cmp(&b.device));
    let unified = taken.take("unified", spec.unified().as_ref()).into_iter().flatten();
    taken.resources.unified = unified.map(|(file, value)| (file.clone(), value.clone())).collect();
    let rules = spec.devices().as_ref().filter(|rules| !rules.is_empty());
    taken.resources.devices = taken.take("devices", rules).map(|rules| device_filter(rules.as_slice())).transpose()?;
    Ok(taken)
}

fn not_honoured<T>(field: &'static str, reason: &'static str) -> Result<T> {
    Err(Error::NotHonoured { field, reason })
}

fn negative<T: ToString>(field: &'static str, value: T) -> Error {
    Error::invalid(field, value, "a number below zero has no meaning here")
}

/// A count of which -1, or anything below zero, means no limit.
fn count_or_max(count: i64) -> Limit<u64> {
    u64::try_from(count).map_or(Limit::Max, Limit::At)
}

/// An amount of memory of which -1 means no limit.
fn bytes_or_max(field: &'static str, bytes: i64) -> Result<Limit<Bytes>> {
    match bytes {
        -1 => Ok(Limit::Max),
        bytes => u64::try_from(bytes).map(|bytes| Limit::At(Bytes::new(bytes))).map_err(|_| negative(field, bytes)),
    }
}

/// Leaves out the zero by which Go's runtimes know a number that is not set.
fn set<T: Default + PartialEq>(value: Option<T>) -> Option<T> {
    value.filter(|value| *value != T::default())
}

fn take_memory(spec: &LinuxMemory, taken: &mut Taken) -> Result<Memory> {
    let mut limit = |field, value| taken.take(field, set(value)).map(|bytes| bytes_or_max(field, bytes)).transpose();
    let max = limit("memory.limit", spec.limit())?;
    let high = limit("memory.reservation", spec.reservation())?;
    let total = limit("memory.swap", spec.swap())?;
    for (field, value) in [("memory.kernel", spec.kernel()), ("memory.kernelTCP", spec.kernel_tcp())] {
        // No limit is what there is.
        if taken.take(field, set(value)).is_some_and(|value| value != -1) {
            return not_honoured(field, "the kernel has no such limit any more");
        }
    }
    if taken.take("memory.useHierarchy", spec.use_hierarchy()) == Some(false) {
        return not_honoured("memory.useHierarchy", "the kernel always counts groups below");
    }
    if taken.take("memory.checkBeforeUpdate", spec.check_before_update()) == Some(true) {
        return not_honoured("memory.checkBeforeUpdate", "usage may grow between the check and the update");
    }
    let swappiness = taken.take("memory.swappiness", spec.swappiness());
    let swappiness = swappiness.map(|number| {
        let range = |_| Error::invalid("memory.swappiness", number, "the range is 0 to 100");
        u8::try_from(number).map_err(range)
    });
    // To kill is what the kernel does by itself.
    let oom_kill_disable = taken.take("memory.disableOOMKiller", spec.disable_oom_killer()).filter(|disable| *disable);
    Ok(Memory {
        max,
        high,
        swap: total.map(|total| swap_of_total(total, max.unwrap_or(Limit::Max))).transpose()?,
        swappiness: swappiness.transpose()?,
        oom_kill_disable,
        ..Memory::default()
    })
}

fn take_cpu(spec: &LinuxCpu, taken: &mut Taken) -> Result<Cpu> {
    let shares = taken.take("cpu.shares", set(spec.shares()));
    let shares = shares.map(|shares| CpuShares::new(u32::try_from(shares).unwrap_or(u32::MAX))).transpose()?;
    let quota =
        taken.take("cpu.quota", set(spec.quota())).map(|quota| micros_or_max("cpu.quota", quota)).transpose()?;
    let period = taken.take("cpu.period", set(spec.period())).map(Duration::from_micros);
    let max = match (quota, period) {
        (None, None) => None,
        (quota, period) => {
            let period = period.unwrap_or(Duration::from_millis(100));
            Some(CpuMax::new(quota.unwrap_or(Limit::Max), period)?)
        }
    };
    let idle = match taken.take("cpu.idle", spec.idle()) {
        None => None,
        Some(0) => Some(false),
        Some(1) => Some(true),
        Some(other) => return Err(Error::invalid("cpu.idle", other, "it is 0 or 1")),
    };
    let runtime = taken.take("cpu.realtimeRuntime", set(spec.realtime_runtime()));
    Ok(Cpu {
        weight: shares.map(Into::into),
        max,
        burst: taken.take("cpu.burst", spec.burst()).map(Duration::from_micros),
        idle,
        realtime_runtime: runtime.map(|runtime| micros_or_max("cpu.realtimeRuntime", runtime)).transpose()?,
        realtime_period: taken.take("cpu.realtimePeriod", set(spec.realtime_period())).map(Duration::from_micros),
        ..Cpu::default()
    })
}

fn micros_or_max(field: &'static str, micros: i64) -> Result<Limit<Duration>> {
    match micros {
        -1 => Ok(Limit::Max),
        micros => match u64::try_from(micros) {
            Ok(micros) => Ok(Limit::At(Duration::from_micros(micros))),
            Err(_) => Err(negative(field, micros)),
        },
    }
}

fn take_cpuset(spec: &LinuxCpu, taken: &mut Taken) -> Result<()> {
    let mut list = |field, text: &Option<String>| {
        let text = taken.take(field, text.clone().filter(|text| !text.is_empty()));
        text.map(|text| text.parse().map_err(|_| Error::invalid(field, text, "it is no list of numbers"))).transpose()
    };
    let (cpus, mems) = (list("cpu.cpus", spec.cpus())?, list("cpu.mems", spec.mems())?);
    taken.resources.cpuset.cpus = cpus;
    taken.resources.cpuset.mems = mems;
    Ok(())
}

fn take_io(spec: &LinuxBlockIo, taken: &mut Taken) -> Result<Io> {
    if set(spec.leaf_weight()).is_some() {
        return not_honoured("blockIO.leafWeight", "the scheduler that knew it was removed from the kernel");
    }
    let devices = spec.weight_device().as_ref().filter(|devices| !devices.is_empty());
    let mut device_weights = Vec::new();
    for rule in taken.take("blockIO.weightDevice", devices).into_iter().flatten() {
        let field = "blockIO.weightDevice";
        if set(rule.leaf_weight()).is_some() {
            return not_honoured(field, "the scheduler that knew leaf weights was removed from the kernel");
        }
        let device = DeviceNumber { major: part(field, rule.major())?, minor: part(field, rule.minor())? };
        // Zero goes back to the weight for all devices, as the files of v1 read it.
        device_weights.push((device, set(rule.weight()).map(IoWeight::new).transpose()?));
    }
    let weight = taken.take("blockIO.weight", set(spec.weight())).map(IoWeight::new).transpose()?;
    let mut max: Vec<IoMax> = Vec::new();
    let mut each = |field, rules: &Option<Vec<LinuxThrottleDevice>>, put: fn(&mut IoMax, Limit<u64>)| -> Result<()> {
        for rule in taken.take(field, rules.as_ref().filter(|rules| !rules.is_empty())).into_iter().flatten() {
            let device = DeviceNumber { major: part(field, rule.major())?, minor: part(field, rule.minor())? };
            let place = max.iter().position(|found| found.device == device).unwrap_or_else(|| {
                max.push(IoMax::new(device));
                max.len() - 1
            });
            // Zero lifts a limit, as the files of v1 read it.
            put(&mut max[place], if rule.rate() == 0 { Limit::Max } else { Limit::At(rule.rate()) });
        }
        Ok(())
    };
    each("blockIO.throttleReadBpsDevice", spec.throttle_read_bps_device(), |max, limit| {
        max.read_bytes = Some(limit.map(Bytes::new));
    })?;
    each("blockIO.throttleWriteBpsDevice", spec.throttle_write_bps_device(), |max, limit| {
        max.write_bytes = Some(limit.map(Bytes::new));
    })?;
    each("blockIO.throttleReadIOPSDevice", spec.throttle_read_iops_device(), |max, limit| {
        max.read_operations = Some(limit);
    })?;
    each("blockIO.throttleWriteIOPSDevice", spec.throttle_write_iops_device(), |max, limit| {
        max.write_operations = Some(limit);
    })?;
    Ok(Io { weight, device_weights, max, ..Io::default() })
}

fn part(field: &'static str, number: i64) -> Result<u32> {
    u32::try_from(number).map_err(|_| Error::invalid(field, number, "it is no part of a device number"))
}

fn hugetlb(spec: &LinuxHugepageLimit) -> Result<Hugetlb> {
    let size = spec.page_size();
    let Some((page_size, "max")) = size_of_file(&format!("hugetlb.{size}.max")) else {
        return Err(Error::invalid("hugepageLimits.pageSize", size, "it is a number with KB, MB or GB"));
    };
    let max = bytes_or_max("hugepageLimits.limit", spec.limit())?;
    Ok(Hugetlb { page_size, max: Some(max), reserved_max: None })
}

fn device_filter(rules: &[LinuxDeviceCgroup]) -> Result<DeviceFilter> {
    let mut filter = DeviceFilter { default: DeviceAction::Deny, rules: Vec::new() };
    for rule in rules.iter().map(device_rule) {
        let rule = rule?;
        let all_devices = rule.kind == DeviceKind::All && rule.major.is_none() && rule.minor.is_none();
        if all_devices && rule.access == DeviceAccess::ALL {
            // Nothing before it has a say any more.
            filter = DeviceFilter { default: rule.action, rules: Vec::new() };
        } else {
            filter.rules.push(rule);
        }
    }
    Ok(filter)
}

fn device_rule(spec: &LinuxDeviceCgroup) -> Result<DeviceRule> {
    let kind = match spec.typ() {
        None | Some(LinuxDeviceType::A) => DeviceKind::All,
        Some(LinuxDeviceType::B) => DeviceKind::Block,
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => DeviceKind::Character,
        Some(LinuxDeviceType::P) => return not_honoured("devices.type", "a pipe is no device"),
    };
    let number = |field, number: Option<i64>| match number {
        None | Some(-1) => Ok(None),
        Some(number) => part(field, number).map(Some),
    };
    let access = match spec.access().as_deref() {
        Some(text) if !text.is_empty() => access(text)?,
        // What is denied without saying how is denied altogether.
        _ if !spec.allow() => DeviceAccess::ALL,
        _ => return not_honoured("devices.access", "a rule that allows says what it allows"),
    };
    Ok(DeviceRule {
        action: if spec.allow() { DeviceAction::Allow } else { DeviceAction::Deny },
        kind,
        major: number("devices.major", spec.major())?,
        minor: number("devices.minor", spec.minor())?,
        access,
    })
}

fn access(text: &str) -> Result<DeviceAccess> {
    text.chars().try_fold(DeviceAccess::default(), |access, letter| match letter {
        'r' => Ok(DeviceAccess { read: true, ..access }),
        'w' => Ok(DeviceAccess { write: true, ..access }),
        'm' => Ok(DeviceAccess { mknod: true, ..access }),
        _ => Err(Error::invalid("devices.access", text, "its letters are r, w and m")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(json: &str) -> Result<Taken> {
        resources(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn every_field_is_taken_and_listed() {
        let json = r#"{
            "memory": { "limit": 67108864, "reservation": 33554432, "swap": 100663296, "swappiness": 7,
                        "disableOOMKiller": true, "useHierarchy": true, "kernelTCP": -1 },
            "cpu": { "shares": 512, "quota": 50000, "period": 200000, "burst": 0, "idle": 0, "realtimeRuntime": 950,
                     "realtimePeriod": 1000, "cpus": "0-1", "mems": "0" },
            "pids": { "limit": -1 },
            "blockIO": { "weight": 300, "weightDevice": [{ "major": 8, "minor": 16, "weight": 77 }],
                         "throttleReadBpsDevice": [{ "major": 8, "minor": 0, "rate": 600 }],
                         "throttleWriteIOPSDevice": [{ "major": 8, "minor": 0, "rate": 0 }] },
            "hugepageLimits": [{ "pageSize": "2MB", "limit": 4194304 }],
            "network": { "classID": 1048577, "priorities": [{ "name": "lo", "priority": 5 }] },
            "rdma": { "mlx5_0": { "hcaHandles": 3 } },
            "unified": { "memory.low": "1048576" }
        }"#;
        let Taken { resources, fields } = taken(json).unwrap();
        assert_eq!(resources.memory.swap, Some(Limit::At(Bytes::mib(32))));
        assert_eq!(
            (resources.memory.high, resources.memory.oom_kill_disable),
            (Some(Limit::At(Bytes::mib(32))), Some(true))
        );
        let max = CpuMax::new(Limit::At(Duration::from_millis(50)), Duration::from_millis(200)).unwrap();
        assert_eq!((resources.cpu.max, resources.cpu.idle), (Some(max), Some(false)));
        assert_eq!(resources.cpu.realtime_runtime, Some(Limit::At(Duration::from_micros(950))));
        assert_eq!(resources.pids.max, Some(Limit::Max));
        let io = IoMax {
            read_bytes: Some(Limit::At(Bytes::new(600))),
            write_operations: Some(Limit::Max),
            ..IoMax::new(DeviceNumber { major: 8, minor: 0 })
        };
        assert_eq!(resources.io.max, [io]);
        let sdb = DeviceNumber { major: 8, minor: 16 };
        assert_eq!(resources.io.device_weights, [(sdb, Some(IoWeight::new(77).unwrap()))]);
        assert_eq!(resources.hugetlb[0].page_size, Bytes::mib(2));
        assert_eq!(resources.rdma[0].handles, Some(Limit::At(3)));
        assert_eq!(resources.network.priorities["lo"], 5);
        assert_eq!(resources.unified["memory.low"], "1048576");
        let expected = "memory.limit memory.reservation memory.swap memory.kernelTCP memory.useHierarchy \
                        memory.swappiness memory.disableOOMKiller cpu.shares cpu.quota cpu.period cpu.idle \
                        cpu.realtimeRuntime cpu.burst cpu.realtimePeriod cpu.cpus cpu.mems pids.limit \
                        blockIO.weightDevice blockIO.weight blockIO.throttleReadBpsDevice blockIO.throttleWriteIOPSDevice hugepageLimits network.classID \
                        network.priorities rdma unified";
        assert_eq!(fields.join(" "), expected);
    }

    #[test]
    fn nothing_set_is_nothing_taken() {
        assert_eq!(taken("{}").unwrap(), Taken::default());
        let zeros = r#"{ "memory": { "limit": 0, "swap": 0 }, "cpu": { "shares": 0, "quota": 0, "cpus": "" },
                         "blockIO": { "weight": 0, "leafWeight": 0, "weightDevice": [] }, "devices": [] }"#;
        assert_eq!(taken(zeros).unwrap(), Taken::default());
    }

    #[test]
    fn what_cannot_be_honoured_is_named() {
        for (json, field) in [
            (r#"{ "memory": { "kernel": 1 } }"#, "memory.kernel"),
            (r#"{ "memory": { "useHierarchy": false } }"#, "memory.useHierarchy"),
            (r#"{ "memory": { "checkBeforeUpdate": true } }"#, "memory.checkBeforeUpdate"),
            (r#"{ "pids": { "limit": 0 } }"#, "pids.limit"),
            (r#"{ "blockIO": { "leafWeight": 10 } }"#, "blockIO.leafWeight"),
            (
                r#"{ "blockIO": { "weightDevice": [{ "major": 8, "minor": 0, "leafWeight": 9 }] } }"#,
                "blockIO.weightDevice",
            ),
            (r#"{ "devices": [{ "allow": true, "type": "p", "access": "r" }] }"#, "devices.type"),
            (r#"{ "devices": [{ "allow": true, "type": "c" }] }"#, "devices.access"),
        ] {
            let error = taken(json).unwrap_err();
            assert!(matches!(&error, Error::NotHonoured { field: found, .. } if *found == field), "{json}: {error}");
        }
        for json in [
            r#"{ "memory": { "limit": -2 } }"#,
            r#"{ "memory": { "swap": 1 } }"#,
            r#"{ "memory": { "swappiness": 300 } }"#,
            r#"{ "cpu": { "shares": 1 } }"#,
            r#"{ "cpu": { "idle": 2 } }"#,
            r#"{ "cpu": { "cpus": "x" } }"#,
            r#"{ "hugepageLimits": [{ "pageSize": "2XB", "limit": 1 }] }"#,
            r#"{ "devices": [{ "allow": true, "access": "rx" }] }"#,
            r#"{ "devices": [{ "allow": true, "access": "r", "major": -2 }] }"#,
        ] {
            assert!(matches!(taken(json), Err(Error::Invalid { .. } | Error::OutOfRange(_))), "{json}");
        }
    }

    #[test]
    fn devices_are_denied_unless_allowed() {
        let filter = |json: &str| taken(&format!(r#"{{ "devices": {json} }}"#)).unwrap().resources.devices.unwrap();
        let null = r#"{ "allow": true, "type": "c", "major": 1, "minor": 3, "access": "rw" }"#;
        assert_eq!(filter(&format!("[{null}]")).default, DeviceAction::Deny);
        let usual =
            filter(&format!(r#"[{{ "allow": true, "type": "a", "access": "rwm" }}, {{ "allow": false }}, {null}]"#));
        assert_eq!((usual.default, usual.rules.len()), (DeviceAction::Deny, 1));
        assert_eq!(usual.rules[0].access, DeviceAccess::READ_WRITE);
        let open = filter(r#"[{ "allow": true, "major": -1, "access": "mrw" }]"#);
        assert_eq!((open.default, open.rules.len()), (DeviceAction::Allow, 0));
    }
}
