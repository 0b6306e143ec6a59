use super::*;
use crate::encode::{Colour, Plane, Rgba};

/// A picture that owns its pixels.
#[derive(Clone)]
struct Owned {
    width: usize,
    height: usize,
    colour: OwnedColour,
    samples: Vec<u8>,
    alpha: Option<Vec<u8>>,
    /// Bytes between the rows of both planes.
    gap: usize,
}

#[derive(Clone)]
enum OwnedColour {
    Gray,
    Rgb,
    Palette(Vec<Rgba>),
}

impl Owned {
    fn new(width: usize, height: usize, colour: OwnedColour, sample: impl Fn(usize) -> u8) -> Self {
        let bytes = if matches!(colour, OwnedColour::Rgb) { 3 } else { 1 };
        let samples = (0..width * height * bytes).map(sample).collect();
        Self { width, height, colour, samples, alpha: None, gap: 0 }
    }

    fn rgb(width: usize, height: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Self {
        let at = |i: usize| pixel(i / 3 % width, i / 3 / width)[i % 3];
        Self::new(width, height, OwnedColour::Rgb, at)
    }

    fn gray(width: usize, height: usize, pixel: impl Fn(usize, usize) -> u8) -> Self {
        Self::new(width, height, OwnedColour::Gray, |i| pixel(i % width, i / width))
    }

    fn with_alpha(mut self, alpha: impl Fn(usize, usize) -> u8) -> Self {
        let width = self.width;
        self.alpha = Some((0..width * self.height).map(|i| alpha(i % width, i / width)).collect());
        self
    }

    /// The same picture inside larger buffers.
    fn strided(&self, gap: usize) -> Self {
        let widen = |bytes: &[u8]| -> Vec<u8> {
            bytes.chunks(bytes.len() / self.height).flat_map(|row| [row, &vec![0xa5; gap]].concat()).collect()
        };
        let alpha = self.alpha.as_deref().map(widen);
        Self { samples: widen(&self.samples), alpha, gap, ..self.clone() }
    }

    fn picture(&self) -> Picture<'_> {
        let colour = match &self.colour {
            OwnedColour::Gray => Colour::Gray,
            OwnedColour::Rgb => Colour::Rgb,
            OwnedColour::Palette(table) => Colour::Palette(table),
        };
        let stride = self.width * colour.bytes() + self.gap;
        let alpha = self.alpha.as_ref().map(|bytes| Plane { bytes, stride: self.width + self.gap });
        Picture {
            width: self.width,
            height: self.height,
            colour,
            samples: Plane { bytes: &self.samples, stride },
            alpha,
        }
    }

    /// The colours that a reader should see.
    fn colours(&self) -> Vec<Rgba> {
        let picture = self.picture();
        let mut colours = Vec::new();
        for y in 0..self.height {
            for x in 0..self.width {
                let samples =
                    &picture.samples.bytes[y * picture.samples.stride + x * picture.colour.bytes()..];
                let [r, g, b, a] = match &self.colour {
                    OwnedColour::Gray => [samples[0], samples[0], samples[0], 255],
                    OwnedColour::Rgb => [samples[0], samples[1], samples[2], 255],
                    OwnedColour::Palette(table) => table.get(samples[0] as usize).copied().unwrap_or([0; 4]),
                };
                let alpha = picture.alpha.map_or(255, |plane| plane.bytes[y * plane.stride + x]);
                let a = (f64::from(a) * f64::from(alpha) / 255.0).round() as u8;
                colours.push(if a == 0 { [0; 4] } else { [r, g, b, a] });
            }
        }
        colours
    }
}

/// What a decoder written by others sees.
struct Decoded {
    colour_type: png::ColorType,
    depth: png::BitDepth,
    palette: usize,
    transparency: usize,
    colours: Vec<Rgba>,
}

fn decode(file: &[u8]) -> Decoded {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().expect("header");
    let info = reader.info();
    let (colour_type, depth) = (info.color_type, info.bit_depth);
    let palette = info.palette.as_ref().map_or(0, |palette| palette.len() / 3);
    let transparency = info.trns.as_ref().map_or(0, |trns| trns.len());
    let mut bytes = vec![0; reader.output_buffer_size().expect("fits")];
    let frame = reader.next_frame(&mut bytes).expect("pixels");
    let opaque = |p: &[u8], i: [usize; 3]| [p[i[0]], p[i[1]], p[i[2]], 255];
    let colours = match frame.color_type {
        png::ColorType::Grayscale => bytes.chunks(1).map(|p| opaque(p, [0; 3])).collect(),
        png::ColorType::Rgb => bytes.chunks(3).map(|p| opaque(p, [0, 1, 2])).collect(),
        png::ColorType::GrayscaleAlpha => bytes.chunks(2).map(|p| [p[0], p[0], p[0], p[1]]).collect(),
        png::ColorType::Rgba => bytes.chunks(4).map(|p| [p[0], p[1], p[2], p[3]]).collect(),
        png::ColorType::Indexed => unreachable!("palettes are expanded"),
    };
    reader.finish().expect("nothing wrong up to the end");
    Decoded { colour_type, depth, palette, transparency, colours }
}

