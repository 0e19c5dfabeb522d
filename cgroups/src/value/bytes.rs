//! An amount of memory or data.

/// An amount in bytes.
///
/// Its `Display` is the plain number, as kernel files hold it; `{:#}` prints a binary unit for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(u64);

impl Bytes {
    /// This many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// This many times 1024 bytes; saturates.
    pub const fn kib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 10))
    }

    /// This many times 1024² bytes; saturates.
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    /// This many times 1024³ bytes; saturates.
    pub const fn gib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 30))
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum, unless it overflows.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, unless it is negative.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl From<u64> for Bytes {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !f.alternate() {
            return self.0.fmt(f);
        }
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let mut unit = 0;
        let mut whole = self.0;
        let mut remainder = 0;
        while whole >= 1024 {
            remainder = whole % 1024;
            whole /= 1024;
            unit += 1;
        }
        if unit == 0 {
            return write!(f, "{whole} B");
        }
        write!(f, "{whole}.{} {}", remainder * 10 / 1024, units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn prints_the_number_or_a_unit() {
        for (bytes, plain, alternate) in [
            (0, "0", "0 B"),
            (1023, "1023", "1023 B"),
            (1024, "1024", "1.0 KiB"),
            (1536, "1536", "1.5 KiB"),
            (64 << 20, "67108864", "64.0 MiB"),
            (u64::MAX, "18446744073709551615", "15.9 EiB"),
        ] {
            assert_eq!(Bytes::new(bytes).to_string(), plain);
            assert_eq!(format!("{:#}", Bytes::new(bytes)), alternate);
        }
    }
}
