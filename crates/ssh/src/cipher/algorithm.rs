//! The ciphers and MACs by their names on the wire, and the lengths of what they are keyed with.

/// A cipher of one direction of a connection (RFC 4253 section 6.3, RFC 4344, OpenSSH PROTOCOL).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
    Aes128Ctr,
    Aes192Ctr,
    Aes256Ctr,
    Aes128Cbc,
    Aes192Cbc,
    Aes256Cbc,
    TripleDesCbc,
}

impl Cipher {
    /// Every cipher, the best first.
    pub const ALL: [Self; 10] = [
        Self::Aes128Gcm,
        Self::Aes256Gcm,
        Self::ChaCha20Poly1305,
        Self::Aes128Ctr,
        Self::Aes192Ctr,
        Self::Aes256Ctr,
        Self::Aes128Cbc,
        Self::Aes192Cbc,
        Self::Aes256Cbc,
        Self::TripleDesCbc,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "aes128-gcm@openssh.com",
            Self::Aes256Gcm => "aes256-gcm@openssh.com",
            Self::ChaCha20Poly1305 => "chacha20-poly1305@openssh.com",
            Self::Aes128Ctr => "aes128-ctr",
            Self::Aes192Ctr => "aes192-ctr",
            Self::Aes256Ctr => "aes256-ctr",
            Self::Aes128Cbc => "aes128-cbc",
            Self::Aes192Cbc => "aes192-cbc",
            Self::Aes256Cbc => "aes256-cbc",
            Self::TripleDesCbc => "3des-cbc",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cipher| cipher.name() == name)
    }

    /// Bytes of key.
    pub fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes128Ctr | Self::Aes128Cbc => 16,
            Self::Aes192Ctr | Self::Aes192Cbc | Self::TripleDesCbc => 24,
            Self::Aes256Gcm | Self::Aes256Ctr | Self::Aes256Cbc => 32,
            // One key for the text and one for the lengths.
            Self::ChaCha20Poly1305 => 64,
        }
    }

    /// Bytes of initial vector; zero where the sequence number is all of the nonce.
    pub fn iv_len(self) -> usize {
        match self {
            Self::ChaCha20Poly1305 => 0,
            Self::TripleDesCbc => 8,
            Self::Aes128Gcm | Self::Aes256Gcm => 12,
            Self::Aes128Ctr | Self::Aes192Ctr | Self::Aes256Ctr => 16,
            Self::Aes128Cbc | Self::Aes192Cbc | Self::Aes256Cbc => 16,
        }
    }

    /// Authenticates by itself: needs no MAC.
    pub fn is_aead(self) -> bool {
        matches!(self, Self::Aes128Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305)
    }

    /// Each packet's text depends on the packet before it, which an observer may have guessed.
    pub(super) fn is_cbc(self) -> bool {
        matches!(self, Self::Aes128Cbc | Self::Aes192Cbc | Self::Aes256Cbc | Self::TripleDesCbc)
    }

    /// Bytes that padding fills a packet to a multiple of.
    pub fn block_len(self) -> usize {
        match self {
            Self::ChaCha20Poly1305 | Self::TripleDesCbc => 8,
            Self::Aes128Gcm | Self::Aes256Gcm => 16,
            Self::Aes128Ctr | Self::Aes192Ctr | Self::Aes256Ctr => 16,
            Self::Aes128Cbc | Self::Aes192Cbc | Self::Aes256Cbc => 16,
        }
    }
}

/// A MAC of one direction of a connection (RFC 4253 section 6.4, RFC 6668, OpenSSH PROTOCOL).
///
/// Those with `Etm` in their name cover what was encrypted, the others the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mac {
    HmacSha256Etm,
    HmacSha512Etm,
    HmacSha256,
    HmacSha512,
    HmacSha1Etm,
    HmacSha1,
}

impl Mac {
    /// Every MAC, the best first.
    pub const ALL: [Self; 6] = [
        Self::HmacSha256Etm,
        Self::HmacSha512Etm,
        Self::HmacSha256,
        Self::HmacSha512,
        Self::HmacSha1Etm,
        Self::HmacSha1,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::HmacSha256Etm => "hmac-sha2-256-etm@openssh.com",
            Self::HmacSha512Etm => "hmac-sha2-512-etm@openssh.com",
            Self::HmacSha256 => "hmac-sha2-256",
            Self::HmacSha512 => "hmac-sha2-512",
            Self::HmacSha1Etm => "hmac-sha1-etm@openssh.com",
            Self::HmacSha1 => "hmac-sha1",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mac| mac.name() == name)
    }

    /// Bytes of key, and of the MAC itself.
    pub fn key_len(self) -> usize {
        match self {
            Self::HmacSha1Etm | Self::HmacSha1 => 20,
            Self::HmacSha256Etm | Self::HmacSha256 => 32,
            Self::HmacSha512Etm | Self::HmacSha512 => 64,
        }
    }

    /// Covers what was encrypted: the packet's length stays readable and need not be decrypted first.
    pub fn is_etm(self) -> bool {
        matches!(self, Self::HmacSha256Etm | Self::HmacSha512Etm | Self::HmacSha1Etm)
    }
}