fn encode(mode: PngMode, picture: &Picture<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    Png::new(mode).encode(picture, &mut out).expect("PNG holds any picture");
    out
}

/// Encodes in both modes, twice each and from wider rows, and checks all pixels. Returns the fast file, decoded.
fn round_trip(picture: &Owned) -> Decoded {
    let [_, fast] = [PngMode::Small, PngMode::Fast].map(|mode| {
        let file = encode(mode, &picture.picture());
        assert_eq!(file, encode(mode, &picture.picture()), "same picture, same bytes");
        assert_eq!(file, encode(mode, &picture.strided(13).picture()), "strides do not show");
        let decoded = decode(&file);
        assert!(decoded.colours == picture.colours(), "{mode:?}: pixels differ");
        decoded
    });
    fast
}

/// Bytes of a xorshift generator.
fn noise(seed: u64) -> impl FnMut() -> u8 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    }
}

/// An RGB picture with exactly `n` colours, none grey.
fn with_colours(n: usize) -> Owned {
    Owned::rgb(64, 64, |x, y| {
        let i = (x + 64 * y) % n;
        [i as u8, (i >> 8) as u8 + 1, 200]
    })
}

#[test]
fn gradients_and_noise_come_back_as_rgb() {
    let gradient = Owned::rgb(256, 256, |x, y| [x as u8, y as u8, (x + y) as u8]);
    assert_eq!(round_trip(&gradient).colour_type, png::ColorType::Rgb);
    let bytes: Vec<u8> = std::iter::repeat_with(noise(1)).take(200 * 100 * 3).collect();
    let random = Owned::new(200, 100, OwnedColour::Rgb, |i| bytes[i]);
    assert_eq!(round_trip(&random).colour_type, png::ColorType::Rgb);
}

#[test]
fn odd_sizes_come_back() {
    for (width, height) in [(1, 1), (1, 300), (300, 1), (255, 3), (3, 255), (7, 9)] {
        round_trip(&Owned::rgb(width, height, |x, y| [(x * 3) as u8, (y * 5) as u8, (x * y) as u8]));
        round_trip(&Owned::gray(width, height, |x, y| (x * 7 + y * 3) as u8));
        let rgba = Owned::rgb(width, height, |x, y| [(x * 3) as u8, (y * 5) as u8, (x ^ y) as u8]);
        round_trip(&rgba.with_alpha(|x, y| (x + y) as u8));
    }
}

#[test]
fn larger_tiles_come_back() {
    round_trip(&Owned::rgb(512, 512, |x, y| [(x * 3) as u8, (y * 5) as u8, (x * y) as u8]));
}

#[test]
fn depth_follows_the_number_of_colours() {
    for (n, depth) in [
        (1, png::BitDepth::One),
        (2, png::BitDepth::One),
        (3, png::BitDepth::Two),
        (4, png::BitDepth::Two),
        (5, png::BitDepth::Four),
        (16, png::BitDepth::Four),
        (17, png::BitDepth::Eight),
        (256, png::BitDepth::Eight),
    ] {
        let decoded = round_trip(&with_colours(n));
        assert_eq!((decoded.colour_type, decoded.depth), (png::ColorType::Indexed, depth), "{n} colours");
        assert_eq!((decoded.palette, decoded.transparency), (n, 0));
    }
    assert_eq!(round_trip(&with_colours(257)).colour_type, png::ColorType::Rgb);
}

#[test]
fn depth_counts_also_in_widths_that_end_inside_a_byte() {
    for width in 1..18 {
        round_trip(&Owned::rgb(width, 3, |x, y| [((x + y) % 2) as u8, 0, 9]));
        round_trip(&Owned::rgb(width, 3, |x, y| [((x + y) % 3) as u8, 0, 9]));
        round_trip(&Owned::rgb(width, 3, |x, y| [((x + y) % 7) as u8, 0, 9]));
    }
}

