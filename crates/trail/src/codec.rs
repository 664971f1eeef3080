//! Events as bytes: kind, microseconds since the event before, length, body.

use std::borrow::Cow;

use crate::error::Damage;
use crate::event::{ChannelId, Direction, Event, ExitStatus, Stream, Terminal};
use crate::file_codec::{put_file, take_file};
use crate::hidden_input::HiddenInput;
use crate::wire::{Cursor, put_bytes, put_text, put_varint, varint_len};

const OPEN: u64 = 1;
const DATA: u64 = 2;
const WINDOW: u64 = 3;
const ENV: u64 = 4;
const SIGNAL: u64 = 5;
const EOF: u64 = 6;
const EXIT: u64 = 7;
const CLOSE: u64 = 8;
const FILE: u64 = 9;
const HIDDEN: u64 = 10;

/// Bits of the byte in a data event that says where its bytes went.
const TO_CLIENT: u8 = 1;
const STDERR: u8 = 2;
/// Bits of the byte in an open event that says what follows.
const HAS_COMMAND: u8 = 1;
const HAS_TERMINAL: u8 = 2;
/// First byte of how a program ended.
const BY_CODE: u8 = 0;
const BY_SIGNAL: u8 = 1;
/// What is kept of hidden input.
const LEFT_OUT: u8 = 0;
const FOLLOWS: u8 = 1;
const SEALED: u8 = 2;

/// Data from this length on gets its memory to the byte, as doubling a buffer would waste more than a copy saves.
const LONG: usize = 4096;

/// Appends a data event, with a copy of the bytes.
pub(crate) fn put_data(
    out: &mut Vec<u8>,
    delta: u64,
    channel: ChannelId,
    way: (Direction, Stream),
    bytes: &[u8],
) {
    put_data_head(out, delta, channel, way, bytes.len());
    if bytes.len() >= LONG {
        out.reserve_exact(bytes.len());
    }
    out.extend_from_slice(bytes);
}

/// Appends what stands before the bytes of a data event.
pub(crate) fn put_data_head(
    out: &mut Vec<u8>,
    delta: u64,
    channel: ChannelId,
    (direction, stream): (Direction, Stream),
    length: usize,
) {
    put_varint(out, DATA);
    put_varint(out, delta);
    put_varint(out, (varint_len(channel.0.into()) + 1 + length) as u64);
    put_varint(out, channel.0.into());
    let way = match stream {
        Stream::Main => 0,
        Stream::Stderr => STDERR,
    };
    out.push(way | direction_byte(direction));
}

/// Appends any event.
pub(crate) fn put_event(out: &mut Vec<u8>, delta: u64, event: &Event<'_>) {
    let mut body = Vec::new();
    put_varint(&mut body, event.channel().0.into());
    let kind = match event {
        Event::Data { channel, direction, stream, bytes } => {
            return put_data(out, delta, *channel, (*direction, *stream), bytes);
        }
        Event::Open { kind, command, terminal, .. } => {
            put_open(&mut body, kind, command.as_deref(), terminal.as_ref());
            OPEN
        }
        Event::Window { columns, rows, .. } => {
            put_size(&mut body, *columns, *rows);
            WINDOW
        }
        Event::Env { name, value, .. } => {
            put_text(&mut body, name);
            put_text(&mut body, value);
            ENV
        }
        Event::Signal { name, .. } => {
            put_text(&mut body, name);
            SIGNAL
        }
        Event::Eof { direction, .. } => {
            body.push(direction_byte(*direction));
            EOF
        }
        Event::Exit { status, .. } => {
            put_status(&mut body, status);
            EXIT
        }
        Event::Close { .. } => CLOSE,
        Event::File { file, .. } => {
            put_file(&mut body, file);
            FILE
        }
        Event::Hidden { input, .. } => {
            put_hidden(&mut body, input);
            HIDDEN
        }
    };
    put_varint(out, kind);
    put_varint(out, delta);
    put_bytes(out, &body);
}

fn put_open(out: &mut Vec<u8>, kind: &str, command: Option<&[u8]>, terminal: Option<&Terminal<'_>>) {
    put_text(out, kind);
    let command_bit = if command.is_some() { HAS_COMMAND } else { 0 };
    let terminal_bit = if terminal.is_some() { HAS_TERMINAL } else { 0 };
    out.push(command_bit | terminal_bit);
    if let Some(command) = command {
        put_bytes(out, command);
    }
    if let Some(terminal) = terminal {
        put_text(out, &terminal.term);
        put_size(out, terminal.columns, terminal.rows);
    }
}

fn put_size(out: &mut Vec<u8>, columns: u32, rows: u32) {
    put_varint(out, columns.into());
    put_varint(out, rows.into());
}

