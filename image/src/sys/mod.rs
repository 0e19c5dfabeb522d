//! SHA-256 of several contents at once, by instructions of the processor: the only `unsafe` of this crate.

mod block;
#[cfg(target_arch = "x86_64")]
mod pair;
#[cfg(target_arch = "x86_64")]
mod quad;

pub(crate) use block::{BLOCK, Block, LANES, Words};
#[cfg(target_arch = "x86_64")]
pub(crate) use processor::{Pairs, Quads};

#[cfg(target_arch = "x86_64")]
mod processor {
    use super::block::{Block, LANES, Words};
    use super::{pair, quad};

    /// Two contents in turns. Who has one knows that the processor can.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Pairs(());

    impl Pairs {
        pub(crate) fn detect() -> Option<Self> {
            let found = std::arch::is_x86_feature_detected!("sha")
                && std::arch::is_x86_feature_detected!("sse4.1")
                && std::arch::is_x86_feature_detected!("ssse3");
            found.then_some(Self(()))
        }

        /// Adds blocks to the states, to each equally many.
        pub(crate) fn compress(self, states: [&mut Words; 2], blocks: [&[Block]; 2]) {
            let Self(()) = self;
            // SAFETY: a `Pairs` comes from `detect` alone, which found every feature that the function is compiled for.
            unsafe { pair::compress(states, blocks) }
        }
    }

    /// Four contents side by side. Who has one knows that the processor can.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Quads(());

    impl Quads {
        pub(crate) fn detect() -> Option<Self> {
            std::arch::is_x86_feature_detected!("sse2").then_some(Self(()))
        }

        /// Adds blocks to the states, to each equally many.
        pub(crate) fn compress(self, states: [&mut Words; LANES], blocks: [&[Block]; LANES]) {
            let Self(()) = self;
            // SAFETY: a `Quads` comes from `detect` alone, which found every feature that the function is compiled for.
            unsafe { quad::compress(states, blocks) }
        }
    }
}
