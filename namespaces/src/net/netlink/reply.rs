//! Answers of the kernel.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use crate::error::{Error, Result};

const HEADER: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const OVERRUN: u16 = 4;
/// The request is not repeated in the acknowledgement.
const CAPPED: u16 = 0x100;
/// Attributes follow that explain an error.
const EXPLAINED: u16 = 0x200;
const EXPLANATION_TEXT: u16 = 1;
/// A dump that was interrupted by a change and may be inconsistent.
const INTERRUPTED: u16 = 0x10;

/// One message of the kernel.
#[derive(Debug)]
pub enum Reply {
    /// The request of this sequence number was carried out.
    Ack {
        /// Of the request.
        sequence: u32,
    },
    /// The request of this sequence number was refused.
    Refused {
        /// Of the request.
        sequence: u32,
        /// Why.
        source: io::Error,
        /// The kernel's own words.
        explanation: Option<String>,
    },
    /// The dump of this sequence number is complete.
    Done {
        /// Of the request.
        sequence: u32,
    },
    /// An object, or a notification.
    Object {
        /// Of the request; 0 for a notification.
        sequence: u32,
        /// The type of message.
        kind: u16,
        /// Everything after the netlink header.
        payload: Vec<u8>,
    },
}

impl Reply {
    /// The messages of one datagram.
    ///
    /// # Errors
    /// [`Error::Malformed`] when a length does not fit, or the kernel says that it lost messages.
    pub fn parse(datagram: &[u8]) -> Result<Vec<Self>> {
        let mut replies = Vec::new();
        let mut rest = datagram;
        while !rest.is_empty() {
            let header: &[u8; HEADER] = rest.first_chunk().ok_or(malformed("a header is cut"))?;
            let length = word(header, 0);
            let length = usize::try_from(length).map_err(|_| malformed("a message is longer than memory"))?;
            let message = rest.get(..length).filter(|message| message.len() >= HEADER);
            let message = message.ok_or(malformed("a message's length does not fit"))?;
            replies.push(Self::one(header, &message[HEADER..])?);
            // The last message of a datagram need not be padded.
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(replies)
    }

    fn one(header: &[u8; HEADER], payload: &[u8]) -> Result<Self> {
        let (kind, flags) = (half(header, 4), half(header, 6));
        let sequence = word(header, 8);
        if flags & INTERRUPTED != 0 {
            return Err(malformed("the dump was interrupted by a change"));
        }
        match kind {
            ERROR => Self::error(sequence, flags, payload),
            // A dump ends with a status, which is negative when it failed midway.
            DONE => match payload.first_chunk().map(|status| i32::from_ne_bytes(*status)) {
                Some(status) if status < 0 => {
                    let source = io::Error::from_raw_os_error(status.saturating_neg());
                    Ok(Self::Refused { sequence, source, explanation: None })
                }
                _ => Ok(Self::Done { sequence }),
            },
            OVERRUN => Err(malformed("the kernel lost messages")),
            _ => Ok(Self::Object { sequence, kind, payload: payload.to_vec() }),
        }
    }

    fn error(sequence: u32, flags: u16, payload: &[u8]) -> Result<Self> {
        let status = payload.first_chunk().ok_or(malformed("an error without a number"))?;
        let status = i32::from_ne_bytes(*status);
        if status == 0 {
            return Ok(Self::Ack { sequence });
        }
        let request: &[u8; HEADER] =
            payload[4..].first_chunk().ok_or(malformed("an error without the request's header"))?;
        let repeated = if flags & CAPPED == 0 { word(request, 0) } else { u32::try_from(HEADER).unwrap_or(0) };
        let repeated = usize::try_from(repeated).unwrap_or(usize::MAX).next_multiple_of(4);
        let explanation = if flags & EXPLAINED == 0 {
            None
        } else {
            let attributes = payload.get(4_usize.saturating_add(repeated)..);
            let attributes = Attributes::parse(attributes.ok_or(malformed("an explanation is cut"))?)?;
            attributes.string(EXPLANATION_TEXT)
        };
        Ok(Self::Refused { sequence, source: io::Error::from_raw_os_error(status.saturating_neg()), explanation })
    }
}

fn malformed(reason: &'static str) -> Error {
    Error::Malformed { reason }
}

fn word(header: &[u8; HEADER], at: usize) -> u32 {
    u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

fn half(header: &[u8; HEADER], at: usize) -> u16 {
    u16::from_ne_bytes([header[at], header[at + 1]])
}

/// The attributes of a message or of a nested attribute, by their type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes<'a> {
    values: BTreeMap<u16, Vec<&'a [u8]>>,
}

impl<'a> Attributes<'a> {
    /// Reads attributes.
    ///
    /// # Errors
    /// [`Error::Malformed`] when a length does not fit.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        const FLAGS: u16 = 0xc000;
        let mut values: BTreeMap<u16, Vec<&[u8]>> = BTreeMap::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let header: &[u8; 4] = rest.first_chunk().ok_or(malformed("an attribute's header is cut"))?;
            let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
            let kind = u16::from_ne_bytes([header[2], header[3]]) & !FLAGS;
            let value = rest.get(4..length).ok_or(malformed("an attribute's length does not fit"))?;
            values.entry(kind).or_default().push(value);
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(Self { values })
    }

