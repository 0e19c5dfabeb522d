//! Netlink attributes: length, kind, value, padded to four bytes; a value may hold attributes again.

/// The kernel's mark on an attribute that holds attributes.
const NESTED: u16 = 1 << 15;

/// Length of an attribute's head.
const HEAD: usize = 4;

/// A row of attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A number in network order, as `nf_tables` wants all of its numbers.
    pub(super) fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// One byte.
    pub(super) fn byte(self, kind: u16, value: u8) -> Self {
        self.bytes(kind, &[value])
    }

    /// A string with its final zero.
    pub(super) fn string(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// A value as it is.
    pub(super) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(HEAD + value.len()).expect("long lists are split before they are encoded");
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Attributes within an attribute.
    pub(super) fn nested(self, kind: u16, inner: &Self) -> Self {
        self.bytes(kind | NESTED, &inner.0)
    }

    /// All of them, encoded.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_their_lengths_are_not() {
        let inner = Attributes::new().number(1, 0x0102_0304);
        let row = Attributes::new().string(3, "ab").nested(2, &inner).byte(4, 9);
        let mut expected = Vec::new();
        for (length, kind, value) in
            [(7_u16, 3_u16, &[b'a', b'b', 0, 0][..]), (12, 0x8002, &[]), (8, 1, &[1, 2, 3, 4]), (5, 4, &[9, 0, 0, 0])]
        {
            expected.extend_from_slice(&length.to_ne_bytes());
            expected.extend_from_slice(&kind.to_ne_bytes());
            expected.extend_from_slice(value);
        }
        assert_eq!(row.as_bytes(), expected);
    }
}