fn put_status(out: &mut Vec<u8>, status: &ExitStatus<'_>) {
    match status {
        ExitStatus::Code(code) => {
            out.push(BY_CODE);
            put_varint(out, (*code).into());
        }
        ExitStatus::Signal { name, core_dumped, message } => {
            out.push(BY_SIGNAL);
            put_text(out, name);
            out.push((*core_dumped).into());
            put_text(out, message);
        }
    }
}

fn direction_byte(direction: Direction) -> u8 {
    match direction {
        Direction::FromClient => 0,
        Direction::ToClient => TO_CLIENT,
    }
}

/// The next event and its distance from the one before it, in microseconds. `None` stands for an event of a kind
/// that this version does not know. Bytes behind the known fields of a body are for newer versions, and ignored.
pub(crate) fn take_event(events: &mut Cursor<'_>) -> Result<(u64, Option<Event<'static>>), Damage> {
    let kind = events.varint()?;
    let delta = events.varint()?;
    let mut body = Cursor::new(events.prefixed()?);
    if !(OPEN..=HIDDEN).contains(&kind) {
        return Ok((delta, None));
    }
    let channel = ChannelId(body.varint_u32()?);
    let event = match kind {
        OPEN => take_open(&mut body, channel)?,
        DATA => take_data(body, channel)?,
        WINDOW => Event::Window { channel, columns: body.varint_u32()?, rows: body.varint_u32()? },
        ENV => Event::Env { channel, name: text(&mut body)?, value: text(&mut body)? },
        SIGNAL => Event::Signal { channel, name: text(&mut body)? },
        EOF => Event::Eof { channel, direction: take_direction(body.byte()?)? },
        EXIT => Event::Exit { channel, status: take_status(&mut body)? },
        CLOSE => Event::Close { channel },
        FILE => Event::File { channel, file: take_file(&mut body)? },
        _hidden => Event::Hidden { channel, input: take_hidden(&mut body)? },
    };
    Ok((delta, Some(event)))
}

fn put_hidden(out: &mut Vec<u8>, input: &HiddenInput<'_>) {
    match input {
        // What was opened is not written again.
        HiddenInput::LeftOut | HiddenInput::Opened(_) => out.push(LEFT_OUT),
        HiddenInput::Follows(bytes) => {
            out.push(FOLLOWS);
            put_varint(out, (*bytes).into());
        }
        HiddenInput::Sealed { number, text } => {
            out.push(SEALED);
            put_varint(out, *number);
            put_bytes(out, text);
        }
    }
}

fn take_hidden(body: &mut Cursor<'_>) -> Result<HiddenInput<'static>, Damage> {
    match body.byte()? {
        LEFT_OUT => Ok(HiddenInput::LeftOut),
        FOLLOWS => Ok(HiddenInput::Follows(body.varint_u32()?)),
        SEALED => Ok(HiddenInput::Sealed { number: body.varint()?, text: body.prefixed()?.to_vec().into() }),
        _ => Err(Damage::Value("hidden input")),
    }
}

fn take_open(body: &mut Cursor<'_>, channel: ChannelId) -> Result<Event<'static>, Damage> {
    let kind = text(body)?;
    let present = body.byte()?;
    let command = match present & HAS_COMMAND {
        0 => None,
        _ => Some(body.prefixed()?.to_vec().into()),
    };
    let terminal = match present & HAS_TERMINAL {
        0 => None,
        _ => Some(Terminal { term: text(body)?, columns: body.varint_u32()?, rows: body.varint_u32()? }),
    };
    Ok(Event::Open { channel, kind, command, terminal })
}

fn take_data(mut body: Cursor<'_>, channel: ChannelId) -> Result<Event<'static>, Damage> {
    let way = body.byte()?;
    let direction = take_direction(way & !STDERR)?;
    let stream = if way & STDERR == 0 { Stream::Main } else { Stream::Stderr };
    Ok(Event::Data { channel, direction, stream, bytes: body.rest().to_vec().into() })
}

fn take_direction(byte: u8) -> Result<Direction, Damage> {
    match byte {
        0 => Ok(Direction::FromClient),
        TO_CLIENT => Ok(Direction::ToClient),
        _ => Err(Damage::Value("direction of an event")),
    }
}

fn take_status(body: &mut Cursor<'_>) -> Result<ExitStatus<'static>, Damage> {
    match body.byte()? {
        BY_CODE => Ok(ExitStatus::Code(body.varint_u32()?)),
        BY_SIGNAL => {
            Ok(ExitStatus::Signal { name: text(body)?, core_dumped: body.byte()? != 0, message: text(body)? })
        }
        _ => Err(Damage::Value("exit status")),
    }
}

fn text(body: &mut Cursor<'_>) -> Result<Cow<'static, str>, Damage> {
    Ok(body.text()?.to_owned().into())
}
