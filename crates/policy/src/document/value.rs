//! How single values are read: each function turns a value into its checked type, or says what is wrong.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use toml::de::DeValue;

use super::nearest::nearest;
use super::report::Fault;
use crate::connection::canonical;
use crate::pattern::parse_network;
use crate::{HostPattern, PatternPort};

/// Any text.
pub(super) fn text<'d>(value: &'d DeValue<'d>) -> Result<&'d str, Fault> {
    value.as_str().ok_or_else(|| wrong_type(value, "a text in quotes"))
}

/// One line of text that is not empty: names of people, groups and hosts.
pub(super) fn line<'d>(value: &'d DeValue<'d>) -> Result<&'d str, Fault> {
    const MAX_BYTES: usize = 256;
    let text = text(value)?;
    if text.is_empty() || text.len() > MAX_BYTES || text.chars().any(char::is_control) {
        return Err(Fault::new(format!("this must be 1 to {MAX_BYTES} bytes without control characters")));
    }
    Ok(text)
}

/// The text of a regular expression: a line.
pub(super) fn expression_text<'d>(value: &'d DeValue<'d>) -> Result<&'d str, Fault> {
    line(value).map_err(|fault| {
        if value.as_str().is_some_and(|text| text.chars().any(char::is_control)) {
            // In double quotes TOML reads `\b` as a backspace and `\t` as a tab.
            fault.hint(r"write patterns in single quotes, in which \b stays as it is: '\bshutdown\b'")
        } else {
            fault
        }
    })
}

pub(super) fn owned_line(value: &DeValue<'_>) -> Result<String, Fault> {
    line(value).map(str::to_owned)
}

/// A text that a type of its own checks.
pub(super) fn named<'d, T>(value: &'d DeValue<'d>) -> Result<T, Fault>
where
    T: TryFrom<&'d str>,
    T::Error: Display,
{
    T::try_from(text(value)?).map_err(|error| Fault::new(error.to_string()))
}

pub(super) fn flag(value: &DeValue<'_>) -> Result<bool, Fault> {
    value.as_bool().ok_or_else(|| wrong_type(value, "true or false"))
}

pub(super) fn integer<T>(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Result<T, Fault>
where
    T: TryFrom<u64>,
{
    move |value| {
        let number = value.as_integer().ok_or_else(|| wrong_type(value, "a whole number"))?;
        u64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| Fault::new(format!("this must be {} to {}", range.start(), range.end())))
    }
}

