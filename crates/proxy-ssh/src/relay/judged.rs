//! Channels with a content policy: what is typed and shown goes through a judge before it is passed on.

use std::time::Instant;

use keyward_session::{CannotJudge, Channels, Finding, Modes, Output};
use keyward_ssh::{Transport, channel};
use keyward_trail::{ChannelId, Direction, Event, Stream};

use super::Stop;
use super::channel::{Channel, Id};
use super::desk::{Desk, pass};
use super::recording::Recording;

/// Bytes of a packet with what was held; every peer takes as many.
const PIECE: usize = 1024;

impl Desk {
    /// Passes what the client typed as far as the judge lets it; the rest waits with the judge.
    pub(super) async fn pass_judged(
        &mut self,
        recipient: u32,
        data: &[u8],
        message: &[u8],
        target: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        let Self { channels, table, recording, holding, .. } = self;
        let Some(channel) = table.of_client(recipient) else { return Ok(()) };
        let Some(judge) = &mut channel.judge else { return Ok(()) };
        let passed = judge.typed(data, Instant::now()).map_err(|error| unjudged(channels, &error))?;
        if judge.holds() && !holding.contains(&channel.id) {
            holding.push(channel.id);
        }
        // They take no room at the target.
        if let (Some(client), Ok(dropped @ 1..)) = (channel.client, u32::try_from(passed.dropped)) {
            back.push(channel::window_adjust(client, dropped));
        }
        match data.get(..passed.bytes) {
            Some(part) if passed.bytes < data.len() => pass_data(channel, part, recording, target).await?,
            Some(_) | None => {
                let Some(tap) = &channel.tap else { return Ok(()) };
                recording.data(tap, Direction::FromClient, Stream::Main, data).await?;
                pass(target, message)?;
            }
        }
        note_in(channels, channel, &passed.findings).await
    }

    /// The client types no more.
    pub(super) async fn pass_last(&mut self, recipient: u32, target: &mut Transport) -> Result<(), Stop> {
        let Some(channel) = self.table.of_client(recipient) else { return Ok(()) };
        if self.holding.contains(&channel.id) {
            channel.eof_waits = true;
            return Ok(());
        }
        if let Some(judge) = &mut channel.judge {
            let findings = judge.typed_all().map_err(|error| unjudged(&self.channels, &error))?;
            note_in(&self.channels, channel, &findings).await?;
        }
        let direction = Direction::FromClient;
        self.recording.event(channel.tap.as_ref(), |channel| Event::Eof { channel, direction }).await?;
        pass(target, &channel::eof(recipient))
    }

    /// The target has said whether it gives the channel a terminal.
    pub(super) fn has_terminal(&mut self, recipient: u32, is_there: bool) -> Result<(), Stop> {
        let Some(channel) = self.table.of_target(recipient) else { return Ok(()) };
        channel.terminals_asked = channel.terminals_asked.saturating_sub(1);
        if !is_there && channel.tap.is_none() {
            (channel.terminal, channel.modes) = (None, Modes::Usual);
        }
        match &mut channel.judge {
            Some(judge) if channel.terminals_asked == 0 => {
                judge.has_terminal(is_there).map_err(|error| unjudged(&self.channels, &error))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether anything waits for a judge.
    pub(super) fn holds(&self) -> bool {
        !self.holding.is_empty()
    }

    /// When the next of what is held can be judged.
    pub(super) fn next_release(&mut self) -> Option<Instant> {
        let Self { table, holding, .. } = self;
        holding.iter().filter_map(|id| table.get(*id)?.judge.as_ref()?.due()).min()
    }

    /// Passes what was held and has been judged.
    pub(super) async fn release(&mut self, now: Instant, target: &mut Transport) -> Result<(), Stop> {
        for id in std::mem::take(&mut self.holding) {
            if self.release_of(id, now, target).await? {
                self.holding.push(id);
                continue;
            }
            let Some(channel) = self.table.get(id) else { continue };
            if std::mem::take(&mut channel.eof_waits)
                && let Some(recipient) = channel.target
            {
                self.pass_last(recipient, target).await?;
            }
        }
        Ok(())
    }

    /// Whether something of the channel waits still.
    async fn release_of(&mut self, id: Id, now: Instant, target: &mut Transport) -> Result<bool, Stop> {
        let Self { channels, table, recording, .. } = self;
        let Some(channel) = table.get(id).filter(|channel| !channel.to_target.told) else { return Ok(false) };
        let Some(judge) = &mut channel.judge else { return Ok(false) };
        let released = judge.released(now).map_err(|error| unjudged(channels, &error))?;
        let waits = judge.holds();
        pass_data(channel, &released.bytes, recording, target).await?;
        note_in(channels, channel, &released.findings).await?;
        Ok(waits)
    }
}

/// Waits for a moment; for ever where there is none. Cancel-safe.
pub(super) async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// Records and passes bytes of the client.
async fn pass_data(
    channel: &Channel,
    data: &[u8],
    recording: &mut Recording,
    target: &mut Transport,
) -> Result<(), Stop> {
    let (Some(tap), Some(recipient)) = (&channel.tap, channel.target) else { return Ok(()) };
    for piece in data.chunks(PIECE) {
        recording.data(tap, Direction::FromClient, Stream::Main, piece).await?;
        pass(target, &channel::data(recipient, piece))?;
    }
    Ok(())
}

/// Notes what was found; an error where the session ends.
pub(super) async fn note(
    channels: &Channels,
    channel: ChannelId,
    found: Result<Vec<Finding>, CannotJudge>,
) -> Result<(), Stop> {
    let findings = found.map_err(|error| unjudged(channels, &error))?;
    channels.found(channel, &findings).await.map_err(|_| Stop::Judged)
}

async fn note_in(channels: &Channels, channel: &Channel, findings: &[Finding]) -> Result<(), Stop> {
    let Some(tap) = &channel.tap else { return Ok(()) };
    channels.found(tap.channel(), findings).await.map_err(|_| Stop::Judged)
}

fn unjudged(channels: &Channels, error: &CannotJudge) -> Stop {
    channels.cannot_judge(error);
    Stop::Judged
}

pub(super) fn output(stream: Stream) -> Output {
    match stream {
        Stream::Main => Output::Main,
        Stream::Stderr => Output::Stderr,
    }
}
