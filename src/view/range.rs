//! The `Range` header of a request (RFC 9110, section 14).

/// What part of some bytes a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of them: also for several ranges, other units, and what is no range, as the specification allows.
    All,
    /// From the first to the last one, both included.
    Part(usize, usize),
    /// Bytes that do not exist.
    Nothing,
}

/// Reads the value of a `Range` header about `len` bytes.
pub(super) fn wanted(header: &str, len: usize) -> Wanted {
    parsed(header, len).unwrap_or(Wanted::All)
}

fn parsed(header: &str, len: usize) -> Option<Wanted> {
    let (unit, set) = header.split_once('=')?;
    let (first, last) = set.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    if first.is_empty() {
        let count = position(last)?.min(len);
        return Some(if count == 0 { Wanted::Nothing } else { Wanted::Part(len - count, len - 1) });
    }
    let first = position(first)?;
    let last = if last.is_empty() { usize::MAX } else { position(last)? };
    if first > last {
        return None;
    }
    Some(if first >= len { Wanted::Nothing } else { Wanted::Part(first, last.min(len - 1)) })
}

/// A number of digits only; more than fit are beyond everything.
fn position(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_ranges_are_understood() {
        assert_eq!(wanted("bytes=0-9", 100), Wanted::Part(0, 9));
        assert_eq!(wanted("Bytes=90-", 100), Wanted::Part(90, 99));
        assert_eq!(wanted("bytes=95-1000", 100), Wanted::Part(95, 99));
        assert_eq!(wanted("bytes=-5", 100), Wanted::Part(95, 99));
        assert_eq!(wanted("bytes=-500", 100), Wanted::Part(0, 99));
        assert_eq!(wanted("bytes=0-99999999999999999999999", 100), Wanted::Part(0, 99));
    }

    #[test]
    fn what_does_not_exist_is_nothing() {
        for header in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(wanted(header, 100), Wanted::Nothing, "{header}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Nothing);
        assert_eq!(wanted("bytes=-1", 0), Wanted::Nothing);
    }

    #[test]
    fn what_is_no_single_range_of_bytes_is_all() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=a-b",
            "bytes=5-2",
            "bytes=0-1,5-9",
            "lines=0-1",
            "bytes=-",
            "bytes=+1-2",
        ] {
            assert_eq!(wanted(header, 100), Wanted::All, "{header}");
        }
    }
}
