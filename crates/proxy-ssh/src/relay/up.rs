//! From the client to the target.

use std::time::Instant;

use keyward_policy::{ChannelKind, KeyPermission};
use keyward_session::{ChannelRefused, ChannelRequest, Modes, Opened, Subject};
use keyward_ssh::Transport;
use keyward_ssh::channel::{Message, Open, OpenFailure, Request, open_failure};
use keyward_trail::{Direction, Event, Stream, Terminal};

use super::Stop;
use super::channel::{Asked, Channel, Id};
use super::desk::{
    About, Desk, PACKET_IN_CONFIRMATION, packet_in_open, pass, pass_answer, pass_within, receiver, refuse,
};
use super::early;
use super::files::{Files, NotAllowed};
use super::forced::{self, Forced};
use super::forward;
use super::granted::Place;
use super::harmless;
use crate::{SshError, command};

/// Over UDP the gateway could neither relay nor record the session.
const MOSH_REFUSED: &str =
    "keyward: mosh does not work through the gateway, since it leaves SSH: use ssh.\r\n";

/// What each variable counts at least.
const VARIABLE: usize = 128;

impl Desk {
    pub(super) async fn pass_up(
        &mut self,
        message: &mut [u8],
        target: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        match Message::parse(message).map_err(SshError::from)? {
            Message::Data { recipient, data } => {
                let Some(channel) = self.table.of_client(recipient) else { return Ok(()) };
                // Without a program there is nobody to read it.
                let Some(tap) = channel.tap.as_ref().filter(|_| !channel.to_target.told) else {
                    return Ok(());
                };
                if channel.judge.is_some() {
                    return Box::pin(self.pass_judged(recipient, data, message, target, back)).await;
                }
                self.recording.data(tap, Direction::FromClient, Stream::Main, data).await?;
                match channel.files {
                    None => pass(target, message),
                    // Boxed: most sessions move no files.
                    Some(_) => Box::pin(self.pass_files_up(recipient, message, target, back)).await,
                }
            }
            // Boxed: what is rare would make every session's future larger.
            rare => Box::pin(self.control_up(rare, message, target, back)).await,
        }
    }

    async fn control_up(
        &mut self,
        parsed: Message<'_>,
        message: &[u8],
        target: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        match parsed {
            Message::Open(open) => self.open(&open, message, target, back).await,
            Message::Request { recipient, name, wants_reply, rest } => {
                let request = Request::parse(name, rest).map_err(SshError::from)?;
                self.request(recipient, request, wants_reply, message, target, back).await
            }
            Message::WindowAdjust { recipient, bytes } => {
                let Some(channel) = self.table.of_client(recipient) else { return Ok(()) };
                channel.client_window = channel.client_window.saturating_add(bytes);
                if channel.to_target.told { Ok(()) } else { pass(target, message) }
            }
            Message::Eof { recipient } => {
                let Some(channel) = self.table.of_client(recipient) else { return Ok(()) };
                if channel.to_target.told {
                    return Ok(());
                }
                if channel.judge.is_some() {
                    return Box::pin(self.pass_last(recipient, target)).await;
                }
                let direction = Direction::FromClient;
                self.recording
                    .event(channel.tap.as_ref(), |channel| Event::Eof { channel, direction })
                    .await?;
                pass(target, message)
            }
            Message::Close { recipient } => {
                let Some(channel) = self.table.of_client(recipient) else { return Ok(()) };
                channel.to_target.closed = true;
                let id = channel.id;
                Box::pin(self.finish_files(id)).await;
                let Some(channel) = self.table.get(id) else { return Ok(()) };
                let (id, was_told) = (channel.id, std::mem::replace(&mut channel.to_target.told, true));
                // A recording that has ended does not keep the channel open.
                let _ = self.recording.event(channel.tap.as_ref(), |channel| Event::Close { channel }).await;
                self.table.forget_if_over(id);
                if was_told { Ok(()) } else { pass(target, message) }
            }
            Message::Success { recipient } | Message::Failure { recipient } => {
                let Some(channel) = self.table.of_client(recipient) else { return Ok(()) };
                let about = About::Channel(recipient);
                pass_answer(&mut channel.from_target, about, message, target).map_err(receiver)?;
                Ok(())
            }
            Message::RequestSuccess | Message::RequestFailure => {
                pass_answer(&mut self.from_target, About::Connection, message, target).map_err(receiver)?;
                Ok(())
            }
            Message::GlobalRequest { name, wants_reply, rest } => {
                let place = forward::place(name, rest)?;
                self.global_request(name, place, wants_reply, message, target, back).await
            }
            Message::Confirmation { recipient, sender, window, packet, .. } => {
                let Some(channel) = self.table.confirm_by_client(recipient, sender)? else { return Ok(()) };
                channel.client_window = window;
                pass_within(target, message, PACKET_IN_CONFIRMATION, packet)
            }
            Message::OpenFailure { recipient } => {
                let Some(channel) = self.table.refuse_by_client(recipient) else { return Ok(()) };
                self.recording.event(channel.tap.as_ref(), |channel| Event::Close { channel }).await?;
                pass(target, message)
            }
            // Data is passed above; clients send no stderr.
            Message::Data { .. } | Message::ExtendedData { .. } => Ok(()),
            // A request to be let in, after one was (RFC 4252 section 5.1 has it ignored), and what nobody knows.
            Message::Unknown { .. } => Ok(()),
        }
    }

