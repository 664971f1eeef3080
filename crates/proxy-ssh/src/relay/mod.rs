//! An open session: messages go from one side to the other as they came, judged and recorded on the way.
//!
//! Channel numbers, windows and the order of everything are those of the two peers, so that what works between
//! them works through the gateway. Flow control is theirs as well: the gateway holds no more than what one of them
//! has sent and the other has not taken yet, and stops reading when that is much.

mod channel;
mod desk;
mod down;
mod early;
mod files;
mod forced;
mod forward;
mod granted;
mod harmless;
mod judged;
mod recording;
mod scp;
mod sftp;
mod up;

use std::pin::pin;
use std::time::{Duration, Instant};

use keyward_session::{Channels, EndCause, RecorderGone};
use keyward_ssh::{Disconnect, Event};

use crate::SshError;
use crate::early::Early;
use crate::peer::{Look, Peer, Reads};
use desk::Desk;
use early::Beginning;

/// How a session ended.
#[derive(Debug)]
pub(crate) enum End {
    Client(SshError),
    Target(SshError),
    /// The gateway ended it.
    Over(EndCause),
}

/// Why a message was not passed on.
#[derive(Debug)]
enum Stop {
    /// Whoever sent it is not served any more.
    Sender(SshError),
    /// Whoever was to get it cannot get it.
    Receiver(SshError),
    /// What cannot be recorded is not passed on. The session ends by itself.
    Unrecorded,
    /// A content rule ends the session, or cannot be held against what was sent.
    Judged,
}

impl From<SshError> for Stop {
    fn from(error: SshError) -> Self {
        Self::Sender(error)
    }
}

impl From<RecorderGone> for Stop {
    fn from(_: RecorderGone) -> Self {
        Self::Unrecorded
    }
}

/// Both connections of a session, and what the relay knows of its channels.
pub(crate) struct Relay {
    pub(crate) client: Peer,
    pub(crate) target: Peer,
    desk: Desk,
    /// Something waits to be written that could not be recorded: nothing is written any more.
    is_unrecorded: bool,
}

/// With more than this waiting for one side, the other is not listened to,
const MUCH: usize = 256 * 1024;
/// unless both wait for each other: then up to here. Two peers that each wait for the other to read would
/// wait for ever.
const MOST: usize = 4 * 1024 * 1024;

/// OpenSSH forgets what it has not shown yet when the server leaves: a sentence gets this long, and is in the farewell too.
pub(crate) const TIME_TO_READ: Duration = Duration::from_millis(100);

impl Relay {
    /// `early` is what the client has sent already.
    pub(crate) fn new(client: Peer, target: Peer, channels: Channels, early: Option<Box<Early>>) -> Self {
        let mut desk = Desk::new(channels);
        desk.early = early.map(|early| Box::new(Beginning::of(*early)));
        Self { client, target, desk, is_unrecorded: false }
    }

    /// Relays until one side leaves or the gateway ends the session. Dropping the future cuts both connections.
    pub(crate) async fn run(&mut self) -> End {
        let end = self.relay().await;
        for id in self.desk.table.with_files() {
            Box::pin(self.desk.finish_files(id)).await;
        }
        end
    }

    async fn relay(&mut self) -> End {
        let channels = self.desk.channels.clone();
        let mut over = pin!(channels.over());
        let mut turns = 0_u32;
        loop {
            let moved = match self.step().await {
                Ok(moved) => moved,
                Err(Some(end)) => return end,
                // The session says itself why nothing is recorded any more.
                Err(None) => return End::Over(over.await),
            };
            if moved {
                turns += 1;
                tokio::select! {
                    biased;
                    cause = &mut over => return End::Over(cause),
                    () = give_way(turns) => {}
                }
                continue;
            }
            turns = 0;
            self.client.transport.rest();
            self.target.transport.rest();
            let (from_client, from_target) = (self.reads_client(), self.reads_target());
            let release = self.desk.next_release();
            let wait = self.wait();
            tokio::select! {
                ready = self.client.ready(from_client) => if let Err(error) = ready { return End::Client(error) },
                ready = self.target.ready(from_target) => if let Err(error) = ready { return End::Target(error) },
                cause = &mut over => return End::Over(cause),
                end = early::waited_in_vain(wait) => return end,
                () = self.desk.something_is_due() => {}
                () = judged::reached(release) => {}
            }
        }
    }

