//! From the client to the target: requests are judged, bytes are recorded, and both keep their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use keyward_policy::ChannelKind;
use keyward_session::{ChannelRefused, ChannelRequest, Tap};
use keyward_trail::{Direction, Event, Stream, Terminal};
use russh::client::Msg as TargetMsg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Pty, Sig};
use tokio::sync::{mpsc, oneshot};

use crate::backlog::Backlog;
use crate::client::PATIENCE;
use crate::command;
use crate::relay::{Asked, Finish, Lane, STDERR, signal_name};
use crate::server::TIME_TO_READ;

/// One channel's way up.
pub(crate) struct Upstream {
    lane: Lane,
    target: ChannelWriteHalf<TargetMsg>,
    asked: mpsc::Sender<Asked>,
    /// Set when the client has no more to send.
    client_eof: Arc<AtomicBool>,
    terminal: Option<Terminal<'static>>,
    /// Variables that came before the recording began.
    variables: Vec<(String, String)>,
    variables_left: usize,
    /// Present once the policy has allowed a program.
    tap: Option<Tap>,
}

/// What a client wants to run (RFC 4254 section 6.5).
enum Program {
    Shell,
    Command(Vec<u8>),
    Subsystem(String),
}

struct Pseudoterminal {
    term: String,
    columns: u32,
    rows: u32,
    width: u32,
    height: u32,
    modes: Vec<(Pty, u32)>,
}

/// Bytes of variables per channel; OpenSSH sends a handful of short ones.
const MOST_VARIABLES: usize = 64 * 1024;
/// What each variable counts at least.
const VARIABLE: usize = 128;

impl Upstream {
    pub(crate) fn new(
        lane: Lane,
        target: ChannelWriteHalf<TargetMsg>,
        asked: mpsc::Sender<Asked>,
        client_eof: Arc<AtomicBool>,
    ) -> Self {
        Self {
            lane,
            target,
            asked,
            terminal: None,
            variables: Vec::new(),
            variables_left: MOST_VARIABLES,
            tap: None,
            client_eof,
        }
    }

    /// Serves the client until one side is done. The backlog takes what comes meanwhile.
    pub(crate) async fn run(mut self, client: ChannelReadHalf) -> Finish {
        let backlog = Arc::clone(&self.lane.backlog);
        let finish = tokio::select! {
            finish = self.pass_all(&backlog) => finish,
            // The last message is taken above.
            never = async { backlog.fill(client).await; std::future::pending().await } => never,
        };
        // The target may be gone as well, and then there is nothing to close.
        let _ = self.target.close().await;
        finish
    }

    async fn pass_all(&mut self, backlog: &Backlog) -> Finish {
        loop {
            let Some(message) = backlog.next().await else { return Finish::ClientLost };
            if let Err(finish) = self.pass(message).await {
                return finish;
            }
        }
    }

    async fn pass(&mut self, message: ChannelMsg) -> Result<(), Finish> {
        match message {
            ChannelMsg::Data { data } => self.data(data).await,
            // Boxed: what is rare would make every open channel's future three times as large.
            rare => Box::pin(self.control(rare)).await,
        }
    }

    async fn control(&mut self, message: ChannelMsg) -> Result<(), Finish> {
        match message {
            ChannelMsg::Eof => self.eof().await,
            ChannelMsg::RequestPty {
                term,
                col_width,
                row_height,
                pix_width,
                pix_height,
                terminal_modes,
                ..
            } => {
                let (columns, rows, width, height) = (col_width, row_height, pix_width, pix_height);
                self.terminal(Pseudoterminal { term, columns, rows, width, height, modes: terminal_modes })
                    .await
            }
            ChannelMsg::SetEnv { variable_name, variable_value, .. } => {
                self.variable(variable_name, variable_value).await
            }
            ChannelMsg::RequestShell { .. } => self.program(Program::Shell).await,
            ChannelMsg::Exec { command, .. } => self.program(Program::Command(command)).await,
            ChannelMsg::RequestSubsystem { name, .. } => self.program(Program::Subsystem(name)).await,
            ChannelMsg::WindowChange { col_width, row_height, pix_width, pix_height } => {
                self.window(col_width, row_height).await?;
                let changed = self.target.window_change(col_width, row_height, pix_width, pix_height).await;
                changed.map_err(|_| Finish::TargetLost)
            }
            ChannelMsg::Signal { signal } => self.signal(signal).await,
            ChannelMsg::Close => {
                // A recording that has ended does not keep the channel open.
                let _ = self.record(|channel| Event::Close { channel }).await;
                Err(Finish::ClientClosed)
            }
            // Data is passed above; X11 and agent requests are refused by the handler; clients send no stderr;
            // window adjustments are the library's business; the rest only servers send.
            _ => Ok(()),
        }
    }

    /// Recorded before it is passed on. Without a program there is nobody to read it.
    async fn data(&mut self, data: Bytes) -> Result<(), Finish> {
        let Some(tap) = &self.tap else { return Ok(()) };
        tap.data(Direction::FromClient, Stream::Main, &data).await.map_err(|_| Finish::Unrecorded)?;
        self.target.data_bytes(data).await.map_err(|_| Finish::TargetLost)
    }

    async fn eof(&mut self) -> Result<(), Finish> {
        self.client_eof.store(true, Ordering::Release);
        let direction = Direction::FromClient;
        self.record(|channel| Event::Eof { channel, direction }).await?;
        self.target.eof().await.map_err(|_| Finish::TargetLost)
    }

