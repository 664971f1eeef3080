//! The protocols that the gateway proxies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Http,
    Rdp,
    Ssh,
    Telnet,
    Vnc,
}

impl Protocol {
    /// The lower-case word that plugins get as `protocol`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Rdp => "rdp",
            Self::Ssh => "ssh",
            Self::Telnet => "telnet",
            Self::Vnc => "vnc",
        }
    }

    /// The port a target listens on when the login string names none.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Rdp => 3389,
            Self::Ssh => 22,
            Self::Telnet => 23,
            Self::Vnc => 5900,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no protocol: http, rdp, ssh, telnet and vnc are")]
pub struct UnknownProtocol(String);

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        [Self::Http, Self::Rdp, Self::Ssh, Self::Telnet, Self::Vnc]
            .into_iter()
            .find(|protocol| protocol.as_str() == text)
            .ok_or_else(|| UnknownProtocol(text.to_owned()))
    }
}
