//! An sftp channel, followed in both directions.
//!
//! What passes is not copied: heads of packets are read, judged and noted, the data of files is hashed where it lies. A
//! request that is not allowed goes on as one of the same length and number that no server knows, and its answer comes
//! back as a refusal: so windows, order and numbers stay those of the two sides.

mod ask;
mod book;
mod greeting;
mod opened;
mod path;
#[cfg(test)]
mod tests;

use keyward_policy::FileRules;
use keyward_ssh::sftp::{
    Answer, Cutter, Fault, Heads, Packet, Passed, Request, answer_head, fill, refusal, refuse_request,
    request_head, set_version, status, straighten,
};
use keyward_trail::{FileEvent, FileOutcome};

pub(crate) use book::LinkOrder;
use book::{Book, FileId, Waiting, outcome};
pub(crate) use greeting::QUESTION;
use greeting::{Greeted, Greeting, check_version};
pub(crate) use opened::digest;
pub(crate) use path::absolute;

/// Follows one channel.
#[derive(Debug)]
pub(crate) struct Watcher {
    from_client: Cutter,
    from_target: Cutter,
    greeting: Option<Greeting>,
    sides: Sides,
}

/// What both directions know.
#[derive(Debug)]
struct Sides {
    book: Book,
    stage: Stage,
    asking: Asking,
    answering: Option<(FileId, u32)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Nobody has said anything.
    Silent,
    /// The client has offered its version.
    Offered,
    /// The target has said its own.
    Open,
}

/// What follows the head of the present request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asking {
    Other,
    Refused,
    /// So many bytes of this file.
    Data(FileId, u32),
}

/// Whether the gateway may ask the target a question of its own, for which it has kept [`QUESTION`] bytes of its window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OwnQuestion {
    May,
    MayNot,
}

/// What goes on from the client.
#[derive(Debug, Default)]
pub(crate) struct Upward {
    pub(crate) passed: Passed,
    /// The gateway's own, behind that.
    pub(crate) question: Option<Vec<u8>>,
}

/// What goes on from the target.
#[derive(Debug, Default)]
pub(crate) struct Downward {
    pub(crate) passed: Passed,
    /// Bytes that were for the gateway: the client will never make room for more in their place.
    pub(crate) ours: usize,
}

impl Watcher {
    pub(crate) fn new(rules: FileRules, order: LinkOrder) -> Self {
        Self {
            from_client: Cutter::default(),
            from_target: Cutter::default(),
            greeting: None,
            sides: Sides {
                book: Book::new(rules, order),
                stage: Stage::Silent,
                asking: Asking::Other,
                answering: None,
            },
        }
    }

    /// Data of the client. After an error the channel cannot go on.
    pub(crate) fn up(&mut self, data: &mut [u8], question: OwnQuestion) -> Result<Upward, Fault> {
        let was_silent = self.sides.stage == Stage::Silent;
        let passed = self.from_client.feed(data, &mut Up(&mut self.sides))?;
        let offers = was_silent && self.sides.stage == Stage::Offered;
        // Without rules nobody needs to know where a path leads.
        let asks = offers && self.sides.book.rules.judge() && question == OwnQuestion::May;
        if asks {
            self.greeting = Some(Greeting::default());
        }
        Ok(Upward { passed, question: asks.then(greeting::question) })
    }

    /// Data of the target. After an error the channel cannot go on.
    pub(crate) fn down(&mut self, data: &mut [u8]) -> Result<Downward, Fault> {
        if let Some(greeting) = &mut self.greeting {
            let Some(Greeted { version, ours, start }) = greeting.feed(data)? else {
                return Ok(Downward::default());
            };
            self.greeting = None;
            self.sides.book.start = start;
            self.sides.stage = Stage::Open;
            return Ok(Downward { passed: Passed { before: version, start: 0, end: 0 }, ours });
        }
        let passed = self.from_target.feed(data, &mut Down(&mut self.sides))?;
        Ok(Downward { passed, ours: 0 })
    }

    /// What has ended since the last look.
    pub(crate) fn done(&mut self) -> Vec<FileEvent<'static>> {
        self.sides.book.take_done()
    }

    /// The channel has ended.
    pub(crate) fn finish(&mut self) {
        self.sides.book.finish();
    }
}

struct Up<'a>(&'a mut Sides);

