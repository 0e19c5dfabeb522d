//! One header block.

use super::BLOCK;
use crate::fault::Fault;

/// Which dialect a header speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Before POSIX: no magic, no devices, no prefix.
    SeventhEdition,
    /// POSIX, also the carrier of pax.
    Ustar,
    /// GNU tar's own.
    Gnu,
}

/// The fields of one header block that every type has.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) dialect: Dialect,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) kind: u8,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) mtime: i64,
    block: [u8; BLOCK],
}

impl Header {
    /// Reads a block that is not all zeros.
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self, Fault> {
        check_sum(block)?;
        let dialect = match &block[257..265] {
            b"ustar\x0000" => Dialect::Ustar,
            b"ustar  \0" => Dialect::Gnu,
            [0, 0, 0, 0, 0, 0, 0, 0] => Dialect::SeventhEdition,
            _ => return Err(Fault::Magic),
        };
        // star keeps its own fields where ustar's prefix is, and says so at the end of the block.
        if dialect == Dialect::Ustar && &block[508..] == b"tar\0" {
            return Err(Fault::Magic);
        }
        let mut name = text(&block[..100]).to_vec();
        if dialect == Dialect::Ustar {
            let prefix = text(&block[345..500]);
            if !prefix.is_empty() {
                name = [prefix, b"/", &name].concat();
            }
        }
        Ok(Self {
            dialect,
            name,
            link: text(&block[157..257]).to_vec(),
            kind: block[156],
            mode: unsigned::<u32>(&block[100..108], "mode")? & 0o7777,
            uid: unsigned(&block[108..116], "uid")?,
            gid: unsigned(&block[116..124], "gid")?,
            size: unsigned(&block[124..136], "size")?,
            mtime: number(&block[136..148], "mtime")?,
            block: *block,
        })
    }

    /// Major and minor number of a device entry.
    pub(super) fn device(&self) -> Result<(u32, u32), Fault> {
        if self.dialect == Dialect::SeventhEdition {
            return Err(Fault::Number("devmajor"));
        }
        Ok((unsigned(&self.block[329..337], "devmajor")?, unsigned(&self.block[337..345], "devminor")?))
    }

    /// The sparse fields of GNU's own header: four segments, whether more follow, and the real size.
    pub(super) fn gnu_sparse(&self) -> Result<(&[u8], bool, u64), Fault> {
        let real = unsigned(&self.block[483..495], "realsize")?;
        Ok((&self.block[386..482], self.block[482] != 0, real))
    }
}

/// The bytes before the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Old writers summed signed bytes; both sums are accepted, as every reader does.
fn check_sum(block: &[u8; BLOCK]) -> Result<(), Fault> {
    let stored = number(&block[148..156], "checksum").map_err(|_| Fault::Checksum)?;
    let counted = block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte });
    let unsigned: i64 = counted.clone().map(i64::from).sum();
    let signed: i64 = counted.map(|byte| i64::from(byte.cast_signed())).sum();
    if stored == unsigned || stored == signed { Ok(()) } else { Err(Fault::Checksum) }
}

/// A number that may not be negative, in the range of `T`.
pub(super) fn unsigned<T: TryFrom<i64>>(field: &[u8], name: &'static str) -> Result<T, Fault> {
    T::try_from(number(field, name)?).map_err(|_| Fault::Number(name))
}

/// Octal text, or GNU's base-256 where the first bit is set.
fn number(field: &[u8], name: &'static str) -> Result<i64, Fault> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base256(field).ok_or(Fault::Number(name)),
        _ => octal(field).ok_or(Fault::Number(name)),
    }
}

fn octal(field: &[u8]) -> Option<i64> {
    let field = field.trim_ascii_start();
    let end = field.iter().position(|byte| matches!(byte, 0 | b' ')).unwrap_or(field.len());
    let (digits, rest) = field.split_at(end);
    if rest.iter().any(|byte| !matches!(byte, 0 | b' ')) {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

/// Two's complement in seven bits of the first byte and all of the others.
fn base256(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    let start = if first & 0x40 == 0 { i128::from(first & 0x3f) } else { i128::from(first & 0x7f) - 0x80 };
    let value = rest.iter().try_fold(start, |value, byte| value.checked_mul(256)?.checked_add(i128::from(*byte)))?;
    i64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let table: [(&[u8], Option<i64>); 13] = [
            (b"0000644\0", Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777777\0", Some(0o777_7777_7777)),
            (b"777777777777", Some(0o7777_7777_7777)),
            (b"0000648\0", None),
            (b"644\0 7\0\0", None),
            (b"-1\0\0\0\0\0\0", None),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\x80\x01\0\0\0\0\0\0\0\0\0\0", None),
        ];
        for (field, expected) in table {
            assert_eq!(number(field, "x").ok(), expected, "{field:?}");
        }
        assert_eq!(unsigned::<u32>(b"\xff\xff\xff\xff\xff\xff\xff\xff", "uid"), Err(Fault::Number("uid")));
    }
}
