//! `cpu.*` of v2.

use std::time::Duration;

use crate::controller::{Controller, Version};
use crate::error::{Error, Result};
use crate::format::{self, micros, number};
use crate::observed::Observed;
use crate::report::Reason;
use crate::resources::Cpu;
use crate::setting::Setting;
use crate::stats::Stats;
use crate::value::CpuProportion;

/// Plans the settings in an order of which the kernel refuses no step.
pub(crate) fn plan(cpu: &Cpu, observed: &Observed, plan: &mut Vec<Setting>) -> Result<()> {
    let write = |name, file, value: String| Setting::write(name, Controller::Cpu, Version::V2, file, value);
    let idle = cpu.idle.map(|idle| write("cpu.idle", "cpu.idle", u8::from(idle).to_string()));
    let (before, after) = if cpu.idle == Some(true) { (None, idle) } else { (idle, None) };
    plan.extend(before);
    plan.extend(cpu.weight.map(weight));
    let burst = cpu.burst.map(burst_micros).transpose()?;
    let burst = burst.map(|micros| write("cpu.burst", "cpu.max.burst", micros.to_string()));
    // The kernel keeps the burst at or under the quota, so the one that shrinks goes first.
    let shrinks = cpu.burst.zip(observed.cpu_burst).is_some_and(|(new, old)| new < old);
    let (first, last) = if shrinks { (burst, None) } else { (None, burst) };
    plan.extend(first);
    plan.extend(cpu.max.map(|max| {
        let quota = max.quota().map(|quota| quota.as_micros());
        write("cpu.max", "cpu.max", format!("{quota} {}", max.period().as_micros()))
    }));
    plan.extend(last);
    plan.extend(after);
    plan.extend(cpu.nice.map(|nice| write("cpu.nice", "cpu.weight.nice", nice.to_string())));
    plan_uclamp(cpu, Version::V2, plan);
    let v1_only = |name, file| Setting::unsupported(name, Controller::Cpu, file, Reason::V1Only);
    plan.extend(cpu.realtime_runtime.map(|_| v1_only("cpu.realtime_runtime", "cpu.rt_runtime_us")));
    plan.extend(cpu.realtime_period.map(|_| v1_only("cpu.realtime_period", "cpu.rt_period_us")));
    Ok(())
}

/// Plans the bounds of utilization, which are the same in both versions.
pub(crate) fn plan_uclamp(cpu: &Cpu, version: Version, plan: &mut Vec<Setting>) {
    let bounds =
        [("cpu.uclamp_min", "cpu.uclamp.min", cpu.uclamp_min), ("cpu.uclamp_max", "cpu.uclamp.max", cpu.uclamp_max)];
    for (name, file, bound) in bounds {
        plan.extend(bound.map(|bound| Setting::write(name, Controller::Cpu, version, file, bound)));
    }
}

/// Whole microseconds of a burst.
pub(crate) fn burst_micros(burst: Duration) -> Result<u128> {
    whole_micros("cpu.burst", burst)
}

/// Whole microseconds of a setting.
pub(crate) fn whole_micros(field: &'static str, duration: Duration) -> Result<u128> {
    if duration.subsec_nanos().is_multiple_of(1000) {
        Ok(duration.as_micros())
    } else {
        Err(Error::invalid(field, format!("{duration:?}"), "the kernel counts whole microseconds"))
    }
}

fn weight(proportion: CpuProportion) -> Setting {
    let write = |weight: u16| Setting::write("cpu.weight", Controller::Cpu, Version::V2, "cpu.weight", weight);
    match proportion {
        CpuProportion::Weight(weight) => write(weight.get()),
        CpuProportion::Shares(shares) => {
            let weight = shares.to_weight();
            let lossy = weight.to_shares() != shares;
            let (from, to) = (format!("{} shares", shares.get()), format!("weight {}", weight.get()));
            write(weight.get()).converted(from, to, lossy)
        }
    }
}

/// Reads `cpu.stat`; a group without the controller has its usage but no bandwidth.
pub(crate) fn stat(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    let cpu = stats.cpu.get_or_insert_default();
    for (key, value) in format::keyed(content) {
        match key {
            b"usage_usec" => cpu.usage = micros(value)?,
            b"user_usec" => cpu.user = micros(value)?,
            b"system_usec" => cpu.system = micros(value)?,
            b"nice_usec" => cpu.nice = Some(micros(value)?),
            b"core_sched.force_idle_usec" => cpu.force_idle = Some(micros(value)?),
            b"nr_periods" => cpu.periods = Some(number(value)?),
            b"nr_throttled" => cpu.throttled_periods = Some(number(value)?),
            b"throttled_usec" => cpu.throttled = Some(micros(value)?),
            b"nr_bursts" => cpu.burst_periods = Some(number(value)?),
            b"burst_usec" => cpu.burst = Some(micros(value)?),
            _ => {}
        }
    }
    Ok(())
}

/// Reads `cpu.stat.local`, which is empty where the group does not have the controller.
pub(crate) fn stat_local(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    let throttled = format::value_of(content, b"throttled_usec").map(micros).transpose()?;
    stats.cpu.get_or_insert_default().throttled_local = throttled;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_without_the_controller_has_no_bandwidth() {
        let mut stats = Stats::default();
        stat(b"usage_usec 7\nuser_usec 4\nsystem_usec 3\nnice_usec 0\n", &mut stats).unwrap();
        let cpu = stats.cpu.unwrap();
        assert_eq!(
            (cpu.usage, cpu.user, cpu.system),
            (Duration::from_micros(7), Duration::from_micros(4), Duration::from_micros(3))
        );
        assert_eq!((cpu.periods, cpu.throttled, cpu.per_cpu), (None, None, None));
        assert!(stat(b"usage_usec max\n", &mut Stats::default()).is_err());
    }

    #[test]
    fn local_throttling_is_told_from_none() {
        let mut stats = Stats::default();
        stat_local(b"throttled_usec 12\n", &mut stats).unwrap();
        assert_eq!(stats.cpu.as_ref().unwrap().throttled_local, Some(Duration::from_micros(12)));
        stat_local(b"", &mut stats).unwrap();
        assert_eq!(stats.cpu.unwrap().throttled_local, None);
    }
}