    async fn open(
        &mut self,
        open: &Open<'_>,
        message: &[u8],
        target: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        if self.table.is_full() {
            if self
                .early
                .as_mut()
                .is_some_and(|early| open.kind == "session" && early.is_refused(open.sender))
            {
                back.extend(early::not_opened(open.sender, open.window));
                return Ok(());
            }
            back.push(open_failure(open.sender, OpenFailure::ResourceShortage, "too many channels"));
            return Ok(());
        }
        if open.kind != "session" {
            return self.open_forward(open, message, target, back).await;
        }
        self.table.open_by_client(open.sender, open.window)?.is_session = true;
        pass_within(target, message, packet_in_open(open.kind), open.packet)
    }

    async fn global_request(
        &mut self,
        name: &str,
        place: Option<Place>,
        wants_reply: bool,
        message: &[u8],
        target: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        match place {
            Some(place) if name.starts_with("cancel-") => {
                self.listen_no_more(&place, wants_reply, message, target, back)
            }
            Some(place) => self.listen(place, wants_reply, message, target, back).await,
            None if harmless::GLOBAL.contains(&name) => {
                if wants_reply {
                    self.from_client.expect(Asked::Something)?;
                }
                pass(target, message)
            }
            // Clients try what servers may know; that is nothing to note.
            None => Ok(refuse(&mut self.from_client, wants_reply, About::Connection, back)?),
        }
    }

    async fn request(
        &mut self,
        recipient: u32,
        request: Request<'_>,
        wants_reply: bool,
        message: &[u8],
        target: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        let Some(channel) = self.table.of_client(recipient).filter(|channel| !channel.to_target.told) else {
            return Ok(());
        };
        let id = channel.id;
        let is_forced = self.channels.limits().forced_command.is_some();
        let is_unknown = matches!(&request, Request::Other(name) if !harmless::OF_CLIENT.contains(name));
        let passes = match request {
            Request::Shell | Request::Command(_) | Request::Subsystem(_) => {
                return self
                    .program_or_forced((id, recipient), &request, wants_reply, message, target, back)
                    .await;
            }
            Request::Variable { name, .. } if is_forced && forced::is_original(&name) => false,
            Request::X11 => self.lend(ChannelKind::X11).await?,
            Request::Agent => self.lend(ChannelKind::Agent).await?,
            Request::Terminal { .. } if !self.channels.limits().allow(KeyPermission::Terminal) => {
                self.note_denied_terminal().await;
                false
            }
            // One channel has one terminal.
            Request::Terminal { .. } if channel.terminal.is_some() => false,
            Request::Terminal { term, columns, rows, modes } => {
                channel.terminal = Some(Terminal { term: term.to_owned().into(), columns, rows });
                channel.modes = if wants_reply { Modes::parse(modes) } else { Modes::Unanswered };
                if wants_reply {
                    channel.from_client.expect(Asked::Terminal)?;
                    channel.terminals_asked += 1;
                }
                return pass(target, message);
            }
            Request::WindowChange { columns, rows } => {
                if let Some(terminal) = &mut channel.terminal {
                    (terminal.columns, terminal.rows) = (columns, rows);
                }
                if let Some(Err(error)) =
                    channel.judge.as_mut().map(|judge| judge.resized((columns, rows), Instant::now()))
                {
                    self.channels.cannot_judge(&error);
                    return Err(Stop::Judged);
                }
                let tap = channel.tap.as_ref();
                self.recording.event(tap, |channel| Event::Window { channel, columns, rows }).await?;
                true
            }
            Request::Signal(name) => {
                let name = name.to_owned().into();
                self.recording.event(channel.tap.as_ref(), |channel| Event::Signal { channel, name }).await?;
                true
            }
            Request::Variable { name, value } => {
                let (name, value) = (name.into_owned(), value.into_owned());
                let size = VARIABLE + name.len() + value.len();
                match channel.variables_left.checked_sub(size) {
                    Some(left) => {
                        channel.variables_left = left;
                        match &channel.tap {
                            Some(tap) => {
                                let (name, value) = (name.into(), value.into());
                                let variable = |channel| Event::Env { channel, name, value };
                                self.recording.event(Some(tap), variable).await?;
                            }
                            None => channel.variables.push((name, value)),
                        }
                        true
                    }
                    None => false,
                }
            }
            Request::Other(_) => !is_unknown,
            Request::ExitStatus(_) | Request::ExitSignal { .. } => false,
        };
        if is_unknown {
            self.note_refusal("request of an unknown type").await;
        }
        self.pass_or_refuse(id, passes, wants_reply, message, target, back)
    }

