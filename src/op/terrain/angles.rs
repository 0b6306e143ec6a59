//! Arc tangents in plain arithmetic, which the compiler vectorises and which are the same on every machine.
//!
//! The polynomial is a Chebyshev interpolation of atan(z) / z in z² for |z| ≤ tan(π/8), off by 2·10⁻¹⁵ at most.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

/// tan(π/8).
const TAN: f64 = 0.414_213_562_373_095_05;

const COEFFICIENTS: [f64; 10] = [
    1.000_000_000_000_000_2,
    -0.333_333_333_332_946_7,
    0.199_999_999_864_796_8,
    -0.142_857_130_186_504_45,
    0.111_110_568_738_059_33,
    -0.090_896_307_826_116_8,
    0.076_742_611_069_261_3,
    -0.065_088_541_365_395_33,
    0.050_301_557_886_240_33,
    -0.025_345_761_550_124_298,
];

/// The arc tangent of `num` / `den`, for `num` ≥ 0 and `den` ≥ 0; of 0 / 0 it is 0.
#[inline(always)]
pub(super) fn atan_of(num: f64, den: f64) -> f64 {
    let (low, high) = if num > den { (den, num) } else { (num, den) };
    // atan(q) = π/4 + atan((q − 1) / (q + 1)), so that one division serves all.
    let near = low > TAN * high;
    let (a, b, base) = if near { (low - high, low + high, FRAC_PI_4) } else { (low, high, 0.0) };
    let z = a / if b == 0.0 { 1.0 } else { b };
    let u = z * z;
    let mut p = COEFFICIENTS[9];
    for k in (0..9).rev() {
        p = p * u + COEFFICIENTS[k];
    }
    let angle = base + p * z;
    if num > den { FRAC_PI_2 - angle } else { angle }
}

/// The angle of the point (`x`, `y`), from −π to π; of the origin it is 0.
#[inline(always)]
pub(super) fn atan2(y: f64, x: f64) -> f64 {
    let angle = atan_of(y.abs(), x.abs());
    let angle = if x < 0.0 { PI - angle } else { angle };
    if y < 0.0 { -angle } else { angle }
}

/// The arc cosine of a value from −1 to 1; beyond, that of the limit.
#[inline(always)]
pub(super) fn acos(value: f64) -> f64 {
    let value = if value > 1.0 { 1.0 } else { value };
    let value = if value < -1.0 { -1.0 } else { value };
    atan2(((1.0 - value) * (1.0 + value)).sqrt(), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_are_those_of_the_library_of_functions() {
        for k in -4000..=4000 {
            let t = f64::from(k) * 0.01;
            let (y, x) = (t.sin() * t, t.cos() * (40.0 - t));
            assert!((atan2(y, x) - libm::atan2(y, x)).abs() < 2e-15 * PI, "{y} {x}");
            let v = f64::from(k) / 4000.0;
            assert!((acos(v) - libm::acos(v)).abs() < 1e-14, "{v}");
        }
        assert_eq!(atan2(0.0, 0.0), 0.0);
        assert_eq!(atan_of(0.0, 5.0), 0.0);
        assert_eq!(atan_of(5.0, 0.0), FRAC_PI_2);
        assert!(atan2(f64::NAN, 1.0).is_nan() && acos(f64::NAN).is_nan());
    }
}
