//! The session's side and the client's side of user authentication, and what passes between them.
//!
//! The session's stages run on one task, the SSH library calls its handler on another. The stages take steps;
//! the handler waits for them and answers the client.

use std::borrow::Cow;
use std::sync::Arc;

use keyward_model::Secret;
use keyward_session::{ClientGone, Conversation, Echo, Question};
use russh::server::Auth;
use tokio::sync::{mpsc, oneshot};

use crate::opened::Opened;

/// What the stages tell the handler.
#[derive(Debug)]
pub(crate) enum Step {
    Ask(Asked),
    /// The gateway is logged in on the target.
    Open(Arc<Opened>),
    /// The session is over before it was open; the sentence is for the person.
    Refused(String),
}

#[derive(Debug)]
pub(crate) struct Asked {
    question: Question,
    answer: oneshot::Sender<Secret>,
}

/// One step may wait while another is being shown.
pub(crate) const STEPS: usize = 2;

/// The conversation of the stages: questions go to the client by keyboard-interactive (RFC 4256).
#[derive(Debug)]
pub(crate) struct Talk {
    steps: mpsc::Sender<Step>,
}

impl Talk {
    pub(crate) fn new(steps: mpsc::Sender<Step>) -> Self {
        Self { steps }
    }
}

impl Conversation for Talk {
    /// A client that knows no keyboard-interactive leaves when it is told to use it, and that ends the session.
    fn can_ask(&self) -> bool {
        !self.steps.is_closed()
    }

    async fn ask(&mut self, question: Question) -> Result<Secret, ClientGone> {
        let (answer, answered) = oneshot::channel();
        let asked = Step::Ask(Asked { question, answer });
        self.steps.send(asked).await.map_err(|_| ClientGone)?;
        answered.await.map_err(|_| ClientGone)
    }
}

impl Asked {
    /// Whether nobody waits for the answer any more.
    pub(crate) fn is_stale(&self) -> bool {
        self.answer.is_closed()
    }

    pub(crate) fn answer(self, answer: Secret) {
        // A session that gave up in the meantime says so with its next step.
        let _ = self.answer.send(answer);
    }

    /// The question as an information request (RFC 4256 section 3.2).
    pub(crate) fn as_request(&self) -> Auth {
        let (instructions, prompt) = split(&self.question.prompt);
        prompt_for(instructions, prompt, self.question.echo)
    }
}

/// Asks for one line.
pub(crate) fn prompt_for(instructions: String, prompt: String, echo: Echo) -> Auth {
    let echo = match echo {
        Echo::On => true,
        Echo::Off => false,
    };
    Auth::Partial {
        name: Cow::Borrowed(""),
        instructions: Cow::Owned(instructions),
        prompts: Cow::Owned(vec![(Cow::Owned(prompt), echo)]),
    }
}

/// Shows a sentence and asks nothing, which RFC 4256 section 3.2 allows and OpenSSH and PuTTY show.
pub(crate) fn notice(sentence: &str) -> Auth {
    Auth::Partial {
        name: Cow::Borrowed(""),
        instructions: Cow::Owned(sentence.to_owned()),
        prompts: Cow::Borrowed(&[]),
    }
}

/// More of a prompt than this is not shown.
const LONGEST_PROMPT: usize = 4096;

/// The lines before the last one are instructions. What could act on a terminal becomes a space.
fn split(prompt: &str) -> (String, String) {
    let shown = |c: char| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c };
    let text: String = prompt.replace("\r\n", "\n").chars().take(LONGEST_PROMPT).map(shown).collect();
    match text.trim_end_matches('\n').rsplit_once('\n') {
        Some((instructions, last)) => (instructions.to_owned(), last.to_owned()),
        None => (String::new(), text.trim_end_matches('\n').to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(instructions: &str, prompt: &str) -> (String, String) {
        (instructions.to_owned(), prompt.to_owned())
    }

    #[test]
    fn the_last_line_is_the_prompt_and_the_others_are_instructions() {
        assert_eq!(split("Code: "), pair("", "Code: "));
        assert_eq!(split("Look at\nyour phone\nCode: "), pair("Look at\nyour phone", "Code: "));
        assert_eq!(split("Look\r\nCode: \r\n"), pair("Look", "Code: "));
        assert_eq!(split(""), pair("", ""));
        assert_eq!(split("\n\n"), pair("", ""));
    }

    #[test]
    fn a_prompt_cannot_act_on_the_terminal() {
        assert_eq!(split("\x1b[2JCode\u{9b}: "), pair("", " [2JCode : "));
        assert_eq!(split(&"x".repeat(10_000)).1.len(), LONGEST_PROMPT);
    }

    #[tokio::test]
    async fn a_question_finds_its_answer() {
        let (steps, mut received) = mpsc::channel(STEPS);
        let mut talk = Talk::new(steps);
        let asking =
            tokio::spawn(
                async move { talk.ask(Question { prompt: "Code: ".into(), echo: Echo::Off }).await },
            );
        let Some(Step::Ask(asked)) = received.recv().await else { panic!("no question") };
        assert_eq!(
            asked.as_request(),
            Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Code: ".into(), false)].into()
            }
        );
        asked.answer(Secret::new("123".into()));
        assert_eq!(asking.await.unwrap().unwrap().expose(), "123");
    }

    #[tokio::test]
    async fn a_client_that_left_can_be_asked_nothing() {
        let (steps, received) = mpsc::channel(STEPS);
        let mut talk = Talk::new(steps);
        drop(received);
        assert!(!talk.can_ask());
        assert!(talk.ask(Question { prompt: "Code: ".into(), echo: Echo::On }).await.is_err());
    }
}
