//! Definitions of tile matrix sets: read or refused, and what is read can be written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tileloom::grid::Definition;

fuzz_target!(|text: &str| {
    let Ok(definition) = Definition::parse(text) else { return };
    let Ok(set) = definition.settled("set", 1.0, false, None) else { return };
    for z in 0..=set.last() {
        set.resolution(z, 256);
        set.nests(z);
    }
    set.bounds();
    let again = Definition::parse(&set.to_json().to_string()).expect("what we write can be read");
    let again = again.settled("set", 1.0, false, None).expect("and used");
    assert_eq!(again.to_json(), set.to_json());
});
