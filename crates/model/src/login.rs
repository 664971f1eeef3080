//! The login string: what a person may put where a protocol has a user name (gateway section 2).

use crate::{KeyValuePairs, Requested};

/// How a protocol writes its login strings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Grammar {
    /// `[key=value@]...[user][@server[:port]]`: SSH, Telnet and VNC.
    Terminal,
    /// `[DOMAIN\][key~value%]...[user][%server[^port]]`: RDP.
    Rdp,
}

/// Whether the connection lets the string name a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TargetMode {
    Fixed,
    Inband,
}

/// A login string, taken apart.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LoginString {
    /// Every pair of the string, `gu` included.
    pub pairs: KeyValuePairs,
    /// The remote user. `None` when the string has none, so that it must be asked for.
    pub user: Option<String>,
    /// The Windows domain, RDP only.
    pub domain: Option<String>,
    /// The inband target. `None` on a fixed connection, and where the string names no server.
    pub server: Option<Requested>,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LoginError {
    #[error("the login string is longer than {} bytes", LoginString::MAX_BYTES)]
    TooLong,
    #[error("the login string is not UTF-8")]
    NotUtf8,
    #[error("the login string has a control character")]
    ControlCharacter,
    #[error("a pair of the login string has no key")]
    EmptyKey,
    #[error("the login string has the key {0:?} twice")]
    DuplicateKey(String),
    #[error("{0:?} is no port: 1 to 65535 are")]
    BadPort(String),
    #[error("{0:?} is no server: write host, host:port, [IPv6] or [IPv6]:port")]
    BadServer(String),
}

impl LoginString {
    pub const MAX_BYTES: usize = 1024;

    /// The gateway user that the string names with `gu=`.
    pub fn gateway_user(&self) -> Option<&str> {
        self.pairs.get("gu").filter(|user| !user.is_empty())
    }

    /// The string for the record: pairs without their values, which may be codes or passwords.
    pub fn without_values(&self) -> String {
        let mut text: String = self.pairs.iter().map(|(key, _)| format!("{key}=...@")).collect();
        text.push_str(self.user.as_deref().unwrap_or_default());
        if let Some(server) = &self.server {
            text.push_str(&format!("@{}", server.host));
            if let Some(port) = server.port {
                text.push_str(&format!(":{port}"));
            }
        }
        text
    }

    pub fn parse(bytes: &[u8], grammar: Grammar, mode: TargetMode) -> Result<Self, LoginError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(LoginError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| LoginError::NotUtf8)?;
        if text.chars().any(char::is_control) {
            return Err(LoginError::ControlCharacter);
        }
        let (domain, text) = match grammar {
            Grammar::Terminal => (None, text),
            Grammar::Rdp => split_domain(text),
        };
        let (pairs, words) = split_pairs(text, grammar)?;
        let (user, server) = match mode {
            TargetMode::Fixed => (join(&words), None),
            TargetMode::Inband => match words.split_last() {
                None | Some((_, [])) => (join(&words), None),
                Some((server, user)) => (join(user), Requested::parse(server.text, grammar)?),
            },
        };
        Ok(Self { pairs, user, domain, server })
    }
}

impl Grammar {
    fn separators(self) -> &'static [char] {
        match self {
            Self::Terminal => &['@', '%'],
            Self::Rdp => &['%'],
        }
    }

    fn key_sign(self) -> char {
        match self {
            Self::Terminal => '=',
            Self::Rdp => '~',
        }
    }

    pub(crate) fn port_signs(self) -> &'static [char] {
        match self {
            Self::Terminal => &[':', '+', '/'],
            Self::Rdp => &['^'],
        }
    }

    pub(crate) fn brackets(self) -> (char, char) {
        match self {
            Self::Terminal => ('[', ']'),
            Self::Rdp => ('(', ')'),
        }
    }
}

/// A part that is no pair, with the separator in front of it: a user name may hold separators.
struct Word<'a> {
    text: &'a str,
    before: &'a str,
}

