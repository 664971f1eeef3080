//! The messages of the connection protocol (RFC 4254), as a relay needs them: what it judges is read, what it only
//! passes on stays as it came.

mod write;

use std::borrow::Cow;

use crate::message as number;
use crate::wire::{Malformed, Reader};

pub use write::*;

/// One message. Channel numbers are those of the side that receives it.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    GlobalRequest {
        name: &'a str,
        wants_reply: bool,
        rest: &'a [u8],
    },
    RequestSuccess,
    RequestFailure,
    Open(Open<'a>),
    Confirmation {
        recipient: u32,
        sender: u32,
        window: u32,
        packet: u32,
        rest: &'a [u8],
    },
    OpenFailure {
        recipient: u32,
    },
    WindowAdjust {
        recipient: u32,
        bytes: u32,
    },
    Data {
        recipient: u32,
        data: &'a [u8],
    },
    ExtendedData {
        recipient: u32,
        kind: u32,
        data: &'a [u8],
    },
    Eof {
        recipient: u32,
    },
    Close {
        recipient: u32,
    },
    Request {
        recipient: u32,
        name: &'a str,
        wants_reply: bool,
        rest: &'a [u8],
    },
    Success {
        recipient: u32,
    },
    Failure {
        recipient: u32,
    },
    /// A number that the connection protocol does not have.
    Unknown {
        number: u8,
    },
}

/// `SSH_MSG_CHANNEL_OPEN` (RFC 4254 section 5.1).
#[derive(Clone, Copy, Debug)]
pub struct Open<'a> {
    pub kind: &'a str,
    pub sender: u32,
    /// Bytes that the sender takes before it says more.
    pub window: u32,
    /// The longest data that the sender takes in one packet.
    pub packet: u32,
    /// What belongs to the kind.
    pub rest: &'a [u8],
}

/// Extended data of this kind is stderr (RFC 4254 section 5.2).
pub const STDERR: u32 = 1;

/// Why a channel was not opened (RFC 4254 section 5.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum OpenFailure {
    AdministrativelyProhibited = 1,
    ConnectFailed = 2,
    UnknownChannelType = 3,
    ResourceShortage = 4,
}

impl<'a> Message<'a> {
    pub fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(message);
        let parsed = match reader.u8()? {
            number::GLOBAL_REQUEST => {
                Self::GlobalRequest { name: reader.text()?, wants_reply: reader.bool()?, rest: reader.rest() }
            }
            number::REQUEST_SUCCESS => Self::RequestSuccess,
            number::REQUEST_FAILURE => Self::RequestFailure,
            number::CHANNEL_OPEN => Self::Open(Open {
                kind: reader.text()?,
                sender: reader.u32()?,
                window: reader.u32()?,
                packet: reader.u32()?,
                rest: reader.rest(),
            }),
            number::CHANNEL_OPEN_CONFIRMATION => Self::Confirmation {
                recipient: reader.u32()?,
                sender: reader.u32()?,
                window: reader.u32()?,
                packet: reader.u32()?,
                rest: reader.rest(),
            },
            number::CHANNEL_OPEN_FAILURE => Self::OpenFailure { recipient: reader.u32()? },
            number::CHANNEL_WINDOW_ADJUST => {
                Self::WindowAdjust { recipient: reader.u32()?, bytes: reader.u32()? }
            }
            number::CHANNEL_DATA => {
                let (recipient, data) = (reader.u32()?, reader.string()?);
                reader.end()?;
                Self::Data { recipient, data }
            }
            number::CHANNEL_EXTENDED_DATA => {
                let (recipient, kind, data) = (reader.u32()?, reader.u32()?, reader.string()?);
                reader.end()?;
                Self::ExtendedData { recipient, kind, data }
            }
            number::CHANNEL_EOF => Self::Eof { recipient: reader.u32()? },
            number::CHANNEL_CLOSE => Self::Close { recipient: reader.u32()? },
            number::CHANNEL_REQUEST => Self::Request {
                recipient: reader.u32()?,
                name: reader.text()?,
                wants_reply: reader.bool()?,
                rest: reader.rest(),
            },
            number::CHANNEL_SUCCESS => Self::Success { recipient: reader.u32()? },
            number::CHANNEL_FAILURE => Self::Failure { recipient: reader.u32()? },
            number => Self::Unknown { number },
        };
        Ok(parsed)
    }
}

