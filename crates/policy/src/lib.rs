//! The configuration document: one TOML text, checked as a whole, becomes the immutable [`Policy`] that every
//! connection is judged by (gateway section 3).
//!
//! Whatever is wrong with a document is said in one go, with line, column and how to mend it, and without
//! showing the secrets that the document holds.

mod audit;
mod authentication;
mod channel;
mod connection;
mod content;
mod credential;
mod document;
mod error;
mod files;
mod key_limits;
mod ldap;
mod lists;
mod node;
mod object_store;
mod password;
mod pattern;
mod plugin;
mod policy;
mod revocations;
mod source_address;
mod target;
mod text_pattern;
mod time_window;
mod user;

pub use audit::{AuditPolicy, Indexing, TimestampPolicy};
pub use authentication::{Authentication, Backend, Method, UserCa};
pub use channel::{ChannelDecision, ChannelKind, ChannelPolicy, ChannelQuery, ChannelRule, ChannelSubject};
pub use connection::{
    Algorithms, Connection, CredentialSource, HostKeyCheck, HostKeyKnowledge, KnownHostKey, LogInMeans,
    RateLimit, Settings, Usermapping,
};
pub use content::{ContentAction, ContentPolicy, ContentRule, Sought};
pub use credential::{CertificateAuthority, CredentialHost, CredentialRow, LocalCredentialStore, StoredKey};
pub use document::fingerprint;
pub use error::{PolicyError, Problem, Problems};
pub use files::{FileOperation, FileRule, FileRules};
pub use key_limits::{KeyLimits, KeyPermission};
pub use ldap::{LdapAddress, LdapBind, LdapGroups, LdapServer, LdapTls};
pub use lists::{TrustedCaList, UserList, UserListDefault};
pub use node::{ConfigurationPlace, DatabaseServer, MasterKeySource, NodeSettings};
pub use object_store::ObjectStorePolicy;
pub use password::{PasswordHash, PasswordHashError, hash_password, verify_nobody};
pub use pattern::{HostPattern, PatternError, PatternHost, PatternPort};
pub use plugin::{PluginInstance, PluginStart, PythonEnvironment};
pub use policy::{GatewaySettings, HttpProxy, Policy};
pub use revocations::Revocations;
pub use source_address::is_from;
pub use target::{Inband, RefusedBy, Target};
pub use text_pattern::TextPattern;
pub use time_window::{DayTime, Days, Period, TimeWindow, UnknownZone};
pub use user::LocalUser;
