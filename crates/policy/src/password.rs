//! Password hashes: argon2id (RFC 9106) in the PHC string format.

use std::fmt;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use keyward_model::Secret;

/// The hash of a password. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct PasswordHash(phc::PasswordHash);

/// A text that is no usable hash. The text itself is not repeated: it may be a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PasswordHashError {
    #[error("this is no argon2id hash")]
    NotArgon2id,
    #[error("this argon2id hash has no salt or no output, or they are too short")]
    Incomplete,
    #[error(
        "this argon2id hash costs more or less than is allowed: m is {} to {}, t 1 to {}, p 1 to {}",
        PasswordHash::MEMORY_KIB.start(), PasswordHash::MEMORY_KIB.end(), PasswordHash::MAX_PASSES, PasswordHash::MAX_LANES
    )]
    Cost,
}

impl PasswordHash {
    /// Less is no protection; more would let one login take the gateway's memory.
    const MEMORY_KIB: std::ops::RangeInclusive<u32> = 8 * 1024..=256 * 1024;
    const MAX_PASSES: u32 = 16;
    const MAX_LANES: u32 = 8;
    const MIN_OUTPUT_BYTES: usize = 16;

    /// Reads `$argon2id$v=19$m=...,t=...,p=...$salt$output`.
    pub fn parse(text: &str) -> Result<Self, PasswordHashError> {
        let hash = phc::PasswordHash::new(text).map_err(|_| PasswordHashError::NotArgon2id)?;
        let version = u32::from(Version::V0x13);
        if hash.algorithm != Algorithm::Argon2id.ident() || hash.version != Some(version) {
            return Err(PasswordHashError::NotArgon2id);
        }
        let output = hash.hash.as_ref().map_or(0, phc::Output::len);
        if hash.salt.is_none() || output < Self::MIN_OUTPUT_BYTES {
            return Err(PasswordHashError::Incomplete);
        }
        let params = Params::try_from(&hash).map_err(|_| PasswordHashError::Cost)?;
        let affordable = Self::MEMORY_KIB.contains(&params.m_cost())
            && params.t_cost() <= Self::MAX_PASSES
            && params.p_cost() <= Self::MAX_LANES;
        if affordable { Ok(Self(hash)) } else { Err(PasswordHashError::Cost) }
    }

    /// Slow on purpose, see [`crate::LocalUser::verify_password`]. The comparison takes the same time whatever differs.
    pub fn verify(&self, password: &Secret) -> bool {
        Argon2::default().verify_password(password.expose().as_bytes(), &self.0).is_ok()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Takes as long as checking a password that [`hash_password`] hashed, so that an unknown user cannot be told
/// from a wrong password by the time it takes.
pub fn verify_nobody(password: &Secret) {
    let hash = hash_password(password, *b"nobody has this.");
    std::hint::black_box(hash);
}

/// The text for `password` of a `[[user]]`. The salt must come from the system's generator.
pub fn hash_password(password: &Secret, salt: [u8; 16]) -> String {
    let hash = Argon2::default().hash_password_with_salt(password.expose().as_bytes(), &salt);
    #[expect(clippy::expect_used, reason = "fails for salts under 8 bytes and passwords over 4 GiB only")]
    hash.expect("a salt of 16 bytes is long enough").to_string()
}
