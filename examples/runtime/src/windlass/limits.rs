//! Limits: what people type, what is recorded, and what a control group gets.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use windlass_cgroups::{
    Bytes, Controller, Cpu, CpuMax, CpuProportion, CpuSet, CpuShares, Cpuset, DeviceAccess, DeviceAction, DeviceFilter,
    DeviceKind, DeviceNumber, DeviceRule, Io, IoMax, Limit, Memory, Pids, Resources, swap_of_total,
};

pub(super) use crate::amount::bytes;

use super::failure::Failure;
use super::record::{DeviceNode, Limits};

/// Thousandths of a CPU from a decimal number of CPUs.
pub(super) fn millicores(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is no number of CPUs like 0.5 or 2");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || whole.is_empty() && fraction.is_empty() {
        return Err(wrong());
    }
    let number = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u32>().ok() };
    let whole = number(whole).and_then(|whole| whole.checked_mul(1000)).ok_or_else(wrong)?;
    let fraction = number(&format!("{fraction:0<3}")).ok_or_else(wrong)?;
    match whole.checked_add(fraction) {
        None | Some(0..10) => Err(format!("{text:?} is not between 0.01 and what the machine has")),
        Some(millicores) => Ok(millicores),
    }
}

/// Memory and swap together; -1 is no limit.
pub(super) fn memory_swap(text: &str) -> Result<i64, String> {
    if text == "-1" {
        return Ok(-1);
    }
    i64::try_from(bytes(text)?).map_err(|_| format!("{text:?} does not fit"))
}

/// `DEVICE:RATE`.
pub(super) fn device_rate(text: &str) -> Result<(PathBuf, u64), String> {
    match text.rsplit_once(':') {
        Some((device, rate)) if device.starts_with('/') => Ok((device.into(), bytes(rate)?)),
        _ => Err(format!("{text:?} is not DEVICE:RATE like /dev/sda:1m")),
    }
}

/// `HOST[:CONTAINER][:rwm]`.
pub(super) fn device(text: &str) -> Result<DeviceNode, String> {
    let wrong = || format!("{text:?} is not HOST[:CONTAINER][:rwm] with absolute paths");
    let access = |letters: &str| !letters.is_empty() && letters.bytes().all(|letter| b"rwm".contains(&letter));
    let (host, container, letters) = match text.split(':').collect::<Vec<_>>()[..] {
        [host] => (host, host, "rwm"),
        [host, letters] if access(letters) => (host, host, letters),
        [host, container] => (host, container, "rwm"),
        [host, container, letters] if access(letters) => (host, container, letters),
        _ => return Err(wrong()),
    };
    if !host.starts_with('/') || !container.starts_with('/') {
        return Err(wrong());
    }
    let has = |letter| letters.contains(letter);
    Ok(DeviceNode { host: host.into(), container: container.into(), read: has('r'), write: has('w'), mknod: has('m') })
}

/// A device node's kind and number.
pub(super) fn node(path: &Path) -> Result<(DeviceKind, DeviceNumber), Failure> {
    let found = std::fs::metadata(path).map_err(Failure::during(format_args!("device {}", path.display())))?;
    let kind = match found.file_type() {
        kind if kind.is_char_device() => DeviceKind::Character,
        kind if kind.is_block_device() => DeviceKind::Block,
        _ => return Err(Failure::new(format!("device {}: it is no device", path.display()))),
    };
    let number = found.rdev();
    Ok((kind, DeviceNumber { major: rustix::fs::major(number), minor: rustix::fs::minor(number) }))
}

/// What the group is asked for, less the device filter, which every container has.
pub(super) fn resources(limits: &Limits) -> Result<Resources, Failure> {
    let shares = limits.cpu_shares.map(CpuShares::new).transpose().map_err(Failure::during("--cpu-shares"))?;
    let cpus: Option<CpuSet> =
        limits.cpuset_cpus.as_deref().map(str::parse).transpose().map_err(Failure::during("--cpuset-cpus"))?;
    let max = limits.memory.map(|bytes| Limit::At(Bytes::new(bytes)));
    Ok(Resources {
        cpu: Cpu {
            weight: shares.map(CpuProportion::Shares),
            max: limits.millicores.map(CpuMax::millicores),
            ..Cpu::default()
        },
        cpuset: Cpuset { cpus, ..Cpuset::default() },
        memory: Memory {
            max,
            high: limits.memory_reservation.map(|bytes| Limit::At(Bytes::new(bytes))),
            swap: swap(limits, max)?,
            ..Memory::default()
        },
        pids: Pids { max: limits.pids.map(|pids| u64::try_from(pids).map_or(Limit::Max, Limit::At)) },
        io: Io { max: rates(limits)?, ..Io::default() },
        ..Resources::default()
    })
}

fn swap(limits: &Limits, max: Option<Limit<Bytes>>) -> Result<Option<Limit<Bytes>>, Failure> {
    let Some(total) = limits.memory_swap else { return Ok(None) };
    let total = u64::try_from(total).map_or(Limit::Max, |bytes| Limit::At(Bytes::new(bytes)));
    let Some(max) = max else {
        return Err(Failure::new("--memory-swap counts memory and swap together: it needs --memory"));
    };
    swap_of_total(total, max).map(Some).map_err(Failure::during("--memory-swap"))
}

