//! How scp is started on a target.

/// Which way files go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// `-t`
    Upload,
    /// `-f`
    Download,
}

/// The words of a command that starts one of scp's two sides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommandLine<'a> {
    pub role: Role,
    /// The letters of all options, and the signs before them.
    pub flags: Vec<u8>,
    pub paths: Vec<Path<'a>>,
}

/// A path as it was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Path<'a> {
    pub written: &'a [u8],
    /// Within `'`, where a shell makes nothing else of it.
    pub is_quoted: bool,
}

impl<'a> CommandLine<'a> {
    /// `None`: it is neither of the two sides, or a quote does not end with the command.
    pub fn parse(command: &'a [u8]) -> Option<Self> {
        let (words, quoted) = match command.iter().position(|&byte| byte == b'\'') {
            Some(at) => {
                let (words, quoted) = command.split_at(at);
                (words, Some(quoted.strip_prefix(b"'")?.strip_suffix(b"'")?))
            }
            None => (command, None),
        };
        let mut words = words.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).skip(1).peekable();
        let mut flags = Vec::new();
        while let Some(word) = words.next_if(|word| word.starts_with(b"-")) {
            if word == b"--" {
                break;
            }
            flags.extend_from_slice(word);
        }
        let mut paths: Vec<Path<'_>> = words.map(|written| Path { written, is_quoted: false }).collect();
        paths.extend(quoted.map(|written| Path { written, is_quoted: true }));
        let role = match (flags.contains(&b't'), flags.contains(&b'f')) {
            (true, false) => Role::Upload,
            (false, true) => Role::Download,
            (true, true) | (false, false) => return None,
        };
        Some(Self { role, flags, paths })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_command_are_flags_and_then_paths() {
        let path = |written, is_quoted| Path { written, is_quoted };
        let line = |role, flags: &[u8], paths| Some(CommandLine { role, flags: flags.to_vec(), paths });
        assert_eq!(
            CommandLine::parse(b"scp -r -t -- -x"),
            line(Role::Upload, b"-r-t", vec![path(b"-x", false)])
        );
        assert_eq!(
            CommandLine::parse(b"/usr/bin/scp -pf a 'b -t c'"),
            line(Role::Download, b"-pf", vec![path(b"a", false), path(b"b -t c", true)])
        );
        for neither in ["", "scp", "scp x", "scp -f -t x", "scp -f 'x", "scp -f 'x' y"] {
            assert_eq!(CommandLine::parse(neither.as_bytes()), None, "{neither}");
        }
    }
}
