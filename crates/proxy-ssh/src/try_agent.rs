//! Step 11 with the person's own agent: keys that never come to the gateway.

use std::time::{Duration, Instant};

use keyward_session::{AgentOutcome, ClientGone, TakenKey};
use keyward_ssh::SignatureAlgorithm;
use keyward_ssh::agent::AgentKey;
use keyward_ssh::auth::{self, Unsigned};

use crate::SshError;
use crate::client::PATIENCE;
use crate::error::chain;
use crate::login::{Answer, Login, Progress, ask, ask_about_key, within};
use crate::signatures::signatures;
use crate::talk::Talk;
use crate::user_agent::{CLOSING, Fault, NoAgent, UserAgent};

/// Keys of one agent that the target is asked about; most targets have enough after six.
const MOST_KEYS: usize = 20;
/// How long all of it may take: with the closing of the channel to the agent, three minutes.
const BUDGET: Duration = Duration::from_secs(3 * 60).saturating_sub(CLOSING);

impl Login {
    /// Tries the keys of the agent that the client lends.
    pub(crate) async fn try_agent_of(&mut self, talk: &mut Talk<'_>) -> AgentOutcome {
        let by = Instant::now() + BUDGET;
        let mut taken = Vec::new();
        let tried = match talk.agent(by).await {
            Ok(mut agent) => {
                let tried = self.try_keys_of(&mut agent, by, &mut taken).await;
                agent.close().await.map_err(Fault::Client).and(tried)
            }
            Err(fault) => Err(fault),
        };
        let client = match tried {
            Ok(()) => Ok(()),
            Err(Fault::Agent(none)) => {
                self.agent = Some(none.to_string());
                Ok(())
            }
            Err(Fault::Client(error)) => Err(self.gone(&error)),
        };
        AgentOutcome { taken, client }
    }

    /// The target is asked about each key before the agent is asked to sign, which may ask the person in turn.
    async fn try_keys_of(
        &mut self,
        agent: &mut UserAgent<'_>,
        by: Instant,
        taken: &mut Vec<TakenKey>,
    ) -> Result<(), Fault> {
        let keys = agent.keys().await?;
        let (count, mut unsigned) = (keys.len(), 0);
        for key in keys.iter().take(MOST_KEYS) {
            if left(by, Instant::now()).is_zero() {
                return Err(Fault::Agent(NoAgent::Slow));
            }
            let tries = signatures(&key.algorithms(), self.target.transport.peer_signatures(), self.set);
            let Some(&algorithm) = tries.first() else {
                self.legacy_keys += 1;
                continue;
            };
            self.keys += 1;
            match self.asked_about(key, algorithm, by).await {
                Asked::Welcome => match self.try_with(agent, key, algorithm, by).await? {
                    Tried::LetIn => taken.push(TakenKey::LetIn(key.named())),
                    Tried::InPart => taken.push(TakenKey::InPart(key.named())),
                    Tried::Refused => {}
                    Tried::Unsigned => unsigned += 1,
                },
                Asked::LetIn => taken.push(TakenKey::Unsigned(key.named())),
                Asked::Refused => {}
            }
            if !self.wants_more_keys() {
                break;
            }
        }
        if self.progress == Progress::In {
            return Ok(());
        }
        self.agent = Some(match (count, unsigned) {
            (0, _) => "the agent has no key that could be used".to_owned(),
            (_, 0) => format!("the agent has {count} keys"),
            _ => {
                format!("the agent has {count} keys, and did not sign with {unsigned} that the target takes")
            }
        });
        Ok(())
    }

    async fn asked_about(&mut self, key: &AgentKey, algorithm: SignatureAlgorithm, by: Instant) -> Asked {
        let query = auth::request_key_query(&self.user, (key.request_name(algorithm), key.blob()));
        let mut patience = left(by, Instant::now());
        let outcome = within(&mut patience, ask_about_key(&mut self.target, &query)).await;
        let asked = match &outcome {
            Ok(Answer::Welcome) => Asked::Welcome,
            Ok(Answer::Success) => Asked::LetIn,
            Ok(Answer::Failure { .. } | Answer::Prompts(_)) | Err(_) => Asked::Refused,
        };
        self.note(outcome);
        asked
    }

    async fn try_with(
        &mut self,
        agent: &mut UserAgent<'_>,
        key: &AgentKey,
        algorithm: SignatureAlgorithm,
        by: Instant,
    ) -> Result<Tried, Fault> {
        let session = self.target.transport.session_id();
        let unsigned = Unsigned::new(&self.user, (key.request_name(algorithm), key.blob()), session);
        let Some(signature) = agent.sign(key, algorithm, &unsigned.data).await? else {
            return Ok(Tried::Unsigned);
        };
        let mut patience = left(by, Instant::now());
        let outcome = within(&mut patience, ask(&mut self.target, &unsigned.signed(&signature))).await;
        let tried = match &outcome {
            Ok(Answer::Success) => Tried::LetIn,
            Ok(Answer::Failure { partial: true, .. }) => Tried::InPart,
            Ok(Answer::Failure { partial: false, .. } | Answer::Prompts(_) | Answer::Welcome) | Err(_) => {
                Tried::Refused
            }
        };
        self.note(outcome);
        Ok(tried)
    }

    fn wants_more_keys(&self) -> bool {
        self.progress == Progress::Out && self.takes("publickey")
    }

    fn gone(&self, error: &SshError) -> ClientGone {
        tracing::debug!(session = %self.session, error = %chain(error), "the client is gone while its agent was asked");
        ClientGone
    }
}

/// What the target says to a question about a key.
enum Asked {
    /// The key is worth a signature.
    Welcome,
    /// That this is enough.
    LetIn,
    Refused,
}

/// What came of a key that is worth a signature.
enum Tried {
    LetIn,
    /// The target has accepted it and wants more.
    InPart,
    Refused,
    /// The agent, or the person, did not want to sign.
    Unsigned,
}

/// How long the target may take for its next answer.
fn left(by: Instant, now: Instant) -> Duration {
    PATIENCE.min(by.saturating_duration_since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_no_more_time_for_an_answer_than_is_left_of_the_budget() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(left(now + PATIENCE + second, now), PATIENCE);
        assert_eq!(left(now + second, now), second);
        assert_eq!(left(now, now + second), Duration::ZERO);
    }
}