fn rates(limits: &Limits) -> Result<Vec<IoMax>, Failure> {
    let mut rules: Vec<IoMax> = Vec::new();
    let mut rule = |path: &Path, set: &dyn Fn(&mut IoMax)| -> Result<(), Failure> {
        let (kind, number) = node(path)?;
        if kind != DeviceKind::Block {
            return Err(Failure::new(format!("device {}: only block devices have a rate", path.display())));
        }
        let at = rules.iter().position(|rule| rule.device == number).unwrap_or_else(|| {
            rules.push(IoMax::new(number));
            rules.len() - 1
        });
        set(&mut rules[at]);
        Ok(())
    };
    for (path, rate) in &limits.device_read_bps {
        rule(path, &|rule| rule.read_bytes = Some(Limit::At(Bytes::new(*rate))))?;
    }
    for (path, rate) in &limits.device_write_bps {
        rule(path, &|rule| rule.write_bytes = Some(Limit::At(Bytes::new(*rate))))?;
    }
    Ok(rules)
}

/// The controllers without which these limits cannot hold.
pub(super) fn needed(resources: &Resources) -> Vec<Controller> {
    let mut controllers = Vec::new();
    let mut need = |needed: bool, controller| {
        if needed {
            controllers.push(controller);
        }
    };
    need(resources.cpu != Cpu::default(), Controller::Cpu);
    need(resources.cpuset != Cpuset::default(), Controller::Cpuset);
    need(resources.memory != Memory::default(), Controller::Memory);
    need(resources.pids != Pids::default(), Controller::Pids);
    need(resources.io != Io::default(), Controller::Io);
    controllers
}

/// Devices that every container may use: null, zero, full, random, urandom, tty, console, ptmx, pseudo terminals.
const DEVICES: [(u32, Option<u32>); 9] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];

/// What a container may open: the harmless devices, and those that were given.
pub(super) fn device_filter(devices: &[DeviceNode]) -> Result<DeviceFilter, Failure> {
    let allow = |kind, major, minor, access| DeviceRule { action: DeviceAction::Allow, kind, major, minor, access };
    // A node that nobody may open is as harmless as any file.
    let mut rules = vec![
        allow(DeviceKind::Character, None, None, DeviceAccess::MKNOD),
        allow(DeviceKind::Block, None, None, DeviceAccess::MKNOD),
    ];
    rules.extend(
        DEVICES.map(|(major, minor)| allow(DeviceKind::Character, Some(major), minor, DeviceAccess::READ_WRITE)),
    );
    for device in devices {
        let (kind, number) = node(&device.host)?;
        let access = DeviceAccess { read: device.read, write: device.write, mknod: device.mknod };
        rules.push(allow(kind, Some(number.major), Some(number.minor), access));
    }
    Ok(DeviceFilter { default: DeviceAction::Deny, rules })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_decimal() {
        assert_eq!(
            ["0.5", "2", "1.25", ".5", "0.01"].map(|text| millicores(text).unwrap()),
            [500, 2000, 1250, 500, 10]
        );
        for wrong in ["", ".", "-1", "0", "0.001", "0.0001", "x", "99999999", "1e3"] {
            assert!(millicores(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn no_limit_of_swap_is_below_zero() {
        assert_eq!((memory_swap("-1"), memory_swap("1k")), (Ok(-1), Ok(1024)));
        assert!(memory_swap("-2").is_err());
    }

    #[test]
    fn devices_have_a_place_and_letters() {
        let of = |text| device(text).map(|device| (device.container.display().to_string(), device.read, device.write));
        assert_eq!(of("/dev/fuse"), Ok(("/dev/fuse".to_owned(), true, true)));
        assert_eq!(of("/dev/fuse:r"), Ok(("/dev/fuse".to_owned(), true, false)));
        assert_eq!(of("/dev/fuse:/dev/x:rm"), Ok(("/dev/x".to_owned(), true, false)));
        for wrong in ["", "fuse", "/dev/fuse:x", "/dev/fuse:/dev/x:y", "/a:/b:r:w", "/dev/fuse:"] {
            assert!(device(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(device_rate("/dev/sda:1k"), Ok(("/dev/sda".into(), 1024)));
        assert!(device_rate("sda:1k").is_err() && device_rate("/dev/sda").is_err());
    }

    #[test]
    fn swap_needs_memory() {
        let limits = Limits { memory_swap: Some(1 << 30), ..Limits::default() };
        assert!(resources(&limits).unwrap_err().to_string().contains("--memory"));
        let limits = Limits { memory: Some(1 << 29), ..limits };
        assert_eq!(resources(&limits).unwrap().memory.swap, Some(Limit::At(Bytes::new(1 << 29))));
        assert_eq!(needed(&resources(&limits).unwrap()), [Controller::Memory]);
    }

    #[test]
    fn the_filter_allows_what_was_given() {
        let null = device("/dev/null:r").unwrap();
        let rules: Vec<String> = device_filter(&[null]).unwrap().rules.iter().map(ToString::to_string).collect();
        assert_eq!(rules.last().map(String::as_str), Some("c 1:3 r"));
        assert!(device_filter(&[device("/etc/passwd").unwrap()]).is_err());
    }
}
