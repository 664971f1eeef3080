//! What an error of a plugin means to its author: the traceback, the line of the source, and what the contract says.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use keyward_plugin::{Hook, PluginError, PluginKind};

use super::place::Place;
use crate::command::shown;

/// An error as a call, a session's record or a failed import has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure<'f> {
    /// The word of [`keyward_plugin::CallErrorKind`].
    pub(crate) kind: &'f str,
    pub(crate) message: &'f str,
    pub(crate) traceback: Option<&'f str>,
    /// `None`: the import.
    pub(crate) hook: Option<Hook>,
    pub(crate) plugin: PluginKind,
}

/// Lines of the source above and below the one that is meant.
const AROUND: usize = 2;
/// A longer file is no source that somebody wrote.
const MAX_SOURCE: u64 = 4 * 1024 * 1024;

impl Failure<'_> {
    /// The account, of several lines.
    pub(crate) fn explain(&self, place: &Place) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "{}: {}", self.kind, shown(&place.relative(self.message)));
        if let Some(traceback) = self.traceback {
            text.push('\n');
            // How Python imports is no news to anybody.
            let is_own = |line: &&str| !line.trim_start().starts_with("File \"<frozen importlib");
            for line in place.relative(traceback).lines().filter(is_own) {
                let _ = writeln!(text, "{}", shown(line));
            }
        }
        if let Some(frame) = self.traceback.and_then(|traceback| Frame::last_of(traceback, &place.root))
            && let Some(source) = frame.source(&place.root)
        {
            let _ = write!(text, "\n{source}");
        }
        if let Some(rule) = self.contract() {
            let _ = writeln!(text, "\nThe contract: {rule}");
        }
        text
    }

    /// What the plugin contract says about it; `None` where the plugin is not to blame.
    fn contract(&self) -> Option<String> {
        Some(match self.kind {
            "exception" => match self.plugin {
                PluginKind::CredentialStore => {
                    "an exception in the constructor or in a hook ends the session (section 3, rule 9). Where nothing was \
                     found, return None: the person is asked then, where the connection allows it (section 5)."
                        .to_owned()
                }
                PluginKind::Aa | PluginKind::SigningCa | PluginKind::ConfigurationSync => {
                    "an exception in the constructor or in a hook ends the session, and the person sees no details (section 3, \
                     rule 9). To refuse somebody, return {\"verdict\": \"DENY\", \"reason\": \"...\"} (section 4)."
                        .to_owned()
                }
            },
            "timeout" => "a call has half of the connection's `timeout`, 300 s unless the policy says otherwise; past it the \
                          process and all that it started are killed (section 3, rule 8). Give what you wait for a limit of \
                          its own."
                .to_owned(),
            "crashed" => "a process that a signal ends is a failed call, and the session ends (section 3, rule 9). SIGKILL and \
                          MemoryError often mean the memory limit of the plugin instance."
                .to_owned(),
            "exited" => "a plugin that ends its process has no result, and the session ends (section 3, rule 9): return from \
                         the hook in the place of sys.exit()."
                .to_owned(),
            "missing-hook" => match self.plugin {
                PluginKind::Aa => "an `aa` plugin must have authenticate, authorize and session_ended (section 4).".to_owned(),
                PluginKind::CredentialStore | PluginKind::SigningCa | PluginKind::ConfigurationSync => {
                    "a `credentialstore` plugin must have get_password_list, get_private_key_list, \
                     authentication_completed and session_ended (section 5)."
                        .to_owned()
                }
            },
            "wrong-result" => self.result_rule(),
            "signature" => self.signature_rule(),
            "configuration" => "the constructor gets the configuration text as its one argument; a class that takes none must \
                                have an empty configuration (section 3, rule 2). Write `def __init__(self, configuration):`, \
                                or remove default.cfg."
                .to_owned(),
            "import" if self.message.contains("No module named 'safeguard") => {
                "the Plugin SDK is at hand in an environment (section 2), and this Python has none. `keyward environment create python3 \
                 FOLDER` makes one; name it with --environment python3=FOLDER/bin/python, or in the variable KEYWARD_ENVIRONMENT."
                    .to_owned()
            }
            "import" if self.message.contains("No module named") => {
                "at hand are the standard library, the Plugin SDK, requests, urllib3, pyOpenSSL, python-ldap and PyYAML \
                 (section 2). All else must be in the bundle: `keyward plugin pack FOLDER --requirements requirements.txt` \
                 puts it there."
                    .to_owned()
            }
            "import" => "the file that `entry_point` names must define the class `Plugin` (section 1), and importing it must \
                         not fail."
                .to_owned(),
            "too-large" => "a result is JSON of at most 8 MiB, and each cookie at most 1 MiB (section 3).".to_owned(),
            _ => return None,
        })
    }

    fn result_rule(&self) -> String {
        match self.hook {
            Some(Hook::Authenticate | Hook::Authorize) => {
                "the result is None or a dict: `verdict` (ACCEPT, DENY, NEEDINFO), with NEEDINFO a `question` [key, prompt] or \
                 [key, prompt, disable_echo], and optional gateway_user (str), gateway_groups (list of str), \
                 additional_metadata (str), reason (str), cookie and session_cookie (dicts) (section 4)."
            }
            Some(Hook::GetPasswordList) => "the result is None or {\"passwords\": [str, ...]} (section 5).",
            Some(Hook::GetPrivateKeyList) => "the result is None or {\"private_keys\": [[type, PEM], ...]} (section 5).",
            Some(Hook::GetTotpCodes) => {
                "the result is None or {\"totp_codes\": [{\"unix_time\": int, \"period\": int, \"code\": str}, ...]} (section 5)."
            }
            Some(Hook::GetRemoteAppCredentials | Hook::AuthenticationCompleted | Hook::SessionEnded) | None => {
                "the result is None or a dict that JSON can hold; cookie and session_cookie are dicts (section 3)."
            }
        }
        .to_owned()
    }

    fn signature_rule(&self) -> String {
        let names = self.hook.map(|hook| hook.arguments(self.plugin).join(", ")).unwrap_or_default();
        format!(
            "arguments go by name: a hook declares those that it wants, or **kwargs for all (section 3, rule 3). \
             This hook may declare {names}."
        )
    }
}

