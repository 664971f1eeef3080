//! One channel as the relay knows it, and all of them.

use std::collections::{HashMap, VecDeque};

use keyward_session::{Judge, Modes, Tap};
use keyward_trail::Terminal;

use super::files::Files;
use crate::SshError;

/// A channel. Its numbers are those that the two sides gave it: the relay passes them through.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) id: Id,
    /// Absent until that side has opened it too.
    pub(crate) client: Option<u32>,
    pub(crate) target: Option<u32>,
    /// Whether it runs programs, and so has an stderr.
    pub(crate) is_session: bool,
    /// It is about to be closed, since the policy has refused what it is for.
    pub(crate) is_denied: bool,
    /// What the client takes before it says more: room for a word of the gateway's own.
    pub(crate) client_window: u32,
    /// Requests of the client that wait for an answer.
    pub(crate) from_client: Answers,
    /// Requests of the target that wait for an answer.
    pub(crate) from_target: Answers,
    pub(crate) to_client: Way,
    pub(crate) to_target: Way,
    pub(crate) terminal: Option<Terminal<'static>>,
    pub(crate) modes: Modes,
    /// How many requests for a terminal wait for the target's answer.
    pub(crate) terminals_asked: u32,
    /// Variables that came before the recording began.
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) variables_left: usize,
    /// Present once the policy has allowed what it is for.
    pub(crate) tap: Option<Tap>,
    /// Some of the target's window is to be the gateway's own,
    pub(crate) keeps: bool,
    /// and so many bytes are.
    pub(crate) kept: u32,
    /// Present where files are moved.
    pub(crate) files: Option<Box<Files>>,
    /// Present where its rule has a content policy.
    pub(crate) judge: Option<Box<Judge>>,
    /// The client's EOF, which waits behind what is held until it can be judged.
    pub(crate) eof_waits: bool,
}

/// The relay's own name for a channel.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Id(u64);

/// What has passed in one direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Way {
    /// The sender has closed it.
    pub(crate) closed: bool,
    /// The receiver was told, by the sender or by the gateway.
    pub(crate) told: bool,
}

/// Bytes of variables per channel; OpenSSH sends a handful of short ones.
const MOST_VARIABLES: usize = 64 * 1024;

impl Channel {
    fn new(id: Id) -> Self {
        Self {
            id,
            client: None,
            target: None,
            is_session: false,
            is_denied: false,
            client_window: 0,
            from_client: Answers::default(),
            from_target: Answers::default(),
            to_client: Way::default(),
            to_target: Way::default(),
            terminal: None,
            modes: Modes::Usual,
            terminals_asked: 0,
            variables: Vec::new(),
            variables_left: MOST_VARIABLES,
            tap: None,
            keeps: false,
            kept: 0,
            files: None,
            judge: None,
            eof_waits: false,
        }
    }

    /// It has its program, is for something else, or is about to be closed.
    pub(crate) fn runs_nothing_more(&self) -> bool {
        self.tap.is_some() || !self.is_session || self.is_denied
    }

    /// Nobody will speak of it any more.
    fn is_over(&self) -> bool {
        self.to_client.closed && self.to_target.closed
    }
}

/// The order in which one side's requests are answered: some by the other side, some by the gateway.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    waiting: VecDeque<Answer>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// The other side's.
    Theirs(Asked),
    /// The gateway's: no.
    No,
}

/// What an answer of the other side means to the relay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// Nothing.
    Something,
    /// To start a program.
    Program,
    /// For a terminal.
    Terminal,
    /// To listen, under this number.
    Listen(u64),
}

/// Requests of one channel, or of one connection, that wait for an answer.
const MOST_WAITING: usize = 1024;

impl Answers {
    /// The other side will answer.
    pub(crate) fn expect(&mut self, asked: Asked) -> Result<(), SshError> {
        self.push(Answer::Theirs(asked))
    }

    /// The gateway refuses. `true` where it can say so at once.
    pub(crate) fn refuse(&mut self) -> Result<bool, SshError> {
        if self.waiting.is_empty() {
            return Ok(true);
        }
        self.push(Answer::No)?;
        Ok(false)
    }