#[test]
fn grey_stays_grey_and_grey_rgb_becomes_grey() {
    let levels = |levels: usize, step: usize| {
        let gray = Owned::gray(64, 64, move |x, y| ((x + 5 * y) % levels * step) as u8);
        let rgb = Owned::rgb(64, 64, move |x, y| [((x + 5 * y) % levels * step) as u8; 3]);
        assert_eq!(encode(PngMode::Fast, &gray.picture()), encode(PngMode::Fast, &rgb.picture()));
        let decoded = round_trip(&gray);
        (decoded.colour_type, decoded.depth)
    };
    assert_eq!(levels(256, 1), (png::ColorType::Grayscale, png::BitDepth::Eight));
    assert_eq!(levels(17, 3), (png::ColorType::Grayscale, png::BitDepth::Eight));
    assert_eq!(levels(16, 17), (png::ColorType::Grayscale, png::BitDepth::Four));
    assert_eq!(levels(4, 85), (png::ColorType::Grayscale, png::BitDepth::Two));
    assert_eq!(levels(2, 255), (png::ColorType::Grayscale, png::BitDepth::One));
    assert_eq!(levels(16, 3), (png::ColorType::Indexed, png::BitDepth::Four));
    assert_eq!(levels(2, 3), (png::ColorType::Indexed, png::BitDepth::One));
}

#[test]
fn transparent_pixels_lose_their_colour() {
    let clear = Owned::rgb(256, 256, |x, y| [x as u8, y as u8, 3]).with_alpha(|_, _| 0);
    let decoded = round_trip(&clear);
    assert_eq!((decoded.depth, decoded.palette, decoded.transparency), (png::BitDepth::One, 1, 1));
    assert_eq!(encode(PngMode::Fast, &clear.picture()).len(), {
        let other = Owned::gray(256, 256, |x, _| x as u8).with_alpha(|_, _| 0);
        encode(PngMode::Fast, &other.picture()).len()
    });
    let cut =
        Owned::rgb(256, 256, |x, y| [x as u8, y as u8, 3]).with_alpha(|x, y| if x > y { 255 } else { 0 });
    assert_eq!(round_trip(&cut).colour_type, png::ColorType::Rgba);
}

#[test]
fn partial_alpha_comes_back() {
    let colour = Owned::rgb(100, 90, |x, y| [x as u8, y as u8, 77]).with_alpha(|x, y| (x * y) as u8);
    assert_eq!(round_trip(&colour).colour_type, png::ColorType::Rgba);
    let gray = Owned::gray(100, 90, |x, y| (x + y) as u8).with_alpha(|x, y| (x * y) as u8);
    assert_eq!(round_trip(&gray).colour_type, png::ColorType::GrayscaleAlpha);
    let gray = Owned::gray(100, 90, |x, _| x as u8).with_alpha(|_, y| if y < 50 { 255 } else { 0 });
    let decoded = round_trip(&gray);
    assert_eq!(
        (decoded.colour_type, decoded.palette, decoded.transparency),
        (png::ColorType::Indexed, 101, 1)
    );
}

#[test]
fn opaque_alpha_leaves_no_trace() {
    for colour in [
        Owned::rgb(130, 120, |x, y| [x as u8, y as u8, (x * y) as u8]),
        Owned::gray(130, 120, |x, y| (x ^ y) as u8),
        with_colours(200),
    ] {
        for mode in [PngMode::Fast, PngMode::Small] {
            let opaque = colour.clone().with_alpha(|_, _| 255);
            assert_eq!(encode(mode, &opaque.picture()), encode(mode, &colour.picture()));
        }
    }
}

#[test]
fn palettes_are_cut_to_the_colours_in_use_and_indices_beyond_them_are_transparent() {
    let table: Vec<Rgba> = (0..40u8).map(|i| [i * 3, 90, i, if i % 9 == 4 { 100 } else { 255 }]).collect();
    let picture = Owned::new(50, 50, OwnedColour::Palette(table.clone()), |i| [3, 13, 39, 40, 255][i % 5]);
    let decoded = round_trip(&picture);
    // Beyond the table: one colour; 13 is translucent; 3 and 39 are opaque.
    assert_eq!((decoded.palette, decoded.transparency, decoded.depth), (4, 2, png::BitDepth::Two));
    let all = Owned::new(50, 50, OwnedColour::Palette(table), |i| (i % 256) as u8);
    assert_eq!(round_trip(&all).palette, 41);
    let none = Owned::new(5, 5, OwnedColour::Palette(Vec::new()), |i| i as u8);
    assert_eq!(round_trip(&none).palette, 1);
}

