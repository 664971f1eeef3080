//! The person and the target of a scenario, as the stages of a session see them.

use std::collections::VecDeque;
use std::time::SystemTime;

use keyward_model::{Secret, SessionId};
use keyward_proxy_ssh::key_fault;
use keyward_session::{
    AgentOutcome, CertificateOrder, ClientGone, Connected, Conversation, Echo, Ended, LoginTarget,
    OfferedKey, Question, Reason, TotpCode,
};
use keyward_store::Store;

use super::document::{Asks, Outcome, Target};
use super::terminal::Terminal;

/// The person: answers from the script, or from whoever sits at the terminal.
#[derive(Debug)]
pub(crate) struct Talk {
    pub(crate) answers: Answers,
    pub(crate) can_ask: bool,
    pub(crate) asked: Vec<Asked>,
    store: Store,
    session: SessionId,
}

#[derive(Debug)]
pub(crate) enum Answers {
    Script(VecDeque<Reply>),
    Live(Terminal),
}

/// What the person does at a question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Reply {
    Answer(String),
    Leaves,
    /// The script has nothing for this question.
    Nothing,
}

/// A question that was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// How many hook calls there were before it.
    pub(crate) calls_before: usize,
    pub(crate) prompt: String,
    pub(crate) echo: bool,
    pub(crate) reply: Reply,
}

impl Talk {
    pub(crate) fn new(answers: Answers, can_ask: bool, store: Store, session: SessionId) -> Self {
        Self { answers, can_ask, asked: Vec::new(), store, session }
    }
}

impl Conversation for Talk {
    fn can_ask(&self) -> bool {
        self.can_ask
    }

    async fn ask(&mut self, question: Question) -> Result<Secret, ClientGone> {
        let record = self.store.session(&self.session).await.ok().flatten();
        let echo = question.echo == Echo::On;
        let reply = match &mut self.answers {
            Answers::Script(replies) => replies.pop_front().unwrap_or(Reply::Nothing),
            Answers::Live(terminal) => {
                if let Some(record) = &record {
                    terminal.show_calls(&record.calls);
                }
                terminal.ask(&question.prompt, echo).await
            }
        };
        let calls_before = record.map_or(0, |record| record.calls.len());
        self.asked.push(Asked { calls_before, prompt: question.prompt, echo, reply: reply.clone() });
        match reply {
            Reply::Answer(text) => Ok(Secret::new(text)),
            Reply::Leaves | Reply::Nothing => Err(ClientGone),
        }
    }
}

/// The target: takes credentials as `[target]` says, and remembers what it was offered.
#[derive(Debug)]
pub(crate) struct ScriptedTarget {
    asks: Vec<Asks>,
    accepts: Accepts,
    password: Option<Secret>,
    code: Option<Secret>,
    is_in: bool,
    /// What each call of the credential store and each question for a password brought.
    pub(crate) keys: Vec<Vec<OfferedKey>>,
    pub(crate) passwords: Vec<Vec<Secret>>,
    pub(crate) codes: Vec<Vec<Secret>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Accepts {
    Credentials,
    Nothing,
}

impl ScriptedTarget {
    /// Without anybody who has credentials the gateway is in at once, as with the person's own agent.
    pub(crate) fn new(target: &Target, somebody_has_credentials: bool) -> Self {
        let accepts = match target.outcome {
            Outcome::Refuses => Accepts::Nothing,
            Outcome::Accepts | Outcome::Unreachable | Outcome::UnknownHostKey | Outcome::ChangedHostKey => {
                Accepts::Credentials
            }
        };
        Self {
            asks: target.asks.clone().unwrap_or_else(|| vec![Asks::Key, Asks::Password]),
            accepts,
            password: target.password.clone().map(Secret::new),
            code: target.code.clone().map(Secret::new),
            is_in: accepts == Accepts::Credentials && !somebody_has_credentials,
            keys: Vec::new(),
            passwords: Vec::new(),
            codes: Vec::new(),
        }
    }

    fn wants(&self, what: Asks) -> bool {
        !self.is_in && self.asks.contains(&what)
    }

    fn takes(&self, password: &Secret) -> bool {
        self.accepts == Accepts::Credentials && is_right(self.password.as_ref(), password)
    }

    /// Whether a password lets the gateway in, or as far as the question for a code.
    fn takes_one(&self, passwords: &[Secret]) -> bool {
        match self.asks.contains(&Asks::Password) {
            true => passwords.iter().any(|password| self.takes(password)),
            false => self.accepts == Accepts::Credentials,
        }
    }

    fn takes_code(&mut self, codes: Vec<TotpCode>) -> bool {
        let now = SystemTime::now();
        let right =
            codes.iter().any(|code| code.is_valid_at(now) && is_right(self.code.as_ref(), &code.code));
        self.codes.push(codes.into_iter().map(|code| code.code).collect());
        right
    }
}

impl<C: Conversation> LoginTarget<C> for ScriptedTarget {
    fn wants_key(&self) -> bool {
        self.wants(Asks::Key)
    }

    fn wants_password(&self) -> bool {
        self.wants(Asks::Password) || self.wants(Asks::OneTimeCode)
    }

    async fn try_keys(&mut self, keys: Vec<OfferedKey>) {
        // A target that knows one password knows no key; and no target is offered what is no key.
        let knows_keys = self.accepts == Accepts::Credentials && self.password.is_none();
        self.is_in |= knows_keys && keys.iter().any(|key| key_fault(key).is_none());
        self.keys.push(keys);
    }

    async fn try_certificate(&mut self, _order: CertificateOrder) {
        // Scripted targets trust no authority.
    }

    async fn try_passwords(&mut self, stage: Connected, passwords: Vec<Secret>) -> Result<Connected, Ended> {
        let is_taken = self.takes_one(&passwords);
        self.passwords.push(passwords);
        if !is_taken || !self.asks.contains(&Asks::OneTimeCode) {
            self.is_in |= is_taken;
            return Ok(stage);
        }
        let (stage, codes) = stage.totp_codes().await?;
        self.is_in |= self.takes_code(codes);
        Ok(stage)
    }

    async fn try_agent(&mut self, _conversation: &mut C) -> AgentOutcome {
        // Scripted people have no agent.
        AgentOutcome { taken: Vec::new(), client: Ok(()) }
    }

    fn refusal(&self) -> Option<Reason> {
        if self.is_in {
            return None;
        }
        let (keys, passwords) = (self.keys.concat().len(), self.passwords.concat().len());
        let codes = match self.codes.concat().len() {
            0 => String::new(),
            n => format!(", and {n} one-time codes"),
        };
        Some(Reason::TargetLogin(format!("tried {keys} keys and {passwords} passwords{codes}")))
    }
}

/// Without one that is right, all are.
fn is_right(right: Option<&Secret>, given: &Secret) -> bool {
    right.is_none_or(|right| right.expose() == given.expose())
}
