//! What texts may cost: everything that a peer or a plugin can make long is cut before it is kept.

/// Names, verdicts, outcomes.
pub(crate) const WORD: usize = 256;
/// Login strings, notes, reasons.
pub(crate) const SENTENCE: usize = 4 * 1024;
/// Error messages, tracebacks, metadata.
pub(crate) const PAGE: usize = 64 * 1024;

const CUT: &str = " [cut]";

/// At most `limit` bytes of `text`, which says so where it was cut, and without NUL, which PostgreSQL cannot keep.
pub(crate) fn clip(text: &str, limit: usize) -> String {
    let kept = if text.len() <= limit {
        text.to_owned()
    } else {
        let end = text.floor_char_boundary(limit.saturating_sub(CUT.len()));
        format!("{}{CUT}", text.get(..end).unwrap_or_default())
    };
    if kept.contains('\0') { kept.replace('\0', "?") } else { kept }
}

pub(crate) fn clip_some(text: Option<&str>, limit: usize) -> Option<String> {
    text.map(|text| clip(text, limit))
}

/// A count as the database keeps it; nothing bounded reaches the end of `i64`.
pub(crate) fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        assert_eq!(clip("short", 10), "short");
        assert_eq!(clip("ääääääää", 11), "ää [cut]");
        assert_eq!(clip("a\0b", 10), "a?b");
    }
}
