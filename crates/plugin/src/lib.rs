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
    Bundle, BundleError, Change, EntryFault, PythonMajor, UnpackedBundle, Warning, pack_folder, pack_folders,
    read_archive,
};
pub use environment::{
    AtHand, Environment, EnvironmentError, Module, ModuleReport, PythonVersion, SourceWarning,
    create_environment,
};
pub use hook::{
    AaDecision, AaFacts, AaReply, Cookies, CredentialFacts, Hook, OfferedKey, Question, RemoteAppCredentials,
    TotpCode, UnknownHook, authenticate_arguments, authentication_completed_arguments, authorize_arguments,
    check_result, credential_arguments, passwords, private_keys, remote_app_arguments,
    remote_app_credentials, session_ended_arguments, totp_codes,
};
pub use manifest::{Manifest, ManifestError, PluginKind};
pub use runtime::{
    Bounds, Call, CallError, CallErrorKind, CallReport, Exit, Gap, HostConfig, Instance, InstanceConfig,
    LogLine, Network, PluginError, PluginHost, Reachable, ReachableHost, Start, Stream, Watch,
};
pub use service::{
    CaList, DirectoryError, DirectoryPerson, HttpProxy, LdapAddress, LdapBind, LdapGroups, LdapServer,
    LdapTls, PeopleDirectory, ServiceData, StoreRow, StoredCredential, UserList,
};
