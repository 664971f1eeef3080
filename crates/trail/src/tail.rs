//! Whether a file still ends as it did when it was closed, without reading all of it.

use std::io::{self, Read, Seek, SeekFrom};

use crate::block::{BlockHeader, HEADER_LEN, Kind};
use crate::signature::SIGNATURE_LEN;

/// Whether the last block of a recording is a seal with this link, in hexadecimal digits: so it is where its writer came to
/// the end. `false` tells only that it takes [`verify`](crate::verify) to know more. What stands before the seal is not
/// looked at.
///
/// # Errors
/// Where `file` fails.
pub fn ends_with_seal(mut file: impl Read + Seek, link: &str) -> io::Result<bool> {
    let length = file.seek(SeekFrom::End(0))?;
    let Some(begin) = length.checked_sub((HEADER_LEN + SIGNATURE_LEN) as u64) else { return Ok(false) };
    file.seek(SeekFrom::Start(begin))?;
    let mut header = [0; HEADER_LEN];
    file.read_exact(&mut header)?;
    let Ok((header, found)) = BlockHeader::decode(&header) else { return Ok(false) };
    let is_last = usize::try_from(header.stored).is_ok_and(|stored| stored == SIGNATURE_LEN);
    Ok(header.kind == Kind::Seal && is_last && found.to_hex() == link)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::time::Duration;

    use super::*;
    use crate::samples::{data, end, header, signed};
    use crate::{Writer, verify};

    #[test]
    fn only_a_whole_recording_ends_with_its_last_seal() {
        let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
        writer.write(Duration::from_secs(1), &data(b"shown")).unwrap();
        writer.flush().unwrap();
        let trail = writer.finish(Duration::from_secs(2), &end()).unwrap();
        let link = verify(trail.as_slice(), None, |_| ()).unwrap().extent.link();
        let ends = |bytes: &[u8], link: &str| ends_with_seal(Cursor::new(bytes), link).unwrap();
        assert!(ends(&trail, &link));
        assert!(!ends(&trail, &link.replace(char::is_numeric, "f")));
        for length in 0..trail.len() {
            assert!(!ends(&trail[..length], &link), "{length} bytes");
        }
        let header = trail.len() - HEADER_LEN - SIGNATURE_LEN;
        for at in header..header + HEADER_LEN {
            let mut changed = trail.clone();
            changed[at] ^= 1;
            assert!(!ends(&changed, &link), "byte {at}");
        }
    }
}
