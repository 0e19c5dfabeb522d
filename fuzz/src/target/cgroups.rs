//! Files of the kernel, as a report might bring them from elsewhere.

use windlass_cgroups::{CpuSet, Stats, Version};

/// The first line is `v1 FILE` or `v2 FILE`, the rest its content; whatever it says is counted or refused.
pub(super) fn stats(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let Ok(first) = std::str::from_utf8(&data[..end]) else { return };
    let (version, file) = match first.split_once(' ') {
        Some(("v1", file)) => (Version::V1, file),
        Some(("v2", file)) => (Version::V2, file),
        _ => return,
    };
    let mut stats = Stats::default();
    if let Ok(known) = stats.take_in(version, file, &data[end + 1..]) {
        assert!(known || stats == Stats::default(), "a file that is no file of statistics counts nothing");
    }
}

/// What a set prints is read as the same set.
pub(super) fn cpuset(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(set) = text.parse::<CpuSet>() {
        assert_eq!(set.to_string().parse::<CpuSet>().as_ref(), Ok(&set));
    }
}
