//! A server for `keyward demo`: it lets in one user by one password, and offers a shell of a few words.
//!
//! It starts no process and touches no file, so that a demo opens nothing on the machine that it runs on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use keyward_model::Secret;
use keyward_policy::Algorithms;
use keyward_ssh::auth::{self, Method, Request};
use keyward_ssh::channel::{self, Message, OpenFailure};
use keyward_ssh::{Config, message};
use tokio::net::TcpStream;

use crate::error::chain;
use crate::peer::{Incoming, Peer};
use crate::{HostKeys, SshError, algorithms};

/// The server. Give it the connections of a listener.
#[derive(Clone, Debug)]
pub struct DemoTarget {
    config: Arc<Config>,
    user: String,
    password: Secret,
}

const PROMPT: &str = "demo$ ";
const WELCOME: &str = "Welcome to the demo target. Words it knows: help, whoami, hostname, secret, exit.\r\n";
/// A line longer than this is thrown away.
const MAX_LINE: usize = 256;
/// Wrong passwords in one connection.
const MOST_ATTEMPTS: u32 = 6;
const REJECTION_TIME: Duration = Duration::from_millis(100);
/// What a client may send before it is told of more room, and in one packet.
const WINDOW: u32 = 64 * 1024;
const PACKET: u32 = 32 * 1024;

impl DemoTarget {
    pub fn new(keys: HostKeys, user: &str, password: Secret) -> Self {
        Self {
            config: algorithms::server(keys.into_keys(), Algorithms::Modern),
            user: user.to_owned(),
            password,
        }
    }

    /// Serves one connection to its end.
    pub async fn serve(&self, stream: TcpStream) {
        match self.visit(stream).await {
            Ok(()) | Err(SshError::Closed | SshError::Left(_)) => {}
            Err(error) => tracing::debug!(error = %chain(&error), "a connection to the demo target broke"),
        }
    }

    async fn visit(&self, stream: TcpStream) -> Result<(), SshError> {
        let mut peer = Peer::new(stream, Arc::clone(&self.config))?;
        let Incoming::Ready = peer.next().await? else { return Err(SshError::OutOfTurn) };
        self.let_in(&mut peer).await?;
        let mut visitor = Visitor { target: self, peer, lines: HashMap::new() };
        loop {
            let message = visitor.peer.message().await?;
            visitor.message(&message)?;
        }
    }

    async fn let_in(&self, peer: &mut Peer) -> Result<(), SshError> {
        let mut attempts = 0;
        loop {
            let message = peer.message().await?;
            if message.first() == Some(&message::SERVICE_REQUEST) {
                peer.send(&auth::service_accept(auth::service_name(&message)?))?;
                continue;
            }
            let request = Request::parse(&message)?;
            if let Method::Password(password) = &request.method {
                // A demo password on loopback: a comparison in constant time would protect nothing here.
                if request.user == self.user && password.expose() == self.password.expose() {
                    return peer.send(&auth::success());
                }
                attempts += 1;
                tokio::time::sleep(REJECTION_TIME).await;
            }
            if attempts >= MOST_ATTEMPTS {
                return Err(SshError::TooManyRequests);
            }
            peer.send(&auth::failure(["password"], false))?;
        }
    }
}

struct Visitor<'t> {
    target: &'t DemoTarget,
    peer: Peer,
    /// The line that is being typed, for each channel with a shell.
    lines: HashMap<u32, Vec<u8>>,
}

/// What a typed line leads to.
enum Answer {
    Text(String),
    Exit,
}

impl Visitor<'_> {
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

    fn typed(&mut self, channel: u32, byte: u8) -> Option<(String, bool)> {
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

    fn message(&mut self, message: &[u8]) -> Result<(), SshError> {
        match Message::parse(message)? {
            Message::Open(open) if open.kind == "session" => {
                // The client's number serves for both sides.
                let confirmation = channel::confirmation(open.sender, open.sender, WINDOW, PACKET, b"");
                self.peer.send(&confirmation)
            }
            Message::Open(open) => self.peer.send(&channel::open_failure(
                open.sender,
                OpenFailure::AdministrativelyProhibited,
                "",
            )),
            Message::Request { recipient, name, wants_reply, rest } => {
                self.request(recipient, &channel::Request::parse(name, rest)?, wants_reply)
            }
            Message::Data { recipient, data } => self.typing(recipient, data),
            Message::Eof { recipient } => match self.lines.remove(&recipient) {
                Some(_) => self.leave(recipient),
                None => Ok(()),
            },
            Message::Close { recipient } => {
                self.lines.remove(&recipient);
                Ok(())
            }
            Message::GlobalRequest { wants_reply: true, .. } => self.peer.send(&channel::request_failure()),
            _ => Ok(()),
        }
    }

    fn request(
        &mut self,
        channel: u32,
        request: &channel::Request<'_>,
        wants_reply: bool,
    ) -> Result<(), SshError> {
        use channel::Request::{Command, Shell, Terminal, WindowChange};
        let is_known = matches!(request, Command(_) | Shell | Terminal { .. } | WindowChange { .. });
        if wants_reply {
            self.peer.send(&if is_known { channel::success(channel) } else { channel::failure(channel) })?;
        }
        match request {
            Shell => {
                self.lines.insert(channel, Vec::new());
                self.say(channel, &format!("{WELCOME}{PROMPT}"))
            }
            Command(command) => {
                if let Answer::Text(text) = self.answer(&String::from_utf8_lossy(command)) {
                    self.say(channel, &text.replace("\r\n", "\n"))?;
                }
                self.leave(channel)
            }
            _ => Ok(()),
        }
    }

    fn typing(&mut self, channel: u32, data: &[u8]) -> Result<(), SshError> {
        self.peer.send(&channel::window_adjust(channel, u32::try_from(data.len()).unwrap_or(0)))?;
        for &byte in data {
            let Some((text, is_over)) = self.typed(channel, byte) else { continue };
            self.say(channel, &text)?;
            if is_over {
                self.lines.remove(&channel);
                return self.leave(channel);
            }
        }
        Ok(())
    }

    fn say(&mut self, channel: u32, text: &str) -> Result<(), SshError> {
        self.peer.send(&channel::data(channel, text.as_bytes()))
    }

    fn leave(&mut self, channel: u32) -> Result<(), SshError> {
        self.peer.send(&channel::exit_status(channel, 0))?;
        self.peer.send(&channel::eof(channel))?;
        self.peer.send(&channel::close(channel))
    }
}
