//! What a misspelt word may have meant.

/// The name a word was meant to be, if one is near: by the fewest letters to insert, remove or replace, case aside.
pub fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let far = |name: &&str| distance(&word.to_ascii_lowercase(), &name.to_ascii_lowercase());
    let near = names.iter().min_by_key(|name| far(name))?;
    (far(near) <= near.len().div_ceil(3)).then_some(*near)
}

/// The Levenshtein distance, row by row.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_when_it_is_near() {
        let names = ["QUALITY", "LOSSLESS"];
        assert_eq!(nearest("qualty", &names), Some("QUALITY"));
        assert_eq!(nearest("LOSLESS", &names), Some("LOSSLESS"));
        assert_eq!(nearest("ZLEVEL", &names), None);
        assert_eq!(nearest("", &names), None);
        assert_eq!((distance("", "abc"), distance("kitten", "sitting"), distance("a", "a")), (3, 3, 0));
    }
}
