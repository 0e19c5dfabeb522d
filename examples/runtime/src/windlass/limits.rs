//! What people type for limits.

use windlass_cgroups::{
    Bytes, Controller, Cpu, CpuMax, CpuProportion, CpuSet, CpuShares, Cpuset, Limit, Memory, Pids, Resources,
};

use super::cli::Run;
use super::failure::Failure;

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

/// Bytes from a number with an optional unit of 1024: `b`, `k`, `m`, `g`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        _ => return Err(format!("{text:?}: the unit is none of b, k, m, g")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("{text:?} is no number of bytes like 64m"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text:?} does not fit in 64 bits"))
}

/// The limits that were asked for, and the controllers that they need.
pub(super) fn resources(request: &Run) -> Result<(Resources, Vec<Controller>), Failure> {
    let shares = request.cpu_shares.map(CpuShares::new).transpose().map_err(Failure::during("--cpu-shares"))?;
    let cpus: Option<CpuSet> =
        request.cpuset_cpus.as_deref().map(str::parse).transpose().map_err(Failure::during("--cpuset-cpus"))?;
    let resources = Resources {
        cpu: Cpu {
            weight: shares.map(CpuProportion::Shares),
            max: request.cpus.map(CpuMax::millicores),
            ..Cpu::default()
        },
        cpuset: Cpuset { cpus, ..Cpuset::default() },
        memory: Memory {
            max: request.memory.map(|bytes| Limit::At(Bytes::new(bytes))),
            high: request.memory_reservation.map(|bytes| Limit::At(Bytes::new(bytes))),
            ..Memory::default()
        },
        pids: Pids { max: request.pids_limit.map(Limit::At) },
        ..Resources::default()
    };
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
    Ok((resources, controllers))
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
    fn bytes_have_units_of_1024() {
        assert_eq!(
            ["1024", "4b", "2k", "64m", "1G"].map(|text| bytes(text).unwrap()),
            [1024, 4, 2048, 64 << 20, 1 << 30]
        );
        for wrong in ["", "m", "-1", "1.5g", "1x", "99999999999999g"] {
            assert!(bytes(wrong).is_err(), "{wrong:?}");
        }
    }
}
