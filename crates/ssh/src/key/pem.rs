//! PEM (RFC 7468), and the encryption that RFC 1421 gave it and OpenSSL still writes.

use aes::{Aes128, Aes192, Aes256};
use base64ct::{Base64, Encoding};
use cbc::cipher::{Array, BlockCipherDecrypt, BlockModeDecrypt, BlockSizeUser, KeyInit, KeyIvInit};
use des::TdesEde3;
use keyward_model::Secret;
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::KeyError;

/// One block of a text.
pub(super) struct Pem {
    /// As in `BEGIN ... PRIVATE KEY`.
    pub(super) label: String,
    pub(super) body: Zeroizing<Vec<u8>>,
    /// The value of `DEK-Info`: a cipher's name, a comma, the initial vector in hexadecimal.
    encryption: Option<String>,
}

impl Pem {
    /// The first private key of a text. Stores indent keys, end their lines with CR and put other blocks or
    /// plain text around them.
    pub(super) fn find(text: &str) -> Result<Self, KeyError> {
        let mut lines = text.lines().map(str::trim);
        let label = lines.by_ref().find_map(private_label).ok_or(KeyError::NotPem)?;
        let end = format!("-----END {label}-----");
        let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
        let mut encryption = None;
        let mut ended = false;
        for line in lines {
            if line == end {
                ended = true;
                break;
            }
            match line.split_once(':') {
                Some(("DEK-Info", value)) => encryption = Some(value.trim().to_owned()),
                Some(_) => {}
                None => base64.push_str(line),
            }
        }
        let body = Base64::decode_vec(&base64).map(Zeroizing::new).map_err(|_| KeyError::NotPem)?;
        if ended { Ok(Self { label: label.to_owned(), body, encryption }) } else { Err(KeyError::NotPem) }
    }

    /// The body, decrypted if RFC 1421's headers say that it is encrypted.
    pub(super) fn decrypted(self, passphrase: Option<&Secret>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let Some(encryption) = &self.encryption else { return Ok(self.body) };
        let passphrase = passphrase.ok_or(KeyError::NeedsPassphrase)?.expose().as_bytes();
        let (cipher, iv) = encryption.split_once(',').ok_or(KeyError::UnknownEncryption)?;
        let iv = unhex(iv).ok_or(KeyError::NotPem)?;
        match cipher {
            "AES-128-CBC" => decrypt::<Aes128>(&self.body, passphrase, &iv),
            "AES-192-CBC" => decrypt::<Aes192>(&self.body, passphrase, &iv),
            "AES-256-CBC" => decrypt::<Aes256>(&self.body, passphrase, &iv),
            "DES-EDE3-CBC" => decrypt::<TdesEde3>(&self.body, passphrase, &iv),
            _ => Err(KeyError::UnknownEncryption),
        }
    }

    /// Whether a fault in what was decrypted is the passphrase's.
    pub(super) fn is_encrypted(&self) -> bool {
        self.encryption.is_some()
    }
}

fn private_label(line: &str) -> Option<&str> {
    let label = line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
    label.ends_with("PRIVATE KEY").then_some(label)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// OpenSSL's way: CBC, padded as in PKCS#7, the salt being the start of the initial vector.
fn decrypt<C>(body: &[u8], passphrase: &[u8], iv: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError>
where
    C: BlockCipherDecrypt + BlockSizeUser + KeyInit,
{
    let salt = iv.get(..8).ok_or(KeyError::NotPem)?;
    let key = stretch(passphrase, salt, C::key_size());
    let mut cipher = cbc::Decryptor::<C>::new_from_slices(&key, iv).map_err(|_| KeyError::NotPem)?;
    if body.is_empty() || !body.len().is_multiple_of(C::block_size()) {
        return Err(KeyError::NotPem);
    }
    let mut plain = Zeroizing::new(body.to_vec());
    for block in plain.chunks_exact_mut(C::block_size()) {
        cipher.decrypt_block(<&mut Array<u8, C::BlockSize>>::try_from(block).map_err(|_| KeyError::NotPem)?);
    }
    let padding = plain.last().copied().unwrap_or_default();
    let length = plain.len().checked_sub(usize::from(padding)).ok_or(KeyError::WrongPassphrase)?;
    let padded = plain.get(length..).is_some_and(|end| end.iter().all(|&byte| byte == padding));
    if padding == 0 || usize::from(padding) > C::block_size() || !padded {
        return Err(KeyError::WrongPassphrase);
    }
    plain.truncate(length);
    Ok(plain)
}

/// OpenSSL's `EVP_BytesToKey` with MD5 and one round: each digest is over the one before it, the passphrase
/// and the salt.
fn stretch(passphrase: &[u8], salt: &[u8], size: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(size + 16));
    let mut last = Zeroizing::new(Vec::new());
    while key.len() < size {
        let digest = Md5::new().chain_update(&*last).chain_update(passphrase).chain_update(salt).finalize();
        last = Zeroizing::new(digest.to_vec());
        key.extend_from_slice(&last);
    }
    key.truncate(size);
    key
}
