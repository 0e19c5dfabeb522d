//! SHA-256, of one content and of several at once.
//!
//! Each step on a content waits for the step before, so that one content alone leaves most of a processor idle. Two in
//! turns, or four side by side, use it.

pub(crate) use crate::sys::LANES;
use crate::sys::{BLOCK, Block, Words};
#[cfg(target_arch = "x86_64")]
use crate::sys::{Pairs, Quads};

/// The first words, FIPS 180-4 section 5.3.3.
const INITIAL: Words =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The digest of a content, while it comes.
#[derive(Clone)]
pub(crate) struct Sha256 {
    words: Words,
    /// What does not fill a block yet.
    held: Block,
    held_len: usize,
    bytes: u64,
}

impl Sha256 {
    pub(crate) fn new() -> Self {
        Self { words: INITIAL, held: [0; BLOCK], held_len: 0, bytes: 0 }
    }

    pub(crate) fn update(&mut self, content: &[u8]) {
        let (blocks, rest) = self.begin(content).as_chunks();
        compress(&mut self.words, blocks);
        self.hold(rest);
    }

    /// Counts a piece and fills the block that is held; what is left begins with a block.
    fn begin<'c>(&mut self, content: &'c [u8]) -> &'c [u8] {
        self.bytes += content.len() as u64;
        if self.held_len == 0 {
            return content;
        }
        let (first, rest) = content.split_at(content.len().min(BLOCK - self.held_len));
        self.hold(first);
        if self.held_len == BLOCK {
            compress(&mut self.words, &[self.held]);
            self.held_len = 0;
        }
        rest
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.held[self.held_len..self.held_len + bytes.len()].copy_from_slice(bytes);
        self.held_len += bytes.len();
    }

    pub(crate) fn finish(mut self) -> [u8; 32] {
        // A one, zeros, and the number of bits: FIPS 180-4 section 5.1.1.
        let mut end = [0; 2 * BLOCK];
        end[..self.held_len].copy_from_slice(&self.held[..self.held_len]);
        end[self.held_len] = 0x80;
        let length = if self.held_len + 9 <= BLOCK { BLOCK } else { 2 * BLOCK };
        end[length - 8..length].copy_from_slice(&(self.bytes * 8).to_be_bytes());
        compress(&mut self.words, end[..length].as_chunks().0);
        let mut digest = [0; 32];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(self.words) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        digest
    }
}

fn compress(words: &mut Words, blocks: &[Block]) {
    sha2::block_api::compress256(words, blocks);
}

/// How several contents are worked on.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Two in turns, by the processor's instructions for SHA-256.
    #[cfg(target_arch = "x86_64")]
    Pairs(Pairs),
    /// Four side by side in vectors.
    #[cfg(target_arch = "x86_64")]
    Quads(Quads),
    /// One after the other.
    Singles,
}

/// All ways that this processor has, the fastest first.
fn ways() -> impl Iterator<Item = Way> {
    #[cfg(target_arch = "x86_64")]
    let together = [Pairs::detect().map(Way::Pairs), Quads::detect().map(Way::Quads)];
    #[cfg(not(target_arch = "x86_64"))]
    let together = [None];
    together.into_iter().flatten().chain([Way::Singles])
}

/// Adds a piece to each of several contents.
pub(crate) fn update_together(pieces: &mut [(&mut Sha256, &[u8])]) {
    // Without optimisation every operation on a vector is a call.
    let way = if cfg!(debug_assertions) { Way::Singles } else { ways().next().unwrap_or(Way::Singles) };
    update_by(way, pieces);
}

fn update_by(way: Way, pieces: &mut [(&mut Sha256, &[u8])]) {
    for group in pieces.chunks_mut(LANES) {
        for (content, piece) in group.iter_mut() {
            *piece = content.begin(piece);
        }
        match way {
            #[cfg(target_arch = "x86_64")]
            Way::Pairs(pairs) => in_pairs(pairs, group),
            #[cfg(target_arch = "x86_64")]
            Way::Quads(quads) => in_quads(quads, group),
            Way::Singles => {}
        }
        for (content, piece) in group.iter_mut() {
            let (blocks, rest) = piece.as_chunks();
            compress(&mut content.words, blocks);
            content.hold(rest);
        }
    }
}

/// Cuts so many blocks off.
#[cfg(target_arch = "x86_64")]
fn cut<'c>(piece: &mut &'c [u8], blocks: usize) -> &'c [Block] {
    let (first, rest) = piece.split_at(blocks * BLOCK);
    *piece = rest;
    first.as_chunks().0
}

/// The two with most left, again and again, until one alone has some.
#[cfg(target_arch = "x86_64")]
fn in_pairs(pairs: Pairs, group: &mut [(&mut Sha256, &[u8])]) {
    loop {
        group.sort_unstable_by_key(|(_, piece)| std::cmp::Reverse(piece.len()));
        let [(first, longer), (second, shorter), ..] = group else { return };
        let count = shorter.len() / BLOCK;
        if count == 0 {
            return;
        }
        pairs.compress([&mut first.words, &mut second.words], [cut(longer, count), cut(shorter, count)]);
    }
}

#[cfg(target_arch = "x86_64")]
fn in_quads(quads: Quads, group: &mut [(&mut Sha256, &[u8])]) {
    let count = group.iter().map(|(_, piece)| piece.len() / BLOCK).min().unwrap_or(0);
    let [(a, first), (b, second), (c, third), (d, fourth)] = group else { return };
    quads.compress(
        [&mut a.words, &mut b.words, &mut c.words, &mut d.words],
        [cut(first, count), cut(second, count), cut(third, count), cut(fourth, count)],
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::Digest as _;

    use super::*;

    fn noise(seed: u8, length: usize) -> Vec<u8> {
        let mut state = u64::from(seed) + 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn every_length_around_a_block() {
        let content = noise(0, 200);
        for length in 0..=content.len() {
            for cut in [0, 1, 63, 64, 65, 130] {
                let mut own = Sha256::new();
                let (first, second) = content[..length].split_at(cut.min(length));
                own.update(first);
                own.update(second);
                assert_eq!(own.finish(), *sha2::Sha256::digest(&content[..length]), "{length} {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn together_is_as_alone(
            lengths in prop::collection::vec(prop::collection::vec(0..1500_usize, 1..4), 1..7),
        ) {
            for way in ways() {
                let mut own: Vec<Sha256> = lengths.iter().map(|_| Sha256::new()).collect();
                let mut other: Vec<sha2::Sha256> = lengths.iter().map(|_| sha2::Sha256::new()).collect();
                for round in 0..3 {
                    let content: Vec<Vec<u8>> = lengths
                        .iter()
                        .zip(0_u8..)
                        .map(|(lengths, lane)| noise(lane * 3 + round, lengths.get(usize::from(round)).copied().unwrap_or(0)))
                        .collect();
                    for (other, content) in other.iter_mut().zip(&content) {
                        other.update(content);
                    }
                    let mut pieces: Vec<_> = own.iter_mut().zip(content.iter().map(Vec::as_slice)).collect();
                    update_by(way, &mut pieces);
                }
                for (own, other) in own.into_iter().zip(other) {
                    prop_assert_eq!(&own.finish()[..], &other.finalize()[..]);
                }
            }
        }
    }
}
