//! The conversation with the person, over user authentication: the only time at which SSH lets a server ask.

use std::time::Duration;

use keyward_model::Secret;
use keyward_policy::{Authentication, Method as Wanted};
use keyward_session::{ClientGone, Conversation, Echo, Question};
use keyward_ssh::auth::{self, Method, Prompt, Request};
use keyward_ssh::message;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::early::Early;
use crate::peer::Peer;
use crate::user_agent::{Fault, UserAgent};
use crate::{SshError, prompt};

/// What of the client's waits for an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pending {
    /// Nothing: it is the client's turn.
    Nothing,
    /// A request to be let in, or an answer to a question: both can be answered by a question.
    Request(Tried),
    /// A question is with the client.
    Asked,
}

/// The method of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tried {
    None,
    PublicKey,
    Password,
    Interactive,
}

impl Tried {
    /// What has been proven counts as a success in part when questions follow, lest clients say that it was wrong.
    fn partial_success(self) -> PartialSuccess {
        match self {
            Self::PublicKey | Self::Password => PartialSuccess::Yes,
            Self::None | Self::Interactive => PartialSuccess::No,
        }
    }
}

/// Whether what was tried has succeeded, and only more is needed (RFC 4252 section 5.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PartialSuccess {
    Yes,
    No,
}

/// The method that a person who was sent away reads in the client's last line ("Permission denied (publickey).").
///
/// There must be one: with an empty list OpenSSH starts again from its own. And none for which clients ask people, who
/// would type a password that nobody wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Farewell {
    /// The policy takes keys: it is what was offered before.
    PublicKey,
    /// A name that no client knows (RFC 4251 section 6), and that says what has happened.
    Refused,
}

impl Farewell {
    pub(crate) fn by(authentication: Option<&Authentication>) -> Self {
        let sequences = authentication.map_or(&[][..], |authentication| &authentication.sequences);
        let takes_keys = sequences.iter().flatten().any(|method| *method == Wanted::PublicKey);
        if takes_keys { Self::PublicKey } else { Self::Refused }
    }

    fn method(self) -> &'static str {
        match self {
            Self::PublicKey => "publickey",
            Self::Refused => "refused@keyward",
        }
    }
}

/// A client whose requests come in until it is let in or sent away.
#[derive(Debug)]
pub(crate) struct Talk<'p> {
    pub(crate) client: &'p mut Peer,
    /// The login string of the first request; later ones must have the same.
    pub(crate) user: Option<String>,
    pub(crate) pending: Pending,
    rejections: u32,
    banner: Option<String>,
    /// What came of a client that was let in already.
    early: Option<Box<Early>>,
}

/// What a client does next in user authentication. The message is kept, since an offer is a part of it, and wiped, since a
/// password may be.
pub(crate) enum Turn {
    Request(Zeroizing<Vec<u8>>),
    Answer(Secret),
}

/// Every unknown key of an agent, every wrong password, every detour by keyboard-interactive is one.
const MOST_REJECTIONS: u32 = 40;
/// A wrong password costs a client this long.
const REJECTION_TIME: Duration = Duration::from_millis(200);
/// How long a client may take to fetch the sentence with which it is sent away.
const NOTICE_TIME: Duration = Duration::from_secs(10);
/// How long it may take to give up after that.
const FAREWELL_TIME: Duration = Duration::from_secs(5);
const LONGEST_ANSWER: usize = 8 * 1024;
const INTERACTIVE: &str = "keyboard-interactive";

impl<'p> Talk<'p> {
    pub(crate) fn new(client: &'p mut Peer, banner: Option<&str>) -> Self {
        let line_ends =
            |text: &str| format!("{}\r\n", text.trim_end().replace("\r\n", "\n").replace('\n', "\r\n"));
        Self {
            client,
            user: None,
            pending: Pending::Nothing,
            rejections: 0,
            banner: banner.map(line_ends),
            early: None,
        }
    }

