//! Names of entries: relative, straight, plain.

use super::EntryFault;
use super::unpack::CHECKSUM_FILE;

pub(super) const MAX_BYTES: usize = 1024;
/// What a file system takes as one name.
pub(super) const MAX_PART_BYTES: usize = 255;

/// The path of an entry without the `/` that ends a folder's.
pub(super) fn check(name: &str) -> Result<&str, EntryFault> {
    if name.contains(char::is_control) {
        return Err(EntryFault::ControlCharacter);
    }
    if name.contains('\\') {
        return Err(EntryFault::Backslash);
    }
    if name.starts_with('/') || has_drive(name) {
        return Err(EntryFault::Absolute);
    }
    let path = name.strip_suffix('/').unwrap_or(name);
    if path.is_empty() {
        return Err(EntryFault::EmptyName);
    }
    if path.len() > MAX_BYTES || path.split('/').any(|part| part.len() > MAX_PART_BYTES) {
        return Err(EntryFault::LongName);
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(EntryFault::Crooked);
    }
    if path.split('/').next() == Some(CHECKSUM_FILE) {
        return Err(EntryFault::Reserved);
    }
    Ok(path)
}

/// `C:` and the like, absolute on another system.
fn has_drive(name: &str) -> bool {
    matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_pass() {
        for good in
            ["MANIFEST", "lib/a.py", "lib/", "a b/ä…", "..a", "a..", ".hidden", "x-1.0.dist-info/RECORD"]
        {
            assert!(check(good).is_ok(), "{good}");
        }
        assert_eq!(check("lib/").unwrap(), "lib");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let fault = |name: &str| check(name).unwrap_err().to_string();
        for absolute in ["/", "/etc/passwd", "//a", "C:/a", "c:"] {
            assert!(fault(absolute).contains("absolute"), "{absolute}");
        }
        for crooked in ["..", "../a", "a/../b", "a/..", ".", "./a", "a//b", "a/./b", "a//"] {
            assert!(fault(crooked).contains("straight down"), "{crooked}");
        }
        for control in ["a\0", "a\nb", "\x7f", "a\u{85}"] {
            assert!(fault(control).contains("control"), "{control:?}");
        }
        assert!(fault("a\\b").contains("backslash"));
        assert!(fault("").contains("empty"));
        assert!(fault(&"a".repeat(256)).contains("bytes"));
        assert!(fault(&"a/".repeat(600)).contains("bytes"));
        assert!(fault(CHECKSUM_FILE).contains("own use"));
    }
}
