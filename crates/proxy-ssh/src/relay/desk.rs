//! What the relay of a session knows and decides: the same for both directions.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use keyward_policy::ChannelKind;
use keyward_session::{ChannelRefused, Channels};
use keyward_ssh::channel::{self, STDERR};
use keyward_ssh::{Transport, message};
use tokio::time::Instant;

use super::channel::{Answer, Answers, Channel, Id, Table};
use super::early::Beginning;
use super::files::FileNotes;
use super::granted::Granted;
use super::recording::Recording;
use super::{Stop, TIME_TO_READ};
use crate::SshError;

/// OpenSSH forgets what it has not shown yet when a request fails. Nothing says the sentence again, so it gets longer than
/// one at the end of a session.
const TIME_TO_SHOW: Duration = Duration::from_secs(1);

/// The state of one session's relay.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) channels: Channels,
    pub(super) table: Table,
    pub(super) recording: Recording,
    /// Global requests that wait for an answer, by who asked.
    pub(super) from_client: Answers,
    pub(super) from_target: Answers,
    /// What the target may open.
    pub(super) granted: Granted,
    /// What was refused and noted already: one note for each kind is enough.
    noted: HashSet<&'static str>,
    pub(super) files: FileNotes,
    /// Channels that the policy has refused, to be closed once the client has shown why.
    due: VecDeque<Due>,
    /// Present while the client speaks of a channel by the gateway's number.
    pub(super) early: Option<Box<Beginning>>,
    /// Channels with something typed that waits until it can be judged.
    pub(super) holding: Vec<Id>,
}

#[derive(Debug)]
struct Due {
    at: Instant,
    channel: Id,
    wants_reply: bool,
}

/// The longest data that the gateway takes in one packet (RFC 4253 section 6.1 asks for 32,768); what peers say is
/// cut to it.
pub(super) const LONGEST_DATA: u32 = 128 * 1024;

impl Desk {
    pub(super) fn new(channels: Channels) -> Self {
        Self {
            channels,
            table: Table::default(),
            recording: Recording::default(),
            from_client: Answers::default(),
            from_target: Answers::default(),
            granted: Granted::default(),
            noted: HashSet::new(),
            files: FileNotes::default(),
            due: VecDeque::new(),
            early: None,
            holding: Vec::new(),
        }
    }

    /// Notes a refusal, once for each kind.
    pub(super) async fn note_refusal(&mut self, what: &'static str) {
        if self.noted.insert(what) {
            Box::pin(self.channels.refuse(what)).await;
        }
    }

    /// Notes once that the certificate of the log-in permits no terminal.
    pub(super) async fn note_denied_terminal(&mut self) {
        if self.noted.insert("terminal") {
            // It is refused whether or not the note could be written.
            let _ = Box::pin(self.channels.note_limit("terminal refused by the certificate")).await;
        }
    }

    /// Says what the policy refuses; the channel is closed when that has been shown.
    pub(super) fn deny(
        &mut self,
        id: Id,
        wants_reply: bool,
        kind: ChannelKind,
        refused: ChannelRefused,
        back: &mut Vec<Vec<u8>>,
    ) {
        let sentence = match refused {
            ChannelRefused::Policy => format!("keyward: {kind} is not allowed here.\r\n"),
            ChannelRefused::Certificate => {
                format!("keyward: {kind} is not permitted by your certificate.\r\n")
            }
            ChannelRefused::Over => "keyward: The session was ended by the gateway.\r\n".to_owned(),
        };
        self.say_no(id, wants_reply, &sentence, back);
    }

    /// Refuses a program with a sentence; the channel is closed when that has been shown.
    pub(super) fn say_no(&mut self, id: Id, wants_reply: bool, sentence: &str, back: &mut Vec<Vec<u8>>) {
        if let Some(channel) = self.table.get(id) {
            channel.is_denied = true;
            back.extend(line(channel, sentence));
        }
        let time = if wants_reply { TIME_TO_SHOW } else { TIME_TO_READ };
        self.due.push_back(Due { at: Instant::now() + time, channel: id, wants_reply });
    }

