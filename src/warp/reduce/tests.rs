use super::*;

/// Pixels that repeat often, so that modes and ties occur; the coverage takes 0, 255 and values between.
fn block<T: Mean>(bands: usize, width: usize, height: usize, covered: bool, values: u32) -> Block {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    let samples = (0..width * height * bands)
        .map(|_| T::from_f64((f64::from(next() % values) - f64::from(values / 3)) * 1.25))
        .collect();
    let coverage =
        Array2::from_shape_fn((height, width), |_| [0, 0, 255, 255, 255, 1, 128][next() as usize % 7]);
    Block {
        window: Window::new(-4, 6, width, height),
        samples: T::wrap(interleaved_array(samples, bands, Size::new(width, height)).expect("fits")),
        validity: if covered { Validity::All } else { Validity::PerPixel(coverage) },
    }
}

/// One pixel of the result, straight from the table in the documentation of `halve`.
fn expected<T: Mean>(block: &Block, x: usize, y: usize, method: Resampling, edges: Edges) -> (Vec<f64>, u8) {
    let array = T::unwrap(&block.samples).expect("type");
    let at = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| {
        let (x, y) = (2 * x + dx, 2 * y + dy);
        let coverage = match &block.validity {
            Validity::All => 255,
            Validity::PerPixel(c) => c[[y, x]],
        };
        let values: Vec<f64> = (0..block.bands()).map(|b| array[[b, y, x]].to_f64()).collect();
        (values, coverage)
    });
    let harden = |c: u8| if edges == Edges::Hard && c > 0 { 255 } else { c };
    let covered: Vec<_> = at.iter().filter(|(_, c)| *c > 0).collect();
    match method {
        Resampling::Nearest => (at[0].0.clone(), harden(at[0].1)),
        _ if covered.is_empty() => (vec![0.0; block.bands()], 0),
        Resampling::Mode => {
            let count = |v: &Vec<f64>| covered.iter().filter(|(w, _)| w == v).count();
            let most = covered.iter().map(|(v, _)| count(v)).max().unwrap_or(0);
            let (values, c) = covered.iter().find(|(v, _)| count(v) == most).expect("some");
            (values.clone(), harden(*c))
        }
        _ => {
            let weight: f64 = covered.iter().map(|(_, c)| f64::from(*c)).sum();
            let mean = |b: usize| {
                let mean = covered.iter().map(|(v, c)| v[b] * f64::from(*c)).sum::<f64>() / weight;
                T::from_sum_f64(mean).to_f64()
            };
            let coverage = (weight / 4.0 + 0.5).floor().max(1.0) as u8;
            ((0..block.bands()).map(mean).collect(), harden(coverage))
        }
    }
}

fn check<T: Mean>(values: u32) {
    for (bands, width, height) in [(1, 20, 6), (2, 10, 4), (3, 70, 4), (4, 34, 2), (5, 6, 6)] {
        for covered in [true, false] {
            let block = block::<T>(bands, width, height, covered, values);
            for method in [Resampling::Average, Resampling::Nearest, Resampling::Mode] {
                for edges in [Edges::Hard, Edges::Soft] {
                    let half = halve(&block, method, edges).expect("even");
                    assert_eq!(half.window, Window::new(-2, 3, width / 2, height / 2));
                    let array = T::unwrap(&half.samples).expect("same type");
                    for (y, x) in (0..height / 2).flat_map(|y| (0..width / 2).map(move |x| (y, x))) {
                        let (values, coverage) = expected::<T>(&block, x, y, method, edges);
                        let got = match &half.validity {
                            Validity::All => 255,
                            Validity::PerPixel(c) => c[[y, x]],
                        };
                        assert_eq!(got, coverage, "{method} {edges:?} at {x}, {y}");
                        if coverage > 0 {
                            let got: Vec<f64> = (0..bands).map(|b| array[[b, y, x]].to_f64()).collect();
                            assert_eq!(got, values, "{method} {edges:?} {bands} bands at {x}, {y}");
                        }
                    }
                    for level in [Level::Baseline, Level::Narrow] {
                        assert_eq!(half, halve_at(level, &block, method, edges).expect("even"));
                    }
                }
            }
        }
    }
}

