//! `cpu.*` and `cpuacct.*` of v1.

use std::time::Duration;

use crate::controller::{Controller, Version};
use crate::error::Result;
use crate::format::{self, FormatError, number};
use crate::observed::Observed;
use crate::report::Reason;
use crate::resources::Cpu;
use crate::setting::{Setting, Write};
use crate::stats::Stats;
use crate::v2::cpu::{burst_micros, plan_uclamp, whole_micros};
use crate::value::{CpuMax, CpuProportion, Limit};

const QUOTA: &str = "cpu.cfs_quota_us";
const PERIOD: &str = "cpu.cfs_period_us";
pub(crate) const RT_PERIOD: &str = "cpu.rt_period_us";

/// Plans the settings in an order of which the kernel refuses no step.
pub(crate) fn plan(cpu: &Cpu, observed: &Observed, plan: &mut Vec<Setting>) -> Result<()> {
    let idle =
        cpu.idle.map(|idle| Setting::write("cpu.idle", Controller::Cpu, Version::V1, "cpu.idle", u8::from(idle)));
    let (before, after) = if cpu.idle == Some(true) { (None, idle) } else { (idle, None) };
    plan.extend(before);
    plan.extend(cpu.weight.map(weight));
    let burst = cpu
        .burst
        .map(burst_micros)
        .transpose()?
        .map(|micros| Setting::write("cpu.burst", Controller::Cpu, Version::V1, "cpu.cfs_burst_us", micros));
    // The kernel keeps the burst at or under the quota, so the one that shrinks goes first.
    let shrinks = cpu.burst.zip(observed.cpu_burst).is_some_and(|(new, old)| new < old);
    let (before, last) = if shrinks { (burst, None) } else { (None, burst) };
    plan.extend(before);
    plan.extend(cpu.max.map(|max| bandwidth(max, observed)));
    plan.extend(last);
    plan.extend(after);
    plan.extend(cpu.nice.map(|_| Setting::unsupported("cpu.nice", Controller::Cpu, "cpu.weight.nice", Reason::V2Only)));
    plan.extend(realtime(cpu, observed)?);
    plan_uclamp(cpu, Version::V1, plan);
    Ok(())
}

/// The runtime may never be above the period: what gets shorter follows the runtime, what gets longer precedes it.
fn realtime(cpu: &Cpu, observed: &Observed) -> Result<Vec<Setting>> {
    let write = |name, file, value: String| Setting::write(name, Controller::Cpu, Version::V1, file, value);
    let runtime = match cpu.realtime_runtime {
        None => None,
        Some(Limit::Max) => Some("-1".to_owned()),
        Some(Limit::At(runtime)) => Some(whole_micros("cpu.realtime_runtime", runtime)?.to_string()),
    };
    let period = cpu.realtime_period.map(|period| whole_micros("cpu.realtime_period", period)).transpose()?;
    let shorter = cpu.realtime_period.zip(observed.realtime_period).is_some_and(|(new, old)| new < old);
    let runtime = runtime.map(|micros| write("cpu.realtime_runtime", "cpu.rt_runtime_us", micros));
    let period = period.map(|micros| write("cpu.realtime_period", RT_PERIOD, micros.to_string()));
    let (first, second) = if shorter { (runtime, period) } else { (period, runtime) };
    Ok(first.into_iter().chain(second).collect())
}

fn weight(proportion: CpuProportion) -> Setting {
    let write = |shares: u32| Setting::write("cpu.weight", Controller::Cpu, Version::V1, "cpu.shares", shares);
    match proportion {
        CpuProportion::Shares(shares) => write(shares.get()),
        CpuProportion::Weight(weight) => {
            let shares = weight.to_shares().get();
            let lossy = weight.to_shares().to_weight() != weight;
            write(shares).converted(format_args!("weight {}", weight.get()), format_args!("{shares} shares"), lossy)
        }
    }
}

/// Quota and period, ordered so that between the two writes the share of a CPU is not above both the old and the new:
/// the kernel refuses a share above the parent's.
fn bandwidth(max: CpuMax, observed: &Observed) -> Setting {
    let quota = match max.quota() {
        Limit::Max => Write::new(Version::V1, QUOTA, -1),
        Limit::At(quota) => Write::new(Version::V1, QUOTA, quota.as_micros()),
    };
    if observed.cpu_period == Some(max.period()) {
        return Setting::writes("cpu.max", Controller::Cpu, quota);
    }
    let period = Write::new(Version::V1, PERIOD, max.period().as_micros());
    let shorter = observed.cpu_period.is_some_and(|period| max.period() < period);
    let writes = if shorter { vec![quota, period] } else { vec![period, quota] };
    Setting::writes("cpu.max", Controller::Cpu, writes)
}

