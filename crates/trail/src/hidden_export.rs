//! Export of what was typed and not shown: passwords, most of all.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::time::Duration;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::text::json;
use crate::{ChannelId, Direction, Event, HiddenInput, Reader, TrailError};

/// INVARIANT: the most channels with a line that was begun, and the most bytes of such a line. What is more is written as lines of
/// their own.
const MOST_CHANNELS: usize = 256;
const MOST_BYTES: usize = 64 * 1024;

/// Writes each line that was typed at a terminal which did not show it, as JSON in a line of its own, with the time of its
/// first key and its channel: as `input`, or as `left_out` where it was not recorded, or as `sealed` where it takes
/// another key. A `channel` of `None` is all of them.
///
/// A recording whose gateway did not tell such input from other has none.
pub fn export_hidden_input<R: Read>(
    reader: &mut Reader<R>,
    out: &mut impl Write,
    channel: Option<ChannelId>,
) -> Result<(), TrailError> {
    let mut lines: BTreeMap<ChannelId, Begun> = BTreeMap::new();
    for item in reader {
        let (at, event) = item?;
        let id = event.channel();
        if channel.is_some_and(|channel| channel != id) {
            continue;
        }
        let written = match event {
            Event::Hidden { input: HiddenInput::LeftOut, .. } => tell(
                out,
                &Line { time: at.as_secs_f64(), channel: id.0, input: None, left_out: true, sealed: false },
            ),
            Event::Hidden { input: HiddenInput::Follows(bytes), .. } => {
                begun(&mut lines, id, at).expected = bytes as usize;
                Ok(())
            }
            Event::Hidden { input: HiddenInput::Opened(bytes), .. } => {
                begun(&mut lines, id, at).input.extend_from_slice(&bytes);
                Ok(())
            }
            Event::Hidden { input: HiddenInput::Sealed { .. }, .. } => {
                begun(&mut lines, id, at).sealed = true;
                Ok(())
            }
            Event::Data { direction: Direction::FromClient, bytes, .. } => match lines.get_mut(&id) {
                Some(line) => match line.take(&bytes) {
                    Whole::No => Ok(()),
                    Whole::Yes => end(out, lines.remove_entry(&id)),
                },
                None => Ok(()),
            },
            Event::Close { .. } => end(out, lines.remove_entry(&id)),
            _ => Ok(()),
        };
        written.map_err(TrailError::Output)?;
        while lines.len() > MOST_CHANNELS || lines.get(&id).is_some_and(|line| line.input.len() > MOST_BYTES)
        {
            let long = lines.remove_entry(&id);
            end(out, long.or_else(|| lines.pop_first())).map_err(TrailError::Output)?;
        }
    }
    while !lines.is_empty() {
        end(out, lines.pop_first()).map_err(TrailError::Output)?;
    }
    out.flush().map_err(TrailError::Output)
}

/// A line that is being typed.
struct Begun {
    at: Duration,
    input: Zeroizing<Vec<u8>>,
    sealed: bool,
    /// So many of the next bytes belong to it.
    expected: usize,
}

enum Whole {
    Yes,
    No,
}

impl Begun {
    /// Takes what came from the client. What was shown again ends the line, as its own end does.
    fn take(&mut self, bytes: &[u8]) -> Whole {
        let (own, rest) = bytes.split_at(self.expected.min(bytes.len()));
        self.input.extend_from_slice(own);
        self.expected -= own.len();
        if rest.is_empty() { Whole::No } else { Whole::Yes }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    /// Seconds since the start of the session.
    time: f64,
    channel: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    left_out: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sealed: bool,
}

fn begun(lines: &mut BTreeMap<ChannelId, Begun>, id: ChannelId, at: Duration) -> &mut Begun {
    let new = || Begun { at, input: Zeroizing::default(), sealed: false, expected: 0 };
    lines.entry(id).or_insert_with(new)
}

fn end(out: &mut impl Write, line: Option<(ChannelId, Begun)>) -> io::Result<()> {
    let Some((id, Begun { at, input, sealed, .. })) = line else { return Ok(()) };
    let text = Zeroizing::new(String::from_utf8_lossy(&input).into_owned());
    let input = (!sealed).then_some(text.as_str());
    tell(out, &Line { time: at.as_secs_f64(), channel: id.0, input, left_out: false, sealed })
}

fn tell(out: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
    writeln!(out, "{}", json(line)?)
}