    /// The client's next request or answer. Services are granted on the way (RFC 4253 section 10), as often as a
    /// client asks: some do so before each attempt. Cancel-safe.
    pub(crate) async fn turn(&mut self) -> Result<Turn, SshError> {
        loop {
            let message = Zeroizing::new(self.client.message().await?);
            match message.first() {
                Some(&message::SERVICE_REQUEST) => self.grant(&message)?,
                Some(&message::USERAUTH_REQUEST) => return Ok(Turn::Request(message)),
                Some(&message::USERAUTH_INFO_RESPONSE) if self.pending == Pending::Asked => {
                    self.pending = Pending::Request(Tried::Interactive);
                    return first_line(&auth::answers(&message)?).map(Turn::Answer);
                }
                _ => return Err(SshError::OutOfTurn),
            }
        }
    }

    /// Binds the connection to its first user name; `true` for that first one.
    pub(crate) fn is_first(&mut self, request: &Request<'_>) -> Result<bool, SshError> {
        if request.service != auth::CONNECTION {
            return Err(SshError::OutOfTurn);
        }
        match &self.user {
            Some(first) if first == request.user => Ok(false),
            Some(_) => Err(SshError::UserChanged),
            None => {
                self.user = Some(request.user.to_owned());
                Ok(true)
            }
        }
    }

    fn grant(&mut self, message: &[u8]) -> Result<(), SshError> {
        let name = auth::service_name(message)?;
        if name != auth::SERVICE {
            return Err(SshError::OutOfTurn);
        }
        self.client.send(&auth::service_accept(name))?;
        match self.banner.take() {
            Some(banner) => self.client.send(&auth::banner(&banner)),
            None => Ok(()),
        }
    }

    /// Says no to the pending request, and what else there is to try. Takes a moment, unless nothing was tried.
    pub(crate) async fn reject(
        &mut self,
        methods: &[&str],
        tried: Tried,
        since: Instant,
    ) -> Result<(), SshError> {
        if tried != Tried::None {
            tokio::time::sleep_until(since + REJECTION_TIME).await;
        }
        self.refuse(methods, PartialSuccess::No)
    }

    /// What was tried has succeeded, and is not enough: what else there must be.
    pub(crate) fn ask_for_more(&mut self, methods: &[&str]) -> Result<(), SshError> {
        self.refuse(methods, PartialSuccess::Yes)
    }

    /// Asks the client to come back with keyboard-interactive.
    fn go_interactive(&mut self, tried: Tried) -> Result<(), SshError> {
        self.refuse(&[INTERACTIVE], tried.partial_success())
    }

    fn refuse(&mut self, methods: &[&str], partial: PartialSuccess) -> Result<(), SshError> {
        self.rejections += 1;
        if self.rejections > MOST_REJECTIONS {
            return Err(SshError::TooManyRequests);
        }
        self.pending = Pending::Nothing;
        self.client.send(&auth::failure(methods.iter().copied(), partial == PartialSuccess::Yes))
    }

    /// Shows text and asks for lines; where nothing is asked, clients show the text all the same (RFC 4256 section 3.2).
    pub(crate) fn show(&mut self, instruction: &str, prompts: &[Prompt]) -> Result<(), SshError> {
        self.pending = Pending::Asked;
        self.client.send(&auth::info_request(instruction, prompts))
    }

    /// Shows text, asks for lines, and waits for the answer. A client that has to, or wants to, begins anew and is
    /// asked again. The answer to what was asked before is nobody's any more.
    async fn question(&mut self, instruction: &str, prompts: &[Prompt]) -> Result<Secret, SshError> {
        loop {
            let is_shown = match self.pending {
                Pending::Request(Tried::Interactive) => {
                    self.show(instruction, prompts)?;
                    true
                }
                Pending::Request(tried) => {
                    self.go_interactive(tried)?;
                    false
                }
                Pending::Nothing | Pending::Asked => false,
            };
            match self.turn().await? {
                Turn::Answer(answer) if is_shown => return Ok(answer),
                Turn::Answer(_) => {}
                Turn::Request(message) => {
                    let request = Request::parse(&message)?;
                    self.is_first(&request)?;
                    self.pending = match request.method {
                        Method::KeyboardInteractive => Pending::Request(Tried::Interactive),
                        // Only what the stages were started with has proven anything.
                        _ => Pending::Request(Tried::None),
                    };
                }
            }
        }
    }