    /// The other side has answered: what was that about, and how many refusals come next? `None` where nothing
    /// was asked.
    pub(crate) fn answered(&mut self) -> Option<(Answer, usize)> {
        let answer = self.waiting.pop_front()?;
        let mut refusals = 0;
        while self.waiting.front() == Some(&Answer::No) {
            self.waiting.pop_front();
            refusals += 1;
        }
        Some((answer, refusals))
    }

    fn push(&mut self, answer: Answer) -> Result<(), SshError> {
        if self.waiting.len() >= MOST_WAITING {
            return Err(SshError::TooManyRequests);
        }
        self.waiting.push_back(answer);
        Ok(())
    }
}

/// The channels of a connection, found by the number of either side.
#[derive(Debug, Default)]
pub(crate) struct Table {
    channels: HashMap<Id, Channel>,
    by_client: HashMap<u32, Id>,
    by_target: HashMap<u32, Id>,
    opened: u64,
}

/// Channels open at once in one connection. OpenSSH's own limit for sessions is 10; a browser behind `-D` opens dozens.
const MOST_CHANNELS: usize = 256;

impl Table {
    pub(crate) fn is_full(&self) -> bool {
        self.channels.len() >= MOST_CHANNELS
    }

    /// The client opens a channel under its number.
    pub(crate) fn open_by_client(&mut self, client: u32, window: u32) -> Result<&mut Channel, SshError> {
        let id = self.next_id();
        take_number(&mut self.by_client, client, id)?;
        let channel = self.channels.entry(id).or_insert_with(|| Channel::new(id));
        (channel.client, channel.client_window) = (Some(client), window);
        Ok(channel)
    }

    /// The target opens a channel under its number.
    pub(crate) fn open_by_target(&mut self, target: u32) -> Result<&mut Channel, SshError> {
        let id = self.next_id();
        take_number(&mut self.by_target, target, id)?;
        let channel = self.channels.entry(id).or_insert_with(|| Channel::new(id));
        channel.target = Some(target);
        Ok(channel)
    }

    /// The target opens the client's channel too, under its own number. `None` where the client opens none.
    pub(crate) fn confirm_by_target(
        &mut self,
        client: u32,
        target: u32,
    ) -> Result<Option<&mut Channel>, SshError> {
        let Some(channel) = opening(&mut self.channels, &self.by_client, client, |channel| channel.target)
        else {
            return Ok(None);
        };
        take_number(&mut self.by_target, target, channel.id)?;
        channel.target = Some(target);
        Ok(Some(channel))
    }

    /// The client opens the target's channel too.
    pub(crate) fn confirm_by_client(
        &mut self,
        target: u32,
        client: u32,
    ) -> Result<Option<&mut Channel>, SshError> {
        let Some(channel) = opening(&mut self.channels, &self.by_target, target, |channel| channel.client)
        else {
            return Ok(None);
        };
        take_number(&mut self.by_client, client, channel.id)?;
        channel.client = Some(client);
        Ok(Some(channel))
    }

    /// The target does not open the client's channel.
    pub(crate) fn refuse_by_target(&mut self, client: u32) -> Option<Channel> {
        let channel = opening(&mut self.channels, &self.by_client, client, |channel| channel.target)?;
        let id = channel.id;
        self.by_client.remove(&client);
        self.channels.remove(&id)
    }

    /// The client does not open the target's channel.
    pub(crate) fn refuse_by_client(&mut self, target: u32) -> Option<Channel> {
        let channel = opening(&mut self.channels, &self.by_target, target, |channel| channel.client)?;
        let id = channel.id;
        self.by_target.remove(&target);
        self.channels.remove(&id)
    }

    /// By the number with which the target speaks of it, once both sides have opened it.
    pub(crate) fn of_target(&mut self, client: u32) -> Option<&mut Channel> {
        let id = self.by_client.get(&client)?;
        self.channels.get_mut(id).filter(|channel| channel.target.is_some())
    }

    /// By the number with which the client speaks of it, once both sides have opened it.
    pub(crate) fn of_client(&mut self, target: u32) -> Option<&mut Channel> {
        let id = self.by_target.get(&target)?;
        self.channels.get_mut(id).filter(|channel| channel.client.is_some())
    }

    pub(crate) fn get(&mut self, id: Id) -> Option<&mut Channel> {
        self.channels.get_mut(&id)
    }