    /// One look at both sockets, each way. Whether anything moved.
    async fn step(&mut self) -> Result<bool, Option<End>> {
        // Waited for here, nothing is sealed yet that could not be recorded, and the person still gets a last sentence.
        self.desk.channels.room_to_record().await.map_err(|RecorderGone| None)?;
        let now = Instant::now();
        let mut moved = false;
        let mut ended = None;
        if self.reads_client() == Reads::Yes {
            match self.client.try_read() {
                Ok(Look::Nothing) => {}
                Ok(Look::Something) => moved = true,
                Ok(Look::End) => ended = Some(End::Client(SshError::Closed)),
                Err(error) => ended = Some(End::Client(SshError::Io(error))),
            }
        }
        self.hear_client(now).await?;
        if self.reads_target() == Reads::Yes && ended.is_none() {
            match self.target.try_read() {
                Ok(Look::Nothing) => {}
                Ok(Look::Something) => moved = true,
                Ok(Look::End) => ended = Some(End::Target(SshError::Closed)),
                Err(error) => ended = Some(End::Target(SshError::Io(error))),
            }
        }
        self.hear_target(now).await?;
        self.release(now).await?;
        self.desk
            .close_what_is_due(&mut self.client.transport, &mut self.target.transport)
            .map_err(of_client)?;
        // INVARIANT: recorded before it is passed on.
        self.record().await?;
        moved |= self.client.write().map_err(|error| Some(End::Client(error)))? == Look::Something;
        moved |= self.target.write().map_err(|error| Some(End::Target(error)))? == Look::Something;
        match ended {
            Some(end) => Err(Some(end)),
            None => Ok(moved),
        }
    }

    /// Hands to the recorder what is about to be passed on.
    async fn record(&mut self) -> Result<(), Option<End>> {
        let recorded = self.desk.recording.flush().await;
        self.is_unrecorded |= recorded.is_err();
        recorded.map_err(|RecorderGone| None)
    }

    async fn hear_client(&mut self, now: Instant) -> Result<(), Option<End>> {
        if self.desk.early.is_some() {
            Box::pin(self.hear_held()).await?;
        }
        if self.waits() {
            return Ok(());
        }
        let Self { client, target, desk, is_unrecorded } = self;
        let mut back = Vec::new();
        while let Some(event) = client.transport.next(now).map_err(|error| of_client(error.into()))? {
            match event {
                Event::Message(message) => {
                    let passed = match desk.early {
                        None => desk.pass_up(message, &mut target.transport, &mut back).await,
                        // Boxed: most clients are let in when the target is reached.
                        Some(_) => {
                            Box::pin(desk.pass_renamed(message, &mut target.transport, &mut back)).await
                        }
                    };
                    *is_unrecorded |= matches!(passed, Err(Stop::Unrecorded));
                    passed.map_err(|stop| end(stop, End::Client, End::Target))?;
                }
                Event::Disconnected(farewell) => return Err(of_client(SshError::Left(farewell.description))),
                Event::HostKey(_) | Event::Ready => return Err(of_client(SshError::OutOfTurn)),
            }
            for message in back.drain(..) {
                client.send(&message).map_err(of_client)?;
            }
        }
        client.transport.rekey_if_due(now).map_err(|error| of_client(error.into()))
    }

