//! Playing a trail on a terminal, at the speed at which it happened.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::time::Duration;

use crate::filter::Filter;
use crate::shown::{Shown, Sight};
use crate::text::Lines;
use crate::{ChannelId, Reader, TrailError};

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlayOptions {
    pub speed: Speed,
    /// Longer pauses of the session are cut to this, before the speed is applied. `None`: none is.
    pub max_idle: Option<Duration>,
    pub to: Destination,
    /// What was shown before this moment is shown at once.
    pub from: Duration,
    /// What comes before a moment is read, whatever key frames there are. Only a [`Replay`](crate::Replay) goes by them.
    pub read_all: bool,
    /// Only this channel. `None`: all of them.
    pub channel: Option<ChannelId>,
}

/// Where a recording is played to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Destination {
    /// A file or a program, which get exactly what was shown.
    #[default]
    File,
    /// A terminal, which draws, and does nothing else that the recording asks for.
    Terminal,
}

/// How much faster than it happened: 2 is twice as fast.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Speed(f64);

impl std::fmt::Display for Speed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", (self.0 * 100.0).round() / 100.0)
    }
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no speed: a number from 0.01 to 1000 is")]
pub struct BadSpeed(String);

impl Default for Speed {
    fn default() -> Self {
        Self(1.0)
    }
}

impl std::str::FromStr for Speed {
    type Err = BadSpeed;

    fn from_str(text: &str) -> Result<Self, BadSpeed> {
        match text.parse() {
            Ok(speed) if (0.01..=1000.0).contains(&speed) => Ok(Self(speed)),
            Ok(_) | Err(_) => Err(BadSpeed(text.to_owned())),
        }
    }
}

impl Speed {
    /// Twice as fast, or half as fast, within the bounds.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self((self.0 * factor).clamp(0.01, 1000.0))
    }

    /// How much of the session passes in this time.
    pub fn passes(self, time: Duration) -> Duration {
        Duration::try_from_secs_f64(time.as_secs_f64() * self.0).unwrap_or(Duration::MAX)
    }

    /// How long a pause of the session takes.
    pub fn of(self, pause: Duration) -> Duration {
        Duration::try_from_secs_f64(pause.as_secs_f64() / self.0).unwrap_or(Duration::MAX)
    }
}

/// Writes what the client was shown to `out`, calling `sleep` for each pause of the session.
///
/// What was done to files is a line each, in the place of the bytes of sftp and scp.
/// [`Reader::ending`] says afterwards how the session ended. For a terminal, what would have it answer, or outlast the session, is
/// left out, and bytes that are not UTF-8 become U+FFFD.
pub fn play<R: Read>(
    reader: &mut Reader<R>,
    out: &mut impl Write,
    options: PlayOptions,
    sleep: impl FnMut(Duration),
) -> Result<(), TrailError> {
    follow(reader, out, options, sleep, |_| Ok(false))
}

/// The same of a recording that is still written: at its end `more` is asked, which may wait, and says whether there is
/// something to [go on](Reader::resume) with.
pub fn follow<R: Read>(
    reader: &mut Reader<R>,
    out: &mut impl Write,
    options: PlayOptions,
    sleep: impl FnMut(Duration),
    more: impl FnMut(&mut Reader<R>) -> Result<bool, TrailError>,
) -> Result<(), TrailError> {
    let mut filter = Filter::default();
    let played = play_through(&mut filter, reader, out, options, sleep, more);
    let ended = out.write_all(filter.end().as_bytes()).and_then(|()| out.flush());
    played.and(ended.map_err(TrailError::Output))
}