    /// Forgets a channel that both sides have closed.
    pub(crate) fn forget_if_over(&mut self, id: Id) {
        if !self.channels.get(&id).is_some_and(Channel::is_over) {
            return;
        }
        let Some(channel) = self.channels.remove(&id) else { return };
        if let Some(client) = channel.client {
            self.by_client.remove(&client);
        }
        if let Some(target) = channel.target {
            self.by_target.remove(&target);
        }
    }

    /// Those in which files are moved.
    pub(crate) fn with_files(&self) -> Vec<Id> {
        let with = self.channels.values().filter(|channel| channel.files.is_some());
        with.map(|channel| channel.id).collect()
    }

    /// Those that both sides have opened.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Channel> {
        self.channels.values_mut().filter(|channel| channel.client.is_some() && channel.target.is_some())
    }

    fn next_id(&mut self) -> Id {
        self.opened += 1;
        Id(self.opened)
    }
}

fn take_number(numbers: &mut HashMap<u32, Id>, number: u32, id: Id) -> Result<(), SshError> {
    if numbers.contains_key(&number) {
        return Err(SshError::SameChannel);
    }
    numbers.insert(number, id);
    Ok(())
}

/// The channel that one side has opened under `number` and the other has not.
fn opening<'c>(
    channels: &'c mut HashMap<Id, Channel>,
    numbers: &HashMap<u32, Id>,
    number: u32,
    others: impl Fn(&Channel) -> Option<u32>,
) -> Option<&'c mut Channel> {
    let id = numbers.get(&number)?;
    channels.get_mut(id).filter(|channel| others(channel).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_keep_the_order_of_the_requests() {
        let mut answers = Answers::default();
        assert!(answers.refuse().unwrap());
        answers.expect(Asked::Something).unwrap();
        assert!(!answers.refuse().unwrap());
        assert!(!answers.refuse().unwrap());
        answers.expect(Asked::Program).unwrap();
        assert_eq!(answers.answered(), Some((Answer::Theirs(Asked::Something), 2)));
        assert_eq!(answers.answered(), Some((Answer::Theirs(Asked::Program), 0)));
        assert_eq!(answers.answered(), None);
    }

    #[test]
    fn requests_without_an_answer_are_bounded() {
        let mut answers = Answers::default();
        for _ in 0..MOST_WAITING {
            answers.expect(Asked::Something).unwrap();
        }
        assert!(answers.expect(Asked::Something).is_err() && answers.refuse().is_err());
    }

    #[test]
    fn two_channels_never_have_the_same_number() {
        let mut table = Table::default();
        table.open_by_client(1, 10).unwrap();
        assert!(matches!(table.open_by_client(1, 10), Err(SshError::SameChannel)));
        table.open_by_client(2, 10).unwrap();
        assert!(table.confirm_by_target(1, 7).unwrap().is_some());
        assert!(table.confirm_by_target(1, 8).unwrap().is_none(), "it is open already");
        assert!(matches!(table.confirm_by_target(2, 7), Err(SshError::SameChannel)));
        assert!(matches!(table.open_by_target(7), Err(SshError::SameChannel)));
        table.open_by_target(8).unwrap();
        assert!(matches!(table.confirm_by_client(8, 1), Err(SshError::SameChannel)));
    }

    #[test]
    fn a_channel_is_forgotten_when_both_sides_have_closed_it() {
        let mut table = Table::default();
        let id = table.open_by_client(1, 10).unwrap().id;
        assert!(table.of_target(1).is_none(), "the target has not opened it");
        assert!(table.confirm_by_target(1, 7).unwrap().is_some());
        table.of_client(7).unwrap().to_target.closed = true;
        table.forget_if_over(id);
        table.of_target(1).unwrap().to_client.closed = true;
        table.forget_if_over(id);
        assert!(table.of_client(7).is_none() && table.of_target(1).is_none());
        table.open_by_client(1, 10).unwrap();
    }

    #[test]
    fn a_refused_channel_frees_its_number() {
        let mut table = Table::default();
        table.open_by_client(1, 10).unwrap();
        assert!(table.refuse_by_target(1).is_some() && table.refuse_by_target(1).is_none());
        table.open_by_client(1, 10).unwrap();
        table.open_by_target(3).unwrap();
        assert!(table.of_client(3).is_none(), "the client has not opened it");
        assert!(table.refuse_by_client(3).is_some() && table.refuse_by_client(3).is_none());
    }
}
