//! `keyward config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print the policy document: the newest revision, or the one of a number
    Show {
        /// The number of the revision
        revision: Option<u32>,
        /// The file that the gateway runs with
        #[arg(long)]
        policy: PathBuf,
    },
    /// The revisions, the newest first: when they were made, by whom, why, and what became of them
    History {
        /// The file that the gateway runs with
        #[arg(long)]
        policy: PathBuf,
        /// How many at most
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// What differs between two revisions, or between the newest one and a file
    Diff {
        /// The earlier revision; without it the one before the newest
        from: Option<u32>,
        /// The later revision; without it the newest
        to: Option<u32>,
        /// Compare the newest revision with this document
        #[arg(long, conflicts_with_all = ["from", "to"])]
        file: Option<PathBuf>,
        /// The file that the gateway runs with
        #[arg(long)]
        policy: PathBuf,
    },
    /// Make a document the newest revision, once it is sound, and wait until the gateway runs by it
    Apply {
        /// The document; `-` for standard input
        file: PathBuf,
        #[command(flatten)]
        change: Change,
        /// Refuse where the newest revision is not this one, from which the document was made; 0: there must be none
        #[arg(long)]
        base: Option<u32>,
        /// Check the document and show what it would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Change the newest revision in an editor ($VISUAL, $EDITOR, or vi)
    Edit {
        #[command(flatten)]
        change: Change,
    },
    /// Make the document of an earlier revision the newest one again
    Rollback {
        /// The number of the earlier revision
        revision: u32,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Change {
    /// Why, for those who read the history
    #[arg(long)]
    pub(crate) comment: Option<String>,
    /// The file that the gateway runs with
    #[arg(long)]
    pub(crate) policy: PathBuf,
}
