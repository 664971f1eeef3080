//! Step 11 with the person's own agent: keys that never come to the gateway.

use keyward_session::ClientGone;
use keyward_ssh::SignatureAlgorithm;
use keyward_ssh::agent::AgentKey;
use keyward_ssh::auth::{self, Unsigned};

use crate::SshError;
use crate::error::chain;
use crate::login::{Answer, Login, Progress, ask, ask_about_key, in_time, signatures};
use crate::talk::Talk;
use crate::user_agent::{Fault, UserAgent};

/// Keys of one agent that the target is asked about; most targets have enough after six.
const MOST_KEYS: usize = 20;

impl Login {
    /// Tries the keys of the agent that the client lends; gives the name of the one that let the gateway in.
    pub(crate) async fn try_agent_of(&mut self, talk: &mut Talk<'_>) -> Result<Option<String>, ClientGone> {
        let taken = match talk.agent().await {
            Ok(mut agent) => {
                let taken = self.try_keys_of(&mut agent).await;
                agent.close().await.map_err(|error| self.gone(&error))?;
                taken
            }
            Err(fault) => Err(fault),
        };
        match taken {
            Ok(key) => Ok(key),
            Err(Fault::Agent(none)) => {
                self.agent = Some(none.to_string());
                Ok(None)
            }
            Err(Fault::Client(error)) => Err(self.gone(&error)),
        }
    }

    /// The target is asked about each key before the agent is asked to sign, which may ask the person in turn.
    async fn try_keys_of(&mut self, agent: &mut UserAgent<'_>) -> Result<Option<String>, Fault> {
        let keys = agent.keys().await?;
        let (count, mut unsigned) = (keys.len(), 0);
        for key in keys.iter().take(MOST_KEYS) {
            let tries = signatures(&key.algorithms(), self.target.transport.peer_signatures(), self.set);
            let Some(&algorithm) = tries.first() else {
                self.legacy_keys += 1;
                continue;
            };
            self.keys += 1;
            if self.is_welcome(key, algorithm).await {
                match self.try_with(agent, key, algorithm).await? {
                    Tried::Answered if self.progress == Progress::In => return Ok(Some(key.named())),
                    Tried::Answered => {}
                    Tried::Unsigned => unsigned += 1,
                }
            }
            if !self.wants_more_keys() {
                break;
            }
        }
        self.agent = Some(match (count, unsigned) {
            (0, _) => "the agent has no key that could be used".to_owned(),
            (_, 0) => format!("the agent has {count} keys"),
            _ => {
                format!("the agent has {count} keys, and did not sign with {unsigned} that the target takes")
            }
        });
        Ok(None)
    }

    async fn is_welcome(&mut self, key: &AgentKey, algorithm: SignatureAlgorithm) -> bool {
        let query = auth::request_key_query(&self.user, (key.request_name(algorithm), key.blob()));
        let outcome = in_time(ask_about_key(&mut self.target, &query)).await;
        let is_welcome = matches!(outcome, Ok(Answer::Welcome));
        self.note(outcome);
        is_welcome
    }

    async fn try_with(
        &mut self,
        agent: &mut UserAgent<'_>,
        key: &AgentKey,
        algorithm: SignatureAlgorithm,
    ) -> Result<Tried, Fault> {
        let session = self.target.transport.session_id();
        let unsigned = Unsigned::new(&self.user, (key.request_name(algorithm), key.blob()), session);
        let Some(signature) = agent.sign(key, algorithm, &unsigned.data).await? else {
            return Ok(Tried::Unsigned);
        };
        let outcome = in_time(ask(&mut self.target, &unsigned.signed(&signature))).await;
        self.note(outcome);
        Ok(Tried::Answered)
    }

    fn wants_more_keys(&self) -> bool {
        self.progress == Progress::Out && self.takes("publickey")
    }

    fn gone(&self, error: &SshError) -> ClientGone {
        tracing::debug!(session = %self.session, error = %chain(error), "the client is gone while its agent was asked");
        ClientGone
    }
}

/// What came of a key that the target takes.
enum Tried {
    Answered,
    /// The agent, or the person, did not want to sign.
    Unsigned,
}
