//! What `keyward trail verify` says of timestamps.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use keyward_trail::{Integrity, Misdated, TimestampAuthorities, TimestampFound, Trust, Verified};

use super::verify::{CHANGED, INTACT, TRUNCATED, time};
use crate::command::session::time as moment;
use crate::command::shown;

/// Lines for a person, and what they mean for the exit status.
pub(super) struct Judged {
    pub(super) status: u8,
    pub(super) says: Vec<String>,
}

/// The authorities in a file.
pub(super) fn authorities(path: &Path) -> anyhow::Result<TimestampAuthorities> {
    const MAX_FILE: u64 = 1024 * 1024;
    let wrong = || format!("--timestamped-by {}", path.display());
    let mut text = String::new();
    let opened = File::open(path).with_context(wrong)?;
    opened.take(MAX_FILE).read_to_string(&mut text).with_context(wrong)?;
    TimestampAuthorities::from_pem([text.as_str()]).with_context(wrong)
}

/// `asked`: whether authorities were named. Without them a timestamp is no more than a claim.
pub(super) fn judge(found: &Verified, asked: bool) -> Judged {
    let mut judged = Judged { status: INTACT, says: Vec::new() };
    let mut say = |status: u8, line: String| {
        judged.status = judged.status.max(status);
        judged.says.push(line);
    };
    if matches!(found.integrity, Integrity::Unsigned { .. } | Integrity::OtherSigner) {
        return judged;
    }
    match &found.timestamp {
        None if asked => {
            say(CHANGED, "NOT TIMESTAMPED: it has no timestamp that is signed with it".to_owned())
        }
        None => {}
        Some(stamp) => say(status(stamp), line(stamp)),
    }
    if let Some(stamp) = &found.misdated
        && found.timestamp.as_ref() != Some(stamp)
    {
        say(CHANGED, line(stamp));
    }
    judged
}

fn status(stamp: &TimestampFound) -> u8 {
    match (&stamp.trust, stamp.misdated) {
        (_, Some(_)) | (Trust::Untrusted(_), None) => CHANGED,
        (Trust::Trusted, None) if !stamp.whole => TRUNCATED,
        (Trust::Trusted | Trust::Unchecked, None) => INTACT,
    }
}

/// One timestamp in a line. What its certificate says of itself may be anything.
pub(super) fn line(stamp: &TimestampFound) -> String {
    let (at, by, until) = (moment(stamp.time), shown(&stamp.by), time(stamp.until));
    let reach = match stamp.whole {
        true => "with its end".to_owned(),
        false => format!("as far as {until}; what came later has no timestamp"),
    };
    let line = match &stamp.trust {
        Trust::Trusted => format!("timestamped at {at} by {by}, {reach}"),
        Trust::Unchecked => format!(
            "claims to be timestamped at {at} by {by}, {reach}: NOBODY HAS CHECKED who that is, which takes \
             --timestamped-by and the authority's CA"
        ),
        Trust::Untrusted(error) => {
            format!("NOT TIMESTAMPED by who was asked for: there is a timestamp of {at} by {by}, but {error}")
        }
    };
    match stamp.misdated {
        None => line,
        Some(Misdated::Late(by)) => format!(
            "{line}\nMISDATED: that is {} later than the recording says of itself, so it may have been made then and dated back",
            length(by)
        ),
        Some(Misdated::Early(by)) => {
            format!("{line}\nMISDATED: that is {} earlier than the recording says of itself", length(by))
        }
        Some(Misdated::Backwards) => {
            format!("{line}\nMISDATED: that is earlier than the timestamp before it")
        }
    }
}

fn length(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match minutes / 60 {
        0 => format!("{minutes} minutes"),
        hours if hours < 48 => format!("{hours} hours and {} minutes", minutes % 60),
        hours => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use keyward_model::UnixMillis;
    use keyward_trail::TokenError;

    use super::*;

    fn stamp(trust: Trust, whole: bool, misdated: Option<Misdated>) -> TimestampFound {
        let (time, by) = (UnixMillis(1_000_000_000_000), "CN=\x1b[2JTSA".to_owned());
        TimestampFound { time, by, until: Duration::from_secs(61), whole, trust, misdated }
    }

    #[test]
    fn only_a_trusted_timestamp_of_the_whole_session_that_fits_it_is_fine() {
        let late = Some(Misdated::Late(Duration::from_secs(3 * 86_400)));
        for (trust, whole, misdated, expected) in [
            (Trust::Trusted, true, None, INTACT),
            (Trust::Trusted, false, None, TRUNCATED),
            (Trust::Trusted, true, late, CHANGED),
            (Trust::Trusted, true, Some(Misdated::Early(Duration::from_secs(700))), CHANGED),
            (Trust::Trusted, true, Some(Misdated::Backwards), CHANGED),
            (Trust::Unchecked, true, None, INTACT),
            (Trust::Unchecked, true, late, CHANGED),
            (Trust::Untrusted(TokenError::Purpose), true, None, CHANGED),
        ] {
            assert_eq!(
                status(&stamp(trust.clone(), whole, misdated)),
                expected,
                "{trust:?} {whole} {misdated:?}"
            );
        }
    }

    #[test]
    fn a_timestamp_says_when_by_whom_and_how_far() {
        let at = "2001-09-09T01:46:40.000Z by CN=\\u{1b}[2JTSA";
        let part = line(&stamp(Trust::Trusted, false, None));
        assert_eq!(
            part,
            format!("timestamped at {at}, as far as 0:01:01.000; what came later has no timestamp")
        );
        let late = Some(Misdated::Late(Duration::from_secs(3 * 86_400)));
        let late = line(&stamp(Trust::Trusted, true, late));
        assert!(
            late.contains("\nMISDATED: that is 3 days later than the recording says of itself"),
            "{late}"
        );
        let unchecked = line(&stamp(Trust::Unchecked, true, None));
        assert!(
            unchecked
                .starts_with(&format!("claims to be timestamped at {at}, with its end: NOBODY HAS CHECKED"))
        );
    }
}
