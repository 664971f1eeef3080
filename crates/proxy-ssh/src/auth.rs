//! User authentication towards the client (RFC 4252, RFC 4256): everything until the target is reached happens
//! in it, since it is the only time at which SSH lets a server ask questions.

use std::sync::Arc;

use bytes::Bytes;
use keyward_model::Secret;
use keyward_policy::Method;
use keyward_session::{Accepted, Echo, Ended, KnownKey, Named, Proof};
use russh::keys::{Algorithm, PublicKey};
use russh::server::Auth;
use russh::{MethodKind, MethodSet};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::SshError;
use crate::algorithms::accepts_signature;
use crate::opened::Opened;
use crate::talk::{Asked, Step, notice, prompt_for};

/// How far one client has come.
#[derive(Debug)]
pub(crate) struct Authentication {
    state: State,
    /// The login string of the first request.
    user: Option<String>,
    attempts: u32,
    offers: u32,
    proven: Option<oneshot::Sender<(Named, Proof)>>,
    steps: mpsc::Receiver<Step>,
    /// Cancelled when the person has been told that nothing comes of it.
    told: CancellationToken,
}

#[derive(Debug)]
enum State {
    /// No request yet.
    Arrived(Accepted),
    /// Who wants where is known, and not proven.
    Named(Named),
    /// The session's stages run. The question is theirs, until it is answered.
    Running(Option<Asked>),
    /// The session is over, with this sentence for the person.
    Refused(String),
    Open(Arc<Opened>),
    /// A step was interrupted; nothing goes on from here.
    Broken,
}

/// The method of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tried {
    None,
    PublicKey,
    Password,
    Interactive,
}

/// Wrong passwords in one connection.
const MOST_ATTEMPTS: u32 = 6;
/// Unknown public keys in one connection: agents offer all they have.
const MOST_OFFERS: u32 = 20;
const LONGEST_ANSWER: usize = 8 * 1024;

impl Authentication {
    pub(crate) fn new(
        accepted: Accepted,
        proven: oneshot::Sender<(Named, Proof)>,
        steps: mpsc::Receiver<Step>,
        told: CancellationToken,
    ) -> Self {
        Self {
            state: State::Arrived(accepted),
            user: None,
            attempts: 0,
            offers: 0,
            proven: Some(proven),
            steps,
            told,
        }
    }

    /// The session's channels, once there may be some.
    pub(crate) fn opened(&self) -> Option<&Arc<Opened>> {
        match &self.state {
            State::Open(opened) => Some(opened),
            State::Arrived(_) | State::Named(_) | State::Running(_) | State::Refused(_) | State::Broken => {
                None
            }
        }
    }

    /// What the policy shows to everyone, with a line end of its own.
    pub(crate) fn banner(&self) -> Option<String> {
        let State::Arrived(accepted) = &self.state else { return None };
        let banner = accepted.connection().settings.banner.as_deref()?;
        Some(format!("{}\r\n", banner.trim_end().replace("\r\n", "\n").replace('\n', "\r\n")))
    }

    pub(crate) async fn none(&mut self, user: &str) -> Result<Auth, SshError> {
        self.enter(user).await?;
        self.go_on(Tried::None).await
    }

    pub(crate) async fn password(&mut self, user: &str, password: Secret) -> Result<Auth, SshError> {
        self.enter(user).await?;
        match &self.state {
            State::Named(named) if named.methods().contains(&Method::Password) => {
                let proof = Box::pin(named.check_password(&password)).await;
                self.judge(proof, Tried::Password).await
            }
            _ => self.go_on(Tried::Password).await,
        }
    }

    /// A key without signature: is it worth signing with?
    pub(crate) async fn key_offered(
        &mut self,
        user: &str,
        key: &PublicKey,
        algorithm: &Algorithm,
    ) -> Result<Auth, SshError> {
        self.enter(user).await?;
        // An offer is no request to be let in, so it never waits for the stages.
        let State::Named(named) = &self.state else { return Ok(go_interactive(Tried::None)) };
        if named.unauthenticated().is_some() || known_key(named, key, algorithm).is_some() {
            return Ok(Auth::Accept);
        }
        self.offers += 1;
        if self.offers > MOST_OFFERS {
            return self.give_up("too many unknown public keys", Tried::PublicKey);
        }
        self.go_on(Tried::PublicKey).await
    }