    async fn signal(&mut self, signal: Sig) -> Result<(), Finish> {
        let name = signal_name(&signal);
        self.record(|channel| Event::Signal { channel, name: name.into() }).await?;
        self.target.signal(signal).await.map_err(|_| Finish::TargetLost)
    }

    async fn window(&mut self, columns: u32, rows: u32) -> Result<(), Finish> {
        if let Some(terminal) = &mut self.terminal {
            (terminal.columns, terminal.rows) = (columns, rows);
        }
        self.record(|channel| Event::Window { channel, columns, rows }).await
    }

    /// The handler has answered the client already; the target's opinion is not asked for.
    async fn variable(&mut self, name: String, value: String) -> Result<(), Finish> {
        let size = VARIABLE + name.len() + value.len();
        let Some(left) = self.variables_left.checked_sub(size) else { return Ok(()) };
        self.variables_left = left;
        match &self.tap {
            Some(_) => self.record_variable(name.clone(), value.clone()).await?,
            None => self.variables.push((name.clone(), value.clone())),
        }
        self.target.set_env(false, name, value).await.map_err(|_| Finish::TargetLost)
    }

    async fn record_variable(&self, name: String, value: String) -> Result<(), Finish> {
        self.record(|channel| Event::Env { channel, name: name.into(), value: value.into() }).await
    }

    async fn terminal(&mut self, pty: Pseudoterminal) -> Result<(), Finish> {
        let answer = self.expect_answer(None).await?;
        let Pseudoterminal { term, columns, rows, width, height, modes } = pty;
        let asked = self.target.request_pty(true, &term, columns, rows, width, height, &modes).await;
        asked.map_err(|_| Finish::TargetLost)?;
        if self.answer(answer).await? {
            self.terminal = Some(Terminal { term: term.into(), columns, rows });
        }
        Ok(())
    }

    /// Asks the policy, then the target. One program runs in a channel; a client may try another one after the
    /// target has refused the first.
    async fn program(&mut self, program: Program) -> Result<(), Finish> {
        if self.tap.is_some() {
            return self.refuse().await;
        }
        let request = self.request(&program);
        let tap = match self.lane.opened.channels.open(&request).await {
            Ok(tap) => tap,
            Err(refused) => return self.deny(request.kind, refused).await,
        };
        self.tap = Some(tap.clone());
        for (name, value) in std::mem::take(&mut self.variables) {
            self.record_variable(name, value).await?;
        }
        let answer = self.expect_answer(Some(tap)).await?;
        let asked = match program {
            Program::Shell => self.target.request_shell(true).await,
            Program::Command(command) => self.target.exec(true, command).await,
            Program::Subsystem(name) => self.target.request_subsystem(true, name).await,
        };
        asked.map_err(|_| Finish::TargetLost)?;
        if !self.answer(answer).await? {
            self.record(|channel| Event::Close { channel }).await?;
            self.tap = None;
        }
        Ok(())
    }

    fn request(&self, program: &Program) -> ChannelRequest {
        let (kind, command) = match program {
            Program::Shell => (ChannelKind::Shell, None),
            Program::Command(command) => (command::kind(command), Some(command.clone())),
            Program::Subsystem(name) if name == "sftp" => {
                (ChannelKind::Sftp, Some(name.clone().into_bytes()))
            }
            Program::Subsystem(name) => (ChannelKind::Subsystem, Some(name.clone().into_bytes())),
        };
        ChannelRequest { kind, command, terminal: self.terminal.clone() }
    }

    /// Says what the policy refuses, and closes the channel.
    async fn deny(&mut self, kind: ChannelKind, refused: ChannelRefused) -> Result<(), Finish> {
        let (front, id) = (&self.lane.front, self.lane.id);
        let sentence = match refused {
            ChannelRefused::Policy => format!("keyward: {kind} is not allowed here.\r\n"),
            ChannelRefused::Over => "keyward: The session was ended by the gateway.\r\n".to_owned(),
        };
        front.extended_data(id, STDERR, sentence).await.map_err(|_| Finish::ClientLost)?;
        tokio::time::sleep(TIME_TO_READ).await;
        self.refuse().await?;
        self.lane.front.close(id).await.map_err(|()| Finish::ClientLost)?;
        Err(Finish::Refused)
    }

    async fn refuse(&mut self) -> Result<(), Finish> {
        let refused = self.lane.front.channel_failure(self.lane.id).await;
        self.lane.answers.answered();
        refused.map_err(|()| Finish::ClientLost)
    }

    /// Lets the way down know that the next answer belongs to a request.
    async fn expect_answer(&self, tap: Option<Tap>) -> Result<oneshot::Receiver<bool>, Finish> {
        let (accepted, answer) = oneshot::channel();
        self.asked.send(Asked { accepted, tap }).await.map_err(|_| Finish::TargetLost)?;
        Ok(answer)
    }

    /// The target's answer, which the way down has passed on. Nothing that the client sends meanwhile is lost:
    /// it waits in the backlog.
    async fn answer(&mut self, answer: oneshot::Receiver<bool>) -> Result<bool, Finish> {
        let answered = tokio::time::timeout(PATIENCE, answer).await;
        self.lane.answers.answered();
        match answered {
            Ok(Ok(accepted)) => Ok(accepted),
            Ok(Err(_)) | Err(_) => Err(Finish::TargetLost),
        }
    }

    async fn record(
        &self,
        event: impl FnOnce(keyward_trail::ChannelId) -> Event<'static>,
    ) -> Result<(), Finish> {
        let Some(tap) = &self.tap else { return Ok(()) };
        tap.event(event(tap.channel())).await.map_err(|_| Finish::Unrecorded)
    }
}
