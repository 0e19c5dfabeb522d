//! Sets of indexes as a job's status writes them: `0,3-5`.

use std::collections::BTreeSet;

/// The most indexes that a text may name.
const INDEXES_MAX: i32 = 1_000_000;

/// The indexes that a text names; what is no number, or too large, is passed over.
pub fn parse_indexes(text: &str) -> BTreeSet<i32> {
    let mut indexes = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<i32>(), last.parse::<i32>())
            && (0..INDEXES_MAX).contains(&first)
            && (first..INDEXES_MAX).contains(&last)
        {
            indexes.extend(first..=last);
        }
    }
    indexes
}

/// The shortest text that names these indexes.
pub fn format_indexes(indexes: &BTreeSet<i32>) -> String {
    let mut parts: Vec<(i32, i32)> = Vec::new();
    for index in indexes {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => parts.push((*index, *index)),
        }
    }
    let text = |(first, last): &(i32, i32)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    };
    parts.iter().map(text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::{format_indexes, parse_indexes};

    #[test]
    fn runs_of_three_are_shortened() {
        for text in ["", "0", "0,1", "0-2", "1,3-5,7,8", "0-99"] {
            assert_eq!(format_indexes(&parse_indexes(text)), text);
        }
        assert_eq!(parse_indexes("x,2,5-3,1-2000000000").into_iter().collect::<Vec<_>>(), [2]);
    }
}
