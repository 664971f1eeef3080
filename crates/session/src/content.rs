//! What content rules have found in a channel: to the session's record, and the end where a rule wants it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use keyward_content::{CannotJudge, Finding, Judge, command};
use keyward_policy::{ContentAction, ContentPolicy};
use keyward_trail::ChannelId;

use crate::activity::EndCause;
use crate::channel_request::{ChannelRefused, Subject};
use crate::relay::Channels;
use crate::{ChannelRequest, Tap};

/// A channel that the policy has opened.
#[derive(Debug)]
pub struct Opened {
    pub tap: Tap,
    /// Looks at everything that passes, where the rule has a content policy.
    pub judge: Option<Box<Judge>>,
}

/// Findings of a session that are noted and alerted; a target could otherwise fill the record.
const MOST_FINDINGS: u32 = 100;

impl Channels {
    /// The judge of a channel, once what it is to run has been judged.
    pub(crate) async fn judge(
        &self,
        request: &ChannelRequest,
        channel: ChannelId,
        content: Option<&Arc<ContentPolicy>>,
    ) -> Result<Option<Box<Judge>>, ChannelRefused> {
        let Some(content) = content else { return Ok(None) };
        if let Subject::Command(text) = &request.subject {
            self.found(channel, &command(content, text)).await?;
        }
        let size = request.terminal.as_ref().map(|terminal| (terminal.columns, terminal.rows));
        match Judge::of_terminal(Arc::clone(content), size, request.modes) {
            Ok(judge) => Ok(Some(Box::new(judge))),
            // Of the channel alone: another one may have a terminal that is known.
            Err(error) if request.modes.check().is_err() => {
                self.note(&format!(
                    "{} refused: content could not be judged: {error}",
                    request.kind.as_str()
                ))
                .await?;
                Err(ChannelRefused::Policy)
            }
            Err(error) => Err(self.cannot_judge(&error)),
        }
    }

    /// Notes what was found. An error where the session is over: then nothing is passed on any more.
    pub async fn found(&self, channel: ChannelId, findings: &[Finding]) -> Result<(), ChannelRefused> {
        for finding in findings {
            let noted = match self.open.findings.fetch_add(1, Ordering::Relaxed) {
                n if n < MOST_FINDINGS || finding.terminates() => self.note_finding(channel, finding).await,
                MOST_FINDINGS => self.note("further findings of content rules are not noted").await,
                _ => Ok(()),
            };
            if let Err(error) = noted {
                self.open.activity.end(EndCause::Recording("the ledger cannot be written".to_owned()));
                return Err(error);
            }
            if finding.terminates() {
                self.open.activity.end(EndCause::Content(finding.rule.clone()));
                return Err(ChannelRefused::Over);
            }
        }
        Ok(())
    }

    async fn note_finding(&self, channel: ChannelId, finding: &Finding) -> Result<(), ChannelRefused> {
        let open = &self.open;
        match finding.action {
            ContentAction::Log => {}
            ContentAction::Notify | ContentAction::Terminate => tracing::warn!(
                session = %open.id,
                client = %open.client,
                target = %open.target,
                channel = channel.0,
                rule = finding.rule,
                action = finding.action.as_str(),
                "alert: {finding}"
            ),
        }
        self.note(&format!("channel {}: {finding}", channel.0)).await
    }

    /// What cannot be judged is not passed on: the session ends.
    pub fn cannot_judge(&self, error: &CannotJudge) -> ChannelRefused {
        self.open.activity.end(EndCause::Unjudged(error.to_string()));
        ChannelRefused::Over
    }
}