fn play_through<R: Read>(
    filter: &mut Filter,
    reader: &mut Reader<R>,
    out: &mut impl Write,
    options: PlayOptions,
    mut sleep: impl FnMut(Duration),
    mut more: impl FnMut(&mut Reader<R>) -> Result<bool, TrailError>,
) -> Result<(), TrailError> {
    let mut before = options.from;
    let mut shown = Shown::new(options.channel, Lines::AsTheyAre);
    loop {
        let Some(item) = reader.next() else {
            out.flush().map_err(TrailError::Output)?;
            if more(reader)? {
                continue;
            }
            return Ok(());
        };
        let (at, event) = item?;
        let text = match options.to {
            Destination::File => shown.bytes(&event).map(Cow::into_owned),
            Destination::Terminal => match shown.take(&event) {
                Some(Sight::Text(text)) => Some(filter.pass(&text).into_bytes()),
                Some(Sight::Size(..)) | None => None,
            },
        };
        let Some(text) = text else { continue };
        let pause = at.saturating_sub(before).min(options.max_idle.unwrap_or(Duration::MAX));
        if !pause.is_zero() {
            out.flush().map_err(TrailError::Output)?;
            sleep(options.speed.of(pause));
        }
        out.write_all(&text).map_err(TrailError::Output)?;
        before = before.max(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{data, header, signed};
    use crate::{Direction, Event, Stream, Writer};

    fn recorded() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
        let mut put = |seconds, event: &Event<'_>| writer.write(Duration::from_secs(seconds), event).unwrap();
        put(1, &data(b"a"));
        put(1, &data(b"b"));
        let (channel, direction, stream) = (ChannelId(0), Direction::FromClient, Stream::Main);
        put(2, &Event::Data { channel, direction, stream, bytes: b"typed".into() });
        put(60, &data(b"c"));
        let (channel, direction, stream) = (ChannelId(1), Direction::ToClient, Stream::Stderr);
        put(62, &Event::Data { channel, direction, stream, bytes: b"d".into() });
        writer.finish(Duration::from_secs(70), &crate::samples::end()).unwrap()
    }

    fn played(options: PlayOptions) -> (String, Vec<f64>) {
        let (mut out, mut pauses) = (Vec::new(), Vec::new());
        let trail = recorded();
        let mut reader = Reader::new(trail.as_slice(), &[]).unwrap();
        play(&mut reader, &mut out, options, |pause| pauses.push(pause.as_secs_f64())).unwrap();
        assert!(reader.ending().is_some());
        (String::from_utf8(out).unwrap(), pauses)
    }

    #[test]
    fn what_was_shown_is_played_with_its_pauses() {
        assert_eq!(played(PlayOptions::default()), ("abcd".into(), vec![1.0, 59.0, 2.0]));
    }

    #[test]
    fn pauses_are_cut_and_then_sped_up() {
        let max_idle = Some(Duration::from_secs(10));
        let options = PlayOptions { speed: "2".parse().unwrap(), max_idle, ..PlayOptions::default() };
        assert_eq!(played(options), ("abcd".into(), vec![0.5, 5.0, 1.0]));
    }

    #[test]
    fn what_was_before_the_moment_asked_for_is_shown_at_once() {
        let from = Duration::from_secs(50);
        let options = PlayOptions { from, ..PlayOptions::default() };
        assert_eq!(played(options), ("abcd".into(), vec![10.0, 2.0]));
    }

    #[test]
    fn one_channel_can_be_played_alone() {
        let options = PlayOptions { channel: Some(ChannelId(1)), ..PlayOptions::default() };
        assert_eq!(played(options), ("d".into(), vec![62.0]));
    }

    #[test]
    fn what_was_done_to_files_is_played_in_the_place_of_their_protocol() {
        let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
        let channel = ChannelId(0);
        let open = Event::Open { channel, kind: "sftp".into(), command: None, terminal: None };
        for event in [open, data(b"\0\0\0\x05\x02"), crate::samples::upload()] {
            writer.write(Duration::ZERO, &event).unwrap();
        }
        let trail = writer.finish(Duration::ZERO, &crate::samples::end()).unwrap();
        let mut out = Vec::new();
        play(&mut Reader::new(trail.as_slice(), &[]).unwrap(), &mut out, PlayOptions::default(), |_| ())
            .unwrap();
        let sum = "07".repeat(32);
        assert_eq!(String::from_utf8(out).unwrap(), format!("upload \"/srv/x\": 3 bytes, sha256 {sum}\r\n"));
    }

    #[test]
    fn a_terminal_is_asked_nothing_and_left_as_it_was() {
        let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
        writer.write(Duration::ZERO, &data(b"\x1b]0;mine\x07\x1b[6n\x1b[31mred\xff\x1b[?10")).unwrap();
        writer.write(Duration::ZERO, &data(b"00h.")).unwrap();
        let trail = writer.finish(Duration::ZERO, &crate::samples::end()).unwrap();
        let (mut out, mut reader) = (Vec::new(), Reader::new(trail.as_slice(), &[]).unwrap());
        let options = PlayOptions { to: Destination::Terminal, ..PlayOptions::default() };
        play(&mut reader, &mut out, options, |_| ()).unwrap();
        let out = String::from_utf8(out).unwrap();
        let end = out.strip_prefix("\x1b[31mred\u{fffd}.").unwrap();
        assert!(end.starts_with("\x1b[m"), "{end:?}");
    }

    #[test]
    fn a_speed_is_a_number_in_bounds() {
        for bad in ["0", "-1", "NaN", "inf", "1001", "fast", ""] {
            assert_eq!(bad.parse::<Speed>(), Err(BadSpeed(bad.into())));
        }
        assert_eq!(Speed::default().of(Duration::MAX), Duration::MAX);
    }
}
