//! `[[time-window]]`.

use toml::de::DeValue;

use super::report::Fault;
use super::section::{Item, Section};
use super::value::text;
use crate::{DayTime, Days, Period, TimeWindow};

pub(super) fn window(section: &Section<'_>) -> Option<TimeWindow> {
    let zone = section.required_with_hint("time-zone", "time-zone = \"Europe/Berlin\"", zone);
    let label = "[[time-window.period]]";
    // All are read, so that the faults of all are told.
    let periods: Vec<_> = section.required_sections("period", label, label).iter().map(period).collect();
    let periods = periods.into_iter().collect::<Option<Vec<_>>>()?;
    TimeWindow::new(zone?.value, periods).ok()
}

fn zone<'d>(value: &'d DeValue<'d>) -> Result<&'d str, Fault> {
    let name = text(value)?;
    TimeWindow::new(name, Vec::new()).map_err(|error| {
        Fault::new(error.to_string()).hint("write a name of the IANA database: \"Europe/Berlin\", \"UTC\"")
    })?;
    Ok(name)
}

fn period(section: &Section<'_>) -> Option<Period> {
    let days = section.required_list("days", days);
    let (from, to) = (section.optional("from", begin), section.optional("to", time));
    if section.has("from") != section.has("to") {
        let fault = Fault::new("a period has both `from` and `to`, or neither");
        section.fault(fault.hint("write both, or leave both out for the whole day"));
        return None;
    }
    let (from, to) = match (from, to) {
        (Some(from), Some(to)) => times(section, &from, &to)?,
        (None, None) => (DayTime::MIDNIGHT, DayTime::END),
        (Some(_), None) | (None, Some(_)) => return None,
    };
    let days = days.into_iter().fold(Days::NONE, |all, item| all.and(item.value));
    Some(Period { days, from, to })
}

/// Two times that leave no doubt about which day is meant.
fn times(section: &Section<'_>, from: &Item<DayTime>, to: &Item<DayTime>) -> Option<(DayTime, DayTime)> {
    if from.value == to.value {
        let fault = Fault::new("this period ends when it begins");
        section.fault_at(to.at, fault.hint("leave `from` and `to` out for the whole day"));
        return None;
    }
    Some((from.value, to.value))
}

fn days(value: &DeValue<'_>) -> Result<Days, Fault> {
    let word = text(value)?;
    Days::parse(word).ok_or_else(|| {
        Fault::new(format!("{word:?} is no day"))
            .hint("write \"mon\", or several days in a row as \"mon-fri\"")
    })
}

fn begin(value: &DeValue<'_>) -> Result<DayTime, Fault> {
    let time = time(value)?;
    if time == DayTime::END {
        return Err(Fault::new("a period does not begin at 24:00").hint("write \"00:00\" and the next day"));
    }
    Ok(time)
}

fn time(value: &DeValue<'_>) -> Result<DayTime, Fault> {
    // TOML has times of its own, which are no texts.
    let word = text(value).map_err(|fault| fault.hint("write \"22:00\""))?;
    DayTime::parse(word).ok_or_else(|| {
        Fault::new(format!("{word:?} is no time of day"))
            .hint("write hours and minutes: \"08:00\", \"24:00\"")
    })
}
