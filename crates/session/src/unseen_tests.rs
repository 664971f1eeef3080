//! Keys wait for their answer, and for nothing else.

use std::sync::Arc;

use keyward_trail::{ExitStatus, Stream, Terminal as OfClient};
use tokio::sync::Semaphore;

use super::*;

/// What happens at a terminal, and what is recorded of it: `<shown`, `>typed`, `?hidden`, `!` for any other event.
struct Desk {
    unseen: Unseen,
    now: Instant,
    out: Vec<Message>,
    space: Arc<Semaphore>,
}

impl Desk {
    fn new() -> Self {
        let now = Instant::now();
        let space = Arc::new(Semaphore::new(1_000_000));
        let mut desk = Self { unseen: Unseen::default(), now, out: Vec::new(), space };
        for id in [0, 1] {
            let terminal = OfClient { term: "xterm".into(), columns: 80, rows: 24 };
            desk.event(Event::Open {
                channel: ChannelId(id),
                kind: "shell".into(),
                command: None,
                terminal: (id == 0).then_some(terminal),
            });
        }
        desk.out.clear();
        desk
    }

    fn take(&mut self, message: Message) {
        self.unseen.take(message, self.now, &mut self.out);
    }

    fn event(&mut self, event: Event<'static>) {
        let space = Arc::clone(&self.space).try_acquire_many_owned(1).unwrap();
        self.take(Message::Event { at: Duration::ZERO, event, space });
    }

    fn data(&mut self, channel: u32, direction: Direction, text: &str) {
        let space = Arc::clone(&self.space).try_acquire_many_owned(1).unwrap();
        let (channel, bytes) = (ChannelId(channel), Bytes::copy_from_slice(text.as_bytes()));
        let (stream, keys) = (Stream::Main, Keys::Shown);
        self.take(Message::Data { at: Duration::ZERO, channel, direction, stream, bytes, keys, space });
    }

    fn types(&mut self, text: &str) {
        self.data(0, Direction::FromClient, text);
    }

    fn shows(&mut self, text: &str) {
        self.data(0, Direction::ToClient, text);
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.unseen.expire(self.now, &mut self.out);
    }

    /// What was given since.
    fn given(&mut self) -> String {
        let told = self.out.drain(..).map(|message| match message {
            Message::Data { direction, bytes, keys, .. } => {
                let sign = match (direction, keys) {
                    (Direction::ToClient, _) => '<',
                    (Direction::FromClient, Keys::Shown) => '>',
                    (Direction::FromClient, Keys::Hidden { begins: true }) => '?',
                    (Direction::FromClient, Keys::Hidden { begins: false }) => '&',
                };
                format!("{sign}{}", String::from_utf8_lossy(&bytes).escape_debug())
            }
            Message::Event { .. } | Message::Finish { .. } => "!".to_owned(),
        });
        told.collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn keys_wait_for_their_answer_and_nothing_else_does() {
    let mut desk = Desk::new();
    desk.shows("$ ");
    assert_eq!(desk.given(), "<$ ");
    desk.types("l");
    desk.types("s");
    desk.data(1, Direction::FromClient, "other");
    desk.data(1, Direction::ToClient, "channel");
    assert_eq!(desk.given(), ">other <channel");
    desk.shows("l");
    assert_eq!(desk.given(), ">l");
    desk.shows("s");
    assert_eq!(desk.given(), ">s <l <s");
    desk.types("\r");
    assert_eq!((desk.given().as_str(), desk.unseen.deadline()), (">\\r", None));
}

#[test]
fn what_nothing_answers_in_time_is_hidden_up_to_the_end_of_the_line() {
    let mut desk = Desk::new();
    desk.shows("Password: ");
    desk.types("h");
    desk.pass(499);
    assert_eq!(desk.given(), "<Password: ");
    desk.types("u");
    desk.pass(1);
    assert_eq!(desk.given(), "?h");
    desk.types("\r");
    desk.shows("\r\n$ ");
    assert_eq!(desk.given(), "&u >\\r <\\r\\n$ ");
    desk.types("w");
    desk.shows("w");
    assert_eq!(desk.given(), ">w <w");
}

#[test]
fn a_line_that_came_at_once_is_hidden_where_its_answer_is_another() {
    let mut desk = Desk::new();
    for keys in ["1", "2", "3", "4", "\r"] {
        desk.types(keys);
    }
    desk.shows("\r\nthank you\r\n");
    assert_eq!(desk.given(), "");
    desk.pass(500);
    assert_eq!(desk.given(), "?1 &2 &3 &4 >\\r <\\r\\nthank you\\r\\n");
    desk.types("hunter2\r");
    desk.shows("\r\nwelcome\r\n");
    desk.pass(500);
    assert_eq!(desk.given(), "?hunter2 >\\r <\\r\\nwelcome\\r\\n");
    desk.types("id\rhunter2\r");
    desk.shows("id\r\nuid=0\r\n");
    assert_eq!(desk.given(), ">id\\rhunter2\\r <id\\r\\nuid=0\\r\\n");
}

#[test]
fn a_line_that_crosses_a_prompt_is_shown_when_it_comes_itself() {
    let mut desk = Desk::new();
    desk.types("uptime\n");
    desk.shows("$ ");
    assert_eq!(desk.given(), "");
    desk.shows("uptime\r\n");
    assert_eq!(desk.given(), ">uptime\\n <$  <uptime\\r\\n");
    desk.types("id\r");
    desk.types("ls\r");
    desk.shows("$ ");
    desk.shows("id\r\nuid=0\r\n$ ls\r\n");
    assert_eq!(desk.given(), ">id\\r >ls\\r <$  <id\\r\\nuid=0\\r\\n$ ls\\r\\n");
    // A prompt for a secret was on its way, or very much that is not the line.
    desk.types("hunter2\r");
    desk.shows("Password: ");
    desk.shows("\r\n");
    assert_eq!(desk.given(), "?hunter2 >\\r <Password:  <\\r\\n");
    desk.types("hunter3\r");
    desk.shows(&"x".repeat(4096));
    assert_eq!(desk.given()[..8], *"?hunter3");
    assert!(desk.unseen.deadline().is_none());
}

#[test]
fn the_end_of_a_channel_or_of_the_session_ends_the_waiting() {
    let channel = ChannelId(0);
    let mut desk = Desk::new();
    desk.types("a");
    desk.event(Event::Window { channel, columns: 80, rows: 25 });
    desk.event(Event::Exit { channel, status: ExitStatus::Code(0) });
    assert_eq!(desk.given(), "");
    desk.event(Event::Close { channel });
    assert_eq!(desk.given(), "?a ! ! !");
    assert!(desk.unseen.terminals.is_empty());
    let mut desk = Desk::new();
    desk.types("b");
    desk.unseen.give_up(&mut desk.out);
    assert_eq!(desk.given(), "?b");
}

#[test]
fn long_input_is_no_secret_and_does_not_wait() {
    let mut desk = Desk::new();
    desk.types(&"x".repeat(MOST_AT_ONCE + 1));
    assert_eq!(desk.given().len(), MOST_AT_ONCE + 2);
    for _ in 0..=MOST_WAITING / MOST_AT_ONCE {
        desk.types(&"y".repeat(MOST_AT_ONCE));
    }
    assert!(desk.unseen.deadline().is_none() && desk.given().len() > MOST_WAITING);
}