#[test]
fn equal_palette_colours_share_an_entry() {
    let table = vec![[1, 2, 3, 255], [9, 9, 9, 0], [1, 2, 3, 255], [7, 7, 7, 0]];
    let decoded = round_trip(&Owned::new(20, 20, OwnedColour::Palette(table), |i| (i % 4) as u8));
    assert_eq!((decoded.palette, decoded.transparency), (2, 1));
}

#[test]
fn palettes_with_an_alpha_plane_multiply_both() {
    let table: Vec<Rgba> = (0..=255u8).map(|i| [i, 255 - i, 3, i]).collect();
    let picture = Owned::new(80, 80, OwnedColour::Palette(table), |i| (i * 31) as u8);
    assert_eq!(
        round_trip(&picture.clone().with_alpha(|x, y| (x + y) as u8)).colour_type,
        png::ColorType::Rgba
    );
    assert_eq!(round_trip(&picture.with_alpha(|_, _| 128)).colour_type, png::ColorType::Indexed);
}

#[test]
fn random_pictures_come_back() {
    for seed in 0..60 {
        let mut random = noise(seed + 1);
        let (width, height) = (1 + random() as usize % 90, 1 + random() as usize % 90);
        let colour = match random() % 3 {
            0 => OwnedColour::Gray,
            1 => OwnedColour::Rgb,
            _ => {
                let entries = random();
                OwnedColour::Palette(
                    (0..entries).map(|_| [random(), random(), random(), random() | 0xf0]).collect(),
                )
            }
        };
        // Smooth, coarse, repeating or random values.
        let (kind, mask, period) = (random() % 4, random(), 1 + random() as usize);
        let bytes: Vec<u8> = std::iter::repeat_with(&mut random).take(width * height * 3).collect();
        let picture = Owned::new(width, height, colour, |i| match kind {
            0 => (i / period) as u8,
            1 => bytes[i] & mask,
            2 => bytes[i % period],
            _ => bytes[i],
        });
        round_trip(&picture);
        let alpha = picture.with_alpha(|x, y| match kind {
            0 => 255 * u8::from(x > y),
            1 => bytes[x + y] & mask,
            _ => bytes[(x * y) % period] | 0x80,
        });
        round_trip(&alpha);
    }
}

#[test]
fn repeated_texture_is_found_by_matching() {
    // Noise of 3 KiB, 64 times over.
    let bytes: Vec<u8> = std::iter::repeat_with(noise(5)).take(32 * 32 * 3).collect();
    let tiled =
        Owned::rgb(256, 256, |x, y| std::array::from_fn(|band| bytes[(x % 32 + 32 * (y % 32)) * 3 + band]));
    assert!(encode(PngMode::Fast, &tiled.picture()).len() < 12_000);
}

#[test]
fn bytes_are_appended() {
    let picture = with_colours(9);
    let mut out = b"kept".to_vec();
    Png::default().encode(&picture.picture(), &mut out).expect("encodes");
    assert_eq!(&out[..4], b"kept");
    assert_eq!(&out[4..], encode(PngMode::Fast, &picture.picture()));
}

#[test]
fn threads_share_an_encoder() {
    let png = Png::default();
    let picture = Owned::rgb(256, 256, |x, y| [x as u8, y as u8, (x * y) as u8]);
    let expected = encode(PngMode::Fast, &picture.picture());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let mut out = Vec::new();
                    png.encode(&picture.picture(), &mut out).expect("encodes");
                    assert_eq!(out, expected);
                }
            });
        }
    });
}

#[test]
fn refuses_views_that_end_too_early_and_empty_pictures() {
    let owned = Owned::rgb(10, 10, |_, _| [1, 2, 3]);
    let whole = owned.picture();
    let short = |bytes| Plane { bytes, stride: 30 };
    let mut out = Vec::new();
    for wrong in [
        Picture { width: 0, ..whole },
        Picture { height: 0, ..whole },
        Picture { samples: short(&owned.samples[..299]), ..whole },
        Picture { alpha: Some(Plane { bytes: &[255; 99], stride: 10 }), ..whole },
        Picture { samples: Plane { bytes: &owned.samples, stride: usize::MAX }, ..whole },
    ] {
        assert!(Png::default().encode(&wrong, &mut out).is_err());
        assert!(out.is_empty());
    }
}
