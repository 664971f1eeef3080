//! A server for `keyward demo`: it lets in one user by one password, and offers a shell of a few words.
//!
//! It starts no process and touches no file, so that a demo opens nothing on the machine that it runs on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use keyward_model::Secret;
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use tokio::net::TcpStream;

use crate::HostKeys;

/// The server. Give it the connections of a listener.
#[derive(Clone, Debug)]
pub struct DemoTarget {
    config: Arc<server::Config>,
    user: String,
    password: Secret,
}

const PROMPT: &str = "demo$ ";
const WELCOME: &str = "Welcome to the demo target. Words it knows: help, whoami, hostname, secret, exit.\r\n";
/// A line longer than this is thrown away.
const MAX_LINE: usize = 256;

impl DemoTarget {
    pub fn new(keys: HostKeys, user: &str, password: Secret) -> Self {
        let config = server::Config {
            methods: MethodSet::from(&[MethodKind::Password][..]),
            auth_rejection_time: Duration::from_millis(100),
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: keys.into_keys(),
            nodelay: true,
            ..server::Config::default()
        };
        Self { config: Arc::new(config), user: user.to_owned(), password }
    }

    /// Serves one connection to its end.
    pub async fn serve(&self, stream: TcpStream) {
        let handler = Visitor { target: self.clone(), lines: HashMap::new() };
        match server::run_stream(Arc::clone(&self.config), stream, handler).await {
            Ok(session) => {
                if let Err(error) = session.await {
                    tracing::debug!(%error, "a connection to the demo target broke");
                }
            }
            Err(error) => tracing::debug!(%error, "a client of the demo target spoke no SSH"),
        }
    }
}

struct Visitor {
    target: DemoTarget,
    /// The line that is being typed, for each channel with a shell.
    lines: HashMap<ChannelId, Vec<u8>>,
}

/// What a typed line leads to.
enum Answer {
    Text(String),
    Exit,
}

impl Visitor {
    fn answer(&self, line: &str) -> Answer {
        Answer::Text(match line.trim() {
            "" => String::new(),
            "help" => "help, whoami, hostname, secret, exit\r\n".into(),
            "whoami" => format!("{}\r\n", self.target.user),
            "hostname" => "demo-target\r\n".into(),
            "secret" => "You are in, and you never saw the password.\r\n".into(),
            "exit" | "logout" => return Answer::Exit,
            other => format!("{}: not known here; try help\r\n", other.escape_debug()),
        })
    }

    fn typed(&mut self, channel: ChannelId, byte: u8) -> Option<(String, bool)> {
        let line = self.lines.get_mut(&channel)?;
        match byte {
            b'\r' | b'\n' => {
                let text = String::from_utf8_lossy(&std::mem::take(line)).into_owned();
                Some(match self.answer(&text) {
                    Answer::Text(text) => (format!("\r\n{text}{PROMPT}"), false),
                    Answer::Exit => ("\r\nBye.\r\n".into(), true),
                })
            }
            // Ctrl-C, Ctrl-D, backspace.
            0x03 => {
                line.clear();
                Some((format!("^C\r\n{PROMPT}"), false))
            }
            0x04 => Some(("\r\nBye.\r\n".into(), true)),
            0x08 | 0x7f => Some((line.pop().map(|_| "\x08 \x08".into()).unwrap_or_default(), false)),
            _ if line.len() < MAX_LINE && !byte.is_ascii_control() => {
                line.push(byte);
                Some((String::from_utf8_lossy(&[byte]).into_owned(), false))
            }
            _ => None,
        }
    }
}

fn leave(channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
    session.exit_status_request(channel, 0)?;
    session.eof(channel)?;
    session.close(channel)
}

impl server::Handler for Visitor {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, russh::Error> {
        // A demo password on loopback: a comparison in constant time would protect nothing here.
        let known = user == self.target.user && password == self.target.password.expose();
        let again = Some(MethodSet::from(&[MethodKind::Password][..]));
        Ok(if known {
            Auth::Accept
        } else {
            Auth::Reject { proceed_with_methods: again, partial_success: false }
        })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_success(channel)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        session.channel_success(channel)?;
        self.lines.insert(channel, Vec::new());
        session.data(channel, format!("{WELCOME}{PROMPT}").into_bytes())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_success(channel)?;
        if let Answer::Text(text) = self.answer(&String::from_utf8_lossy(command)) {
            session.data(channel, text.replace("\r\n", "\n").into_bytes())?;
        }
        leave(channel, session)
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        for &byte in data {
            let Some((text, over)) = self.typed(channel, byte) else { continue };
            session.data(channel, text.into_bytes())?;
            if over {
                self.lines.remove(&channel);
                return leave(channel, session);
            }
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        if self.lines.remove(&channel).is_some() { leave(channel, session) } else { Ok(()) }
    }
}