    fn pass_or_refuse(
        &mut self,
        id: Id,
        passes: bool,
        wants_reply: bool,
        message: &[u8],
        target: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        let Some(channel) = self.table.get(id) else { return Ok(()) };
        if !passes {
            return Ok(refuse_on(channel, wants_reply, back)?);
        }
        if wants_reply {
            channel.from_client.expect(Asked::Something)?;
        }
        pass(target, message)
    }

    /// What the client asks for, or the one command that its certificate allows.
    async fn program_or_forced(
        &mut self,
        (id, recipient): (Id, u32),
        request: &Request<'_>,
        wants_reply: bool,
        message: &[u8],
        target: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        let channels = self.channels.clone();
        let Some(command) = &channels.limits().forced_command else {
            return self.program(id, request, wants_reply, &[message], target, back).await;
        };
        // Nothing is replaced where nothing would run.
        let Some(channel) = self.table.get(id) else { return Ok(()) };
        if channel.runs_nothing_more() {
            return Ok(refuse_on(channel, wants_reply, back)?);
        }
        let forced = Forced::new(command, request, recipient, wants_reply);
        if let Err(refused) = channels.note_limit(&forced.note).await {
            self.deny(id, wants_reply, ChannelKind::Exec, refused, back);
            return Ok(());
        }
        let messages: Vec<&[u8]> = forced.messages.iter().map(Vec::as_slice).collect();
        self.program(id, &forced.request, wants_reply, &messages, target, back).await
    }

    /// Asks the policy, then the target. One program runs in a channel; a client may try another one after the
    /// target has refused the first.
    async fn program(
        &mut self,
        id: Id,
        request: &Request<'_>,
        wants_reply: bool,
        messages: &[&[u8]],
        target: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        let Some(channel) = self.table.get(id) else { return Ok(()) };
        if channel.runs_nothing_more() {
            return Ok(refuse_on(channel, wants_reply, back)?);
        }
        let asked = wanted(request, channel);
        if matches!(request, Request::Command(command) if command::starts_mosh(command)) {
            self.say_no(id, wants_reply, MOSH_REFUSED, back);
            self.note_refusal("mosh").await;
            return Ok(());
        }
        let Opened { tap, judge } = match self.channels.open(&asked).await {
            Ok(opened) => opened,
            Err(refused) => {
                self.deny(id, wants_reply, asked.kind, refused, back);
                return Ok(());
            }
        };
        let rules = self.channels.files(&asked);
        match Files::begin(&asked, rules, target) {
            Ok(files) => channel.files = files.map(Box::new),
            Err(NotAllowed) => {
                self.recording.event(Some(&tap), |channel| Event::Close { channel }).await?;
                self.channels.note_files("scp: refused by the channel policy for its paths").await;
                self.deny(id, wants_reply, asked.kind, ChannelRefused::Policy, back);
                return Ok(());
            }
        }
        (channel.tap, channel.judge) = (Some(tap.clone()), judge);
        if let Some(judge) = channel.judge.as_mut().filter(|_| channel.terminals_asked > 0) {
            judge.doubt_terminal();
        }
        for (name, value) in std::mem::take(&mut channel.variables) {
            let (name, value) = (name.into(), value.into());
            self.recording.event(Some(&tap), |channel| Event::Env { channel, name, value }).await?;
        }
        if wants_reply {
            channel.from_client.expect(Asked::Program)?;
        }
        messages.iter().try_for_each(|message| pass(target, message))
    }
}

fn refuse_on(channel: &mut Channel, wants_reply: bool, back: &mut Vec<Vec<u8>>) -> Result<(), SshError> {
    let about = About::Channel(channel.client.unwrap_or_default());
    refuse(&mut channel.from_client, wants_reply, about, back)
}

/// A program in the words of the channel policy (RFC 4254 section 6.5).
///
/// On a terminal sftp and scp are what any other program is there: its line discipline would make other bytes of
/// those that the gateway has followed.
fn wanted(request: &Request<'_>, channel: &Channel) -> ChannelRequest {
    let is_followed = channel.terminal.is_none();
    let (kind, subject) = match request {
        Request::Command(command) if is_followed => {
            (command::kind(command), Subject::Command(command.to_vec()))
        }
        Request::Command(command) => (ChannelKind::Exec, Subject::Command(command.to_vec())),
        Request::Subsystem("sftp") if is_followed => {
            (ChannelKind::Sftp, Subject::Subsystem("sftp".to_owned()))
        }
        Request::Subsystem(name) => (ChannelKind::Subsystem, Subject::Subsystem((*name).to_owned())),
        _ => (ChannelKind::Shell, Subject::Nothing),
    };
    ChannelRequest { kind, subject, terminal: channel.terminal.clone(), modes: channel.modes }
}
