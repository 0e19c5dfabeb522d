//! Archives.

use windlass_overlay::tar::{Reader, parse_records};
use windlass_overlay::{Limits, whiteout};

/// What the reader accepts stays within its limits and inside the layer.
pub(super) fn tar(data: &[u8]) {
    const FILE_BYTES: u64 = 1 << 20;
    let limits = Limits { entries: 1000, file_bytes: FILE_BYTES, ..Limits::default() };
    let mut reader = Reader::new(data, limits);
    let mut entries = 0;
    let mut buffer = [0; 4096];
    while let Ok(Some(entry)) = reader.next_entry() {
        entries += 1;
        assert!(entries <= 1000, "the limit on entries holds");
        assert!(!entry.path.as_bytes().split(|byte| *byte == b'/').any(|part| part == b".."), "{:?}", entry.path);
        drop(whiteout::marker(&entry)); // an error is a fine answer; a panic is not
        while let Ok(Some(chunk)) = reader.read_chunk(&mut buffer) {
            assert!(chunk.offset + chunk.length as u64 <= FILE_BYTES, "the limit on a file's bytes holds");
        }
    }
}

/// Records lie inside the header that they were read from.
pub(super) fn pax(data: &[u8]) {
    if let Ok(records) = parse_records(data) {
        let bytes: usize = records.iter().map(|record| record.key.len() + record.value.len()).sum();
        assert!(bytes <= data.len());
    }
}
