use image_webp::WebPDecoder;

use super::*;
use crate::encode::{Colour, Plane, Rgba};

fn webp(mode: WebpMode) -> Webp {
    Webp::new(WebpOptions { mode, ..WebpOptions::default() }).expect("in range")
}

fn encode(webp: Webp, picture: &Picture<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    webp.encode(picture, &mut out).expect("encoded");
    out
}

/// Red, green, blue and alpha of all pixels as an independent decoder sees them; whether the file has alpha, and whether it
/// is lossy.
fn decode(bytes: &[u8], width: usize, height: usize) -> (Vec<Rgba>, bool, bool) {
    let mut decoder = WebPDecoder::new(std::io::Cursor::new(bytes)).expect("a WebP");
    assert_eq!(decoder.dimensions(), (width as u32, height as u32));
    let mut samples = vec![0; decoder.output_buffer_size().expect("a size")];
    decoder.read_image(&mut samples).expect("samples");
    let alpha = decoder.has_alpha();
    let pixels = if alpha {
        samples.as_chunks::<4>().0.to_vec()
    } else {
        samples.as_chunks::<3>().0.iter().map(|&[r, g, b]| [r, g, b, 255]).collect()
    };
    (pixels, alpha, decoder.is_lossy())
}

fn waves(width: usize, height: usize) -> Vec<u8> {
    let pixel = |i: usize| {
        let (x, y) = ((i % width) as f64, (i / width) as f64);
        let wave = |f: f64| (127.5 + 100.0 * (x * f).sin() * (y * f * 0.7).cos()) as u8;
        [wave(0.05), wave(0.06), wave(0.045)]
    };
    (0..width * height).flat_map(pixel).collect()
}

fn rgb(samples: &[u8], width: usize) -> Picture<'_> {
    let height = samples.len() / (width * 3);
    let samples = Plane { bytes: samples, stride: width * 3 };
    Picture { width, height, colour: Colour::Rgb, samples, alpha: None }
}

/// Peak signal-to-noise ratio of the colours of pixels that can be seen.
fn psnr(expected: &[u8], found: &[Rgba]) -> f64 {
    let pairs = expected.as_chunks::<3>().0.iter().zip(found).filter(|(_, f)| f[3] > 0);
    let square =
        |(e, f): (&[u8; 3], &Rgba)| (0..3).map(|b| f64::from(e[b].abs_diff(f[b])).powi(2)).sum::<f64>();
    let (sum, count) = pairs.map(square).fold((0.0, 0.0), |(s, n), v| (s + v, n + 3.0));
    10.0 * (255.0 * 255.0 * count / sum).log10()
}

/// Opaque but for a disc, half transparent at its rim.
fn disc(side: usize) -> Vec<u8> {
    let at = |i: usize| {
        let (x, y) = ((i % side) as f64 - 30.0, (i / side) as f64 - 40.0);
        match x.hypot(y) {
            r if r < 20.0 => 0,
            r if r < 22.0 => 128,
            _ => 255,
        }
    };
    (0..side * side).map(at).collect()
}

#[test]
fn lossy_colour_comes_back_nearly_the_same_and_better_with_quality() {
    let samples = waves(256, 256);
    let mut last = (0.0, 0);
    for quality in [1, 40, 75, 95] {
        let webp = Webp::new(WebpOptions { quality, ..WebpOptions::default() }).expect("in range");
        let bytes = encode(webp, &rgb(&samples, 256));
        let (found, alpha, lossy) = decode(&bytes, 256, 256);
        assert!(lossy && !alpha);
        let likeness = psnr(&samples, &found);
        assert!(likeness > last.0 && bytes.len() > last.1, "{quality}: {likeness} dB, {} bytes", bytes.len());
        last = (likeness, bytes.len());
        assert!(quality < 75 || likeness > 37.0, "{quality}: {likeness} dB");
    }
}

#[test]
fn lossy_tiles_keep_their_opacity_exactly() {
    let samples = waves(96, 96);
    let alpha = disc(96);
    let picture = Picture { alpha: Some(Plane { bytes: &alpha, stride: 96 }), ..rgb(&samples, 96) };
    let (found, has_alpha, lossy) = decode(&encode(webp(WebpMode::Lossy), &picture), 96, 96);
    assert!(has_alpha && lossy);
    assert_eq!(found.iter().map(|c| c[3]).collect::<Vec<_>>(), alpha);
    assert!(psnr(&samples, &found) > 35.0, "{}", psnr(&samples, &found));
}

#[test]
fn lossless_tiles_keep_every_pixel_that_can_be_seen() {
    let samples = waves(96, 96);
    let alpha = disc(96);
    let opaque = rgb(&samples, 96);
    let partly = Picture { alpha: Some(Plane { bytes: &alpha, stride: 96 }), ..opaque };
    let gray = Picture { colour: Colour::Gray, samples: Plane { bytes: &samples, stride: 100 }, ..opaque };
    let table: Vec<Rgba> = (0..=255u8).map(|i| [i, 255 - i, i / 3, if i < 40 { 0 } else { 255 }]).collect();
    let palette = Picture { colour: Colour::Palette(&table), ..gray };
    for picture in [opaque, partly, gray, Picture { alpha: partly.alpha, ..gray }, palette] {
        let (found, has_alpha, lossy) = decode(&encode(webp(WebpMode::Lossless), &picture), 96, 96);
        assert!(!lossy);
        assert_eq!(has_alpha, picture.alpha.is_some() || picture.colour == palette.colour);
        for (i, found) in found.into_iter().enumerate() {
            let (x, y) = (i % 96, i / 96);
            let row = picture.samples.row(y, 96 * picture.colour.bytes());
            let [r, g, b, a] = match picture.colour {
                Colour::Rgb => [row[3 * x], row[3 * x + 1], row[3 * x + 2], 255],
                Colour::Gray => [row[x], row[x], row[x], 255],
                Colour::Palette(table) => table[usize::from(row[x])],
            };
            let a = picture.alpha.map_or(a, |plane| plane.row(y, 96)[x]);
            assert_eq!(found, if a == 0 { [0; 4] } else { [r, g, b, a] }, "{x}, {y}");
        }
    }
}

