//! What a protocol offers a session for talking with the person.

use std::future::Future;

use keyward_model::Secret;

/// The small conversation that a stage may hold. A stage never knows which protocol serves it.
pub trait Conversation: Send {
    /// Whether the protocol can ask at all, at this moment. Where it cannot, a question is a refusal.
    fn can_ask(&self) -> bool {
        false
    }

    /// Shows a text, one line, while the person waits. A protocol that cannot shows nothing.
    ///
    /// Not cancel-safe: a part of the text may have been sent.
    fn tell(&mut self, _text: &str) -> impl Future<Output = Result<(), ClientGone>> + Send {
        std::future::ready(Ok(()))
    }

    /// Shows the prompt, which may have several lines, and reads one line.
    ///
    /// Not cancel-safe: after a dropped call the answer may still arrive, so the session must end.
    fn ask(&mut self, question: Question) -> impl Future<Output = Result<Secret, ClientGone>> + Send;
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    pub prompt: String,
    pub echo: Echo,
}

/// Whether the terminal shows what the person types.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Echo {
    On,
    Off,
}

/// The client went away, or gave up, during a question.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the client went away")]
pub struct ClientGone;

/// A conversation that can ask nothing.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Conversation for Silent {
    async fn ask(&mut self, _question: Question) -> Result<Secret, ClientGone> {
        Err(ClientGone)
    }
}