    async fn hear_target(&mut self, now: Instant) -> Result<(), Option<End>> {
        let Self { client, target, desk, is_unrecorded } = self;
        let of_target = |error: SshError| Some(End::Target(error));
        let mut back = Vec::new();
        while let Some(event) = target.transport.next(now).map_err(|error| of_target(error.into()))? {
            match event {
                Event::Message(message) => {
                    let passed = desk.pass_down(message, &mut client.transport, &mut back).await;
                    *is_unrecorded |= matches!(passed, Err(Stop::Unrecorded));
                    passed.map_err(|stop| end(stop, End::Target, End::Client))?;
                }
                Event::Disconnected(farewell) => return Err(of_target(SshError::Left(farewell.description))),
                Event::HostKey(_) | Event::Ready => return Err(of_target(SshError::OutOfTurn)),
            }
            for message in back.drain(..) {
                target.send(&message).map_err(of_target)?;
            }
        }
        target.transport.rekey_if_due(now).map_err(|error| of_target(error.into()))
    }

    /// Passes on what was typed and had to wait.
    async fn release(&mut self, now: Instant) -> Result<(), Option<End>> {
        if !self.desk.holds() {
            return Ok(());
        }
        let released = Box::pin(self.desk.release(now, &mut self.target.transport)).await;
        self.is_unrecorded |= matches!(released, Err(Stop::Unrecorded));
        released.map_err(|stop| end(stop, End::Client, End::Target))
    }

    /// Whether the client has to wait for the target to open what the client takes for open already.
    fn waits(&self) -> bool {
        self.desk.early.as_ref().is_some_and(|early| early.waits())
    }

    fn reads_client(&self) -> Reads {
        if self.waits() {
            return Reads::No;
        }
        reads(self.target.transport.backlog(), self.client.transport.backlog())
    }

    fn reads_target(&self) -> Reads {
        reads(self.client.transport.backlog(), self.target.transport.backlog())
    }

    /// The end that comes from the target or the gateway: open channels get the sentence as a last line, then the
    /// client is told to leave.
    pub(crate) async fn say_goodbye(&mut self, sentence: &str) {
        if self.record().await.is_err() || self.is_unrecorded {
            return;
        }
        self.desk.say_goodbye(&mut self.client.transport, sentence);
        let _ = tokio::time::timeout(LAST_WORDS, self.client.flush()).await;
        tokio::time::sleep(TIME_TO_READ).await;
        self.client.leave(Disconnect::ByApplication, sentence).await;
    }

    /// Lets the target have what the client sent before it left.
    pub(crate) async fn leave_target(&mut self) {
        if self.record().await.is_ok() && !self.is_unrecorded {
            self.target.leave(Disconnect::ByApplication, "").await;
        }
    }
}

/// Looks in a row at sockets that both had something, about two MiB; then the other sessions of this thread have their
/// turn. After each look would cost a system call for each.
const TURNS: u32 = 16;

async fn give_way(turns: u32) {
    if turns.is_multiple_of(TURNS) {
        tokio::task::yield_now().await;
    }
}

/// How long a peer may take for what is on its way to it when the session ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

fn reads(onward: usize, back: usize) -> Reads {
    let wait_for_each_other = onward > MUCH && back > MUCH;
    let is_free = onward <= MUCH || (wait_for_each_other && onward <= MOST);
    if is_free && back <= MOST { Reads::Yes } else { Reads::No }
}

fn of_client(error: SshError) -> Option<End> {
    Some(End::Client(error))
}

fn end(stop: Stop, sender: fn(SshError) -> End, receiver: fn(SshError) -> End) -> Option<End> {
    match stop {
        Stop::Sender(error) => Some(sender(error)),
        Stop::Receiver(error) => Some(receiver(error)),
        Stop::Unrecorded | Stop::Judged => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_that_does_not_take_what_it_is_sent_stops_the_other() {
        assert_eq!(reads(0, 0), Reads::Yes);
        assert_eq!(reads(MUCH + 1, 0), Reads::No);
        assert_eq!(reads(0, MUCH + 1), Reads::Yes);
    }

    #[test]
    fn two_sides_that_wait_for_each_other_go_on_to_a_bound() {
        assert_eq!(reads(MUCH + 1, MUCH + 1), Reads::Yes);
        assert_eq!(reads(MOST + 1, MUCH + 1), Reads::No);
        assert_eq!(reads(MUCH + 1, MOST + 1), Reads::No);
        assert_eq!(reads(0, MOST + 1), Reads::No);
    }
}
