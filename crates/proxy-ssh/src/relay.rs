//! One channel of an open session: from the client to the target and back, recorded on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keyward_session::Tap;
use keyward_trail::{Direction, Event, Stream};
use russh::client::Msg as TargetMsg;
use russh::server::{self, ChannelOpenHandle, Msg as ClientMsg};
use russh::{Channel, ChannelId, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::backlog::Backlog;
use crate::gate::Answers;
use crate::opened::Opened;
use crate::server::SERVER_LOST;
use crate::upstream::Upstream;

/// What the relay of one channel needs beside the channel itself.
pub(crate) struct Lane {
    /// The channel towards the client.
    pub(crate) id: ChannelId,
    pub(crate) front: server::Handle,
    pub(crate) opened: Arc<Opened>,
    pub(crate) answers: Answers,
    pub(crate) backlog: Arc<Backlog>,
}

/// How the relay of one channel ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Finish {
    ClientClosed,
    TargetClosed,
    /// The policy refused what the client wanted of the channel.
    Refused,
    ClientLost,
    TargetLost,
    /// What cannot be recorded is not passed on. The session ends by itself.
    Unrecorded,
}

/// A request that the target has to answer.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) accepted: oneshot::Sender<bool>,
    /// The recording of the program that it starts, if it starts one.
    pub(crate) tap: Option<Tap>,
}

/// How long after its EOF a target that is done says how its program ended.
const EXIT_STATUS_FOLLOWS: Duration = Duration::from_millis(300);

/// Extended data of this type is stderr (RFC 4254 section 5.2).
pub(crate) const STDERR: u32 = 1;

/// Opens the channel on the target, confirms it to the client, and relays until one side closes it or the
/// session ends.
pub(crate) async fn carry(lane: Lane, client: Channel<ClientMsg>, reply: ChannelOpenHandle) {
    let target = match Box::pin(lane.opened.target.open_session()).await {
        Ok(channel) => channel,
        Err(russh::Error::ChannelOpenFailure(reason)) => return reply.reject(reason).await,
        Err(_) => return reply.reject(ChannelOpenFailure::ConnectFailed).await,
    };
    reply.accept().await;
    let (opened, front, id) = (Arc::clone(&lane.opened), lane.front.clone(), lane.id);
    let finish = tokio::select! {
        finish = relay(lane, client, target) => finish,
        sentence = opened.farewell() => return Box::pin(say_goodbye(&front, id, sentence)).await,
    };
    tracing::debug!(session = %opened.session, channel = id.number(), ?finish, "channel closed");
    if finish == Finish::TargetLost {
        Box::pin(say_goodbye(&front, id, SERVER_LOST)).await;
    }
}

/// Both directions at once, in one task: whichever ends first ends the channel.
async fn relay(lane: Lane, client: Channel<ClientMsg>, target: Channel<TargetMsg>) -> Finish {
    let (client_read, client_write) = client.split();
    let (target_read, target_write) = target.split();
    let (asked, answers) = mpsc::channel(1);
    let client_eof = Arc::new(AtomicBool::new(false));
    let down = Downstream {
        id: lane.id,
        target: target_read,
        client: client_write,
        front: lane.front.clone(),
        asked: answers,
        early: None,
        client_eof: Arc::clone(&client_eof),
        held_eof: None,
        tap: None,
    };
    let up = Upstream::new(lane, target_write, asked, client_eof);
    tokio::select! {
        finish = up.run(client_read) => finish,
        finish = down.run() => finish,
    }
}

/// A last line on the channel's stderr, which terminals and scripts show both. Errors are no matter: the
/// client may be gone.
async fn say_goodbye(front: &server::Handle, id: ChannelId, sentence: &str) {
    let _ = front.extended_data(id, STDERR, format!("\r\nkeyward: {sentence}\r\n")).await;
    let _ = front.eof(id).await;
    let _ = front.close(id).await;
}

/// From the target to the client.
struct Downstream {
    id: ChannelId,
    target: ChannelReadHalf,
    client: ChannelWriteHalf<ClientMsg>,
    front: server::Handle,
    asked: mpsc::Receiver<Asked>,
    /// The request whose program has begun to speak before the target answered.
    early: Option<Asked>,
    /// Whether the client has no more to send.
    client_eof: Arc<AtomicBool>,
    /// The target's EOF, which waits for the exit status until then.
    held_eof: Option<Instant>,
    /// Present once a program runs; before, a target has nothing to say.
    tap: Option<Tap>,
}

impl Downstream {
    async fn run(mut self) -> Finish {
        loop {
            let message = match self.held_eof {
                Some(until) if !self.client_eof.load(Ordering::Acquire) => {
                    match tokio::time::timeout_at(until, self.target.wait()).await {
                        Ok(message) => message,
                        Err(_) if self.client_eof.load(Ordering::Acquire) => continue,
                        Err(_) => match self.release_eof().await {
                            Ok(()) => continue,
                            Err(finish) => return finish,
                        },
                    }
                }
                Some(_) | None => self.target.wait().await,
            };
            let Some(message) = message else { return Finish::TargetLost };
            if let Err(finish) = self.pass(message).await {
                return finish;
            }
        }
    }

    /// Keeps the target's EOF back for a moment. A client that has sent its own closes the channel at once when
    /// it gets one (OpenSSH does), the library answers with a close, and the exit status would find no channel.
    /// So it goes first. A program that closed its output and works on is told apart by the moment passing.
    async fn hold_eof(&mut self) -> Result<(), Finish> {
        let direction = Direction::ToClient;
        self.record(|channel| Event::Eof { channel, direction }).await?;
        self.held_eof = Some(Instant::now() + EXIT_STATUS_FOLLOWS);
        Ok(())
    }

