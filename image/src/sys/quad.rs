//! Four contents side by side, each word of four states in one vector: for processors without instructions for SHA-256.
//! Every x86-64 has these vectors.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_and_si128, _mm_cvtsi32_si128, _mm_cvtsi128_si32, _mm_or_si128, _mm_set_epi32,
    _mm_set1_epi32, _mm_setzero_si128, _mm_sll_epi32, _mm_srl_epi32, _mm_srli_si128, _mm_xor_si128,
};

use super::block::{Block, LANES, ROUNDS, Words};

/// Adds blocks to four states; all have equally many.
#[target_feature(enable = "sse2")]
pub(super) fn compress(states: [&mut Words; LANES], blocks: [&[Block]; LANES]) {
    let mut sums = [_mm_setzero_si128(); 8];
    for (word, sum) in sums.iter_mut().enumerate() {
        *sum = gather([states[0][word], states[1][word], states[2][word], states[3][word]]);
    }
    for at in 0..blocks[0].len() {
        let mut schedule = [_mm_setzero_si128(); 16];
        for (word, vector) in schedule.iter_mut().enumerate() {
            *vector = gather(blocks.map(|blocks| u32::from_be_bytes(blocks[at].as_chunks().0[word])));
        }
        let added = rounds(sums, schedule);
        for (sum, added) in sums.iter_mut().zip(added) {
            *sum = add(*sum, added);
        }
    }
    let [first, second, third, fourth] = states;
    for (word, sum) in sums.into_iter().enumerate() {
        [first[word], second[word], third[word], fourth[word]] = scatter(sum);
    }
}

/// FIPS 180-4 section 6.2.2, steps 1 to 3, four times.
#[inline]
#[target_feature(enable = "sse2")]
#[expect(clippy::many_single_char_names, reason = "the names of FIPS 180-4")]
fn rounds(state: [__m128i; 8], mut schedule: [__m128i; 16]) -> [__m128i; 8] {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
    for (begin, constants) in ROUNDS.as_chunks::<16>().0.iter().enumerate() {
        for (at, constant) in constants.iter().enumerate() {
            if begin > 0 {
                let (old, new) = (schedule[(at + 1) % 16], schedule[(at + 14) % 16]);
                let small = xor(xor(rotate(old, 7), rotate(old, 18)), shift(old, 3));
                let large = xor(xor(rotate(new, 17), rotate(new, 19)), shift(new, 10));
                schedule[at] = add(add(schedule[at], small), add(schedule[(at + 9) % 16], large));
            }
            let chosen = xor(g, _mm_and_si128(e, xor(f, g)));
            let majority = _mm_or_si128(_mm_and_si128(a, b), _mm_and_si128(c, _mm_or_si128(a, b)));
            let of_e = xor(xor(rotate(e, 6), rotate(e, 11)), rotate(e, 25));
            let of_a = xor(xor(rotate(a, 2), rotate(a, 13)), rotate(a, 22));
            let keyed = add(schedule[at], _mm_set1_epi32(constant.cast_signed()));
            let first = add(add(h, of_e), add(chosen, keyed));
            [h, g, f, e, d, c, b, a] = [g, f, e, add(d, first), c, b, a, add(first, add(of_a, majority))];
        }
    }
    [a, b, c, d, e, f, g, h]
}

#[inline]
#[target_feature(enable = "sse2")]
fn gather(words: [u32; LANES]) -> __m128i {
    let [first, second, third, fourth] = words.map(u32::cast_signed);
    _mm_set_epi32(fourth, third, second, first)
}

#[inline]
#[target_feature(enable = "sse2")]
fn scatter(vector: __m128i) -> [u32; LANES] {
    let words = [
        _mm_cvtsi128_si32(vector),
        _mm_cvtsi128_si32(_mm_srli_si128::<4>(vector)),
        _mm_cvtsi128_si32(_mm_srli_si128::<8>(vector)),
        _mm_cvtsi128_si32(_mm_srli_si128::<12>(vector)),
    ];
    words.map(i32::cast_unsigned)
}

#[inline]
#[target_feature(enable = "sse2")]
fn add(left: __m128i, right: __m128i) -> __m128i {
    _mm_add_epi32(left, right)
}

#[inline]
#[target_feature(enable = "sse2")]
fn xor(left: __m128i, right: __m128i) -> __m128i {
    _mm_xor_si128(left, right)
}

#[inline]
#[target_feature(enable = "sse2")]
fn shift(vector: __m128i, right: i32) -> __m128i {
    _mm_srl_epi32(vector, _mm_cvtsi32_si128(right))
}

#[inline]
#[target_feature(enable = "sse2")]
fn rotate(vector: __m128i, right: i32) -> __m128i {
    _mm_or_si128(shift(vector, right), _mm_sll_epi32(vector, _mm_cvtsi32_si128(32 - right)))
}
