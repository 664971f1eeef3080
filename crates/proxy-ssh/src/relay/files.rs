//! Channels in which files are moved: what is done to them is judged, recorded and noted on the way.

use keyward_policy::{ChannelKind, FileRules};
use keyward_session::{ChannelRequest, RecorderGone, Subject};
use keyward_ssh::Transport;
use keyward_ssh::channel::{DATA_AT, data_head, window_adjust};
use keyward_ssh::sftp::{Fault, Passed};
use keyward_trail::{Event, FileEvent, FileOutcome};

use super::Stop;
use super::channel::{Channel, Id};
use super::desk::{Desk, pass, receiver};
use super::scp::{self, ScpFault};
use super::sftp::{LinkOrder, OwnQuestion, QUESTION, Watcher};

/// What follows the files of one channel.
#[derive(Debug)]
pub(crate) struct Files {
    watch: Watch,
    kind: ChannelKind,
    /// The longest data of one packet so far: the other side takes that much.
    longest_up: usize,
    longest_down: usize,
}

#[derive(Debug)]
enum Watch {
    Sftp(Box<Watcher>),
    Scp(Box<scp::Watcher>),
    /// Nothing passes any more: the channel is being closed.
    Over,
}

/// What the record of a session has of its files.
#[derive(Debug, Default)]
pub(super) struct FileNotes {
    noted: usize,
    more: usize,
}

/// Operations on files that a session's record tells of one by one; the recording has all.
const MOST_NOTED: usize = 200;

/// Windows from this size on can spare a few bytes.
const SPARES: u32 = 4096;

/// Why a channel cannot go on.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Sftp(#[from] Fault),
    #[error(transparent)]
    Scp(#[from] ScpFault),
}

/// What a client wanted of scp and may not have.
#[derive(Debug)]
pub(super) struct NotAllowed;

/// What goes on of a message.
#[derive(Debug, Default)]
struct Onward {
    passed: Passed,
    own: Option<Vec<u8>>,
    ours: usize,
}

impl Files {
    /// `None` for channels without files.
    ///
    /// Of scp the command says already what it is about, and may be refused for that.
    pub(super) fn begin(
        request: &ChannelRequest,
        rules: FileRules,
        target: &Transport,
    ) -> Result<Option<Self>, NotAllowed> {
        let watch = match request.kind {
            ChannelKind::Sftp => {
                let is_openssh = target.peer_identification().starts_with(b"SSH-2.0-OpenSSH");
                let order = if is_openssh { LinkOrder::TargetFirst } else { LinkOrder::Unknown };
                Watch::Sftp(Box::new(Watcher::new(rules, order)))
            }
            ChannelKind::Scp => {
                let Subject::Command(command) = &request.subject else { return Err(NotAllowed) };
                let command = scp::Command::parse(command).filter(|command| command.may_start(&rules));
                Watch::Scp(Box::new(scp::Watcher::new(command.ok_or(NotAllowed)?, rules)))
            }
            _ => return Ok(None),
        };
        Ok(Some(Self { watch, kind: request.kind, longest_up: 0, longest_down: 0 }))
    }

    /// `kept` bytes of the target's window are the gateway's.
    fn up(&mut self, data: &mut [u8], kept: u32) -> Result<Onward, Broken> {
        self.longest_up = self.longest_up.max(data.len());
        match &mut self.watch {
            Watch::Sftp(watcher) => {
                let question = if kept >= QUESTION { OwnQuestion::May } else { OwnQuestion::MayNot };
                let upward = watcher.up(data, question)?;
                Ok(Onward { passed: upward.passed, own: upward.question, ours: 0 })
            }
            Watch::Scp(watcher) => {
                watcher.up(data)?;
                Ok(Onward::whole(data))
            }
            Watch::Over => Ok(Onward::default()),
        }
    }

    fn down(&mut self, data: &mut [u8]) -> Result<Onward, Broken> {
        self.longest_down = self.longest_down.max(data.len());
        match &mut self.watch {
            Watch::Sftp(watcher) => {
                let downward = watcher.down(data)?;
                Ok(Onward { passed: downward.passed, own: None, ours: downward.ours })
            }
            Watch::Scp(watcher) => {
                watcher.down(data)?;
                Ok(Onward::whole(data))
            }
            Watch::Over => Ok(Onward::default()),
        }
    }

