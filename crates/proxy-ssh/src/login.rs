//! Step 11 of the gateway's order of events: logging in on the target with what the session can get.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use keyward_model::{Secret, SessionId};
use keyward_session::{Connected, Conversation, Ended, LoginTarget, OfferedKey, Reason};
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse as Interactive, Prompt};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};

use crate::client::{Leg, PATIENCE, Reached, Target, TargetSide};
use crate::one_time::{asks_for_code, valid};
use crate::private_key::usable;

/// Information requests in one attempt at keyboard-interactive.
const MOST_ROUNDS: u32 = 8;

/// In the order of [`Connected::log_in`](keyward_session::Connected::log_in).
pub(crate) async fn log_in<C: Conversation>(
    reached: Reached,
    leg: &Leg,
    talk: &mut C,
) -> Result<Reached, Ended> {
    let Reached { connected, target } = reached;
    let mut login = Login::new(target, connected.remote_user(), leg.session.clone());
    login.probe().await;
    let connected = connected.log_in(&mut login, talk).await?;
    Ok(Reached { connected, target: login.target })
}

/// The log-in as far as it has come.
struct Login {
    target: Target,
    session: SessionId,
    user: String,
    methods: MethodSet,
    progress: Progress,
    keys: u32,
    passwords: u32,
    /// The target has accepted something and wants more (RFC 4252 section 5.1).
    halfway: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Progress {
    In,
    Out,
    /// The target has ended the connection.
    Lost,
}

impl LoginTarget for Login {
    fn wants_key(&self) -> bool {
        self.progress == Progress::Out && self.methods.contains(&MethodKind::PublicKey)
    }

    fn wants_password(&self) -> bool {
        let by_password = [MethodKind::Password, MethodKind::KeyboardInteractive];
        self.progress == Progress::Out && by_password.iter().any(|method| self.methods.contains(method))
    }

    async fn try_keys(&mut self, keys: Vec<OfferedKey>) {
        for key in usable(&keys, &self.session) {
            if !self.wants_key() {
                return;
            }
            self.keys += 1;
            let outcome = in_time(sign_in(self.target.handle(), self.user.clone(), key)).await;
            self.note(outcome);
        }
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
            let outcome = if self.methods.contains(&MethodKind::Password) {
                let user = self.user.clone();
                in_time(self.target.handle().authenticate_password(user, password.expose())).await
            } else {
                let answered;
                (connected, answered) = self.answer_prompts(connected, Some(&password)).await?;
                answered
            };
            self.note(outcome);
        }
        self.try_codes(connected).await
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
    fn new(target: Target, user: &str, session: SessionId) -> Self {
        let (user, methods) = (user.to_owned(), MethodSet::empty());
        Self {
            target,
            session,
            user,
            methods,
            progress: Progress::Out,
            keys: 0,
            passwords: 0,
            halfway: false,
        }
    }

    /// Asks which methods there are (RFC 4252 section 5.2).
    async fn probe(&mut self) {
        let outcome = in_time(self.target.handle().authenticate_none(self.user.clone())).await;
        self.note(outcome);
    }

    /// A target that has accepted a key or a password and now only has questions may want a one-time code.
    async fn try_codes(&mut self, connected: Connected) -> Result<Connected, Ended> {
        let asks = self.methods.contains(&MethodKind::KeyboardInteractive);
        if self.progress != Progress::Out || !self.halfway || !asks {
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
    ) -> Result<(Connected, Result<AuthResult, russh::Error>), Ended> {
        let handle = self.target.handle();
        let mut answers = Answers { password, codes: None };
        // For all replies of the target together; what the plugin takes is its own.
        let mut patience = PATIENCE;
        let start = handle.authenticate_keyboard_interactive_start(self.user.clone(), None);
        let mut reply = within(&mut patience, start).await;
        for _ in 0..MOST_ROUNDS {
            let prompts = match reply {
                Ok(Interactive::Success) => return Ok((connected, Ok(AuthResult::Success))),
                Ok(Interactive::Failure { remaining_methods, partial_success }) => {
                    return Ok((connected, Ok(AuthResult::Failure { remaining_methods, partial_success })));
                }
                Ok(Interactive::InfoRequest { prompts, .. }) => prompts,
                Err(error) => return Ok((connected, Err(error))),
            };
            if answers.codes.is_none() && prompts.iter().any(|prompt| asks_for_code(&prompt.prompt)) {
                let codes;
                (connected, codes) = connected.totp_codes().await?;
                answers.codes = Some(valid(codes, SystemTime::now()).collect());
            }
            let given = prompts.iter().map(|prompt| answers.to(prompt)).collect();
            let respond = handle.authenticate_keyboard_interactive_respond(given);
            reply = within(&mut patience, respond).await;
        }
        Ok((connected, Err(russh::Error::RequestDenied)))
    }

    fn note(&mut self, outcome: Result<AuthResult, russh::Error>) {
        match outcome {
            Ok(AuthResult::Success) => self.progress = Progress::In,
            Ok(AuthResult::Failure { .. }) | Err(_) if self.target.is_lost() => {
                self.progress = Progress::Lost
            }
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                self.methods = remaining_methods;
                self.halfway = partial_success;
            }
            // A request that got no answer leaves the protocol in the middle of something.
            Err(_) => self.progress = Progress::Lost,
        }
    }

