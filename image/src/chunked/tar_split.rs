//! An archive without its files' content, as readers of zstd:chunked put it together again.
//!
//! One JSON object a line: a segment is raw bytes, a file is the length and the checksum of what was left out.

use std::io::{self, Write as _};

use crate::base64;
use crate::codec::Encoder;
use crate::error::{Error, Result};
use crate::json::{self, Value};
use crate::media_type::Codec;

/// Collects the lines, compressed.
pub(super) struct TarSplit {
    out: Encoder<Vec<u8>>,
    bytes: u64,
    position: u64,
}

impl TarSplit {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { out: Encoder::new(Codec::Zstd, Vec::new())?, bytes: 0, position: 0 })
    }

    /// Bytes of the archive that are no file's content.
    pub(super) fn segment(&mut self, raw: &[u8]) -> Result<()> {
        if raw.is_empty() {
            return Ok(());
        }
        self.line(&format!(r#"{{"type":2,"payload":"{}""#, base64::encode(raw)))
    }

    /// An entry's content; entries without any are told of, too.
    pub(super) fn file(&mut self, path: &str, size: u64, checksum: Checksum) -> Result<()> {
        let name = json::compact(&Value::text(path.to_owned()));
        let name = String::from_utf8_lossy(&name);
        let (size, payload) = match size {
            0 => (String::new(), "null".to_owned()),
            size => (format!(r#","size":{size}"#), format!("{:?}", base64::encode(&checksum.finish().to_be_bytes()))),
        };
        self.line(&format!(r#"{{"type":1,"name":{name}{size},"payload":{payload}"#))
    }

    fn line(&mut self, begun: &str) -> Result<()> {
        let line = format!("{begun},\"position\":{}}}\n", self.position);
        self.position += 1;
        self.bytes += line.len() as u64;
        self.out.write_all(line.as_bytes()).map_err(Error::sys("compress", "the skeleton of a layer"))
    }

    /// The compressed lines, and how many bytes they are uncompressed.
    pub(super) fn finish(self) -> io::Result<(Vec<u8>, u64)> {
        Ok((self.out.finish()?, self.bytes))
    }
}

/// CRC-64 with the polynomial of ISO 3309, as Go computes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checksum(u64);

const POLYNOMIAL: u64 = 0xd800_0000_0000_0000;

const TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

impl Checksum {
    pub(super) fn new() -> Self {
        Self(!0)
    }

    pub(super) fn update(&mut self, content: &[u8]) {
        for byte in content {
            self.0 = TABLE[usize::from(self.0.to_le_bytes()[0] ^ byte)] ^ self.0 >> 8;
        }
    }

    fn finish(self) -> u64 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_check_value() {
        let mut checksum = Checksum::new();
        checksum.update(b"1234");
        checksum.update(b"56789");
        assert_eq!(checksum.finish(), 0xb909_56c7_75a4_1001);
    }
}
