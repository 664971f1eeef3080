//! Times of the past, as people write them.

use anyhow::bail;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

/// Which end of a day is meant by its date.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Edge {
    Start,
    End,
}

/// Milliseconds since 1970 of a date or a time, or of how long ago it is: `2026-01-31`, `2026-01-31T14:05`,
/// `2026-01-31T14:05:00Z`, `90m`, `12h`, `7d`.
pub(super) fn parse(text: &str, edge: Edge) -> anyhow::Result<u64> {
    parse_at(text, edge, &Zoned::now())
}

fn parse_at(text: &str, edge: Edge, now: &Zoned) -> anyhow::Result<u64> {
    let zone = now.time_zone();
    let moment = match (text.parse::<Timestamp>(), text.parse::<Date>(), text.parse::<DateTime>()) {
        (Ok(moment), _, _) => moment,
        // A date alone reads as a time as well: its midnight.
        (_, Ok(date), _) if !text.contains(':') => match edge {
            Edge::Start => midnight(date, zone)?,
            Edge::End => midnight(date.tomorrow()?, zone)?,
        },
        (_, _, Ok(time)) => time.to_zoned(zone.clone())?.timestamp(),
        _ => match ago(text) {
            Some(span) => now.checked_sub(span)?.timestamp(),
            None => bail!(
                "{text:?} is no time: write `2026-01-31`, `2026-01-31T14:05`, `2026-01-31T14:05:00Z`, or how long ago \
                 as in `90m`, `12h` or `7d`"
            ),
        },
    };
    Ok(moment.as_millisecond().try_into().unwrap_or_default())
}

fn midnight(date: Date, zone: &TimeZone) -> anyhow::Result<Timestamp> {
    Ok(date.to_zoned(zone.clone())?.timestamp())
}

fn ago(text: &str) -> Option<jiff::Span> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = number.parse::<u32>().ok()?;
    match unit {
        "m" => Some(i64::from(number).minutes()),
        "h" => Some(i64::from(number).hours()),
        "d" => 0.days().try_days(number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, edge: Edge) -> String {
        let now: Zoned = "2026-03-30T10:00:00+02:00[Europe/Berlin]".parse().unwrap();
        let millis = parse_at(text, edge, &now).unwrap();
        Timestamp::from_millisecond(millis.try_into().unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_time_is_a_date_or_a_moment_or_how_long_ago() {
        for (text, start, end) in [
            ("2026-01-31", "2026-01-30T23:00:00Z", "2026-01-31T23:00:00Z"),
            // The clock goes forward: that day has 23 hours.
            ("2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ("2026-01-31T14:05", "2026-01-31T13:05:00Z", "2026-01-31T13:05:00Z"),
            ("2026-01-31 14:05:10", "2026-01-31T13:05:10Z", "2026-01-31T13:05:10Z"),
            ("2026-01-31T14:05:00.5Z", "2026-01-31T14:05:00.5Z", "2026-01-31T14:05:00.5Z"),
            ("90m", "2026-03-30T06:30:00Z", "2026-03-30T06:30:00Z"),
            ("2d", "2026-03-28T09:00:00Z", "2026-03-28T09:00:00Z"),
        ] {
            assert_eq!(
                (parsed(text, Edge::Start), parsed(text, Edge::End)),
                (start.into(), end.into()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "d",
            "-1d",
            "yesterday",
            "2026-13-01",
            "2026-01-31T25:00",
            "1w",
            "99999999999d",
            "4000000000d",
            "é",
        ] {
            assert!(parse_at(text, Edge::Start, &Zoned::now()).is_err(), "{text}");
        }
    }
}
