//! Maps of sparse files, in GNU's own header and in the three versions that GNU puts into pax.

use std::io::Read;

use super::BLOCK;
use super::header::{Header, unsigned};
use super::input::Input;
use super::text::{decimal, name};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::limits::{Limit, Limits};

/// Bytes of a file that the archive holds; what lies between two of them is a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// The size of a sparse file, and where its data goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Map {
    pub(super) size: u64,
    pub(super) segments: Vec<Segment>,
}

impl Map {
    /// Checks order, overlap and that the segments hold exactly the stored bytes.
    fn check(self, stored: u64) -> std::result::Result<Self, Fault> {
        let mut end = 0;
        let mut held = 0_u64;
        for segment in &self.segments {
            let after = segment.offset.checked_add(segment.length).ok_or(Fault::SparseMap)?;
            if segment.offset < end || after > self.size {
                return Err(Fault::SparseMap);
            }
            end = after;
            held += segment.length;
        }
        if held == stored { Ok(self) } else { Err(Fault::SparseMap) }
    }
}

/// The `GNU.sparse.*` records of one pax header.
#[derive(Debug, Clone, Default)]
pub(super) struct PaxSparse {
    major: Option<u64>,
    minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    real_size: Option<u64>,
    blocks: Option<u64>,
    offset: Option<u64>,
    segments: Option<Vec<Segment>>,
}

impl PaxSparse {
    /// Takes one record.
    pub(super) fn set(&mut self, key: &str, value: &[u8], limits: &Limits) -> std::result::Result<(), Fault> {
        let wrong = || Fault::PaxValue(key.to_owned());
        let number = || decimal(value).ok_or_else(wrong);
        match key {
            "GNU.sparse.major" => self.major = Some(number()?),
            "GNU.sparse.minor" => self.minor = Some(number()?),
            "GNU.sparse.name" => self.name = Some(name(value).ok_or_else(wrong)?),
            "GNU.sparse.size" | "GNU.sparse.realsize" if self.real_size.is_some() => {
                return Err(Fault::Contradiction("a sparse file has two sizes"));
            }
            "GNU.sparse.size" | "GNU.sparse.realsize" => self.real_size = Some(number()?),
            "GNU.sparse.numblocks" => self.blocks = Some(number()?),
            "GNU.sparse.offset" if self.offset.is_some() => return Err(Fault::SparseMap),
            "GNU.sparse.offset" => self.offset = Some(number()?),
            "GNU.sparse.numbytes" => {
                let offset = self.offset.take().ok_or(Fault::SparseMap)?;
                self.segments.get_or_insert_default().push(Segment { offset, length: number()? });
            }
            "GNU.sparse.map" if self.segments.is_some() => return Err(Fault::SparseMap),
            "GNU.sparse.map" => self.segments = Some(map_of_pairs(value).ok_or_else(wrong)?),
            _ => return Err(Fault::PaxKey(key.to_owned())),
        }
        match &self.segments {
            Some(segments) if segments.len() > limits.sparse_segments => Err(Fault::SparseMap),
            _ => Ok(()),
        }
    }

    /// Whether any record was there.
    pub(super) fn is_used(&self) -> bool {
        self.major.is_some() || self.minor.is_some() || self.name.is_some() || self.has_map()
    }

    fn has_map(&self) -> bool {
        self.real_size.is_some() || self.blocks.is_some() || self.offset.is_some() || self.segments.is_some()
    }

    /// The map and how many stored bytes remain after reading it, from the records or from the data itself.
    pub(super) fn map<R: Read>(self, input: &mut Input<R>, stored: u64, limits: &Limits) -> Result<(Map, u64)> {
        let offset = input.offset();
        let fault = |fault| Error::archive(offset, fault);
        let size = self.real_size.ok_or_else(|| fault(Fault::SparseMap))?;
        match (self.major, self.minor, self.segments) {
            (Some(1), Some(0), None) if self.blocks.is_none() => {
                let (segments, used) = map_in_data(input, stored, limits)?;
                let left = stored - used;
                Ok((Map { size, segments }.check(left).map_err(fault)?, left))
            }
            (None | Some(0), _, segments) => {
                let segments = segments.unwrap_or_default();
                if self.offset.is_some() || self.blocks != Some(segments.len() as u64) {
                    return Err(fault(Fault::SparseMap));
                }
                Ok((Map { size, segments }.check(stored).map_err(fault)?, stored))
            }
            _ => Err(fault(Fault::SparseMap)),
        }
    }
}

/// `offset,length,offset,length...` of version 0.1.
fn map_of_pairs(value: &[u8]) -> Option<Vec<Segment>> {
    if value.is_empty() {
        return Some(Vec::new());
    }
    let numbers: Vec<u64> = value.split(|byte| *byte == b',').map(decimal).collect::<Option<_>>()?;
    let (pairs, rest) = numbers.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[offset, length]| Segment { offset: *offset, length: *length }).collect())
}

