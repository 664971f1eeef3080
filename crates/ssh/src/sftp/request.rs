//! What a client asks for (draft section 6, OpenSSH's PROTOCOL sections 4.2 to 4.10).

use super::Fault;
use super::packet::{LONGEST_HANDLE, Packet, kind};
use crate::wire::{Malformed, Reader};

/// A request behind its number. Paths are as the client wrote them, without zero bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Request<'a> {
    Open {
        path: &'a [u8],
        /// Bits of [`open`](super::open).
        flags: u32,
    },
    Close {
        handle: &'a [u8],
    },
    Read {
        handle: &'a [u8],
        offset: u64,
    },
    /// So many bytes of data follow the head.
    Write {
        handle: &'a [u8],
        offset: u64,
        length: u32,
    },
    /// Attributes of a path, the place of a link, the space on a disk.
    Look {
        path: &'a [u8],
    },
    RealPath {
        path: &'a [u8],
    },
    /// What changes nothing, of an open file or folder.
    LookAt {
        handle: &'a [u8],
    },
    SetAttributes {
        path: &'a [u8],
        changes: Changes,
    },
    SetAttributesOf {
        handle: &'a [u8],
        changes: Changes,
    },
    OpenDirectory {
        path: &'a [u8],
    },
    Remove {
        path: &'a [u8],
    },
    RemoveDirectory {
        path: &'a [u8],
    },
    MakeDirectory {
        path: &'a [u8],
    },
    Rename {
        from: &'a [u8],
        to: &'a [u8],
    },
    /// In the order of the packet: servers read the draft's two names in either one.
    Symlink {
        first: &'a [u8],
        second: &'a [u8],
    },
    HardLink {
        from: &'a [u8],
        to: &'a [u8],
    },
    /// From one open file into another.
    Copy {
        from: &'a [u8],
        to: &'a [u8],
    },
    /// About the server or its users, and no file.
    About,
    /// Nobody knows what it does.
    Unknown,
}

/// What of a file's attributes is to be set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Changes {
    /// The file is cut, or made longer, to so many bytes.
    pub size: Option<u64>,
    /// Permissions, owner, times or what nobody knows.
    pub others: bool,
}

/// How many bytes [`Request::parse`] needs of a client's packet: all of it, but not the data of a file.
pub fn request_head(so_far: &[u8]) -> Result<usize, Fault> {
    let Some(packet) = Packet::begin(so_far)? else { return Ok(5) };
    if packet.kind != kind::WRITE {
        return packet.all();
    }
    // The number and the handle's length; then the handle, the offset and the data's length.
    let Some((_, rest)) = packet.numbered()? else { return Ok(9) };
    let Some(length) = rest.first_chunk() else { return Ok(13.min(packet.whole)) };
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Fault::TooLong)?;
    if length > LONGEST_HANDLE {
        return Err(Fault::TooLong);
    }
    let head = 13 + length + 8 + 4;
    if head <= packet.whole { Ok(head) } else { Err(Malformed::Truncated.into()) }
}

impl<'a> Request<'a> {
    /// Reads what follows the number.
    pub fn parse(kind: u8, rest: &'a [u8]) -> Result<Self, Fault> {
        let mut fields = Fields(Reader::new(rest));
        Ok(match kind {
            kind::OPEN => Self::Open { path: fields.path()?, flags: fields.0.u32()? },
            kind::CLOSE => Self::Close { handle: fields.handle()? },
            kind::READ => Self::Read { handle: fields.handle()?, offset: fields.0.u64()? },
            kind::WRITE => {
                Self::Write { handle: fields.handle()?, offset: fields.0.u64()?, length: fields.0.u32()? }
            }
            kind::LSTAT | kind::STAT | kind::READLINK => Self::Look { path: fields.path()? },
            kind::REALPATH => Self::RealPath { path: fields.path()? },
            kind::FSTAT | kind::READDIR => Self::LookAt { handle: fields.handle()? },
            kind::SETSTAT => Self::SetAttributes { path: fields.path()?, changes: fields.changes()? },
            kind::FSETSTAT => Self::SetAttributesOf { handle: fields.handle()?, changes: fields.changes()? },
            kind::OPENDIR => Self::OpenDirectory { path: fields.path()? },
            kind::REMOVE => Self::Remove { path: fields.path()? },
            kind::MKDIR => Self::MakeDirectory { path: fields.path()? },
            kind::RMDIR => Self::RemoveDirectory { path: fields.path()? },
            kind::RENAME => Self::Rename { from: fields.path()?, to: fields.path()? },
            kind::SYMLINK => Self::Symlink { first: fields.path()?, second: fields.path()? },
            kind::EXTENDED => Self::extended(fields)?,
            _ => Self::Unknown,
        })
    }

