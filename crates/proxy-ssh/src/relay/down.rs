//! From the target to the client.

use std::time::Instant;

use keyward_ssh::Transport;
use keyward_ssh::channel::{self, Message, Request, STDERR};
use keyward_trail::{Direction, Event, ExitStatus, Stream};

use super::Stop;
use super::channel::{Answer, Asked};
use super::desk::{
    About, Desk, PACKET_IN_CONFIRMATION, is_success, pass, pass_answer, pass_within, receiver, refuse,
};
use super::early;
use super::files::{keep, with_window};
use super::harmless;
use super::judged::{self, output};
use crate::SshError;

impl Desk {
    pub(super) async fn pass_down(
        &mut self,
        message: &mut [u8],
        client: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        let (recipient, stream, data) = match Message::parse(message).map_err(SshError::from)? {
            Message::Data { recipient, data } => (recipient, Stream::Main, data),
            Message::ExtendedData { recipient, kind: STDERR, data } => (recipient, Stream::Stderr, data),
            // Boxed, as on the way up.
            rare => return Box::pin(self.control_down(rare, message, client, back)).await,
        };
        let Some(channel) = self.table.of_target(recipient).filter(|channel| !channel.to_client.told) else {
            return Ok(());
        };
        // Without a program a target has nothing to say.
        let Some(tap) = &channel.tap else { return Ok(()) };
        channel.client_window =
            channel.client_window.saturating_sub(u32::try_from(data.len()).unwrap_or(u32::MAX));
        if let Some(judge) = &mut channel.judge {
            let channel = tap.channel();
            let found = judge.shown(data, output(stream), Instant::now());
            // Boxed, as what is rare.
            Box::pin(judged::note(&self.channels, channel, found)).await?;
        }
        self.recording.data(tap, Direction::ToClient, stream, data).await?;
        match (&channel.files, stream) {
            // Boxed, as on the way up.
            (Some(_), Stream::Main) => Box::pin(self.pass_files_down(recipient, message, client, back)).await,
            (None, _) | (Some(_), Stream::Stderr) => pass(client, message),
        }
    }

    async fn control_down(
        &mut self,
        parsed: Message<'_>,
        message: &[u8],
        client: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        match parsed {
            Message::Confirmation { recipient, sender, window, packet, .. } => {
                self.early.as_ref().map_or(Ok(()), |early| early.check_number(sender))?;
                let Some(channel) = self.table.confirm_by_target(recipient, sender)? else { return Ok(()) };
                channel.keeps = channel.is_session && self.channels.judge_files();
                if self.early.as_mut().is_some_and(|early| early.is_opened(recipient, sender, packet)) {
                    return Self::widen(client, recipient, keep(channel, window).unwrap_or(window));
                }
                match keep(channel, window).and_then(|rest| with_window(message, rest)) {
                    Some(message) => pass_within(client, &message, PACKET_IN_CONFIRMATION, packet),
                    None => pass_within(client, message, PACKET_IN_CONFIRMATION, packet),
                }
            }
            Message::OpenFailure { recipient } => {
                let Some(channel) = self.table.refuse_by_target(recipient) else { return Ok(()) };
                self.recording.event(channel.tap.as_ref(), |channel| Event::Close { channel }).await?;
                if self.early.as_mut().is_some_and(|early| early.is_refused(recipient)) {
                    let told = early::not_opened(recipient, channel.client_window);
                    return told.iter().try_for_each(|message| pass(client, message));
                }
                pass(client, message)
            }
            Message::WindowAdjust { recipient, bytes } => {
                let Some(channel) = self.table.of_target(recipient) else { return Ok(()) };
                match (channel.to_client.told, keep(channel, bytes)) {
                    (true, _) => Ok(()),
                    (false, Some(rest)) => pass(client, &channel::window_adjust(recipient, rest)),
                    (false, None) => pass(client, message),
                }
            }
            Message::Eof { recipient } => {
                let Some(channel) = self.table.of_target(recipient) else { return Ok(()) };
                if channel.to_client.told {
                    return Ok(());
                }
                let direction = Direction::ToClient;
                self.recording
                    .event(channel.tap.as_ref(), |channel| Event::Eof { channel, direction })
                    .await?;
                pass(client, message)
            }
            Message::Close { recipient } => {
                let Some(channel) = self.table.of_target(recipient) else { return Ok(()) };
                channel.to_client.closed = true;
                let id = channel.id;
                Box::pin(self.finish_files(id)).await;
                let Some(channel) = self.table.get(id) else { return Ok(()) };
                let (id, was_told) = (channel.id, std::mem::replace(&mut channel.to_client.told, true));
                // A recording that has ended does not keep the channel open.
                let _ = self.recording.event(channel.tap.as_ref(), |channel| Event::Close { channel }).await;
                self.table.forget_if_over(id);
                if was_told { Ok(()) } else { pass(client, message) }
            }
            Message::Request { recipient, name, wants_reply, rest } => {
                let request = Request::parse(name, rest).map_err(SshError::from)?;
                self.request_of_target(recipient, &request, wants_reply, message, client, back).await
            }
            Message::Success { recipient } | Message::Failure { recipient } => {
                self.answer_of_target(recipient, message, client).await
            }
            Message::RequestSuccess | Message::RequestFailure => {
                let asked = pass_answer(&mut self.from_client, About::Connection, message, client);
                if let Some(Answer::Theirs(Asked::Listen(number))) = asked.map_err(receiver)? {
                    match parsed {
                        Message::RequestSuccess => self.granted.is_up(number, channel::chosen_port(message)),
                        _ => self.granted.is_refused(number),
                    }
                }
                Ok(())
            }
            Message::GlobalRequest { name: "keepalive@openssh.com", wants_reply, .. } => {
                if wants_reply {
                    self.from_target.expect(Asked::Something)?;
                }
                pass(client, message)
            }
            // `hostkeys-00@openssh.com` among them: the keys of the target are none of the client's business.
            Message::GlobalRequest { wants_reply, .. } => {
                Ok(refuse(&mut self.from_target, wants_reply, About::Connection, back)?)
            }
            Message::Open(open) => self.open_by_target(&open, message, client, back).await,
            // Data is passed above; of extended data there is no other kind.
            Message::Data { .. } | Message::ExtendedData { .. } => Ok(()),
            // A banner that comes late, and what nobody knows.
            Message::Unknown { .. } => Ok(()),
        }
    }

