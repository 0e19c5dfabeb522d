//! CPU proportions and bandwidth, and the curve between the two scales of proportion.

use std::time::Duration;

use super::{Limit, OutOfRange};

/// The proportion of CPU time on the scale of v1's `cpu.shares`: 2 to 262144, default 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuShares(u32);

/// The proportion of CPU time on the scale of v2's `cpu.weight`: 1 to 10000, default 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuWeight(u16);

/// A proportion of CPU time on the scale in which the caller has it; the plan converts where the version asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CpuProportion {
    /// On the scale of v1, which OCI and Kubernetes use.
    Shares(CpuShares),
    /// On the scale of v2.
    Weight(CpuWeight),
}

impl From<CpuShares> for CpuProportion {
    fn from(shares: CpuShares) -> Self {
        Self::Shares(shares)
    }
}

impl From<CpuWeight> for CpuProportion {
    fn from(weight: CpuWeight) -> Self {
        Self::Weight(weight)
    }
}

/// A share of the capacity of the largest CPU at its highest frequency.
///
/// Units: hundredths of a percent, 0 to 10000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuUtilization(u16);

impl CpuUtilization {
    /// Checks the range.
    pub fn new(hundredths_of_percent: u16) -> Result<Self, OutOfRange> {
        if hundredths_of_percent <= 10_000 {
            Ok(Self(hundredths_of_percent))
        } else {
            let reason = "the range is 0 to 10000 hundredths of a percent";
            Err(OutOfRange { what: "cpu utilization", value: hundredths_of_percent.to_string(), reason })
        }
    }

    /// The number, in hundredths of a percent.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl std::fmt::Display for CpuUtilization {
    /// Prints what the kernel's files hold: a percentage with two decimals.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl CpuShares {
    const MIN: u32 = 2;
    const MAX: u32 = 262_144;

    /// Checks the range; the kernel would clamp in silence.
    pub fn new(shares: u32) -> Result<Self, OutOfRange> {
        if (Self::MIN..=Self::MAX).contains(&shares) {
            Ok(Self(shares))
        } else {
            Err(OutOfRange { what: "cpu shares", value: shares.to_string(), reason: "the range is 2 to 262144" })
        }
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The weight at the same place on the curve on which 1024 shares are weight 100.
    ///
    /// Source: the curve that runc 1.3.2 and crun 1.23 adopted in 2025: the logarithm of the weight is
    /// quadratic in the logarithm of the shares through (2, 1), (1024, 100) and (262144, 10000).
    /// The straight line used before made 1024 shares the weight 39.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the curve's range is 1 to 10000 over the range that `new` admits"
    )]
    pub fn to_weight(self) -> CpuWeight {
        let log = f64::from(self.0).log2();
        let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
        // The margin takes away rounding noise: without it an exact 100 may come out as 101.
        let weight = (10_f64.powf(exponent) - 1e-9).ceil();
        CpuWeight(weight.clamp(1.0, 10_000.0) as u16)
    }
}

impl CpuWeight {
    /// Checks the range.
    pub fn new(weight: u16) -> Result<Self, OutOfRange> {
        if (1..=10_000).contains(&weight) {
            Ok(Self(weight))
        } else {
            Err(OutOfRange { what: "cpu weight", value: weight.to_string(), reason: "the range is 1 to 10000" })
        }
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }

    /// Shares that [`CpuShares::to_weight`] turns into this weight: the greatest ones.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the inverse curve's range is 2 to 262144 over the range that `new` admits"
    )]
    pub fn to_shares(self) -> CpuShares {
        let height = 612.0 * (f64::from(self.0).log10() + 7.0 / 34.0);
        let log = f64::midpoint(-125.0, (125.0_f64 * 125.0 + 4.0 * height).sqrt());
        let shares = (log.exp2() + 1e-6).floor();
        CpuShares(shares.clamp(f64::from(CpuShares::MIN), f64::from(CpuShares::MAX)) as u32)
    }
}

