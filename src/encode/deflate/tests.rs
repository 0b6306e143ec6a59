use super::block::length_symbol;
use super::*;

/// Bytes of a xorshift generator.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// Compresses, and checks against an inflater written by others.
fn round_trip(data: &[u8]) -> usize {
    let mut out = b"before".to_vec();
    zlib_runs(data, &mut out);
    assert_eq!(&out[..6], b"before");
    let mut back = vec![0; data.len()];
    let stream = &out[6..];
    let len = libdeflater::Decompressor::new().zlib_decompress(stream, &mut back).expect("valid stream");
    assert!(len == data.len() && back == data, "{} bytes do not come back", data.len());
    assert_eq!(stream.len(), runs_size(data) + 6);
    stream.len()
}

#[test]
fn empty_and_tiny_data_come_back() {
    round_trip(&[]);
    for len in 1..40 {
        round_trip(&vec![0; len]);
        round_trip(&vec![255; len]);
        round_trip(&noise(len as u64, len));
    }
}

#[test]
fn zero_runs_of_every_length_come_back() {
    for run in (0..600).chain([1000, 65_535, 65_536, 200_000]) {
        for offset in 0..9 {
            let mut data = noise(run as u64 + 1, offset);
            data.resize(offset + run, 0);
            data.extend(noise(7, 11));
            round_trip(&data);
        }
    }
}

#[test]
fn a_transparent_tile_takes_a_few_hundred_bytes() {
    assert!(round_trip(&vec![0; 256 * 1025]) < 400);
    assert!(round_trip(&vec![9; 256 * 1025]) < 256 * 1025 / 8 + 100);
}

#[test]
fn noise_is_stored() {
    let data = noise(3, 200_000);
    assert_eq!(round_trip(&data), data.len() + 4 * 5 + 6);
}

#[test]
fn sparse_and_skewed_data_come_back() {
    for keep in 1..64 {
        let data: Vec<u8> =
            noise(keep, 5000).iter().map(|&v| if u64::from(v) % 64 < keep { v } else { 0 }).collect();
        round_trip(&data);
        let data: Vec<u8> = noise(keep, 5000).iter().map(|&v| v % keep as u8).collect();
        round_trip(&data);
    }
}

#[test]
fn fibonacci_histograms_come_back() {
    let mut data = Vec::new();
    let (mut a, mut b) = (1, 1);
    for value in 1..=27u8 {
        data.extend(std::iter::repeat_n(value, a));
        (a, b) = (b, a + b);
    }
    // Spread the values, so that no order helps.
    let len = data.len();
    let spread: Vec<u8> = (0..len).map(|i| data[(i * 7919) % len]).collect();
    assert_ne!(len % 7919, 0);
    round_trip(&spread);
    round_trip(&data);
}

#[test]
fn length_symbols_are_those_of_the_rfc() {
    // RFC 1951, 3.2.5.
    assert_eq!(length_symbol(3), (257, 0, 0));
    assert_eq!(length_symbol(10), (264, 0, 0));
    assert_eq!(length_symbol(11), (265, 0, 1));
    assert_eq!(length_symbol(12), (265, 1, 1));
    assert_eq!(length_symbol(18), (268, 1, 1));
    assert_eq!(length_symbol(19), (269, 0, 2));
    assert_eq!(length_symbol(66), (276, 7, 3));
    assert_eq!(length_symbol(130), (280, 15, 4));
    assert_eq!(length_symbol(257), (284, 30, 5));
    assert_eq!(length_symbol(258), (285, 0, 0));
}
