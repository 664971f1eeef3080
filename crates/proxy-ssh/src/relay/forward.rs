//! Forwards of ports and sockets, agents and screens: what opens channels without a session's program (RFC 4254
//! sections 6.3 and 7, OpenSSH's PROTOCOL).

use keyward_policy::ChannelKind;
use keyward_session::{ChannelRefused, ChannelRequest, Modes, Subject};
use keyward_ssh::Transport;
use keyward_ssh::channel::{self, Open, OpenFailure, open_failure};

use super::Stop;
use super::channel::Asked;
use super::desk::{About, Desk, packet_in_open, pass, pass_within, refuse};
use super::granted::Place;
use crate::SshError;

const NOT_ALLOWED: &str = "not allowed here";

impl Desk {
    /// The client wants to reach something through the target.
    pub(super) async fn open_forward(
        &mut self,
        open: &Open<'_>,
        message: &[u8],
        target: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        let wanted = match open.kind {
            "direct-tcpip" => {
                channel::host_and_port(open.rest).map_err(SshError::from)?.map(|(host, port)| {
                    asked(ChannelKind::LocalForward, &Place::Port { host: host.to_owned(), port })
                })
            }
            "direct-streamlocal@openssh.com" => {
                let path = channel::socket_path(open.rest).map_err(SshError::from)?;
                Some(asked(ChannelKind::StreamLocal, &Place::Socket(path.to_owned())))
            }
            other => {
                self.note_refusal(unknown(other)).await;
                None
            }
        };
        let tap = match wanted {
            Some(wanted) => self.channels.open(&wanted).await.ok().map(|opened| opened.tap),
            None => None,
        };
        let Some(tap) = tap else {
            back.push(open_failure(open.sender, OpenFailure::AdministrativelyProhibited, NOT_ALLOWED));
            return Ok(());
        };
        self.table.open_by_client(open.sender, open.window)?.tap = Some(tap);
        pass_within(target, message, packet_in_open(open.kind), open.packet)
    }

    /// The target brings something that the client asked it to listen for, or uses what it was lent.
    pub(super) async fn open_by_target(
        &mut self,
        open: &Open<'_>,
        message: &[u8],
        client: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        let tap = match self.behind(open)? {
            Some(wanted) => self.channels.open(&wanted).await.ok().map(|opened| opened.tap),
            None => {
                self.note_refusal("channel opened by the target").await;
                None
            }
        };
        let Some(tap) = tap else {
            back.push(open_failure(open.sender, OpenFailure::AdministrativelyProhibited, NOT_ALLOWED));
            return Ok(());
        };
        if self.table.is_full() {
            back.push(open_failure(open.sender, OpenFailure::ResourceShortage, "too many channels"));
            return Ok(());
        }
        self.early.as_ref().map_or(Ok(()), |early| early.check_number(open.sender))?;
        self.table.open_by_target(open.sender)?.tap = Some(tap);
        pass_within(client, message, packet_in_open(open.kind), open.packet)
    }

    /// What the client had asked for, and the policy allowed, before the target opened this.
    fn behind(&self, open: &Open<'_>) -> Result<Option<ChannelRequest>, SshError> {
        let listened = |kind, place: &Place| self.granted.behind(place).map(|place| asked(kind, place));
        Ok(match open.kind {
            "forwarded-tcpip" => channel::host_and_port(open.rest)?.and_then(|(host, port)| {
                listened(ChannelKind::RemoteForward, &Place::Port { host: host.to_owned(), port })
            }),
            "forwarded-streamlocal@openssh.com" => {
                let path = channel::socket_path(open.rest)?;
                listened(ChannelKind::StreamLocal, &Place::Socket(path.to_owned()))
            }
            "x11" => self.granted.x11.then(|| lent(ChannelKind::X11)),
            "auth-agent@openssh.com" => self.granted.agent.then(|| lent(ChannelKind::Agent)),
            _ => None,
        })
    }

    /// The client wants the target to listen.
    pub(super) async fn listen(
        &mut self,
        place: Place,
        wants_reply: bool,
        message: &[u8],
        target: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        let kind = match &place {
            Place::Port { .. } => ChannelKind::RemoteForward,
            Place::Socket(_) => ChannelKind::StreamLocal,
        };
        if self.channels.permit(&asked(kind, &place)).await.is_err() {
            return Ok(refuse(&mut self.from_client, wants_reply, About::Connection, back)?);
        }
        let number = self.granted.ask(place)?;
        if wants_reply {
            self.from_client.expect(Asked::Listen(number))?;
        } else {
            // Nobody will say so.
            self.granted.is_up(number, None);
        }
        pass(target, message)
    }

    /// The client wants the target to listen no more.
    pub(super) fn listen_no_more(
        &mut self,
        place: &Place,
        wants_reply: bool,
        message: &[u8],
        target: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        if !self.granted.cancel(place) {
            return Ok(refuse(&mut self.from_client, wants_reply, About::Connection, back)?);
        }
        if wants_reply {
            self.from_client.expect(Asked::Something)?;
        }
        pass(target, message)
    }

    /// The client lends the target its agent or its screen.
    pub(super) async fn lend(&mut self, kind: ChannelKind) -> Result<bool, Stop> {
        match self.channels.permit(&lent(kind)).await {
            Ok(()) if kind == ChannelKind::Agent => self.granted.agent = true,
            Ok(()) => self.granted.x11 = true,
            Err(ChannelRefused::Policy | ChannelRefused::Certificate | ChannelRefused::Over) => {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Where a global request wants the target to listen, or to stop it. `None`: it is about something else.
pub(super) fn place(name: &str, rest: &[u8]) -> Result<Option<Place>, SshError> {
    Ok(match name {
        "tcpip-forward" | "cancel-tcpip-forward" => {
            channel::host_and_port(rest)?.map(|(host, port)| Place::Port { host: host.to_owned(), port })
        }
        "streamlocal-forward@openssh.com" | "cancel-streamlocal-forward@openssh.com" => {
            Some(Place::Socket(channel::socket_path(rest)?.to_owned()))
        }
        _ => None,
    })
}

fn asked(kind: ChannelKind, place: &Place) -> ChannelRequest {
    let subject = match place.clone() {
        Place::Port { host, port } => Subject::Host { host, port },
        Place::Socket(path) => Subject::Path(path),
    };
    ChannelRequest { kind, subject, terminal: None, modes: Modes::Usual }
}

fn lent(kind: ChannelKind) -> ChannelRequest {
    ChannelRequest { kind, subject: Subject::Nothing, terminal: None, modes: Modes::Usual }
}

/// The words for a channel of no kind that the policy knows.
fn unknown(kind: &str) -> &'static str {
    match kind {
        "tun@openssh.com" => "tunnel",
        _ => "channel of an unknown type",
    }
}
