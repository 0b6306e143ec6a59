//! GeoTIFFs that are broken in one way each.

use std::process::Command;

use super::*;
use crate::common::succeed;

/// A COG of three DEFLATE bands of 700 × 600 pixels with overviews.
fn cog() -> (TempDir, PathBuf, Vec<u8>) {
    let dir = scratch();
    let path = dir.path().join("cog.tif");
    let options = ["-of", "COG", "-co", "COMPRESS=DEFLATE", "-co", "BLOCKSIZE=128", "-outsize", "700", "600"];
    let mut command = Command::new("gdal_translate");
    succeed(command.arg("-q").args(options).arg(testdata("rgb.tif")).arg(&path));
    sound(&path, &["--as", "cog"]);
    let bytes = std::fs::read(&path).expect("a COG");
    (dir, path, bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i])) as usize
}

/// Where the entry of a tag of the first directory stands.
fn entry(bytes: &[u8], tag: usize) -> usize {
    let directory = u32_at(bytes, 4);
    let entries = (0..u16_at(bytes, directory)).map(|n| directory + 2 + 12 * n);
    entries.into_iter().find(|at| u16_at(bytes, *at) == tag).expect("the tag")
}

/// Where the offset of the next directory stands.
fn next(bytes: &[u8]) -> usize {
    let directory = u32_at(bytes, 4);
    directory + 2 + 12 * u16_at(bytes, directory)
}

/// Where the offsets and the sizes of the blocks stand.
fn lists(bytes: &[u8]) -> [usize; 2] {
    [324, 325].map(|tag| u32_at(bytes, entry(bytes, tag) + 8))
}

#[test]
fn directories_that_lead_astray_are_named() {
    let (_dir, path, bytes) = cog();
    let first = u32_at(&bytes, 4);
    let far = (bytes.len() as u32 + 100).to_le_bytes();
    for (at, new, rule) in [
        (4, far, "directory"),
        (4, [0; 4], "directory"),
        (next(&bytes), (first as u32).to_le_bytes(), "directory"),
        (next(&bytes), far, "directory"),
        (entry(&bytes, 324) + 8, far, "tag-outside"),
        (entry(&bytes, 325) + 4, u32::MAX.to_le_bytes(), "tag-outside"),
        (entry(&bytes, 324) + 4, 3u32.to_le_bytes(), "blocks"),
        (entry(&bytes, 256) + 8, 0u32.to_le_bytes(), "directory"),
    ] {
        edited(&path, &patched(&bytes, at, &new));
        let found = broken(&path, &[]);
        assert!(found.contains(rule), "{rule} is not among {found:?}");
    }
}

#[test]
fn blocks_that_lie_nowhere_or_over_each_other_are_named() {
    let (_dir, path, bytes) = cog();
    let [offsets, sizes] = lists(&bytes);
    let third = u32_at(&bytes, offsets + 8) as u32;
    for (at, new, rule) in [
        (offsets, bytes.len() as u32, "block-outside"),
        (sizes, u32::MAX, "block-outside"),
        (offsets + 4, third + 7, "overlap"),
        (offsets + 4, u32_at(&bytes, 4) as u32, "overlap"),
    ] {
        edited(&path, &patched(&bytes, at, &new.to_le_bytes()));
        let found = broken(&path, &["--quick"]);
        assert!(found.contains(rule), "{rule} is not among {found:?}");
    }
}

#[test]
fn a_damaged_block_is_named_by_its_place() {
    let (_dir, path, bytes) = cog();
    let [offsets, sizes] = lists(&bytes);
    for block in [0, 7, 29] {
        let at = u32_at(&bytes, offsets + 4 * block) + u32_at(&bytes, sizes + 4 * block) / 2;
        edited(&path, &patched(&bytes, at, &[bytes[at] ^ 8]));
        breaks(&path, &[], "block", &[]);
        let report = report(&path, &[]);
        let told = report["faults"][0]["examples"][0].as_str().expect("a sentence");
        assert!(told.contains(&format!("block {}, {} of the image", block % 6, block / 6)), "{told}");
    }
}

#[test]
fn promises_of_the_header_have_to_be_kept() {
    let (_dir, path, bytes) = cog();
    let [offsets, sizes] = lists(&bytes);
    let (at, len) = (u32_at(&bytes, offsets), u32_at(&bytes, sizes));
    for place in [at - 4, at + len + 1] {
        edited(&path, &patched(&bytes, place, &[bytes[place] ^ 1]));
        breaks(&path, &[], "promise", &[]);
    }
}

#[test]
fn a_file_that_was_cut_off_is_found_wherever_that_happened() {
    let (_dir, path, bytes) = cog();
    for len in [4, 8, 100, 300, 600, bytes.len() / 2, bytes.len() - 10] {
        edited(&path, &bytes[..len]);
        assert!(report(&path, &["--quick"])["errors"].as_u64() > Some(0), "{len}");
    }
    edited(&path, b"");
    breaks(&path, &[], "unreadable", &[]);
    edited(&path, b"<html>404</html>");
    breaks(&path, &[], "unreadable", &[]);
}

#[test]
fn a_large_cog_without_overviews_is_a_fault_when_warnings_are() {
    let dir = scratch();
    let path = dir.path().join("cog.tif");
    let options = ["-of", "COG", "-co", "OVERVIEWS=NONE", "-outsize", "700", "600"];
    succeed(Command::new("gdal_translate").arg("-q").args(options).arg(testdata("rgb.tif")).arg(&path));
    assert_eq!(check_run(&[&path], &["--as", "cog"]).code, Some(0));
    breaks(&path, &["--as", "cog", "--strict"], "cog?", &[]);
}

#[test]
fn a_few_bytes_that_claim_to_be_huge_take_no_time() {
    let (_dir, path, bytes) = cog();
    let huge = patched(&bytes, entry(&bytes, 256) + 2, &[4, 0, 1, 0, 0, 0, 0, 0, 0, 0x40]);
    let mut both = patched(&huge, entry(&bytes, 257) + 2, &[4, 0, 1, 0, 0, 0, 0, 0, 0, 0x40]);
    edited(&path, &both);
    let begun = std::time::Instant::now();
    assert!(broken(&path, &[]).contains("blocks"));
    for tag in [324, 325] {
        both = patched(&both, entry(&bytes, tag) + 4, &[0xff; 4]);
    }
    edited(&path, &both);
    assert!(broken(&path, &[]).contains("tag-outside"));
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