    /// What was tried, for the record.
    fn account(&self) -> String {
        let methods: Vec<&str> = self.methods.iter().map(Into::into).collect();
        format!("tried {} keys and {} passwords, it takes {}", self.keys, self.passwords, methods.join(", "))
    }
}

async fn in_time<F, T>(request: F) -> Result<T, russh::Error>
where
    F: Future<Output = Result<T, russh::Error>>,
{
    within(&mut { PATIENCE }, request).await
}

/// What the request takes is taken from `patience`.
async fn within<F, T>(patience: &mut Duration, request: F) -> Result<T, russh::Error>
where
    F: Future<Output = Result<T, russh::Error>>,
{
    let begun = Instant::now();
    let outcome = tokio::time::timeout(*patience, request).await;
    *patience = patience.saturating_sub(begun.elapsed());
    outcome?
}

async fn sign_in(
    handle: &mut Handle<TargetSide>,
    user: String,
    key: Arc<PrivateKey>,
) -> Result<AuthResult, russh::Error> {
    let hash = signing_hash(handle, &key).await?;
    handle.authenticate_publickey(user, PrivateKeyWithHashAlg::new(key, hash)).await
}

/// The strongest hash that the target takes for RSA signatures (RFC 8332); never SHA-1.
async fn signing_hash(
    handle: &Handle<TargetSide>,
    key: &PrivateKey,
) -> Result<Option<HashAlg>, russh::Error> {
    match key.algorithm() {
        Algorithm::Rsa { .. } => {
            let best = handle.best_supported_rsa_hash().await?;
            Ok(best.flatten().or(Some(HashAlg::Sha512)))
        }
        _ => Ok(None),
    }
}

/// What is left to answer with.
struct Answers<'a> {
    password: Option<&'a Secret>,
    /// `None` until the target has asked for one.
    codes: Option<VecDeque<Secret>>,
}

impl Answers<'_> {
    fn to(&mut self, prompt: &Prompt) -> String {
        let code =
            self.codes.as_mut().filter(|_| asks_for_code(&prompt.prompt)).and_then(VecDeque::pop_front);
        if let Some(code) = code {
            return code.expose().to_owned();
        }
        if prompt.echo {
            return String::new();
        }
        self.password.take().map(|password| password.expose().to_owned()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(text: &str, echo: bool) -> Prompt {
        Prompt { prompt: text.to_owned(), echo }
    }

    #[test]
    fn a_password_is_given_once_and_to_a_hidden_prompt_only() {
        let secret = Secret::new("hunter2".into());
        let mut answers = Answers { password: Some(&secret), codes: None };
        assert_eq!(answers.to(&prompt("Password: ", true)), "");
        assert_eq!(answers.to(&prompt("Password: ", false)), "hunter2");
        assert_eq!(answers.to(&prompt("Password: ", false)), "");
    }

    #[test]
    fn codes_go_to_what_asks_for_them_one_by_one() {
        let secret = Secret::new("hunter2".into());
        let codes = ["111111", "222222"].map(|code| Secret::new(code.into()));
        let mut answers = Answers { password: Some(&secret), codes: Some(codes.into()) };
        assert_eq!(answers.to(&prompt("Verification code: ", false)), "111111");
        assert_eq!(answers.to(&prompt("Password: ", false)), "hunter2");
        assert_eq!(answers.to(&prompt("Verification code: ", true)), "222222");
        assert_eq!(answers.to(&prompt("Verification code: ", false)), "");
    }
}
