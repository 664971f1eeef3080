//! Packets: a length, a type, and for all but the first two a request's number (draft section 3).

use super::Fault;
use crate::wire::Malformed;

/// The types of packets (draft section 3).
pub(super) mod kind {
    pub(in crate::sftp) const INIT: u8 = 1;
    pub(in crate::sftp) const VERSION: u8 = 2;
    pub(in crate::sftp) const OPEN: u8 = 3;
    pub(in crate::sftp) const CLOSE: u8 = 4;
    pub(in crate::sftp) const READ: u8 = 5;
    pub(in crate::sftp) const WRITE: u8 = 6;
    pub(in crate::sftp) const LSTAT: u8 = 7;
    pub(in crate::sftp) const FSTAT: u8 = 8;
    pub(in crate::sftp) const SETSTAT: u8 = 9;
    pub(in crate::sftp) const FSETSTAT: u8 = 10;
    pub(in crate::sftp) const OPENDIR: u8 = 11;
    pub(in crate::sftp) const READDIR: u8 = 12;
    pub(in crate::sftp) const REMOVE: u8 = 13;
    pub(in crate::sftp) const MKDIR: u8 = 14;
    pub(in crate::sftp) const RMDIR: u8 = 15;
    pub(in crate::sftp) const REALPATH: u8 = 16;
    pub(in crate::sftp) const STAT: u8 = 17;
    pub(in crate::sftp) const RENAME: u8 = 18;
    pub(in crate::sftp) const READLINK: u8 = 19;
    pub(in crate::sftp) const SYMLINK: u8 = 20;
    pub(in crate::sftp) const STATUS: u8 = 101;
    pub(in crate::sftp) const HANDLE: u8 = 102;
    pub(in crate::sftp) const DATA: u8 = 103;
    pub(in crate::sftp) const NAME: u8 = 104;
    pub(in crate::sftp) const EXTENDED: u8 = 200;
}

/// The version that is spoken.
pub const VERSION: u32 = 3;
/// A packet's bytes behind its length; OpenSSH takes no more either.
pub(super) const LONGEST: usize = 256 * 1024;
/// What is held of a packet until it is whole: everything but the data of files. Draft section 3 asks servers for
/// 34,000 bytes.
pub(super) const LONGEST_HELD: usize = 34_000;
/// A handle's bytes (draft section 6.3).
pub(super) const LONGEST_HANDLE: usize = 256;
/// Length, type, number.
pub(super) const NUMBERED: usize = 9;

/// The beginning of a packet, with as much of it as is there.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    pub kind: u8,
    /// What follows the type.
    pub rest: &'a [u8],
    /// Bytes of the packet, its length field included.
    pub whole: usize,
}

impl<'a> Packet<'a> {
    /// `None`: the type has not come yet.
    pub fn begin(so_far: &'a [u8]) -> Result<Option<Self>, Fault> {
        let Some((length, rest)) = so_far.split_first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Fault::TooLong)?;
        match length {
            0 => return Err(Malformed::Truncated.into()),
            1..=LONGEST => {}
            _ => return Err(Fault::TooLong),
        }
        let Some((&kind, rest)) = rest.split_first() else { return Ok(None) };
        Ok(Some(Self { kind, rest, whole: 4 + length }))
    }

    /// The request's number, and what follows it. `None`: it has not come yet.
    pub fn numbered(&self) -> Result<Option<(u32, &'a [u8])>, Fault> {
        if self.whole < NUMBERED {
            return Err(Malformed::Truncated.into());
        }
        Ok(self.rest.split_first_chunk().map(|(number, rest)| (u32::from_be_bytes(*number), rest)))
    }

    /// Wants all of the packet, which must not be long.
    pub(super) fn all(&self) -> Result<usize, Fault> {
        if self.whole <= 4 + LONGEST_HELD { Ok(self.whole) } else { Err(Fault::TooLong) }
    }
}