    fn extended(mut fields: Fields<'a>) -> Result<Self, Fault> {
        Ok(match fields.0.string()? {
            b"posix-rename@openssh.com" => Self::Rename { from: fields.path()?, to: fields.path()? },
            b"hardlink@openssh.com" => Self::HardLink { from: fields.path()?, to: fields.path()? },
            b"statvfs@openssh.com" => Self::Look { path: fields.path()? },
            b"fstatvfs@openssh.com" | b"fsync@openssh.com" => Self::LookAt { handle: fields.handle()? },
            b"lsetstat@openssh.com" => {
                Self::SetAttributes { path: fields.path()?, changes: fields.changes()? }
            }
            b"expand-path@openssh.com" => Self::RealPath { path: fields.path()? },
            b"copy-data" => {
                let from = fields.handle()?;
                // Where to read, how much.
                fields.0.take(16)?;
                Self::Copy { from, to: fields.handle()? }
            }
            b"limits@openssh.com" | b"home-directory" | b"users-groups-by-id@openssh.com" => Self::About,
            _ => Self::Unknown,
        })
    }
}

struct Fields<'a>(Reader<'a>);

impl<'a> Fields<'a> {
    /// A server in C may read no further than to a zero byte, so there must be none.
    fn path(&mut self) -> Result<&'a [u8], Fault> {
        let path = self.0.string()?;
        if path.contains(&0) { Err(Fault::ZeroByte) } else { Ok(path) }
    }

    fn handle(&mut self) -> Result<&'a [u8], Fault> {
        let handle = self.0.string()?;
        if handle.len() > LONGEST_HANDLE { Err(Fault::TooLong) } else { Ok(handle) }
    }

    /// Attributes are some bits, then the fields that these announce, the size first (draft section 5).
    fn changes(&mut self) -> Result<Changes, Fault> {
        const SIZE: u32 = 1;
        let bits = self.0.u32()?;
        let size = if bits & SIZE == 0 { None } else { Some(self.0.u64()?) };
        Ok(Changes { size, others: bits & !SIZE != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Write;

    fn packet(kind: u8, fields: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut rest = vec![kind, 0, 0, 0, 7];
        fields(&mut rest);
        let mut packet = Vec::new();
        packet.put_string(&rest);
        packet
    }

    fn parsed(packet: &[u8]) -> Result<Request<'_>, Fault> {
        let head = &packet[..request_head(packet)?];
        let packet = Packet::begin(head)?.unwrap();
        Request::parse(packet.kind, packet.numbered()?.unwrap().1)
    }

    fn extended(name: &[u8], strings: &[&[u8]]) -> Vec<u8> {
        packet(kind::EXTENDED, |out| {
            out.put_string(name);
            strings.iter().for_each(|string| out.put_string(string));
        })
    }

    #[test]
    fn the_head_of_a_write_ends_where_its_data_begins() {
        let write = packet(kind::WRITE, |out| {
            out.put_string(b"h1");
            out.put_bytes(&5_u64.to_be_bytes());
            out.put_string(b"some data");
        });
        assert_eq!(request_head(&write).unwrap(), write.len() - b"some data".len());
        assert_eq!(parsed(&write), Ok(Request::Write { handle: b"h1", offset: 5, length: 9 }));
        for cut in 0..request_head(&write).unwrap() {
            assert!(request_head(&write[..cut]).unwrap() > cut, "{cut}");
        }
    }

    #[test]
    fn requests_have_the_fields_of_the_draft() {
        let open = packet(kind::OPEN, |out| {
            out.put_string(b"/x");
            out.put_number(1);
            out.put_number(0);
        });
        assert_eq!(parsed(&open), Ok(Request::Open { path: b"/x", flags: 1 }));
        let rename = extended(b"posix-rename@openssh.com", &[b"a", b"b"]);
        assert_eq!(parsed(&rename), Ok(Request::Rename { from: b"a", to: b"b" }));
        let link = extended(b"hardlink@openssh.com", &[b"a", b"b"]);
        assert_eq!(parsed(&link), Ok(Request::HardLink { from: b"a", to: b"b" }));
        let cut = packet(kind::SETSTAT, |out| {
            out.put_string(b"/x");
            out.put_number(1);
            out.put_bytes(&0_u64.to_be_bytes());
        });
        let changes = Changes { size: Some(0), others: false };
        assert_eq!(parsed(&cut), Ok(Request::SetAttributes { path: b"/x", changes }));
    }

    #[test]
    fn attributes_of_an_open_file_say_whether_it_is_resized_and_whether_more_changes() {
        let of = |bits: u32, fields: &[u8]| {
            packet(kind::FSETSTAT, |out| {
                out.put_string(b"h");
                out.put_number(bits);
                out.put_bytes(fields);
            })
        };
        let size = 4_u64.to_be_bytes();
        for (packet, size, others) in [
            (of(1, &size), Some(4), false),
            (of(1 | 4, &[&size[..], &[0; 4]].concat()), Some(4), true),
            (of(4, &[0; 4]), None, true),
            (of(8, &[0; 8]), None, true),
            (of(0x8000_0000, &[0; 4]), None, true),
            (of(0, &[]), None, false),
        ] {
            let changes = Changes { size, others };
            assert_eq!(parsed(&packet), Ok(Request::SetAttributesOf { handle: b"h", changes }));
        }
        assert!(parsed(&of(1, &[0; 7])).is_err());
    }

    #[test]
    fn what_nobody_knows_is_unknown() {
        assert_eq!(parsed(&extended(b"version-select", &[b"6"])), Ok(Request::Unknown));
        assert_eq!(parsed(&packet(22, |_| ())), Ok(Request::Unknown));
    }

    #[test]
    fn a_request_that_is_cut_is_refused() {
        let whole = extended(b"hardlink@openssh.com", &[b"/some", b"/other"]);
        for end in 9..whole.len() {
            let mut cut = whole[..end].to_vec();
            cut[..4].copy_from_slice(&u32::try_from(end - 4).unwrap().to_be_bytes());
            // Whose name is cut is another one.
            assert!(matches!(parsed(&cut), Err(_) | Ok(Request::Unknown)), "{end}");
        }
    }

    #[test]
    fn long_requests_handles_and_paths_with_zero_bytes_are_refused() {
        let long = packet(kind::OPENDIR, |out| out.put_string(&[b'x'; 40_000]));
        assert_eq!(request_head(&long), Err(Fault::TooLong));
        let handle = packet(kind::CLOSE, |out| out.put_string(&[b'x'; 257]));
        assert_eq!(parsed(&handle), Err(Fault::TooLong));
        let write = packet(kind::WRITE, |out| out.put_string(&[b'x'; 257]));
        assert_eq!(request_head(&write), Err(Fault::TooLong));
        let lying = packet(kind::WRITE, |out| out.put_number(4));
        assert_eq!(request_head(&lying), Err(Fault::Malformed(Malformed::Truncated)));
        let zero = packet(kind::REMOVE, |out| out.put_string(b"/allowed\0/../etc"));
        assert_eq!(parsed(&zero), Err(Fault::ZeroByte));
    }
}
