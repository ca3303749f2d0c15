//! Powers of two, for softmax and sigmoid.

use crate::kernels::simd::mul_add;

/// 2^x for x ≤ 0, relative error below 3e-7; 0 below the smallest normal number and for −∞.
#[inline(always)]
pub(super) fn exp2<const FMA: bool>(x: f32) -> f32 {
    /// Adding and subtracting 1.5 · 2^23 rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    /// (2^f − 1) / f as a polynomial in f, fitted on |f| ≤ 1/2.
    const POLYNOMIAL: [f32; 6] = [
        6.931_472e-1,
        2.402_264_8e-1,
        5.550_332_5e-2,
        9.618_437e-3,
        1.339_887_5e-3,
        1.535_336_2e-4,
    ];
    // A NaN must come out as one, and `max` would hide it.
    let x = if x < -127.0 { -127.0 } else { x };
    let shifted = x + ROUND;
    let f = x - (shifted - ROUND);
    let mut p = POLYNOMIAL[5];
    for &coefficient in POLYNOMIAL[..5].iter().rev() {
        p = mul_add::<FMA>(p, f, coefficient);
    }
    p = mul_add::<FMA>(p, f, 1.0);
    // The low bits of `shifted` hold the integer; −127 gives the exponent of zero.
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    p * power
}

#[cfg(test)]
mod tests {
    use super::exp2;

    #[test]
    fn close_to_the_exact_power() {
        for i in 0..120_000 {
            let x = -(i as f32) * 1e-3;
            let want = f64::from(x).exp2();
            let got = f64::from(exp2::<true>(x));
            assert!(
                (got / want - 1.0).abs() < 3e-7,
                "2^{x}: {got:e} instead of {want:e}"
            );
        }
        assert_eq!(exp2::<true>(0.0).to_bits(), 1f32.to_bits());
        assert_eq!(exp2::<false>(f32::NEG_INFINITY).to_bits(), 0);
        assert_eq!(exp2::<false>(-1e30).to_bits(), 0);
        assert!(exp2::<true>(f32::NAN).is_nan());
    }
}
