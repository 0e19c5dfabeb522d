//! The identity of a layer.

use std::fmt;

/// The SHA-256 digest of a layer's uncompressed archive, which OCI calls `diff_id`.
///
/// ```
/// use windlass_overlay::LayerId;
///
/// let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// let id: LayerId = text.parse()?;
/// assert_eq!(id.to_string(), text);
/// # Ok::<(), windlass_overlay::LayerIdError>(())
/// ```
///
/// # Source
/// OCI image specification, config.md, `rootfs.diff_ids`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "diff_id")]
pub struct LayerId([u8; 32]);

/// The text is not `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a layer is named `sha256:` and 64 lower-case hexadecimal digits, not {0:?}")]
pub struct LayerIdError(String);

impl LayerId {
    /// From the digest itself.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest as 64 hexadecimal digits, without the algorithm.
    pub fn hex(&self) -> String {
        self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit).collect()
    }

    /// From 64 lower-case hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, LayerIdError> {
        let wrong = || LayerIdError(text.to_owned());
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| wrong())?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            let [high, low] = pair.map(hex_value);
            *byte = high.ok_or_else(wrong)? << 4 | low.ok_or_else(wrong)?;
        }
        Ok(Self(bytes))
    }
}

fn hex_digit(value: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(value)])
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl std::str::FromStr for LayerId {
    type Err = LayerIdError;

    fn from_str(text: &str) -> Result<Self, LayerIdError> {
        let digits = text.strip_prefix("sha256:").ok_or_else(|| LayerIdError(text.to_owned()))?;
        Self::from_hex(digits).map_err(|_| LayerIdError(text.to_owned()))
    }
}

impl fmt::Display for LayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for LayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_names_are_refused() {
        let digits = "0".repeat(64);
        assert!(format!("sha256:{digits}").parse::<LayerId>().is_ok());
        for text in [digits.clone(), format!("sha512:{digits}"), format!("sha256:{}A", &digits[1..]), "sha256:".into()]
        {
            assert_eq!(text.parse::<LayerId>(), Err(LayerIdError(text.clone())), "{text}");
        }
    }
}
