//! What systemd must know of a scope's settings, so that it puts back none of them when it is reloaded.

use crate::controller::Controller;
use crate::cpuset::CpuSet;
use crate::device::{DeviceAction, DeviceFilter, DeviceKind, DeviceRule};
use crate::error::{Error, Result};
use crate::observed::Home;
use crate::resources::{Io, Memory, Resources};
use crate::systemd::wire::Value;
use crate::value::{Bytes, CpuProportion, Limit};

/// A property of a unit.
pub(crate) type Property = (&'static str, Value);

/// systemd has no limit as this number.
const NO_LIMIT: u64 = u64::MAX;

/// The properties that say what `resources` say; what systemd has no property for is left to the kernel's files, of
/// which systemd then knows nothing and which it leaves alone.
pub(crate) fn properties(
    resources: &Resources,
    home: impl Fn(Controller) -> Home,
    drivers: &Drivers,
) -> Result<Vec<Property>> {
    let mut list = Vec::new();
    cpu(resources, home(Controller::Cpu), &mut list)?;
    memory(&resources.memory, home(Controller::Memory), &mut list);
    match resources.pids.max {
        None => {}
        Some(Limit::At(0)) => return Err(Error::invalid("pids.max", 0, "systemd has no scope without a task")),
        Some(max) => list.push(("TasksMax", Value::U64(amount(max)))),
    }
    if home(Controller::Cpuset) == Home::V2 {
        let sets = [("AllowedCPUs", &resources.cpuset.cpus), ("AllowedMemoryNodes", &resources.cpuset.mems)];
        list.extend(sets.into_iter().filter_map(|(name, set)| set.as_ref().map(|set| (name, mask(set)))));
    }
    io(&resources.io, home(Controller::Io), &mut list);
    if let Some(filter) = &resources.devices {
        devices(filter, drivers, &mut list)?;
    }
    Ok(list)
}

fn amount(limit: Limit<u64>) -> u64 {
    match limit {
        Limit::Max => NO_LIMIT,
        Limit::At(amount) => amount,
    }
}

fn bytes(limit: Limit<Bytes>) -> Value {
    Value::U64(amount(limit.map(Bytes::get)))
}

fn cpu(resources: &Resources, home: Home, list: &mut Vec<Property>) -> Result<()> {
    match (resources.cpu.weight, home) {
        (Some(CpuProportion::Weight(weight)), Home::V1) => {
            list.push(("CPUShares", Value::U64(weight.to_shares().get().into())));
        }
        (Some(CpuProportion::Shares(shares)), Home::V1) => list.push(("CPUShares", Value::U64(shares.get().into()))),
        (Some(CpuProportion::Weight(weight)), _) => list.push(("CPUWeight", Value::U64(weight.get().into()))),
        (Some(CpuProportion::Shares(shares)), _) => {
            list.push(("CPUWeight", Value::U64(shares.to_weight().get().into())));
        }
        (None, _) => {}
    }
    if let Some(max) = resources.cpu.max {
        let micros = |duration: std::time::Duration| {
            u64::try_from(duration.as_micros())
                .map_err(|_| Error::invalid("cpu.max", format!("{duration:?}"), "it is too long"))
        };
        let period = micros(max.period())?.max(1);
        let in_a_second = match max.quota() {
            Limit::Max => NO_LIMIT,
            // systemd keeps whole percents of a CPU, and must not keep less than is written.
            Limit::At(quota) => (u128::from(micros(quota)?) * 1_000_000 / u128::from(period))
                .try_into()
                .map(|micros: u64| micros.next_multiple_of(10_000))
                .map_err(|_| Error::invalid("cpu.max", max.period().as_micros(), "the quota is too great"))?,
        };
        list.push(("CPUQuotaPeriodUSec", Value::U64(period)));
        list.push(("CPUQuotaPerSecUSec", Value::U64(in_a_second)));
    }
    Ok(())
}

fn memory(memory: &Memory, home: Home, list: &mut Vec<Property>) {
    let limits = if home == Home::V1 {
        vec![("MemoryLimit", memory.max)]
    } else {
        vec![
            ("MemoryMin", memory.min),
            ("MemoryLow", memory.low),
            ("MemoryHigh", memory.high),
            ("MemoryMax", memory.max),
            ("MemorySwapMax", memory.swap),
        ]
    };
    list.extend(limits.into_iter().filter_map(|(name, limit)| limit.map(|limit| (name, bytes(limit)))));
}

fn io(io: &Io, home: Home, list: &mut Vec<Property>) {
    if let (Some(weight), Home::V2) = (io.weight, home) {
        list.push(("IOWeight", Value::U64(weight.get().into())));
    }
    if home != Home::V2 {
        return;
    }
    let mut lists: [(&'static str, Vec<Value>); 4] =
        ["IOReadBandwidthMax", "IOWriteBandwidthMax", "IOReadIOPSMax", "IOWriteIOPSMax"].map(|name| (name, Vec::new()));
    for max in &io.max {
        let of_bytes = |limit: Option<Limit<Bytes>>| limit.map(|limit| limit.map(Bytes::get));
        let limits = [of_bytes(max.read_bytes), of_bytes(max.write_bytes), max.read_operations, max.write_operations];
        for ((_, values), limit) in lists.iter_mut().zip(limits) {
            let path = || Value::text(format!("/dev/block/{}", max.device));
            values.extend(limit.map(|limit| Value::Struct(vec![path(), Value::U64(amount(limit))])));
        }
    }
    list.extend(
        lists
            .into_iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(name, values)| (name, Value::Array("(st)", values))),
    );
}

/// The bits of a set, the first CPU in the lowest bit of the first byte.
fn mask(set: &CpuSet) -> Value {
    let mut bytes: Vec<u8> = Vec::new();
    for number in set.iter() {
        let place = number as usize / 8;
        if bytes.len() <= place {
            bytes.resize(place + 1, 0);
        }
        bytes[place] |= 1 << (number % 8);
    }
    Value::Array("y", bytes.into_iter().map(Value::Byte).collect())
}

/// The names of device drivers, as `/proc/devices` has them: systemd knows all devices of a driver by it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drivers(Vec<(DeviceKind, u32, String)>);

impl Drivers {
    /// Reads `/proc/devices`.
    pub(crate) fn parse(content: &str) -> Self {
        let (mut kind, mut drivers) = (DeviceKind::Character, Vec::new());
        for line in content.lines() {
            match line {
                "Character devices:" => kind = DeviceKind::Character,
                "Block devices:" => kind = DeviceKind::Block,
                _ => {
                    let driver =
                        line.trim().split_once(' ').and_then(|(major, name)| Some((major.parse().ok()?, name)));
                    drivers.extend(driver.map(|(major, name): (u32, &str)| (kind, major, name.to_owned())));
                }
            }
        }
        Self(drivers)
    }

    fn name(&self, kind: DeviceKind, major: u32) -> Option<&str> {
        self.0.iter().find(|driver| (driver.0, driver.1) == (kind, major)).map(|driver| driver.2.as_str())
    }
}

/// A filter that denies by default is told as a whole: systemd denies what it was not told to allow. One that allows
/// has no such form; systemd then sets no filter, and the program of this crate stays the only one.
fn devices(filter: &DeviceFilter, drivers: &Drivers, list: &mut Vec<Property>) -> Result<()> {
    let exceptions = filter.exceptions()?;
    let (policy, allowed) = match filter.default {
        DeviceAction::Allow => ("auto", Vec::new()),
        DeviceAction::Deny => ("strict", exceptions),
    };
    let mut values = Vec::new();
    for rule in &allowed {
        for device in specifiers(rule, drivers) {
            values.push(Value::Struct(vec![Value::Text(device), Value::text(rule.access.to_string())]));
        }
    }
    list.push(("DevicePolicy", Value::text(policy)));
    // An empty list first: systemd adds to what it has.
    list.push(("DeviceAllow", Value::Array("(ss)", Vec::new())));
    if !values.is_empty() {
        list.push(("DeviceAllow", Value::Array("(ss)", values)));
    }
    Ok(())
}

/// What systemd calls the devices of a rule; none for a driver that this machine does not have.
fn specifiers(rule: &DeviceRule, drivers: &Drivers) -> Vec<String> {
    // The exceptions of a filter name one kind each.
    let (kind, folder) = match rule.kind {
        DeviceKind::Block => (DeviceKind::Block, "block"),
        DeviceKind::Character | DeviceKind::All => (DeviceKind::Character, "char"),
    };
    match (rule.major, rule.minor) {
        (Some(major), Some(minor)) => vec![format!("/dev/{folder}/{major}:{minor}")],
        (Some(major), None) => drivers.name(kind, major).map(|name| format!("{folder}-{name}")).into_iter().collect(),
        // systemd cannot say "every driver's device of this number", and the scope must not have less than was asked.
        (None, _) => vec![format!("{folder}-*")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceAccess, DeviceNumber};
    use crate::resources::{Cpu, Cpuset, IoMax, Pids};
    use crate::value::{CpuMax, CpuShares, IoWeight};

    fn resources() -> Resources {
        Resources {
            cpu: Cpu {
                weight: Some(CpuShares::new(1024).unwrap().into()),
                max: Some(CpuMax::millicores(125)),
                ..Cpu::default()
            },
            cpuset: Cpuset {
                cpus: Some("0-1,9".parse().unwrap()),
                mems: Some("0".parse().unwrap()),
                ..Cpuset::default()
            },
            memory: Memory {
                max: Some(Limit::At(Bytes::mib(1))),
                swap: Some(Limit::At(Bytes::new(0))),
                high: Some(Limit::Max),
                ..Memory::default()
            },
            pids: Pids { max: Some(Limit::At(9)) },
            io: Io {
                weight: Some(IoWeight::new(70).unwrap()),
                max: vec![IoMax {
                    read_bytes: Some(Limit::At(Bytes::new(600))),
                    write_operations: Some(Limit::Max),
                    ..IoMax::new(DeviceNumber { major: 8, minor: 0 })
                }],
                ..Io::default()
            },
            ..Resources::default()
        }
    }

    fn printed(list: &[Property]) -> String {
        fn value(it: &Value) -> String {
            match it {
                Value::Text(text) => text.clone(),
                Value::U64(NO_LIMIT) => "none".to_owned(),
                Value::U64(number) => number.to_string(),
                Value::Byte(byte) => format!("{byte:#04x}"),
                Value::Array(_, values) => format!("[{}]", values.iter().map(value).collect::<Vec<_>>().join(", ")),
                Value::Struct(fields) => fields.iter().map(value).collect::<Vec<_>>().join(" "),
                other => format!("{other:?}"),
            }
        }
        list.iter().map(|(name, it)| format!("{name}={}\n", value(it))).collect::<Vec<_>>().concat()
    }

    #[test]
    fn settings_are_told_in_the_words_of_systemd() {
        let drivers = Drivers::default();
        let v2 = properties(&resources(), |_| Home::V2, &drivers).unwrap();
        let expected = "\
CPUWeight=100
CPUQuotaPeriodUSec=100000
CPUQuotaPerSecUSec=130000
MemoryHigh=none
MemoryMax=1048576
MemorySwapMax=0
TasksMax=9
AllowedCPUs=[0x03, 0x02]
AllowedMemoryNodes=[0x01]
IOWeight=70
IOReadBandwidthMax=[/dev/block/8:0 600]
IOWriteIOPSMax=[/dev/block/8:0 none]
";
        assert_eq!(printed(&v2), expected);
        let v1 = properties(&resources(), |_| Home::V1, &drivers).unwrap();
        let expected = "\
CPUShares=1024
CPUQuotaPeriodUSec=100000
CPUQuotaPerSecUSec=130000
MemoryLimit=1048576
TasksMax=9
";
        assert_eq!(printed(&v1), expected);
        assert!(properties(&Resources::default(), |_| Home::V2, &drivers).unwrap().is_empty());
        let nothing = Resources { pids: Pids { max: Some(Limit::At(0)) }, ..Resources::default() };
        assert!(properties(&nothing, |_| Home::V2, &drivers).is_err());
    }

    #[test]
    fn devices_are_told_as_a_whole() {
        let proc = "Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n  8 sd\n259 blkext\n";
        let drivers = Drivers::parse(proc);
        let rule = |kind, major, minor, access| DeviceRule { action: DeviceAction::Allow, kind, major, minor, access };
        let character = |major, minor, access| rule(DeviceKind::Character, major, minor, access);
        let rules = vec![
            character(Some(1), Some(3), DeviceAccess::READ_WRITE),
            character(Some(136), None, DeviceAccess::ALL),
            character(Some(77), None, DeviceAccess::ALL),
            rule(DeviceKind::All, None, None, DeviceAccess::MKNOD),
            rule(DeviceKind::Block, Some(8), None, DeviceAccess::MKNOD),
        ];
        let told = |default, rules| {
            let devices = Some(DeviceFilter { default, rules });
            let resources = Resources { devices, ..Resources::default() };
            printed(&properties(&resources, |_| Home::V2, &drivers).unwrap())
        };
        assert_eq!(
            told(DeviceAction::Deny, rules),
            "DevicePolicy=strict\nDeviceAllow=[]\nDeviceAllow=[/dev/char/1:3 rw, char-pts rwm, char-* m, block-* m, \
             block-sd m]\n"
        );
        let deny = DeviceRule { action: DeviceAction::Deny, ..character(Some(1), Some(3), DeviceAccess::ALL) };
        assert_eq!(told(DeviceAction::Allow, vec![deny]), "DevicePolicy=auto\nDeviceAllow=[]\n");
    }
}