    /// Asks a question that may have lines before it, more than a client shows at once.
    async fn ask_in_pages(&mut self, question: &Question) -> Result<Secret, SshError> {
        let (pages, text) = prompt::pages(&question.prompt);
        let echo = match question.echo {
            Echo::On => true,
            Echo::Off => false,
        };
        let (last, before) = pages.split_last().map_or(("", &[][..]), |(last, before)| (last, before));
        for page in before {
            self.question(page, &[]).await?;
        }
        self.question(last, &[Prompt { text, echo }]).await
    }

    /// Shows the sentence with which the person is sent away. Whether it was shown and confirmed.
    pub(crate) async fn send_away(&mut self, sentence: &str, farewell: Farewell) -> bool {
        if let Some(early) = self.early.take() {
            early.show(self.client, sentence).await;
            return false;
        }
        let told = async {
            self.question(sentence, &[]).await?;
            self.say_no(farewell)?;
            self.client.flush().await
        };
        if !matches!(tokio::time::timeout(NOTICE_TIME, told).await, Ok(Ok(()))) {
            return false;
        }
        // A client with more keys shows them before it gives up. It leaves by itself.
        let gives_up = async {
            while let Ok(Turn::Request(_)) = self.turn().await {
                if self.say_no(farewell).is_err() {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(FAREWELL_TIME, gives_up).await;
        true
    }

    fn say_no(&mut self, farewell: Farewell) -> Result<(), SshError> {
        self.refuse(&[farewell.method()], PartialSuccess::No)
    }

    /// Says yes to the pending request, unless that was done for the agent's sake; gives what the client has sent since.
    pub(crate) async fn let_in(&mut self) -> Result<Option<Box<Early>>, SshError> {
        if self.early.is_none() {
            self.client.send(&auth::success())?;
            self.client.flush().await?;
        }
        Ok(self.early.take())
    }

    /// Lets the client in and opens a channel to the agent that it lends, which answers by then or not at all. Nothing can
    /// be asked after this.
    pub(crate) async fn agent(&mut self, by: std::time::Instant) -> Result<UserAgent<'_>, Fault> {
        let early = match self.early.take() {
            Some(early) => early,
            None => {
                self.client.send(&auth::success())?;
                Box::default()
            }
        };
        UserAgent::open(self.client, self.early.insert(early), by).await
    }
}

impl Conversation for Talk<'_> {
    /// A client that knows no keyboard-interactive leaves when it is told to use it, and that ends the session.
    fn can_ask(&self) -> bool {
        self.early.is_none()
    }

    async fn tell(&mut self, text: &str) -> Result<(), ClientGone> {
        // Clients show a banner at any time before they are let in (RFC 4252 section 5.4).
        let told = self.client.send(&auth::banner(&format!("{text}\r\n")));
        match told.and(self.client.flush().await) {
            Ok(()) => Ok(()),
            Err(error) => Err(gone(&error)),
        }
    }

    async fn ask(&mut self, question: Question) -> Result<Secret, ClientGone> {
        self.ask_in_pages(&question).await.map_err(|error| gone(&error))
    }
}

fn gone(error: &SshError) -> ClientGone {
    tracing::debug!(error = %crate::error::chain(error), "the client did not answer");
    ClientGone
}

/// One question was asked, so one answer counts; none at all is an empty one.
fn first_line(answers: &[&[u8]]) -> Result<Secret, SshError> {
    let answer = answers.first().copied().unwrap_or_default();
    if answer.len() > LONGEST_ANSWER {
        return Err(SshError::AnswerTooLong);
    }
    Ok(Secret::new(String::from_utf8_lossy(answer).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_answer_is_an_empty_one_and_a_huge_one_is_refused() {
        assert_eq!(first_line(&[]).unwrap().expose(), "");
        assert_eq!(first_line(&[b"123", b"4"]).unwrap().expose(), "123");
        assert!(first_line(&[&[b'x'; LONGEST_ANSWER + 1]]).is_err());
    }

    #[test]
    fn what_was_right_is_not_called_wrong_when_questions_follow() {
        assert_eq!(Tried::Password.partial_success(), PartialSuccess::Yes);
        assert_eq!(Tried::PublicKey.partial_success(), PartialSuccess::Yes);
        assert_eq!(Tried::None.partial_success(), PartialSuccess::No);
    }
}