#[test]
fn auto_is_lossy_where_a_tile_is_opaque_and_lossless_where_it_is_not() {
    let samples = waves(96, 96);
    let opaque = rgb(&samples, 96);
    let auto = webp(WebpMode::Auto);
    assert_eq!(encode(auto, &opaque), encode(webp(WebpMode::Lossy), &opaque));
    let alpha = disc(96);
    let partly = Picture { alpha: Some(Plane { bytes: &alpha, stride: 96 }), ..opaque };
    assert_eq!(encode(auto, &partly), encode(webp(WebpMode::Lossless), &partly));
    // Alpha that says nothing is none.
    let all = vec![255; 96 * 96];
    let told = Picture { alpha: Some(Plane { bytes: &all, stride: 96 }), ..opaque };
    assert_eq!(encode(auto, &told), encode(auto, &opaque));
}

#[test]
fn views_into_larger_blocks_and_other_threads_give_the_same_bytes() {
    let block = waves(300, 120);
    let copied: Vec<u8> = block.chunks(900).flat_map(|row| row[..750].to_vec()).collect();
    let samples = Plane { bytes: &block, stride: 900 };
    let view = Picture { width: 250, samples, ..rgb(&block, 300) };
    for mode in [WebpMode::Lossy, WebpMode::Lossless] {
        let webp = webp(mode);
        let expected = encode(webp, &rgb(&copied, 250));
        let mut out = b"kept".to_vec();
        webp.encode(&view, &mut out).expect("encoded");
        assert!(out.starts_with(b"kept") && out[4..] == expected, "{mode:?}");
        assert_eq!(std::thread::scope(|s| s.spawn(|| encode(webp, &view)).join().expect("ran")), expected);
    }
}

#[test]
fn all_sizes_hold() {
    for mode in [WebpMode::Lossy, WebpMode::Lossless] {
        for (width, height) in [(1, 1), (1, 40), (17, 3), (512, 1), (255, 257)] {
            let samples = waves(width, height);
            let (found, _, _) = decode(&encode(webp(mode), &rgb(&samples, width)), width, height);
            assert!(psnr(&samples, &found) > 25.0, "{mode:?} {width} × {height}");
        }
    }
}

#[test]
fn rejects_qualities_out_of_range_and_pictures_that_lie_about_their_size() {
    for quality in [0, 101] {
        let refused = Webp::new(WebpOptions { quality, ..WebpOptions::default() });
        assert!(matches!(refused, Err(Error::Usage(m)) if m.contains("--quality")), "{quality}");
    }
    for (width, height, stride) in [(0, 1, 3), (5, 1, 3), (1, 9, 3), (20_000, 1, 0)] {
        for mode in [WebpMode::Lossy, WebpMode::Lossless] {
            let samples = Plane { bytes: &[0; 10], stride };
            let picture = Picture { width, height, colour: Colour::Rgb, samples, alpha: None };
            let mut out = Vec::new();
            assert!(
                matches!(webp(mode).encode(&picture, &mut out), Err(Error::Internal(_))) && out.is_empty()
            );
        }
    }
}

#[test]
fn alpha_is_kept_in_opaque_pictures_when_asked_for() {
    for (side, height) in [(64, 64), (61, 33)] {
        let samples = waves(side, height);
        let picture = rgb(&samples, side);
        for mode in [WebpMode::Lossy, WebpMode::Lossless, WebpMode::Auto] {
            let options = WebpOptions { mode, ..WebpOptions::default() };
            let plain = encode(Webp::new(options).expect("in range"), &picture);
            let with = encode(Webp::new(WebpOptions { alpha: true, ..options }).expect("in range"), &picture);
            let (before, alpha, _) = decode(&plain, side, height);
            assert!(!alpha);
            let (after, alpha, lossy) = decode(&with, side, height);
            assert!(alpha && before == after && lossy == (mode != WebpMode::Lossless), "{mode:?}");
            assert!(
                with.len() < plain.len() + 200 + plain.len() / 10,
                "{} after {}",
                with.len(),
                plain.len()
            );
        }
    }
    // Where there is something to hide, nothing changes.
    let samples = waves(64, 64);
    let alpha = disc(64);
    let picture = Picture { alpha: Some(Plane { bytes: &alpha, stride: 64 }), ..rgb(&samples, 64) };
    let with = WebpOptions { alpha: true, ..WebpOptions::default() };
    assert_eq!(encode(Webp::new(with).expect("in range"), &picture), encode(webp(WebpMode::Lossy), &picture));
}
