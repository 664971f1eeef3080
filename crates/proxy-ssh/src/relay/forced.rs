//! The one command of a certificate (`force-command` of OpenSSH's PROTOCOL.certkeys), as OpenSSH's server runs it:
//! whatever program the client asks for becomes this one, and is told what was asked for.

use keyward_ssh::channel::{self, Request};

/// Where the program finds what the client asked for.
const ORIGINAL: &str = "SSH_ORIGINAL_COMMAND";
/// OpenSSH's server runs its own SFTP server for this name. A target may not know it as a command, but has the subsystem.
const INTERNAL_SFTP: &str = "internal-sftp";
/// Bytes of what was asked for, in the session's record.
const LONGEST_NOTE: usize = 200;

/// The command, in the place of what the client asked for.
pub(super) struct Forced<'c> {
    pub(super) request: Request<'c>,
    /// For the target, in this order.
    pub(super) messages: Vec<Vec<u8>>,
    /// For the session's record.
    pub(super) note: String,
}

impl<'c> Forced<'c> {
    /// `recipient` is the target's number of the channel.
    pub(super) fn new(command: &'c str, asked: &Request<'_>, recipient: u32, wants_reply: bool) -> Self {
        let original: Option<&[u8]> = match asked {
            Request::Command(command) => Some(command),
            Request::Subsystem(name) => Some(name.as_bytes()),
            _ => None,
        };
        let mut messages = Vec::new();
        messages.extend(original.map(|original| channel::variable(recipient, ORIGINAL, original)));
        // Its options restrict it, and a subsystem takes none: as a command it fails where the target does not know it.
        let request = if command.trim() == INTERNAL_SFTP {
            messages.push(channel::program(recipient, "subsystem", wants_reply, b"sftp"));
            Request::Subsystem("sftp")
        } else {
            messages.push(channel::program(recipient, "exec", wants_reply, command.as_bytes()));
            Request::Command(command.as_bytes())
        };
        Self { request, messages, note: note(asked) }
    }
}

/// Whether a client sets what only the gateway may set.
pub(super) fn is_original(name: &str) -> bool {
    name == ORIGINAL
}

fn note(asked: &Request<'_>) -> String {
    let what = match asked {
        Request::Command(command) => {
            let shown = command.get(..LONGEST_NOTE.min(command.len())).unwrap_or_default();
            format!("exec ({})", String::from_utf8_lossy(shown).escape_debug())
        }
        Request::Subsystem(name) => {
            format!("subsystem ({})", name.chars().take(LONGEST_NOTE).collect::<String>().escape_debug())
        }
        _ => "shell".to_owned(),
    };
    format!("{what} replaced by the certificate's command")
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_ssh::channel::Message;

    fn asked_of_the_target(forced: &Forced<'_>) -> Vec<(u32, String, bool, Vec<u8>)> {
        let parse = |message: &Vec<u8>| match Message::parse(message).unwrap() {
            Message::Request { recipient, name, wants_reply, rest } => {
                (recipient, name.to_owned(), wants_reply, rest.to_vec())
            }
            _ => panic!("no request"),
        };
        forced.messages.iter().map(parse).collect()
    }

    #[test]
    fn whatever_is_asked_for_becomes_the_command_and_is_told_to_it() {
        for (request, original) in [
            (Request::Shell, None),
            (Request::Command(b"ls"), Some(&b"\0\0\0\x14SSH_ORIGINAL_COMMAND\0\0\0\x02ls"[..])),
            (Request::Subsystem("sftp"), Some(b"\0\0\0\x14SSH_ORIGINAL_COMMAND\0\0\0\x04sftp")),
        ] {
            let forced = Forced::new("id -u", &request, 7, true);
            assert!(matches!(forced.request, Request::Command(b"id -u")));
            let mut wanted: Vec<_> =
                original.into_iter().map(|rest| (7, "env".to_owned(), false, rest.to_vec())).collect();
            wanted.push((7, "exec".to_owned(), true, b"\0\0\0\x05id -u".to_vec()));
            assert_eq!(asked_of_the_target(&forced), wanted);
        }
    }

    #[test]
    fn the_internal_sftp_server_is_the_subsystem() {
        let forced = Forced::new("internal-sftp -R", &Request::Shell, 7, false);
        assert!(matches!(forced.request, Request::Command(b"internal-sftp -R")));
        let forced = Forced::new("internal-sftp", &Request::Shell, 7, false);
        assert!(matches!(forced.request, Request::Subsystem("sftp")));
        assert_eq!(
            asked_of_the_target(&forced),
            [(7, "subsystem".to_owned(), false, b"\0\0\0\x04sftp".to_vec())]
        );
    }

    #[test]
    fn what_was_asked_for_makes_no_line_of_its_own_in_the_record() {
        assert_eq!(note(&Request::Command(b"a\nb")), "exec (a\\nb) replaced by the certificate's command");
        assert!(note(&Request::Command(&[b'x'; 5000])).len() < 300);
    }
}