    fn done(&mut self) -> Vec<FileEvent<'static>> {
        match &mut self.watch {
            Watch::Sftp(watcher) => watcher.done(),
            Watch::Scp(watcher) => watcher.done(),
            Watch::Over => Vec::new(),
        }
    }

    fn finish(&mut self) -> Vec<FileEvent<'static>> {
        match &mut self.watch {
            Watch::Sftp(watcher) => watcher.finish(),
            Watch::Scp(watcher) => watcher.finish(),
            Watch::Over => {}
        }
        let done = self.done();
        self.watch = Watch::Over;
        done
    }
}

impl Onward {
    fn whole(data: &[u8]) -> Self {
        let passed = Passed { before: Vec::new(), start: 0, end: data.len() };
        Self { passed, own: None, ours: 0 }
    }
}

impl Desk {
    /// Data of the client in a channel with files. It has been recorded as it came.
    pub(super) async fn pass_files_up(
        &mut self,
        recipient: u32,
        message: &mut [u8],
        target: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        let Some(channel) = self.table.of_client(recipient) else { return Ok(()) };
        let Some(files) = &mut channel.files else { return Ok(()) };
        let (id, seen) = (channel.id, files.up(message.get_mut(DATA_AT..).unwrap_or_default(), channel.kept));
        let (longest, events) = (files.longest_up, files.done());
        self.record_files(id, events).await?;
        match seen {
            Ok(onward) => {
                send(target, recipient, message, &onward.passed, longest)?;
                onward.own.map_or(Ok(()), |own| send_data(target, recipient, &own))
            }
            Err(fault) => {
                let sentence = self.break_files(id, fault).await;
                self.say_no(id, false, &sentence, back);
                Ok(())
            }
        }
    }

    /// Data of the target in a channel with files. It has been recorded as it came.
    pub(super) async fn pass_files_down(
        &mut self,
        recipient: u32,
        message: &mut [u8],
        client: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        let Some(channel) = self.table.of_target(recipient) else { return Ok(()) };
        let Some(files) = &mut channel.files else { return Ok(()) };
        let (id, seen) = (channel.id, files.down(message.get_mut(DATA_AT..).unwrap_or_default()));
        let (longest, events) = (files.longest_down, files.done());
        if let (Ok(Onward { ours: ours @ 1.., .. }), Some(number)) = (&seen, channel.target) {
            let ours = u32::try_from(*ours).unwrap_or(u32::MAX);
            channel.client_window = channel.client_window.saturating_add(ours);
            back.push(window_adjust(number, ours));
        }
        self.record_files(id, events).await?;
        match seen {
            Ok(onward) => send(client, recipient, message, &onward.passed, longest),
            Err(fault) => {
                let (sentence, mut last) = (self.break_files(id, fault).await, Vec::new());
                self.say_no(id, false, &sentence, &mut last);
                last.iter().try_for_each(|message| pass(client, message))
            }
        }
    }

    /// What cannot be followed does not go on. Gives the sentence for the person.
    async fn break_files(&mut self, id: Id, fault: Broken) -> String {
        let kind = self.table.get(id).and_then(|channel| channel.files.as_ref()).map(|files| files.kind);
        self.finish_files(id).await;
        if let Broken::Scp(ScpFault::NotAllowed { .. }) = fault {
            return format!("keyward: {fault}.\r\n");
        }
        tracing::info!(error = %fault, "a channel with files was closed: it cannot be followed");
        self.note_refusal("transfer of files that cannot be followed").await;
        format!(
            "keyward: this {} cannot be followed: {fault}.\r\n",
            kind.map_or("channel", ChannelKind::as_str)
        )
    }