fn split_domain(text: &str) -> (Option<String>, &str) {
    match text.split_once('\\') {
        Some((domain, rest)) if !domain.is_empty() && !domain.contains(['%', '~']) => {
            (Some(domain.to_owned()), rest)
        }
        Some(_) | None => (None, text),
    }
}

fn split_pairs(text: &str, grammar: Grammar) -> Result<(KeyValuePairs, Vec<Word<'_>>), LoginError> {
    let mut pairs = KeyValuePairs::default();
    let mut words = Vec::new();
    let mut before = "";
    let mut rest = text;
    loop {
        let end = rest.find(grammar.separators()).unwrap_or(rest.len());
        let (part, tail) = rest.split_at(end);
        match part.split_once(grammar.key_sign()) {
            Some(("", _)) => return Err(LoginError::EmptyKey),
            Some((key, _)) if pairs.get(key).is_some() => {
                return Err(LoginError::DuplicateKey(key.to_owned()));
            }
            Some((key, value)) => pairs.insert(key.to_owned(), value.to_owned()),
            None => words.push(Word { text: part, before }),
        }
        let mut characters = tail.chars();
        if characters.next().is_none() {
            return Ok((pairs, words));
        }
        // Every separator is one byte long.
        before = tail.get(..1).unwrap_or_default();
        rest = characters.as_str();
    }
}

