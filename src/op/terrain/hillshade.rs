//! Shaded relief, as `gdaldem hillshade` has it.
//!
//! Horn, B. K. P. 1981: Hill shading and the reflectance map, Proc. IEEE 69(1). Multidirectional: Mark, R. 1992, USGS Open-File Report
//! 92-422. With dx and dy as slopes along rows and columns, in units of height per pixel and exaggerated:
//! shade = (sin alt − (dy cos az − dx sin az) cos alt) / √(1 + dx² + dy²).

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use std::f64::consts::{FRAC_PI_2, PI};
use std::sync::Arc;

use super::angles::{acos, atan_of, atan2};
use super::{Arguments, Edge, Facts, Gradient, Ground, Real, Rim, Stack, each, pixel};
use crate::error::Result;
use crate::op::Work;
use crate::op::table::Built;

/// How light and slope make shade.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shading {
    Regular,
    Combined,
    Multidirectional,
    Igor,
}

/// Shaded relief.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Hillshade {
    gradient: Gradient,
    shading: Shading,
    rim: Rim,
    /// From differences of heights to slopes, exaggerated.
    x: f64,
    y: f64,
    sin_alt: f64,
    cos_alt: f64,
    sin_az: f64,
    cos_az: f64,
    /// The angle that lies away from the light, from 0 to 2π.
    away: f64,
}

/// The shading of a call.
pub(crate) fn hillshade(arguments: &Arguments, ground: &Ground) -> Result<Built> {
    let shading = match arguments.choice("shading") {
        "combined" => Shading::Combined,
        "multidirectional" => Shading::Multidirectional,
        "igor" => Shading::Igor,
        _ => Shading::Regular,
    };
    for (name, shading_without) in [("az", Shading::Multidirectional), ("alt", Shading::Igor)] {
        if shading == shading_without && arguments.is_given(name) {
            return Err(arguments.error(name, format!("{name} makes no difference to this shading")).into());
        }
    }
    let gradient = Gradient::of(arguments);
    let [width, height] = pixel(arguments, ground);
    let z = arguments.number("z") / gradient.divisor();
    let (az, alt) = (arguments.number("az").to_radians(), arguments.number("alt").to_radians());
    let turn = 2.0 * PI;
    let away = libm::fmod(1.5 * PI - az, turn);
    let work = Hillshade {
        gradient,
        shading,
        rim: Rim::of(arguments),
        x: z / width,
        y: z / height,
        sin_alt: libm::sin(alt),
        cos_alt: libm::cos(alt),
        sin_az: libm::sin(az),
        cos_az: libm::cos(az),
        away: if away < 0.0 { away + turn } else { away },
    };
    Ok(Built::Operation(Arc::new(work)))
}

impl Hillshade {
    #[inline(always)]
    fn slopes<T: Real>(&self, w: [T; 9]) -> (f64, f64) {
        let (dx, dy) = self.gradient.of_heights(w);
        (dx * self.x, dy * self.y)
    }

    /// The cosine of the angle between the light and the ground's normal.
    #[inline(always)]
    fn cosine(&self, x: f64, y: f64) -> f64 {
        let (a, b) = (self.cos_alt * self.sin_az, self.cos_alt * self.cos_az);
        (self.sin_alt + (x * a - y * b)) / (1.0 + (x * x + y * y)).sqrt()
    }

    #[inline(always)]
    fn regular<T: Real>(&self, w: [T; 9]) -> T {
        let (x, y) = self.slopes(w);
        let shade = 254.0 * self.cosine(x, y);
        T::of(1.0 + if shade < 0.0 { 0.0 } else { shade })
    }

    #[inline(always)]
    fn combined<T: Real>(&self, w: [T; 9]) -> T {
        let (x, y) = self.slopes(w);
        let steepness = atan_of((x * x + y * y).sqrt(), 1.0);
        let shade = 1.0 - acos(self.cosine(x, y)) * steepness / (FRAC_PI_2 * FRAC_PI_2);
        T::of(1.0 + 254.0 * if shade < 0.0 { 0.0 } else { shade })
    }

    #[inline(always)]
    fn multidirectional<T: Real>(&self, w: [T; 9]) -> T {
        let (x, y) = self.slopes(w);
        let (xx, yy) = (x * x, y * y);
        let both = xx + yy;
        let lit = |part: f64| {
            let value = self.sin_alt + self.cos_alt * part;
            if value < 0.0 { 0.0 } else { value }
        };
        // The cosine of 225°.
        let cos225 = -std::f64::consts::FRAC_1_SQRT_2;
        let weight = 0.5 * both - x * y;
        let sum = weight * lit((x - y) * cos225)
            + xx * lit(-x)
            + (both - weight) * lit((x + y) * cos225)
            + yy * lit(-y);
        // The weights of a slope sum to twice its square.
        let flat = both == 0.0;
        let mean = sum / if flat { 1.0 } else { both };
        let shade = 127.0 * if flat { 2.0 * self.sin_alt } else { mean };
        T::of(1.0 + shade / (1.0 + both).sqrt())
    }

