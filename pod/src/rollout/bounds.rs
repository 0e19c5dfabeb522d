//! How many pods a rollout may have too many, and how many too few.

use crate::kinds::Deployment;
use crate::wire::scalar::IntOrString;
use crate::wire::text::Text as _;

/// Numbers that a rolling update keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How many pods are wanted.
    pub replicas: i32,
    /// How many more there may be.
    pub max_surge: i32,
    /// How many of those wanted may be missing.
    pub max_unavailable: i32,
}

/// Which way a part of a pod counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    Up,
    Down,
}

/// A number, or a percentage of another; what cannot be read is nothing.
pub(super) fn scaled(value: Option<&IntOrString>, total: i32, rounding: Rounding) -> i32 {
    match value {
        None => 0,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(text)) => {
            let percent: i64 = text.strip_suffix('%').and_then(|digits| digits.parse().ok()).unwrap_or(0);
            let product = percent.saturating_mul(total.into());
            let part =
                if rounding == Rounding::Up { product.saturating_add(99).div_euclid(100) } else { product / 100 };
            i32::try_from(part).unwrap_or(i32::MAX)
        }
    }
}

impl Bounds {
    /// Those of a deployment; where both would be nothing, one may be missing.
    pub fn of(deployment: &Deployment) -> Self {
        let spec = &deployment.spec;
        let replicas = spec.replicas.unwrap_or(1).max(0);
        let rolling = spec.strategy.rolling_update.as_deref();
        if spec.strategy.type_.text() == "Recreate" {
            return Self { replicas, max_surge: 0, max_unavailable: replicas };
        }
        let default = IntOrString::from("25%");
        let value =
            |value: Option<&IntOrString>, rounding| scaled(Some(value.unwrap_or(&default)), replicas, rounding).max(0);
        let max_surge = value(rolling.and_then(|own| own.max_surge.as_ref()), Rounding::Up);
        let max_unavailable = value(rolling.and_then(|own| own.max_unavailable.as_ref()), Rounding::Down);
        let max_unavailable = if max_surge == 0 && max_unavailable == 0 { 1 } else { max_unavailable };
        Self { replicas, max_surge, max_unavailable: max_unavailable.min(replicas) }
    }

    /// How many there may be at once.
    pub fn total(self) -> i32 {
        self.replicas.saturating_add(self.max_surge)
    }

    /// How many have to be there.
    pub fn available(self) -> i32 {
        self.replicas - self.max_unavailable
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Rounding, scaled};
    use crate::kinds::Deployment;
    use crate::object::decode::decode_yaml_as;
    use crate::wire::scalar::IntOrString;

    #[test]
    fn percentages_round_towards_more_pods() {
        let quarter = IntOrString::from("25%");
        assert_eq!(scaled(Some(&quarter), 10, Rounding::Up), 3);
        assert_eq!(scaled(Some(&quarter), 10, Rounding::Down), 2);
        let of = |text: &str| Bounds::of(&decode_yaml_as::<Deployment>(text.as_bytes()).unwrap());
        let bounds = of("spec: {replicas: 10}");
        assert_eq!((bounds.total(), bounds.available()), (13, 8));
        let none = of("spec: {replicas: 1, strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}}");
        assert_eq!((none.total(), none.available()), (1, 0));
    }
}
