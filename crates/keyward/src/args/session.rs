//! `keyward session`.

use std::path::PathBuf;

use clap::Subcommand;

use super::Keys;

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
    /// Find what was typed, shown or done to files in recorded sessions, and what is known of the sessions
    ///
    /// Finds the lines that have all words, in upper or lower case; a path or an address is found by its parts too.
    /// Words in quotation marks follow each other, and `pass*` is for all that begins so. `keyward session index` puts
    /// recordings where they are found.
    Search(SearchSessions),
    /// Put recordings that are not there yet into the index that `keyward session search` reads
    ///
    /// Ends with status 0 where all recordings are in the index, 1 where some cannot be read, as without the key of an
    /// auditor, and 3 where one was changed.
    Index(IndexSessions),
    /// The sessions that wait for somebody to approve them: who wants what, from where, and until when
    Pending {
        /// The policy document of the gateway
        #[arg(long)]
        policy: PathBuf,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Let a session go on that waits for an approval; nobody approves their own
    Approve(DecideSession),
    /// Refuse a session that waits for an approval
    Deny(DecideSession),
    /// End an open session, whatever it is at, and tell the person
    Terminate(TerminateSession),
    /// Put a recording on legal hold: nothing deletes it until the hold is released
    ///
    /// A session may have several holds, one for each matter, and may still be open. All of them stay in its record.
    Hold(HoldRecording),
    /// Release a legal hold
    Release(ReleaseRecording),
    /// Fetch a recording from the object store into a file, and check that it is what was sent there
    ///
    /// Of a session that runs, or that the gateway's death has cut off, it is what was sent so far.
    FetchRecording(FetchRecording),
    /// Delete the recording of a session, whose record stays
    ///
    /// Refused while the session is open, while its plugins have not heard of its end, and while a hold is on it.
    DeleteRecording(DeleteRecording),
}

#[derive(Debug, clap::Args)]
pub(crate) struct DecideSession {
    /// The session's id, or the unique part of it
    pub(crate) id: String,
    /// Why: kept in the session's record, and told to a person who is refused
    #[arg(long, value_name = "TEXT", value_parser = message)]
    pub(crate) comment: Option<String>,
    /// The policy document of the gateway
    #[arg(long)]
    pub(crate) policy: PathBuf,
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
    /// What the store has, where the gateway's disk is lost: ID is the unique part then, as the names of objects have it
    #[arg(long)]
    pub(crate) without_ledger: bool,
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

#[derive(Debug, clap::Args)]
pub(crate) struct SearchSessions {
    /// The words to look for
    pub(crate) text: String,
    /// The policy document of the gateway
    #[arg(long)]
    pub(crate) policy: PathBuf,
    /// Only what was at this time or later: a date or a time as in `2026-01-31`, `2026-01-31T14:05` (this machine's time zone) or
    /// `2026-01-31T14:05:00Z`, or how long ago as in `90m`, `12h` or `7d`
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Only what was before this time, or on this day or before
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Only sessions of this gateway user, or of this user at the target
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Only sessions with this target: its name or its address
    #[arg(long, value_name = "HOST")]
    pub(crate) target: Option<String>,
    /// Only lines of this kind
    #[arg(long)]
    pub(crate) kind: Option<Kind>,
    /// How many lines at most, the newest
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Print one JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Commands that were typed, as the screen has shown them
    Command,
    /// Lines that the screen showed
    Screen,
    /// Operations on files
    File,
    /// What the gateway knows of a session: who, where to, why
    Session,
}

#[derive(Debug, clap::Args)]
pub(crate) struct IndexSessions {
    /// The policy document of the gateway
    #[arg(long)]
    pub(crate) policy: PathBuf,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// Only the recording of this session: its id, or the unique part of it
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// Read those again that are in the index in part, as with a key that was missing
    #[arg(long)]
    pub(crate) again: bool,
}
