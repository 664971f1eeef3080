//! Step 11 of the gateway's order of events: logging in on the target with what the session can get.

use std::collections::VecDeque;
use std::future::Future;
use std::time::{Duration, Instant, SystemTime};

use keyward_model::{Secret, SessionId};
use keyward_policy::Algorithms;
use keyward_session::{AgentOutcome, CertificateOrder, Connected, Ended, LoginTarget, OfferedKey, Reason};
use keyward_ssh::auth::{self, Prompt, Reply};
use keyward_ssh::{SignatureAlgorithm, SigningKey};
use zeroize::Zeroizing;

use crate::SshError;
use crate::client::{Leg, PATIENCE, Reached};
use crate::error::chain;
use crate::issue::issue;
use crate::one_time::{asks_for_code, valid};
use crate::peer::Peer;
use crate::private_key::usable;
use crate::signatures::signatures;
use crate::talk::Talk;

/// Information requests in one attempt at keyboard-interactive.
const MOST_ROUNDS: u32 = 8;
/// Banners that a target may show on the way to an answer; nobody sees them.
const MOST_BANNERS: u32 = 32;

const PUBLIC_KEY: &str = "publickey";
const PASSWORD: &str = "password";
const INTERACTIVE: &str = "keyboard-interactive";

/// In the order of [`Connected::log_in`](keyward_session::Connected::log_in).
pub(crate) async fn log_in(reached: Reached, leg: &Leg, talk: &mut Talk<'_>) -> Result<Reached, Ended> {
    let Reached { connected, target } = reached;
    let set = connected.connection().settings.target_algorithms;
    let mut login = Login::new(target, connected.remote_user(), leg.session.clone(), set);
    login.probe().await;
    let connected = connected.log_in(&mut login, talk).await?;
    Ok(Reached { connected, target: login.target })
}

/// The log-in as far as it has come.
pub(crate) struct Login {
    pub(crate) target: Peer,
    pub(crate) session: SessionId,
    pub(crate) user: String,
    /// What keys may sign with.
    pub(crate) set: Algorithms,
    /// What the target takes next.
    pub(crate) methods: Vec<String>,
    pub(crate) progress: Progress,
    pub(crate) keys: u32,
    /// Keys that were not tried, since the policy allows none of their signatures that the target takes.
    pub(crate) legacy_keys: u32,
    pub(crate) passwords: u32,
    /// The target has accepted something and wants more (RFC 4252 section 5.1).
    pub(crate) halfway: bool,
    /// What came of the person's agent, where it was asked for and did not help.
    pub(crate) agent: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Progress {
    In,
    Out,
    /// The target has ended the connection, or does not keep to the protocol.
    Lost,
}

/// What a target says to a request.
#[derive(Debug)]
pub(crate) enum Answer {
    Success,
    Failure {
        methods: Vec<String>,
        partial: bool,
    },
    Prompts(Vec<Prompt>),
    /// The key that was asked about is worth a signature.
    Welcome,
}

impl LoginTarget<Talk<'_>> for Login {
    fn wants_key(&self) -> bool {
        self.progress == Progress::Out && self.takes(PUBLIC_KEY)
    }

    fn wants_password(&self) -> bool {
        self.progress == Progress::Out && (self.takes(PASSWORD) || self.takes(INTERACTIVE))
    }

    async fn try_keys(&mut self, keys: Vec<OfferedKey>) {
        for key in usable(&keys, &self.session) {
            if !self.wants_key() {
                return;
            }
            self.try_key(&key).await;
        }
    }

    async fn try_certificate(&mut self, order: CertificateOrder) {
        self.keys += 1;
        let outcome = match self.certified_request(&order) {
            Ok(request) => in_time(ask(&mut self.target, &request)).await,
            Err(error) => {
                tracing::error!(session = %self.session, error = %chain(&error), "no certificate can be issued");
                return;
            }
        };
        self.note(outcome);
    }

    async fn try_passwords(
        &mut self,
        mut connected: Connected,
        passwords: Vec<Secret>,
    ) -> Result<Connected, Ended> {
        for password in passwords {
            if !self.wants_password() {
                break;
            }
            self.passwords += 1;
            let outcome = if self.takes(PASSWORD) {
                let request = auth::request_password(&self.user, &password);
                in_time(ask(&mut self.target, &request)).await
            } else {
                let answered;
                (connected, answered) = self.answer_prompts(connected, Some(&password)).await?;
                answered
            };
            self.note(outcome);
        }
        self.try_codes(connected).await
    }