#[test]
fn every_method_equals_brute_force_for_every_type() {
    for values in [3, 200] {
        check::<u8>(values);
        check::<i8>(values / 2);
        check::<u16>(values * 300);
        check::<i16>(values * 100);
        check::<u32>(values * 300);
        check::<i32>(values * 300);
        check::<f32>(values);
        check::<f64>(values);
    }
}

#[test]
fn extreme_values_do_not_overflow() {
    fn constant<T: Mean>(value: T) {
        let mut block = block::<T>(1, 2, 2, false, 3);
        block.samples = T::wrap(Array3::from_elem((1, 2, 2), value));
        for validity in [Validity::All, Validity::PerPixel(Array2::from_elem((2, 2), 254))] {
            block.validity = validity;
            let half = halve(&block, Resampling::Average, Edges::Soft).expect("even");
            assert!(T::unwrap(&half.samples).expect("type")[[0, 0, 0]] == value);
        }
    }
    constant(u8::MAX);
    constant(i8::MIN);
    constant(u16::MAX);
    constant(i16::MIN);
    constant(u32::MAX);
    constant(i32::MIN);
    constant(f32::MAX);
}

#[test]
fn samples_without_coverage_do_not_leak_not_even_nan() {
    let mut block = block::<f32>(1, 2, 2, false, 3);
    block.samples = Samples::F32(
        Array3::from_shape_vec((1, 2, 2), vec![f32::NAN, 4.0, f32::INFINITY, 8.0]).expect("fits"),
    );
    block.validity = Validity::PerPixel(Array2::from_shape_vec((2, 2), vec![0, 255, 0, 255]).expect("fits"));
    let half = halve(&block, Resampling::Average, Edges::Soft).expect("even");
    assert_eq!(half.samples, Samples::F32(Array3::from_elem((1, 1, 1), 6.0)));
    assert_eq!(half.validity, Validity::PerPixel(Array2::from_elem((1, 1), 128)));
    let hard = halve(&block, Resampling::Average, Edges::Hard).expect("even");
    assert_eq!(hard.validity, Validity::All);
}

#[test]
fn planar_blocks_are_halved_like_interleaved_ones() {
    let interleaved = block::<u8>(3, 8, 4, false, 90);
    let mut planar = interleaved.clone();
    planar.samples =
        Samples::U8(u8::unwrap(&interleaved.samples).expect("type").as_standard_layout().to_owned());
    for method in [Resampling::Average, Resampling::Mode] {
        let halves = [&interleaved, &planar].map(|b| halve(b, method, Edges::Soft).expect("even"));
        assert_eq!(halves[0], halves[1]);
    }
}

#[test]
fn odd_windows_and_wide_kernels_are_refused() {
    let mut odd = block::<u8>(1, 4, 4, true, 9);
    assert!(halve(&odd, Resampling::Cubic, Edges::Soft).is_err());
    odd.window.x = 3;
    assert!(halve(&odd, Resampling::Average, Edges::Soft).is_err());
}

#[test]
fn joined_quarters_lie_where_they_belong() {
    let whole = block::<u16>(2, 8, 6, false, 1000);
    let Validity::PerPixel(coverage) = &whole.validity else { panic!("has holes") };
    let array = u16::unwrap(&whole.samples).expect("type");
    let quarter = |i: usize| {
        let (x, y) = (i % 2 * 4, i / 2 * 3);
        Some(Block {
            window: Window::new(whole.window.x + x as i64, whole.window.y + y as i64, 4, 3),
            samples: Samples::U16(array.slice(s![.., y..y + 3, x..x + 4]).to_owned()),
            validity: Validity::PerPixel(coverage.slice(s![y..y + 3, x..x + 4]).to_owned()),
        })
    };
    let joined = join(&[quarter(0), quarter(1), quarter(2), quarter(3)], whole.window).expect("fits");
    assert_eq!(joined, Some(whole.clone()));

    let joined = join(&[None, quarter(1), None, None], whole.window).expect("fits").expect("has data");
    let Validity::PerPixel(got) = &joined.validity else { panic!("has holes") };
    assert_eq!(got.slice(s![..3, 4..]), coverage.slice(s![..3, 4..]));
    assert!(got.slice(s![.., ..4]).iter().chain(got.slice(s![3.., ..])).all(|&c| c == 0));

    assert_eq!(join(&[None, None, None, None], whole.window).expect("fits"), None);
    assert!(join(&[quarter(1), None, None, None], whole.window).is_err());
}