/// How much CPU time a group may use in each period.
///
/// Kernel: `cpu.max` (v2), `cpu.cfs_quota_us` and `cpu.cfs_period_us` (v1). The kernel refuses a period
/// outside 1 ms to 1 s and a quota under 1 ms; both are whole microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CpuMax {
    quota: Limit<Duration>,
    period: Duration,
}

impl CpuMax {
    /// The kernel's own period.
    pub const DEFAULT_PERIOD: Duration = Duration::from_millis(100);
    /// No limit, with the kernel's own period.
    pub const UNLIMITED: Self = Self { quota: Limit::Max, period: Self::DEFAULT_PERIOD };

    /// A quota for each period.
    pub fn new(quota: Limit<Duration>, period: Duration) -> Result<Self, OutOfRange> {
        let whole = |duration: Duration| duration.subsec_nanos().is_multiple_of(1000);
        if !(Duration::from_millis(1)..=Duration::from_secs(1)).contains(&period) || !whole(period) {
            let reason = "the range is 1 ms to 1 s, in whole microseconds";
            return Err(OutOfRange { what: "cpu period", value: format!("{period:?}"), reason });
        }
        match quota {
            Limit::At(quota) if quota < Duration::from_millis(1) || !whole(quota) => {
                let reason = "the least is 1 ms, in whole microseconds";
                Err(OutOfRange { what: "cpu quota", value: format!("{quota:?}"), reason })
            }
            _ => Ok(Self { quota, period }),
        }
    }

    /// The bandwidth of so many thousandths of a CPU in periods of 100 ms; under 10 it is the kernel's least, 10.
    pub fn millicores(millicores: u32) -> Self {
        let quota = Duration::from_micros(u64::from(millicores.max(10)) * 100);
        Self { quota: Limit::At(quota), period: Self::DEFAULT_PERIOD }
    }

    /// CPU time a period.
    pub fn quota(self) -> Limit<Duration> {
        self.quota
    }

    /// The length of a period.
    pub fn period(self) -> Duration {
        self.period
    }
}

#[cfg(test)]
mod tests {
    use super::{CpuMax, CpuShares, CpuWeight};
    use crate::value::Limit;
    use std::time::Duration;

    #[test]
    fn the_curve_passes_the_points_that_runtimes_agree_on() {
        for (shares, weight) in [(2, 1), (3, 2), (102, 17), (512, 59), (1024, 100), (2048, 174), (262_144, 10_000)] {
            assert_eq!(CpuShares::new(shares).unwrap().to_weight().get(), weight, "{shares} shares");
        }
        assert_eq!(CpuWeight::new(100).unwrap().to_shares().get(), 1024);
    }

    #[test]
    fn every_weight_survives_the_way_through_shares() {
        for weight in 1..=10_000 {
            let weight = CpuWeight::new(weight).unwrap();
            assert_eq!(weight.to_shares().to_weight(), weight);
        }
    }

    #[test]
    fn more_shares_never_weigh_less() {
        let mut last = 0;
        for shares in 2..=262_144 {
            let weight = CpuShares(shares).to_weight().get();
            assert!(weight >= last, "{shares}");
            last = weight;
        }
    }

    #[test]
    fn what_the_kernel_refuses_cannot_be_made() {
        let ms = Duration::from_millis;
        assert!(CpuMax::new(Limit::At(Duration::from_micros(999)), ms(100)).is_err());
        assert!(CpuMax::new(Limit::At(ms(1)), Duration::from_micros(999)).is_err());
        assert!(CpuMax::new(Limit::At(ms(1)), ms(1001)).is_err());
        assert!(CpuMax::new(Limit::At(Duration::from_nanos(1_000_001)), ms(1)).is_err());
        assert!(CpuMax::new(Limit::At(ms(1)), ms(1)).is_ok());
        assert_eq!(CpuMax::millicores(1).quota(), Limit::At(ms(1)));
        assert_eq!(CpuMax::millicores(2500).quota(), Limit::At(ms(250)));
        assert!(CpuShares::new(1).is_err());
        assert!(CpuWeight::new(0).is_err());
    }
}