/// What a channel is asked for (RFC 4254 section 6), where a gateway has something to say about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request<'a> {
    Terminal {
        term: &'a str,
        columns: u32,
        rows: u32,
        /// RFC 4254 section 8.
        modes: &'a [u8],
    },
    Variable {
        name: Cow<'a, str>,
        value: Cow<'a, str>,
    },
    Shell,
    Command(&'a [u8]),
    Subsystem(&'a str),
    WindowChange {
        columns: u32,
        rows: u32,
    },
    /// The name without `SIG`.
    Signal(&'a str),
    ExitStatus(u32),
    ExitSignal {
        name: &'a str,
        core_dumped: bool,
        message: Cow<'a, str>,
    },
    X11,
    Agent,
    Other(&'a str),
}

impl<'a> Request<'a> {
    /// Reads what follows `wants_reply`.
    pub fn parse(name: &'a str, rest: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(rest);
        let parsed = match name {
            "pty-req" => {
                let (term, columns, rows) = (reader.text()?, reader.u32()?, reader.u32()?);
                // Pixels and modes: the target's business, but whole they must be.
                reader.u32()?;
                reader.u32()?;
                Self::Terminal { term, columns, rows, modes: reader.string()? }
            }
            "env" => Self::Variable {
                name: String::from_utf8_lossy(reader.string()?),
                value: String::from_utf8_lossy(reader.string()?),
            },
            "shell" => Self::Shell,
            "exec" => Self::Command(reader.string()?),
            "subsystem" => Self::Subsystem(reader.text()?),
            "window-change" => {
                let (columns, rows) = (reader.u32()?, reader.u32()?);
                reader.u32()?;
                reader.u32()?;
                Self::WindowChange { columns, rows }
            }
            "signal" => Self::Signal(reader.text()?),
            "exit-status" => Self::ExitStatus(reader.u32()?),
            "exit-signal" => {
                let (name, core_dumped) = (reader.text()?, reader.bool()?);
                let message = String::from_utf8_lossy(reader.string()?);
                reader.string()?;
                Self::ExitSignal { name, core_dumped, message }
            }
            "x11-req" => Self::X11,
            "auth-agent-req@openssh.com" => Self::Agent,
            other => Self::Other(other),
        };
        match parsed {
            // What belongs to these is not read here.
            Self::X11 | Self::Agent | Self::Other(_) => {}
            _ => reader.end()?,
        }
        Ok(parsed)
    }
}

/// A host and a port at the beginning of `rest`: of `direct-tcpip`, `forwarded-tcpip` and `tcpip-forward` (RFC 4254
/// section 7). `None` for a port that none can be.
pub fn host_and_port(rest: &[u8]) -> Result<Option<(&str, u16)>, Malformed> {
    let mut reader = Reader::new(rest);
    let (host, port) = (reader.text()?, reader.u32()?);
    Ok(u16::try_from(port).ok().map(|port| (host, port)))
}

/// The path of a Unix socket at the beginning of `rest`: of OpenSSH's `streamlocal` forwards (PROTOCOL section 2.4).
pub fn socket_path(rest: &[u8]) -> Result<&str, Malformed> {
    Reader::new(rest).text()
}

/// The port that a target chose: the answer to a `tcpip-forward` of port 0 (RFC 4254 section 7.1).
pub fn chosen_port(answer: &[u8]) -> Option<u16> {
    let mut reader = Reader::new(answer);
    reader.u8().ok()?;
    u16::try_from(reader.u32().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Write;

    #[test]
    fn messages_are_read_as_they_were_written() {
        let wanted = Open { kind: "session", sender: 3, window: 7, packet: 9, rest: b"x" };
        let message = open(&wanted);
        let Message::Open(read) = Message::parse(&message).unwrap() else { panic!() };
        assert_eq!(
            (read.kind, read.sender, read.window, read.packet, read.rest),
            ("session", 3, 7, 9, &b"x"[..])
        );
        assert!(matches!(Message::parse(&data(5, b"abc")), Ok(Message::Data { recipient: 5, data: b"abc" })));
        assert!(matches!(
            Message::parse(&extended_data(5, STDERR, b"abc")),
            Ok(Message::ExtendedData { recipient: 5, kind: STDERR, data: b"abc" })
        ));
        assert!(matches!(
            Message::parse(&confirmation(1, 2, 3, 4, b"")),
            Ok(Message::Confirmation { recipient: 1, sender: 2, window: 3, packet: 4, rest: b"" })
        ));
        assert!(matches!(
            Message::parse(&window_adjust(1, 2)),
            Ok(Message::WindowAdjust { recipient: 1, bytes: 2 })
        ));
        assert!(matches!(Message::parse(&eof(1)), Ok(Message::Eof { recipient: 1 })));
        let message = program(1, "exec", true, b"ls");
        assert!(matches!(
            Message::parse(&message),
            Ok(Message::Request { recipient: 1, name: "exec", wants_reply: true, rest: b"\0\0\0\x02ls" })
        ));
        let message = variable(1, "A", b"b");
        assert!(matches!(
            Message::parse(&message),
            Ok(Message::Request { name: "env", wants_reply: false, rest: b"\0\0\0\x01A\0\0\0\x01b", .. })
        ));
        assert!(matches!(Message::parse(&close(1)), Ok(Message::Close { recipient: 1 })));
        let exit = exit_status(4, 2);
        let Message::Request { recipient: 4, name, wants_reply: false, rest } =
            Message::parse(&exit).unwrap()
        else {
            panic!()
        };
        assert_eq!(Request::parse(name, rest), Ok(Request::ExitStatus(2)));
    }

    #[test]
    fn a_message_that_is_cut_is_refused_at_every_byte() {
        let all = [
            open(&Open { kind: "session", sender: 3, window: 7, packet: 9, rest: b"" }),
            confirmation(1, 2, 3, 4, b""),
            open_failure(1, OpenFailure::ConnectFailed, "no")[..5].to_vec(),
            data(1, b"abc"),
            extended_data(1, STDERR, b"abc"),
            window_adjust(1, 2),
            eof(1),
            close(1),
            success(1),
            failure(1),
        ];
        for message in all {
            for cut in 0..message.len() {
                assert!(Message::parse(&message[..cut]).is_err(), "{message:?} {cut}");
            }
        }
    }

    #[test]
    fn data_with_something_after_its_end_is_refused() {
        let mut message = data(1, b"abc");
        message.push(0);
        assert!(Message::parse(&message).is_err());
    }

    #[test]
    fn requests_have_the_fields_of_the_rfc() {
        let mut rest = Vec::new();
        rest.put_string(b"xterm");
        [80, 24, 0, 0].into_iter().for_each(|size| rest.put_number(size));
        rest.put_string(b"\0");
        let terminal = Request::Terminal { term: "xterm", columns: 80, rows: 24, modes: b"\0" };
        assert_eq!(Request::parse("pty-req", &rest), Ok(terminal));
        for cut in 0..rest.len() {
            assert!(Request::parse("pty-req", &rest[..cut]).is_err(), "{cut}");
        }
        rest.push(0);
        assert!(Request::parse("pty-req", &rest).is_err());
        assert_eq!(Request::parse("break", &[0, 0, 0, 5]), Ok(Request::Other("break")));
        assert_eq!(Request::parse("shell", b""), Ok(Request::Shell));
    }
}
