//! `keyward trail` on the command line.

use std::path::PathBuf;

use clap::{ArgGroup, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Trail {
    /// Show a recording as it was
    ///
    /// On a terminal, keys steer it: space pauses, left and right go back and forward ten seconds, End goes to the end, + and - change the
    /// speed, q ends it. UNSIGNED stands beside the time of what no signature covers. The recording cannot reach the terminal: what it shows is drawn, without titles, clipboards and
    /// questions that a terminal would answer. A file or a program gets exactly what was shown.
    Play {
        /// The recording
        file: PathBuf,
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        signer: Signer,
        /// Watch a session that is still open, less than a second behind: begins with the screen as it is now, or at --from,
        /// and ends with the session
        #[arg(long, short)]
        follow: bool,
        /// How many times as fast
        #[arg(long, default_value = "1")]
        speed: String,
        /// Shorten pauses to this many seconds
        #[arg(long, value_name = "SECONDS", conflicts_with = "skip_idle")]
        max_idle: Option<f64>,
        /// Skip what is longer than this of a pause
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "1")]
        skip_idle: Option<f64>,
        /// Begin at this moment: since the session's start as in `12m30s`, or a time of the clock as in `14:05` (this
        /// machine's time zone, on or after the day of the session's start) or `2026-01-31T14:05:00Z`
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Read and check all that comes before a moment, instead of going by the key frames of the recording
        #[arg(long)]
        read_all: bool,
        /// One channel only
        #[arg(long)]
        channel: Option<u32>,
    },
    /// Write a recording in another format
    Export {
        /// The recording
        file: PathBuf,
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        signer: Signer,
        #[arg(long = "as", value_name = "FORMAT")]
        format: ExportFormat,
        /// In an asciicast what was typed too, but for what the terminal did not show (`--as hidden-input`)
        #[arg(long)]
        with_input: bool,
        /// The channel; without it all of them (as text and as a picture on one screen), in an asciicast the first that was
        /// opened
        #[arg(long)]
        channel: Option<u32>,
        #[command(flatten)]
        part: Part,
        /// Where to; standard output without it
        #[arg(long, short)]
        output: Option<PathBuf>,
        /// For `--as files`, the folder that they are written to; it is made, or must be empty
        #[arg(long, value_name = "FOLDER", required_if_eq("format", "files"), conflicts_with_all = ["output", "with_input"])]
        into: Option<PathBuf>,
    },
    /// Say whether a recording is as the gateway wrote it: intact, truncated or changed, and where
    ///
    /// This takes no key of an auditor, and nothing of the gateway but its signer's public key, as `keyward trail signer`
    /// prints it there. At the gateway, --policy also compares with what its ledger keeps of each recording: one that was
    /// cut back to where it still fits together, replaced by another, or that is missing or unknown is told as that. Ends with status 0 for an intact recording, 1 for one without its end, 3 for one that was changed,
    /// that nobody or that another key has signed, and 2 where nothing could be checked: a missing file, a wrong argument,
    /// a file that is no recording or of a version that is not known.
    Verify(TrailVerify),
    /// Say which recordings would be deleted now, and why, without deleting any
    ///
    /// By the policy document as it is, whether the gateway has read it again or not.
    Retention(TrailRetention),
    /// Make an auditor's key: the private half into a file, the public one for the policy document is printed
    NewKey {
        /// Must not exist yet
        file: PathBuf,
    },
    /// Print the public key that a gateway's recordings can be verified with
    Signer {
        /// The policy document of the gateway
        #[arg(long)]
        policy: PathBuf,
        /// Make another key first, where the one of before is lost: recordings from then on have another signer
        #[arg(long)]
        replace_lost: bool,
    },
}

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("what").args(["file", "policy"]).required(true).multiple(true)))]
pub(crate) struct TrailVerify {
    /// The recording; without it, with --policy, all recordings of the gateway
    pub(crate) file: Option<PathBuf>,
    /// The policy document of the gateway, to compare with its ledger, which also knows the signers
    #[arg(long)]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) signer: Signer,
    /// Believe the timestamps of an authority whose certificate comes from one in this file (PEM): a recording without
    /// such a one, or whose times do not fit it, has status 3, and one with a timestamp of a part only has status 1
    #[arg(long, value_name = "FILE")]
    pub(crate) timestamped_by: Option<PathBuf>,
    /// Go without --signed-by: whoever has made the file can have signed it
    #[arg(long, conflicts_with_all = ["signed_by", "policy"])]
    pub(crate) any_signer: bool,
    /// Say it of each block, or of each recording
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TrailRetention {
    /// The policy document of the gateway
    #[arg(long)]
    pub(crate) policy: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Say that this machine's clock is right, after the gateway did not look for more than a week: recordings are deleted
    /// by age again
    #[arg(long, conflicts_with = "json")]
    pub(crate) clock_is_right: bool,
}

/// The keys of an encrypted recording.
#[derive(Debug, clap::Args)]
pub(crate) struct Keys {
    /// A file with the private key of an auditor: as `keyward trail new-key` or age-keygen writes it, or that of a
    /// certificate in PEM. May be given again
    #[arg(long = "key", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Who should have signed a recording.
#[derive(Debug, clap::Args)]
pub(crate) struct Signer {
    /// The public key that must have signed it, as `keyward trail signer` prints it at the gateway, or a file of it
    #[arg(long, value_name = "KEY|FILE")]
    pub(crate) signed_by: Option<String>,
}

/// What of a session is drawn.
#[derive(Debug, clap::Args)]
pub(crate) struct Part {
    /// As a picture: begin with the screen at this moment, written as for `keyward trail play --from`
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// As a picture: end at this moment
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// As a picture: skip what is longer than this of a pause
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "1")]
    pub(crate) skip_idle: Option<f64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// asciicast v2, for asciinema and its players
    #[value(alias = "asciicast")]
    AsciicastV2,
    /// asciicast v3, for asciinema 3 and later
    AsciicastV3,
    /// What was new on the screen, with times
    Text,
    /// The typed commands as the screen shows them, each as JSON in a line of its own
    Commands,
    /// What was typed and not shown, as passwords are, each line as JSON
    HiddenInput,
    /// An animated picture of the screen, which browsers play
    Svg,
    /// The files that were moved by sftp and scp, into a folder (`--into`), with `files.json` that says what each one is
    Files,
}