    #[inline(always)]
    fn igor<T: Real>(&self, w: [T; 9]) -> T {
        let (dx, dy) = self.gradient.of_heights(w);
        let (x, y) = (dx * self.x, dy * self.y);
        let steepness = atan_of((x * x + y * y).sqrt(), 1.0) / FRAC_PI_2;
        let aspect = atan2(dy, dx);
        let aspect = if aspect < 0.0 { aspect + 2.0 * PI } else { aspect };
        let apart = (aspect - self.away).abs();
        let apart = if apart > PI { 2.0 * PI - apart } else { apart };
        T::of(255.0 * (1.0 - steepness * (1.0 - apart / PI)))
    }
}

impl Work for Hillshade {
    fn halo(&self) -> usize {
        1
    }

    fn edge(&self, wanted: Option<Edge>) -> Edge {
        self.rim.edge(wanted)
    }

    fn facts(&self, bands: &[Facts], bordered: bool) -> Result<Vec<Facts>, String> {
        // As shades of a byte, with 0 left for what is missing; Igor's may be black.
        let low = if self.shading == Shading::Igor { 0.0 } else { 1.0 };
        Ok(self.rim.facts(bands, bordered, &Facts::integers(low, 255.0, false)))
    }

    #[inline(always)]
    fn run<T: Real>(&self, input: &Stack<T>, output: &mut Stack<T>) {
        // A copy, and the gradient a constant of the loop.
        let Self { gradient, .. } = *self;
        let horn = Self { gradient: Gradient::Horn, ..*self };
        let other = Self { gradient: Gradient::ZevenbergenThorne, ..*self };
        let is_horn = gradient == Gradient::Horn;
        match self.shading {
            Shading::Regular if is_horn => each(input, output, self.rim, |w| horn.regular(w)),
            Shading::Regular => each(input, output, self.rim, |w| other.regular(w)),
            Shading::Combined if is_horn => each(input, output, self.rim, |w| horn.combined(w)),
            Shading::Combined => each(input, output, self.rim, |w| other.combined(w)),
            Shading::Multidirectional => each(input, output, self.rim, |w| self.multidirectional(w)),
            Shading::Igor => each(input, output, self.rim, |w| self.igor(w)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{middle, operation};

    const FLAT: [&[f64]; 3] = [&[7.0; 3], &[7.0; 3], &[7.0; 3]];
    /// Rising by 10 per pixel of 10 towards the south-east.
    const DIAGONAL: [&[f64]; 3] = [&[0.0, 5.0, 10.0], &[5.0, 10.0, 15.0], &[10.0, 15.0, 20.0]];

    #[test]
    fn flat_ground_is_as_bright_as_the_light_is_high() {
        let shade = middle("hillshade", &FLAT);
        assert!((shade - (1.0 + 254.0 * 0.5f64.sqrt())).abs() < 1e-12, "{shade}");
        assert!((middle("hillshade(alt=90)", &FLAT) - 255.0).abs() < 1e-12);
        assert!((middle("hillshade(shading=multidirectional)", &FLAT) - shade).abs() < 1e-12);
        assert_eq!(middle("hillshade(shading=igor)", &FLAT), 255.0);
        assert_eq!(middle("hillshade(shading=combined)", &FLAT), 255.0);
    }

    #[test]
    fn slopes_that_face_the_light_are_brighter() {
        let lit = middle("hillshade", &DIAGONAL);
        let dark = middle("hillshade(az=135)", &DIAGONAL);
        // tan of the slope is 1/√2: the light at 45° meets it at 9.7° from its normal.
        let expected = 1.0 + 254.0 * (0.5f64.sqrt() + 0.5) / 1.5f64.sqrt();
        assert!((lit - expected).abs() < 1e-9, "{lit} {expected}");
        assert!(dark < 60.0 && middle("hillshade(az=135, z=9)", &DIAGONAL) == 1.0, "{dark}");
        let other = middle("hillshade(alg=ZevenbergenThorne)", &DIAGONAL);
        assert!((other - lit).abs() < 1e-9);
    }

    #[test]
    fn parameters_that_make_no_difference_are_refused() {
        use crate::op::{Call, Ground, Table};
        for text in ["hillshade(shading=multidirectional, az=10)", "hillshade(shading=igor, alt=10)"] {
            let call = Call::parse(text, &Table::standard()).expect(text);
            let ground = Ground { pixel: [1.0, -1.0], scale: [1.0; 2] };
            let error = call.entry.build(&call.arguments, &ground).err().expect(text).to_string();
            assert!(error.contains("no difference"), "{error}");
        }
        assert_eq!(operation("hillshade").halo(), 1);
    }
}
