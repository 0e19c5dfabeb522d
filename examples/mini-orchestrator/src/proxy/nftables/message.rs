//! A batch of `nf_tables` messages: the kernel takes all of them in one step, or none.
//!
//! Source: `linux/netfilter/nfnetlink.h` and `linux/netfilter/nf_tables.h`; every number below is one of their constants.

use super::attribute::Attributes;

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NFTABLES: u16 = 10;

const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 1 << 2;
const CREATE: u16 = 1 << 10;
const APPEND: u16 = 1 << 11;

const UNSPECIFIED: u8 = 0;
const IPV4: u8 = 2;

/// What a message does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    NewTable = 0,
    DeleteTable = 2,
    NewChain = 3,
    NewRule = 6,
    NewSet = 9,
    NewElements = 12,
}

impl Action {
    fn flags(self) -> u16 {
        match self {
            Self::DeleteTable => REQUEST,
            Self::NewRule => REQUEST | CREATE | APPEND,
            Self::NewTable | Self::NewChain | Self::NewSet | Self::NewElements => REQUEST | CREATE,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::NewTable => "add table",
            Self::DeleteTable => "delete table",
            Self::NewChain => "add chain",
            Self::NewRule => "add a rule to chain",
            Self::NewSet => "add set",
            Self::NewElements => "add elements to set",
        }
    }
}

/// The encoded batch and what each of its messages is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    bytes: Vec<u8>,
    /// What message number `n + 1` does; number 0 begins the batch.
    messages: Vec<String>,
    /// Where the last message starts.
    last: usize,
}

impl Batch {
    pub(super) fn begin() -> Self {
        let mut batch = Self { bytes: Vec::new(), messages: Vec::new(), last: 0 };
        batch.push(BATCH_BEGIN, REQUEST, 0, UNSPECIFIED, NFTABLES, &Attributes::new());
        batch
    }

    /// Appends one action on the object of this name.
    pub(super) fn add(&mut self, action: Action, object: &str, attributes: &Attributes) {
        self.messages.push(format!("{} {object}", action.words()));
        let number = u32::try_from(self.messages.len()).expect("a batch is far shorter");
        self.push(NFTABLES << 8 | action as u16, action.flags(), number, IPV4, 0, attributes);
    }

    /// Ends the batch; the kernel answers its last action whatever becomes of it.
    pub(super) fn end(mut self) -> Self {
        let flags = self.last + 6;
        let asked = u16::from_ne_bytes([self.bytes[flags], self.bytes[flags + 1]]) | ACKNOWLEDGE;
        self.bytes[flags..flags + 2].copy_from_slice(&asked.to_ne_bytes());
        let number = self.last_number() + 1;
        self.push(BATCH_END, REQUEST, number, UNSPECIFIED, NFTABLES, &Attributes::new());
        self
    }

    /// The messages as the kernel reads them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The sequence number of the last action: the kernel's answer to it is the last one.
    pub fn last_number(&self) -> u32 {
        u32::try_from(self.messages.len()).expect("a batch is far shorter")
    }

    /// What the message of a sequence number does.
    pub fn describe(&self, number: u32) -> &str {
        let index = usize::try_from(number).unwrap_or(usize::MAX).wrapping_sub(1);
        self.messages.get(index).map_or("begin the batch", String::as_str)
    }

    fn push(&mut self, kind: u16, flags: u16, number: u32, family: u8, resource: u16, attributes: &Attributes) {
        const HEAD: usize = 20;
        self.last = self.bytes.len();
        let length = u32::try_from(HEAD + attributes.as_bytes().len()).expect("a message is far shorter");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&number.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&[family, 0]);
        self.bytes.extend_from_slice(&resource.to_be_bytes());
        self.bytes.extend_from_slice(attributes.as_bytes());
    }
}