/// Version 1.0: decimal lines before the data, padded to whole blocks. Gives the bytes used too.
fn map_in_data<R: Read>(input: &mut Input<R>, stored: u64, limits: &Limits) -> Result<(Vec<Segment>, u64)> {
    let wrong = |input: &Input<R>| Error::archive(input.offset(), Fault::SparseMap);
    let mut numbers = Vec::new();
    let mut digits = Vec::new();
    let mut used = 0;
    let mut expected = None;
    while expected != Some(numbers.len()) {
        if used == stored {
            return Err(wrong(input));
        }
        let block = input.block()?.ok_or_else(|| Error::archive(input.offset(), Fault::Truncated))?;
        used = (used + BLOCK as u64).min(stored);
        for byte in block {
            if byte != b'\n' {
                digits.push(byte);
                if digits.len() > 20 && expected != Some(numbers.len()) {
                    return Err(wrong(input));
                }
                continue;
            }
            let value = decimal(&digits).ok_or_else(|| wrong(input))?;
            digits.clear();
            match expected {
                None => expected = Some(segments_allowed(value, limits)? * 2),
                Some(_) => numbers.push(value),
            }
            if expected == Some(numbers.len()) {
                break;
            }
        }
    }
    let segments =
        numbers.as_chunks::<2>().0.iter().map(|[offset, length]| Segment { offset: *offset, length: *length });
    Ok((segments.collect(), used))
}

fn segments_allowed(count: u64, limits: &Limits) -> Result<usize> {
    usize::try_from(count)
        .ok()
        .filter(|count| *count <= limits.sparse_segments)
        .ok_or(Error::LimitExceeded { limit: Limit::SparseSegments, max: limits.sparse_segments as u64 })
}

/// The map of GNU's own sparse header, whose further parts follow in blocks of their own.
pub(super) fn gnu_map<R: Read>(header: &Header, input: &mut Input<R>, limits: &Limits) -> Result<Map> {
    let offset = input.offset();
    let fault = |fault| Error::archive(offset, fault);
    let (first, mut more, size) = header.gnu_sparse().map_err(fault)?;
    let mut segments = Vec::new();
    gnu_segments(first, &mut segments).map_err(fault)?;
    while more {
        let block = input.block()?.ok_or_else(|| Error::archive(input.offset(), Fault::Truncated))?;
        gnu_segments(&block[..504], &mut segments).map_err(fault)?;
        segments_allowed(segments.len() as u64, limits)?;
        more = block[504] != 0;
    }
    Map { size, segments }.check(header.size).map_err(fault)
}

fn gnu_segments(fields: &[u8], segments: &mut Vec<Segment>) -> std::result::Result<(), Fault> {
    for pair in fields.as_chunks::<24>().0 {
        // An unused place is all NUL.
        if pair[0] == 0 && pair[12] == 0 {
            continue;
        }
        let offset = unsigned(&pair[..12], "sparse offset")?;
        segments.push(Segment { offset, length: unsigned(&pair[12..], "sparse numbytes")? });
    }
    Ok(())
}

/// The map of a file without holes.
pub(super) fn whole(size: u64) -> Map {
    let segments = if size == 0 { Vec::new() } else { vec![Segment { offset: 0, length: size }] };
    Map { size, segments }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(offset: u64, length: u64) -> Segment {
        Segment { offset, length }
    }

    #[test]
    fn maps_are_checked() {
        let check =
            |size, segments: &[Segment], stored| Map { size, segments: segments.to_vec() }.check(stored).is_ok();
        assert!(check(10, &[segment(0, 2), segment(8, 2)], 4));
        assert!(check(10, &[segment(10, 0)], 0));
        assert!(!check(10, &[segment(0, 2), segment(1, 2)], 4), "overlap");
        assert!(!check(10, &[segment(8, 2), segment(0, 2)], 4), "order");
        assert!(!check(10, &[segment(8, 3)], 3), "beyond the end");
        assert!(!check(10, &[segment(0, 2)], 3), "stored bytes without a place");
        assert!(!check(u64::MAX, &[segment(u64::MAX, 2)], 2), "overflow");
    }

    #[test]
    fn pairs() {
        assert_eq!(map_of_pairs(b"0,2,8,2"), Some(vec![segment(0, 2), segment(8, 2)]));
        assert_eq!(map_of_pairs(b""), Some(vec![]));
        assert_eq!(map_of_pairs(b"0,2,8"), None);
        assert_eq!(map_of_pairs(b"0,-2"), None);
    }
}
