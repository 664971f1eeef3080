//! Patterns of commands and paths: regular expressions that the whole text must match.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

/// A regular expression without back references, so that matching takes time in proportion to the text, whatever a
/// peer sends.
#[derive(Clone)]
pub struct TextPattern {
    written: String,
    regex: Regex,
}

/// Memory of one compiled pattern, in bytes.
const LARGEST: usize = 1024 * 1024;

impl TextPattern {
    /// The whole text must match, so `systemctl status [a-z]+` does not allow `systemctl status x; sh`; and `.` is no
    /// line end.
    pub fn parse(written: &str) -> Result<Self, regex::Error> {
        // On its own first: `a)(b` is none, although it would be one inside the group.
        RegexBuilder::new(written).size_limit(LARGEST).build()?;
        let regex = RegexBuilder::new(&format!(r"\A(?:{written})\z")).size_limit(LARGEST).build()?;
        Ok(Self { written: written.to_owned(), regex })
    }

    pub fn matches(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// Whether it is plain that of each path that matches all below it match too. Plain are the usual forms with
    /// letters before them: `/srv/in(/.*)?` and `/srv/.*`.
    pub(crate) fn is_whole_folder(&self) -> bool {
        let before = self.written.strip_suffix("(/.*)?").or_else(|| self.written.strip_suffix("/.*"));
        let is_letter = |letter: char| letter.is_alphanumeric() || "/._- ".contains(letter);
        before.is_some_and(|before| before.chars().all(is_letter))
    }
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for TextPattern {}

impl fmt::Debug for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TextPattern").field(&self.written).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &[u8]) -> bool {
        TextPattern::parse(pattern).unwrap().matches(text)
    }

    #[test]
    fn the_whole_text_must_match() {
        assert!(matches("uptime", b"uptime") && !matches("uptime", b"uptime; sh"));
        assert!(!matches("uptime", b"uptime\n") && !matches("uptime", b"x\nuptime"));
        assert!(!matches("a|uptime", b"uptime; sh") && !matches("uptime|b", b"sh; uptime"));
        assert!(matches("systemctl status .*", b"systemctl status x y"));
        assert!(!matches("systemctl status .*", b"systemctl status x\nsh"));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        // A comment would take the end of the whole with it.
        for wrong in ["(?x) uptime # fine", "(", "a)(b", "[z-a]", "(?P<a", "x{1000}{1000}{1000}"] {
            assert!(TextPattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn whole_folders_are_told_by_their_form() {
        let is = |pattern: &str| TextPattern::parse(pattern).unwrap().is_whole_folder();
        for whole in ["/srv/in(/.*)?", "/srv/.*", "/.*", "/srv/in.d/a b-c_1/.*", "/größe(/.*)?"] {
            assert!(is(whole), "{whole}");
        }
        let part =
            ["/srv", "/srv/[^/]*", "/a|/b(/.*)?", "/a|/b/.*", "/a$(/.*)?", "(?x)/a(/.*)?", "/a/[a-z]+"];
        for part in part {
            assert!(!is(part), "{part}");
        }
    }

    #[test]
    fn matching_takes_no_longer_than_the_text() {
        let text = vec![b'a'; 100_000];
        assert!(!matches("(a*)*b", &text));
    }
}
