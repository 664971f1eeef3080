//! The key that a node signs its recordings with.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64ct::{Base64, Encoding};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::block::LINKED;
use crate::chain::Link;

pub(crate) const SIGNATURE_LEN: usize = 64;
const CONTEXT: &[u8] = b"keyward trail 2 seal";

/// A node's private Ed25519 key.
pub struct SigningKey(Ed25519KeyPair);

/// The public half: who has it can tell the node's recordings from others. Its text is base64.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VerifyingKey(pub(crate) [u8; VerifyingKey::LEN]);

/// A text is no public key of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this is no signer's key: write the 44 characters that `keyward trail signer` prints")]
pub struct BadVerifyingKey;

impl SigningKey {
    /// A key that nobody else has, and that is gone with the process.
    pub fn generate() -> io::Result<Self> {
        Ed25519KeyPair::generate().map(Self).map_err(|_| io::Error::other("no key can be made"))
    }

    #[cfg(test)]
    pub(crate) fn of_seed(seed: [u8; 32]) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&seed).unwrap())
    }

    /// The key in this file (PKCS#8 in PEM).
    ///
    /// # Errors
    /// Also where others than its owner have any right to the file: they could sign as well.
    pub fn read(path: &Path) -> io::Result<Self> {
        const MOST: u64 = 4096;
        let file = File::open(path)?;
        let mode = file.metadata()?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let open = format!(
                "others than its owner may use it (mode {mode:03o}): `chmod 600` mends that; whoever has read it before can \
                 sign as this node"
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, open));
        }
        let mut pem = Zeroizing::new(Vec::with_capacity(MOST as usize));
        file.take(MOST).read_to_end(&mut pem)?;
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "it is no Ed25519 key in PEM (PKCS#8)");
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|_| wrong())?;
        // What is parsed from PEM does not wipe itself.
        let der = Zeroizing::new(der);
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        key.map(Self).map_err(|_| wrong())
    }

    /// Makes a key in this file, for its owner only (mode 0600). It appears as a whole: a crash leaves no part of one.
    ///
    /// # Errors
    /// Also where the file exists: no key is ever written over.
    pub fn make(path: &Path) -> io::Result<Self> {
        let key = Self::generate()?;
        let der = key.0.to_pkcs8v1().map_err(|_| io::Error::other("the key cannot be written"))?;
        let base64 = Zeroizing::new(Base64::encode_string(der.as_ref()));
        let new = path.with_extension("new");
        // A crash left it, or somebody put it there to have the key written where it leads.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // `create_new` (O_EXCL) follows no link, not even a dangling one (POSIX, open).
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(b"-----BEGIN PRIVATE KEY-----\n")?;
        for line in base64.as_bytes().chunks(64) {
            file.write_all(line)?;
            file.write_all(b"\n")?;
        }
        file.write_all(b"-----END PRIVATE KEY-----\n")?;
        file.sync_all()?;
        // Unlike a rename, a link takes nobody's place.
        let published = fs::hard_link(&new, path);
        fs::remove_file(&new)?;
        published?;
        // A key that a power cut takes back would leave recordings of a signer whom nobody knows.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(key)
    }

    pub fn verifying_key(&self) -> VerifyingKey {
        let mut key = [0; VerifyingKey::LEN];
        key.copy_from_slice(self.0.public_key().as_ref());
        VerifyingKey(key)
    }

    /// Signs everything up to `before`, and the linked part of the seal's own header.
    pub(crate) fn seal(&self, before: &Link, head: &[u8; LINKED]) -> Vec<u8> {
        self.0.sign(&message(before, head)).as_ref().to_vec()
    }
}

impl VerifyingKey {
    pub(crate) const LEN: usize = 32;

    /// Whether this seal is one that the key's owner has made.
    pub(crate) fn has_sealed(&self, before: &Link, head: &[u8; LINKED], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(&message(before, head), signature).is_ok()
    }
}

fn message(before: &Link, head: &[u8; LINKED]) -> Vec<u8> {
    [CONTEXT, &before.0, head].concat()
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base64::encode_string(&self.0))
    }
}

impl FromStr for VerifyingKey {
    type Err = BadVerifyingKey;

    fn from_str(text: &str) -> Result<Self, BadVerifyingKey> {
        let mut key = [0; Self::LEN];
        match Base64::decode(text.trim(), &mut key) {
            Ok(bytes) if bytes.len() == Self::LEN => Ok(Self(key)),
            Ok(_) | Err(_) => Err(BadVerifyingKey),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.verifying_key().to_string()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_for_its_owner_only_and_never_in_the_place_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing.key");
        let missing = SigningKey::read(&path).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let made = SigningKey::make(&path).unwrap().verifying_key();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = SigningKey::make(&path).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(SigningKey::read(&path).unwrap().verifying_key(), made);
        assert_eq!(made.to_string().parse(), Ok(made));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_is_not_written_where_a_link_leads_nor_into_a_file_that_others_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("signing.key"), folder.path().join("signing.new"));
        let elsewhere = folder.path().join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, &new).unwrap();
        SigningKey::make(&path).unwrap();
        assert!(!elsewhere.exists());
        fs::remove_file(&path).unwrap();
        fs::write(&new, "a part of a key").unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o644)).unwrap();
        SigningKey::make(&path).unwrap();
        SigningKey::read(&path).unwrap();
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing.key");
        SigningKey::make(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = SigningKey::read(&path).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
            assert!(refused.to_string().contains("chmod 600"));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        SigningKey::read(&path).unwrap();
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing.key");
        fs::write(&path, "something").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(SigningKey::read(&path).is_err() && SigningKey::make(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"something");
        assert_eq!("c29tZXRoaW5n".parse::<VerifyingKey>(), Err(BadVerifyingKey));
    }

    #[test]
    fn a_seal_is_of_one_key_one_chain_and_one_block() {
        let (key, other) = (SigningKey::of_seed([1; 32]), SigningKey::of_seed([2; 32]));
        let seal = key.seal(&Link([3; 32]), &[4; LINKED]);
        assert_eq!(seal.len(), SIGNATURE_LEN);
        let by = key.verifying_key();
        assert!(by.has_sealed(&Link([3; 32]), &[4; LINKED], &seal));
        assert!(!by.has_sealed(&Link([0; 32]), &[4; LINKED], &seal));
        assert!(!by.has_sealed(&Link([3; 32]), &[0; LINKED], &seal));
        assert!(!by.has_sealed(&Link([3; 32]), &[4; LINKED], &[0; SIGNATURE_LEN]));
        assert!(!other.verifying_key().has_sealed(&Link([3; 32]), &[4; LINKED], &seal));
    }
}