    async fn try_agent(&mut self, talk: &mut Talk<'_>) -> AgentOutcome {
        self.try_agent_of(talk).await
    }

    fn refusal(&self) -> Option<Reason> {
        match self.progress {
            Progress::In => None,
            Progress::Out => Some(Reason::TargetLogin(self.account())),
            Progress::Lost => {
                Some(Reason::TargetLogin(format!("it closed the connection; {}", self.account())))
            }
        }
    }
}

impl Login {
    fn new(target: Peer, user: &str, session: SessionId, set: Algorithms) -> Self {
        Self {
            target,
            session,
            user: user.to_owned(),
            set,
            methods: Vec::new(),
            progress: Progress::Out,
            keys: 0,
            legacy_keys: 0,
            passwords: 0,
            halfway: false,
            agent: None,
        }
    }

    pub(crate) fn takes(&self, method: &str) -> bool {
        self.methods.iter().any(|taken| taken == method)
    }

    /// Asks which methods there are (RFC 4252 section 5.2).
    async fn probe(&mut self) {
        let request = auth::request_none(&self.user);
        let outcome = in_time(ask(&mut self.target, &request)).await;
        self.note(outcome);
    }

    fn certified_request(&self, order: &CertificateOrder) -> Result<Vec<u8>, SshError> {
        let issued = issue(order, SystemTime::now()).map_err(SshError::Issue)?;
        let session = self.target.transport.session_id();
        auth::request_certificate(&self.user, &issued.key, &issued.certificate, session)
            .map_err(SshError::Sign)
    }

    async fn try_key(&mut self, key: &SigningKey) {
        let tries = signatures(key.algorithms(), self.target.transport.peer_signatures(), self.set);
        match tries.is_empty() {
            true => self.legacy_keys += 1,
            false => self.keys += 1,
        }
        for algorithm in tries {
            let outcome = match self.signed_request(key, algorithm) {
                Ok(request) => in_time(ask(&mut self.target, &request)).await,
                Err(error) => Err(error),
            };
            self.note(outcome);
            if self.halfway || !self.wants_key() {
                return;
            }
        }
    }

    fn signed_request(&self, key: &SigningKey, algorithm: SignatureAlgorithm) -> Result<Vec<u8>, SshError> {
        let session = self.target.transport.session_id();
        auth::request_public_key(&self.user, key, algorithm, session).map_err(SshError::Sign)
    }

    /// A target that has accepted a key or a password and now only has questions may want a one-time code.
    async fn try_codes(&mut self, connected: Connected) -> Result<Connected, Ended> {
        if self.progress != Progress::Out || !self.halfway || !self.takes(INTERACTIVE) {
            return Ok(connected);
        }
        let (connected, outcome) = self.answer_prompts(connected, None).await?;
        self.note(outcome);
        Ok(connected)
    }

    /// Gives the password to the first hidden prompt and codes to those that ask for one (RFC 4256). Whatever else is
    /// asked gets an empty answer, which ends the attempt.
    async fn answer_prompts(
        &mut self,
        mut connected: Connected,
        password: Option<&Secret>,
    ) -> Result<(Connected, Result<Answer, SshError>), Ended> {
        let mut answers = Answers { password, codes: None };
        // For all replies of the target together; what the plugin takes is its own.
        let mut patience = PATIENCE;
        let mut request = Zeroizing::new(auth::request_interactive(&self.user));
        for _ in 0..MOST_ROUNDS {
            let prompts = match within(&mut patience, ask(&mut self.target, &request)).await {
                Ok(Answer::Prompts(prompts)) => prompts,
                outcome => return Ok((connected, outcome)),
            };
            if answers.codes.is_none() && prompts.iter().any(|prompt| asks_for_code(&prompt.text)) {
                let codes;
                (connected, codes) = connected.totp_codes().await?;
                answers.codes = Some(valid(codes, SystemTime::now()).collect());
            }
            let given: Vec<Secret> = prompts.iter().map(|prompt| answers.to(prompt)).collect();
            request = auth::info_response(&given);
        }
        Ok((connected, Err(SshError::OutOfTurn)))
    }

    pub(crate) fn note(&mut self, outcome: Result<Answer, SshError>) {
        match outcome {
            Ok(Answer::Success) => self.progress = Progress::In,
            Ok(Answer::Failure { methods, partial }) => {
                self.methods = methods;
                self.halfway = partial;
            }
            // A password that has to be changed first is none that lets anybody in.
            Ok(Answer::Prompts(_)) => self.methods = Vec::new(),
            Ok(Answer::Welcome) => {}
            // A request that got no answer leaves the protocol in the middle of something.
            Err(error) => {
                tracing::debug!(session = %self.session, error = %chain(&error), "no answer from the target");
                self.progress = Progress::Lost;
            }
        }
    }