    /// The attribute of this type; the last one if it is repeated.
    pub fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.values.get(&kind).and_then(|values| values.last()).copied()
    }

    /// All attributes of this type, in order.
    pub fn all(&self, kind: u16) -> &[&'a [u8]] {
        self.values.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// A number; `None` when it is missing or of another size.
    pub fn u32(&self, kind: u16) -> Option<u32> {
        self.get(kind).and_then(|value| value.try_into().ok()).map(u32::from_ne_bytes)
    }

    /// A text without the NUL that ends it; `None` when it is missing or not UTF-8.
    pub fn string(&self, kind: u16) -> Option<String> {
        let value = self.get(kind)?;
        let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(text).ok().map(str::to_owned)
    }

    /// An address; `None` when it is missing or of neither size.
    pub fn address(&self, kind: u16) -> Option<IpAddr> {
        let value = self.get(kind)?;
        let four = <[u8; 4]>::try_from(value).map(IpAddr::from);
        four.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()
    }

    /// The attributes inside one; empty when it is missing.
    ///
    /// # Errors
    /// As [`Attributes::parse`].
    pub fn nested(&self, kind: u16) -> Result<Self> {
        self.get(kind).map_or_else(|| Ok(Self::default()), Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::message::Message;
    use super::*;

    fn datagram(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(HEADER + payload.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(5_u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn an_error_is_explained() {
        let mut payload = (-libc::EEXIST).to_ne_bytes().to_vec();
        payload.extend([0; HEADER]);
        let mut text = Message::new(0, 0);
        text.string(EXPLANATION_TEXT, "it is there");
        payload.extend(&text.finish(0)[HEADER..]);
        let replies = Reply::parse(&datagram(ERROR, CAPPED | EXPLAINED, &payload)).unwrap();
        let [Reply::Refused { sequence: 5, source, explanation: Some(explanation) }] = &replies[..] else {
            panic!("{replies:?}")
        };
        assert_eq!((source.raw_os_error(), explanation.as_str()), (Some(libc::EEXIST), "it is there"));
    }

    #[test]
    fn acknowledgements_ends_and_objects_are_told_apart() {
        let mut bytes = datagram(ERROR, CAPPED, &[0; 20]);
        bytes.extend(datagram(DONE, 0, &[0; 4]));
        bytes.extend(datagram(DONE, 0, &(-libc::EIO).to_ne_bytes()));
        bytes.extend(datagram(16, 0, &[1, 2, 3]));
        let replies = Reply::parse(&bytes).unwrap();
        assert!(matches!(
            &replies[..],
            [Reply::Ack { sequence: 5 }, Reply::Done { .. }, Reply::Refused { .. }, Reply::Object { kind: 16, .. }]
        ));
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        let whole = datagram(16, 0, &[1, 2, 3, 4]);
        for end in 1..whole.len() {
            assert!(Reply::parse(&whole[..end]).is_err(), "{end}");
        }
        let mut none = whole;
        none[0..4].copy_from_slice(&0_u32.to_ne_bytes());
        assert!(Reply::parse(&none).is_err());
        assert!(Attributes::parse(&[3, 0, 1, 0]).is_err());
        assert!(Attributes::parse(&[9, 0, 1, 0, 0, 0, 0, 0]).is_err());
    }

    proptest! {
        #[test]
        fn attributes_survive_their_way(given in proptest::collection::vec((0_u16..0x4000, proptest::collection::vec(any::<u8>(), 0..40)), 0..20)) {
            let mut message = Message::new(0, 0);
            for (kind, value) in &given {
                message.attribute(*kind, value);
            }
            let bytes = message.finish(0);
            let attributes = Attributes::parse(&bytes[HEADER..]).unwrap();
            for (kind, _) in &given {
                let expected: Vec<&[u8]> =
                    given.iter().filter(|(other, _)| other == kind).map(|(_, value)| value.as_slice()).collect();
                prop_assert_eq!(attributes.all(*kind), expected);
            }
        }

        #[test]
        fn no_bytes_make_the_reader_fall(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(Reply::parse(&bytes));
            drop(Attributes::parse(&bytes));
        }
    }
}