    /// Records what has been done.
    async fn record_files(&mut self, id: Id, events: Vec<FileEvent<'static>>) -> Result<(), RecorderGone> {
        if events.is_empty() {
            return Ok(());
        }
        let Some(channel) = self.table.get(id) else { return Ok(()) };
        let Some(kind) = channel.files.as_ref().map(|files| files.kind) else { return Ok(()) };
        let tap = channel.tap.clone();
        for file in events {
            if is_notable(&file) {
                self.note_file(kind, &file).await;
            }
            self.recording.event(tap.as_ref(), |channel| Event::File { channel, file }).await?;
        }
        Ok(())
    }

    async fn note_file(&mut self, kind: ChannelKind, file: &FileEvent<'_>) {
        if self.files.noted >= MOST_NOTED {
            self.files.more += 1;
            return;
        }
        self.files.noted += 1;
        self.channels.note_files(&format!("{kind}: {file}")).await;
    }

    /// The channel, or the session, has ended. A recording that has ended before keeps nobody.
    pub(super) async fn finish_files(&mut self, id: Id) {
        let Some(files) = self.table.get(id).and_then(|channel| channel.files.as_mut()) else { return };
        let events = files.finish();
        let _ = self.record_files(id, events).await;
        match std::mem::take(&mut self.files.more) {
            0 => {}
            more => {
                let text = format!("{more} more operations on files are in the recording only");
                self.channels.note_files(&text).await;
            }
        }
    }
}

/// Whether the session's record tells of it: what moved or changed, and what was refused.
fn is_notable(file: &FileEvent<'_>) -> bool {
    file.outcome == FileOutcome::Refused || !matches!(&*file.operation, "list" | "look")
}

/// Sends what has passed of a message: mostly all of it, as it is.
fn send(
    onward: &mut Transport,
    recipient: u32,
    message: &[u8],
    passed: &Passed,
    longest: usize,
) -> Result<(), Stop> {
    let data = message.get(DATA_AT..).unwrap_or_default();
    if passed.before.is_empty() && (passed.start, passed.end) == (0, data.len()) {
        return pass(onward, message);
    }
    for piece in passed.before.chunks(longest.max(1)) {
        send_data(onward, recipient, piece)?;
    }
    match data.get(passed.start..passed.end) {
        None | Some([]) => Ok(()),
        Some(rest) => send_data(onward, recipient, rest),
    }
}

fn send_data(onward: &mut Transport, recipient: u32, data: &[u8]) -> Result<(), Stop> {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    onward.send_parts(&[&data_head(recipient, length), data]).map_err(receiver)
}

/// Where a target gives this much of its window, how much of that is the client's: the gateway keeps a little, once, to
/// ask a question of its own. `None`: all of it.
pub(super) fn keep(channel: &mut Channel, window: u32) -> Option<u32> {
    if !channel.keeps || channel.kept > 0 || window < SPARES {
        return None;
    }
    channel.kept = QUESTION;
    window.checked_sub(QUESTION)
}

/// A confirmation that offers another window.
pub(super) fn with_window(confirmation: &[u8], window: u32) -> Option<Vec<u8>> {
    /// Behind the message's number and those of the channel.
    const WINDOW: usize = 1 + 4 + 4;
    let mut message = confirmation.to_vec();
    message.get_mut(WINDOW..WINDOW + 4)?.copy_from_slice(&window.to_be_bytes());
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::channel::Table;
    use keyward_ssh::channel::{Message, confirmation};

    #[test]
    fn room_for_the_gateways_question_is_kept_once_of_a_window_that_can_spare_it() {
        let mut table = Table::default();
        let channel = table.open_by_client(1, 10).unwrap();
        assert_eq!(keep(channel, 10_000), None, "nothing is judged");
        channel.keeps = true;
        assert_eq!(keep(channel, 0), None);
        assert_eq!(keep(channel, 10_000), Some(10_000 - QUESTION));
        assert_eq!(keep(channel, 10_000), None);
        assert_eq!(channel.kept, QUESTION);
    }

    #[test]
    fn a_confirmation_gets_another_window() {
        let message = with_window(&confirmation(1, 2, 10_000, 3, b""), 7).unwrap();
        let read = Message::parse(&message).unwrap();
        assert!(matches!(read, Message::Confirmation { recipient: 1, sender: 2, window: 7, packet: 3, .. }));
    }
}