/// The words as one name, their own separators between them; `None` when nothing is left.
fn join(words: &[Word<'_>]) -> Option<String> {
    let mut name = String::new();
    for (n, word) in words.iter().enumerate() {
        if n > 0 {
            name.push_str(word.before);
        }
        name.push_str(word.text);
    }
    Some(name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, grammar: Grammar, mode: TargetMode) -> String {
        match LoginString::parse(text.as_bytes(), grammar, mode) {
            Err(error) => format!("error: {error}"),
            Ok(login) => {
                let pairs: Vec<String> = login.pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
                let server = login.server.map(|s| match s.port {
                    Some(port) => format!("{} port {port}", s.host),
                    None => s.host.to_string(),
                });
                let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
                format!(
                    "{}[{}] {} at {}",
                    login.domain.map(|d| format!("{d} ")).unwrap_or_default(),
                    pairs.join(" "),
                    or_none(login.user),
                    or_none(server)
                )
            }
        }
    }

    fn inband(text: &str) -> String {
        read(text, Grammar::Terminal, TargetMode::Inband)
    }

    fn fixed(text: &str) -> String {
        read(text, Grammar::Terminal, TargetMode::Fixed)
    }

    fn rdp(text: &str) -> String {
        read(text, Grammar::Rdp, TargetMode::Inband)
    }

    #[test]
    fn the_examples_of_the_specification_are_read() {
        assert_eq!(inband("root@db1"), "[] root at db1");
        assert_eq!(inband("gu=alice@root@db1:2222"), "[gu=alice] root at db1 port 2222");
        assert_eq!(
            inband("otp=123456@gu=alice@root@[2001:db8::7]:22"),
            "[gu=alice otp=123456] root at 2001:db8::7 port 22"
        );
        assert_eq!(
            inband("token=T%vaultaddress=10.0.0.9%root%db1"),
            "[token=T vaultaddress=10.0.0.9] root at db1"
        );
        assert_eq!(
            rdp(r"CORP\gu~alice%Administrator%srv1^3390"),
            "CORP [gu=alice] Administrator at srv1 port 3390"
        );
        assert_eq!(rdp("user%(^^1)^6464"), "[] user at ::1 port 6464");
    }

    #[test]
    fn a_fixed_target_leaves_the_whole_name_to_the_user() {
        assert_eq!(fixed("test@ema.il"), "[] test@ema.il at -");
        assert_eq!(fixed("gu=alice@test%ema.il"), "[gu=alice] test%ema.il at -");
        assert_eq!(fixed(""), "[] - at -");
    }

    #[test]
    fn a_user_with_a_separator_needs_an_explicit_server() {
        assert_eq!(inband("test@ema.il@server"), "[] test@ema.il at server");
        assert_eq!(inband("test@ema.il"), "[] test at ema.il");
    }

    #[test]
    fn pairs_may_stand_before_or_after_the_user() {
        for text in ["otp=1@root@db1", "root@otp=1@db1", "root@db1@otp=1"] {
            assert_eq!(inband(text), "[otp=1] root at db1", "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_asked_for() {
        assert_eq!(inband("root"), "[] root at -");
        assert_eq!(inband("user@"), "[] user at -");
        assert_eq!(inband("@db1"), "[] - at db1");
        assert_eq!(inband("gu=alice"), "[gu=alice] - at -");
        assert_eq!(inband(""), "[] - at -");
    }

    #[test]
    fn the_record_has_no_values() {
        let login = b"otp=123456@gu=alice@root@db1:2222";
        let login = LoginString::parse(login, Grammar::Terminal, TargetMode::Inband).unwrap();
        assert_eq!(login.without_values(), "gu=...@otp=...@root@db1:2222");
    }

    #[test]
    fn an_empty_value_is_not_a_missing_key() {
        let login = LoginString::parse(b"otp=@root@db1", Grammar::Terminal, TargetMode::Inband).unwrap();
        assert_eq!(login.pairs.get("otp"), Some(""));
        assert_eq!(login.pairs.get("token"), None);
    }

    #[test]
    fn every_port_sign_is_understood() {
        for text in ["root@db1:2222", "root@db1+2222", "root@db1/2222", "root@DB1:2222"] {
            assert_eq!(inband(text), "[] root at db1 port 2222", "{text}");
        }
        assert_eq!(inband("root@[::1]"), "[] root at ::1");
        assert_eq!(inband("root@[::1]+23"), "[] root at ::1 port 23");
    }

    #[test]
    fn bad_servers_and_ports_say_what_is_wrong() {
        assert_eq!(inband("root@db1:0"), "error: \"0\" is no port: 1 to 65535 are");
        assert_eq!(inband("root@db1:"), "error: \"\" is no port: 1 to 65535 are");
        assert_eq!(inband("root@db1:+22"), error_for("db1:+22"));
        assert_eq!(inband("root@db1:65536"), "error: \"65536\" is no port: 1 to 65535 are");
        for bad in ["2001:db8::7", "[::1", "[db1]", "[::1]x", ":22", "a b", "db1:2:3"] {
            assert_eq!(inband(&format!("root@{bad}")), error_for(bad));
        }
    }

    fn error_for(server: &str) -> String {
        format!("error: {server:?} is no server: write host, host:port, [IPv6] or [IPv6]:port")
    }

    #[test]
    fn hostile_strings_are_refused() {
        let parse = |bytes: &[u8]| LoginString::parse(bytes, Grammar::Terminal, TargetMode::Inband);
        assert_eq!(parse(&[b'a'; 1025]), Err(LoginError::TooLong));
        assert_eq!(parse(b"\xff@db1"), Err(LoginError::NotUtf8));
        assert_eq!(parse(b"root\n@db1"), Err(LoginError::ControlCharacter));
        assert_eq!(parse("root\u{85}@db1".as_bytes()), Err(LoginError::ControlCharacter));
        assert_eq!(parse(b"=x@root"), Err(LoginError::EmptyKey));
        assert_eq!(parse(b"a=1@a=2@root"), Err(LoginError::DuplicateKey("a".into())));
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(bytes: Vec<u8>, text in "[@%=:+/~^()\\[\\]a1.\\\\]{0,40}") {
            for grammar in [Grammar::Terminal, Grammar::Rdp] {
                for mode in [TargetMode::Fixed, TargetMode::Inband] {
                    let _ = LoginString::parse(&bytes, grammar, mode);
                    let _ = LoginString::parse(text.as_bytes(), grammar, mode);
                }
            }
        }
    }
}
