//! What somebody meant by a word that does not exist.

/// The candidate that the word is a slip of, if one is near enough.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const MAX_CHARACTERS: usize = 128;
    let length = word.chars().count();
    if length > MAX_CHARACTERS {
        return None;
    }
    let limit = 1 + length / 4;
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= limit)
        .map(|candidate| (distance(&fold(word), &fold(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `_` for `-` and a wrong case are the commonest slips of all.
fn fold(word: &str) -> String {
    word.to_lowercase().replace('_', "-")
}

/// How many characters must be put in, left out or exchanged (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (done, a) in from.chars().enumerate() {
        let (mut diagonal, mut left) = (done, done + 1);
        for (cell, b) in row.iter_mut().skip(1).zip(to.chars()) {
            let exchanged = diagonal + usize::from(a != b);
            diagonal = *cell;
            left = exchanged.min(left + 1).min(*cell + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_word_and_another_word_does_not() {
        let words = ["authentication", "aa-plugin", "otp"];
        assert_eq!(nearest("authentification", words), Some("authentication"));
        assert_eq!(nearest("aa_plugin", words), Some("aa-plugin"));
        assert_eq!(nearest("opt", words), None);
        assert_eq!(nearest("otpp", words), Some("otp"));
        assert_eq!(nearest("vault", words), None);
        assert_eq!(nearest("", words), None);
    }
}
