//! `keyward store`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Have the master key that a policy document names open the store, in place of the one before
    ///
    /// A gateway that runs goes on; the next start needs the new key. Without --from-... the one before is sealing.key of
    /// the data directory.
    RotateMasterKey {
        /// The policy document, which names the new key
        #[arg(long)]
        policy: PathBuf,
        #[command(flatten)]
        previous: Previous,
        /// Seal every secret with a new data key as well, for when somebody may have the one before; no gateway may run
        #[arg(long)]
        reseal: bool,
    },
}

/// Where the master key before is.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub(crate) struct Previous {
    /// The file that has the key before
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
    /// The environment variable that has the key before
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) from_environment: Option<String>,
    /// The command that prints the key before, with its arguments; the last option
    #[arg(long, value_name = "WORD", num_args = 1.., allow_hyphen_values = true)]
    pub(crate) from_command: Vec<String>,
}