    /// Waits for the next channel that is to be closed. Cancel-safe.
    pub(super) async fn something_is_due(&self) {
        match self.due.front() {
            Some(due) => tokio::time::sleep_until(due.at).await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn close_what_is_due(
        &mut self,
        client: &mut Transport,
        target: &mut Transport,
    ) -> Result<(), SshError> {
        let now = if self.due.is_empty() { return Ok(()) } else { Instant::now() };
        while let Some(due) = self.due.pop_front_if(|due| due.at <= now) {
            let Some(channel) = self.table.get(due.channel) else { continue };
            let (Some(of_client), Some(of_target)) = (channel.client, channel.target) else { continue };
            if due.wants_reply && !channel.to_client.told {
                client.send(&channel::failure(of_client))?;
            }
            if !std::mem::replace(&mut channel.to_client.told, true) {
                client.send(&channel::close(of_client))?;
            }
            if !std::mem::replace(&mut channel.to_target.told, true) {
                target.send(&channel::close(of_target))?;
            }
        }
        Ok(())
    }

    /// A last line on each open channel, which terminals and scripts show both. Errors are no matter: the
    /// client may be gone.
    pub(super) fn say_goodbye(&mut self, client: &mut Transport, sentence: &str) {
        let sentence = format!("\r\nkeyward: {sentence}\r\n");
        for channel in self.table.iter_mut().filter(|channel| !channel.to_client.told) {
            channel.to_client.told = true;
            let Some(number) = channel.client else { continue };
            if channel.is_session
                && let Some(line) = line(channel, &sentence)
            {
                let _ = client.send(&line);
            }
            let _ = client.send(&channel::eof(number));
            let _ = client.send(&channel::close(number));
        }
    }
}

/// A sentence on the channel's stderr, where its window has room for it.
fn line(channel: &mut Channel, sentence: &str) -> Option<Vec<u8>> {
    let (number, length) = (channel.client?, u32::try_from(sentence.len()).ok()?);
    channel.client_window = channel.client_window.checked_sub(length)?;
    Some(channel::extended_data(number, STDERR, sentence.as_bytes()))
}

/// How a side is told no: about a global request, or about one on a channel of its own number.
#[derive(Clone, Copy, Debug)]
pub(super) enum About {
    Connection,
    Channel(u32),
}

impl About {
    pub(super) fn no(self) -> Vec<u8> {
        match self {
            Self::Connection => channel::request_failure(),
            Self::Channel(number) => channel::failure(number),
        }
    }
}

/// Refuses a request in its turn.
pub(super) fn refuse(
    answers: &mut Answers,
    wants_reply: bool,
    about: About,
    back: &mut Vec<Vec<u8>>,
) -> Result<(), SshError> {
    if wants_reply && answers.refuse()? {
        back.push(about.no());
    }
    Ok(())
}

/// Passes an answer on, and the refusals that waited behind it. `None` where nothing was asked.
pub(super) fn pass_answer(
    answers: &mut Answers,
    about: About,
    answer: &[u8],
    onward: &mut Transport,
) -> Result<Option<Answer>, keyward_ssh::Error> {
    let Some((asked, refusals)) = answers.answered() else { return Ok(None) };
    onward.send(answer)?;
    for _ in 0..refusals {
        onward.send(&about.no())?;
    }
    Ok(Some(asked))
}

/// `SSH_MSG_CHANNEL_OPEN` or its confirmation with a maximum packet that the gateway can take, where the one that it
/// has is larger.
fn with_packet(message: &[u8], place: usize, packet: u32) -> Option<Vec<u8>> {
    if packet <= LONGEST_DATA {
        return None;
    }
    let mut message = message.to_vec();
    message.get_mut(place..place + 4)?.copy_from_slice(&LONGEST_DATA.to_be_bytes());
    Some(message)
}

/// Where the maximum packet is in a confirmation.
pub(super) const PACKET_IN_CONFIRMATION: usize = 1 + 3 * 4;

/// Where it is when a channel of this kind is opened.
pub(super) fn packet_in_open(kind: &str) -> usize {
    1 + 4 + kind.len() + 2 * 4
}

/// Passes a message on.
pub(super) fn pass(onward: &mut Transport, message: &[u8]) -> Result<(), Stop> {
    onward.send(message).map_err(receiver)
}

/// Passes on a message that opens a channel, with a maximum packet that the gateway can take.
pub(super) fn pass_within(
    onward: &mut Transport,
    message: &[u8],
    place: usize,
    packet: u32,
) -> Result<(), Stop> {
    match with_packet(message, place, packet) {
        Some(cut) => pass(onward, &cut),
        None => pass(onward, message),
    }
}

pub(super) fn receiver(error: keyward_ssh::Error) -> Stop {
    Stop::Receiver(error.into())
}

/// Whether a message is about a request's answer.
pub(super) fn is_success(number: u8) -> bool {
    matches!(number, message::CHANNEL_SUCCESS | message::REQUEST_SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_ssh::channel::{Message, Open};

    #[test]
    fn a_maximum_packet_is_cut_to_what_the_gateway_takes() {
        let open =
            channel::open(&Open { kind: "session", sender: 1, window: 2, packet: u32::MAX, rest: b"" });
        let cut = with_packet(&open, packet_in_open("session"), u32::MAX).unwrap();
        let Message::Open(read) = Message::parse(&cut).unwrap() else { panic!() };
        assert_eq!((read.sender, read.window, read.packet), (1, 2, LONGEST_DATA));
        let confirmation = channel::confirmation(1, 2, 3, u32::MAX, b"");
        let cut = with_packet(&confirmation, PACKET_IN_CONFIRMATION, u32::MAX).unwrap();
        let Message::Confirmation { window: 3, packet, .. } = Message::parse(&cut).unwrap() else { panic!() };
        assert_eq!(packet, LONGEST_DATA);
        assert!(with_packet(&open, packet_in_open("session"), 32_768).is_none());
    }
}