impl Heads for Up<'_> {
    fn wanted(&self, so_far: &[u8]) -> Result<usize, Fault> {
        request_head(so_far)
    }

    fn head(&mut self, head: &mut [u8]) -> Result<(), Fault> {
        match self.0.stage {
            Stage::Silent => {
                set_version(head)?;
                self.0.stage = Stage::Offered;
                return Ok(());
            }
            Stage::Offered => return Err(Fault::OutOfTurn),
            Stage::Open => {}
        }
        let packet = Packet::begin(head)?.ok_or(Fault::OutOfTurn)?;
        let (number, rest) = packet.numbered()?.ok_or(Fault::OutOfTurn)?;
        let request = Request::parse(packet.kind, rest)?;
        let data = match request {
            Request::Write { length, .. } => length,
            _ => 0,
        };
        if usize::try_from(data).is_ok_and(|data| head.len() + data > packet.whole) {
            return Err(Fault::TooLong);
        }
        self.0.book.has_turn()?;
        let waiting = self.0.book.ask(request);
        self.0.asking = match waiting {
            Waiting::Refused(_) => Asking::Refused,
            Waiting::Write(file) => Asking::Data(file, data),
            _ => Asking::Other,
        };
        self.0.book.expect(number, waiting)?;
        if self.0.asking == Asking::Refused {
            refuse_request(head)?;
        } else if self.0.book.rules.judge() {
            // What goes on is what was judged.
            straighten(head);
        }
        Ok(())
    }

    fn body(&mut self, piece: &mut [u8], _left: usize) {
        match &mut self.0.asking {
            Asking::Other => {}
            Asking::Refused => fill(piece),
            Asking::Data(file, left) => {
                let data = take(piece, left);
                if let Some(opened) = self.0.book.by_id(*file) {
                    opened.written.update(data);
                }
            }
        }
    }
}

struct Down<'a>(&'a mut Sides);

impl Heads for Down<'_> {
    fn wanted(&self, so_far: &[u8]) -> Result<usize, Fault> {
        answer_head(so_far, |number| {
            matches!(self.0.book.waits(number), Some(Waiting::Refused(_) | Waiting::Start))
        })
    }

    fn head(&mut self, head: &mut [u8]) -> Result<(), Fault> {
        self.0.answering = None;
        if self.0.stage == Stage::Offered {
            check_version(head)?;
            self.0.stage = Stage::Open;
            return Ok(());
        }
        let packet = Packet::begin(head)?.filter(|_| self.0.stage == Stage::Open).ok_or(Fault::OutOfTurn)?;
        let (number, rest) = packet.numbered()?.ok_or(Fault::OutOfTurn)?;
        let answer = Answer::parse(packet.kind, rest)?;
        let is_short = |length: u32| usize::try_from(length).is_ok_and(|length| 13 + length > packet.whole);
        match (self.0.book.answered(number)?, answer) {
            (Waiting::Refused(code), _) => refusal(head, code, status::words(code)),
            (_, Answer::Data(length)) if is_short(length) => Err(Fault::TooLong),
            (waiting, answer) => self.0.heard(waiting, answer),
        }
    }

    fn body(&mut self, piece: &mut [u8], _left: usize) {
        if let Some((file, left)) = &mut self.0.answering {
            let data = take(piece, left);
            if let Some(opened) = self.0.book.by_id(*file) {
                opened.read.update(data);
            }
        }
    }
}

impl Sides {
    /// The answer to a request that went on.
    fn heard(&mut self, waiting: Waiting, answer: Answer<'_>) -> Result<(), Fault> {
        let code = match answer {
            Answer::Status(code) => Some(code),
            _ => None,
        };
        match waiting {
            Waiting::Open(opening) => match answer {
                Answer::Handle(handle) => self.book.opened(handle, *opening)?,
                _ => self.book.not_opened(*opening, code.unwrap_or(status::FAILURE)),
            },
            Waiting::Read(file, offset) => {
                let Some(opened) = self.book.by_id(file) else { return Ok(()) };
                match answer {
                    Answer::Data(length) => {
                        opened.read.at(offset);
                        self.answering = Some((file, length));
                    }
                    _ => opened.told(code.unwrap_or(status::FAILURE)),
                }
            }
            Waiting::Write(file) => {
                if let Some(opened) = self.book.by_id(file) {
                    opened.told(code.unwrap_or(status::FAILURE));
                }
            }
            Waiting::Close(file) => self.book.closed(file, outcome(code.unwrap_or(status::FAILURE))),
            Waiting::Start => {
                if let (Answer::Name(Some(name)), None) = (answer, &self.book.start) {
                    self.book.start = path::start(name);
                }
            }
            Waiting::Operation(event) => {
                let outcome = code.map_or(FileOutcome::Done, outcome);
                self.book.done.push(FileEvent { outcome, ..*event });
            }
            Waiting::Refused(_) | Waiting::Nothing => {}
        }
        Ok(())
    }
}

/// The part of a piece that is still data.
fn take<'p>(piece: &'p [u8], left: &mut u32) -> &'p [u8] {
    let data = usize::try_from(*left).ok().and_then(|left| piece.get(..left)).unwrap_or(piece);
    *left = left.saturating_sub(u32::try_from(data.len()).unwrap_or(u32::MAX));
    data
}