    async fn release_eof(&mut self) -> Result<(), Finish> {
        match self.held_eof.take() {
            Some(_) => self.client.eof().await.map_err(|_| Finish::ClientLost),
            None => Ok(()),
        }
    }

    async fn pass(&mut self, message: ChannelMsg) -> Result<(), Finish> {
        match message {
            ChannelMsg::Data { data } => {
                self.speaks();
                self.data(None, data).await
            }
            ChannelMsg::ExtendedData { data, ext } => {
                self.speaks();
                self.data(Some(ext), data).await
            }
            // Boxed, as on the way up.
            rare => Box::pin(self.control(rare)).await,
        }
    }

    async fn control(&mut self, message: ChannelMsg) -> Result<(), Finish> {
        match message {
            ChannelMsg::Success => self.answer(true).await,
            ChannelMsg::Failure => self.answer(false).await,
            ChannelMsg::Eof => self.hold_eof().await,
            ChannelMsg::ExitStatus { exit_status } => {
                self.exit_status(exit_status).await?;
                self.release_eof().await
            }
            ChannelMsg::ExitSignal { signal_name, core_dumped, error_message, lang_tag } => {
                let language = lang_tag;
                self.exit_signal(signal_name, core_dumped, error_message, language).await?;
                self.release_eof().await
            }
            ChannelMsg::XonXoff { client_can_do } => {
                self.front.xon_xoff_request(self.id, client_can_do).await.map_err(|()| Finish::ClientLost)
            }
            ChannelMsg::Close => {
                // A recording that has ended does not keep the channel open.
                let _ = self.record(|channel| Event::Close { channel }).await;
                self.release_eof().await?;
                self.client.close().await.map_err(|_| Finish::ClientLost)?;
                Err(Finish::TargetClosed)
            }
            // Data is passed above; window adjustments are the library's business; the rest only clients send.
            _ => Ok(()),
        }
    }

    async fn data(&mut self, extended: Option<u32>, data: bytes::Bytes) -> Result<(), Finish> {
        let Some(tap) = &self.tap else { return Ok(()) };
        let stream = if extended.is_some() { Stream::Stderr } else { Stream::Main };
        tap.data(Direction::ToClient, stream, &data).await.map_err(|_| Finish::Unrecorded)?;
        let sent = match extended {
            None => self.client.data_bytes(data).await,
            Some(kind) => self.client.extended_data_bytes(kind, data).await,
        };
        sent.map_err(|_| Finish::ClientLost)
    }

    /// Some servers (those built on Paramiko) let a program speak before they say that it was started: what it
    /// says is recorded and passed on like everything after.
    fn speaks(&mut self) {
        if self.tap.is_none()
            && self.early.is_none()
            && let Ok(asked) = self.asked.try_recv()
        {
            self.tap.clone_from(&asked.tap);
            self.early = Some(asked);
        }
    }

    /// Passes the target's answer on before anything that follows it. An answer that nobody asked for is
    /// dropped.
    async fn answer(&mut self, accepted: bool) -> Result<(), Finish> {
        let Some(asked) = self.early.take().or_else(|| self.asked.try_recv().ok()) else { return Ok(()) };
        if accepted {
            self.tap = asked.tap.or_else(|| self.tap.take());
        } else if asked.tap.is_some() {
            self.tap = None;
        }
        let sent = if accepted {
            self.front.channel_success(self.id).await
        } else {
            self.front.channel_failure(self.id).await
        };
        // The other half may have stopped waiting.
        let _ = asked.accepted.send(accepted);
        sent.map_err(|()| Finish::ClientLost)
    }

    async fn exit_status(&mut self, code: u32) -> Result<(), Finish> {
        if let Some(tap) = &self.tap {
            tap.exit(keyward_trail::ExitStatus::Code(code)).await.map_err(|_| Finish::Unrecorded)?;
        }
        self.client.exit_status(code).await.map_err(|_| Finish::ClientLost)
    }

    async fn exit_signal(
        &mut self,
        signal: Sig,
        core_dumped: bool,
        message: String,
        language: String,
    ) -> Result<(), Finish> {
        if let Some(tap) = &self.tap {
            let status = keyward_trail::ExitStatus::Signal {
                name: signal_name(&signal).into(),
                core_dumped,
                message: message.clone().into(),
            };
            tap.exit(status).await.map_err(|_| Finish::Unrecorded)?;
        }
        let sent = self.front.exit_signal_request(self.id, signal, core_dumped, message, language).await;
        sent.map_err(|()| Finish::ClientLost)
    }

    async fn record(
        &self,
        event: impl FnOnce(keyward_trail::ChannelId) -> Event<'static>,
    ) -> Result<(), Finish> {
        let Some(tap) = &self.tap else { return Ok(()) };
        tap.event(event(tap.channel())).await.map_err(|_| Finish::Unrecorded)
    }
}

/// The name as it goes over the wire, without `SIG` (RFC 4254 section 6.10).
pub(crate) fn signal_name(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_the_names_of_the_rfc() {
        assert_eq!(signal_name(&Sig::TERM), "TERM");
        assert_eq!(signal_name(&Sig::Custom("INFO@openssh.com".into())), "INFO@openssh.com");
    }
}
