//! Messages to the kernel.

use std::net::IpAddr;

/// Flags of a request.
///
/// Source: `netlink(7)`.
pub mod flag {
    /// Part of a dump or batch.
    pub const MULTI: u16 = 0x2;
    /// The kernel shall acknowledge.
    pub const ACK: u16 = 0x4;
    /// All objects shall be listed.
    pub const DUMP: u16 = 0x300;
    /// An object that exists is replaced.
    pub const REPLACE: u16 = 0x100;
    /// An object that exists is an error.
    pub const EXCL: u16 = 0x200;
    /// An object that does not exist is created.
    pub const CREATE: u16 = 0x400;
    /// The object is added at the end of its list.
    pub const APPEND: u16 = 0x800;
    pub(crate) const REQUEST: u16 = 0x1;
}

const HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
const NESTED: u16 = 0x8000;
const ALIGNMENT: usize = 4;

/// One netlink message that is being written: a header, the subsystem's own header, and attributes.
///
/// Numbers are in the machine's byte order unless a method says otherwise. The sequence number is filled in when the
/// message is sent, or by [`Message::finish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A request of this type; `flags` beside the one that marks a request.
    pub fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flags | flag::REQUEST).to_ne_bytes());
        bytes.resize(HEADER, 0);
        Self { bytes }
    }

    /// Appends bytes of the subsystem's header, padded to four.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        self.pad();
        self
    }

    /// Appends an attribute.
    ///
    /// # Panics
    /// When `value` is longer than the 65531 bytes that an attribute can hold.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).expect("an attribute holds at most 65531 bytes");
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.pad();
        self
    }

    /// Appends an attribute that holds a number.
    pub fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.attribute(kind, &[value])
    }

    /// Appends an attribute that holds a number.
    pub fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends an attribute that holds a number.
    pub fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends an attribute that holds a number in network byte order.
    pub fn u32_be(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Appends an attribute that holds a number in network byte order.
    pub fn u64_be(&mut self, kind: u16, value: u64) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Appends an attribute that holds a text and the NUL byte that ends it.
    pub fn string(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// Appends an attribute that holds an address.
    pub fn address(&mut self, kind: u16, value: IpAddr) -> &mut Self {
        match value {
            IpAddr::V4(address) => self.attribute(kind, &address.octets()),
            IpAddr::V6(address) => self.attribute(kind, &address.octets()),
        }
    }

    /// Appends an attribute that holds what `inside` appends.
    ///
    /// # Panics
    /// When that is longer than the 65531 bytes that an attribute can hold.
    pub fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) -> &mut Self {
        self.nest_plain(kind | NESTED, inside)
    }

    /// As [`Message::nest`], for old attributes of rtnetlink that do not bear the mark of nesting, or hold a header
    /// before their attributes.
    ///
    /// # Panics
    /// As [`Message::nest`].
    pub fn nest_plain(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend(kind.to_ne_bytes());
        inside(self);
        let length = u16::try_from(self.bytes.len() - start).expect("an attribute holds at most 65531 bytes");
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// The message with its length and this sequence number in place.
    ///
    /// # Panics
    /// When it is longer than 4 GiB.
    pub fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).expect("a message is shorter than 4 GiB");
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }

    /// The message with these flags set as well.
    pub(super) fn with(mut self, flags: u16) -> Self {
        let flags = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) | flags;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        self
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_headers_but_not_the_padding_of_an_attribute() {
        let mut message = Message::new(7, flag::ACK);
        message.bytes(&[9]).string(1, "abc").nest(2, |inside| {
            inside.u8(3, 5);
        });
        let bytes = message.finish(11);
        let mut expected = Vec::new();
        expected.extend(40_u32.to_ne_bytes());
        expected.extend(7_u16.to_ne_bytes());
        expected.extend((flag::ACK | flag::REQUEST).to_ne_bytes());
        expected.extend(11_u32.to_ne_bytes());
        expected.extend([0; 4]);
        expected.extend([9, 0, 0, 0]);
        expected.extend([8_u16.to_ne_bytes(), 1_u16.to_ne_bytes()].concat());
        expected.extend(b"abc\0");
        expected.extend([12_u16.to_ne_bytes(), (2_u16 | NESTED).to_ne_bytes()].concat());
        expected.extend([5_u16.to_ne_bytes(), 3_u16.to_ne_bytes()].concat());
        expected.extend([5, 0, 0, 0]);
        assert_eq!(bytes, expected);
    }
}