    /// Passes the target's answer on. A program that it refused is recorded as closed, and another may be tried.
    async fn answer_of_target(
        &mut self,
        recipient: u32,
        message: &[u8],
        client: &mut Transport,
    ) -> Result<(), Stop> {
        let Some(channel) = self.table.of_target(recipient) else { return Ok(()) };
        let about = About::Channel(recipient);
        let asked = pass_answer(&mut channel.from_client, about, message, client).map_err(receiver)?;
        let is_refused = !is_success(message.first().copied().unwrap_or_default());
        if asked == Some(Answer::Theirs(Asked::Terminal)) {
            return self.has_terminal(recipient, !is_refused);
        }
        if asked == Some(Answer::Theirs(Asked::Program)) && is_refused {
            let tap = channel.tap.take();
            (channel.files, channel.judge) = (None, None);
            self.recording.event(tap.as_ref(), |channel| Event::Close { channel }).await?;
        }
        Ok(())
    }

    async fn request_of_target(
        &mut self,
        recipient: u32,
        request: &Request<'_>,
        wants_reply: bool,
        message: &[u8],
        client: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        let Some(channel) = self.table.of_target(recipient).filter(|channel| !channel.to_client.told) else {
            return Ok(());
        };
        let status = match request {
            Request::ExitStatus(code) => Some(ExitStatus::Code(*code)),
            Request::ExitSignal { name, core_dumped, message } => Some(ExitStatus::Signal {
                name: (*name).to_owned().into(),
                core_dumped: *core_dumped,
                message: message.clone().into_owned().into(),
            }),
            Request::Other(name) if harmless::OF_TARGET.contains(name) => None,
            _ => {
                let number = channel.target.unwrap_or_default();
                return Ok(refuse(&mut channel.from_target, wants_reply, About::Channel(number), back)?);
            }
        };
        if let Some(status) = status {
            self.recording.event(channel.tap.as_ref(), |channel| Event::Exit { channel, status }).await?;
            // That the program has come to its end is no word about what was refused: the client hears of no success.
            if channel.is_denied {
                return Ok(());
            }
        }
        if wants_reply {
            channel.from_target.expect(Asked::Something)?;
        }
        pass(client, message)
    }
}
