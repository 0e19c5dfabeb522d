//! Two contents in turns, by the instructions for SHA-256: each step of one waits for the step before, and the processor
//! could begin another meanwhile.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x, _mm_setzero_si128,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
};

use super::block::{Block, ROUNDS, Words};

/// Half of a state in the order of the instructions: `abef`, `cdgh`.
type Halves = [__m128i; 2];

#[target_feature(enable = "sha,sse4.1,ssse3")]
pub(super) fn compress(states: [&mut Words; 2], blocks: [&[Block]; 2]) {
    let mut sums: [Halves; 2] = [load(states[0]), load(states[1])];
    for (first, second) in blocks[0].iter().zip(blocks[1]) {
        let added = rounds(sums, [first, second]);
        for (sum, added) in sums.as_flattened_mut().iter_mut().zip(added.as_flattened()) {
            *sum = _mm_add_epi32(*sum, *added);
        }
    }
    for (state, sum) in states.into_iter().zip(sums) {
        *state = store(sum);
    }
}

/// FIPS 180-4 section 6.2.2, steps 1 to 3, four rounds of one block and then of the other.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn rounds(mut halves: [Halves; 2], blocks: [&Block; 2]) -> [Halves; 2] {
    let mut schedules = [[_mm_setzero_si128(); 4]; 2];
    for (begin, constants) in ROUNDS.as_chunks::<16>().0.iter().enumerate() {
        for (at, constants) in constants.as_chunks::<4>().0.iter().enumerate() {
            let constants = vector(*constants);
            for lane in 0..2 {
                let (schedule, [abef, cdgh]) = (&mut schedules[lane], &mut halves[lane]);
                schedule[at] = if begin == 0 {
                    words(blocks[lane], at)
                } else {
                    let last = schedule[(at + 3) % 4];
                    let old = _mm_sha256msg1_epu32(schedule[at], schedule[(at + 1) % 4]);
                    let middle = _mm_alignr_epi8::<4>(last, schedule[(at + 2) % 4]);
                    _mm_sha256msg2_epu32(_mm_add_epi32(old, middle), last)
                };
                let keyed = _mm_add_epi32(schedule[at], constants);
                *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, keyed);
                *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32::<0x0e>(keyed));
            }
        }
    }
    halves
}

/// Four words of a block, which has them big-endian.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn words(block: &Block, at: usize) -> __m128i {
    let (halves, _) = block.as_chunks();
    let half = |at: usize| i64::from_le_bytes(halves[at]);
    let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    _mm_shuffle_epi8(_mm_set_epi64x(half(2 * at + 1), half(2 * at)), swap)
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn vector(words: [u32; 4]) -> __m128i {
    let [first, second, third, fourth] = words.map(u32::cast_signed);
    _mm_set_epi32(fourth, third, second, first)
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
#[expect(clippy::many_single_char_names, reason = "the names of FIPS 180-4")]
fn load([a, b, c, d, e, f, g, h]: &Words) -> Halves {
    [vector([*f, *e, *b, *a]), vector([*h, *g, *d, *c])]
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
#[expect(clippy::many_single_char_names, reason = "the names of FIPS 180-4")]
fn store([abef, cdgh]: Halves) -> Words {
    let high_first = |half| {
        [
            _mm_extract_epi32::<3>(half),
            _mm_extract_epi32::<2>(half),
            _mm_extract_epi32::<1>(half),
            _mm_extract_epi32::<0>(half),
        ]
        .map(i32::cast_unsigned)
    };
    let ([a, b, e, f], [c, d, g, h]) = (high_first(abef), high_first(cdgh));
    [a, b, c, d, e, f, g, h]
}
