//! The body of a file event, behind its channel.

use std::borrow::Cow;

use crate::error::Damage;
use crate::file_event::{FileDigest, FileEvent, FileOutcome};
use crate::wire::{Cursor, put_bytes, put_text, put_varint};

/// Bits of the byte that says what follows.
const HAS_OTHER: u8 = 1;
const HAS_SIZE: u8 = 2;
const HAS_DIGEST: u8 = 4;
const HAS_NO_DIGEST_BECAUSE: u8 = 8;
/// The byte of the outcome.
const DONE: u8 = 0;
const REFUSED: u8 = 1;
const FAILED: u8 = 2;
const UNFINISHED: u8 = 3;

pub(crate) fn put_file(out: &mut Vec<u8>, file: &FileEvent<'_>) {
    put_text(out, &file.operation);
    put_bytes(out, &file.path);
    put_varint(out, file.flags.into());
    match &file.outcome {
        FileOutcome::Done => out.push(DONE),
        FileOutcome::Refused => out.push(REFUSED),
        FileOutcome::Failed(why) => {
            out.push(FAILED);
            put_text(out, why);
        }
        FileOutcome::Unfinished => out.push(UNFINISHED),
    }
    let bit = |is_there, bit| if is_there { bit } else { 0 };
    let (digest, without) = match &file.digest {
        None => (None, None),
        Some(FileDigest::Sha256(digest)) => (Some(digest), None),
        Some(FileDigest::Without(why)) => (None, Some(why)),
    };
    out.push(
        bit(file.other.is_some(), HAS_OTHER)
            | bit(file.size.is_some(), HAS_SIZE)
            | bit(digest.is_some(), HAS_DIGEST)
            | bit(without.is_some(), HAS_NO_DIGEST_BECAUSE),
    );
    if let Some(other) = &file.other {
        put_bytes(out, other);
    }
    if let Some(size) = file.size {
        put_varint(out, size);
    }
    if let Some(digest) = digest {
        out.extend_from_slice(digest);
    }
    if let Some(why) = without {
        put_text(out, why);
    }
}

pub(crate) fn take_file(body: &mut Cursor<'_>) -> Result<FileEvent<'static>, Damage> {
    let (operation, path, flags) = (text(body)?, bytes(body)?, body.varint_u32()?);
    let outcome = match body.byte()? {
        DONE => FileOutcome::Done,
        REFUSED => FileOutcome::Refused,
        FAILED => FileOutcome::Failed(text(body)?),
        UNFINISHED => FileOutcome::Unfinished,
        _ => return Err(Damage::Value("outcome of a file's operation")),
    };
    let present = body.byte()?;
    let has = |bit| present & bit != 0;
    let other = if has(HAS_OTHER) { Some(bytes(body)?) } else { None };
    let size = if has(HAS_SIZE) { Some(body.varint()?) } else { None };
    let digest = if has(HAS_DIGEST) {
        Some(FileDigest::Sha256(body.array()?))
    } else if has(HAS_NO_DIGEST_BECAUSE) {
        Some(FileDigest::Without(text(body)?))
    } else {
        None
    };
    Ok(FileEvent { operation, path, other, flags, size, outcome, digest })
}

fn text(body: &mut Cursor<'_>) -> Result<Cow<'static, str>, Damage> {
    Ok(body.text()?.to_owned().into())
}

fn bytes(body: &mut Cursor<'_>) -> Result<Cow<'static, [u8]>, Damage> {
    Ok(body.prefixed()?.to_vec().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_file_event_do_not_change() {
        let file = FileEvent {
            operation: "rename".into(),
            path: b"/a".as_slice().into(),
            other: Some(b"/b".as_slice().into()),
            flags: 0,
            size: Some(300),
            outcome: FileOutcome::Failed("no".into()),
            digest: Some(FileDigest::Sha256([5; 32])),
        };
        let mut written = Vec::new();
        put_file(&mut written, &file);
        let expected = [b"\x06rename\x02/a\0\x02\x02no\x07\x02/b\xac\x02".as_slice(), &[5; 32]].concat();
        assert_eq!(written, expected);
        assert_eq!(take_file(&mut Cursor::new(&expected)).unwrap(), file);
        for cut in 0..expected.len() {
            assert!(take_file(&mut Cursor::new(&expected[..cut])).is_err(), "{cut}");
        }
    }
}
