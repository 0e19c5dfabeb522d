//! What a decoder takes at the most.

/// Bounds on what a decoder reads; beyond one of them it stops with [`Error::LimitExceeded`](crate::Error::LimitExceeded).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The length of the text, in bytes.
    pub size: usize,
    /// How deep maps and lists nest.
    pub depth: usize,
    /// How many values a text holds, those that YAML aliases repeat counted each time.
    pub values: usize,
}

impl Default for Limits {
    /// 3 MiB as the Kubernetes API server takes, 128 deep, 100,000 values.
    fn default() -> Self {
        Self { size: 3 << 20, depth: 128, values: 100_000 }
    }
}
