//! Message numbers (RFC 4250 section 4.1, RFC 8308, OpenSSH's PROTOCOL) and reasons of disconnects.

pub const DISCONNECT: u8 = 1;
pub const IGNORE: u8 = 2;
pub const UNIMPLEMENTED: u8 = 3;
pub const DEBUG: u8 = 4;
pub const SERVICE_REQUEST: u8 = 5;
pub const SERVICE_ACCEPT: u8 = 6;
pub const EXT_INFO: u8 = 7;
pub const KEXINIT: u8 = 20;
pub const NEWKEYS: u8 = 21;
/// The client's public value: `SSH_MSG_KEXDH_INIT`, and its likes of the other methods.
pub const KEX_INIT: u8 = 30;
/// The server's host key, public value and signature.
pub const KEX_REPLY: u8 = 31;
pub const KEX_GEX_GROUP: u8 = 31;
pub const KEX_GEX_INIT: u8 = 32;
pub const KEX_GEX_REPLY: u8 = 33;
pub const KEX_GEX_REQUEST: u8 = 34;
pub const USERAUTH_REQUEST: u8 = 50;
pub const USERAUTH_FAILURE: u8 = 51;
pub const USERAUTH_SUCCESS: u8 = 52;
pub const USERAUTH_BANNER: u8 = 53;
/// Also `SSH_MSG_USERAUTH_PASSWD_CHANGEREQ` and `SSH_MSG_USERAUTH_INFO_REQUEST`: the method tells which.
pub const USERAUTH_PK_OK: u8 = 60;
pub const USERAUTH_INFO_REQUEST: u8 = 60;
pub const USERAUTH_INFO_RESPONSE: u8 = 61;
pub const GLOBAL_REQUEST: u8 = 80;
pub const REQUEST_SUCCESS: u8 = 81;
pub const REQUEST_FAILURE: u8 = 82;
pub const CHANNEL_OPEN: u8 = 90;
pub const CHANNEL_OPEN_CONFIRMATION: u8 = 91;
pub const CHANNEL_OPEN_FAILURE: u8 = 92;
pub const CHANNEL_WINDOW_ADJUST: u8 = 93;
pub const CHANNEL_DATA: u8 = 94;
pub const CHANNEL_EXTENDED_DATA: u8 = 95;
pub const CHANNEL_EOF: u8 = 96;
pub const CHANNEL_CLOSE: u8 = 97;
pub const CHANNEL_REQUEST: u8 = 98;
pub const CHANNEL_SUCCESS: u8 = 99;
pub const CHANNEL_FAILURE: u8 = 100;
/// OpenSSH's transport-level ping, announced by `ping@openssh.com`.
pub const PING: u8 = 192;
pub const PONG: u8 = 193;

/// Why a side leaves (RFC 4253 section 11.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Disconnect {
    ProtocolError = 2,
    KeyExchangeFailed = 3,
    ServiceNotAvailable = 7,
    HostKeyNotVerifiable = 9,
    ByApplication = 11,
    NoMoreAuthMethodsAvailable = 14,
}