/// A limit on how many there may be.
pub(super) fn limit<T>(max: u64) -> impl Fn(&DeValue<'_>) -> Result<T, Fault>
where
    T: TryFrom<NonZeroU64>,
{
    move |value| {
        let limit = integer::<u64>(1..=max)(value).map(NonZeroU64::new)?;
        limit.and_then(|limit| T::try_from(limit).ok()).ok_or_else(|| Fault::new("this number is too large"))
    }
}

/// Whole seconds, a year at most.
pub(super) fn seconds(value: &DeValue<'_>) -> Result<Duration, Fault> {
    const YEAR: u64 = 366 * 24 * 3600;
    let seconds = integer(1..=YEAR)(value).map(Duration::from_secs);
    seconds.map_err(|fault| fault.hint("write whole seconds; leave the key out for its default"))
}

/// A long time as people write it: `36 h`, `90 d`, `8 w`, `10 y`. A bare number would be taken for seconds by one and for
/// days by another.
pub(super) fn term(value: &DeValue<'_>) -> Result<Duration, Fault> {
    const HOUR: u64 = 3600;
    const MOST: Duration = Duration::from_secs(100 * 365 * 24 * HOUR);
    const HINT: &str = "write a number with its unit, hours, days, weeks or years of 365 days: \"36h\", \"90d\", \"8w\", \"10y\"";
    let text = value.as_str().ok_or_else(|| wrong_type(value, "a text in quotes").hint(HINT))?;
    let units = [("h", HOUR), ("d", 24 * HOUR), ("w", 7 * 24 * HOUR), ("y", 365 * 24 * HOUR)];
    let seconds = with_unit(text, |unit| units.iter().find(|(word, _)| *word == unit).map(|found| found.1));
    let term = seconds.map(Duration::from_secs);
    let term = term.ok_or_else(|| Fault::new(format!("{text:?} is no length of time")).hint(HINT))?;
    match term.is_zero() || term > MOST {
        true => Err(Fault::new("this must be 1 hour to 100 years").hint("leave the key out for no end")),
        false => Ok(term),
    }
}

/// Bytes: a number, or a text as `512 MiB`.
pub(super) fn size(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Result<u64, Fault> {
    move |value| {
        let bytes = match value.as_str() {
            Some(text) => parse_size(text).ok_or_else(|| {
                Fault::new(format!("{text:?} is no size"))
                    .hint("write a number and KiB, MiB, GiB or TiB: \"512 MiB\"")
            })?,
            None => integer(0..=u64::MAX)(value)?,
        };
        let mib = |bytes: &u64| format!("{} MiB", bytes >> 20);
        if range.contains(&bytes) {
            Ok(bytes)
        } else {
            Err(Fault::new(format!("this must be {} to {}", mib(range.start()), mib(range.end()))))
        }
    }
}

fn parse_size(text: &str) -> Option<u64> {
    with_unit(text, |unit| match unit {
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        "TiB" => Some(1 << 40),
        _ => None,
    })
}

/// A number and its unit, for which `worth` says how much it is.
fn with_unit(text: &str, worth: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    number.parse::<u64>().ok()?.checked_mul(worth(unit.trim_start())?)
}

/// One of some words.
pub(super) fn choice<T: Copy>(words: &[(&'static str, T)]) -> impl Fn(&DeValue<'_>) -> Result<T, Fault> {
    move |value| {
        let text = text(value)?;
        let all = || words.iter().map(|(word, _)| *word);
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Ok(*meaning),
            None => Err(Fault::new(format!("{text:?} is not known here")).hint(match nearest(text, all()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("the words are {}", quoted(all())),
            })),
        }
    }
}

pub(super) fn quoted<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}

/// An address and port to listen on.
pub(super) fn listener(value: &DeValue<'_>) -> Result<SocketAddr, Fault> {
    let text = text(value)?;
    text.parse().map(canonical).map_err(|_| {
        Fault::new(format!("{text:?} is no address with a port"))
            .hint("write an address, not a name: \"0.0.0.0:2222\" or \"[::]:2222\"")
    })
}

/// A network, or a single address.
pub(super) fn network(value: &DeValue<'_>) -> Result<IpNet, Fault> {
    let text = text(value)?;
    let address = || text.parse::<IpAddr>().ok().map(|ip| IpNet::from(ip.to_canonical()));
    address().or_else(|| parse_network(text)).ok_or_else(|| {
        Fault::new(format!("{text:?} is no network"))
            .hint("write an address or a network: \"10.0.0.0/8\", \"2001:db8::/32\"")
    })
}

/// A host pattern; `default` is the port of one without a port.
pub(super) fn pattern(default: PatternPort) -> impl Fn(&DeValue<'_>) -> Result<HostPattern, Fault> {
    move |value| {
        HostPattern::parse(text(value)?, default).map_err(|error| {
            Fault::new(error.to_string())
                .hint("examples: \"db1\", \"*.example.com:22\", \"10.0.0.0/8:*\", \"[2001:db8::7]:22\"")
        })
    }
}

fn wrong_type(value: &DeValue<'_>, expected: &str) -> Fault {
    let article = if matches!(value, DeValue::Array(_) | DeValue::Integer(_)) { "an" } else { "a" };
    Fault::new(format!("this must be {expected}, not {article} {}", value.type_str()))
}
