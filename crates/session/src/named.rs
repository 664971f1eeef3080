//! Steps 3 and 4: the login string is read; who is it that connects?

use std::time::SystemTime;

use keyward_model::{Grammar, LoginError, LoginString, Protocol, TargetMode};
use keyward_policy::{Connection, Method, Target};

use crate::core::Core;
use crate::jump_host::Hop;
use crate::known::LookedUp;
use crate::proof::Progress;
use crate::{Conversation, Ended, Factor, Identified, Proof, Reason, Standing, Unjudged};

/// The login string is known, and the ledger has a row.
#[derive(Debug)]
pub struct Named {
    pub(crate) core: Box<Core>,
    pub(crate) login: LoginString,
    pub(crate) progress: Progress,
    pub(crate) looked_up: LookedUp,
    /// Who came through a jump host has proven there who they are.
    pub(crate) hop: Option<Box<Hop>>,
}

impl Named {
    pub(crate) fn new(core: Box<Core>, login: LoginString, hop: Option<Box<Hop>>) -> Self {
        let progress = match hop {
            Some(_) => Progress::default(),
            None => Progress::new(core.connection.authentication.as_ref()),
        };
        Self { core, login, progress, looked_up: LookedUp::NotYet, hop }
    }

    pub fn connection(&self) -> &Connection {
        &self.core.connection
    }

    /// The methods by which the person may go on to prove who they are, in order; empty where the policy leaves that
    /// to the AA plugin alone, and behind a jump host.
    pub fn methods(&self) -> Vec<Method> {
        self.progress.next()
    }

    /// The proof where nothing is asked for: the policy asks for none, or the jump host had it. `None` where it is.
    pub fn unauthenticated(&self) -> Option<Proof> {
        match &self.hop {
            Some(hop) => Some(Proof { user: Some(hop.person.clone()) }),
            None => self.core.connection.authentication.is_none().then_some(Proof { user: None }),
        }
    }

    /// Counts a method that has succeeded; `how`, for the session's record, says with what.
    pub async fn credit(&mut self, factor: Factor, how: &str) -> Result<Standing, Unjudged> {
        let method = factor.method.as_str();
        let how = if how.is_empty() { String::new() } else { format!(": {how}") };
        self.note(&format!("{method} accepted{how}")).await?;
        let name = self.claimed_user().unwrap_or_default().to_owned();
        Ok(self.progress.credit(&name, factor))
    }

    /// Writes into the session's record what counts for nothing, and why.
    pub async fn note(&self, text: &str) -> Result<(), Unjudged> {
        let noted = self.core.shared.store.add_note(&self.core.id, SystemTime::now().into(), text).await;
        noted.map_err(|error| Unjudged(Box::new(Reason::Ledger(error))))
    }

    /// Step 5: the AA plugin's `authenticate`, with as many questions as it has.
    pub async fn identify<C: Conversation>(
        self,
        proof: Proof,
        conversation: &mut C,
    ) -> Result<Identified, Ended> {
        Identified::reach(self, proof, conversation).await
    }

    /// The person could not prove who they are.
    pub fn fail(self, why: &str) -> Ended {
        self.core.end(&Reason::Authentication(why.to_owned()))
    }

    /// Nobody can say who they are.
    pub fn unjudged(self, unjudged: Unjudged) -> Ended {
        let Unjudged(reason) = unjudged;
        self.core.end(&reason)
    }

    /// `gu=` of the login string, or else the remote user.
    pub(crate) fn claimed_user(&self) -> Option<&str> {
        self.login.gateway_user().or(self.login.user.as_deref())
    }
}

/// Step 3, in the grammar of the connection's protocol.
pub(crate) fn parse(connection: &Connection, login: &[u8]) -> Result<LoginString, LoginError> {
    let grammar = match connection.protocol {
        Protocol::Ssh | Protocol::Telnet | Protocol::Vnc | Protocol::Http => Grammar::Terminal,
        Protocol::Rdp => Grammar::Rdp,
    };
    let mode = match connection.target {
        Target::Fixed { .. } => TargetMode::Fixed,
        Target::Inband(_) => TargetMode::Inband,
    };
    LoginString::parse(login, grammar, mode)
}
