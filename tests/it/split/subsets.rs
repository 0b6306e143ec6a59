//! Subsets share no pixel.

use super::*;

#[test]
fn no_pixel_is_in_chips_of_two_subsets() {
    let dir = scratch();
    for (k, options) in [
        &["--size", "64", "--overlap", "32", "--subset-block", "150"][..],
        &["--size", "64", "--edges", "shift", "--subset-block", "128"],
        &["--size", "50"],
    ]
    .into_iter()
    .enumerate()
    {
        let out = dir.path().join(k.to_string());
        let all = [&["--subsets", "train=0.7,val=0.2,test=0.1", "--seed", "5"], options].concat();
        let report = split(&[&path("rgb.tif")], &out, &all);
        let chips = index(&out);
        let mut owners: HashMap<(i64, i64), &str> = HashMap::new();
        for chip in &chips {
            let [x, y, w, h] = window(chip);
            assert!(chip["file"].starts_with(&format!("{}/", chip["subset"])));
            assert!(out.join(&chip["file"]).exists());
            for pixel in (y..y + h).flat_map(|y| (x..x + w).map(move |x| (x, y))) {
                let owner = owners.entry(pixel).or_insert(&chip["subset"]);
                assert_eq!(*owner, chip["subset"], "{options:?}: {pixel:?}");
            }
        }
        let of = |name: &str| chips.iter().filter(|c| c["subset"] == name).count();
        let (train, val, test) = (of("train"), of("val"), of("test"));
        assert!(train > val && val > test && test > 0, "{options:?}: {train} {val} {test}");
        assert_eq!(report["subsets"][0]["chips"].as_u64(), Some(train as u64));
        if k == 2 {
            assert_eq!(report["astride"], 0);
        }
    }
}
