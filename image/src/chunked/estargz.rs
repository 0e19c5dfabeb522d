//! estargz: the table is the archive's last file, and an empty stream at the end of the blob says where it begins.

use std::io::Read;

use super::entry::{self, Entry};
use crate::digest::Digest;
use crate::error::{Error, Fault, Result};
use crate::limits::Limits;

/// The table's name in the archive.
pub(super) const TABLE: &str = "stargz.index.json";
/// The annotation with the digest of the table.
pub(super) const DIGEST: &str = "containerd.io/snapshot/stargz/toc.digest";
/// The annotation with the length of the archive.
pub(super) const SIZE: &str = "io.containers.estargz.uncompressed-size";
/// Bytes of the stream at the end.
pub(super) const FOOTER: usize = 51;

const BLOCK: usize = 512;
/// A gzip header with a field of 26 bytes, which holds a subfield SG of 22.
const BEGIN: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0, b'S', b'G', 22, 0];
const MARK: &[u8; 6] = b"STARGZ";
/// An empty block, and the checksum and length of nothing.
const END: [u8; 13] = [1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];

/// The table as the last file of an archive, with the end of that; and its digest.
pub(super) fn archived(entries: &[Entry]) -> Result<(Vec<u8>, Digest)> {
    let table = entry::print(entries, []);
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(table.len() as u64);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, TABLE, &table[..]).map_err(Error::sys("write", TABLE))?;
    Ok((archive.into_inner().map_err(Error::sys("write", TABLE))?, Digest::of(&table)))
}

/// The stream that says where the table's own begins.
pub(super) fn footer(offset: u64) -> Vec<u8> {
    let mut footer = BEGIN.to_vec();
    footer.extend_from_slice(format!("{offset:016x}").as_bytes());
    footer.extend_from_slice(MARK);
    footer.extend_from_slice(&END);
    footer
}

/// Where the table's stream begins.
pub(super) fn table_offset(footer: &[u8]) -> Result<u64> {
    let broken = || Fault::new("does not end with the place of its table").of("estargz layer");
    // Time and system of the stream's header may be anything.
    let subfield = (footer.len() == FOOTER && footer[12..16] == BEGIN[12..]).then(|| &footer[16..38]);
    let digits = subfield.and_then(|subfield| subfield.strip_suffix(MARK)).ok_or_else(broken)?;
    let digits = std::str::from_utf8(digits).map_err(|_| broken())?;
    u64::from_str_radix(digits, 16).map_err(|_| broken())
}

/// The table in the stream that holds it as a file.
pub(super) fn table(stream: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    let failed = |error| Error::sys("decompress", TABLE)(error);
    let mut stream = flate2::bufread::GzDecoder::new(stream);
    let mut block = [0; BLOCK];
    stream.read_exact(&mut block).map_err(failed)?;
    let size = tar::Header::from_byte_slice(&block).entry_size().map_err(failed)?;
    if size > limits.table_bytes {
        return Err(Error::LimitExceeded { limit: "table of contents", max: limits.table_bytes });
    }
    let mut table = Vec::new();
    stream.take(size).read_to_end(&mut table).map_err(failed)?;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_footer_is_an_empty_stream_of_a_known_length() {
        let footer = footer(0xabc);
        assert_eq!(footer.len(), FOOTER);
        let mut nothing = Vec::new();
        flate2::bufread::GzDecoder::new(&footer[..]).read_to_end(&mut nothing).unwrap();
        assert!(nothing.is_empty());
        assert_eq!(table_offset(&footer).unwrap(), 0xabc);
        for wrong in [&footer[..40], &footer[1..], &[0; FOOTER]] {
            assert!(table_offset(wrong).is_err());
        }
    }
}
