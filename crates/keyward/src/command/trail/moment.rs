//! Moments of a session, as people write them.

use std::time::Duration;

use anyhow::{Context, bail};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use keyward_model::UnixMillis;

/// Since the start of a session: `12m30s`, `90` (seconds), `14:05` or `14:05:30` by the clock of this machine, or a whole
/// date and time.
pub(super) fn parse(text: &str, started: UnixMillis) -> anyhow::Result<Duration> {
    parse_in(text, started, &TimeZone::system())
}

fn parse_in(text: &str, started: UnixMillis, zone: &TimeZone) -> anyhow::Result<Duration> {
    if let Some(offset) = offset(text) {
        return Ok(offset);
    }
    let start = Timestamp::from_millisecond(started.0).context("the session's start is no time")?;
    let moment = match (text.parse::<Timestamp>(), text.parse::<Time>()) {
        (Ok(moment), _) => moment,
        (Err(_), Ok(time)) => {
            let local = start.to_zoned(zone.clone());
            let same_day = local.date().to_datetime(time).to_zoned(zone.clone())?;
            // A session that began before midnight may go on after it; the second of its start is still its own.
            let is_past = same_day.timestamp().as_second() < start.as_second();
            if is_past { same_day.checked_add(1.day())? } else { same_day }.timestamp()
        }
        (Err(_), Err(_)) => {
            bail!("{text:?} is no moment: write `12m30s`, `14:05:30` or `2026-01-31T14:05:30Z`");
        }
    };
    let since = moment.as_millisecond().saturating_sub(started.0);
    if since < -1000 {
        bail!("the session began later, at {start}");
    }
    Ok(Duration::from_millis(since.try_into().unwrap_or_default()))
}

/// Hours, minutes and seconds with their letters, in this order, or seconds alone.
fn offset(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let (mut rest, mut whole) = (text, Duration::ZERO);
    for (letter, seconds) in [('h', 3600.0), ('m', 60.0), ('s', 1.0)] {
        if let Some((number, behind)) = rest.split_once(letter) {
            let part = number.parse::<f64>().ok()?;
            whole = whole.checked_add(Duration::try_from_secs_f64(part * seconds).ok()?)?;
            rest = behind;
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> anyhow::Result<f64> {
        // 2023-11-14T22:13:20Z
        Ok(parse_in(text, UnixMillis(1_700_000_000_000), &TimeZone::UTC)?.as_secs_f64())
    }

    #[test]
    fn a_moment_is_an_offset_or_a_time_of_the_clock() {
        for (text, expected) in [
            ("90", 90.0),
            ("12m30s", 750.0),
            ("1h", 3600.0),
            ("1h2.5s", 3602.5),
            ("22:14", 40.0),
            ("22:13:20", 0.0),
            ("00:13:20", 7200.0),
            ("2023-11-14T22:13:21.5Z", 1.5),
            ("2023-11-15T00:13:20+01:00", 3600.0),
        ] {
            assert_eq!(seconds(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_of_the_session_is_refused() {
        for text in
            ["", "s", "-5", "1s2m", "5x", "25:00", "noon", "NaN", "inf", "2023-11-14T21:00:00Z", "1e300h"]
        {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
