//! Playing a trail on a terminal, at the speed at which it happened.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::time::Duration;

use crate::{ChannelId, Direction, Event, Reader, Stream, TrailError};

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlayOptions {
    pub speed: Speed,
    /// Longer pauses of the session are cut to this, before the speed is applied. `None`: none is.
    pub max_idle: Option<Duration>,
    /// Only this channel. `None`: all of them.
    pub channel: Option<ChannelId>,
}

/// How much faster than it happened: 2 is twice as fast.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Speed(f64);

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
    fn of(self, pause: Duration) -> Duration {
        Duration::try_from_secs_f64(pause.as_secs_f64() / self.0).unwrap_or(Duration::MAX)
    }
}

/// Writes what the client was shown to `out`, calling `sleep` for each pause of the session.
///
/// What was done to files is a line each, in the place of the bytes of sftp and scp.
/// [`Reader::ending`] says afterwards how the session ended. The bytes go out as they are: a terminal that they are
/// played on obeys them as the client's did.
pub fn play<R: Read>(
    reader: &mut Reader<R>,
    out: &mut impl Write,
    options: PlayOptions,
    mut sleep: impl FnMut(Duration),
) -> Result<(), TrailError> {
    let mut shown = Duration::ZERO;
    let mut files = HashSet::new();
    for item in reader {
        let (at, event) = item?;
        if event.opens_files() {
            files.insert(event.channel());
        }
        let (channel, bytes) = match event {
            Event::Data { channel, stream: Stream::Main, .. } if files.contains(&channel) => continue,
            Event::Data { channel, direction: Direction::ToClient, bytes, .. } => (channel, bytes),
            Event::File { channel, file } => (channel, format!("{file}\r\n").into_bytes().into()),
            _ => continue,
        };
        if options.channel.is_some_and(|only| only != channel) {
            continue;
        }
        let pause = at.saturating_sub(shown).min(options.max_idle.unwrap_or(Duration::MAX));
        if !pause.is_zero() {
            out.flush().map_err(TrailError::Output)?;
            sleep(options.speed.of(pause));
        }
        out.write_all(&bytes).map_err(TrailError::Output)?;
        shown = at;
    }
    out.flush().map_err(TrailError::Output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Writer;
    use crate::samples::{data, header, signed};

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
        let options = PlayOptions { speed: "2".parse().unwrap(), max_idle, channel: None };
        assert_eq!(played(options), ("abcd".into(), vec![0.5, 5.0, 1.0]));
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
    fn a_speed_is_a_number_in_bounds() {
        for bad in ["0", "-1", "NaN", "inf", "1001", "fast", ""] {
            assert_eq!(bad.parse::<Speed>(), Err(BadSpeed(bad.into())));
        }
        assert_eq!(Speed::default().of(Duration::MAX), Duration::MAX);
    }
}
