//! What must outlast the process: the session ledger, hook calls, host keys, bundles, the gateway's own keys.
//!
//! The ledger is written before the gateway acts, so that a start after a crash finds what is owed.
//! Every function is cancel-safe in this sense: a dropped future leaves the whole change or nothing of it.

mod approval;
mod bounds;
mod bundle;
mod call;
mod configuration;
mod data_key;
mod database;
mod deletion;
mod directory;
mod engaged;
mod error;
mod hold;
mod host_key;
mod key_file;
mod master_key;
mod object;
mod part;
mod place;
mod plugin_status;
mod postgres;
mod record;
mod resealing;
mod retention;
mod revision;
mod rotation;
mod row;
mod schema;
mod sealing;
mod search;
mod secret;
mod session;
mod session_ended;
mod sql;
mod sqlite;
mod store;
mod termination;
mod trail;

pub use approval::{Approval, ApprovalDecision, Decided, WaitingSession};
pub use bundle::{BundleSummary, PutBundle, StoredBundle};
pub use call::{CallId, CallRecord, Cookies, LogLine, NewCall};
pub use configuration::{ConfigurationRevision, NewConfiguration, PutConfiguration};
pub use deletion::{Deletion, DeletionCause, KeptBecause, NewDeletion};
pub use directory::Holder;
pub use engaged::{EngagedPlugin, PluginState, Role, UnknownWord};
pub use error::StoreError;
pub use hold::{Hold, Release, Said};
pub use host_key::{HostKeyRecord, HostKeyTrust};
pub use master_key::{MasterKey, NotAMasterKey};
pub use object::{StoredObject, TheFile};
pub use part::TrailPart;
pub use place::Place;
pub use plugin_status::{PluginStatus, RefusedBundle};
pub use postgres::PostgresServer;
pub use record::{CallEntry, Note, PluginRecord, SessionRecord, SessionSummary};
pub use retention::After;
pub use revision::{PluginRevision, RevisionId};
pub use rotation::Rotation;
pub use search::SessionsWith;
pub use session::{NewSession, SessionFacts};
pub use session_ended::{Debt, EndCall, Interrupted};
pub use store::Store;
pub use termination::Termination;
pub use trail::{ClosedTrail, LastLink, TrailRecord};