/// The account of whatever keeps a plugin from being loaded.
pub(crate) fn load_error(error: &anyhow::Error, plugin: PluginKind, place: &Place) -> String {
    let found = error.chain().find_map(|cause| cause.downcast_ref::<PluginError>());
    match found {
        Some(PluginError::Import { message, traceback, .. }) => {
            let traceback = Some(traceback.as_str()).filter(|text| !text.is_empty());
            Failure { kind: "import", message, traceback, hook: None, plugin }.explain(place)
        }
        Some(_) | None => format!("{error:#}\n"),
    }
}

/// A line of the plugin's own source.
struct Frame<'f> {
    /// Relative to the root of the bundle.
    file: &'f str,
    line: usize,
}

impl<'f> Frame<'f> {
    /// The innermost frame below `root`: the SDK's and the library's own lines tell an author little.
    fn last_of(traceback: &'f str, root: &Path) -> Option<Self> {
        let root = format!("{}/", root.display());
        let frame = |line: &'f str| {
            let (path, rest) = line.trim_start().strip_prefix("File \"")?.split_once("\", line ")?;
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            Some(Self { file: path.strip_prefix(root.as_str())?, line: digits.parse().ok()? })
        };
        traceback.lines().filter_map(frame).next_back()
    }

    /// The line with its neighbours, marked. `None` where the file cannot be read.
    fn source(&self, root: &Path) -> Option<String> {
        let mut text = String::new();
        let file = File::open(root.join(self.file)).ok()?;
        file.take(MAX_SOURCE).read_to_string(&mut text).ok()?;
        let first = self.line.saturating_sub(AROUND).max(1);
        let width = (self.line + AROUND).to_string().len();
        let mut shown_source = format!("{}:{}\n", self.file, self.line);
        for (n, line) in text.lines().enumerate().skip(first - 1).take(self.line + AROUND + 1 - first) {
            let mark = if n + 1 == self.line { '>' } else { ' ' };
            let _ =
                writeln!(shown_source, " {mark} {:>width$} | {}", n + 1, shown(line).replace("\\t", "    "));
        }
        Some(shown_source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_line_of_the_plugins_own_is_shown_with_its_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("main.py"), "one\ntwo\nthree\nfour\nfive\nsix\n").unwrap();
        let root = folder.path().display();
        let traceback = format!(
            "Traceback (most recent call last):\n  File \"{root}/main.py\", line 4, in authenticate\n    four\n  \
             File \"/usr/lib/python3/json.py\", line 9, in loads\nKeyError: 'word'\n"
        );
        let place = Place::new(folder.path());
        let failure = Failure {
            kind: "exception",
            message: "KeyError: 'word'",
            traceback: Some(&traceback),
            hook: Some(Hook::Authenticate),
            plugin: PluginKind::Aa,
        };
        let text = failure.explain(&place);
        assert!(text.contains("File \"main.py\", line 4"), "{text}");
        assert!(
            text.contains("main.py:4\n   2 | two\n   3 | three\n > 4 | four\n   5 | five\n   6 | six\n"),
            "{text}"
        );
        assert!(text.contains("section 3, rule 9"), "{text}");
    }

    #[test]
    fn every_kind_of_error_that_a_plugin_can_make_has_its_rule() {
        let kinds = [
            "exception",
            "timeout",
            "crashed",
            "exited",
            "missing-hook",
            "wrong-result",
            "signature",
            "configuration",
            "import",
            "too-large",
        ];
        for kind in kinds {
            for hook in Hook::ALL {
                for plugin in [PluginKind::Aa, PluginKind::CredentialStore] {
                    let failure = Failure { kind, message: "", traceback: None, hook: Some(hook), plugin };
                    assert!(
                        failure.contract().is_some_and(|rule| rule.contains("section ")),
                        "{kind} {hook}"
                    );
                }
            }
        }
    }
}