    /// What was tried, for the record.
    fn account(&self) -> String {
        let methods = self.methods.join(", ");
        let mut tried =
            format!("tried {} keys and {} passwords, it takes {methods}", self.keys, self.passwords);
        if let Some(agent) = &self.agent {
            tried = format!("{tried}; {agent}");
        }
        match self.legacy_keys {
            0 => tried,
            skipped => format!(
                "{tried}; {skipped} keys only have legacy signatures for it, which `target-algorithms = \"legacy\"` in the settings of the connection allows"
            ),
        }
    }
}

/// Sends a request and waits for what the target says to it. Not cancel-safe: the answer may still come.
pub(crate) async fn ask(target: &mut Peer, request: &[u8]) -> Result<Answer, SshError> {
    let prompts = |question: &[u8]| Ok(Answer::Prompts(auth::prompts(question)?));
    answer_to(target, request, prompts).await
}

/// Asks whether a key is worth a signature. Not cancel-safe either.
pub(crate) async fn ask_about_key(target: &mut Peer, request: &[u8]) -> Result<Answer, SshError> {
    answer_to(target, request, |_welcome| Ok(Answer::Welcome)).await
}

async fn answer_to(
    target: &mut Peer,
    request: &[u8],
    question: impl Fn(&[u8]) -> Result<Answer, SshError> + Send,
) -> Result<Answer, SshError> {
    target.send(request)?;
    for _ in 0..MOST_BANNERS {
        let message = target.message().await?;
        return Ok(match Reply::parse(&message)?.ok_or(SshError::OutOfTurn)? {
            Reply::Success => Answer::Success,
            Reply::Failure { methods, partial } => {
                Answer::Failure { methods: methods.into_iter().map(str::to_owned).collect(), partial }
            }
            Reply::Question(asked) => question(asked)?,
            Reply::Banner => continue,
        });
    }
    Err(SshError::TooManyRequests)
}

pub(crate) async fn in_time(
    request: impl Future<Output = Result<Answer, SshError>>,
) -> Result<Answer, SshError> {
    within(&mut { PATIENCE }, request).await
}

/// What the request takes is taken from `patience`.
pub(crate) async fn within(
    patience: &mut Duration,
    request: impl Future<Output = Result<Answer, SshError>>,
) -> Result<Answer, SshError> {
    let begun = Instant::now();
    let outcome = tokio::time::timeout(*patience, request).await;
    *patience = patience.saturating_sub(begun.elapsed());
    outcome.unwrap_or(Err(SshError::Closed))
}

/// What is left to answer with.
struct Answers<'a> {
    password: Option<&'a Secret>,
    /// `None` until the target has asked for one.
    codes: Option<VecDeque<Secret>>,
}

impl Answers<'_> {
    fn to(&mut self, prompt: &Prompt) -> Secret {
        let code = self.codes.as_mut().filter(|_| asks_for_code(&prompt.text)).and_then(VecDeque::pop_front);
        if let Some(code) = code {
            return code;
        }
        if prompt.echo {
            return Secret::default();
        }
        self.password.take().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(text: &str, echo: bool) -> Prompt {
        Prompt { text: text.to_owned(), echo }
    }

    #[test]
    fn a_password_is_given_once_and_to_a_hidden_prompt_only() {
        let secret = Secret::new("hunter2".into());
        let mut answers = Answers { password: Some(&secret), codes: None };
        assert_eq!(answers.to(&prompt("Password: ", true)).expose(), "");
        assert_eq!(answers.to(&prompt("Password: ", false)).expose(), "hunter2");
        assert_eq!(answers.to(&prompt("Password: ", false)).expose(), "");
    }

    #[test]
    fn codes_go_to_what_asks_for_them_one_by_one() {
        let secret = Secret::new("hunter2".into());
        let codes = ["111111", "222222"].map(|code| Secret::new(code.into()));
        let mut answers = Answers { password: Some(&secret), codes: Some(codes.into()) };
        assert_eq!(answers.to(&prompt("Verification code: ", false)).expose(), "111111");
        assert_eq!(answers.to(&prompt("Password: ", false)).expose(), "hunter2");
        assert_eq!(answers.to(&prompt("Verification code: ", true)).expose(), "222222");
        assert_eq!(answers.to(&prompt("Verification code: ", false)).expose(), "");
    }
}
