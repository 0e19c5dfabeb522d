//! Digests: the name of content is what it hashes to.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher as StdHasher};
use std::str::FromStr;

use sha2::{Digest as _, Sha512};

use crate::sha256::{self, Sha256};

/// A registered hash algorithm.
///
/// # Source
/// OCI image specification, descriptor, "registered algorithms".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// SHA-256, which every implementation must have.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, the common one first.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The name in front of the colon; also the directory of its blobs in a layout.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Bytes of its result.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The digest of some content, like `sha256:2c26b46b...`; one that exists is well formed.
///
/// ```
/// use windlass_image::Digest;
/// let digest = Digest::of(b"foo");
/// assert_eq!(digest.to_string(), "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae");
/// assert_eq!(digest.to_string().parse::<Digest>()?, digest);
/// assert!("sha256:../../etc/passwd".parse::<Digest>().is_err());
/// # Ok::<(), windlass_image::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Digest {
    algorithm: Algorithm,
    // Bytes after the algorithm's length stay zero.
    bytes: [u8; 64],
}

impl Digest {
    /// The SHA-256 of `content`.
    pub fn of(content: &[u8]) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(content);
        hasher.finish()
    }

    /// Which algorithm made it.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hash itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.digest_len()]
    }

    /// The hash in lower-case hexadecimal digits, without the algorithm.
    pub fn hex(&self) -> String {
        self.as_bytes().iter().flat_map(|byte| [byte >> 4, byte & 0xf]).map(hex_digit).collect()
    }

    /// Reads `ALGORITHM:HEX`.
    ///
    /// # Errors
    /// An unknown algorithm, another number of digits than it has, and digits that are not lower-case hexadecimal.
    pub fn parse(text: &str) -> Result<Self, ParseDigestError> {
        let error = |reason| ParseDigestError { text: text.to_owned(), reason };
        let (name, hex) = text.split_once(':').ok_or_else(|| error("has no colon"))?;
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or_else(|| error("has an unknown algorithm"))?;
        if hex.len() != 2 * algorithm.digest_len() {
            return Err(error("has the wrong length for its algorithm"));
        }
        let mut bytes = [0; 64];
        // Digits are as good as random: a branch on one would be guessed wrongly every other time.
        let mut seen = 0;
        for (byte, [high, low]) in bytes.iter_mut().zip(hex.as_bytes().as_chunks().0) {
            let (high, low) = (NIBBLES[usize::from(*high)], NIBBLES[usize::from(*low)]);
            seen |= high | low;
            *byte = high << 4 | low & 0xf;
        }
        if seen & NO_DIGIT != 0 {
            return Err(error("has something other than lower-case hexadecimal digits"));
        }
        Ok(Self { algorithm, bytes })
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 })
}

const NO_DIGIT: u8 = 0x80;

/// What each byte is worth as a digit.
const NIBBLES: [u8; 256] = {
    let mut nibbles = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        nibbles[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    nibbles
};

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        Self::parse(text)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Digest {}

impl PartialOrd for Digest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Digest {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.algorithm, self.as_bytes()).cmp(&(other.algorithm, other.as_bytes()))
    }
}

impl Hash for Digest {
    fn hash<H: StdHasher>(&self, state: &mut H) {
        (self.algorithm, self.as_bytes()).hash(state);
    }
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("digest {text:?} {reason}")]
pub struct ParseDigestError {
    text: String,
    reason: &'static str,
}

impl ParseDigestError {
    pub(crate) fn reason(&self) -> &'static str {
        self.reason
    }
}

/// Computes a digest piece by piece.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// Starts with no content.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        })
    }

    /// Adds the next piece of content.
    pub fn update(&mut self, content: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(content),
            State::Sha512(state) => state.update(content),
        }
    }

    /// Adds a piece to each of several contents, in about half of the time that [`update`](Self::update) takes for as
    /// many where the processor has instructions for SHA-256 and there are two contents, or has none and there are four.
    pub fn update_together(pieces: &mut [(&mut Self, &[u8])]) {
        for group in pieces.chunks_mut(sha256::LANES) {
            let mut together = Vec::with_capacity(sha256::LANES);
            for (hasher, piece) in group {
                match &mut hasher.0 {
                    State::Sha256(state) => together.push((state, *piece)),
                    State::Sha512(state) => state.update(piece),
                }
            }
            sha256::update_together(&mut together);
        }
    }

    /// The digest of all content added.
    pub fn finish(self) -> Digest {
        let mut bytes = [0; 64];
        let algorithm = match self.0 {
            State::Sha256(state) => {
                bytes[..32].copy_from_slice(&state.finish());
                Algorithm::Sha256
            }
            State::Sha512(state) => {
                bytes.copy_from_slice(&state.finalize());
                Algorithm::Sha512
            }
        };
        Digest { algorithm, bytes }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = match &self.0 {
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha512(_) => Algorithm::Sha512,
        };
        f.debug_struct("Hasher").field("algorithm", &algorithm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_vectors() {
        // FIPS 180-4, the message "abc".
        for (algorithm, hex) in [
            (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                Algorithm::Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ] {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"a");
            hasher.update(b"bc");
            assert_eq!(hasher.finish().to_string(), format!("{algorithm}:{hex}"));
        }
    }

    #[test]
    fn what_could_name_another_file_is_refused() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for text in [
            String::new(),
            ":".into(),
            hex.into(),
            "sha256:".into(),
            format!("sha256:{}", hex.to_uppercase()),
            format!("SHA256:{hex}"),
            format!("sha256:{hex}\n"),
            format!(" sha256:{hex}"),
            format!("sha512:{hex}"),
            format!("md5:{hex}"),
            format!("sha256:../{}", &hex[3..]),
            format!("../sha256:{hex}"),
            format!("sha256:ü{}", &hex[2..]),
        ] {
            assert!(Digest::parse(&text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parse_inverts_display(content: Vec<u8>, which in 0..2_usize) {
            let mut hasher = Hasher::new(Algorithm::ALL[which]);
            hasher.update(&content);
            let digest = hasher.finish();
            prop_assert_eq!(Digest::parse(&digest.to_string()), Ok(digest));
        }
    }
}