    /// A key whose signature the library has verified.
    pub(crate) async fn key_verified(
        &mut self,
        user: &str,
        key: &PublicKey,
        algorithm: &Algorithm,
    ) -> Result<Auth, SshError> {
        self.enter(user).await?;
        match &self.state {
            State::Named(named) if named.methods().contains(&Method::PublicKey) => {
                let proof = known_key(named, key, algorithm).map(KnownKey::signed);
                self.judge(proof, Tried::PublicKey).await
            }
            _ => self.go_on(Tried::PublicKey).await,
        }
    }

    /// A keyboard-interactive request, or the answers to an information request.
    pub(crate) async fn interactive(
        &mut self,
        user: &str,
        answers: Option<Vec<Bytes>>,
    ) -> Result<Auth, SshError> {
        self.enter(user).await?;
        let answer = answers.map(|answers| first_line(&answers)).transpose()?;
        match (&mut self.state, answer) {
            (State::Named(named), answer) if named.methods().contains(&Method::KeyboardInteractive) => {
                let Some(password) = answer else { return Ok(ask_password()) };
                let proof = Box::pin(named.check_password(&password)).await;
                self.judge(proof, Tried::Interactive).await
            }
            (State::Running(question), Some(answer)) => {
                if let Some(asked) = question.take() {
                    asked.answer(answer);
                }
                self.go_on(Tried::Interactive).await
            }
            // The client has confirmed the notice; there is nothing left to try.
            (State::Refused(_), Some(_)) => Ok(self.dismiss()),
            _ => self.go_on(Tried::Interactive).await,
        }
    }

    /// Binds the connection to its first user name, and reads it as the login string.
    async fn enter(&mut self, user: &str) -> Result<(), SshError> {
        match &self.user {
            Some(first) if first == user => return Ok(()),
            Some(_) => return Err(SshError::UserChanged),
            None => self.user = Some(user.to_owned()),
        }
        let State::Arrived(accepted) = self.take() else { return Err(SshError::Over) };
        // Boxed here and below: the library keeps room for the handler's largest future in each connection.
        match Box::pin(accepted.name(user.as_bytes())).await {
            Ok(named) => self.state = State::Named(named),
            Err(ended) => self.refuse(&ended),
        }
        Ok(())
    }

    /// A proof starts the session's stages; without one the client may try again, a few times.
    async fn judge(&mut self, proof: Option<Proof>, tried: Tried) -> Result<Auth, SshError> {
        if let Some(proof) = proof {
            return self.start(proof, tried).await;
        }
        self.attempts += 1;
        if self.attempts >= MOST_ATTEMPTS {
            return self.give_up("too many wrong credentials", tried);
        }
        Ok(self.try_again())
    }

    /// Answers a request by the state, whatever it brought.
    async fn go_on(&mut self, tried: Tried) -> Result<Auth, SshError> {
        match &self.state {
            State::Named(named) => match named.unauthenticated() {
                Some(proof) => self.start(proof, tried).await,
                None => Ok(self.try_again()),
            },
            State::Running(Some(asked)) if tried == Tried::Interactive => Ok(asked.as_request()),
            State::Refused(sentence) if tried == Tried::Interactive => Ok(notice(sentence)),
            State::Running(None) if tried == Tried::Interactive => self.next(tried).await,
            // Only what the stages were started with has proven anything.
            State::Running(None) => self.next(Tried::None).await,
            State::Running(Some(_)) | State::Refused(_) => Ok(go_interactive(Tried::None)),
            State::Arrived(_) | State::Open(_) | State::Broken => Err(SshError::Over),
        }
    }

    async fn start(&mut self, proof: Proof, tried: Tried) -> Result<Auth, SshError> {
        let (State::Named(named), Some(proven)) = (self.take(), self.proven.take()) else {
            return Err(SshError::Over);
        };
        proven.send((named, proof)).map_err(|_| SshError::Over)?;
        self.state = State::Running(None);
        self.next(tried).await
    }

