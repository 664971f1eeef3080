//! When channels may open: `[[time-window]]`.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

/// Periods of the week on the clocks of one time zone.
///
/// What counts is what a clock on the wall shows there. When it is set back, an hour comes twice and a period has both;
/// when it is set forward, an hour is missing, and with it what a period has of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TimeWindow {
    zone: TimeZone,
    periods: Vec<Period>,
}

/// From one time of day to another, on some days of the week.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Period {
    /// The days on which it begins.
    pub days: Days,
    /// The first minute that belongs to it.
    pub from: DayTime,
    /// The first minute that does not; on the next day, where it is not later than `from`.
    pub to: DayTime,
}

/// Days of the week.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Days(u8);

/// Minutes since midnight, 24:00 included.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct DayTime(u16);

/// A name that neither the system's time zones nor the library's have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no time zone")]
pub struct UnknownZone(pub String);

impl TimeWindow {
    /// `zone` is a name of the IANA database: `Europe/Berlin`, `UTC`.
    pub fn new(zone: &str, periods: Vec<Period>) -> Result<Self, UnknownZone> {
        let zone = TimeZone::get(zone).map_err(|_| UnknownZone(zone.to_owned()))?;
        Ok(Self { zone, periods })
    }

    /// Whether one of the periods has this moment. A moment outside of the calendar (before the year -9999) is in none.
    pub fn holds(&self, at: SystemTime) -> bool {
        let Ok(at) = Timestamp::try_from(at) else { return false };
        let clock = self.zone.to_datetime(at);
        let now = DayTime::of(clock.hour().unsigned_abs(), clock.minute().unsigned_abs());
        self.periods.iter().any(|period| period.has(clock.weekday(), now))
    }
}

impl Period {
    fn has(&self, today: Weekday, now: DayTime) -> bool {
        let Self { days, from, to } = *self;
        if from < to {
            return days.has(today) && from <= now && now < to;
        }
        (days.has(today) && from <= now) || (days.has(today.previous()) && now < to)
    }
}

impl Days {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(0b111_1111);
    /// As the document writes them, in the order of the week.
    pub const WORDS: [&'static str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

    /// A day, or a range of days that may go over the end of the week: `mon`, `mon-fri`, `sat-mon`.
    pub fn parse(text: &str) -> Option<Self> {
        let day = |word| Self::WORDS.iter().position(|name| *name == word);
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(text)?, day(text)?),
        };
        let length = (last + 7 - first) % 7;
        Some((0..=length).fold(Self::NONE, |days, n| days.and(Self(1 << ((first + n) % 7)))))
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, day: Weekday) -> bool {
        self.0 & (1 << day.to_monday_zero_offset()) != 0
    }
}

impl DayTime {
    pub const MIDNIGHT: Self = Self(0);
    pub const END: Self = Self(24 * 60);

