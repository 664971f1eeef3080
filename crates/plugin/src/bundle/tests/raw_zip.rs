//! Archives byte by byte, so that they can be as wrong as a test wants (APPNOTE 4.3).

/// One entry, stored.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) name: Vec<u8>,
    pub(super) content: Vec<u8>,
    pub(super) flags: u16,
    pub(super) method: u16,
    /// File type and permissions of Unix.
    pub(super) mode: u32,
    /// The length before packing, where it is not that of `content`.
    pub(super) declared: Option<u32>,
    pub(super) crc: Option<u32>,
    /// The name in the local header, where it is another.
    pub(super) local_name: Option<Vec<u8>>,
}

impl Part {
    pub(super) fn file(name: &str, content: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.into(),
            content: content.as_ref().to_vec(),
            flags: 0,
            method: 0,
            mode: 0o100_644,
            declared: None,
            crc: None,
            local_name: None,
        }
    }

    pub(super) fn folder(name: &str) -> Self {
        Self { mode: 0o040_755, ..Self::file(name, "") }
    }

    fn fields(&self) -> Vec<u8> {
        let packed = self.content.len() as u32;
        let mut fields = Vec::new();
        for word in [self.flags, self.method, 0, 0x21] {
            fields.extend(word.to_le_bytes());
        }
        for long in
            [self.crc.unwrap_or_else(|| crc32(&self.content)), packed, self.declared.unwrap_or(packed)]
        {
            fields.extend(long.to_le_bytes());
        }
        fields
    }
}

pub(super) fn zip(parts: impl IntoIterator<Item = Part>) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    let mut count = 0_u16;
    for part in parts {
        let offset = archive.len() as u32;
        let local_name = part.local_name.as_ref().unwrap_or(&part.name);
        archive.extend(b"PK\x03\x04\x14\0");
        archive.extend(part.fields());
        archive.extend((local_name.len() as u16).to_le_bytes());
        archive.extend([0, 0]);
        archive.extend(local_name);
        archive.extend(&part.content);

        directory.extend(b"PK\x01\x02\x14\x03\x14\0");
        directory.extend(part.fields());
        directory.extend((part.name.len() as u16).to_le_bytes());
        directory.extend([0; 8]);
        directory.extend((part.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(&part.name);
        count += 1;
    }
    let start = archive.len() as u32;
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}