/// Reads `cpu.stat`.
pub(crate) fn stat(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    let cpu = stats.cpu.get_or_insert_default();
    for (key, value) in format::keyed(content) {
        match key {
            b"nr_periods" => cpu.periods = Some(number(value)?),
            b"nr_throttled" => cpu.throttled_periods = Some(number(value)?),
            b"throttled_time" => cpu.throttled = Some(Duration::from_nanos(number(value)?)),
            b"nr_bursts" => cpu.burst_periods = Some(number(value)?),
            b"burst_time" => cpu.burst = Some(Duration::from_nanos(number(value)?)),
            _ => {}
        }
    }
    Ok(())
}

/// Reads `cpu.stat.local`.
pub(crate) fn stat_local(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    let throttled = format::value_of(content, b"throttled_time").map(number).transpose()?;
    stats.cpu.get_or_insert_default().throttled_local = throttled.map(Duration::from_nanos);
    Ok(())
}

/// `cpuacct.usage_percpu`: what ran on each CPU, to the nanosecond.
pub(crate) fn usage_percpu(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    let cpu = stats.cpu.get_or_insert_default();
    let per_cpu = cpu.per_cpu.get_or_insert_default();
    for word in format::lines(content).flat_map(format::words) {
        let usage = Duration::from_nanos(number(word)?);
        cpu.usage += usage;
        per_cpu.push(usage);
    }
    Ok(())
}

/// `cpuacct.usage_all`: how much of it was in programs and in the kernel, as the clock's tick saw it; a process that
/// was never running at a tick adds nothing, so the two do not add up to the usage.
pub(crate) fn usage_all(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    let cpu = stats.cpu.get_or_insert_default();
    for line in format::lines(content).skip(1) {
        let mut words = format::words(line);
        let mut next = || words.next().ok_or(FormatError("a line has fewer than three numbers")).and_then(number);
        next()?;
        cpu.user += Duration::from_nanos(next()?);
        cpu.system += Duration::from_nanos(next()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_the_sum_over_cpus() {
        let mut stats = Stats::default();
        usage_percpu(b"1020 7 \n", &mut stats).unwrap();
        usage_all(b"cpu user system\n0 1000 20\n1 0 3\n", &mut stats).unwrap();
        let cpu = stats.cpu.unwrap();
        let nanos = Duration::from_nanos;
        assert_eq!((cpu.usage, cpu.user, cpu.system), (nanos(1027), nanos(1000), nanos(23)));
        assert_eq!(cpu.per_cpu, Some(vec![nanos(1020), nanos(7)]));
        assert!(usage_percpu(b"1 x\n", &mut Stats::default()).is_err());
        assert!(usage_all(b"cpu user system\n0 1\n", &mut Stats::default()).is_err());
    }

    #[test]
    fn throttling_counts_in_nanoseconds() {
        let mut stats = Stats::default();
        stat(b"nr_periods 5\nnr_throttled 2\nthrottled_time 1500\nnr_bursts 0\nburst_time 0\n", &mut stats).unwrap();
        let cpu = stats.cpu.unwrap();
        assert_eq!((cpu.periods, cpu.throttled_periods), (Some(5), Some(2)));
        assert_eq!(cpu.throttled, Some(Duration::from_nanos(1500)));
    }

    #[test]
    fn a_shorter_period_is_written_after_the_quota() {
        let files = |observed_period| {
            let observed = Observed { cpu_period: Some(Duration::from_millis(observed_period)), ..Observed::default() };
            let max = CpuMax::new(Limit::At(Duration::from_millis(5)), Duration::from_millis(50)).unwrap();
            match bandwidth(max, &observed).action {
                crate::setting::Action::Write { writes, .. } => {
                    writes.iter().map(|write| format!("{}={}", write.file, write.value())).collect::<Vec<_>>()
                }
                _ => Vec::new(),
            }
        };
        assert_eq!(files(100), ["cpu.cfs_quota_us=5000", "cpu.cfs_period_us=50000"]);
        assert_eq!(files(10), ["cpu.cfs_period_us=50000", "cpu.cfs_quota_us=5000"]);
    }
}
