//! The numbers of DSA keys. SSH has one size of them: 1024 and 160 bits (RFC 4253 section 6.6).

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Integer, Odd};
use zeroize::Zeroizing;

use super::KeyError;

const P_BITS: u32 = 1024;
const Q_BITS: u32 = 160;

/// The public numbers, big-endian.
#[derive(Clone, Copy)]
pub(super) struct Domain<'a> {
    pub(super) p: &'a [u8],
    pub(super) q: &'a [u8],
    pub(super) g: &'a [u8],
}

/// All numbers get the width of their modulus: the arithmetic takes no others.
pub(super) fn public(domain: Domain<'_>, y: &[u8]) -> Result<dsa::VerifyingKey, KeyError> {
    let (p, q) = (sized(domain.p, P_BITS)?, sized(domain.q, Q_BITS)?);
    if p.bits() != P_BITS || q.bits() != Q_BITS {
        return Err(KeyError::Size);
    }
    let (g, y) = (sized(domain.g, P_BITS)?, sized(y, P_BITS)?);
    let one = BoxedUint::one_with_precision(P_BITS);
    if bool::from(q.is_even()) || g <= one || y <= one || y >= p {
        return Err(KeyError::NotAKey);
    }
    let components = dsa::Components::from_components(p, q, g).map_err(|_| KeyError::NotAKey)?;
    dsa::VerifyingKey::from_components(components, y).map_err(|_| KeyError::NotAKey)
}

/// The public half is computed, so that it fits.
pub(super) fn private(domain: Domain<'_>, x: &[u8]) -> Result<dsa::SigningKey, KeyError> {
    let p = Odd::new(sized(domain.p, P_BITS)?).into_option().ok_or(KeyError::NotAKey)?;
    let g = sized(domain.g, P_BITS)?;
    if p.bits() != P_BITS || g >= *p {
        return Err(KeyError::NotAKey);
    }
    let secret = Zeroizing::new(sized(x, Q_BITS)?);
    let y = BoxedMontyForm::new(g, &BoxedMontyParams::new(p)).pow(&secret).retrieve();
    let public = public(domain, &y.to_be_bytes())?;
    dsa::SigningKey::from_components(public, (*secret).clone()).map_err(|_| KeyError::NotAKey)
}

fn sized(big_endian: &[u8], bits: u32) -> Result<BoxedUint, KeyError> {
    let first = big_endian.iter().position(|&byte| byte != 0).unwrap_or(big_endian.len());
    BoxedUint::from_be_slice(big_endian.get(first..).unwrap_or_default(), bits).map_err(|_| KeyError::Size)
}
