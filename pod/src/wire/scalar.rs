//! Scalars that Kubernetes has and Rust has not.

use std::fmt;

/// A number or a name, such as a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IntOrString {
    /// A number.
    Int(i32),
    /// A text: a name, or a percentage.
    String(String),
}

impl Default for IntOrString {
    fn default() -> Self {
        Self::Int(0)
    }
}

impl From<i32> for IntOrString {
    fn from(value: i32) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for IntOrString {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl fmt::Display for IntOrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::String(value) => f.write_str(value),
        }
    }
}

/// Bytes, which JSON and YAML carry as base64.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Bytes {
    /// The bytes as padded base64.
    pub fn to_base64(&self) -> String {
        let mut text = String::with_capacity(self.0.len().div_ceil(3) * 4);
        for chunk in self.0.chunks(3) {
            let mut group = [0; 3];
            group[..chunk.len()].copy_from_slice(chunk);
            let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
            for position in 0..4 {
                if position > chunk.len() {
                    text.push('=');
                } else {
                    text.push(char::from(ALPHABET[(bits >> (18 - 6 * position)) as usize & 63]));
                }
            }
        }
        text
    }

    /// Reads padded base64; line breaks in it are passed over.
    ///
    /// # Errors
    /// The offset of the first byte that cannot stand where it does.
    pub fn from_base64(text: &str) -> Result<Self, usize> {
        let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
        let (mut bits, mut count, mut padding) = (0u32, 0u32, 0u32);
        for (offset, byte) in text.bytes().enumerate() {
            let value = match byte {
                b'\r' | b'\n' => continue,
                b'=' if count >= 2 && count + padding < 4 => {
                    padding += 1;
                    continue;
                }
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return Err(offset),
            };
            if padding > 0 {
                return Err(offset);
            }
            bits = bits << 6 | u32::from(value);
            count += 1;
            if count == 4 {
                bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
                (bits, count) = (0, 0);
            }
        }
        if count != 0 && count + padding != 4 {
            return Err(text.len());
        }
        let rest = (bits << (6 * (4 - count) % 24)).to_be_bytes();
        bytes.extend_from_slice(&rest[1..(count as usize).max(1)]);
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn base64_of_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")]
        {
            let bytes = Bytes(bytes.as_bytes().to_vec());
            assert_eq!(bytes.to_base64(), text);
            assert_eq!(Bytes::from_base64(text), Ok(bytes));
        }
        for text in ["Z", "Zg", "Zg=", "Zg===", "=", "Zm9v=", "Z!==", "Zg==Zg=="] {
            assert!(Bytes::from_base64(text).is_err(), "{text}");
        }
    }
}
