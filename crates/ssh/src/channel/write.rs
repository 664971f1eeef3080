//! Messages of the connection protocol, as the gateway sends its own.

use super::{Open, OpenFailure};
use crate::message as number;
use crate::wire::Write;

/// A message that holds nothing but the number of a channel.
fn bare(number: u8, recipient: u32) -> Vec<u8> {
    let mut message = vec![number];
    message.put_number(recipient);
    message
}

pub fn request_success() -> Vec<u8> {
    vec![number::REQUEST_SUCCESS]
}

pub fn request_failure() -> Vec<u8> {
    vec![number::REQUEST_FAILURE]
}

pub fn success(recipient: u32) -> Vec<u8> {
    bare(number::CHANNEL_SUCCESS, recipient)
}

pub fn failure(recipient: u32) -> Vec<u8> {
    bare(number::CHANNEL_FAILURE, recipient)
}

pub fn eof(recipient: u32) -> Vec<u8> {
    bare(number::CHANNEL_EOF, recipient)
}

pub fn close(recipient: u32) -> Vec<u8> {
    bare(number::CHANNEL_CLOSE, recipient)
}

pub fn window_adjust(recipient: u32, bytes: u32) -> Vec<u8> {
    let mut message = bare(number::CHANNEL_WINDOW_ADJUST, recipient);
    message.put_number(bytes);
    message
}

/// Where the data of [`Message::Data`] begins in its message.
pub const DATA_AT: usize = 1 + 4 + 4;

/// What comes before so many bytes of data in their message.
pub fn data_head(recipient: u32, length: u32) -> [u8; DATA_AT] {
    let [a, b, c, d] = recipient.to_be_bytes();
    let [e, f, g, h] = length.to_be_bytes();
    [number::CHANNEL_DATA, a, b, c, d, e, f, g, h]
}

pub fn data(recipient: u32, data: &[u8]) -> Vec<u8> {
    let mut message = bare(number::CHANNEL_DATA, recipient);
    message.put_string(data);
    message
}

pub fn extended_data(recipient: u32, kind: u32, data: &[u8]) -> Vec<u8> {
    let mut message = bare(number::CHANNEL_EXTENDED_DATA, recipient);
    message.put_number(kind);
    message.put_string(data);
    message
}

/// Asks for a program to be run: `exec` or `subsystem` (RFC 4254 section 6.5).
pub fn program(recipient: u32, kind: &str, wants_reply: bool, what: &[u8]) -> Vec<u8> {
    let mut message = bare(number::CHANNEL_REQUEST, recipient);
    message.put_string(kind.as_bytes());
    message.put_bool(wants_reply);
    message.put_string(what);
    message
}

/// Sets a variable of the program that will be run (RFC 4254 section 6.4); no answer is asked for.
pub fn variable(recipient: u32, name: &str, value: &[u8]) -> Vec<u8> {
    let mut message = program(recipient, "env", false, name.as_bytes());
    message.put_string(value);
    message
}

pub fn exit_status(recipient: u32, status: u32) -> Vec<u8> {
    let mut message = bare(number::CHANNEL_REQUEST, recipient);
    message.put_string(b"exit-status");
    message.put_bool(false);
    message.put_number(status);
    message
}

pub fn open_failure(recipient: u32, reason: OpenFailure, description: &str) -> Vec<u8> {
    let mut message = bare(number::CHANNEL_OPEN_FAILURE, recipient);
    message.put_number(reason as u32);
    message.put_string(description.as_bytes());
    message.put_string(b"");
    message
}

pub fn open(open: &Open<'_>) -> Vec<u8> {
    let mut message = vec![number::CHANNEL_OPEN];
    message.put_string(open.kind.as_bytes());
    message.put_number(open.sender);
    message.put_number(open.window);
    message.put_number(open.packet);
    message.put_bytes(open.rest);
    message
}

pub fn confirmation(recipient: u32, sender: u32, window: u32, packet: u32, rest: &[u8]) -> Vec<u8> {
    let mut message = bare(number::CHANNEL_OPEN_CONFIRMATION, recipient);
    message.put_number(sender);
    message.put_number(window);
    message.put_number(packet);
    message.put_bytes(rest);
    message
}
