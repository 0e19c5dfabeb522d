//! The tolerations of a valid pod.

use std::time::Duration;

use super::TaintEffect;
use crate::kinds::{self, Taint};
use crate::taint;
use crate::wire::text::Text as _;

/// A toleration of a valid pod.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Toleration<'a>(pub(super) &'a kinds::Toleration);

impl<'a> Toleration<'a> {
    /// The key of the taints; none stands for every key.
    pub fn key(self) -> Option<&'a str> {
        self.0.key.as_deref().filter(|key| !key.is_empty())
    }

    /// The value of the taints; none stands for every value.
    pub fn value(self) -> Option<&'a str> {
        (self.0.operator.text() != "Exists").then(|| self.0.value.text())
    }

    /// The effect of the taints; none stands for every effect.
    pub fn effect(self) -> Option<TaintEffect> {
        TaintEffect::of(self.0.effect.text())
    }

    /// How long a taint that drives pods off is borne; none stands for ever, and what is below zero for not at all.
    pub fn bears(self) -> Option<Duration> {
        self.0.toleration_seconds.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    }

    /// Whether it takes this taint.
    pub fn tolerates(self, taint: &Taint) -> bool {
        taint::tolerates(self.0, taint)
    }
}
