//! Where recordings go beside the disk: `[gateway.object-store]`.

use std::time::Duration;

use keyward_model::Secret;

/// A bucket of a store that speaks S3.
#[derive(Clone, Debug)]
pub struct ObjectStorePolicy {
    /// `https://`, or `http://` where the document says so; a name or an address, without a path.
    pub endpoint: String,
    pub bucket: String,
    pub region: String,
    /// What the names of objects begin with; may be empty.
    pub prefix: String,
    /// Whether the bucket stands in the path, and not in the name of the server.
    pub path_style: bool,
    pub access_key: String,
    pub secret_key: Secret,
    /// Whom the server's certificate must come from, PEM; empty with `http`.
    pub certificates: Vec<String>,
    /// How long the file of a recording stays once the store has it; `None`: as long as the recording is kept.
    pub keep_local_for: Option<Duration>,
    /// How often what was newly recorded of sessions that run is sent.
    pub spool_every: Duration,
    /// How long what was recorded may be on the disk alone before nothing more may be recorded; `None`: as long as it takes.
    pub unsent_at_most: Option<Duration>,
}
