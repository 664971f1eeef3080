//! Step 11: in which order a target is offered what the session can get, whatever protocol it speaks.

use std::fmt;
use std::future::Future;

use keyward_model::Secret;
use keyward_policy::{ChannelKind, LogInMeans};

use crate::{CertificateOrder, ClientGone, Connected, Conversation, Ended, OfferedKey, Reason};

/// How often the person may type the target's password.
const MOST_PASSWORDS_ASKED: u32 = 3;

/// A target that somebody tries to log in on, while `C` is there to talk with the person.
pub trait LoginTarget<C: Conversation>: Send {
    /// Whether a key could still help.
    fn wants_key(&self) -> bool;

    /// Whether a password could still help.
    fn wants_password(&self) -> bool;

    /// Tries the keys in order, for as long as it wants one.
    fn try_keys(&mut self, keys: Vec<OfferedKey>) -> impl Future<Output = ()> + Send;

    /// Tries a certificate that is made for it. A target that takes none is left as it is.
    fn try_certificate(&mut self, order: CertificateOrder) -> impl Future<Output = ()> + Send;

    /// Tries the passwords in order, for as long as it wants one. It has the stage meanwhile: a target may ask for
    /// more in the middle of an attempt.
    fn try_passwords(
        &mut self,
        stage: Connected,
        passwords: Vec<Secret>,
    ) -> impl Future<Output = Result<Connected, Ended>> + Send;

    /// Tries the keys of the person's own agent, for as long as it wants one. After this, nothing can be asked.
    fn try_agent(&mut self, conversation: &mut C) -> impl Future<Output = AgentOutcome> + Send;

    /// Why the gateway is not in; `None`: it is.
    fn refusal(&self) -> Option<Reason>;
}

/// What came of the person's agent.
#[derive(Debug)]
#[must_use]
pub struct AgentOutcome {
    /// What the target has accepted, one after the other, whatever came after it.
    pub taken: Vec<TakenKey>,
    pub client: Result<(), ClientGone>,
}

/// A key of the person's agent, in words for the record, that the target has accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TakenKey {
    /// Its signature has let the gateway in.
    LetIn(String),
    /// Its signature was accepted, and the target wants more.
    InPart(String),
    /// The target let the gateway in when it was asked about the key: nobody has signed anything.
    Unsigned(String),
}

impl fmt::Display for TakenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LetIn(key) => write!(f, "logged in on the target with the agent's key {key}"),
            Self::InPart(key) => write!(f, "the target accepted the agent's key {key}, and wanted more"),
            Self::Unsigned(key) => {
                write!(f, "logged in on the target by the name of the agent's key {key}, without a signature")
            }
        }
    }
}

impl Connected {
    /// In the order of the policy, by default keys, then passwords (contract section 5). The credential store is asked
    /// only for what the target takes.
    pub async fn log_in<T: LoginTarget<C>, C: Conversation>(
        self,
        target: &mut T,
        conversation: &mut C,
    ) -> Result<Self, Ended> {
        let mut stage = self;
        for means in stage.connection().log_in.clone() {
            stage = match means {
                LogInMeans::Keys if target.wants_key() => stage.offer_keys(target).await?,
                LogInMeans::Passwords if target.wants_password() => {
                    let (stage, passwords) = stage.passwords().await?;
                    target.try_passwords(stage, passwords).await?
                }
                LogInMeans::Ask => stage.offer_typed_passwords(target, conversation).await?,
                LogInMeans::Agent if target.wants_key() => stage.offer_agent(target, conversation).await?,
                LogInMeans::Keys | LogInMeans::Passwords | LogInMeans::Agent => stage,
            };
        }
        match target.refusal() {
            None => Ok(stage),
            Some(reason) => Err(stage.fail(&reason)),
        }
    }

    async fn offer_keys<T: LoginTarget<C>, C: Conversation>(self, target: &mut T) -> Result<Self, Ended> {
        let (stage, order) = self.certificate().await?;
        if let Some(order) = order {
            target.try_certificate(order).await;
            return Ok(stage);
        }
        let (stage, offered) = stage.private_keys().await?;
        target.try_keys(offered).await;
        Ok(stage)
    }

    /// To a server that gets it, a certificate is what says whether an agent may be used.
    async fn offer_agent<T: LoginTarget<C>, C: Conversation>(
        self,
        target: &mut T,
        conversation: &mut C,
    ) -> Result<Self, Ended> {
        let mut stage = self.proven()?;
        if !stage.core.limits.allow_kind(ChannelKind::Agent) {
            return stage
                .noted("the agent was not asked: the certificate does not permit to forward it")
                .await;
        }
        let AgentOutcome { taken, client } = target.try_agent(conversation).await;
        for key in taken {
            stage = stage.noted(&key.to_string()).await?;
        }
        match client {
            Ok(()) => Ok(stage),
            Err(gone) => Err(stage.fail(&gone.into())),
        }
    }

    async fn offer_typed_passwords<T: LoginTarget<C>, C: Conversation>(
        self,
        target: &mut T,
        conversation: &mut C,
    ) -> Result<Self, Ended> {
        let mut stage = self;
        for _ in 0..MOST_PASSWORDS_ASKED {
            if !target.wants_password() {
                break;
            }
            let typed;
            (stage, typed) = stage.ask_password(conversation).await?;
            let Some(password) = typed else { break };
            stage = target.try_passwords(stage, vec![password]).await?;
        }
        Ok(stage)
    }
}
