//! The stages of a session, from an accepted connection to `session_ended`, for any protocol.
//!
//! A stage is a type and each step takes it by value, so what a session has not earned it does not have:
//! [`Accepted`] → [`Named`] → [`Identified`] → [`Located`] → [`Permit`] → [`Connected`] → [`LoggedIn`].
//! Dropping a stage anywhere ends the session: the ledger is written and each plugin that was called hears
//! `session_ended`, exactly once.

mod activity;
mod approval;
mod authority;
mod certificate;
mod channel_request;
mod content;
mod conversation;
mod core;
mod credentials;
mod deadline;
mod debts;
mod dial;
mod echo;
mod end;
mod finding;
mod gateway;
mod grace;
mod hidden;
mod hook;
mod host_key;
mod identify;
mod jump_host;
mod known;
mod limits;
mod locate;
mod log_in;
mod lost;
mod named;
mod off_site;
mod own_address;
mod proof;
mod proof_age;
mod recorder;
mod recording;
mod rehearsal;
mod relay;
mod resolve;
mod service;
mod settle;
mod stamps;
mod sync;
mod tell;
mod termination;
mod unseen;
mod version;

pub use activity::EndCause;
pub use certificate::CertificateOrder;
pub use channel_request::{ChannelRefused, ChannelRequest, Subject};
pub use content::Opened;
pub use conversation::{ClientGone, Conversation, Echo, Question, Silent};
pub use credentials::{OfferedKey, TotpCode};
pub use deadline::LogInDeadline;
pub use dial::{Connected, Permit};
pub use end::{Ended, Reason};
pub use finding::{LineSink, Lines};
pub use gateway::{Accepted, Gateway, GatewayParts, StartError};
pub use host_key::{HostKeyProblem, KnownHostKeys, ShownCertificate, ShownHostKey};
pub use identify::Identified;
pub use jump_host::{HopRefused, JumpHost};
pub use keyward_content::{CannotJudge, Finding, Judge, Modes, Output};
pub use known::{CertificateRefused, CertificateTerms, Unjudged, VerifiedCertificate};
pub use limits::Refused;
pub use locate::Located;
pub use log_in::{AgentOutcome, LoginTarget, TakenKey};
pub use named::Named;
pub use off_site::{OffSite, TooLate};
pub use proof::{Factor, KnownKey, Proof, Standing};
pub use recorder::{RecorderGone, Tap};
pub use recording::trail_name;
pub use rehearsal::{Mapping, Reached, Script};
pub use relay::{Channels, LoggedIn};
pub use service::service_data;
pub use termination::Stop;
pub use version::{Loading, NoOldVersions, NotLoadable, OldVersions, PluginVersion};
