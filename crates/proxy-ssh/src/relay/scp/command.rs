//! What an scp command moves: its direction and its paths.

use keyward_policy::{FileOperation, FileRules};
use keyward_ssh::scp::{CommandLine, Path, Role};

use super::super::sftp::absolute;

/// A command that [`kind`](crate::command::kind) has found to be scp.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Command {
    pub(super) role: Role,
    /// Where an upload goes is a folder for sure.
    pub(super) is_folder: bool,
    recurses: bool,
    pub(super) paths: Vec<CommandPath>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct CommandPath {
    pub(super) written: Vec<u8>,
    /// It names a folder, if anything.
    is_folder: bool,
    /// As a policy judges it: from the root on, or from `~` where it begins in the person's home folder. `None` where the
    /// target's shell makes something else of it.
    pub(super) place: Option<Vec<u8>>,
}

impl Command {
    pub(crate) fn parse(command: &[u8]) -> Option<Self> {
        let CommandLine { role, flags, paths } = CommandLine::parse(command)?;
        let paths: Vec<CommandPath> = paths.into_iter().map(CommandPath::of).collect();
        let is_folder = flags.contains(&b'd') || paths.iter().any(|path| path.is_folder);
        Some(Self { role, is_folder, recurses: flags.contains(&b'r'), paths })
    }

    /// Whether the command may run at all. What it moves is judged once more, by name, when it comes.
    pub(crate) fn may_start(&self, rules: &FileRules) -> bool {
        let may = |path: &CommandPath| {
            path.place.as_deref().is_some_and(|place| match self.role {
                Role::Upload => true,
                Role::Download => {
                    rules.allow(FileOperation::Download, place)
                        || (self.recurses && rules.allow(FileOperation::List, place))
                }
            })
        };
        !rules.judge()
            || (self.paths.iter().all(may) && (self.role == Role::Download || self.paths.len() == 1))
    }
}

impl CommandPath {
    fn of(path: Path<'_>) -> Self {
        let written = path.written;
        let is_home = written == b"~" && !path.is_quoted;
        let is_folder = is_home || written.ends_with(b"/") || matches!(last(written), b"." | b"..");
        Self { written: written.to_vec(), is_folder, place: place(path) }
    }
}

fn place(Path { written, is_quoted }: Path<'_>) -> Option<Vec<u8>> {
    // A shell looks for files that fit these.
    if !is_quoted && written.iter().any(|byte| b"*?[".contains(byte)) {
        return None;
    }
    // Behind a link, `..` is another folder than the letters say, and the command goes on as it was written.
    if written.split(|&byte| byte == b'/').any(|name| name == b"..") {
        return None;
    }
    let path = match written {
        [b'/', ..] => return absolute(written, None),
        b"~" if !is_quoted => b"",
        [b'~', b'/', path @ ..] if !is_quoted => path,
        // Of another account.
        [b'~', ..] if !is_quoted => return None,
        path => path,
    };
    let mut names: Vec<&[u8]> = vec![b"~"];
    for name in path.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => {}
            name => names.push(name),
        }
    }
    Some(names.join(&b'/'))
}

fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_policy::{FileRule, TextPattern};

    fn places(command: &str) -> Vec<Option<String>> {
        let command = Command::parse(command.as_bytes()).unwrap();
        command
            .paths
            .into_iter()
            .map(|path| path.place.map(|place| String::from_utf8(place).unwrap()))
            .collect()
    }

    #[test]
    fn the_paths_of_a_command_are_those_that_the_target_will_use() {
        for (command, place) in [
            ("scp -t /srv/x", Some("/srv/x")),
            ("scp -r -p -t -- -x", Some("~/-x")),
            ("/usr/bin/scp -f '/srv/my files/*'", Some("/srv/my files/*")),
            ("scp -f /etc//./passwd", Some("/etc/passwd")),
            ("scp -f /srv/link/../passwd", None),
            ("scp -t .", Some("~")),
            ("scp -t ~/x/y", Some("~/x/y")),
            ("scp -t '~/x'", Some("~/~/x")),
            ("scp -t ../x", None),
            ("scp -f ~root/x", None),
            ("scp -f /srv/*", None),
            ("scp -f /srv/[ab]", None),
        ] {
            assert_eq!(places(command), [place.map(str::to_owned)], "{command}");
        }
        assert_eq!(places("scp -f a 'b c'"), [Some("~/a".to_owned()), Some("~/b c".to_owned())]);
        assert_eq!(Command::parse(b"scp -f -t x"), None);
    }

    #[test]
    fn only_what_can_be_nothing_else_is_a_folder() {
        for (command, is_folder) in [
            ("scp -t ~", true),
            ("scp -t /srv/", true),
            ("scp -t /srv/.", true),
            ("scp -d -t /srv", true),
            ("scp -t /srv/~", false),
            ("scp -t '~'", false),
            ("scp -t /srv", false),
        ] {
            assert_eq!(Command::parse(command.as_bytes()).unwrap().is_folder, is_folder, "{command}");
        }
    }

    #[test]
    fn a_download_starts_where_its_path_may_be_read() {
        let path = TextPattern::parse("/srv/.*").unwrap();
        let rules = FileRules::of(vec![FileRule { operations: vec![], paths: vec![path], allow: true }]);
        let may = |command: &str| Command::parse(command.as_bytes()).unwrap().may_start(&rules);
        assert!(may("scp -f /srv/x") && may("scp -f /srv/x /srv/y"));
        assert!(!may("scp -f /etc/passwd") && !may("scp -f /srv/x /etc/y") && !may("scp -f /srv/x*"));
        assert!(Command::parse(b"scp -f /etc/*").unwrap().may_start(&FileRules::default()));
    }
}