    /// Waits for the stages' next step. They always take one, and when they are dropped, the wait ends.
    async fn next(&mut self, tried: Tried) -> Result<Auth, SshError> {
        loop {
            match self.steps.recv().await.ok_or(SshError::Over)? {
                Step::Ask(asked) if asked.is_stale() => {}
                Step::Ask(asked) => {
                    let auth =
                        if tried == Tried::Interactive { asked.as_request() } else { go_interactive(tried) };
                    self.state = State::Running(Some(asked));
                    return Ok(auth);
                }
                Step::Open(opened) => {
                    self.state = State::Open(opened);
                    return Ok(Auth::Accept);
                }
                Step::Refused(sentence) => {
                    self.state = State::Refused(sentence);
                    return Ok(match (&self.state, tried) {
                        (State::Refused(sentence), Tried::Interactive) => notice(sentence),
                        _ => go_interactive(Tried::None),
                    });
                }
            }
        }
    }

    fn give_up(&mut self, why: &str, tried: Tried) -> Result<Auth, SshError> {
        let State::Named(named) = self.take() else { return Err(SshError::Over) };
        let ended = named.fail(why);
        self.refuse(&ended);
        match (&self.state, tried) {
            (State::Refused(sentence), Tried::Interactive) => Ok(notice(sentence)),
            _ => Ok(go_interactive(Tried::None)),
        }
    }

    fn refuse(&mut self, ended: &Ended) {
        self.proven = None;
        self.state = State::Refused(ended.client_message().to_owned());
    }

    fn try_again(&self) -> Auth {
        match &self.state {
            State::Named(named) => reject(&kinds(named.methods()), Tried::None),
            State::Arrived(_) | State::Running(_) | State::Refused(_) | State::Open(_) | State::Broken => {
                reject(&[], Tried::None)
            }
        }
    }

    /// Names a method that clients do not have of themselves: with an empty list OpenSSH starts again from its own
    /// list, and asks the person for a password that nobody wants.
    fn dismiss(&self) -> Auth {
        self.told.cancel();
        reject(&[MethodKind::HostBased], Tried::None)
    }

    fn take(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Broken)
    }
}

fn known_key(named: &Named, key: &PublicKey, algorithm: &Algorithm) -> Option<KnownKey> {
    if !accepts_signature(algorithm) {
        return None;
    }
    named.check_public_key(&key.to_openssh().ok()?)
}

/// Tells the client to come back with keyboard-interactive. What has been proven by `tried` counts as a
/// success in part, lest clients say that it was wrong.
fn go_interactive(tried: Tried) -> Auth {
    reject(&[MethodKind::KeyboardInteractive], tried)
}

fn reject(methods: &[MethodKind], tried: Tried) -> Auth {
    Auth::Reject {
        proceed_with_methods: Some(MethodSet::from(methods)),
        partial_success: matches!(tried, Tried::PublicKey | Tried::Password),
    }
}

fn ask_password() -> Auth {
    prompt_for(String::new(), "Password: ".to_owned(), Echo::Off)
}

fn kinds(methods: &[Method]) -> Vec<MethodKind> {
    let kind = |method: &Method| match method {
        Method::PublicKey => MethodKind::PublicKey,
        Method::Password => MethodKind::Password,
        Method::KeyboardInteractive => MethodKind::KeyboardInteractive,
    };
    methods.iter().map(kind).collect()
}

/// One question was asked, so one answer counts; none at all is an empty one.
fn first_line(answers: &[Bytes]) -> Result<Secret, SshError> {
    let answer = answers.first().map(Bytes::as_ref).unwrap_or_default();
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
        assert_eq!(
            first_line(&[Bytes::from_static(b"123"), Bytes::from_static(b"4")]).unwrap().expose(),
            "123"
        );
        assert!(first_line(&[Bytes::from(vec![b'x'; LONGEST_ANSWER + 1])]).is_err());
    }

    #[test]
    fn what_was_right_is_not_called_wrong_when_questions_follow() {
        let partial = |auth: &Auth| matches!(auth, Auth::Reject { partial_success: true, .. });
        assert!(partial(&go_interactive(Tried::Password)));
        assert!(partial(&go_interactive(Tried::PublicKey)));
        assert!(!partial(&go_interactive(Tried::None)));
    }

    #[test]
    fn the_methods_are_offered_in_the_policys_order() {
        assert_eq!(
            kinds(&[Method::KeyboardInteractive, Method::PublicKey]),
            [MethodKind::KeyboardInteractive, MethodKind::PublicKey]
        );
    }
}
