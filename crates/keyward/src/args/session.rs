//! `keyward session`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// The newest sessions
    List {
        /// The policy document of the gateway
        #[arg(long)]
        policy: PathBuf,
        /// How many at most
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Only those whose recording is on legal hold
        #[arg(long)]
        held: bool,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Have session_ended called again, within seconds, where the gateway's death cut the call off
    Repeat {
        /// The session's id, or the unique part of it
        id: String,
        /// The plugin instance
        instance: String,
        /// The policy document of the gateway
        #[arg(long)]
        policy: PathBuf,
    },
    /// Everything about one session: facts, decisions, hook calls with their log lines
    Show {
        /// The session's id, or the unique part of it
        id: String,
        /// The policy document of the gateway
        #[arg(long)]
        policy: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// End an open session, whatever it is at, and tell the person
    Terminate(TerminateSession),
    /// Put a recording on legal hold: nothing deletes it until the hold is released
    ///
    /// A session may have several holds, one for each matter, and may still be open. All of them stay in its record.
    Hold(HoldRecording),
    /// Release a legal hold
    Release(ReleaseRecording),
    /// Fetch a recording from the object store into a file, and check that it is what was sent there
    FetchRecording(FetchRecording),
    /// Delete the recording of a session, whose record stays
    ///
    /// Refused while the session is open, while its plugins have not heard of its end, and while a hold is on it.
    DeleteRecording(DeleteRecording),
}

#[derive(Debug, clap::Args)]
pub(crate) struct TerminateSession {
    /// The session's id, or the unique part of it
    pub(crate) id: String,
    /// What the person is told, who also hears that it was an administrator; kept in the session's record
    #[arg(long, value_name = "TEXT", value_parser = message)]
    pub(crate) message: Option<String>,
    /// The policy document of the gateway
    #[arg(long)]
    pub(crate) policy: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct HoldRecording {
    /// The session's id, or the unique part of it
    pub(crate) id: String,
    /// What it is for: kept in the session's record
    #[arg(long, value_parser = reason)]
    pub(crate) reason: String,
    /// The policy document of the gateway
    #[arg(long)]
    pub(crate) policy: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseRecording {
    /// The session's id, or the unique part of it
    pub(crate) id: String,
    /// Why it is released: kept in the session's record
    #[arg(long, value_parser = reason)]
    pub(crate) reason: String,
    /// Which one, where there are several: its number, as `keyward session show` has it
    #[arg(long, value_name = "NUMBER")]
    pub(crate) hold: Option<u32>,
    /// The policy document of the gateway
    #[arg(long)]
    pub(crate) policy: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FetchRecording {
    /// The session's id, or the unique part of it
    pub(crate) id: String,
    /// The file that is made; it must not be there yet
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// The policy document of the gateway
    #[arg(long)]
    pub(crate) policy: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteRecording {
    /// The session's id, or the unique part of it
    pub(crate) id: String,
    /// Why it is deleted: kept in the session's record
    #[arg(long, value_parser = reason)]
    pub(crate) reason: String,
    /// Also where the file is not as it was when it was closed
    #[arg(long)]
    pub(crate) even_if_changed: bool,
    /// The policy document of the gateway
    #[arg(long)]
    pub(crate) policy: PathBuf,
}

/// One line for a terminal.
fn message(text: &str) -> Result<String, String> {
    const MOST: usize = 500;
    match (text.trim(), text.chars().count()) {
        ("", _) => Err("write something, or leave it out".to_owned()),
        (_, length) if length > MOST => Err(format!("this has {length} characters, {MOST} are shown")),
        (text, _) if text.chars().any(char::is_control) => Err("it has to be one line".to_owned()),
        (text, _) => Ok(text.to_owned()),
    }
}

/// Something that says something, and is kept whole.
fn reason(text: &str) -> Result<String, String> {
    const MOST: usize = 4000;
    match text.trim() {
        "" => Err("write why, for those who read the record later".to_owned()),
        text if text.len() > MOST => Err(format!("this has {} bytes, {MOST} are kept", text.len())),
        text => Ok(text.to_owned()),
    }
}
