//! The natural logarithm, computed the same way on every machine.
//!
//! `f64::ln` is whatever the platform's C library makes of it; a score that is rounded afterwards must not depend on
//! that. This is the classic reduction to `ln(1 + f)` with a polynomial in `f / (2 + f)`, with the coefficients of
//! Sun's fdlibm, which Go's `math.Log` also evaluates.

const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
const EVEN: [f64; 3] = [3.999_999_999_940_942e-1, 2.222_219_843_214_978_4e-1, 1.531_383_769_920_937_3e-1];
const ODD: [f64; 4] =
    [6.666_666_666_666_735e-1, 2.857_142_874_366_239e-1, 1.818_357_216_161_805e-1, 1.479_819_860_511_658_6e-1];

/// The natural logarithm of a number that is at least 1.
pub(crate) fn ln(x: f64) -> f64 {
    debug_assert!(x >= 1.0 && x.is_finite(), "the reduction below expects a finite number from 1 up");
    let mut fraction = x;
    let mut exponent = 0.0;
    // Brings the fraction to [sqrt(1/2), sqrt(2)).
    while fraction >= std::f64::consts::SQRT_2 {
        fraction /= 2.0;
        exponent += 1.0;
    }
    let f = fraction - 1.0;
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let odd = s2 * (ODD[0] + s4 * (ODD[1] + s4 * (ODD[2] + s4 * ODD[3])));
    let even = s4 * (EVEN[0] + s4 * (EVEN[1] + s4 * EVEN[2]));
    let half_square = 0.5 * f * f;
    exponent * LN2_HIGH - ((half_square - (s * (half_square + (odd + even)) + exponent * LN2_LOW)) - f)
}

#[cfg(test)]
mod tests {
    use super::ln;

    #[test]
    fn agrees_with_the_platform_within_one_unit_in_the_last_place() {
        assert_eq!(ln(1.0).to_bits(), 0.0_f64.to_bits());
        for x in 2..200_000 {
            let x = f64::from(x);
            let (ours, theirs) = (ln(x), x.ln());
            assert!(ours.to_bits().abs_diff(theirs.to_bits()) <= 1, "ln {x}: {ours:e} {theirs:e}");
        }
    }
}
