//! Diffie-Hellman in finite fields (RFC 4253 section 8, RFC 4419, RFC 8268).

use std::fmt;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd, Resize};
use zeroize::Zeroizing;

use super::{KexError, SharedSecret};
use crate::wire::Write;

/// Bits of a private exponent: twice the strength of the largest group, and so of each, with some to spare
/// (RFC 4419 section 6.2 wants twice the key material that is needed).
const EXPONENT_BITS: u32 = 512;

/// A prime and a generator.
pub(crate) struct DhGroup {
    field: BoxedMontyParams,
    generator: BoxedUint,
}

impl DhGroup {
    /// A group from a server (RFC 4419 section 3), by the contents of its two `mpint`s.
    ///
    /// The prime has 2048 to 8192 bits and is odd; whether it is prime is the server's word, which its host key
    /// signs. The generator is above 1 and below p - 1. Refuses the rest.
    pub(crate) fn new(p: &[u8], g: &[u8]) -> Result<Self, KexError> {
        // Before any arithmetic on it.
        let prime = digits(p).filter(|prime| prime.len() <= 8192 / 8).ok_or(KexError::Group)?;
        let prime = BoxedUint::from_be_slice(prime, precision(prime.len())).map_err(|_| KexError::Group)?;
        if !(2048..=8192).contains(&prime.bits_vartime()) {
            return Err(KexError::Group);
        }
        let generator = number(g, prime.bits_precision()).ok_or(KexError::Group)?;
        let group = Self { field: field(prime)?, generator };
        if group.has(&group.generator) { Ok(group) } else { Err(KexError::Group) }
    }

    /// A group that its method names, by its prime in hexadecimal.
    pub(super) fn known(prime: &str) -> Result<Self, KexError> {
        let prime = BoxedUint::from_be_hex(prime, precision(prime.len() / 2));
        let field = field(prime.into_option().ok_or(KexError::Group)?)?;
        let generator = BoxedUint::from(2_u8).resize(field.bits_precision());
        Ok(Self { field, generator })
    }

    /// RFC 4253 section 8: 1 < value < p - 1 (RFC 8268 section 4 excludes the ends).
    fn has(&self, value: &BoxedUint) -> bool {
        let one = BoxedUint::one_with_precision(self.field.bits_precision());
        let last = self.field.modulus().as_ref().wrapping_sub(&one);
        *value > one && *value < last
    }

    /// `base` is below the modulus. Takes as long for every exponent.
    fn power(&self, base: BoxedUint, exponent: &BoxedUint) -> Zeroizing<BoxedUint> {
        let base = BoxedMontyForm::new(base, &self.field);
        let power = Zeroizing::new(base.pow_bounded_exp(exponent, EXPONENT_BITS));
        Zeroizing::new(power.retrieve())
    }
}

impl fmt::Debug for DhGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DhGroup").field("bits", &self.field.modulus().bits_vartime()).finish_non_exhaustive()
    }
}

/// A private exponent for one exchange.
pub(super) struct Exponent {
    group: DhGroup,
    exponent: Zeroizing<BoxedUint>,
}

impl Exponent {
    /// The exponent, and its public value as the contents of an `mpint`.
    pub(super) fn generate(group: DhGroup) -> Result<(Self, Vec<u8>), KexError> {
        let mut bytes = Zeroizing::new([0; EXPONENT_BITS as usize / 8]);
        aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| KexError::Library)?;
        let exponent = BoxedUint::from_be_slice(&*bytes, EXPONENT_BITS).map_err(|_| KexError::Library)?;
        let exponent = Zeroizing::new(exponent);
        let public = group.power(group.generator.clone(), &exponent);
        let mut encoded = Vec::new();
        encoded.put_mpint(&public.to_be_bytes());
        let public = encoded.split_off(4);
        Ok((Self { group, exponent }, public))
    }

    /// `peer` is the contents of an `mpint`.
    pub(super) fn agree(self, peer: &[u8]) -> Result<SharedSecret, KexError> {
        let peer = number(peer, self.group.field.bits_precision()).ok_or(KexError::Public)?;
        if !self.group.has(&peer) {
            return Err(KexError::Public);
        }
        let shared = self.group.power(peer, &self.exponent);
        // The peer's value is of small order: the group's modulus is no safe prime.
        if !self.group.has(&shared) {
            return Err(KexError::Public);
        }
        Ok(SharedSecret::from_number(&Zeroizing::new(shared.to_be_bytes())))
    }
}

/// Bits that hold this many bytes, in whole words.
fn precision(bytes: usize) -> u32 {
    u32::try_from(bytes.next_multiple_of(8) * 8).unwrap_or(u32::MAX)
}

fn field(prime: BoxedUint) -> Result<BoxedMontyParams, KexError> {
    let prime: Odd<BoxedUint> = prime.into_odd().into_option().ok_or(KexError::Group)?;
    Ok(BoxedMontyParams::new_vartime(prime))
}

/// A number from the contents of an `mpint`, if it has so many bits at most.
fn number(mpint: &[u8], bits: u32) -> Option<BoxedUint> {
    BoxedUint::from_be_slice(digits(mpint)?, bits).ok()
}

/// What the contents of an `mpint` are without a sign, if it is above zero and in the shortest form.
fn digits(mpint: &[u8]) -> Option<&[u8]> {
    match mpint {
        [0, digits @ ..] if digits.first().is_some_and(|&byte| byte & 0x80 != 0) => Some(digits),
        [first, ..] if *first != 0 && first & 0x80 == 0 => Some(mpint),
        _ => None,
    }
}
