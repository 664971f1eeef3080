//! Step 11 of the gateway's order of events: logging in on the target with what the session can get.

use std::future::Future;
use std::sync::Arc;

use keyward_model::{Secret, SessionId};
use keyward_session::{Conversation, Ended, LoginTarget, OfferedKey, Reason};
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse as Interactive, Prompt};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};

use crate::client::{Leg, PATIENCE, Reached, Target, TargetSide};
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

    async fn try_passwords(&mut self, passwords: Vec<Secret>) {
        for password in passwords {
            if !self.wants_password() {
                return;
            }
            self.passwords += 1;
            let (user, handle) = (self.user.clone(), self.target.handle());
            let outcome = if self.methods.contains(&MethodKind::Password) {
                in_time(handle.authenticate_password(user, password.expose())).await
            } else {
                in_time(answer_prompts(handle, user, &password)).await
            };
            self.note(outcome);
        }
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
        Self { target, session, user, methods, progress: Progress::Out, keys: 0, passwords: 0 }
    }

    /// Asks which methods there are (RFC 4252 section 5.2).
    async fn probe(&mut self) {
        let outcome = in_time(self.target.handle().authenticate_none(self.user.clone())).await;
        self.note(outcome);
    }

    fn note(&mut self, outcome: Result<AuthResult, russh::Error>) {
        match outcome {
            Ok(AuthResult::Success) => self.progress = Progress::In,
            Ok(AuthResult::Failure { .. }) | Err(_) if self.target.is_lost() => {
                self.progress = Progress::Lost
            }
            Ok(AuthResult::Failure { remaining_methods, .. }) => self.methods = remaining_methods,
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

async fn in_time<F>(request: F) -> Result<AuthResult, russh::Error>
where
    F: Future<Output = Result<AuthResult, russh::Error>>,
{
    tokio::time::timeout(PATIENCE, request).await?
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

/// Gives the password to the first hidden prompt (RFC 4256). Whatever else is asked gets an empty answer, which
/// ends the attempt.
async fn answer_prompts(
    handle: &mut Handle<TargetSide>,
    user: String,
    password: &Secret,
) -> Result<AuthResult, russh::Error> {
    let mut password = Some(password);
    let mut reply = handle.authenticate_keyboard_interactive_start(user, None).await?;
    for _ in 0..MOST_ROUNDS {
        let prompts = match reply {
            Interactive::Success => return Ok(AuthResult::Success),
            Interactive::Failure { remaining_methods, partial_success } => {
                return Ok(AuthResult::Failure { remaining_methods, partial_success });
            }
            Interactive::InfoRequest { prompts, .. } => prompts,
        };
        let answers = prompts.iter().map(|prompt| answer(prompt, &mut password)).collect();
        reply = handle.authenticate_keyboard_interactive_respond(answers).await?;
    }
    Err(russh::Error::RequestDenied)
}

fn answer(prompt: &Prompt, password: &mut Option<&Secret>) -> String {
    if prompt.echo {
        return String::new();
    }
    password.take().map(|password| password.expose().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_given_once_and_to_a_hidden_prompt_only() {
        let secret = Secret::new("hunter2".into());
        let mut password = Some(&secret);
        let prompt = |echo| Prompt { prompt: "Password: ".into(), echo };
        assert_eq!(answer(&prompt(true), &mut password), "");
        assert_eq!(answer(&prompt(false), &mut password), "hunter2");
        assert_eq!(answer(&prompt(false), &mut password), "");
    }
}