    /// `HH:MM`, from 00:00 to 24:00.
    pub fn parse(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let number = |digits: &str| {
            let is_number = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| digits.parse::<u16>().ok()).flatten()
        };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let time = Self(hours * 60 + minutes);
        (minutes < 60 && time <= Self::END).then_some(time)
    }

    fn of(hour: u8, minute: u8) -> Self {
        Self(u16::from(hour) * 60 + u16::from(minute))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(days: &str, from: &str, to: &str) -> Period {
        Period {
            days: Days::parse(days).unwrap(),
            from: DayTime::parse(from).unwrap(),
            to: DayTime::parse(to).unwrap(),
        }
    }

    #[track_caller]
    fn holds(zone: &str, period: Period, at: &str) -> bool {
        let at: Timestamp = at.parse().unwrap();
        TimeWindow::new(zone, vec![period]).unwrap().holds(at.into())
    }

    #[test]
    fn a_period_begins_with_its_first_minute_and_ends_before_its_last() {
        let office = period("mon-fri", "08:00", "18:00");
        // 2026-11-20 is a Friday.
        assert!(!holds("UTC", office, "2026-11-20T07:59:59Z"));
        assert!(holds("UTC", office, "2026-11-20T08:00:00Z"));
        assert!(holds("UTC", office, "2026-11-20T17:59:59Z"));
        assert!(!holds("UTC", office, "2026-11-20T18:00:00Z"));
        assert!(!holds("UTC", office, "2026-11-21T12:00:00Z"), "a Saturday");
    }

    #[test]
    fn the_clock_is_that_of_the_time_zone() {
        let office = period("fri", "08:00", "18:00");
        assert!(holds("Europe/Berlin", office, "2026-11-20T07:00:00Z"));
        assert!(!holds("America/New_York", office, "2026-11-20T12:59:59Z"));
        assert!(holds("Asia/Kolkata", office, "2026-11-20T02:30:00Z"), "half an hour counts");
        // Friday has begun in Auckland while it is Thursday in Greenwich.
        assert!(holds("Pacific/Auckland", office, "2026-11-19T19:00:00Z"));
    }

    #[test]
    fn a_period_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = period("fri", "22:00", "06:00");
        assert!(!holds("UTC", night, "2026-11-20T05:00:00Z"), "the night of Thursday");
        assert!(holds("UTC", night, "2026-11-20T22:00:00Z"));
        assert!(holds("UTC", night, "2026-11-21T05:59:59Z"));
        assert!(!holds("UTC", night, "2026-11-21T06:00:00Z"));
        assert!(!holds("UTC", night, "2026-11-21T22:00:00Z"), "the night of Saturday");
        let sunday = period("sun", "22:00", "06:00");
        assert!(holds("UTC", sunday, "2026-11-23T01:00:00Z"), "over the end of the week");
    }

    #[test]
    fn a_whole_day_has_all_its_minutes() {
        let friday = Period { days: Days::parse("fri").unwrap(), from: DayTime::MIDNIGHT, to: DayTime::END };
        assert!(holds("UTC", friday, "2026-11-20T00:00:00Z") && holds("UTC", friday, "2026-11-20T23:59:59Z"));
        assert!(
            !holds("UTC", friday, "2026-11-19T23:59:59Z") && !holds("UTC", friday, "2026-11-21T00:00:00Z")
        );
    }

    #[test]
    fn an_hour_that_comes_twice_is_in_the_window_twice() {
        // In Berlin, 02:30 comes twice on 2026-10-25: at 00:30 and at 01:30 of UTC.
        let hour = period("sun", "02:00", "03:00");
        assert!(!holds("Europe/Berlin", hour, "2026-10-24T23:59:59Z"));
        assert!(holds("Europe/Berlin", hour, "2026-10-25T00:30:00Z"));
        assert!(holds("Europe/Berlin", hour, "2026-10-25T01:30:00Z"));
        assert!(!holds("Europe/Berlin", hour, "2026-10-25T02:00:00Z"));
    }

    #[test]
    fn an_hour_that_is_missing_is_in_no_window() {
        // In Berlin, 01:59 is followed by 03:00 on 2026-03-29, at 01:00 of UTC.
        let hour = period("sun", "02:00", "03:00");
        assert!(!holds("Europe/Berlin", hour, "2026-03-29T00:59:59Z"));
        assert!(!holds("Europe/Berlin", hour, "2026-03-29T01:00:00Z"));
        let morning = period("sun", "02:30", "08:00");
        assert!(holds("Europe/Berlin", morning, "2026-03-29T01:00:00Z"), "03:00 follows 01:59");
        assert!(holds("Europe/Berlin", morning, "2026-03-29T05:59:59Z"), "07:59 of summer time");
        assert!(!holds("Europe/Berlin", morning, "2026-03-29T06:00:00Z"));
    }

    #[test]
    fn days_are_words_and_ranges_of_words() {
        assert_eq!(Days::parse("mon-sun"), Some(Days::ALL));
        assert_eq!(
            Days::parse("sat-mon"),
            Some(Days::parse("sat").unwrap().and(Days::parse("sun-mon").unwrap()))
        );
        for wrong in ["", "Mon", "monday", "mon-", "-fri", "mon-fri-sun", "mon–fri"] {
            assert_eq!(Days::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_are_two_digits_each() {
        assert_eq!(DayTime::parse("24:00"), Some(DayTime::END));
        for wrong in ["", "8:00", "08:0", "24:01", "25:00", "12:60", "12", "12:00:00", "+1:00", "08:00 "] {
            assert_eq!(DayTime::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_name_that_is_no_time_zone_is_refused() {
        for wrong in ["", "Berlin", "Europe/Nowhere", "CEST+", "../etc/passwd"] {
            assert!(TimeWindow::new(wrong, Vec::new()).is_err(), "{wrong}");
        }
    }
}
