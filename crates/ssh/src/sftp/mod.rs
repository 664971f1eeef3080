//! SFTP version 3 (draft-ietf-secsh-filexfer-02) with OpenSSH's extensions (its PROTOCOL, section 4), as someone needs it
//! who stands between the two sides: requests and answers are read where they lie, and need not be whole.
//!
//! [`Cutter`] finds the packets in a stream of pieces, [`Request`] and [`Answer`] are what their heads say,
//! [`refuse_request`] and [`refusal`] overwrite a packet with another one of the same length.

mod answer;
mod cutter;
mod fault;
mod overwrite;
mod packet;
mod request;
mod straighten;
mod sum;

pub use answer::{Answer, answer_head};
pub use cutter::{Cutter, Heads, Passed};
pub use fault::Fault;
pub use overwrite::{fill, real_path_of_start, refusal, refuse_request, set_version};
pub use packet::{Packet, VERSION};
pub use request::{Changes, Request, request_head};
pub use straighten::{has_detour, straighten};
pub use sum::{Sum, Summed};

/// What a `SSH_FXP_STATUS` says (draft section 7).
pub mod status {
    pub const OK: u32 = 0;
    pub const EOF: u32 = 1;
    pub const NO_SUCH_FILE: u32 = 2;
    pub const PERMISSION_DENIED: u32 = 3;
    pub const FAILURE: u32 = 4;
    pub const OP_UNSUPPORTED: u32 = 8;

    /// In words, for a record.
    pub fn words(code: u32) -> &'static str {
        match code {
            OK => "done",
            EOF => "end of file",
            NO_SUCH_FILE => "no such file",
            PERMISSION_DENIED => "permission denied",
            FAILURE => "failed",
            5 => "bad message",
            OP_UNSUPPORTED => "not supported",
            _ => "failed for a reason of the target's own",
        }
    }
}

/// Bits of `SSH_FXP_OPEN` (draft section 6.3).
pub mod open {
    pub const READ: u32 = 1;
    pub const WRITE: u32 = 2;
    pub const APPEND: u32 = 4;
    pub const CREATE: u32 = 8;
    pub const TRUNCATE: u32 = 16;
}
