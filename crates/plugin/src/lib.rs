//! Bundles, environments, workers, hook calls, and the services that workers may call.
//!
//! What a bundle is and how its hooks are called is told by the plugin contract; its sections are named where they apply.

mod api_version;
mod bundle;
mod environment;
mod hook;
mod manifest;
mod mask;
mod runtime;
mod service;

pub use api_version::{ApiVersion, ApiVersionError};
pub use bundle::{
    Bundle, BundleError, Change, EntryFault, PythonMajor, UnpackedBundle, Warning, pack_folder, read_archive,
};
pub use environment::{Environment, EnvironmentError, PythonVersion, create_environment};
pub use hook::{
    AaDecision, AaFacts, AaReply, Cookies, CredentialFacts, Hook, OfferedKey, Question, TotpCode,
    UnknownHook, authenticate_arguments, authentication_completed_arguments, authorize_arguments,
    check_result, credential_arguments, passwords, private_keys, remote_app_arguments,
    session_ended_arguments, totp_codes,
};
pub use manifest::{Manifest, ManifestError, PluginKind};
pub use runtime::{
    Call, CallError, CallErrorKind, CallReport, Exit, HostConfig, Instance, InstanceConfig, LogLine,
    PluginError, PluginHost, Start, Stream, Watch,
};
pub use service::{CaList, HttpProxy, ServiceData, StoreRow, StoredCredential, UserList};
