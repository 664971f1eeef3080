//! What an exec request is in the words of the channel policy.

use keyward_policy::ChannelKind;

/// `Scp` for a command that runs nothing but scp in its remote mode; `Exec` for everything else.
///
/// A shell reads the command on the target, so anything that could make more than one plain command of it is
/// `Exec`: a policy that allows scp must not allow `scp -t x; sh`.
pub(crate) fn kind(command: &[u8]) -> ChannelKind {
    match std::str::from_utf8(command) {
        Ok(text) if is_scp(text) => ChannelKind::Scp,
        Ok(_) | Err(_) => ChannelKind::Exec,
    }
}

/// Whether it is what a mosh client runs: a server that goes on over UDP. For a clear word to the person, not a
/// barrier: whoever may run commands may start the server in other ways.
pub(crate) fn starts_mosh(command: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(command) else { return false };
    let mut before = None;
    for word in text.split_whitespace() {
        if word.rsplit('/').next() == Some("mosh-server") && matches!(before, None | Some("exec")) {
            return true;
        }
        before = Some(word);
    }
    false
}

/// Where scp is. In any other folder, whoever may upload could have put a program of their own under that name.
const PROGRAMS: [&str; 4] = ["scp", "/bin/scp", "/usr/bin/scp", "/usr/local/bin/scp"];

fn is_scp(command: &str) -> bool {
    if !command.chars().all(is_plain) && !ends_with_quoted_path(command) {
        return false;
    }
    let mut words = command.split(' ').filter(|word| !word.is_empty());
    // The zsh puts the path of a program in the place of `=program`.
    if words.clone().any(|word| word.starts_with('=')) {
        return false;
    }
    if !words.next().is_some_and(|program| PROGRAMS.contains(&program)) {
        return false;
    }
    let mut remote = false;
    while let Some(word) = words.next() {
        match word.strip_prefix('-') {
            Some("-") => return remote && words.next().is_some(),
            // `-S` and `-o` would run programs; these cannot.
            Some(flags) if !flags.is_empty() && flags.bytes().all(|flag| b"vrpdqtf".contains(&flag)) => {
                remote |= flags.contains(['t', 'f']);
            }
            Some(_) => return false,
            None => return remote && !words.any(|word| word.starts_with('-')),
        }
    }
    false
}

/// Whether a shell takes the character as it is, or as part of a file name pattern. To old ones `^` is a pipe.
fn is_plain(c: char) -> bool {
    !c.is_control() && !";&|<>(){}`$\\\"'!#^".contains(c)
}

/// Whether the only special characters are one pair of single quotes around the last word, as clients put
/// around a path; within them a shell takes everything as it is.
fn ends_with_quoted_path(command: &str) -> bool {
    let Some((before, rest)) = command.split_once('\'') else { return false };
    let Some(path) = rest.strip_suffix('\'') else { return false };
    before.ends_with(' ')
        && before.chars().all(is_plain)
        && !path.starts_with('-')
        && path.chars().all(|c| c != '\'' && !c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scp_in_its_remote_mode_is_scp() {
        let commands = [
            "scp -t /tmp",
            "scp -f file",
            "scp -r -p -d -t -- dir",
            "/usr/bin/scp -v -prt dir",
            "scp  -t  a*",
            "scp -t '/srv/my files'",
            "scp -f '/srv/it;is $fine'",
        ];
        for command in commands {
            assert_eq!(kind(command.as_bytes()), ChannelKind::Scp, "{command}");
        }
    }

    #[test]
    fn what_a_mosh_client_runs_starts_mosh() {
        for command in ["mosh-server new -c 8", "/usr/bin/mosh-server", "sh -c 'true; exec mosh-server new'"]
        {
            assert!(starts_mosh(command.as_bytes()), "{command}");
        }
        for command in ["", "man mosh-server", "apt-get install mosh-server", "mosh-servers"] {
            assert!(!starts_mosh(command.as_bytes()), "{command}");
        }
    }

    #[test]
    fn what_could_run_anything_else_is_exec() {
        let commands = [
            "",
            " ",
            "scp",
            "scpx -t /tmp",
            "scp -t",
            "scp --",
            "ls",
            "rsync --server . x",
            "git-upload-pack 'r'",
            "scp -t /tmp; sh",
            "scp -t `id`",
            "scp -t $(id)",
            "scp -t a\nsh",
            "scp -t a|sh",
            "scp -t a>b",
            "scp -S /tmp/evil -t a",
            "scp -oProxyCommand=sh -t a",
            "scp -t a -S sh",
            "scp a b",
            "X=1 scp -t a",
            "scp -t 'a' ; 'b'",
            "scp -t 'a'$(id)'b'",
            "scp -t a'b",
            "scp -t '; sh",
            "scp -t a' ; sh '",
            "scp -t \\",
            "scp;sh -t 'a'",
            "scp -t '-S sh'",
            "scp -t {-S,sh}",
            "sh -c 'scp -t a'",
            "/srv/exchange/in/scp -t a",
            "./scp -t a",
            "../bin/scp -t a",
            "scp -t a^sh",
            "scp -t =sh",
        ];
        for command in commands {
            assert_eq!(kind(command.as_bytes()), ChannelKind::Exec, "{command}");
        }
        assert_eq!(kind(b"scp -t \xff"), ChannelKind::Exec);
    }
}
