//! What was done to a file of the target, as somebody saw it who followed the channel.

use std::borrow::Cow;
use std::fmt;

/// An operation on a file or folder, at its end.
#[derive(Clone, Eq, PartialEq)]
pub struct FileEvent<'a> {
    /// In the words of the channel policy: `download`, `upload`, `rename`, ...
    pub operation: Cow<'a, str>,
    /// As the target has it, as far as is known; it need not be UTF-8.
    pub path: Cow<'a, [u8]>,
    /// The new name, or what a link leads to.
    pub other: Option<Cow<'a, [u8]>>,
    /// How it was opened: the bits of SFTP's `SSH_FXP_OPEN`, 0 where there are none.
    pub flags: u32,
    /// Bytes of the file that moved, for what moves any.
    pub size: Option<u64>,
    pub outcome: FileOutcome<'a>,
    /// Of the bytes that moved.
    pub digest: Option<FileDigest<'a>>,
}

/// How it ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FileOutcome<'a> {
    Done,
    /// The gateway did not let it through.
    Refused,
    /// The target did not do it, for this reason.
    Failed(Cow<'a, str>),
    /// The channel ended before it did.
    Unfinished,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FileDigest<'a> {
    Sha256([u8; 32]),
    /// There is none, for this reason.
    Without(Cow<'a, str>),
}

/// One line; what a peer wrote cannot make a line of its own.
impl fmt::Display for FileEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation.escape_debug(), Shown(&self.path))?;
        if let Some(other) = &self.other {
            write!(f, " -> {}", Shown(other))?;
        }
        match &self.outcome {
            FileOutcome::Done if self.size.is_none() => write!(f, ": done")?,
            FileOutcome::Done => {}
            FileOutcome::Refused => write!(f, ": refused by the channel policy")?,
            FileOutcome::Failed(why) => write!(f, ": failed, {}", why.escape_debug())?,
            FileOutcome::Unfinished => write!(f, ": not finished")?,
        }
        if let Some(size) = self.size {
            write!(f, ": {size} bytes")?;
        }
        match &self.digest {
            None => Ok(()),
            Some(FileDigest::Sha256(digest)) => {
                f.write_str(", sha256 ")?;
                digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Some(FileDigest::Without(why)) => write!(f, ", no sha256: {}", why.escape_debug()),
        }
    }
}

struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", String::from_utf8_lossy(self.0).escape_debug())
    }
}

/// Paths are no secrets, and a log may have them.
impl fmt::Debug for FileEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileEvent({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_one_line_whatever_its_names_are() {
        let mut event = FileEvent {
            operation: "upload".into(),
            path: b"/srv/a\nb".as_slice().into(),
            other: None,
            flags: 26,
            size: Some(3),
            outcome: FileOutcome::Done,
            digest: Some(FileDigest::Sha256([0xab; 32])),
        };
        assert_eq!(event.to_string(), format!("upload \"/srv/a\\nb\": 3 bytes, sha256 {}", "ab".repeat(32)));
        event.outcome = FileOutcome::Unfinished;
        event.digest = Some(FileDigest::Without("no\norder".into()));
        assert_eq!(event.to_string(), "upload \"/srv/a\\nb\": not finished: 3 bytes, no sha256: no\\norder");
        (event.size, event.digest, event.outcome) = (None, None, FileOutcome::Refused);
        event.other = Some(b"\x1b[1m".as_slice().into());
        assert_eq!(
            event.to_string(),
            "upload \"/srv/a\\nb\" -> \"\\u{1b}[1m\": refused by the channel policy"
        );
    }
}
