use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;

use super::*;
use crate::encode::{Colour, Plane, Rgba};

fn options(quality: u8, background: Option<[u8; 3]>) -> Jpeg {
    Jpeg::new(JpegOptions { quality, background }).expect("in range")
}

fn encode(jpeg: Jpeg, picture: &Picture<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    jpeg.encode(picture, &mut out).expect("encoded");
    out
}

/// Width, height and red, green and blue as an independent decoder sees them, and whether the file is grey.
fn decode(bytes: &[u8]) -> (usize, usize, Vec<u8>, bool) {
    let mut decoder = JpegDecoder::new(std::io::Cursor::new(bytes));
    decoder.decode_headers().expect("headers");
    let gray = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let samples = decoder.decode().expect("samples");
    let (width, height) = decoder.dimensions().expect("a size");
    (width, height, samples, gray)
}

fn waves(width: usize, height: usize) -> Vec<u8> {
    let pixel = |i: usize| {
        let (x, y) = ((i % width) as f64, (i / width) as f64);
        let wave = |f: f64| (127.5 + 100.0 * (x * f).sin() * (y * f * 0.7).cos()) as u8;
        [wave(0.05), wave(0.06), wave(0.045)]
    };
    (0..width * height).flat_map(pixel).collect()
}

fn rgb(samples: &[u8], width: usize, stride: usize) -> Picture<'_> {
    let height = samples.len().div_ceil(stride);
    Picture { width, height, colour: Colour::Rgb, samples: Plane { bytes: samples, stride }, alpha: None }
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
    10.0 * (255.0 * 255.0 * a.len() as f64 / sum).log10()
}

#[test]
fn colour_comes_back_nearly_the_same_and_better_with_quality() {
    let samples = waves(256, 256);
    let picture = rgb(&samples, 256, 768);
    let mut last = (0.0, 0);
    for quality in [1, 30, 75, 95, 100] {
        let bytes = encode(options(quality, None), &picture);
        let (width, height, found, gray) = decode(&bytes);
        assert!((width, height, gray) == (256, 256, false));
        let likeness = psnr(&samples, &found);
        assert!(likeness > last.0 && bytes.len() > last.1, "{quality}: {likeness} dB, {} bytes", bytes.len());
        last = (likeness, bytes.len());
        assert!(quality < 75 || likeness > 37.0, "{quality}: {likeness} dB");
    }
}

#[test]
fn one_band_gives_a_grey_jpeg() {
    let samples: Vec<u8> = waves(64, 64).into_iter().step_by(3).collect();
    let plane = Plane { bytes: &samples, stride: 64 };
    let mut picture = Picture { width: 64, height: 64, colour: Colour::Gray, samples: plane, alpha: None };
    let (_, _, found, gray) = decode(&encode(options(90, None), &picture));
    assert!(gray && psnr(&samples.iter().flat_map(|v| [*v; 3]).collect::<Vec<_>>(), &found) > 40.0);
    // A grey background keeps it grey, a coloured one does not.
    let alpha = vec![0; 64 * 64];
    picture.alpha = Some(Plane { bytes: &alpha, stride: 64 });
    let (_, _, found, gray) = decode(&encode(options(90, Some([9; 3])), &picture));
    assert!(gray && found.iter().all(|v| v.abs_diff(9) < 2));
    let (_, _, found, gray) = decode(&encode(options(90, Some([200, 9, 9])), &picture));
    assert!(!gray && found.chunks(3).all(|c| c[0] > 190 && c[1] < 20), "{:?}", &found[..3]);
}

#[test]
fn what_is_transparent_takes_the_background() {
    let samples = [10, 200, 30].repeat(32 * 32);
    let alpha: Vec<u8> = (0..32 * 32).map(|i| if i % 32 < 16 { 0 } else { 255 }).collect();
    let mut picture = rgb(&samples, 32, 96);
    picture.alpha = Some(Plane { bytes: &alpha, stride: 32 });
    for (given, expected) in [(None, WHITE), (Some([0, 0, 255]), [0, 0, 255])] {
        let (_, _, found, _) = decode(&encode(options(95, given), &picture));
        let near = |at: usize, colour: [u8; 3]| (0..3).all(|b| found[at * 3 + b].abs_diff(colour[b]) < 12);
        assert!(near(5, expected) && near(32 * 31 + 5, expected), "{:?}", &found[15..18]);
        assert!(near(26, [10, 200, 30]), "{:?}", &found[78..81]);
    }
    // Half opaque is half of both.
    let alpha = vec![128; 32 * 32];
    picture.alpha = Some(Plane { bytes: &alpha, stride: 32 });
    let (_, _, found, _) = decode(&encode(options(95, Some([210, 0, 30])), &picture));
    assert!(found[0].abs_diff(110) < 4 && found[1].abs_diff(100) < 4 && found[2].abs_diff(30) < 4);
}

#[test]
fn palettes_are_shown_in_their_colours() {
    let table: [Rgba; 2] = [[250, 10, 10, 255], [10, 10, 250, 255]];
    let samples: Vec<u8> = (0..32 * 32).map(|i| u8::from(i % 32 >= 16)).collect();
    let samples = Plane { bytes: &samples, stride: 32 };
    let picture = Picture { width: 32, height: 32, colour: Colour::Palette(&table), samples, alpha: None };
    let (_, _, found, gray) = decode(&encode(options(95, None), &picture));
    assert!(!gray && found[0] > 230 && found[2] < 30 && found[31 * 3] < 30 && found[31 * 3 + 2] > 230);
}

#[test]
fn views_into_larger_blocks_and_fresh_copies_give_the_same_bytes() {
    let block = waves(300, 120);
    let copied: Vec<u8> = block.chunks(900).flat_map(|row| row[..750].to_vec()).collect();
    let view = Picture { width: 250, height: 120, ..rgb(&block, 250, 900) };
    let jpeg = options(75, None);
    let expected = encode(jpeg, &rgb(&copied, 250, 750));
    assert_eq!(encode(jpeg, &view), expected);
    let mut out = b"kept".to_vec();
    jpeg.encode(&view, &mut out).expect("encoded");
    assert!(out.starts_with(b"kept") && out[4..] == expected);
    assert_eq!(std::thread::scope(|s| s.spawn(|| encode(jpeg, &view)).join().expect("ran")), expected);
}

#[test]
fn all_sizes_hold() {
    let jpeg = options(75, None);
    for (width, height) in [(1, 1), (1, 40), (17, 3), (512, 1), (8, 8), (255, 257)] {
        let samples = waves(width, height);
        let (w, h, found, _) = decode(&encode(jpeg, &rgb(&samples, width, width * 3)));
        assert!((w, h) == (width, height) && psnr(&samples, &found) > 25.0, "{width} × {height}");
    }
}

#[test]
fn rejects_qualities_out_of_range_and_pictures_that_lie_about_their_size() {
    for quality in [0, 101, 255] {
        let refused = Jpeg::new(JpegOptions { quality, background: None });
        assert!(matches!(refused, Err(Error::Usage(m)) if m.contains("--quality")), "{quality}");
    }
    let jpeg = options(75, None);
    for (width, height, stride) in [(0, 1, 3), (1, 0, 3), (5, 1, 3), (1, 5, 3), (70_000, 1, 0), (2, 2, 5)] {
        let samples = Plane { bytes: &[0; 10], stride };
        let picture = Picture { width, height, colour: Colour::Rgb, samples, alpha: None };
        let mut out = Vec::new();
        assert!(matches!(jpeg.encode(&picture, &mut out), Err(Error::Internal(_))) && out.is_empty());
    }
}
